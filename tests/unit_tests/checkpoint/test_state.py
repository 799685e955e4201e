from __future__ import annotations

import itertools

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_mix.checkpoint.encoding import NO_ENCRYPTION, packed_array
from langchain_mix.checkpoint.state import (
    FAN_OUT,
    Ref,
    Span,
    StateBuilder,
    StoreSettings,
    ThreadState,
    cover,
    cover_all,
    read_ref,
)
from langchain_mix.errors import MixCheckpointDamaged

places = st.lists(
    st.tuples(st.integers(0, 30).map(lambda n: f"ns{n}" * (n > 0)), st.integers(0, 99).map(lambda n: f"{n:02d}")),
    min_size=1,
    max_size=60,
)


def ref(coverage, name="file"):
    return Ref(name, b"d" * 32, 0, 3, 99, coverage)


@given(st.lists(places, min_size=1, max_size=5))
def test_nothing_that_was_stored_is_ruled_out(documents):
    refs = [ref(cover(some)) for some in documents]
    for one, held in zip(
        [*refs, ref(cover_all(refs))], [*documents, [p for some in documents for p in some]], strict=True
    ):
        read = read_ref("file", ormsgpack.unpackb(one.stored))
        assert read == one
        for ns, checkpoint_id in held:
            for asked in (ns, None):
                span = read.coverage.span(asked)
                assert span is not None
                assert span.low <= checkpoint_id <= span.high


def test_a_namespace_that_was_not_stored_is_ruled_out():
    covered = cover([(f"ns{n}", f"{n:03d}") for n in range(100)])
    assert len(covered.named) == 8
    assert covered.span("elsewhere") is None
    assert covered.span("ns50") is not None
    assert cover([("", "1")]).span("x") is None


def test_a_reference_stays_small_however_many_namespaces_there_are():
    refs = [ref(cover([(f"ns{n} {m}", "1") for m in range(64)])) for n in range(64)]
    whole = ref(cover_all(refs))
    assert whole.coverage.prints is None
    assert whole.coverage.span("anything") == Span("1", "1")
    assert len(whole.stored) < 400
    assert max(len(one.stored) for one in refs) < 700


@pytest.mark.parametrize(
    "raw",
    [
        7,
        [],
        ["f", b"d", 0, 1, 1, [["ns"]], None, b""],
        ["f", b"d", 0, 1, 1, [], "x", b""],
        ["f", b"d", 0, 1, 1, [], None, 7],
    ],
)
def test_what_is_no_reference_is_reported(raw):
    with pytest.raises(MixCheckpointDamaged, match="the lane holds a reference"):
        read_ref("the lane", raw)


KEY = "0" * 32
_COUNT = itertools.count()


def grown(state, entries, *, segment_entries=64, segment_bytes=524_288, blob_bytes=262_144, fresh=_COUNT):
    settings = StoreSettings(segment_entries=segment_entries, segment_bytes=segment_bytes, blob_bytes=blob_bytes)
    builder = StateBuilder(
        state, key=KEY, settings=settings, encryption=NO_ENCRYPTION, fresh=lambda: f"{next(fresh):032x}"
    )
    builder.add(entries)
    return builder


def size_of_manifest(state):
    return len(packed_array([packed_array([ref.stored for ref in state.refs]), state.active.stored]))


def test_a_full_active_segment_becomes_a_segment(kit):
    builder = grown(ThreadState(), [kit.checkpoint(n) for n in range(5)], segment_entries=4)
    (segment,) = builder.documents
    assert segment.name == builder.refs[0].name
    assert builder.refs[0].entries + len(builder.active) == 5


def test_the_newest_checkpoint_and_its_writes_stay_in_the_active_segment(kit):
    entries = []
    for n in range(10):
        entries += [kit.checkpoint(n), kit.checkpoint(n, "sub"), kit.writes(n), kit.writes(n, "sub")]
    builder = grown(ThreadState(), entries[:-1], segment_entries=35)
    assert len(builder.refs) == 1
    held = [builder.active.entry(row, {}) for row in builder.active.rows]
    assert [entry for entry in held if entry.checkpoint_id == "00000008"] == entries[32:36]
    assert builder.refs[0].coverage.span("").high < "00000008"


def test_bytes_fill_an_active_segment_too(kit):
    entries = [kit.checkpoint(n, values={"x": bytes([n]) * 1000}) for n in range(20)]
    builder = grown(ThreadState(), entries, segment_bytes=5000)
    assert 3 <= len(builder.refs) <= 6
    assert builder.active.size < 7000


def test_a_value_bigger_than_the_active_segment_does_not_make_every_put_a_segment(kit):
    big = b"z" * 10_000
    entries = [kit.checkpoint(n, values={"x": big + b"%d" % n * 10}) for n in range(40)]
    builder = grown(ThreadState(), entries, segment_bytes=5000)
    assert builder.refs == ()
    different = [kit.checkpoint(n, values={"x": bytes([n]) * 10_000}) for n in range(40)]
    assert len(grown(ThreadState(), different, segment_bytes=5000).refs) <= 21


def test_big_values_are_named_before_the_active_segment_that_needs_them(kit):
    entries = [kit.checkpoint(n, values={"x": b"z" * 500}) for n in range(3)]
    builder = grown(ThreadState(), entries, blob_bytes=500)
    (blob,) = builder.documents
    assert blob.decoded == b"z" * 500
    assert [one[0] for row in builder.active.rows for one in builder.active.blobs_of(row)] == [blob.name] * 2


def test_a_manifest_stays_small_with_five_thousand_entries(kit):
    state, sizes, levels = ThreadState(), [], set()
    for n in range(5000):
        state = grown(state, [kit.checkpoint(n, values={"x": b"%d" % n * 20})]).state
        if n % 64 == 0:
            sizes.append(size_of_manifest(state))
            levels.update(ref.level for ref in state.refs)
    assert levels == {0, 1}
    assert max(sizes) < 40_000
    assert sum(ref.entries for ref in state.refs) + len(state.active) == 5000


def test_references_of_a_level_move_together_and_stay_in_order(kit):
    state, documents = ThreadState(), {}
    for n in range(FAN_OUT + 3):
        builder = grown(state, [kit.checkpoint(n)], segment_entries=1)
        documents |= {document.name: document.decoded for document in builder.documents}
        state = builder.state
    assert [ref.level for ref in state.refs] == [1, 0, 0]
    order = [*documents[state.refs[0].name], *state.refs[1:]]
    assert [ref.coverage.span("").low for ref in order] == [f"{n:08d}" for n in range(FAN_OUT + 2)]
    assert state.refs[0].coverage.span("").high == f"{FAN_OUT - 1:08d}"


@pytest.mark.parametrize("count", [0, 1])
def test_a_state_without_entries_is_empty(kit, count):
    assert grown(ThreadState(), [kit.checkpoint(1)] * count).state.is_empty == (count == 0)
