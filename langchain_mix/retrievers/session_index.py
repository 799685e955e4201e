"""The index of one session, brought up to date and searched.

Owns: the order of things: list, download what changed, read, embed, build, search, and verify what is answered.
Refuses to know: how any of it is done, and whether anyone waits for it in a thread or in a task (`steps.py`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from langchain_mix import forking
from langchain_mix.retrievers.changes import Verify, changes_of, same_content
from langchain_mix.retrievers.embedding import Embedder
from langchain_mix.retrievers.gathering import Received
from langchain_mix.retrievers.index import Found, Index, Weights
from langchain_mix.retrievers.indexing import IndexedFile, Reading, checksum_of, index_file, remote_file
from langchain_mix.retrievers.kept import KeptIndex
from langchain_mix.retrievers.remote_files import RemoteFile, list_remote
from langchain_mix.retrievers.reports import FileReport, OnProblem, SkippedFile
from langchain_mix.retrievers.selection import Selection
from langchain_mix.retrievers.steps import Download, Steps, Wait, Work
from langchain_mix.retrievers.turns import Refresh, Turns
from langchain_mix.retrievers.vectors import Vector

_ROUNDS: Final = 2
"""How often answers alone are verified. Where both times a file had changed unseen, all files are suspect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is indexed, and how.

    Attributes:
        session_id: The session.
        server_url: The base URL of the client.
        selection: Which files.
        reading: How a file is read.
        verify: How a file is noticed that changed while the listing stayed.
        on_problem: What a file that cannot be read does.
        weights: How much each ranking counts.
    """

    session_id: str
    server_url: str
    selection: Selection
    reading: Reading
    verify: Verify = "answers"
    on_problem: OnProblem = "report"
    weights: Weights = field(default_factory=Weights)


@dataclass(slots=True)
class IndexReport(FileReport):
    """What became of each file, and what else there is to say of an index.

    Attributes:
        read: The names of the files that are indexed.
        skipped: The files that are not, and why; limits that were hit are among the reasons.
        problems: What was left out of files that are indexed, or is uncertain about them.
        partial: Those of them that name something that was left out.
        chunks: How many chunks there are.
        notes: What went wrong beside the files: a cache that was damaged, a model that failed.
    """

    chunks: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The last download of a file by this process.

    Attributes:
        when: When it began, on the monotonic clock.
        checksum: Of its bytes.
        version: By which the server can say later that it is unchanged; empty if it cannot.
    """

    when: float
    checksum: str
    version: str = ""


