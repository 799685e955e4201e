"""The entries of one document: rows, whose values are stored as differences to earlier ones.

Owns: the form of a row, how a value is expressed by an earlier one, and how its bytes are restored. Refuses to know:
files; the bytes of a blob are given.

Tables never change: `extended` returns a new one that shares all but its own row with the old. Message lists grow at
their end, but a serialised list has its length in front. That header is kept apart, so that a grown list costs its new
messages only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import Any, Final, TypeAlias, TypeGuard

from langchain_mix.checkpoint.encoding import damaged, packed, packed_array
from langchain_mix.checkpoint.records import CheckpointRecord, Entry, Value, Write, WritesRecord
from langchain_mix.errors import MixInputError

_SMALL: Final = 48
"""Bytes below which a difference is not worth telling."""

_ARRAY16: Final = 0xDC
_ARRAY32: Final = 0xDD
_FIXARRAY: Final = range(0x90, 0xA0)


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference that makes a value out of an earlier one.

    Attributes:
        header: Its own header.
        prefix: How many bytes behind the header are those of the earlier value.
        rest: The bytes after that.
    """

    header: bytes
    prefix: int
    rest: bytes


def header_size(data: bytes) -> int:
    """Bytes of the msgpack array header at the front, 0 if there is none."""
    first = data[0] if data else 0
    if first in _FIXARRAY:
        return 1
    size = {_ARRAY16: 3, _ARRAY32: 5}.get(first, 0)
    return size if size <= len(data) else 0


def difference(earlier: bytes, data: bytes) -> Difference | None:
    """Compares a value with an earlier one; None if what is new is not much less than the value."""
    if len(data) < _SMALL:
        return None
    old, new = header_size(earlier), header_size(data)
    shared = _common(earlier, old, data, new)
    if shared < _SMALL // 2:
        return None
    return Difference(data[:new], shared, data[new + shared :])


def _common(left: bytes, left_at: int, right: bytes, right_at: int) -> int:
    """Length of what both have in common from there on; slices compare much faster than bytes one by one."""
    most = min(len(left) - left_at, len(right) - right_at)
    if left[left_at : left_at + most] == right[right_at : right_at + most]:
        return most
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        if left[left_at + low : left_at + middle] == right[right_at + low : right_at + middle]:
            low = middle
        else:
            high = middle
    return low


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
        head: Kind, namespace, id, and what else is no value.
        first: The number of the first one in its document.
        versions: The channel versions, if this process stored the row.
        packed: The row as it is stored, if it was packed already; see `stored`.
    """

    place: Place
    head: tuple[Any, ...]
    slots: tuple[Slot, ...]
    first: int
    versions: Mapping[str, Any] = field(default_factory=dict, compare=False)
    packed: bytes = field(default=b"", repr=False, compare=False)

    @property
    def is_checkpoint(self) -> bool:
        """True for a checkpoint, False for writes."""
        return bool(self.head[0] == _CHECKPOINT)

    @property
    def stored(self) -> bytes:
        """The row as it is stored."""
        return self.packed or packed((*self.head, self.slots))

    @property
    def keys(self) -> list[Key]:
        """The key under which each of its values is compared, in order."""
        return keys_of(self.head)

    def channel(self, name: str) -> tuple[int, str] | None:
        """The number and the tag of a checkpoint's channel value, if it has that channel."""
        for offset, (channel, tag) in enumerate(self.head[6]):
            if channel == name:
                return self.first + 2 + offset, tag
        return None

    def entry(self, value: Callable[[int], bytes]) -> Entry:
        """Makes the entry, with the bytes of its values by their numbers."""
        kind, ns, checkpoint_id = self.head[:3]
        at = self.first
        if kind == _CHECKPOINT:
            parent_id, skeleton, metadata, labels = self.head[3:]
            channels, tags = zip(*labels, strict=True) if labels else ((), ())
            return CheckpointRecord(
                ns,
                checkpoint_id,
                parent_id,
                Value(skeleton, value(at)),
                Value(metadata, value(at + 1)),
                dict(zip(channels, map(Value, tags, map(value, count(at + 2))), strict=False)),
                self.versions,
            )
        task_id, task_path, labels = self.head[3:]
        writes = tuple(Write(idx, channel, Value(tag, value(at + n))) for n, (idx, channel, tag) in enumerate(labels))
        return WritesRecord(ns, checkpoint_id, task_id, task_path, writes)


