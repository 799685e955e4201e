"""What stays of a thread that goes back to one of its checkpoints."""

from __future__ import annotations

import pytest

from langchain_mix.checkpoint.rewinding import stays
from langchain_mix.checkpoint.shelf import Item, PendingWrite
from langchain_mix.errors import MixInputError

INTERRUPTED = PendingWrite("t1", "__interrupt__")
RESUMED = PendingWrite("t1", "__resume__")
ANSWERED = PendingWrite("00000000-0000-0000-0000-000000000000", "__resume__")
DONE = PendingWrite("t2", "messages")
LATER = PendingWrite("t1", "messages")


def item(checkpoint_id, parent_id=None, *, ns="", writes=(), **parents):
    metadata = {"parents": {key or "": value for key, value in parents.items()}} if parents else {}
    return Item(ns, checkpoint_id, parent_id, "", metadata, frozenset(), (), tuple(writes))


def inner(checkpoint_id, ran, *, ns, parent_id=None, writes=()):
    return Item(ns, checkpoint_id, parent_id, "", {"parents": {"": ran}}, frozenset(), (), tuple(writes))


def kept(items, checkpoint_id):
    return sorted(stays(items, checkpoint_id).checkpoints)


BRANCHED = [item("1"), item("2", "1"), item("3", "2"), item("4", "2"), item("5", "4"), item("6", "3")]


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
    assert kept(BRANCHED, back_to) == [("", one) for one in stay]


def test_what_follows_goes_whatever_its_id():
    """The clocks of two machines disagree."""
    items = [item("5"), item("3", "5"), item("4", "3"), item("2")]
    assert kept(items, "5") == [("", "2"), ("", "5")]


def test_there_must_be_such_a_checkpoint():
    with pytest.raises(MixInputError, match="'9'"):
        stays(BRANCHED, "9")
    with pytest.raises(MixInputError):
        stays([item("1", ns="n")], "1")


def test_tasks_run_again():
    items = [item("1", writes=[DONE]), item("2", "1", writes=[DONE, LATER])]
    keep = stays(items, "2")
    assert keep.writes == {("", "2"): frozenset()}


def test_an_interrupt_waits_again():
    items = [item("1", writes=[INTERRUPTED, RESUMED, ANSWERED, DONE, LATER]), item("2", "1")]
    assert stays(items, "1").writes == {("", "1"): frozenset({INTERRUPTED, DONE})}


def test_subgraphs_go_with_what_ran_them():
    items = [
        item("1"),
        item("2", "1"),
        item("3", "2"),
        inner("1a", "1", ns="sub:t0"),
        inner("2a", "2", ns="sub:t1"),
        inner("3a", "3", ns="sub:t3"),
        inner("1m", "1", ns="memory"),
        inner("2m", "2", ns="memory", parent_id="1m"),
        item("0x", ns="untold"),
        item("9x", ns="untold"),
    ]
    assert kept(items, "2") == [("", "1"), ("", "2"), ("memory", "1m"), ("sub:t0", "1a"), ("untold", "0x")]


def test_what_ran_in_a_checkpoint_that_was_pruned_stays():
    items = [item("5"), item("7", "5"), inner("2m", "2", ns="memory"), inner("8m", "8", ns="memory", parent_id="2m")]
    assert kept(items, "5") == [("", "5"), ("memory", "2m")]


@pytest.mark.parametrize("ns", ["sub:t1", "memory", "outer:t9|sub:t1"])
def test_a_subgraph_that_waited_waits_again(ns):
    items = [
        item("1"),
        item("2", "1", writes=[INTERRUPTED, RESUMED, LATER]),
        item("3", "2"),
        inner("2a", "2", ns=ns),
        inner("2b", "2", ns=ns, parent_id="2a", writes=[INTERRUPTED, RESUMED]),
        inner("2c", "2", ns=ns, parent_id="2b"),
        inner("2z", "2", ns="sub:other"),
    ]
    keep = stays(items, "2")
    assert sorted(keep.checkpoints) == [("", "1"), ("", "2"), (ns, "2a"), (ns, "2b")]
    assert keep.writes[ns, "2b"] == {INTERRUPTED}
