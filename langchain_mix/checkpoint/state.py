"""The state of a thread as a value, and how it grows.

Owns: references to immutable documents and what they cover; the active segment; when it becomes a segment of its own
and segments become an index; manifests, which hold a whole state; and owner claims. Refuses to know: files. New
documents are returned, to be uploaded before the manifest that names them.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import takewhile
from typing import Any, Final

from langchain_mix.checkpoint import encoding, names
from langchain_mix.checkpoint.encoding import Encryption, damaged
from langchain_mix.checkpoint.records import Entry
from langchain_mix.checkpoint.table import Blob, Blobs, Place, Table, read_table, values_of
from langchain_mix.errors import MixConfigurationError

_NAMED: Final = 8
"""Namespaces that a reference lists one by one."""

_PRINTED: Final = 256
"""Further namespaces that it lists by fingerprint."""

_PRINT_SIZE: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Sizes, limits and retries of a store.

    Attributes:
        segment_entries: Entries that a manifest holds before they move to a segment of their own.
        segment_bytes: The same in bytes, as far as moving them makes the manifest smaller.
        blob_bytes: From this size on a value that is put a second time unchanged gets a file of its own.
        cache_bytes: Bytes of immutable documents kept in memory.
        cached_threads: Threads whose state is kept in memory.
        attempts: How often a writer tries to become the owner of a thread before it gives up.
        backoff: The longest pause after its first lost attempt, in seconds; it doubles with each.
        rereads: How often a document that looks damaged is read again; an overwrite may be going on.
        reread_pause: The pause before, in seconds.
        retries: How often a write whose outcome is unknown is made again, safely, before that error is raised.
    """

    segment_entries: int = 64
    segment_bytes: int = 524_288
    blob_bytes: int = 262_144
    cache_bytes: int = 67_108_864
    cached_threads: int = 256
    attempts: int = 12
    backoff: float = 0.02
    rereads: int = 4
    reread_pause: float = 0.05
    retries: int = 1

    def __post_init__(self) -> None:
        """Refuses numbers that are out of range.

        Raises:
            MixConfigurationError: One is.
        """
        for name, number in asdict(self).items():
            least = int(name in _AT_LEAST_ONE)
            if not number >= least:
                raise MixConfigurationError(f"`{name}` is {number}; it is at least {least}.")


_AT_LEAST_ONE: Final = frozenset({"segment_entries", "segment_bytes", "blob_bytes", "cached_threads", "attempts"})


@dataclass(frozen=True, slots=True)
class Span:
    """Checkpoint ids, from the smallest to the greatest."""

    low: str
    high: str

    def joined(self, other: Span | None) -> Span:
        """The span of both."""
        return self if other is None else Span(min(self.low, other.low), max(self.high, other.high))


@dataclass(frozen=True, slots=True)
class Coverage:
    """The namespaces and ids that the entries of a document can belong to.

    Attributes:
        named: Namespaces and their spans.
        others: The span of all other namespaces, None if there are none.
        prints: Fingerprints of those, in order, or None if they can be any.
    """

    named: tuple[tuple[str, Span], ...]
    others: Span | None = None
    prints: tuple[bytes, ...] | None = ()

    def span(self, ns: str | None) -> Span | None:
        """The ids it can speak of in a namespace, or in all; None if it says nothing of it."""
        if ns is None:
            whole = self.others
            for _, span in self.named:
                whole = span.joined(whole)
            return whole
        for name, span in self.named:
            if name == ns:
                return span
        if self.others is not None and (self.prints is None or _print(ns) in self.prints):
            return self.others
        return None


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to an immutable document.

    Attributes:
        level: 0 for a segment of entries, else how many references lead from it to one.
        entries: Entries in it, or below it.
        stored: The reference as it is stored; packed once, for every version of a manifest holds it again.
    """

    name: str
    digest: bytes
    level: int
    entries: int
    size: int
    coverage: Coverage
    stored: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Packs it."""
        cover = self.coverage
        named = [(ns, span.low, span.high) for ns, span in cover.named]
        others = None if cover.others is None else (cover.others.low, cover.others.high)
        prints = None if cover.prints is None else b"".join(cover.prints)
        raw = (self.name, self.digest, self.level, self.entries, self.size, named, others, prints)
        object.__setattr__(self, "stored", encoding.packed(raw))


def _print(ns: str) -> bytes:
    return zlib.crc32(ns.encode("utf-8", "surrogatepass")).to_bytes(_PRINT_SIZE, "big")


