"""What is built of the base methods of another saver."""

from __future__ import annotations

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.memory import InMemorySaver

from langchain_mix import MixSaver
from langchain_mix.errors import MixStoreError

A = {"configurable": {"thread_id": "a"}}
B = {"configurable": {"thread_id": "b"}}


def put(saver, step, config=A):
    checkpoint = {**empty_checkpoint(), "id": str(uuid6(clock_seq=-1))}
    checkpoint["channel_values"], checkpoint["channel_versions"] = {"x": step}, {"x": f"{step}"}
    return saver.put(config, checkpoint, {"step": step}, {"x": f"{step}"})


def fill(saver):
    config = A
    for step in range(4):
        config = put(saver, step, config)
    saver.put_writes(config, [("x", "z1"), ("__interrupt__", "i"), ("x", "z2")], "z", "~1")
    saver.put_writes(config, [("x", "a")], "a", "~2")
    return config


ORDER = ["i", "z1", "z2", "a"]


def test_a_copy_keeps_the_order_of_writes():
    saver = MixSaver(storage=InMemorySaver())
    fill(saver)
    assert [value for _, _, value in saver.get_tuple(A).pending_writes] == ORDER
    saver.copy_thread("a", "b")
    assert saver.get_tuple(B).pending_writes == saver.get_tuple(A).pending_writes
    saver.prune(["b"])
    assert saver.get_tuple(B).pending_writes == saver.get_tuple(A).pending_writes


def test_what_is_kept_is_what_the_saver_would_keep_by_itself():
    storage = InMemorySaver()
    fill(MixSaver(storage=storage))
    assert storage.get_tuple(A).metadata == {"step": 3}
    assert len(list(storage.list(A))) == 4


class Failing(InMemorySaver):
    """Fails to store anything in a thread once that was deleted."""

    deleted = None

    def delete_thread(self, thread_id):
        super().delete_thread(thread_id)
        self.deleted = thread_id

    def put(self, config, *given):
        if config["configurable"]["thread_id"] == self.deleted:
            raise OSError("the disk is full")
        return super().put(config, *given)


def test_a_failure_in_the_middle_of_pruning_loses_nothing():
    storage = Failing()
    saver = MixSaver(storage=storage)
    config = fill(saver)
    before = list(saver.list(A))
    with pytest.raises(MixStoreError, match="~spare~") as failed:
        saver.prune(["a"], keep_last=3)
    assert list(saver.list(A)) == []
    (spare,) = {one.config["configurable"]["thread_id"] for one in saver.list(None)}
    assert repr(spare) in str(failed.value)
    storage.deleted = None
    saver.copy_thread(spare, "a")
    assert list(saver.list(A)) == before[:3]
    assert saver.get_tuple(A).config == config


def test_nothing_is_stored_again_when_nothing_goes():
    storage = Failing()
    saver = MixSaver(storage=storage)
    fill(saver)
    saver.prune(["a"], keep_last=9)
    saver.delete_for_runs(["r"])
    assert storage.deleted is None
    assert len(list(saver.list(A))) == 4


class Full(InMemorySaver):
    """Fails in the middle of a copy to the thread b, and perhaps when that is deleted."""

    def __init__(self, problem, *, deletes=True):
        super().__init__()
        self.problem, self.deletes = problem, deletes

    def put_writes(self, config, *given):
        if config["configurable"]["thread_id"] == "b":
            raise self.problem
        return super().put_writes(config, *given)

    def delete_thread(self, thread_id):
        if not self.deletes:
            raise OSError("it is read-only now")
        super().delete_thread(thread_id)


@pytest.mark.parametrize("problem", [OSError("the disk is full"), KeyboardInterrupt()])
def test_a_copy_that_fails_leaves_nothing(problem):
    saver = MixSaver(storage=Full(problem))
    fill(saver)
    with pytest.raises(type(problem)):
        saver.copy_thread("a", "b")
    assert list(saver.list(B)) == []


def test_the_failure_of_a_copy_is_not_hidden_by_that_of_its_removal():
    saver = MixSaver(storage=Full(OSError("the disk is full"), deletes=False))
    fill(saver)
    with pytest.raises(OSError, match="full") as failed:
        saver.copy_thread("a", "b")
    assert failed.value.__notes__ == ["Thread 'b' may hold a part of the copy: it is read-only now"]
    assert list(saver.list(B))


def test_runs_are_deleted_in_all_threads():
    saver = MixSaver(storage=InMemorySaver())
    for config in (A, B):
        for run in ("r1", "r2"):
            put(saver, 1, {**config, "metadata": {"run_id": run}})
    saver.delete_for_runs(["r1"])
    assert [one.metadata["run_id"] for one in saver.list(None)] == ["r2", "r2"]