class SessionIndex:
    """The index of one session. Safe to use from many threads and event loops; its methods are procedures."""

    def __init__(self, plan: Plan, kept: KeptIndex | None = None, embedder: Embedder | None = None) -> None:
        """Reads nothing yet.

        Args:
            plan: What is indexed, and how.
            kept: Where it is kept between processes; None for nowhere.
            embedder: Gives chunks their vectors; None to rank by words alone.
        """
        self.plan = plan
        self.report = IndexReport()
        self._kept = kept
        self._turns = Turns()
        self._renew()
        forking.renew_in_child(self._renew)
        self._newest = 0
        self._files: dict[str, IndexedFile] | None = None
        self._index: Index | None = None
        self._embedder = embedder
        self._seen: dict[str, _Seen] = {}

    def _renew(self) -> None:
        self._lock = threading.Lock()  # What was read is as good in a forked child: each query compares it anyway.

    def refreshed(self) -> Steps[Index]:
        """Brings the index up to date: one listing, and the files that it shows to be new or changed.

        Who comes while another refresh is under way waits for it, and shares the next one with all who wait.

        Returns:
            The procedure.

        Raises:
            MixFileError: A file cannot be read and `on_problem` is `"raise"`.
            MixError: The files cannot be listed or downloaded.
        """
        arrived = self._turns.arrive()
        alone = False
        while True:
            refresh, own = self._turns.take(alone=alone)
            if own:
                return (yield from self._lead(refresh))
            alone = not (yield Wait(refresh.done, refresh.loop))
            if refresh.number <= arrived or alone:
                continue
            if refresh.error is not None:
                raise refresh.error
            if refresh.complete and self._index is not None:
                return self._index

    def answer(self, query: str, k: int, accepts: Callable[[str], bool] | None = None) -> Steps[list[Found]]:
        """Finds the chunks that fit a query, in the files as they are now.

        Args:
            query: The query.
            k: Chunks at most.
            accepts: Told the name of a file, whether it counts; None for all.

        Returns:
            The procedure.

        Raises:
            MixError: As `refreshed` does, or the embedding model gave no vectors.
            Exception: Whatever the embedding model raises, unless its failures are to be lived with.
        """
        arrived = time.monotonic()
        index = yield from self.refreshed()
        vector = None
        if self._embedder is not None and index.has_vectors and len(index):
            vector = yield from self._embedder.vector_of_query(query)
            if vector is not None and not index.fits(vector) and self._embedder.forget_kept():
                index = yield from self._renewed(index)
            self.report.notes = self._notes()
        rounds = 0
        while True:
            found = yield from self._found(index, query, k, vector, accepts)
            names = self._unverified((f.file for f in found), arrived)
            if self.plan.verify != "answers" or not names:
                return found
            if rounds >= _ROUNDS:
                names = self._unverified(index.files.values(), arrived)
            newer = yield from self._verified(index, names)
            if newer is index:
                return found
            index, rounds = newer, rounds + 1

    def _found(
        self, index: Index, query: str, k: int, vector: Vector | None, accepts: Callable[[str], bool] | None
    ) -> Steps[list[Found]]:
        weights = self.plan.weights
        found: list[Found] = yield Work(lambda: index.search(query, k, vector=vector, weights=weights, accepts=accepts))
        return found

    # Refreshing

    def _lead(self, refresh: Refresh) -> Steps[Index]:
        try:
            index = yield from self._read(refresh)
        except BaseException as error:
            self._turns.end(refresh, error)
            raise
        self._turns.end(refresh)
        return index

    def _read(self, refresh: Refresh) -> Steps[Index]:
        plan, began = self.plan, time.monotonic()
        listed = yield from list_remote(plan.session_id, plan.server_url)
        known = self._files
        if known is None:
            known = (yield Work(self._kept.load_files)) if self._kept is not None else {}
        chosen = plan.selection.choose(listed, plan.server_url)
        changes = changes_of(known, chosen, plan.reading.limits, plan.verify, time.time())
        read = yield from self._downloaded(changes.fetch, known, began)
        files = {**changes.kept, **changes.skipped, **read}
        # A file that is there but not meant stays on disk: another retriever may mean it.
        there = {file.name for file in listed}
        gone = [name for name in changes.gone if name not in there]
        yield from self._save(read.values(), gone)
        self._commit(refresh, files)
        index = yield from self._built(files)
        self._commit(refresh, files, index)
        self._tell(index)
        return index

    def _downloaded(
        self, fetch: list[RemoteFile], known: Mapping[str, IndexedFile], began: float
    ) -> Steps[dict[str, IndexedFile]]:
        """Downloads files and reads those whose bytes are not the known ones."""
        if not fetch:
            return {}
        report, versions = FileReport(), self._versions(known)
        reading, newer = self.plan.reading, dict[str, str]()

        def use(received: Received) -> IndexedFile | Work[IndexedFile]:
            file, data = received.file, received.data
            newer[file.name] = received.version
            old = known.get(file.name)
            if old is not None and (received.unchanged or old.checksum == checksum_of(data)):
                return same_content(old, file, time.time())
            return Work(lambda: index_file(file, data, time.time(), reading))

        read: list[IndexedFile] = yield Download(self.plan.session_id, fetch, reading.limits, report, use, versions)
        files = {file.name: file for file in read}
        listed = {file.name: file for file in fetch}
        files |= {skipped.name: _unread(listed[skipped.name], skipped) for skipped in report.skipped}
        with self._lock:
            self._seen |= {name: _Seen(began, file.checksum, newer.get(name, "")) for name, file in files.items()}
        return files

    def _versions(self, known: Mapping[str, IndexedFile]) -> dict[str, str]:
        """The versions of files whose bytes are the known ones."""
        with self._lock:
            seen = {name: self._seen[name] for name in known.keys() & self._seen.keys()}
        return {n: s.version for n, s in seen.items() if s.version and s.checksum == known[n].checksum}

    def _save(self, read: Iterable[IndexedFile], gone: list[str]) -> Steps[None]:
        kept = self._kept
        if kept is None:
            return
        changed = [file for file in read if file.checksum]
        yield Work(lambda: kept.save_files(changed, gone))

    def _commit(self, refresh: Refresh, files: dict[str, IndexedFile], index: Index | None = None) -> None:
        """Takes a result, unless a refresh that began later was faster."""
        with self._lock:
            if refresh.number < self._newest:
                return
            self._newest = refresh.number
            self._files = files
            if index is not None:
                self._index = index
                self._seen = {name: seen for name, seen in self._seen.items() if name in files}

    def _built(self, files: dict[str, IndexedFile]) -> Steps[Index]:
        """An index of these files: the one there is if nothing in it has changed."""
        old, embedder = self._index, self._embedder
        if old is not None and not _same_chunks(old.files, files):
            old = None
        if old is not None and (old.has_vectors or embedder is None):
            return old.rechecked(files)
        vectors = (yield from embedder.vectors_of(files.values())) if embedder is not None else None
        if old is not None and vectors is None:
            return old.rechecked(files)  # The model failed once more; nothing else has changed.
        built: Index = yield Work(lambda: Index(files, vectors, stemming=self.plan.reading.stemming))
        return built

    def _renewed(self, index: Index) -> Steps[Index]:
        """An index of the same files with new vectors."""
        embedder = self._embedder
        vectors = (yield from embedder.vectors_of(index.files.values())) if embedder is not None else None
        newer: Index = yield Work(lambda: Index(index.files, vectors, stemming=self.plan.reading.stemming))
        with self._lock:
            if self._index is index:
                self._index = newer
        return newer

    # Verifying

    def _unverified(self, files: Iterable[IndexedFile], arrived: float) -> set[str]:
        """Files that nobody has downloaded since then, or that somebody has found to be others than these."""
        with self._lock:
            return {file.name for file in files if not self._is_seen(file, arrived)}

    def _is_seen(self, file: IndexedFile, arrived: float) -> bool:
        seen = self._seen.get(file.name)
        return seen is not None and seen.when >= arrived and seen.checksum == file.checksum

    def _verified(self, index: Index, names: set[str]) -> Steps[Index]:
        """Downloads these files again. Gives the same index if they are what they were, else one of what they are."""
        plan, began = self.plan, time.monotonic()
        old = {name: index.files[name] for name in names if index.files[name].checksum}
        files = [remote_file(file, plan.session_id, plan.server_url) for file in old.values()]
        read = yield from self._downloaded(files, old, began)
        changed = {name: file for name, file in read.items() if file.checksum != old[name].checksum}
        if not changed:
            return index
        yield from self._save(changed.values(), [])
        newer = yield from self._built({**index.files, **changed})
        with self._lock:
            if self._index is index:
                self._index, self._files = newer, newer.files
        self._tell(newer)
        return newer

    # Reporting

    def _tell(self, index: Index) -> None:
        """Reports on an index.

        Raises:
            MixFileError: A file could not be read and `on_problem` is `"raise"`.
        """
        report = IndexReport(chunks=len(index), notes=self._notes())
        self.report = report
        for file in index.files.values():
            if not file.skipped:
                report.note(file.name, file.problems, file.partial)
        for file in index.files.values():
            if file.skipped:
                report.skip(file.name, file.skipped, file.kind, self.plan.on_problem)

    def _notes(self) -> list[str]:
        parts = (self._kept, self._embedder)
        return [note for part in parts if part is not None for note in part.notes]


def _unread(file: RemoteFile, skipped: SkippedFile) -> IndexedFile:
    return IndexedFile(
        name=file.name,
        listed_size=file.size,
        modified=file.modified,
        checksum="",
        checked_at=time.time(),
        kind=skipped.kind,
        skipped=skipped.reason,
    )


def _same_chunks(old: Mapping[str, IndexedFile], new: Mapping[str, IndexedFile]) -> bool:
    return old.keys() == new.keys() and all(old[name].chunks is new[name].chunks for name in new)
