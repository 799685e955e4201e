"""The files of threads, seen from the server's listing: which are in use, and deleting the others.

Owns: which files belong to the current state of a thread, and reports. Refuses to know: how threads are changed
(`writer.py`) and repaired (`repair.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from langchain_mix.checkpoint import names
from langchain_mix.checkpoint.documents import DocumentIO
from langchain_mix.checkpoint.encoding import TornDocument
from langchain_mix.checkpoint.reader import StateReader, load_segments
from langchain_mix.checkpoint.runtime import Steps
from langchain_mix.checkpoint.state import Manifest, OwnerClaim, Ref, ThreadState
from langchain_mix.checkpoint.table import Table
from langchain_mix.errors import MixCheckpointDamaged, MixError, MixNetworkError
from langchain_mix.protocol.call import Flow


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of all threads.

    Attributes:
        threads: The threads that hold something, or cannot be read.
        empty: Those that hold nothing, such as deleted ones. Their owner files and epoch markers stay on the server:
            a slow writer could otherwise take an old epoch.
    """

    threads: tuple[ThreadReport, ...] = ()
    empty: tuple[ThreadReport, ...] = ()

    @property
    def files(self) -> int:
        """Files of all threads, empty ones included."""
        return sum(thread.files for thread in (*self.threads, *self.empty))

    @property
    def bytes(self) -> int:
        """Their size."""
        return sum(thread.bytes for thread in (*self.threads, *self.empty))

    @property
    def checkpoints(self) -> int:
        """Checkpoints of all threads."""
        return sum(thread.checkpoints for thread in self.threads)

    @property
    def writes(self) -> int:
        """Records of pending writes of all threads."""
        return sum(thread.writes for thread in self.threads)

    @property
    def segments(self) -> int:
        """Immutable files of entries of all threads."""
        return sum(thread.segments for thread in self.threads)

    @property
    def orphans(self) -> tuple[str, ...]:
        """Names of files that nothing refers to."""
        return tuple(name for thread in (*self.threads, *self.empty) for name in thread.orphans)


@dataclass(frozen=True, slots=True)
class ThreadReport:
    """The figures of one thread.

    Attributes:
        thread_id: The thread; empty if nothing readable names it.
        key: The part that all names of its files share.
        files: Its files, orphans included.
        bytes: Their size.
        checkpoints: Checkpoints, replaced ones included.
        writes: Records of pending writes.
        segments: Immutable files of entries.
        orphans: Names of files that nothing refers to.
        problem: Why it cannot be read, or empty.
    """

    thread_id: str
    key: str
    files: int = 0
    bytes: int = 0
    checkpoints: int = 0
    writes: int = 0
    segments: int = 0
    orphans: tuple[str, ...] = ()
    problem: str = ""

    @property
    def is_empty(self) -> bool:
        """True if it holds nothing and can be read."""
        return not (self.checkpoints or self.writes or self.problem)


