from __future__ import annotations

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_mix.checkpoint.codec import packed
from langchain_mix.checkpoint.refs import Ref, Span, cover, cover_all, read_ref
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
        read = read_ref("file", ormsgpack.unpackb(packed(one.raw)))
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
    assert len(packed(whole.raw)) < 400
    assert max(len(packed(one.raw)) for one in refs) < 700


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
def test_what_is_no_reference_is_told(raw):
    with pytest.raises(MixCheckpointDamaged, match="the lane holds a reference"):
        read_ref("the lane", raw)
