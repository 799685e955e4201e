"""Entries as rows: what a document of entries is made of.

Owns: the form of a row, and what its values are compared with. Refuses to know: where the bytes of a value come from
(`table.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeGuard

from langchain_mix.checkpoint.codec import damaged, packed
from langchain_mix.checkpoint.records import CheckpointRecord, Entry, Value, Write, WritesRecord
from langchain_mix.errors import MixInputError

Same: TypeAlias = int
"""A value that equals an earlier one of the same document, by its number."""

Changed: TypeAlias = tuple[int, bytes, int, bytes]
"""A value that differs from an earlier one: that one's number, then header, prefix and rest as in `Difference`."""

Blob: TypeAlias = tuple[str, bytes, int]
"""A value in a file of its own: its name, the checksum of the file and the bytes of the value."""

Slot: TypeAlias = bytes | Same | Changed | Blob
"""Where a value comes from."""

Key: TypeAlias = tuple[str, str]
"""What values are compared with each other: a namespace, and a channel or the part of a checkpoint it is."""

Place: TypeAlias = tuple[str, str]
"""A namespace and a checkpoint id."""

_CHECKPOINT: Final = 0
_WRITES: Final = 1
_SKELETON: Final = "checkpoint"
_METADATA: Final = "metadata"


@dataclass(frozen=True, slots=True)
class Row:
    """An entry whose values are slots.

    Attributes:
        place: The namespace and the checkpoint it speaks of.
        head: Kind, namespace, id, and what else is no value.
        slots: Its values.
        first: The number of the first one in its document.
        versions: The channel versions, if this process stored the row.
    """

    place: Place
    head: tuple[Any, ...]
    slots: tuple[Slot, ...]
    first: int
    versions: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def is_checkpoint(self) -> bool:
        """Whether it is a checkpoint, else it is writes."""
        return bool(self.head[0] == _CHECKPOINT)

    @property
    def raw(self) -> tuple[Any, ...]:
        """The row as it is stored."""
        return (*self.head, self.slots)

    @property
    def keys(self) -> list[Key]:
        """What each of its values is compared with, in order."""
        return keys_of(self.head)

    def channel(self, name: str) -> tuple[int, str] | None:
        """The number and the tag of a checkpoint's channel value, if it has that channel."""
        for offset, (channel, tag) in enumerate(self.head[6]):
            if channel == name:
                return self.first + 2 + offset, tag
        return None

    def entry(self, value: Callable[[int], bytes]) -> Entry:
        """Makes the entry.

        Args:
            value: Gives the bytes of a value by its number.

        Returns:
            The entry.
        """
        kind, ns, checkpoint_id = self.head[:3]
        at = self.first
        if kind == _CHECKPOINT:
            parent_id, skeleton, metadata, labels = self.head[3:]
            return CheckpointRecord(
                ns,
                checkpoint_id,
                parent_id,
                Value(skeleton, value(at)),
                Value(metadata, value(at + 1)),
                {channel: Value(tag, value(at + 2 + n)) for n, (channel, tag) in enumerate(labels)},
                self.versions,
            )
        task_id, task_path, labels = self.head[3:]
        writes = tuple(Write(idx, channel, Value(tag, value(at + n))) for n, (idx, channel, tag) in enumerate(labels))
        return WritesRecord(ns, checkpoint_id, task_id, task_path, writes)


def head_of(entry: Entry) -> tuple[Any, ...]:
    """What of an entry is no value."""
    if isinstance(entry, CheckpointRecord):
        labels = tuple((channel, value.tag) for channel, value in entry.values.items())
        parts = (entry.ns, entry.checkpoint_id, entry.parent_id, entry.skeleton.tag, entry.metadata.tag, labels)
        return (_CHECKPOINT, *parts)
    written = tuple((write.idx, write.channel, write.value.tag) for write in entry.writes)
    return (_WRITES, entry.ns, entry.checkpoint_id, entry.task_id, entry.task_path, written)


def values_of(entry: Entry) -> list[bytes]:
    """The bytes of an entry's values, in the order of its slots."""
    if isinstance(entry, CheckpointRecord):
        return [entry.skeleton.data, entry.metadata.data, *(value.data for value in entry.values.values())]
    return [write.value.data for write in entry.writes]


def keys_of(head: tuple[Any, ...]) -> list[Key]:
    """What each value of an entry is compared with, in the order of its slots."""
    ns = head[1]
    if head[0] == _CHECKPOINT:
        return [(ns, _SKELETON), (ns, _METADATA), *((ns, f"={channel}") for channel, _ in head[6])]
    return [(ns, f"+{channel}") for _, channel, _ in head[5]]


def check(entry: Entry) -> None:
    """Makes sure that an entry can be stored, and read again: one that cannot would take the others with it.

    Raises:
        MixInputError: A name in it is no valid text, or a checkpoint has none.
    """
    head = head_of(entry)
    packed(head)
    if not _is_head(head) or not entry.checkpoint_id:
        raise MixInputError(
            f"A checkpoint cannot be stored: ids and names of channels and tasks are text, unlike {head[1:]!r}.",
            hint="LangGraph makes ids with `uuid6`; any text that is not empty will do.",
        )


def read_row(name: str, raw: Any, first: int) -> Row:
    """Reads a row.

    Args:
        name: The file it stands in.
        raw: What the file holds.
        first: The number of its first value.

    Returns:
        The row.

    Raises:
        MixCheckpointDamaged: It is no row, or refers to a value that does not come before it.
    """
    match raw:
        case [*head, [*slots]] if _is_head(head):
            kind, ns, at, *_, labels = head
        case _:
            raise damaged(name, "holds an entry of an unknown form")
    read = tuple(tuple(slot) if isinstance(slot, list) else slot for slot in slots)
    expected = len(labels) + 2 * (kind == _CHECKPOINT)
    if len(read) != expected or not all(is_slot(slot, first + n) for n, slot in enumerate(read)):
        raise damaged(name, f"holds an entry of an unknown form, at checkpoint {at}")
    return Row((ns, at), (*head[:-1], tuple(tuple(label) for label in labels)), read, first)


def _is_head(head: Sequence[Any]) -> bool:
    match head:
        case [0, str(), str(), str() | None, str(), str(), [*labels]]:
            return all(_is_label(label) for label in labels)
        case [1, str(), str(), str(), str(), [*labels]]:
            return all(_is_write_label(label) for label in labels)
    return False


def _is_label(label: Any) -> bool:
    match label:
        case [str(), str()]:
            return True
    return False


def _is_write_label(label: Any) -> bool:
    match label:
        case [int(), str(), str()]:
            return True
    return False


def is_slot(slot: Any, number: int) -> TypeGuard[Slot]:
    """Whether this is a slot that can stand at that number: it refers to earlier ones only."""
    match slot:
        case bytes():
            return True
        case int() as base:
            return 0 <= base < number
        case (int() as base, bytes(), int() as prefix, bytes()):
            return 0 <= base < number and prefix >= 0
        case (str(), bytes(), int()):
            return True
    return False
