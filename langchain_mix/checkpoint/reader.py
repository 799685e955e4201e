"""Reads threads: finds the current state of one, and checkpoints in it. The theory is at the head of `writer.py`.

Owns: which manifest counts, given owner file, epoch markers and manifests; which documents are read for one checkpoint,
the newest, all, or a page; and the order of checkpoints. However long a thread is, a page holds no more segments in
memory than those that can hold its checkpoints. Refuses to know: how a thread is changed (`writer.py`), and what
documents hold (`documents.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

from langchain_mix.checkpoint import names
from langchain_mix.checkpoint.documents import DocumentIO
from langchain_mix.checkpoint.encoding import MissingDocument, TornDocument, damaged
from langchain_mix.checkpoint.records import CheckpointRecord, Entry, Stored, WritesRecord
from langchain_mix.checkpoint.runtime import Steps
from langchain_mix.checkpoint.state import Manifest, OwnerClaim, Ref, ThreadState
from langchain_mix.checkpoint.table import Row, Table
from langchain_mix.errors import MixCheckpointDamaged, MixStoreContended

if TYPE_CHECKING:
    from langchain_mix.checkpoint.writer import WriterCache

T = TypeVar("T")


class StateReader:
    """Finds the current state of threads."""

    def __init__(self, documents: DocumentIO, cache: WriterCache, attempts: int) -> None:
        """Takes what `ThreadStore` was given."""
        self._documents = documents
        self._cache = cache
        self._attempts = attempts

    def state(self, thread_id: str) -> Steps[ThreadState]:
        """Returns the state of a thread; an empty one if it does not exist.

        One request if this process still owns the thread, else three. A thread that is not there, or
        that an earlier version of this package has stored under visible names, costs one more.

        What one process is storing while another takes an epoch may be seen here before it counts. If the first is
        killed then, and the other has read its manifest earlier, later reads do not find it: it was never
        acknowledged. Ruling that out would take another request for every read, and a write where someone was killed.

        Raises:
            MixCheckpointDamaged: What decides cannot be read.
        """
        key = names.key_of(thread_id)
        before = self._cache.owned(key)
        claim, torn = yield from self._owner(key)
        own = self._cache.owned(key)
        if own is not None and own.claim == claim:
            # No other writer had claimed the thread when the owner file was read, so none can have stored anything.
            return own.state
        if own is not None and before is not None and own.claim == before.claim:
            # Another writer has come: what is stored next needs a new epoch, and can take it at once.
            self._cache.disown(key)
        manifest, _ = yield from self.under_either_name(key, claim, exists=claim is not None or torn)
        return ThreadState() if manifest is None else manifest.state

    def under_either_name(
        self, key: str, claim: OwnerClaim | None, *, exists: bool = True
    ) -> Steps[tuple[Manifest | None, str]]:
        """Finds the manifest that counts, and the key of its names: hidden ones hold all that visible ones held.

        The visible files are deleted only after that: without a manifest of either kind, a hidden one is looked for
        again. `exists` is False if there is no owner file.
        """
        manifest = (yield from self.manifest(key, claim)) if exists else None
        if manifest is None:
            problem: MixCheckpointDamaged | None = None
            try:
                manifest = yield from self.visible_manifest(key)
            except MixCheckpointDamaged as damage:  # Or files that were moved meanwhile, and are being deleted.
                problem = damage
            if manifest is not None or (not exists and problem is None and (yield from self._is_new(key))):
                return manifest, names.visible(key)
            claim, _torn = yield from self._owner(key)
            manifest = yield from self.manifest(key, claim)
            if manifest is None and problem is not None:
                raise problem
        if manifest is not None:
            self._cache.note_written(key, manifest.claim)
        return manifest, key

    def visible_manifest(self, key: str) -> Steps[Manifest | None]:
        """Finds the manifest that an earlier version of this package has stored under visible names."""
        visible = names.visible(key)
        claim, torn = yield from self._owner(visible)
        return None if claim is None and not torn else (yield from self.manifest(visible, claim))

    def using(self, thread_id: str, use: Callable[[ThreadState], Steps[T]]) -> Steps[T]:
        """Does something with what a thread holds, again if that was replaced meanwhile and a document is gone.

        Raises:
            MixCheckpointDamaged: A document is damaged, or missing though nothing was replaced.
        """
        state = yield from self.state(thread_id)
        while True:
            try:
                return (yield from use(state))
            except MissingDocument:
                now = yield from self.state(thread_id)
                if now.refs == state.refs and now.active.rows == state.active.rows:
                    raise
                state = now

    def manifest(self, key: str, claim: OwnerClaim | None) -> Steps[Manifest | None]:
        """Finds the manifest that counts; None if nothing was ever stored.

        `claim` is the content of the owner file, None if it cannot be read.
        """
        for _ in range(self._attempts):
            problem: MixCheckpointDamaged | None = None
            manifest, again = None, 0
            try:
                manifest, again = yield from self._manifest_once(key, claim)
            except MixCheckpointDamaged as damage:  # Or an old manifest that is being deleted: see below.
                problem = damage
            if manifest is not None:
                return manifest
            now, _torn = yield from self._owner(key)
            if now == claim:
                if problem is not None:
                    raise problem
                # The last owner may have replaced all and deleted what was before, while this search went on.
                if (yield from self._documents.manifest(key, again)) is None:
                    return None
            claim = now
        raise MixStoreContended(
            "The thread changes faster than it can be read.", hint="Other processes write to it at this moment."
        )

    def _manifest_once(self, key: str, claim: OwnerClaim | None) -> Steps[tuple[Manifest | None, int]]:
        """Returns the manifest that counts, and the epoch whose manifest may have been written since the search."""
        start = 0
        if claim is not None:
            start = claim.epoch
            manifest = yield from self._documents.manifest(key, start)
            if manifest is not None and manifest.claim == claim:
                return manifest, start
        # A writer is claiming an epoch, or died doing so. The last manifest that was written counts.
        last = yield from self._documents.last_taken_epoch(key, start)
        return (yield from self.below(key, last + 1)), max(start, last)

    def below(self, key: str, epoch: int) -> Steps[Manifest | None]:
        """Finds the last manifest below an epoch."""
        for earlier in range(epoch - 1, -1, -1):
            manifest = yield from self._documents.manifest(key, earlier)
            if manifest is not None:
                return manifest
        return None

    def _is_new(self, key: str) -> Steps[bool]:
        """True if a thread without an owner file was never written to.

        Raises:
            MixCheckpointDamaged: It was: the owner file has been deleted.
        """
        yield from self._documents.session_files.verify()
        if not (yield from self._documents.is_epoch_taken(key, 0)):
            return True
        claim, torn = yield from self._owner(key)
        if claim is None and not torn:  # Owner files are written before markers, and never deleted.
            raise damaged(names.owner(key), "is missing, though the thread has been written to")
        return False

    def _owner(self, key: str) -> Steps[tuple[OwnerClaim | None, bool]]:
        """Reads the owner file; True as well if it cannot be read."""
        try:
            return (yield from self._documents.settled_owner(key)), False
        except TornDocument:
            return None, True


def latest_id(documents: DocumentIO, state: ThreadState, ns: str) -> Steps[str | None]:
    """Finds the greatest checkpoint id of a namespace; None if it has no checkpoint."""
    best = _greatest(state.active, ns)
    waiting = [(span.high, ref) for ref in state.refs if (span := ref.coverage.span(ns)) is not None]
    while waiting:
        high, ref = max(waiting, key=lambda one: one[0])
        if best is not None and high <= best:
            break
        waiting.remove((high, ref))
        (document,) = yield from documents.load([ref])
        if isinstance(document, Table):
            found = _greatest(document, ns)
            best = found if best is None or (found is not None and found > best) else best
        else:
            waiting += [(span.high, below) for below in document if (span := below.coverage.span(ns)) is not None]
    return best


def _greatest(table: Table, ns: str) -> str | None:
    return max((row.place[1] for row in table.rows if row.is_checkpoint and row.place[0] == ns), default=None)


def find_stored(documents: DocumentIO, state: ThreadState, ns: str, checkpoint_id: str | None) -> Steps[Stored | None]:
    """Finds a checkpoint with all writes to it, by its id, or the greatest of the namespace."""
    wanted = checkpoint_id
    if wanted is None:
        wanted = yield from latest_id(documents, state, ns)
    if wanted is None:
        return None
    place = ns, wanted

    def may_hold(ref: Ref) -> bool:
        span = ref.coverage.span(ns)
        return span is not None and span.low <= place[1] <= span.high

    segments = yield from load_segments(documents, state.refs, may_hold)
    found = [(table, row) for table in (*segments, state.active) for row in table.rows if row.place == place]
    return (yield from assemble(documents, found))


def assemble(documents: DocumentIO, found: Sequence[tuple[Table, Row]]) -> Steps[Stored | None]:
    """Makes a checkpoint of all rows that speak of it, given as they were stored; None if there are only writes."""
    checkpoints = [(table, row) for table, row in found if row.is_checkpoint]
    if not checkpoints:
        return None
    writes = [(table, row) for table, row in found if not row.is_checkpoint]
    record, *written = yield from entries_of_rows(documents, [checkpoints[-1], *writes])
    return Stored(cast("CheckpointRecord", record), tuple(cast("list[WritesRecord]", written)))


def entries_of_rows(documents: DocumentIO, found: Sequence[tuple[Table, Row]]) -> Steps[list[Entry]]:
    """Makes entries of rows, with their big values."""
    blobs = yield from documents.blobs([blob for table, row in found for blob in table.blobs_of(row)])
    entries: list[Entry] = []
    for table, row in found:
        entries.append(table.entry(row, blobs))
    return entries


def all_entries(documents: DocumentIO, state: ThreadState) -> Steps[list[Entry]]:
    """Reads everything of a thread, in the order in which it was stored; replaced checkpoints only once."""
    found: dict[object, Entry] = {}
    count = 0
    for table in (*(yield from load_segments(documents, state.refs, lambda _: True)), state.active):
        blobs = yield from documents.blobs([blob for row in table.rows for blob in table.blobs_of(row)])
        for entry in table.entries(blobs):
            if isinstance(entry, CheckpointRecord):
                found.pop((entry.ns, entry.checkpoint_id), None)  # Replaced: it counts where it was stored last.
                found[entry.ns, entry.checkpoint_id] = entry
            else:
                found[count] = entry
                count += 1
    return list(found.values())


def load_segments(documents: DocumentIO, refs: Sequence[Ref], wanted: Callable[[Ref], bool]) -> Steps[list[Table]]:
    """Reads the segments to which a wanted reference leads, oldest first, indexes on the way included."""
    level = [ref for ref in refs if wanted(ref)]
    while any(ref.level for ref in level):
        indexes = [ref for ref in level if ref.level]
        loaded = yield from documents.load(indexes)
        below = {ref.name: one for ref, one in zip(indexes, loaded, strict=True) if not isinstance(one, Table)}
        level = [
            inner
            for ref in level
            for inner in (below[ref.name] if ref.level else (ref,))
            if not ref.level or wanted(inner)
        ]
    return [one for one in (yield from documents.load(level)) if isinstance(one, Table)]


_AT_ONCE = 8

_Order: TypeAlias = tuple[int, ...]
"""The order of a document among all, oldest first."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The end of a page.

    Attributes:
        checkpoint_id: The id of its last checkpoint.
        ns: The namespace of that.
        state: What the thread held when the first page was read.
    """

    checkpoint_id: str
    ns: str
    state: ThreadState = field(repr=False)


@dataclass(frozen=True, slots=True)
class PageQuery:
    """The conditions of a page; see `ThreadStore.page`."""

    ns: str | None
    before: str | None
    limit: int | None
    wanted: Callable[[CheckpointRecord], bool] | None


def find_page(
    documents: DocumentIO, state: ThreadState, query: PageQuery, start: Cursor | None
) -> Steps[tuple[list[Stored], Cursor | None]]:
    """Lists checkpoints, from where the page before ended; returns where the next one starts, too."""
    pool = _Pool(documents, query, start)
    pool.admit((len(state.refs),), state.active)
    pool.expect((), state.refs)
    found: list[Stored] = []
    while True:
        if query.limit is not None and len(found) >= query.limit:
            rest = yield from pool.next_place()
            last = found[-1].record if found else None
            return found, None if rest is None or last is None else Cursor(last.checkpoint_id, last.ns, state)
        place = yield from pool.next_place()
        if place is None:
            return found, None
        stored = yield from assemble(documents, pool.take(place))
        if stored is not None and (query.wanted is None or query.wanted(stored.record)):
            found.append(stored)


class _Pool:
    """Rows of documents that have been read, and references to those that have not."""

    def __init__(self, documents: DocumentIO, query: PageQuery, start: Cursor | None) -> None:
        self._documents = documents
        self._ns = query.ns
        self._before = query.before
        self._start = start
        self._short = query.limit is not None
        self._rows: dict[tuple[str, str], list[tuple[_Order, Table, Row]]] = {}
        self._waiting: list[tuple[str, _Order, Ref]] = []

    def admit(self, order: _Order, table: Table) -> None:
        """Takes in the rows of a document."""
        for row in table.rows:
            ns, checkpoint_id = row.place
            if (self._ns is None or ns == self._ns) and self._is_due(checkpoint_id, ns):
                self._rows.setdefault((checkpoint_id, ns), []).append((order, table, row))

    def expect(self, order: _Order, refs: tuple[Ref, ...]) -> None:
        """Takes in references of a document."""
        for place, ref in enumerate(refs):
            span = ref.coverage.span(self._ns)
            if span is not None and self._can_hold(span.low):
                self._waiting.append((span.high, (*order, place), ref))

    def next_place(self) -> Steps[tuple[str, str] | None]:
        """The id and namespace that come next, once all documents are read that can speak of them."""
        while True:
            top = self._top()
            due = [one for one in self._waiting if top is None or one[0] >= top[0]]
            if not due:
                return top
            due.sort(key=lambda one: one[0], reverse=True)
            # With nothing in the pool it is open how far back the page will reach.
            yield from self._open(due[: 1 if top is None and self._short else _AT_ONCE])

    def _top(self) -> tuple[str, str] | None:
        if not self._rows:
            return None
        greatest = max(self._rows)[0]
        return min(place for place in self._rows if place[0] == greatest)

    def take(self, place: tuple[str, str]) -> list[tuple[Table, Row]]:
        """All rows of a place, in the order in which they were stored; they are no longer in the pool."""
        rows = sorted(self._rows.pop(place), key=lambda one: one[0])
        return [(table, row) for _, table, row in rows]

    def _open(self, due: list[tuple[str, _Order, Ref]]) -> Steps[None]:
        loaded = yield from self._documents.load([ref for _, _, ref in due])
        for one, document in zip(due, loaded, strict=True):
            self._waiting.remove(one)
            if isinstance(document, Table):
                self.admit(one[1], document)
            else:
                self.expect(one[1], document)

    def _can_hold(self, low: str) -> bool:
        if self._before is not None and low >= self._before:
            return False
        return self._start is None or low <= self._start.checkpoint_id

    def _is_due(self, checkpoint_id: str, ns: str) -> bool:
        if self._before is not None and checkpoint_id >= self._before:
            return False
        start = self._start
        if start is None or checkpoint_id < start.checkpoint_id:
            return True
        return checkpoint_id == start.checkpoint_id and ns > start.ns
