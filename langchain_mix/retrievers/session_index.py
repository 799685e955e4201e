"""The index of one session: kept up to date, searched, and its answers verified.

Owns: the order of things: list, download what changed, read, embed, build, search, verify. One refresh runs at a time,
and those that come meanwhile share the next one.
Refuses to know: whether a thread or a task waits for it (`retriever.py`).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Literal, TypeAlias

from langchain_mix import process_fork
from langchain_mix.retrievers.disk_cache import DiskCache
from langchain_mix.retrievers.downloads import (
    Batch,
    FileReport,
    OnProblem,
    Received,
    SkippedFile,
    beyond_total,
    refusal_before,
)
from langchain_mix.retrievers.embedding import Embedder
from langchain_mix.retrievers.files import RemoteFile, Selection, list_remote
from langchain_mix.retrievers.indexing import IndexedFile, Reading, checksum_of, index_file, remote_file
from langchain_mix.retrievers.parsing.parsed import Limits
from langchain_mix.retrievers.ranking import Found, Index, Vector, Weights
from langchain_mix.retrievers.steps import Download, Steps, Wait, Work

Verify: TypeAlias = Literal["answers", "listing", "checksum"] | float
"""The way to notice a file that changed while its name and its size stayed.

Mix sends no time of change (since 0.5.3), no checksum and no version of a file, and a session's private file hides an
upload of the same name: only its bytes prove what a file is.
"""


@dataclass(frozen=True, slots=True)
class Changes:
    """The differences between a listing and an index: what stays, what to fetch, what is refused, what is gone."""

    kept: dict[str, IndexedFile]
    fetch: list[RemoteFile]
    skipped: dict[str, IndexedFile]
    gone: list[str]


def changes_of(
    known: Mapping[str, IndexedFile], listed: Iterable[RemoteFile], limits: Limits, verify: Verify, now: float
) -> Changes:
    """Compares the files that are meant with those that were read; `now` is Unix time, for what is due again."""
    changes = Changes({}, [], {}, [])
    total = count = 0
    for file in listed:
        reason = _refusal(file, limits, total, count)
        if reason:
            changes.skipped[file.name] = _unread(file, SkippedFile(file.name, reason), now)
            continue
        total, count = total + file.size, count + 1
        old = known.get(file.name)
        if old is not None and old.checksum and old.is_listed_as(file) and not _is_due(old, verify, now):
            changes.kept[file.name] = old
        else:
            changes.fetch.append(file)
    found = changes.kept.keys() | changes.skipped.keys() | {file.name for file in changes.fetch}
    changes.gone.extend(name for name in known if name not in found)
    return changes


def same_content(old: IndexedFile, file: RemoteFile, now: float) -> IndexedFile:
    """Returns the file after a download of the same bytes."""
    return replace(old, listed_size=file.size, modified=file.modified, checked_at=now)


def _refusal(file: RemoteFile, limits: Limits, total: int, count: int) -> str:
    if (refused := refusal_before(file, count, limits)) is not None:
        return refused.reason
    return beyond_total(limits) if total + file.size > limits.max_total_bytes else ""


def _is_due(old: IndexedFile, verify: Verify, now: float) -> bool:
    if verify == "checksum":
        return True
    if isinstance(verify, str):
        return False
    # A clock that was set back leaves times that are still to come; they prove nothing.
    return not 0 <= now - old.checked_at < verify


@dataclass(slots=True, eq=False)
class Refresh:
    """A refresh under way.

    Attributes:
        number: Refreshes are counted in the order in which they begin.
        loop: The event loop it runs on; None in a thread without one.
        done: Set when it has ended; None as long as nobody waits for it.
        complete: Whether it ended well.
        error: Why it failed; None if it was abandoned, as a cancelled one is.
    """

    number: int
    loop: asyncio.AbstractEventLoop | None
    done: Future[None] | None = None
    complete: bool = False
    error: Exception | None = None


class SingleFlight:
    """Runs one refresh at a time; concurrent callers share the next one.

    Safe to use from any thread and any event loop; nothing in it blocks.
    """

    def __init__(self) -> None:
        """Begins without a refresh."""
        self._begun = 0
        self._clear()
        process_fork.renew_in_child(self._clear)

    def _clear(self) -> None:
        """Waits for nobody: a refresh under way at a fork ends in the parent."""
        self._lock = threading.Lock()
        self._running: Refresh | None = None

    def arrive(self) -> int:
        """Returns how many refreshes have begun: the result of a later one is as new as if it had begun now."""
        with self._lock:
            return self._begun

    def take(self, *, alone: bool = False) -> tuple[Refresh, bool]:
        """Begins a refresh unless one is under way.

        Args:
            alone: Begin one though another is under way, which cannot be waited for. This one is not shared.

        Returns:
            The refresh, and whether it is the caller's: who has begun one must end it with `end`.
        """
        try:
            loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        with self._lock:
            if self._running is not None and not alone:
                self._running.done = self._running.done or Future()
                return self._running, False
            self._begun += 1
            refresh = Refresh(self._begun, loop)
            if not alone:
                self._running = refresh
            return refresh, True

    def end(self, refresh: Refresh, error: BaseException | None = None) -> None:
        """Ends a refresh that the caller has begun, and wakes those who wait for it."""
        with self._lock:
            refresh.complete = error is None
            refresh.error = error if isinstance(error, Exception) else None
            if self._running is refresh:
                self._running = None
            done = refresh.done
        if done is not None:
            done.set_result(None)


_QUICK_CHUNKS: Final = 20_000
"""Chunks that are ranked by words in less time than it takes to hand the search to a thread."""
_ROUNDS: Final = 2
"""Rounds in which answers alone are verified. Where a file had changed unseen both times, all files are suspect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The options of an index: which files of which session, how they are read, verified, reported and ranked."""

    session_id: str
    server_url: str
    selection: Selection
    reading: Reading
    verify: Verify = "answers"
    on_problem: OnProblem = "report"
    weights: Weights = field(default_factory=Weights)


@dataclass(slots=True)
class IndexReport(FileReport):
    """Reports the outcome of each file, and the notes of an index.

    Attributes:
        read: The names of the files that are indexed.
        skipped: The files that are not, and why; limits that were hit are among the reasons.
        problems: What was left out of files that are indexed, or is uncertain about them.
        partial: Those of them that name something that was left out.
        chunks: How many chunks there are.
        notes: What went wrong apart from the files: a cache that was damaged, a model that failed.
    """

    chunks: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The last download of a file by this process: when it began (on the monotonic clock), and what it brought.

    `version` is that by which the server can say later that the file is unchanged; empty if it cannot.
    """

    when: float
    checksum: str
    version: str = ""