def cover(places: Iterable[Place]) -> Coverage:
    """Computes the coverage of entries, given their places. The namespaces with most of them are listed by name."""
    spans: dict[str, Span] = {}
    counts: Counter[str] = Counter()
    for ns, checkpoint_id in places:
        spans[ns] = Span(checkpoint_id, checkpoint_id).joined(spans.get(ns))
        counts[ns] += 1
    named = [ns for ns, _ in counts.most_common(_NAMED)]
    return _coverage(spans, named, None, set())


def cover_all(refs: Sequence[Ref]) -> Coverage:
    """Computes the coverage of several documents together. The namespaces that most of them name are listed by name."""
    spans: dict[str, Span] = {}
    counts: Counter[str] = Counter()
    others: Span | None = None
    prints: set[bytes] | None = set()
    for ref in refs:
        for ns, span in ref.coverage.named:
            spans[ns] = span.joined(spans.get(ns))
            counts[ns] += 1
        if ref.coverage.others is not None:
            others = ref.coverage.others.joined(others)
            prints = None if prints is None or ref.coverage.prints is None else prints | set(ref.coverage.prints)
    # One of the named may be among the others of another document: then it must not be listed by name alone.
    named = [ns for ns, _ in counts.most_common(_NAMED)]
    for ns in named:
        if others is not None and (prints is None or _print(ns) in prints):
            spans[ns] = spans[ns].joined(others)
    return _coverage(spans, named, others, prints)


def _coverage(spans: dict[str, Span], named: list[str], others: Span | None, prints: set[bytes] | None) -> Coverage:
    chosen = set(named)
    for ns, span in spans.items():
        if ns not in chosen:
            others = span.joined(others)
            prints = None if prints is None else prints | {_print(ns)}
    if prints is not None and len(prints) > _PRINTED:
        prints = None
    return Coverage(tuple((ns, spans[ns]) for ns in named), others, None if prints is None else tuple(sorted(prints)))


def read_ref(name: str, raw: Any) -> Ref:
    """Reads a reference, as a file holds it.

    Raises:
        MixCheckpointDamaged: It is none.
    """
    match raw:
        case [str() as file, bytes() as digest, int() as level, int() as entries, int() as size, [*named], rest, marks]:
            spans = tuple(_named(name, one) for one in named)
            others = None if rest is None else _named(name, ["", *rest] if isinstance(rest, list) else rest)[1]
            if marks is None or isinstance(marks, bytes):
                return Ref(file, digest, level, entries, size, Coverage(spans, others, _prints(marks)))
    raise damaged(name, "holds a reference of an unknown form")


def _named(name: str, raw: Any) -> tuple[str, Span]:
    match raw:
        case [str() as ns, str() as low, str() as high]:
            return ns, Span(low, high)
    raise damaged(name, "holds a reference of an unknown form")


def _prints(marks: bytes | None) -> tuple[bytes, ...] | None:
    if marks is None:
        return None
    return tuple(marks[at : at + _PRINT_SIZE] for at in range(0, len(marks), _PRINT_SIZE))


FAN_OUT: Final = 64
"""References of one level before they move to an index of the next."""

_CARRIED_NAMESPACES: Final = 4
"""Namespaces whose newest rows a new active segment begins with, at most."""

_WORTH: Final = 2.5
"""A segment too large is closed once it is this many times the size of its newest entry's own values."""


@dataclass(frozen=True, slots=True)
class ThreadState:
    """Everything that a thread holds.

    Attributes:
        refs: References, oldest entries first; of higher levels before those of lower.
    """

    refs: tuple[Ref, ...] = ()
    active: Table = field(default_factory=Table)

    @property
    def is_empty(self) -> bool:
        """True if it holds nothing: then the thread does not exist."""
        return not self.refs and not self.active.rows


@dataclass(frozen=True, slots=True)
class NewDocument:
    """An immutable document to be uploaded.

    Attributes:
        decoded: What it holds, as reading it would give: a table, references, or the bytes of a value.
    """

    name: str
    data: bytes = field(repr=False)
    decoded: Table | tuple[Ref, ...] | bytes = field(repr=False)


