"""Threads of checkpoints, kept in files of a Mix server.

Owns: the operations. Refuses to know: what the bytes mean (the saver), how calls are sent and how anyone waits
(`driver.py`).
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from langchain_mix.checkpoint import names, paging, search
from langchain_mix.checkpoint.cache import Cache
from langchain_mix.checkpoint.codec import ForeignDocument, MissingDocument
from langchain_mix.checkpoint.content import Content, Limits
from langchain_mix.checkpoint.documents import Documents
from langchain_mix.checkpoint.door import Door
from langchain_mix.checkpoint.effects import Steps, Turn
from langchain_mix.checkpoint.housekeeping import Housekeeping
from langchain_mix.checkpoint.memory import Memory
from langchain_mix.checkpoint.paging import Cursor
from langchain_mix.checkpoint.records import CheckpointRecord, Entry, Stored, Value
from langchain_mix.checkpoint.repair import Mender
from langchain_mix.checkpoint.report import Deleted, Repair, Repaired, Report, Rewritten
from langchain_mix.checkpoint.rows import check
from langchain_mix.checkpoint.seal import PLAIN, Seal
from langchain_mix.checkpoint.state import State
from langchain_mix.checkpoint.writer import Patience, Writer
from langchain_mix.errors import MixCheckpointDamaged, MixConfigurationError

T = TypeVar("T")


class Threads:
    """All threads of one server, as one process sees them. One per saver; copies of the saver share it.

    Every method but `recall` gives a procedure for `driver.run` or `driver.run_async`. Any number of threads and event
    loops may use one `Threads`. A pickled or forked one starts with an empty memory and a fresh identity.
    """

    def __init__(
        self,
        *,
        door: Door,
        seal: Seal = PLAIN,
        window_entries: int = 64,
        window_bytes: int = 524_288,
        blob_bytes: int = 262_144,
        cache_bytes: int = 67_108_864,
        lanes: int = 256,
        attempts: int = 12,
        backoff: float = 0.02,
        rereads: int = 4,
        reread_pause: float = 0.05,
        retries: int = 1,
        fresh: Callable[[], str] = lambda: uuid.uuid4().hex,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Prepares a store; nothing is sent.

        Args:
            door: Reads and writes files.
            seal: What documents are sealed with.
            window_entries: Entries that a lane file holds before they move to a segment of their own.
            window_bytes: The same in bytes, as far as moving them makes the lane file smaller.
            blob_bytes: From this size on a value that is put a second time unchanged gets a file of its own.
            cache_bytes: Bytes of immutable documents kept in memory.
            lanes: Threads whose state is kept in memory.
            attempts: How often a writer tries to become the only one before it gives up.
            backoff: The longest pause after its first lost attempt, in seconds; it doubles with each.
            rereads: How often a document that looks damaged is read again; an overwrite may be going on.
            reread_pause: The pause before, in seconds.
            retries: How often a write whose outcome is unknown is made again, safely, before that error is raised.
            fresh: Makes 32 hexadecimal digits that were never used.
            chance: Makes a random number from 0 to 1, for pauses.

        Raises:
            MixConfigurationError: A number is out of range.
        """
        counts = {"window_entries": window_entries, "window_bytes": window_bytes, "blob_bytes": blob_bytes}
        _check({**counts, "lanes": lanes, "attempts": attempts}, at_least=1)
        sizes = {"cache_bytes": cache_bytes, "backoff": backoff, "rereads": rereads, "reread_pause": reread_pause}
        _check({**sizes, "retries": retries}, at_least=0)
        self._rebuild = partial(
            Threads,
            door=door,
            seal=seal,
            window_entries=window_entries,
            window_bytes=window_bytes,
            blob_bytes=blob_bytes,
            cache_bytes=cache_bytes,
            lanes=lanes,
            attempts=attempts,
            backoff=backoff,
            rereads=rereads,
            reread_pause=reread_pause,
            retries=retries,
        )
        self._memory = Memory(lanes)
        self._documents = Documents(door, seal, Cache(cache_bytes), rereads, reread_pause)
        self._state = State(self._documents, attempts)
        self._writer = Writer(
            self._documents,
            self._state,
            limits=Limits(window_entries, window_bytes, blob_bytes),
            patience=Patience(attempts, backoff, retries),
            fresh=fresh,
            chance=chance,
        )
        self._housekeeping = Housekeeping(self._documents, self._state)
        self._mender = Mender(self._documents, self._state, self._writer, self._housekeeping)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles and deep-copies as a store that owns nothing yet: two must never write the same lane."""
        return self._rebuild, ()

    def find(self, thread_id: str, ns: str, checkpoint_id: str | None) -> Steps[Stored | None]:
        """Finds a checkpoint.

        Args:
            thread_id: The thread.
            ns: Exactly this namespace.
            checkpoint_id: Its id, or None for the greatest of the namespace.

        Returns:
            The checkpoint with all writes to it, or None.

        Raises:
            MixCheckpointDamaged: A document that is needed is damaged or missing.
        """

        def look(content: Content) -> Steps[Stored | None]:
            wanted = checkpoint_id
            if wanted is None:
                wanted = yield from search.latest(self._documents, content, ns)
            return None if wanted is None else (yield from search.stored(self._documents, content, ns, wanted))

        return (yield from self._state.using(self._memory, thread_id, look))

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

        Args:
            thread_id: The thread.
            ns: Exactly this namespace, or None for all.
            before: Only ids smaller than this.
            start: Where the page before ended, or None to start with the newest. A page goes on in the state that the
                first one saw.
            limit: How many at most, of those that are wanted; None for all.
            wanted: Whether a checkpoint counts.

        Returns:
            The checkpoints, and where the next page starts, or None if there is no more.
        """
        question = paging.Question(ns, before, limit, wanted)

        def read(content: Content) -> Steps[tuple[list[Stored], Cursor | None]]:
            return (yield from paging.page(self._documents, content, question, start))

        if start is not None:
            try:
                return (yield from read(start.content))
            except MissingDocument:  # Replaced since the first page; the rest is read from what there is now.
                pass
        return (yield from self._state.using(self._memory, thread_id, read))

    def append(self, thread_id: str, entries: Sequence[Entry]) -> Steps[None]:
        """Stores entries, all or none. When it returns, every later read sees them.

        Args:
            thread_id: The thread.
            entries: Checkpoints and writes.

        Raises:
            MixStoreContended: Other writers were always faster; the entries may or may not be stored.
        """
        work = tuple(entries)
        for entry in work:
            check(entry)
        if not work:
            return
        memory, key = self._memory, names.key_of(thread_id)
        ticket = memory.lines.enter(key, work)
        try:
            yield Turn(ticket)
            if ticket.done:
                return
            group = memory.lines.take(ticket)
            done = False
            try:
                together = [entry for one in group for entry in one.work or ()]
                yield from self._writer.append(memory, thread_id, together)
                done = True
            finally:
                memory.lines.finish(group, done=done)
        finally:
            memory.lines.leave(ticket)

    def recall(self, thread_id: str, ns: str, checkpoint_id: str, channel: str, version: Any) -> Value | None:
        """Gives a value that this process has stored, from memory alone.

        Args:
            thread_id: The thread.
            ns: The namespace.
            checkpoint_id: The checkpoint it stands in, the parent of the one to be put.
            channel: The channel.
            version: The version that is looked for.

        Returns:
            The value if that checkpoint holds the channel in exactly that version, else None. None proves nothing.
        """
        lane = self._memory.owned(names.key_of(thread_id))
        return None if lane is None else lane.content.window.recall((ns, checkpoint_id), channel, version)

    def entries(self, thread_id: str) -> Steps[list[Entry]]:
        """Reads everything of a thread, in the order in which it was stored; replaced checkpoints only once."""
        return (yield from self._state.using(self._memory, thread_id, self._all))

    def rewrite(self, thread_id: str, change: Callable[[list[Entry]], Sequence[Entry]]) -> Steps[Rewritten]:
        """Replaces the whole content of a thread in one step: readers see the old or the new.

        Args:
            thread_id: The thread; it need not exist.
            change: Gets all entries in the order of `entries`, gives those to keep, or new ones. It is called again
                when another writer came in between, so nothing is lost that was stored meanwhile. What it raises ends
                the procedure, and nothing is changed.

        Returns:
            What was done.
        """
        before = yield from self.entries(thread_id)
        after = list(change(list(before)))
        if after == before:
            return Rewritten(len(before), len(after))
        memory, key = self._memory, names.key_of(thread_id)

        def make(content: Content) -> Steps[Content]:
            nonlocal before, after
            before = yield from self._all(content)
            after = list(change(list(before)))
            growth = self._writer.grow(key, Content())
            growth.add(after)
            for document in growth.documents:
                yield from self._documents.write(document)
            return growth.content

        def work() -> Steps[Rewritten]:
            old = yield from self._housekeeping.files_of(key)
            lane = yield from self._writer.replace(memory, thread_id, make)
            files, left = yield from self._housekeeping.discard(old, lane)
            return Rewritten(len(before), len(after), files, left)

        return (yield from self._in_turn(memory, key, work()))

    def delete(self, thread_id: str) -> Steps[Deleted]:
        """Deletes a thread with all its namespaces. One that never existed costs no write.

        Raises:
            MixCheckpointDamaged: It is sealed with another key, or of a later form: the empty thread that this saver
                would leave could not be read by those who use it.
        """
        memory, key = self._memory, names.key_of(thread_id)

        def work() -> Steps[Deleted]:
            try:
                content = yield from self._state.content(memory, thread_id)
            except ForeignDocument:
                raise
            except MixCheckpointDamaged:
                content = None  # It can be deleted all the same.
            if content is not None and content.is_empty:
                return Deleted(existed=False)
            listed = yield from self._housekeeping.files()
            lane = yield from self._writer.restart(memory, thread_id, Content())
            files, left = yield from self._housekeeping.discard(listed.get(key, ()), lane)
            return Deleted(existed=True, files=files + len(listed.get(names.visible(key), ())), left=left)

        return (yield from self._in_turn(memory, key, work()))

    def thread_ids(self) -> Steps[list[str]]:
        """Lists the threads that hold something: one listing of all files, then the state of each thread."""
        return (yield from self._housekeeping.thread_ids())

    def report(self, thread_id: str | None = None) -> Steps[Report]:
        """Counts what is stored of a thread, or of all, and finds files that nothing refers to."""
        return (yield from self._housekeeping.report(None if thread_id is None else names.key_of(thread_id)))

    def repair(self, thread_id: str | None = None, *, dry_run: bool = True, orphans: bool = False) -> Steps[Repair]:
        """Makes a damaged thread usable again with what is left of it, and says what was lost.

        A thread that an earlier version of this package has stored under visible names is moved to hidden ones.

        Args:
            thread_id: The thread, or None for all on the server.
            dry_run: Only tell what would be done.
            orphans: Also delete files of the store that nothing refers to. Do it while nobody writes.

        Returns:
            What was found and done.
        """
        memory = self._memory
        files = yield from self._housekeeping.files()
        keys = sorted({names.hidden(key) for key in files})
        wanted = {names.key_of(thread_id): thread_id} if thread_id is not None else dict.fromkeys(keys)
        steps: list[Repaired] = []
        left: list[str] = []
        for key, name in wanted.items():
            visible = files.get(names.visible(key))
            if key in files or not visible:
                mending = self._mender.repair(memory, key, name, files.get(key, ()), dry_run=dry_run, orphans=orphans)
                found, undeleted = yield from self._in_turn(memory, key, mending)
                steps += found
                left += undeleted
            if visible:
                moving = self._mender.move(memory, key, name, visible, dry_run=dry_run)
                steps += yield from self._in_turn(memory, key, moving)
        return Repair(dry_run, tuple(steps), tuple(left))

    def _all(self, content: Content) -> Steps[list[Entry]]:
        return (yield from search.entries(self._documents, content))

    @staticmethod
    def _in_turn(memory: Memory, key: str, work: Steps[T]) -> Steps[T]:
        ticket = memory.lines.enter(key, None)
        try:
            yield Turn(ticket)
            return (yield from work)
        finally:
            memory.lines.leave(ticket)


def _check(numbers: Mapping[str, float], *, at_least: int) -> None:
    for name, number in numbers.items():
        if not number >= at_least:
            raise MixConfigurationError(f"`{name}` is {number}; it is at least {at_least}.")
