"""How one writer at a time changes a thread, on a server that can only overwrite files.

Owns: taking an epoch, and committing to its lane. Refuses to know: what is stored, and who waits for whom in this
process (`line.py`).

The owner of an epoch uploads its lane, then reads the register; whoever arrives writes the register, then reads the
lane. At least one of them sees the other. If the owner does, its entries may or may not have been taken over, and it
stores them again as the owner of a later epoch; storing an entry twice is the same as storing it once.

Earlier versions of this package stored the same files under names that agents see. Who takes an epoch of a thread that
has such files moves all they hold: it closes them, by an announcement in their register that earlier versions refuse to
read and that names the new epoch; copies what they hold into the hidden lane it commits; and deletes them once that is
committed. A hidden lane counts as soon as there is one, so a crash on the way leaves all of the old files or all of the
new. What an earlier version stores under visible names afterwards is recognised by its announcement, and the owner of
the next epoch adds it.

Taking an epoch: write {writer, epoch} to the register; look for the epoch's gate; write the gate; read the last lane;
read the register. If there was no gate and the register is unchanged, nobody else can ever own the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from langchain_mix.checkpoint import names, search
from langchain_mix.checkpoint.codec import TornDocument, damaged
from langchain_mix.checkpoint.content import Content, Growth, Limits
from langchain_mix.checkpoint.documents import Documents
from langchain_mix.checkpoint.effects import Pause, Steps
from langchain_mix.checkpoint.lanes import Arrival, Lane
from langchain_mix.checkpoint.memory import Memory
from langchain_mix.checkpoint.records import CheckpointRecord, Entry
from langchain_mix.checkpoint.state import State
from langchain_mix.errors import MixCheckpointDamaged, MixError, MixStoreContended

T = TypeVar("T")

_LONGEST_PAUSE: Final = 2.0

_CLEARED: Final = 4
"""Epochs whose lanes are deleted at once; usually there is one."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a writer tries; see `Threads`."""

    attempts: int
    backoff: float
    retries: int


class _Overtaken(Exception):
    """Somebody has come meanwhile."""


