"""The records of a thread: checkpoints, pending writes, and the bytes in them.

Owns: the records, which of several writes to one place counts, and their order. Refuses to know: how they are stored,
and what the bytes mean; the saver serialises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from langgraph.checkpoint.base import writes_sort_key


@dataclass(frozen=True, slots=True)
class Value:
    """A serialised value.

    Attributes:
        tag: Which serialiser can read it, an opaque text.
    """

    tag: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CheckpointRecord:
    """A checkpoint. The same namespace and id again replaces it.

    Attributes:
        checkpoint_id: Its id; ids sort by age.
        skeleton: The checkpoint without its channel values.
        values: The channel values, all of them; what did not change costs nothing again.
        versions: The channel versions, for `ThreadStore.recall`. They are not stored: empty in what is read.
    """

    ns: str
    checkpoint_id: str
    parent_id: str | None
    skeleton: Value
    metadata: Value
    values: Mapping[str, Value]
    versions: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Write:
    """A value that a task wrote to a channel.

    Attributes:
        idx: Its place among the task's writes; negative for the special channels of LangGraph.
    """

    idx: int
    channel: str
    value: Value


@dataclass(frozen=True, slots=True)
class WritesRecord:
    """Writes of a task at a checkpoint, which need not be stored yet."""

    ns: str
    checkpoint_id: str
    task_id: str
    task_path: str
    writes: tuple[Write, ...]


Entry: TypeAlias = CheckpointRecord | WritesRecord
"""The entries of a thread."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A checkpoint as it was found.

    Attributes:
        writes: All writes to it, in the order in which they were stored.
    """

    record: CheckpointRecord
    writes: tuple[WritesRecord, ...] = ()


def effective(writes: Iterable[WritesRecord]) -> list[tuple[WritesRecord, Write]]:
    """Decides which of several writes to the same place counts, given those to one checkpoint as they were stored.

    Returns:
        What counts, sorted as LangGraph wants it: by task path, task and index. A place is a task and an index. Of
        ordinary writes (index 0 and above) the first counts, of special ones (negative) the last.
    """
    kept: dict[tuple[str, int], tuple[WritesRecord, Write]] = {}
    for record in writes:
        for write in record.writes:
            place = record.task_id, write.idx
            if write.idx < 0 or place not in kept:
                kept[place] = record, write
    return sorted(kept.values(), key=lambda one: writes_sort_key(one[0].task_path, one[0].task_id, one[1].idx))


def pending(stored: Stored) -> list[tuple[str, str, Value]]:
    """Returns task, channel and value of each pending write that counts, in LangGraph's order."""
    return [(record.task_id, write.channel, write.value) for record, write in effective(stored.writes)]