_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the store: its parsed name and its size in bytes."""

    what: names.FileName
    size: int


class GarbageCollector:
    """Looks at all files of threads."""

    def __init__(self, documents: DocumentIO, reader: StateReader) -> None:
        """Takes what `ThreadStore` was given."""
        self._documents = documents
        self._reader = reader

    def files(self) -> Flow[dict[str, list[StoredFile]]]:
        """Lists the files of all threads, by the part that a thread's names share."""
        found: dict[str, list[StoredFile]] = {}
        for info in (yield from self._documents.session_files.listing()):
            what = names.parse(info.name)
            if what is not None:
                found.setdefault(what.key, []).append(StoredFile(what, info.size))
        return found

    def files_of(self, key: str) -> Flow[list[StoredFile]]:
        """Lists the files of a thread."""
        return (yield from self.files()).get(key, [])

    def delete_replaced(self, files: Iterable[StoredFile], kept: Manifest) -> Flow[tuple[int, tuple[str, ...]]]:
        """Deletes what a thread held before it was replaced as a whole.

        Owner files and epoch markers stay: a slow writer could otherwise take an old epoch. No writer that can still
        commit refers to what was listed before the epoch was taken.

        Args:
            files: The thread's files, listed before the new epoch was taken.
            kept: The manifest that has replaced all.
        """
        current = {names.manifest(names.key_of(kept.thread_id), kept.claim.epoch, copy) for copy in (0, 1)}
        return self.delete(self.unused(files, current))

    def delete(self, going: Sequence[names.FileName]) -> Flow[tuple[int, tuple[str, ...]]]:
        """Deletes files; oldest manifests first, so that a search down the epochs never meets a skipped one.

        Returns:
            How many were deleted, and the names of those that could not be.
        """
        count = 0
        left: list[str] = []
        for what in sorted(going, key=lambda what: (what.epoch, what.copy)):
            try:
                yield from self._documents.session_files.delete(what.name)
            except MixNetworkError:
                return count, tuple(one.name for one in going[count:])
            except MixError:
                left.append(what.name)
            else:
                count += 1
        return count, tuple(left)

    def thread_ids(self) -> Steps[list[str]]:
        """Lists the threads that hold something.

        Raises:
            MixCheckpointDamaged: What a thread holds cannot be read.
        """
        files = yield from self.files()
        written = {key for key, some in files.items() if any(one.what.kind == "owner" for one in some)}
        keys = sorted({names.hidden(key) for key in written})
        found: list[str] = []
        for start in range(0, len(keys), _AT_ONCE):
            group = keys[start : start + _AT_ONCE]
            manifests = dict(zip(group, (yield from self._manifests(group)), strict=True))
            for key, hidden in manifests.items():
                manifest = hidden
                if manifest is None and names.visible(key) in written:
                    manifest, _ = yield from self._manifest(key)
                if manifest is not None and not manifest.state.is_empty:
                    found.append(manifest.thread_id)
        return found

    def _manifest(self, key: str) -> Steps[tuple[Manifest | None, str]]:
        """Finds the manifest of a thread that counts, and the key of its names."""
        claims = yield from self._owners([key])
        return (yield from self._reader.under_either_name(key, claims.get(key)))

    def _manifests(self, keys: Sequence[str]) -> Steps[list[Manifest | None]]:
        claims = yield from self._owners(keys)
        copies = [names.manifest(key, one.epoch, copy) for key, one in claims.items() for copy in (0, 1)]
        data = dict(zip(copies, (yield from self._documents.session_files.read_all(copies)), strict=True))
        # As in `DocumentIO.manifest`: a lone copy 0 must still be there.
        alone = [one for one, other in zip(copies[::2], copies[1::2], strict=True) if data[one] and data[other] is None]
        for copy, again in zip(alone, (yield from self._documents.session_files.read_all(alone)), strict=True):
            data[copy] = again if again == data[copy] else None
        found: list[Manifest | None] = []
        for key in keys:
            claim = claims.get(key)
            manifest = None if claim is None else self._documents.newest_manifest(key, claim, data)
            found.append(manifest if manifest is not None else (yield from self._reader.manifest(key, claim)))
        return found

    def _owners(self, keys: Sequence[str]) -> Steps[dict[str, OwnerClaim]]:
        owners = [names.owner(key) for key in keys]
        found: dict[str, OwnerClaim] = {}
        read = yield from self._documents.session_files.read_all(owners)
        for key, name, data in zip(keys, owners, read, strict=True):
            try:
                claim = None if data is None else self._documents.parse_owner(name, data)
            except TornDocument:
                claim = None
            if claim is not None:
                found[key] = claim
        return found

    def report(self, key: str | None) -> Steps[Report]:
        """Counts what is stored of a thread, or of all."""
        files = yield from self.files()
        keys = sorted({names.hidden(one) for one in files if key in {None, names.hidden(one)}})
        found: list[ThreadReport] = []
        for one in keys:
            some = [*files.get(one, ()), *files.get(names.visible(one), ())]
            found.append((yield from self._report(one, some)))
        return Report(
            tuple(thread for thread in found if not thread.is_empty),
            tuple(thread for thread in found if thread.is_empty),
        )

    def _report(self, key: str, files: Sequence[StoredFile]) -> Steps[ThreadReport]:
        size = sum(one.size for one in files)
        thread_id = ""
        try:
            manifest, used_key = yield from self._manifest(key)
            if manifest is None:
                return ThreadReport("", key, len(files), size)
            thread_id = manifest.thread_id
            tables = yield from load_segments(self._documents, manifest.state.refs, lambda _: True)
            used = yield from self.used(used_key, manifest, tables)
        except MixCheckpointDamaged as problem:
            return ThreadReport(thread_id, key, len(files), size, problem=f"{problem.document} {problem.problem}")
        rows = [row for table in (*tables, manifest.state.active) for row in table.rows]
        checkpoints = sum(row.is_checkpoint for row in rows)
        return ThreadReport(
            thread_id,
            key,
            files=len(files),
            bytes=size,
            checkpoints=checkpoints,
            writes=len(rows) - checkpoints,
            segments=len(tables),
            orphans=tuple(one.name for one in self.unused(files, used)),
            problem=(yield from self._unmoved(manifest, files)) if used_key == key else "",
        )

    def _unmoved(self, manifest: Manifest, files: Sequence[StoredFile]) -> Flow[str]:
        """Describes what an earlier version has stored under visible names since the thread was moved."""
        visible = names.visible(names.key_of(manifest.thread_id))
        owner = names.owner(visible)
        if any(one.what.key == visible and one.what.kind == "manifest" for one in files):
            claim = yield from self._documents.current_owner(visible)
            if claim is None or not manifest.holds(claim):
                return f"{owner} was written by an earlier version after the move; the next writer or `repair` adds it"
        return ""

    def used(self, key: str, manifest: Manifest, tables: Sequence[Table]) -> Flow[set[str]]:
        """Names of the files that what a thread holds is made of, and of the manifest that it has gone on from.

        That one stays until the next take-over, whatever process goes on with a thread that was paused.
        """
        epochs = [epoch for epoch in (manifest.base, manifest.claim.epoch) if epoch >= 0]
        copies = {names.manifest(key, epoch, copy) for epoch in epochs for copy in (0, 1)}
        blobs = {
            blob[0] for table in (*tables, manifest.state.active) for row in table.rows for blob in table.blobs_of(row)
        }
        documents = yield from self._documents_of(manifest.state)
        return copies | blobs | documents

    def _documents_of(self, state: ThreadState) -> Flow[set[str]]:
        found: set[str] = set()
        level: Sequence[Ref] = state.refs
        while level:
            found.update(ref.name for ref in level)
            loaded = yield from self._documents.load([ref for ref in level if ref.level])
            level = [ref for below in loaded if not isinstance(below, Table) for ref in below]
        return found

    @staticmethod
    def unused(files: Iterable[StoredFile], used: set[str]) -> list[names.FileName]:
        """Returns the files that nothing refers to. Owner files and epoch markers always count as used."""
        return [
            one.what for one in files if one.what.kind not in {"owner", "epoch_marker"} and one.what.name not in used
        ]
