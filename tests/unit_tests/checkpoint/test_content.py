from __future__ import annotations

import itertools

import pytest

from langchain_mix.checkpoint.codec import packed
from langchain_mix.checkpoint.content import FAN_OUT, Content, Growth, Limits
from langchain_mix.checkpoint.seal import PLAIN

KEY = "0" * 32
_COUNT = itertools.count()


def grown(content, entries, *, window_entries=64, window_bytes=524_288, blob_bytes=262_144, fresh=_COUNT):
    limits = Limits(window_entries, window_bytes, blob_bytes)
    growth = Growth(content, key=KEY, limits=limits, seal=PLAIN, fresh=lambda: f"{next(fresh):032x}")
    growth.add(entries)
    return growth


def size_of_lane(content):
    return len(packed([[ref.raw for ref in content.refs], content.window.raw]))


def test_a_full_window_becomes_a_segment(kit):
    growth = grown(Content(), [kit.checkpoint(n) for n in range(5)], window_entries=4)
    (segment,) = growth.documents
    assert segment.name == growth.refs[0].name
    assert growth.refs[0].entries + len(growth.window) == 5


def test_the_newest_checkpoint_and_its_writes_stay_in_the_window(kit):
    entries = []
    for n in range(10):
        entries += [kit.checkpoint(n), kit.checkpoint(n, "sub"), kit.writes(n), kit.writes(n, "sub")]
    growth = grown(Content(), entries[:-1], window_entries=35)
    assert len(growth.refs) == 1
    held = [growth.window.entry(row, {}) for row in growth.window.rows]
    assert [entry for entry in held if entry.checkpoint_id == "00000008"] == entries[32:36]
    assert growth.refs[0].coverage.span("").high < "00000008"


def test_bytes_fill_a_window_too(kit):
    entries = [kit.checkpoint(n, values={"x": bytes([n]) * 1000}) for n in range(20)]
    growth = grown(Content(), entries, window_bytes=5000)
    assert 3 <= len(growth.refs) <= 6
    assert growth.window.size < 7000


def test_a_value_bigger_than_the_window_does_not_make_every_put_a_segment(kit):
    big = b"z" * 10_000
    entries = [kit.checkpoint(n, values={"x": big + b"%d" % n * 10}) for n in range(40)]
    growth = grown(Content(), entries, window_bytes=5000)
    assert growth.refs == ()
    different = [kit.checkpoint(n, values={"x": bytes([n]) * 10_000}) for n in range(40)]
    assert len(grown(Content(), different, window_bytes=5000).refs) <= 21


def test_big_values_are_named_before_the_window_that_needs_them(kit):
    entries = [kit.checkpoint(n, values={"x": b"z" * 500}) for n in range(3)]
    growth = grown(Content(), entries, blob_bytes=500)
    (blob,) = growth.documents
    assert blob.content == b"z" * 500
    assert [one[0] for row in growth.window.rows for one in growth.window.blobs_of(row)] == [blob.name] * 2


def test_a_lane_stays_small_with_five_thousand_entries(kit):
    content, sizes, levels = Content(), [], set()
    for n in range(5000):
        content = grown(content, [kit.checkpoint(n, values={"x": b"%d" % n * 20})]).content
        if n % 64 == 0:
            sizes.append(size_of_lane(content))
            levels.update(ref.level for ref in content.refs)
    assert levels == {0, 1}
    assert max(sizes) < 40_000
    assert sum(ref.entries for ref in content.refs) + len(content.window) == 5000


def test_references_of_a_level_move_together_and_stay_in_order(kit):
    content, documents = Content(), {}
    for n in range(FAN_OUT + 3):
        growth = grown(content, [kit.checkpoint(n)], window_entries=1)
        documents |= {document.name: document.content for document in growth.documents}
        content = growth.content
    assert [ref.level for ref in content.refs] == [1, 0, 0]
    order = [*documents[content.refs[0].name], *content.refs[1:]]
    assert [ref.coverage.span("").low for ref in order] == [f"{n:08d}" for n in range(FAN_OUT + 2)]
    assert content.refs[0].coverage.span("").high == f"{FAN_OUT - 1:08d}"


@pytest.mark.parametrize("count", [0, 1])
def test_content_without_entries_is_empty(kit, count):
    assert grown(Content(), [kit.checkpoint(1)] * count).content.is_empty == (count == 0)