class SessionIndex:
    """The index of one session. Safe to use from many threads and event loops; its methods are procedures."""

    def __init__(self, plan: Plan, cache: DiskCache | None = None, embedder: Embedder | None = None) -> None:
        """Reads nothing yet. Without a cache nothing is kept between processes, without an embedder words rank."""
        self.plan = plan
        self.report = IndexReport()
        self._cache = cache
        self._flight = SingleFlight()
        self._renew()
        process_fork.renew_in_child(self._renew)
        self._listing = list_remote(plan.session_id, plan.server_url)
        self._settled: list[RemoteFile] | None = None
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

        Raises:
            MixFileError: A file cannot be read and `on_problem` is `"raise"`.
            MixError: The files cannot be listed or downloaded.
        """
        arrived = self._flight.arrive()
        alone = False
        while True:
            refresh, own = self._flight.take(alone=alone)
            if own:
                return (yield from self._refresh_as_leader(refresh))
            alone = refresh.done is None or not (yield Wait(refresh.done, refresh.loop))
            if refresh.number <= arrived or alone:
                continue
            if refresh.error is not None:
                raise refresh.error
            if refresh.complete and self._index is not None:
                return self._index

    def search(self, query: str, k: int, accepts: Callable[[str], bool] | None = None) -> Steps[list[Found]]:
        """Finds the chunks that fit a query, in the files as they are now; `accepts` is True for the names that count.

        Raises:
            MixError: As `refreshed` does, or the embedding model gave no vectors.
            Exception: Whatever the embedding model raises, unless `on_embedding_error="words"`.
        """
        arrived = time.monotonic()
        index = yield from self.refreshed()
        vector = None
        if self._embedder is not None and index.has_vectors and len(index):
            vector = yield from self._embedder.vector_of_query(query)
            if vector is not None and not index.fits(vector) and self._embedder.forget_cached():
                index = yield from self._renewed(index)
            self.report.notes = self._notes()
        rounds = 0
        while True:
            found = yield from self._found(index, query, k, vector, accepts)
            if self.plan.verify != "answers":
                return found
            names = self._unverified([f.file for f in found], arrived)
            if not names:
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
        search = partial(index.search, query, k, vector=vector, weights=self.plan.weights, accepts=accepts)
        if vector is None and len(index) <= _QUICK_CHUNKS:
            return search()
        found: list[Found] = yield Work(search)
        return found

    # Refreshing

    def _refresh_as_leader(self, refresh: Refresh) -> Steps[Index]:
        try:
            index = yield from self._read(refresh)
        except BaseException as error:
            self._flight.end(refresh, error)
            raise
        self._flight.end(refresh)
        return index

    def _read(self, refresh: Refresh) -> Steps[Index]:
        plan, began = self.plan, time.monotonic()
        listed: list[RemoteFile] = yield self._listing
        # The same object: the listing has the same bytes (`files.py`), so that there is nothing to compare.
        if listed is self._settled and self._index is not None:
            self._commit(refresh)
            return self._index
        known = self._files
        if known is None:
            known = (yield Work(self._cache.load_files)) if self._cache is not None else {}
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
        self._report(index)
        with self._lock:
            if refresh.number == self._newest and not changes.fetch and self._is_lasting(index):
                self._settled = listed
        return index

    def _is_lasting(self, index: Index) -> bool:
        """True when the same listing has the same index: no option makes it depend on the clock or on the user."""
        follows_listing = self.plan.verify in {"answers", "listing"} and self.plan.selection.is_fixed
        return follows_listing and (self._embedder is None or index.has_vectors)

    def _downloaded(
        self, fetch: list[RemoteFile], known: Mapping[str, IndexedFile], began: float
    ) -> Steps[dict[str, IndexedFile]]:
        """Downloads files and reads those whose bytes are not the known ones."""
        if not fetch:
            return {}
        report, reading, newer = FileReport(), self.plan.reading, dict[str, str]()

        def use(received: Received) -> IndexedFile | Work[IndexedFile]:
            file, data = received.file, received.data
            newer[file.name] = received.version
            old = known.get(file.name)
            if old is not None and (received.unchanged or old.checksum == checksum_of(data)):
                return same_content(old, file, time.time())
            return Work(lambda: index_file(file, data, time.time(), reading))

        batch = Batch(
            session_id=self.plan.session_id,
            files=fetch,
            limits=reading.limits,
            report=report,
            versions=self._versions(known),
        )
        read: list[IndexedFile] = yield Download(batch, use)
        files = {file.name: file for file in read}
        listed = {file.name: file for file in fetch}
        files |= {skipped.name: _unread(listed[skipped.name], skipped, time.time()) for skipped in report.skipped}
        with self._lock:
            self._seen |= {name: _Seen(began, file.checksum, newer.get(name, "")) for name, file in files.items()}
        return files

    def _versions(self, known: Mapping[str, IndexedFile]) -> dict[str, str]:
        """Returns the versions of files whose bytes are the known ones."""
        with self._lock:
            seen = {name: self._seen[name] for name in known.keys() & self._seen.keys()}
        return {n: s.version for n, s in seen.items() if s.version and s.checksum == known[n].checksum}

    def _save(self, read: Iterable[IndexedFile], gone: list[str]) -> Steps[None]:
        cache = self._cache
        if cache is None:
            return
        changed = [file for file in read if file.checksum]
        yield Work(lambda: cache.save_files(changed, gone))

    def _commit(
        self, refresh: Refresh, files: dict[str, IndexedFile] | None = None, index: Index | None = None
    ) -> None:
        """Takes a result, unless a refresh that began later was faster. Without one, all stays as it is."""
        with self._lock:
            if refresh.number < self._newest:
                return
            self._newest = refresh.number
            if files is not None:
                self._files, self._settled = files, None
            if files is not None and index is not None:
                self._index = index
                self._seen = {name: seen for name, seen in self._seen.items() if name in files}

    def _built(self, files: dict[str, IndexedFile]) -> Steps[Index]:
        """Returns an index of these files: the current one if nothing in it has changed."""
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
        """Returns an index of the same files with new vectors."""
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
                self._index, self._files, self._settled = newer, newer.files, None
        self._report(newer)
        return newer

    # Reporting

    def _report(self, index: Index) -> None:
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
        parts = (self._cache, self._embedder)
        return [note for part in parts if part is not None for note in part.notes]


def _unread(file: RemoteFile, skipped: SkippedFile, now: float) -> IndexedFile:
    return IndexedFile(
        name=file.name,
        listed_size=file.size,
        modified=file.modified,
        checksum="",
        checked_at=now,
        kind=skipped.kind,
        skipped=skipped.reason,
    )


def _same_chunks(old: Mapping[str, IndexedFile], new: Mapping[str, IndexedFile]) -> bool:
    return old.keys() == new.keys() and all(old[name].chunks is new[name].chunks for name in new)