class Writer:
    """Changes threads."""

    def __init__(
        self,
        documents: Documents,
        state: State,
        *,
        limits: Limits,
        patience: Patience,
        fresh: Callable[[], str],
        chance: Callable[[], float],
    ) -> None:
        """Takes what `Threads` was given.

        Args:
            documents: Reads and writes documents.
            state: Finds the current state.
            limits: When something moves out of a lane.
            patience: How long to try.
            fresh: Makes 32 hexadecimal digits that were never used.
            chance: Makes a random number from 0 to 1.
        """
        self._documents = documents
        self._state = state
        self._limits = limits
        self._patience = patience
        self._fresh = fresh
        self._chance = chance

    def append(self, memory: Memory, thread_id: str, entries: Sequence[Entry]) -> Steps[None]:
        """Adds entries to a thread.

        Args:
            memory: What this process remembers.
            thread_id: The thread.
            entries: The entries.

        Raises:
            MixStoreContended: Others were faster in every attempt.
            MixError: The server cannot be reached, or fails.
        """
        key = names.key_of(thread_id)
        unknown = 0
        for attempt in range(self._patience.attempts):
            if attempt:
                yield from self._pause(attempt)
            try:
                if (yield from self._append_once(memory, thread_id, key, entries)):
                    return
            except _Overtaken:
                continue
            except MixError as problem:
                unknown += 1
                if problem.acted == "no" or unknown > self._patience.retries:
                    raise
        raise self._contended(acted=True)

    def replace(self, memory: Memory, thread_id: str, make: Callable[[Content], Steps[Content]]) -> Steps[Lane]:
        """Replaces all that a thread holds, in an epoch of its own: no other version of the lane can come back.

        Args:
            memory: What this process remembers.
            thread_id: The thread.
            make: Gets what the thread holds and gives what it is to hold. It is called again when others came in
                between.

        Returns:
            The new lane.

        Raises:
            MixStoreContended: Others were faster in every attempt.
        """
        key = names.key_of(thread_id)
        for attempt in range(self._patience.attempts):
            if attempt:
                yield from self._pause(attempt)
            try:
                lane = yield from self._claim(memory, thread_id, key)
                content = yield from self._unless_overtaken(key, lane.arrival, make(lane.content))
            except _Overtaken:
                continue
            made = lane.following(content)
            if (yield from self._publish(memory, key, made)) == made.arrival:
                return made
        raise self._contended(acted=True)

    def restart(self, memory: Memory, thread_id: str, content: Content, *, close: bool = True) -> Steps[Lane]:
        """Replaces all that a thread holds without looking at it; an epoch of its own, as in `replace`.

        Args:
            memory: What this process remembers.
            thread_id: The thread.
            content: What it is to hold.
            close: Whether that also replaces what an earlier version has stored under visible names.

        Returns:
            The new lane.

        Raises:
            MixStoreContended: Others were faster in every attempt.
        """
        key = names.key_of(thread_id)

        def look(arrival: Arrival) -> Steps[Lane]:
            mark = (yield from self._close_visible(key, arrival.epoch)) if close else None
            return Lane(thread_id, arrival, 0, content, moved=mark)

        for attempt in range(self._patience.attempts):
            if attempt:
                yield from self._pause(attempt)
            lane = yield from self._take(memory, key, look)
            if (yield from self._publish(memory, key, lane)) == lane.arrival:
                return lane
        raise self._contended(acted=True)

    def grow(self, key: str, content: Content) -> Growth:
        """Starts to add entries to content."""
        return Growth(content, key=key, limits=self._limits, seal=self._documents.seal, fresh=self._fresh)

    def _append_once(self, memory: Memory, thread_id: str, key: str, entries: Sequence[Entry]) -> Steps[bool]:
        lane = memory.owned(key)
        if lane is None:
            lane = yield from self._claim(memory, thread_id, key)
        growth = self.grow(key, lane.content)
        growth.add(entries)
        for document in growth.documents:
            yield from self._documents.write(document)
        following = lane.following(growth.content)
        last = yield from self._publish(memory, key, following)
        if last == following.arrival and following.version == 0 and following.passed >= 0:
            yield from self._clear_away(key, following)
        return last == following.arrival or (yield from self._is_taken_over(memory, key, entries, last))

    def _publish(self, memory: Memory, key: str, lane: Lane) -> Steps[Arrival | None]:
        """Writes a lane and tells who came last: it is committed if that is still its writer."""
        written = False
        try:
            yield from self._documents.write_lane(key, lane)
            written = True
            last = yield from self._documents.last_arrival(key)
        except MixError as problem:
            if written:
                problem.acted = "unknown"  # That of the whole; the request that failed only reads.
            if problem.acted != "no":
                memory.doubt(key, lane)
            raise
        except BaseException:  # Cancelled, or interrupted.
            memory.doubt(key, lane)  # It may have arrived, or may still: this lane is never written again.
            raise
        if last == lane.arrival:
            memory.own(key, lane)
            if lane.moved is not None and lane.version == 0:
                yield from self._clear_visible(key, lane.moved)
        else:
            memory.forget(key)
        return last

    def _is_taken_over(self, memory: Memory, key: str, entries: Sequence[Entry], last: Arrival | None) -> Steps[bool]:
        """Whether whoever came last has these entries in its lane, and is still the last who came.

        Both are needed. The lane of anybody else may have these entries and still be passed over by the last one.
        """
        if last is None:
            return False
        lane = yield from self._unless_overtaken(key, last, self._documents.lane(key, last.epoch))
        if lane is None or lane.arrival != last:
            return False
        memory.saw(key, last)
        if not _holds(lane.content, entries):
            return False
        return (yield from self._documents.last_arrival(key)) == last

    def _claim(self, memory: Memory, thread_id: str, key: str) -> Steps[Lane]:
        """Becomes the only owner of an epoch, with all that was stored before."""

        def look(arrival: Arrival) -> Steps[Lane]:
            before = yield from self._before(memory, thread_id, key, arrival.epoch)
            lane = Lane(thread_id, arrival, -1, Content())
            if before is not None:
                window = before.content.window.resumed()
                blobs = yield from self._documents.blobs(window.last_blobs())
                content = Content(before.content.refs, window.acquainted(blobs))
                lane = Lane(thread_id, arrival, -1, content, before.arrival.epoch, before.base)
            mark = yield from self._close_visible(key, arrival.epoch, before=before, whole=True)
            if mark is not None and not (before is not None and before.holds(mark)):
                lane = replace(lane, content=(yield from self._joined(lane, mark)))
            return replace(lane, moved=mark)

        return (yield from self._take(memory, key, look))

    def _close_visible(
        self, key: str, epoch: int, *, before: Lane | None = None, whole: bool = False
    ) -> Steps[Arrival | None]:
        """Keeps owners of the thread's visible files from storing anything there unnoticed.

        Args:
            key: The thread.
            epoch: The epoch of hidden names in which they are moved.
            before: The last hidden lane before it.
            whole: Whether what they hold is needed.

        Returns:
            What their register holds now, or None if there are none.

        Raises:
            MixCheckpointDamaged: It is needed, and their register is missing or cannot be opened.
        """
        visible = names.visible(key)
        try:
            last = yield from self._documents.settled_arrival(visible)
        except MixCheckpointDamaged as problem:
            if whole and not isinstance(problem, TornDocument):
                raise
            last = Arrival("", 0)
        if last is None:
            if whole and before is None and (yield from self._documents.is_taken(visible, 0)):
                raise damaged(names.register(visible), "is missing, though the thread has been written to")
            return None
        if last.moved_in is None:
            last = last.closed(self._fresh(), epoch)
            yield from self._documents.close(visible, last)
        return last

    def _files_of(self, key: str) -> Steps[list[names.FileName]]:
        listed = [names.parse(info.name) for info in (yield from self._documents.door.listing())]
        return [what for what in listed if what is not None and what.key == key]

    def _joined(self, lane: Lane, mark: Arrival) -> Steps[Content]:
        """Adds what the visible files hold to what a lane holds; all of it goes into new files.

        Raises:
            MixCheckpointDamaged: A document that is needed is damaged or missing.
        """
        key = names.key_of(lane.thread_id)
        visible = names.visible(key)
        old = yield from self._state.lane(visible, mark)
        content = Content() if old is None else old.content
        known = yield from search.entries(self._documents, lane.content)
        places = {(entry.ns, entry.checkpoint_id) for entry in known if isinstance(entry, CheckpointRecord)}
        growth = self.grow(key, lane.content)
        growth.add(
            entry
            for entry in (yield from search.entries(self._documents, content))
            if not (isinstance(entry, CheckpointRecord) and (entry.ns, entry.checkpoint_id) in places)
            and entry not in known
        )
        if (yield from self._documents.last_arrival(visible)) != mark:
            raise _Overtaken
        for document in growth.documents:
            yield from self._documents.write(document)
        return growth.content

    def _clear_visible(self, key: str, mark: Arrival) -> Steps[None]:
        """Deletes the visible files whose content has been moved.

        What cannot be deleted now, the next owner of an epoch or `repair` deletes.
        """
        visible = names.visible(key)
        try:
            if (yield from self._documents.last_arrival(visible)) != mark:
                return  # An earlier version has stored something again: the next owner of an epoch adds it.
            for what in sorted((yield from self._files_of(visible)), key=_in_clearing):
                yield from self._documents.door.delete(what.name)
        except MixError:
            return

    def _take(self, memory: Memory, key: str, look: Callable[[Arrival], Steps[T]]) -> Steps[T]:
        """Becomes the only owner of an epoch.

        Args:
            memory: What this process remembers.
            key: The thread.
            look: Looks at what there is. It is done before the last look at the register, so that nobody can have
                replaced and deleted what it found, or did not find, if that tells that nobody has come.

        Returns:
            What was found.
        """
        epoch = yield from self._first_guess(memory, key)
        for attempt in range(self._patience.attempts):
            mine = Arrival(self._fresh(), epoch)
            yield from self._documents.announce(key, mine)
            if (yield from self._documents.is_taken(key, epoch)):
                epoch = (yield from self._documents.last_taken(key, epoch)) + 1
                continue
            yield from self._documents.take(key, mine)
            found: T | MixCheckpointDamaged
            try:
                found = yield from look(mine)
            except MixCheckpointDamaged as problem:
                found = problem
            last = yield from self._documents.last_arrival(key)
            if last == mine and isinstance(found, MixCheckpointDamaged):
                raise found
            if last == mine and not isinstance(found, MixCheckpointDamaged):
                return found
            yield from self._pause(attempt + 1)
            epoch = max(epoch + 1, 0 if last is None else last.epoch)
        raise self._contended(acted=False)

    def _unless_overtaken(self, key: str, arrival: Arrival, steps: Steps[T]) -> Steps[T]:
        """Tells damage from documents that somebody who came meanwhile has replaced and is deleting."""
        try:
            return (yield from steps)
        except MixCheckpointDamaged as problem:
            if (yield from self._documents.last_arrival(key)) == arrival:
                raise
            raise _Overtaken from problem

    def _first_guess(self, memory: Memory, key: str) -> Steps[int]:
        """An epoch that may be free. All before it are taken: on that, the search for the last one relies."""
        try:
            arrival = yield from self._documents.settled_arrival(key)
        except TornDocument:
            arrival = Arrival("", 0)
        if arrival is None:
            return 0
        # Whether the next one is free is looked for after it is announced, so not here.
        taken = memory.is_written(key, arrival.epoch) or (yield from self._documents.is_taken(key, arrival.epoch))
        return arrival.epoch + taken

    def _before(self, memory: Memory, thread_id: str, key: str, epoch: int) -> Steps[Lane | None]:
        """The last lane before an epoch."""
        for earlier in range(epoch - 1, -1, -1):
            try:
                lane = yield from self._documents.lane(key, earlier)
            except MixCheckpointDamaged:
                lane = memory.doubtful(key, earlier)
                if lane is None:
                    raise
            if lane is not None and lane.thread_id != thread_id:
                raise damaged(names.lane(key, earlier, 0), f"belongs to the thread {lane.thread_id!r}")
            if lane is not None:
                return lane
        return None

    def _clear_away(self, key: str, lane: Lane) -> Steps[None]:
        """Deletes lanes that nobody goes on from any more, but not the one before this.

        They are only in the way. Those that cannot be deleted now are found by `report` and `repair`.
        """
        for epoch in range(max(lane.passed, lane.base - _CLEARED), lane.base):
            for slot in (0, 1):
                try:
                    yield from self._documents.door.delete(names.lane(key, epoch, slot))
                except MixError:
                    return

    def _pause(self, attempt: int) -> Steps[None]:
        longest = min(self._patience.backoff * 2.0 ** (attempt - 1), _LONGEST_PAUSE)
        if longest:
            yield Pause(longest * self._chance())

    @staticmethod
    def _contended(*, acted: bool) -> MixStoreContended:
        return MixStoreContended(
            "Other writers of the thread were faster in every attempt.",
            acted="unknown" if acted else "no",
            hint="Store the same again; that is safe. Threads are best written by one process at a time.",
        )


def _holds(content: Content, entries: Sequence[Entry]) -> bool:
    """Whether all entries stand in the window, as they are; what cannot be told counts as no."""
    places = {(entry.ns, entry.checkpoint_id) for entry in entries}
    held = [
        content.window.entry(row, {})
        for row in content.window.rows
        if row.place in places and not any(content.window.blobs_of(row))
    ]
    return all(entry in held for entry in entries)


def _in_clearing(what: names.FileName) -> tuple[int, int, int]:
    """Sorts files that are deleted after a move.

    Oldest lanes first, as in `Housekeeping.delete`; the register, which says that all has been moved, last.
    """
    return {"lane": 0, "register": 2}.get(what.kind, 1), what.epoch, what.slot