def head_of(entry: Entry) -> tuple[Any, ...]:
    """Returns the part of an entry that is no value."""
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
    """Returns the keys under which the values of an entry are compared, in the order of its slots."""
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
    """Reads a row, as a file holds it, whose first value has that number.

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
    """True for a slot that is valid at that number: it refers to earlier ones only."""
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


Blobs = Mapping[str, bytes]
"""Bytes of big values by the names of their files."""


@dataclass(frozen=True, slots=True)
class Last:
    """The last value of a key.

    Attributes:
        data: Its bytes, or None if they have not been needed yet.
    """

    number: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Home:
    """A big value that has a file of its own."""

    slot: Blob
    data: bytes


@dataclass(frozen=True, slots=True)
class Table:
    """Rows in the order in which they were stored.

    Attributes:
        size: Bytes of the rows as they are stored.
        last: The last value of each key.
        homes: The big value of each key, where that has a file.
    """

    name: str = "(not stored yet)"
    rows: tuple[Row, ...] = ()
    slots: tuple[Slot, ...] = ()
    size: int = 0
    last: Mapping[Key, Last] = field(default_factory=dict)
    homes: Mapping[Key, Home] = field(default_factory=dict)

    def __len__(self) -> int:
        """Its number of rows."""
        return len(self.rows)

    @property
    def stored(self) -> bytes:
        """The rows as they are stored."""
        return packed_array([row.stored for row in self.rows])

    def entry(self, row: Row, blobs: Blobs) -> Entry:
        """Makes the entry of a row, given at least the files that `blobs_of` names.

        Raises:
            MixCheckpointDamaged: A value is put in terms of something that is shorter.
        """
        return row.entry(partial(self._value, blobs=blobs))

    def entries(self, blobs: Blobs) -> Iterator[Entry]:
        """Yields the entries of all rows, in order.

        A value is mostly a change of the last value of its key. That one is at hand here, whereas `entry` follows the
        changes back to a whole value each time.

        Args:
            blobs: At least the files that `blobs_of` names for any row.

        Raises:
            MixCheckpointDamaged: A value is put in terms of something that is shorter.
        """
        latest: dict[Key, int] = {}
        data: dict[int, bytes] = {}
        for row in self.rows:
            before = dict(data)
            for number, key in enumerate(row.keys, row.first):
                data.pop(latest.get(key, -1), None)
                before[number] = data[number] = self._next_value(number, before, blobs)
                latest[key] = number
            yield row.entry(before.__getitem__)

    def _next_value(self, number: int, known: Mapping[int, bytes], blobs: Blobs) -> bytes:
        slot = self.slots[number]
        if isinstance(slot, int):
            slot = known.get(slot, slot)
        elif not isinstance(slot, bytes) and len(slot) == 4 and slot[0] in known:  # noqa: PLR2004  # A change has four.
            earlier, (_, header, prefix, rest) = known[slot[0]], slot
            return header + self._cut(earlier, header_size(earlier), prefix) + rest
        return slot if isinstance(slot, bytes) else self._value(number, blobs)

    def blobs_of(self, row: Row) -> Iterator[Blob]:
        """The files without which the entry cannot be made."""
        for number in range(row.first, row.first + len(row.slots)):
            root = self._root(number)
            if isinstance(root, tuple):
                yield root[0], root[1], root[2]

    def recall(self, place: Place, channel: str, version: Any) -> Value | None:
        """A channel value that this process stored, if the checkpoint there has it in that version."""
        for row in reversed(self.rows):
            if row.place == place and row.is_checkpoint:
                known = row.versions.get(channel)
                found = row.channel(channel) if known == version and type(known) is type(version) else None
                data = None if found is None else self._at_hand(found[0], (place[0], f"={channel}"))
                return None if found is None or data is None else Value(found[1], data)
        return None

    def extended(
        self, entry: Entry, *, blob_bytes: int = 1 << 62, keep: Callable[[bytes], Blob] | None = None
    ) -> Table:
        """Returns the table with one more entry.

        A value of `blob_bytes` or more that comes unchanged a second time gets a file of its own, which `keep` makes.

        Raises:
            MixInputError: The entry cannot be stored.
        """
        last, homes = dict(self.last), dict(self.homes)
        head, number, own = head_of(entry), len(self.slots), []
        for key, data in zip(keys_of(head), values_of(entry), strict=True):
            before = self._last_of(last.get(key))
            home = homes.get(key)
            slot: Slot
            if home is not None and home.data == data:
                slot = home.slot
            elif keep is not None and len(data) >= blob_bytes and before is not None and before[1] == data:
                slot = keep(data)
                homes[key] = Home(slot, data)
            else:
                slot = _slot(before, data)
            own.append(slot)
            last[key] = Last(number, data)
            number += 1
        versions = entry.versions if isinstance(entry, CheckpointRecord) else {}
        stored = packed((*head, own))  # Once: each manifest until the segment is full has it again.
        row = Row((entry.ns, entry.checkpoint_id), head, tuple(own), len(self.slots), versions, stored)
        size = self.size + len(stored)
        return Table(self.name, (*self.rows, row), (*self.slots, *own), size, last, homes)

    def started(self) -> Table:
        """An empty table that knows which big values have files."""
        return Table(homes=self.homes)

    def resumed(self) -> Table:
        """The same table, to be extended after it was read from a file."""
        rows = tuple(replace(row, packed=row.stored) for row in self.rows)
        return Table(self.name, rows, self.slots, homes=self.homes).beginning(len(rows))

    def beginning(self, count: int) -> Table:
        """Returns its first rows, to be extended. The values that others build on are looked for where needed."""
        rows = self.rows[:count]
        last = {key: Last(row.first + n, None) for row in rows for n, key in enumerate(row.keys)}
        slots = self.slots[: sum(len(row.slots) for row in rows)]
        return Table(self.name, rows, slots, sum(len(row.stored) for row in rows), last, self.homes)

    def with_blobs(self, blobs: Blobs) -> Table:
        """The same table, knowing the bytes of these files, so that new values can be compared with them."""
        homes, last = dict(self.homes), dict(self.last)
        for key, known in last.items():
            root = self._root(known.number)
            if isinstance(root, tuple) and root[0] in blobs:
                last[key] = Last(known.number, self._value(known.number, blobs))
                homes[key] = Home(root, blobs[root[0]])
        return Table(self.name, self.rows, self.slots, self.size, last, homes)

    def last_blobs(self) -> list[Blob]:
        """The files that `with_blobs` can make use of."""
        roots = (self._root(known.number) for known in self.last.values())
        return list({root[0]: root for root in roots if isinstance(root, tuple)}.values())

    def finished(self, name: str) -> Table:
        """The same rows in a file of that name, to be read only."""
        return Table(name, self.rows, self.slots, self.size)

    def _at_hand(self, number: int, key: Key) -> bytes | None:
        known = self.last.get(key)
        if known is not None and known.number == number and known.data is not None:
            return known.data
        root = self._root(number)
        home = self.homes.get(key)
        if not isinstance(root, tuple):
            return self._value(number, {})
        return self._value(number, {root[0]: home.data}) if home is not None and home.slot[0] == root[0] else None

    def _last_of(self, known: Last | None) -> tuple[int, bytes] | None:
        if known is None:
            return None
        if known.data is not None:
            return known.number, known.data
        if isinstance(self._root(known.number), tuple):
            return None
        return known.number, self._value(known.number, {})

    def _root(self, number: int) -> bytes | Blob:
        """Returns the whole value, or the blob, from which a value is made in the end."""
        while True:
            slot = self.slots[number]
            if isinstance(slot, bytes):
                return slot
            if isinstance(slot, int):
                number = slot
            elif len(slot) == 3:  # noqa: PLR2004  # A blob has three parts.
                return slot
            else:
                number = slot[0]

    def _value(self, number: int, blobs: Blobs) -> bytes:
        slot = self.slots[number]
        while isinstance(slot, int):
            slot = self.slots[slot]
        if isinstance(slot, bytes):
            return slot
        if len(slot) == 3:  # noqa: PLR2004  # The same.
            return blobs[slot[0]]
        number, header, need, rest = slot
        pieces = [rest]
        while need:
            slot = self.slots[number]
            if isinstance(slot, int):
                number = slot
                continue
            if not isinstance(slot, bytes) and len(slot) == 4:  # noqa: PLR2004  # A change has four.
                number, _, prefix, rest = slot
                take = max(need - prefix, 0)
                pieces.append(self._cut(rest, 0, take))
                need -= take
                continue
            whole = slot if isinstance(slot, bytes) else blobs[slot[0]]
            pieces.append(self._cut(whole, header_size(whole), need))
            need = 0
        pieces.append(header)
        return b"".join(reversed(pieces))

    def _cut(self, data: bytes, start: int, size: int) -> bytes:
        if start + size > len(data):
            raise damaged(self.name, "puts a value in terms of a shorter one")
        return data[start : start + size]


def _slot(before: tuple[int, bytes] | None, data: bytes) -> Slot:
    if before is None:
        return data
    number, earlier = before
    if earlier == data:
        return number if len(data) > 1 else data
    found = difference(earlier, data)
    return data if found is None else (number, found.header, found.prefix, found.rest)


def read_table(name: str, raw: Sequence[Any]) -> Table:
    """Reads the rows of a document.

    Returns:
        The table, to be read; `resumed` makes one that can be extended.

    Raises:
        MixCheckpointDamaged: Something in it is no row.
    """
    found: list[Row] = []
    slots: list[Slot] = []
    for one in raw:
        row = read_row(name, one, len(slots))
        slots.extend(row.slots)
        found.append(row)
    return Table(name, tuple(found), tuple(slots))
