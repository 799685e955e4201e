"""Lanes: whole states of a thread, each written by one owner into two files in turn.

Owns: what is in a lane file, and whether two of them are what an owner leaves. Refuses to know: how they are read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from langchain_mix.checkpoint import codec, names
from langchain_mix.checkpoint.codec import damaged
from langchain_mix.checkpoint.content import Content
from langchain_mix.checkpoint.refs import read_ref
from langchain_mix.checkpoint.seal import Seal
from langchain_mix.checkpoint.table import read_table

_MOVED: Final = re.compile("moved-([0-9]+)-")


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a register holds: who came last, and which epoch it wants.

    Attributes:
        writer: An identity that was made for this one attempt.
        epoch: The epoch.
    """

    writer: str
    epoch: int

    @property
    def moved_in(self) -> int | None:
        """The epoch of hidden names in which somebody moves the thread away from these; None if nobody does."""
        found = _MOVED.match(self.writer)
        return None if found is None else int(found[1])

    def closed(self, unique: str, moved_in: int) -> Arrival:
        """Returns what the register holds next if the thread is moved away from its names in that epoch."""
        return Arrival(f"moved-{moved_in}-{unique}", self.epoch)


@dataclass(frozen=True, slots=True)
class Lane:
    """What a lane file holds: the whole state of a thread, as its writer leaves it.

    Attributes:
        thread_id: The thread.
        arrival: The writer and its epoch.
        version: How many times the writer has written its lane before; -1 before the first time.
        content: The state.
        base: The epoch whose lane it has gone on from, or -1.
        passed: The epoch that lane had gone on from, or -1; only the one who takes over knows it.
        moved: What closes the files under visible names that this lane replaces; only the one who moves them knows it.
    """

    thread_id: str
    arrival: Arrival
    version: int
    content: Content
    base: int = -1
    passed: int = field(default=-1, compare=False)
    moved: Arrival | None = field(default=None, compare=False)

    def following(self, content: Content) -> Lane:
        """The next version."""
        return replace(self, version=self.version + 1, content=content)

    def holds(self, mark: Arrival) -> bool:
        """Whether it holds all that was stored under visible names whose register holds this.

        It does if it was written in the epoch of that move or later: who takes an epoch looks for the mark, and moves
        the thread if the lane that it goes on from is older.
        """
        return mark.moved_in is not None and mark.moved_in <= self.arrival.epoch

    @property
    def body(self) -> list[Any]:
        """What its file holds."""
        refs = [ref.raw for ref in self.content.refs]
        position = [self.arrival.writer, self.arrival.epoch, self.version, self.base]
        return [names.bytes_of(self.thread_id), *position, refs, self.content.window.raw]


@dataclass(frozen=True, slots=True)
class Slot:
    """A lane file whose entries have not been looked at.

    Attributes:
        name: The file.
        thread: The thread's id as bytes.
        arrival: The writer and its epoch.
        version: Which version of the lane it is.
        base: The epoch whose lane it has gone on from, or -1.
        refs: References.
        rows: Entries.
    """

    name: str
    thread: bytes
    arrival: Arrival
    version: int
    base: int
    refs: Sequence[Any] = field(repr=False)
    rows: Sequence[Any] = field(repr=False)

    def lane(self) -> Lane:
        """Reads the entries.

        Raises:
            MixCheckpointDamaged: They are none.
        """
        content = Content(tuple(read_ref(self.name, ref) for ref in self.refs), read_table(self.name, self.rows))
        thread_id = self.thread.decode("utf-8", "surrogatepass")
        return Lane(thread_id, self.arrival, self.version, content, self.base)


def read_slot(name: str, data: bytes, seal: Seal) -> Slot:
    """Reads the bytes of a lane file.

    Args:
        name: The file.
        data: Its bytes.
        seal: What it was sealed with.

    Returns:
        What it holds.

    Raises:
        MixCheckpointDamaged: It is no lane, or another one.
    """
    match codec.unpack(name, "lane", data, seal):
        case [bytes() as thread, str() as writer, int() as epoch, int() as version, int() as base, [*refs], [*rows]]:
            key = names.key_of_bytes(thread)
            if version < 0 or name not in {names.lane(one, epoch, version % 2) for one in (key, names.visible(key))}:
                whose = thread.decode("utf-8", "replace")
                raise damaged(name, f"holds version {version} of epoch {epoch} of the thread {whose!r}")
            return Slot(name, thread, Arrival(writer, epoch), version, base, refs, rows)
    raise damaged(name, "holds no lane of a known form")


def newest(slots: Sequence[Slot]) -> Slot:
    """The one that was written last."""
    return max(slots, key=lambda slot: slot.version)


def are_whole(slots: Sequence[Slot]) -> bool:
    """Whether these are what an owner leaves: its last two versions, or its first alone."""
    if len({slot.arrival for slot in slots}) > 1:
        return False
    versions = sorted(slot.version for slot in slots)
    return versions == [0] if len(versions) == 1 else versions[1] - versions[0] == 1
