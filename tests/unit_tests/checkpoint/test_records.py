from __future__ import annotations

import dataclasses

import pytest

from langchain_mix.checkpoint.records import CheckpointRecord, Stored, Value, Write, WritesRecord, effective, pending

V = [Value("t", bytes([n])) for n in range(9)]
RECORD = CheckpointRecord("", "1", None, V[0], V[0], {})


def wrote(task, path, *writes):
    return WritesRecord("", "1", task, path, tuple(Write(idx, channel, value) for idx, channel, value in writes))


def test_records_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RECORD.ns = "x"
    assert CheckpointRecord("", "1", None, V[0], V[0], {}, {"a": 1}) == RECORD


def test_of_ordinary_writes_the_first_counts_and_of_special_ones_the_last():
    stored = Stored(
        RECORD,
        (wrote("t", "p", (0, "a", V[1]), (-1, "__error__", V[2])), wrote("t", "p", (0, "a", V[3]), (-1, "e", V[4]))),
    )
    assert pending(stored) == [("t", "e", V[4]), ("t", "a", V[1])]


def test_writes_come_in_the_order_of_paths_tasks_and_indexes():
    stored = Stored(
        RECORD,
        (
            wrote("b", "~2", (0, "x", V[1])),
            wrote("a", "~2", (1, "y", V[2]), (0, "z", V[3])),
            wrote("c", "~1", (0, "w", V[4])),
        ),
    )
    assert [(task, channel) for task, channel, _ in pending(stored)] == [("c", "w"), ("a", "z"), ("a", "y"), ("b", "x")]


def test_tasks_do_not_hide_each_others_writes():
    both = [wrote("a", "", (0, "x", V[1])), wrote("b", "", (0, "x", V[2]))]
    assert [write.value for _, write in effective(both)] == [V[1], V[2]]