class StateBuilder:
    """Adds entries to a state, and collects the documents that this needs."""

    def __init__(
        self, state: ThreadState, *, key: str, settings: StoreSettings, encryption: Encryption, fresh: Callable[[], str]
    ) -> None:
        """Starts with what there is; `fresh` makes 32 hexadecimal digits that were never used."""
        self.refs = state.refs
        self.active = state.active
        self.documents: list[NewDocument] = []
        self._key = key
        self._settings = settings
        self._encryption = encryption
        self._fresh = fresh
        self._extended = partial(Table.extended, blob_bytes=settings.blob_bytes, keep=self._keep)

    @property
    def state(self) -> ThreadState:
        """The state with all entries that were added."""
        return ThreadState(self.refs, self.active)

    def add(self, entries: Iterable[Entry]) -> None:
        """Adds entries.

        Raises:
            MixInputError: An entry cannot be stored.
        """
        for entry in entries:
            grown = self._extended(self.active, entry)
            if self.active.rows and self._overflows(grown, entry):
                self._roll()
                grown = self._extended(self.active, entry)
            self.active = grown

    def _overflows(self, grown: Table, entry: Entry) -> bool:
        settings = self._settings
        if len(grown) > settings.segment_entries:
            return True
        # It must be worth it: with one value bigger than the limit, a new active segment would be as big as the old.
        return grown.size > settings.segment_bytes and grown.size > _WORTH * sum(map(len, values_of(entry)))

    def _keep(self, data: bytes) -> Blob:
        name = names.blob(self._key, self._fresh())
        document = self._document(name, encoding.pack(name, "blob", [data], self._encryption), data)
        return name, encoding.digest(document.data), len(data)

    def _document(self, name: str, data: bytes, decoded: Table | tuple[Ref, ...] | bytes) -> NewDocument:
        document = NewDocument(name, data, decoded)
        self.documents.append(document)
        return document

    def _roll(self) -> None:
        """Makes a document of the active segment. What belongs to the newest checkpoints moves into the new one."""
        table = self.active
        blobs = {home.slot[0]: home.data for home in table.homes.values()}
        carried = self._carried(blobs)
        first = min(carried, default=len(table))
        # Rows before the first that is carried stay as they are; most often those are all that do not move.
        moved, fresh = table.beginning(first).with_blobs(blobs), table.started()
        for number, row in enumerate(table.rows[first:], first):
            entry = table.entry(row, blobs)
            if number in carried:
                fresh = self._extended(fresh, entry)
            else:
                moved = self._extended(moved, entry)
        self._add_segment(moved)
        self.active = fresh

    def _carried(self, blobs: Blobs) -> set[int]:
        """Finds the rows that move into the new active segment, so that reading the newest checkpoint needs no other.

        All rows of a checkpoint move, or none, so that their order among each other stays. A row is its index.
        """
        rows = self.active.rows
        newest: dict[str, Place] = {}
        for row in reversed(rows):
            if row.place[0] not in newest and len(newest) == _CARRIED_NAMESPACES:
                continue
            ns = row.place[0]
            newest[ns] = max(newest.get(ns, row.place), row.place)
        places = set(newest.values())
        found = [number for number, row in enumerate(rows) if row.place in places]
        small = len(found) <= self._settings.segment_entries // 4 and len(found) < len(rows)
        light = sum(len(rows[number].stored) for number in found) <= self._settings.segment_bytes // 2
        known = all(blob[0] in blobs for row in rows[found[0] :] for blob in self.active.blobs_of(row))
        return set(found) if small and light and known else set()

    def _add_segment(self, table: Table) -> None:
        name = names.segment(self._key, self._fresh())
        stored = table.finished(name)
        data = encoding.pack_parts(name, "segment", [stored.stored], self._encryption)
        self._document(name, data, stored)
        covered = cover(row.place for row in stored.rows)
        self.refs = (*self.refs, Ref(name, encoding.digest(data), 0, len(stored), len(data), covered))
        self._fold(0)

    def _fold(self, level: int) -> None:
        """Moves the references of a level to an index of the next level when there are too many."""
        mine = [ref for ref in self.refs if ref.level == level]
        if len(mine) <= FAN_OUT:
            return
        moved = tuple(mine[:FAN_OUT])
        name = names.index(self._key, self._fresh())
        data = encoding.pack_parts(
            name, "index", [encoding.packed_array([ref.stored for ref in moved])], self._encryption
        )
        self._document(name, data, moved)
        entries = sum(ref.entries for ref in moved)
        folded = Ref(name, encoding.digest(data), level + 1, entries, len(data), cover_all(moved))
        higher = tuple(takewhile(lambda ref: ref.level > level, self.refs))
        self.refs = (*higher, folded, *(ref for ref in self.refs[len(higher) :] if ref not in moved))
        self._fold(level + 1)


