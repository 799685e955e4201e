"""Threads of checkpoints, kept in files of a Mix server.

Owns: the operations. Refuses to know: what the bytes mean (the saver), how calls are sent and how anyone waits
(`runtime.py`).
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from langchain_mix.checkpoint import names
from langchain_mix.checkpoint.documents import DocumentIO
from langchain_mix.checkpoint.encoding import NO_ENCRYPTION, Encryption, ForeignDocument, MissingDocument
from langchain_mix.checkpoint.files import SessionFiles
from langchain_mix.checkpoint.garbage import GarbageCollector, Report
from langchain_mix.checkpoint.reader import Cursor, PageQuery, StateReader, all_entries, find_page, find_stored
from langchain_mix.checkpoint.records import CheckpointRecord, Entry, Stored, Value
from langchain_mix.checkpoint.repair import Repair, Repaired, Repairer
from langchain_mix.checkpoint.runtime import AcquireLock, Steps
from langchain_mix.checkpoint.state import StoreSettings, ThreadState
from langchain_mix.checkpoint.table import check
from langchain_mix.checkpoint.writer import Writer, WriterCache
from langchain_mix.errors import MixCheckpointDamaged
from langchain_mix.fifo_lock import FifoLock


@dataclass(frozen=True, slots=True)
class Deleted:
    """The result of deleting a thread.

    Attributes:
        left: Names of files that could not be deleted; nothing refers to them.
    """

    existed: bool
    files: int = 0
    left: tuple[str, ...] = ()


T = TypeVar("T")


class ThreadStore:
    """All threads of one server, as one process sees them. One per saver; copies of the saver share it.

    Every method but `recall` gives a procedure for `runtime.run` or `run_async`. Any number of threads and event loops
    may use one `ThreadStore`. A pickled or forked one starts with an empty memory and a fresh identity.
    """

    def __init__(
        self,
        *,
        session_files: SessionFiles,
        encryption: Encryption = NO_ENCRYPTION,
        settings: StoreSettings | None = None,
        fresh: Callable[[], str] = lambda: uuid.uuid4().hex,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Prepares a store; nothing is sent.

        `fresh` makes 32 hexadecimal digits that were never used, and `chance` a random number from 0 to 1, for pauses.
        """
        settings = StoreSettings() if settings is None else settings
        self._rebuild = partial(ThreadStore, session_files=session_files, encryption=encryption, settings=settings)
        self._lock: FifoLock[tuple[Entry, ...]] = FifoLock()
        self._cache = WriterCache(settings.cached_threads)
        self._documents = DocumentIO(session_files, encryption, settings)
        self._reader = StateReader(self._documents, self._cache, settings.attempts)
        self._writer = Writer(self._documents, self._reader, self._cache, settings=settings, fresh=fresh, chance=chance)
        self._garbage = GarbageCollector(self._documents, self._reader)
        self._repairer = Repairer(self._documents, self._reader, self._writer, self._garbage)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles and deep-copies as a store that owns nothing yet: two must never write the same manifest."""
        return self._rebuild, ()

    def find(self, thread_id: str, ns: str, checkpoint_id: str | None) -> Steps[Stored | None]:
        """Finds a checkpoint with all writes to it, by its id, or the greatest of the namespace.

        Raises:
            MixCheckpointDamaged: A document that is needed is damaged or missing.
        """
        find = partial(find_stored, self._documents, ns=ns, checkpoint_id=checkpoint_id)
        return self._reader.using(thread_id, find)

    def page(
        self,
        thread_id: str,
        *,
        ns: str | None,
        before: str | None = None,
        start: Cursor | None = None,
        limit: int | None = None,
        wanted: Callable[[CheckpointRecord], bool] | None = None,
    ) -> Steps[tuple[list[Stored], Cursor | None]]:
        """Finds checkpoints, newest id first; of equal ids, by namespace.

        With `start`, goes on where the page before ended, in the state that the first one saw.

        Returns:
            The checkpoints, and where the next page starts, or None if there is no more.
        """
        query = PageQuery(ns, before, limit, wanted)

        def read(state: ThreadState) -> Steps[tuple[list[Stored], Cursor | None]]:
            return find_page(self._documents, state, query, start)

        if start is not None:
            try:
                return (yield from read(start.state))
            except MissingDocument:  # Replaced since the first page; the rest is read from what there is now.
                pass
        return (yield from self._reader.using(thread_id, read))

    def append(self, thread_id: str, entries: Sequence[Entry]) -> Steps[None]:
        """Stores entries, all or none. When it returns, every later read sees them.

        Raises:
            MixStoreContended: Other writers were always faster; the entries may or may not be stored.
        """
        work = tuple(entries)
        for entry in work:
            check(entry)
        if not work:
            return
        with self._lock.enter(names.key_of(thread_id), work) as ticket:
            yield AcquireLock(ticket)
            if ticket.done:  # By the owner of the lock before: many small puts share one upload.
                return
            group, done = self._lock.claim_work(ticket), False
            try:
                yield from self._writer.append(thread_id, [entry for one in group for entry in one.work or ()])
                done = True
            finally:
                self._lock.finish_work(group, done=done)

    def recall(self, thread_id: str, ns: str, checkpoint_id: str, channel: str, version: Any) -> Value | None:
        """Gives a value that this process has stored in the parent of a checkpoint to be put, from memory alone.

        Returns:
            The value if that checkpoint holds the channel in exactly that version, else None. None proves nothing.
        """
        manifest = self._cache.owned(names.key_of(thread_id))
        return None if manifest is None else manifest.state.active.recall((ns, checkpoint_id), channel, version)

    def is_uncertain(self, thread_id: str) -> bool:
        """True if the outcome of this process's last upload of the thread is unknown: it may still arrive."""
        return self._cache.is_uncertain(names.key_of(thread_id))

    def entries(self, thread_id: str) -> Steps[list[Entry]]:
        """Reads everything of a thread, in the order in which it was stored; replaced checkpoints only once."""
        return self._reader.using(thread_id, self._all)

    def rewrite(self, thread_id: str, change: Callable[[list[Entry]], Sequence[Entry]]) -> Steps[tuple[str, ...]]:
        """Replaces the whole content of a thread in one step: readers see the old or the new.

        `change` gets all entries in the order of `entries`, gives those to keep, or new ones. It is called again when
        another writer came in between, so nothing is lost that was stored meanwhile. What it raises ends the procedure,
        and nothing is changed. Returns the names of files that nothing needs any more and that could not be deleted.
        """
        before = yield from self.entries(thread_id)
        if list(change(list(before))) == before:
            return ()
        key = names.key_of(thread_id)

        def make(state: ThreadState) -> Steps[ThreadState]:
            builder = self._writer.builder(key, ThreadState())
            builder.add(change((yield from self._all(state))))
            for document in builder.documents:
                yield from self._documents.write(document)
            return builder.state

        def work() -> Steps[tuple[str, ...]]:
            old = yield from self._garbage.files_of(key)
            manifest = yield from self._writer.replace(thread_id, make)
            return (yield from self._garbage.delete_replaced(old, manifest))[1]

        return (yield from self._locked(key, work()))

    def delete(self, thread_id: str) -> Steps[Deleted]:
        """Deletes a thread with all its namespaces. One that never existed costs no write.

        Raises:
            MixCheckpointDamaged: It is encrypted with another key, or of a later form: the empty thread that this saver
                would leave could not be read by those that use it.
        """
        key = names.key_of(thread_id)

        def work() -> Steps[Deleted]:
            try:
                state = yield from self._reader.state(thread_id)
            except ForeignDocument:
                raise
            except MixCheckpointDamaged:
                state = None  # It can be deleted all the same.
            if state is not None and state.is_empty:
                return Deleted(existed=False)
            listed = yield from self._garbage.files()
            manifest = yield from self._writer.restart(thread_id, ThreadState())
            files, left = yield from self._garbage.delete_replaced(listed.get(key, ()), manifest)
            return Deleted(existed=True, files=files + len(listed.get(names.visible(key), ())), left=left)

        return self._locked(key, work())

    def thread_ids(self) -> Steps[list[str]]:
        """Lists the threads that hold something: one listing of all files, then the state of each thread."""
        return self._garbage.thread_ids()

    def report(self, thread_id: str | None = None) -> Steps[Report]:
        """Counts what is stored of a thread, or of all, and finds files that nothing refers to."""
        return self._garbage.report(None if thread_id is None else names.key_of(thread_id))

    def repair(self, thread_id: str | None = None, *, dry_run: bool = True, orphans: bool = False) -> Steps[Repair]:
        """Makes a damaged thread usable again with what is left of it, and says what was lost.

        A thread that an earlier version of this package has stored under visible names is moved to hidden ones.
        """
        files = yield from self._garbage.files()
        keys = sorted({names.hidden(key) for key in files})
        wanted = {names.key_of(thread_id): thread_id} if thread_id is not None else dict.fromkeys(keys)
        steps: list[Repaired] = []
        left: list[str] = []
        for key, name in wanted.items():
            visible = files.get(names.visible(key))
            if key in files or not visible:
                repairing = self._repairer.repair(key, name, files.get(key, ()), dry_run=dry_run, orphans=orphans)
                found, undeleted = yield from self._locked(key, repairing)
                steps += found
                left += undeleted
            if visible:
                moving = self._repairer.move(key, name, visible, dry_run=dry_run)
                steps += yield from self._locked(key, moving)
        return Repair(dry_run, tuple(steps), tuple(left))

    def _all(self, state: ThreadState) -> Steps[list[Entry]]:
        return all_entries(self._documents, state)

    def _locked(self, key: str, work: Steps[T]) -> Steps[T]:
        """Runs a procedure while no other thread or task of this process changes the thread."""
        with self._lock.enter(key) as ticket:
            yield AcquireLock(ticket)
            return (yield from work)
