"""Everything a thread holds, as a value: references to immutable documents, and the window of recent entries.

Owns: how content grows, and when a window becomes a segment and segments become an index. Refuses to know: files; new
documents are told, to be uploaded before the lane that names them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final

from langchain_mix.checkpoint import codec, names
from langchain_mix.checkpoint.records import Entry
from langchain_mix.checkpoint.refs import Ref, cover, cover_all
from langchain_mix.checkpoint.rows import Blob, Place, Row, values_of
from langchain_mix.checkpoint.seal import Seal
from langchain_mix.checkpoint.table import Table

FAN_OUT: Final = 64
"""References of one level before they move to an index of the next."""

_CARRIED_NAMESPACES: Final = 4

_WORTH: Final = 2.5


@dataclass(frozen=True, slots=True)
class Content:
    """What a thread holds.

    Attributes:
        refs: References, oldest entries first; of higher levels before those of lower.
        window: The entries after them.
    """

    refs: tuple[Ref, ...] = ()
    window: Table = field(default_factory=Table)

    @property
    def is_empty(self) -> bool:
        """Whether it holds nothing: then the thread does not exist."""
        return not self.refs and not self.window.rows


@dataclass(frozen=True, slots=True)
class Limits:
    """When something moves out of the lane file; see `Threads`."""

    window_entries: int
    window_bytes: int
    blob_bytes: int


@dataclass(frozen=True, slots=True)
class NewDocument:
    """An immutable document to be uploaded.

    Attributes:
        name: Its file.
        data: The bytes of the file.
        content: What it holds, as reading it would give: a table, references, or the bytes of a value.
    """

    name: str
    data: bytes = field(repr=False)
    content: Table | tuple[Ref, ...] | bytes = field(repr=False)


class Growth:
    """Adds entries to content, and collects the documents that this needs."""

    def __init__(self, content: Content, *, key: str, limits: Limits, seal: Seal, fresh: Callable[[], str]) -> None:
        """Starts with what there is.

        Args:
            content: What there is.
            key: The part that all names of the thread's files share.
            limits: When something moves out.
            seal: What documents are sealed with.
            fresh: Makes 32 hexadecimal digits that were never used.
        """
        self.refs = content.refs
        self.window = content.window
        self.documents: list[NewDocument] = []
        self._key = key
        self._limits = limits
        self._seal = seal
        self._fresh = fresh

    @property
    def content(self) -> Content:
        """What there is now."""
        return Content(self.refs, self.window)

    def add(self, entries: Iterable[Entry]) -> None:
        """Adds entries.

        Raises:
            MixInputError: An entry cannot be stored.
        """
        for entry in entries:
            grown = self._extended(self.window, entry)
            if self.window.rows and self._overflows(grown, entry):
                self._roll()
                grown = self._extended(self.window, entry)
            self.window = grown

    def _extended(self, window: Table, entry: Entry) -> Table:
        return window.extended(entry, blob_bytes=self._limits.blob_bytes, keep=self._keep)

    def _overflows(self, grown: Table, entry: Entry) -> bool:
        limits = self._limits
        if len(grown) > limits.window_entries:
            return True
        # Rolling must be worth it: where one value is bigger than the limit, a new window would be as big as the old.
        return grown.size > limits.window_bytes and grown.size > _WORTH * sum(map(len, values_of(entry)))

    def _keep(self, data: bytes) -> Blob:
        name = names.blob(self._key, self._fresh())
        document = self._document(name, codec.pack(name, "blob", [data], self._seal), data)
        return name, codec.digest(document.data), len(data)

    def _document(self, name: str, data: bytes, content: Table | tuple[Ref, ...] | bytes) -> NewDocument:
        document = NewDocument(name, data, content)
        self.documents.append(document)
        return document

    def _roll(self) -> None:
        """Makes a segment of the window. What belongs to the newest checkpoints moves into the new window."""
        carried = self._carried()
        moved = self.window
        fresh = self.window.started()
        if carried:
            blobs = {home.slot[0]: home.data for home in self.window.homes.values()}
            kept = {id(row) for row in carried}
            moved = fresh
            for row in self.window.rows:
                entry = self.window.entry(row, blobs)
                if id(row) in kept:
                    fresh = self._extended(fresh, entry)
                else:
                    moved = self._extended(moved, entry)
        self._add_segment(moved)
        self.window = fresh

    def _carried(self) -> list[Row]:
        """The rows that move into the new window, so that reading the newest checkpoint needs no segment.

        All rows of a checkpoint move, or none, so that their order among each other stays.
        """
        newest: dict[str, Place] = {}
        for row in reversed(self.window.rows):
            if row.place[0] not in newest and len(newest) == _CARRIED_NAMESPACES:
                continue
            ns = row.place[0]
            newest[ns] = max(newest.get(ns, row.place), row.place)
        places = set(newest.values())
        rows = [row for row in self.window.rows if row.place in places]
        small = len(rows) <= self._limits.window_entries // 4
        light = sum(len(codec.packed(row.raw)) for row in rows) <= self._limits.window_bytes // 2
        at_hand = {home.slot[0] for home in self.window.homes.values()}
        known = all(blob[0] in at_hand for row in self.window.rows for blob in self.window.blobs_of(row))
        return rows if small and light and known and len(rows) < len(self.window) else []

    def _add_segment(self, table: Table) -> None:
        name = names.segment(self._key, self._fresh())
        stored = table.finished(name)
        data = codec.pack(name, "segment", [stored.raw], self._seal)
        self._document(name, data, stored)
        covered = cover(row.place for row in stored.rows)
        self.refs = (*self.refs, Ref(name, codec.digest(data), 0, len(stored), len(data), covered))
        self._fold(0)

    def _fold(self, level: int) -> None:
        """Moves the references of a level to an index of the next level when there are too many."""
        mine = [ref for ref in self.refs if ref.level == level]
        if len(mine) <= FAN_OUT:
            return
        moved = tuple(mine[:FAN_OUT])
        name = names.index(self._key, self._fresh())
        data = codec.pack(name, "index", [[ref.raw for ref in moved]], self._seal)
        self._document(name, data, moved)
        entries = sum(ref.entries for ref in moved)
        folded = Ref(name, codec.digest(data), level + 1, entries, len(data), cover_all(moved))
        higher = tuple(takewhile(lambda ref: ref.level > level, self.refs))
        self.refs = (*higher, folded, *(ref for ref in self.refs[len(higher) :] if ref not in moved))
        self._fold(level + 1)