_MOVED: Final = re.compile("moved-([0-9]+)-")


@dataclass(frozen=True, slots=True)
class OwnerClaim:
    """The content of an owner file: the last writer that claimed the thread, and its epoch.

    Attributes:
        writer: An identity that was made for this one attempt.
    """

    writer: str
    epoch: int

    @property
    def moved_in(self) -> int | None:
        """The epoch of hidden names in which the thread is moved away from these; None if it is not."""
        found = _MOVED.match(self.writer)
        return None if found is None else int(found[1])

    def closed(self, unique: str, moved_in: int) -> OwnerClaim:
        """Returns what the owner file holds next if the thread is moved away from its names in that epoch."""
        return OwnerClaim(f"moved-{moved_in}-{unique}", self.epoch)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The whole state of a thread, as its owner stores it.

    Attributes:
        version: How many times the writer has written its manifest before; -1 before the first time.
        base: The epoch from whose manifest it has gone on, or -1.
        skipped_base: The epoch from which that one had gone on, or -1; known at a take-over only.
        moved: The claim that closes the visible files that this manifest replaces; known to the one that moves them
            only.
    """

    thread_id: str
    claim: OwnerClaim
    version: int
    state: ThreadState
    base: int = -1
    skipped_base: int = field(default=-1, compare=False)
    moved: OwnerClaim | None = field(default=None, compare=False)

    def following(self, state: ThreadState) -> Manifest:
        """The next version."""
        return Manifest(self.thread_id, self.claim, self.version + 1, state, self.base, self.skipped_base, self.moved)

    def holds(self, mark: OwnerClaim) -> bool:
        """True if it holds all that was stored under visible names whose owner file holds this claim.

        It does if it was written in the epoch of that move or later: a claimant looks for the mark, and moves the
        thread if the manifest that it goes on from is older.
        """
        return mark.moved_in is not None and mark.moved_in <= self.claim.epoch

    @property
    def parts(self) -> list[bytes]:
        """The content of its file, as `encoding.pack_parts` takes it."""
        position = (names.bytes_of(self.thread_id), self.claim.writer, self.claim.epoch, self.version, self.base)
        refs = encoding.packed_array([ref.stored for ref in self.state.refs])
        return [*map(encoding.packed, position), refs, self.state.active.stored]


@dataclass(frozen=True, slots=True)
class ManifestCopy:
    """One copy of a manifest whose entries have not been parsed."""

    name: str
    thread: bytes
    claim: OwnerClaim
    version: int
    base: int
    refs: Sequence[Any] = field(repr=False)
    rows: Sequence[Any] = field(repr=False)

    def manifest(self) -> Manifest:
        """Reads the entries.

        Raises:
            MixCheckpointDamaged: They are none.
        """
        state = ThreadState(tuple(read_ref(self.name, ref) for ref in self.refs), read_table(self.name, self.rows))
        thread_id = self.thread.decode("utf-8", "surrogatepass")
        return Manifest(thread_id, self.claim, self.version, state, self.base)


def read_copy(name: str, data: bytes, encryption: Encryption) -> ManifestCopy:
    """Parses the bytes of a copy.

    Raises:
        MixCheckpointDamaged: It is no manifest, or another one.
    """
    match encoding.unpack(name, "manifest", data, encryption):
        case [bytes() as thread, str() as writer, int() as epoch, int() as version, int() as base, [*refs], [*rows]]:
            key = names.key_of_bytes(thread)
            if version < 0 or name not in {
                names.manifest(one, epoch, version % 2) for one in (key, names.visible(key))
            }:
                whose = thread.decode("utf-8", "replace")
                raise damaged(name, f"holds version {version} of epoch {epoch} of the thread {whose!r}")
            return ManifestCopy(name, thread, OwnerClaim(writer, epoch), version, base, refs, rows)
    raise damaged(name, "holds no manifest of a known form")


def newest_copy(copies: Sequence[ManifestCopy]) -> ManifestCopy:
    """Returns the copy that was written last."""
    return max(copies, key=lambda copy: copy.version)


def are_whole(copies: Sequence[ManifestCopy]) -> bool:
    """True if these are what an owner leaves: its last two versions, or its first alone."""
    if len({copy.claim for copy in copies}) > 1:
        return False
    versions = sorted(copy.version for copy in copies)
    return versions == [0] if len(versions) == 1 else versions[1] - versions[0] == 1
