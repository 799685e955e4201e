"""Which checkpoints may go. What stays of a thread that goes back to one of its checkpoints."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from langchain_mix.checkpoint.backend import CheckpointInfo, PendingWrite
from langchain_mix.checkpoint.thread_ops import kept_by_prune, kept_by_rewind, without_runs
from langchain_mix.errors import MixInputError


def item(checkpoint_id, parent_id=None, *, ns="", ts="2026-01-01T00:00:00+00:00", channels=(), **metadata):
    return CheckpointInfo(ns, checkpoint_id, parent_id, ts, metadata, frozenset(channels))


def chain(count, **given):
    return [item(str(n), str(n - 1) if n else None, **given) for n in range(count)]


def kept(keep):
    return sorted(keep.checkpoints)


def test_the_newest_of_each_namespace_stay():
    items = [*chain(4), item("1", ns="n"), item("2", "1", ns="n")]
    assert kept(kept_by_prune(items, keep_last=1)) == [("", "3"), ("n", "2")]
    assert kept(kept_by_prune(items, keep_last=2)) == [("", "2"), ("", "3"), ("n", "1"), ("n", "2")]
    assert kept(kept_by_prune(items, keep_last=9)) == sorted(i.key for i in items)
    assert kept(kept_by_prune([], keep_last=1)) == []


def test_young_ones_stay_and_so_do_those_whose_age_cannot_be_read():
    items = [replace(i, ts=f"2026-01-0{n + 1}T00:00:00+00:00") for n, i in enumerate(chain(5))]
    items[0] = replace(items[0], ts="?")
    items[1] = replace(items[1], ts="2026-01-02T00:00:00")
    since = datetime(2026, 1, 4, tzinfo=UTC)
    assert kept(kept_by_prune(items, keep_last=1, since=since)) == [("", "0"), ("", "3"), ("", "4")]
    assert kept(kept_by_prune(items, keep_last=3, since=since)) == [("", "0"), ("", "2"), ("", "3"), ("", "4")]


def test_channels_without_value_take_along_their_ancestors():
    counters = {"log": (3, 3), "more": (1, 1)}
    items = chain(6, counters_since_delta_snapshot=counters)
    items[1] = replace(items[1], channels=frozenset({"log", "more"}))
    items[3] = replace(items[3], channels=frozenset({"more"}))
    assert kept(kept_by_prune(items, keep_last=1)) == [("", n) for n in "12345"]
    items[5] = replace(items[5], channels=frozenset({"log", "more"}))
    assert kept(kept_by_prune(items, keep_last=1)) == [("", "5")]
    items[5] = replace(items[5], channels=frozenset({"log"}))
    assert kept(kept_by_prune(items, keep_last=1)) == [("", n) for n in "345"]


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
    stay = kept_by_prune(items, keep_last=1, drop_subgraphs=True)
    assert kept(stay) == [("", "2"), ("memory", "0a"), ("sub:t0", "0b"), ("sub:t2", "2a"), ("sub:t2|deep:t3", "2b")]
    assert len(kept(kept_by_prune(items, keep_last=1))) == 7


def test_runs_go_but_not_what_others_need():
    items = [replace(i, metadata={"run_id": f"r{n % 2}"}) for n, i in enumerate(chain(4))]
    assert kept(without_runs(items, {"r1"})) == [("", "0"), ("", "2")]
    counters = {"counters_since_delta_snapshot": {"log": [1, 1]}}
    items = [replace(i, metadata={**i.metadata, **counters}) for i in items]
    items[0] = replace(items[0], channels=frozenset({"log"}))
    assert kept(without_runs(items, {"r1"})) == [("", "0"), ("", "1"), ("", "2")]
    assert kept(without_runs(items, {"r0", "r1"})) == []


INTERRUPTED = PendingWrite("t1", "__interrupt__")
RESUMED = PendingWrite("t1", "__resume__")
ANSWERED = PendingWrite("00000000-0000-0000-0000-000000000000", "__resume__")
DONE = PendingWrite("t2", "messages")
LATER = PendingWrite("t1", "messages")


def step(checkpoint_id, parent_id=None, *, ns="", writes=(), **parents):
    metadata = {"parents": {key or "": value for key, value in parents.items()}} if parents else {}
    return CheckpointInfo(ns, checkpoint_id, parent_id, "", metadata, frozenset(), (), tuple(writes))


def inner(checkpoint_id, ran, *, ns, parent_id=None, writes=()):
    return CheckpointInfo(ns, checkpoint_id, parent_id, "", {"parents": {"": ran}}, frozenset(), (), tuple(writes))


def kept_after(items, checkpoint_id):
    return sorted(kept_by_rewind(items, checkpoint_id).checkpoints)


BRANCHED = [step("1"), step("2", "1"), step("3", "2"), step("4", "2"), step("5", "4"), step("6", "3")]


@pytest.mark.parametrize(
    ("back_to", "stay"),
    [
        ("6", ["1", "2", "3", "4", "5", "6"]),
        ("5", ["1", "2", "3", "4", "5"]),  # The older branch at 3 stays, what it was continued with goes.
        ("4", ["1", "2", "3", "4"]),
        ("3", ["1", "2", "3"]),
        ("1", ["1"]),
    ],
)
def test_all_that_is_newer_goes(back_to, stay):
    assert kept_after(BRANCHED, back_to) == [("", one) for one in stay]


def test_what_follows_goes_whatever_its_id():
    """The clocks of two machines disagree."""
    items = [step("5"), step("3", "5"), step("4", "3"), step("2")]
    assert kept_after(items, "5") == [("", "2"), ("", "5")]


def test_there_must_be_such_a_checkpoint():
    with pytest.raises(MixInputError, match="'9'"):
        kept_by_rewind(BRANCHED, "9")
    with pytest.raises(MixInputError):
        kept_by_rewind([step("1", ns="n")], "1")


def test_tasks_run_again():
    items = [step("1", writes=[DONE]), step("2", "1", writes=[DONE, LATER])]
    keep = kept_by_rewind(items, "2")
    assert keep.writes == {("", "2"): frozenset()}


def test_an_interrupt_waits_again():
    items = [step("1", writes=[INTERRUPTED, RESUMED, ANSWERED, DONE, LATER]), step("2", "1")]
    assert kept_by_rewind(items, "1").writes == {("", "1"): frozenset({INTERRUPTED, DONE})}


def test_subgraphs_go_with_what_ran_them():
    items = [
        step("1"),
        step("2", "1"),
        step("3", "2"),
        inner("1a", "1", ns="sub:t0"),
        inner("2a", "2", ns="sub:t1"),
        inner("3a", "3", ns="sub:t3"),
        inner("1m", "1", ns="memory"),
        inner("2m", "2", ns="memory", parent_id="1m"),
        step("0x", ns="untold"),
        step("9x", ns="untold"),
    ]
    assert kept_after(items, "2") == [("", "1"), ("", "2"), ("memory", "1m"), ("sub:t0", "1a"), ("untold", "0x")]


def test_what_ran_in_a_checkpoint_that_was_pruned_stays():
    items = [step("5"), step("7", "5"), inner("2m", "2", ns="memory"), inner("8m", "8", ns="memory", parent_id="2m")]
    assert kept_after(items, "5") == [("", "5"), ("memory", "2m")]


@pytest.mark.parametrize("ns", ["sub:t1", "memory", "outer:t9|sub:t1"])
def test_a_subgraph_that_waited_waits_again(ns):
    items = [
        step("1"),
        step("2", "1", writes=[INTERRUPTED, RESUMED, LATER]),
        step("3", "2"),
        inner("2a", "2", ns=ns),
        inner("2b", "2", ns=ns, parent_id="2a", writes=[INTERRUPTED, RESUMED]),
        inner("2c", "2", ns=ns, parent_id="2b"),
        inner("2z", "2", ns="sub:other"),
    ]
    keep = kept_by_rewind(items, "2")
    assert sorted(keep.checkpoints) == [("", "1"), ("", "2"), (ns, "2a"), (ns, "2b")]
    assert keep.writes[ns, "2b"] == {INTERRUPTED}
