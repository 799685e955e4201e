"""The entries of one document, decoded as far as needed.

Owns: how values are put in terms of earlier ones, and got back. Refuses to know: files; a blob's bytes are given.

Tables never change. `extended` gives a new one that shares all but its own row with the old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_mix.checkpoint import rows
from langchain_mix.checkpoint.codec import damaged, packed
from langchain_mix.checkpoint.delta import difference, header_size
from langchain_mix.checkpoint.records import CheckpointRecord, Entry, Value
from langchain_mix.checkpoint.rows import Blob, Key, Place, Row, Slot

Blobs = Mapping[str, bytes]
"""Bytes of big values by the names of their files."""


@dataclass(frozen=True, slots=True)
class Last:
    """The last value of a key.

    Attributes:
        number: Its number.
        data: Its bytes, or None if they have not been needed yet.
    """

    number: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Home:
    """A big value that has a file of its own.

    Attributes:
        slot: Where.
        data: Its bytes.
    """

    slot: Blob
    data: bytes


@dataclass(frozen=True, slots=True)
class Table:
    """Rows in the order in which they were stored.

    Attributes:
        name: The file they stand in, for errors.
        rows: The rows.
        slots: The values of all rows.
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
    def raw(self) -> list[Any]:
        """The rows as they are stored."""
        return [row.raw for row in self.rows]

    def entry(self, row: Row, blobs: Blobs) -> Entry:
        """Makes the entry of a row.

        Args:
            row: One of its rows.
            blobs: At least the files that `blobs_of` names.

        Returns:
            The entry.

        Raises:
            MixCheckpointDamaged: A value is put in terms of something that is shorter.
        """
        return row.entry(lambda number: self._value(number, blobs))

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
        """Adds an entry.

        Args:
            entry: The entry.
            blob_bytes: From this size on a value that comes unchanged a second time gets a file of its own.
            keep: Makes that file.

        Returns:
            The table with it.

        Raises:
            MixInputError: The entry cannot be stored.
        """
        last, homes = dict(self.last), dict(self.homes)
        head, number, own = rows.head_of(entry), len(self.slots), []
        for key, data in zip(rows.keys_of(head), rows.values_of(entry), strict=True):
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
        row = Row((entry.ns, entry.checkpoint_id), head, tuple(own), len(self.slots), versions)
        size = self.size + len(packed(row.raw))
        return Table(self.name, (*self.rows, row), (*self.slots, *own), size, last, homes)

    def started(self) -> Table:
        """An empty table that knows which big values have files."""
        return Table(homes=self.homes)

    def resumed(self) -> Table:
        """The same table, to be extended after it was read from a file."""
        last = {key: Last(row.first + n, None) for row in self.rows for n, key in enumerate(row.keys)}
        size = sum(len(packed(row.raw)) for row in self.rows)
        return Table(self.name, self.rows, self.slots, size, last, self.homes)

    def acquainted(self, blobs: Blobs) -> Table:
        """The same table, knowing the bytes of these files, so that new values can be compared with them."""
        homes, last = dict(self.homes), dict(self.last)
        for key, known in last.items():
            root = self._root(known.number)
            if isinstance(root, tuple) and root[0] in blobs:
                last[key] = Last(known.number, self._value(known.number, blobs))
                homes[key] = Home(root, blobs[root[0]])
        return Table(self.name, self.rows, self.slots, self.size, last, homes)

    def last_blobs(self) -> list[Blob]:
        """The files that `acquainted` can make use of."""
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
        """What a value is made from in the end."""
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

    Args:
        name: Its file.
        raw: What it holds.

    Returns:
        The table, to be read; `resumed` makes one that can be extended.

    Raises:
        MixCheckpointDamaged: Something in it is no row.
    """
    found: list[Row] = []
    slots: list[Slot] = []
    for one in raw:
        row = rows.read_row(name, one, len(slots))
        slots.extend(row.slots)
        found.append(row)
    return Table(name, tuple(found), tuple(slots))
