"""Which checkpoints may go."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from langchain_mix.checkpoint.pruning import newest, without_runs
from langchain_mix.checkpoint.shelf import Item


def item(checkpoint_id, parent_id=None, *, ns="", ts="2026-01-01T00:00:00+00:00", channels=(), **metadata):
    return Item(ns, checkpoint_id, parent_id, ts, metadata, frozenset(channels))


def chain(count, **given):
    return [item(str(n), str(n - 1) if n else None, **given) for n in range(count)]


def kept(keep):
    return sorted(keep.checkpoints)


def test_the_newest_of_each_namespace_stay():
    items = [*chain(4), item("1", ns="n"), item("2", "1", ns="n")]
    assert kept(newest(items, keep_last=1)) == [("", "3"), ("n", "2")]
    assert kept(newest(items, keep_last=2)) == [("", "2"), ("", "3"), ("n", "1"), ("n", "2")]
    assert kept(newest(items, keep_last=9)) == sorted(i.key for i in items)
    assert kept(newest([], keep_last=1)) == []


def test_young_ones_stay_and_so_do_those_whose_age_cannot_be_read():
    items = [replace(i, ts=f"2026-01-0{n + 1}T00:00:00+00:00") for n, i in enumerate(chain(5))]
    items[0] = replace(items[0], ts="?")
    items[1] = replace(items[1], ts="2026-01-02T00:00:00")
    since = datetime(2026, 1, 4, tzinfo=UTC)
    assert kept(newest(items, keep_last=1, since=since)) == [("", "0"), ("", "3"), ("", "4")]
    assert kept(newest(items, keep_last=3, since=since)) == [("", "0"), ("", "2"), ("", "3"), ("", "4")]


def test_channels_without_value_take_along_their_ancestors():
    counters = {"log": (3, 3), "more": (1, 1)}
    items = chain(6, counters_since_delta_snapshot=counters)
    items[1] = replace(items[1], channels=frozenset({"log", "more"}))
    items[3] = replace(items[3], channels=frozenset({"more"}))
    assert kept(newest(items, keep_last=1)) == [("", n) for n in "12345"]
    items[5] = replace(items[5], channels=frozenset({"log", "more"}))
    assert kept(newest(items, keep_last=1)) == [("", "5")]
    items[5] = replace(items[5], channels=frozenset({"log"}))
    assert kept(newest(items, keep_last=1)) == [("", n) for n in "345"]


def test_subgraphs_of_a_task_go_with_the_checkpoint_that_ran_it():
    items = [
        *chain(3),
        item("1a", ns="sub:t1", parents={"": "1"}),
        item("2a", ns="sub:t2", parents={"": "2"}),
        item("2b", ns="sub:t2|deep:t3", parents={"": "2", "sub:t2": "2a"}),
        item("1b", ns="sub:t1|deep:t4", parents={"": "1", "sub:t1": "1a"}),
        item("0a", ns="memory", parents={"": "0"}),
        item("0b", ns="sub:t0"),
    ]
    stay = newest(items, keep_last=1, drop_subgraphs=True)
    assert kept(stay) == [("", "2"), ("memory", "0a"), ("sub:t0", "0b"), ("sub:t2", "2a"), ("sub:t2|deep:t3", "2b")]
    assert len(kept(newest(items, keep_last=1))) == 7


def test_runs_go_but_not_what_others_need():
    items = [replace(i, metadata={"run_id": f"r{n % 2}"}) for n, i in enumerate(chain(4))]
    assert kept(without_runs(items, {"r1"})) == [("", "0"), ("", "2")]
    counters = {"counters_since_delta_snapshot": {"log": [1, 1]}}
    items = [replace(i, metadata={**i.metadata, **counters}) for i in items]
    items[0] = replace(items[0], channels=frozenset({"log"}))
    assert kept(without_runs(items, {"r1"})) == [("", "0"), ("", "1"), ("", "2")]
    assert kept(without_runs(items, {"r0", "r1"})) == []
