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

from langchain_mix.checkpoint import names, queries
from langchain_mix.checkpoint.documents import DocumentIO
from langchain_mix.checkpoint.encoding import TornDocument, damaged
from langchain_mix.checkpoint.reader import StateReader
from langchain_mix.checkpoint.records import CheckpointRecord, Entry
from langchain_mix.checkpoint.runtime import Pause, Steps
from langchain_mix.checkpoint.state import Limits, Manifest, OwnerClaim, StateBuilder, ThreadState
from langchain_mix.checkpoint.writer_cache import WriterCache
from langchain_mix.errors import MixCheckpointDamaged, MixError, MixStoreContended

T = TypeVar("T")

_LONGEST_PAUSE: Final = 2.0

_CLEARED: Final = 4
"""Epochs whose lanes are deleted at once; usually there is one."""


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """How long a writer tries; see `ThreadStore`."""

    attempts: int
    backoff: float
    retries: int


class _Superseded(Exception):
    """Somebody has come meanwhile."""


class Writer:
    """Changes threads."""

    def __init__(
        self,
        documents: DocumentIO,
        reader: StateReader,
        *,
        limits: Limits,
        budget: RetryBudget,
        fresh: Callable[[], str],
        chance: Callable[[], float],
    ) -> None:
        """Takes what `ThreadStore` was given.

        Args:
            documents: Reads and writes documents.
            reader: Finds the current state.
            limits: When something moves out of a lane.
            budget: How long to try.
            fresh: Makes 32 hexadecimal digits that were never used.
            chance: Makes a random number from 0 to 1.
        """
        self._documents = documents
        self._reader = reader
        self._limits = limits
        self._budget = budget
        self._fresh = fresh
        self._chance = chance

    def append(self, writer_cache: WriterCache, thread_id: str, entries: Sequence[Entry]) -> Steps[None]:
        """Adds entries to a thread.

        Args:
            writer_cache: What this process remembers.
            thread_id: The thread.
            entries: The entries.

        Raises:
            MixStoreContended: Others were faster in every attempt.
            MixError: The server cannot be reached, or fails.
        """
        key = names.key_of(thread_id)
        unknown = 0
        for attempt in range(self._budget.attempts):
            if attempt:
                yield from self._pause(attempt)
            try:
                if (yield from self._append_once(writer_cache, thread_id, key, entries)):
                    return
            except _Superseded:
                continue
            except MixError as problem:
                unknown += 1
                if problem.acted == "no" or unknown > self._budget.retries:
                    raise
        raise self._contended(acted=True)

    def replace(
        self, writer_cache: WriterCache, thread_id: str, make: Callable[[ThreadState], Steps[ThreadState]]
    ) -> Steps[Manifest]:
        """Replaces all that a thread holds, in an epoch of its own: no other version of the lane can come back.

        Args:
            writer_cache: What this process remembers.
            thread_id: The thread.
            make: Gets what the thread holds and gives what it is to hold. It is called again when others came in
                between.

        Returns:
            The new lane.

        Raises:
            MixStoreContended: Others were faster in every attempt.
        """
        key = names.key_of(thread_id)
        for attempt in range(self._budget.attempts):
            if attempt:
                yield from self._pause(attempt)
            try:
                manifest = yield from self._claim_thread(writer_cache, thread_id, key)
                state = yield from self._unless_superseded(key, manifest.claim, make(manifest.state))
            except _Superseded:
                continue
            made = manifest.following(state)
            if (yield from self._commit(writer_cache, key, made)) == made.claim:
                return made
        raise self._contended(acted=True)

    def restart(
        self, writer_cache: WriterCache, thread_id: str, state: ThreadState, *, close_visible: bool = True
    ) -> Steps[Manifest]:
        """Replaces all that a thread holds without looking at it; an epoch of its own, as in `replace`.

        Args:
            writer_cache: What this process remembers.
            thread_id: The thread.
            state: What it is to hold.
            close_visible: Whether that also replaces what an earlier version has stored under visible names.

        Returns:
            The new lane.

        Raises:
            MixStoreContended: Others were faster in every attempt.
        """
        key = names.key_of(thread_id)

        def look(claim: OwnerClaim) -> Steps[Manifest]:
            mark = (yield from self._close_visible(key, claim.epoch)) if close_visible else None
            return Manifest(thread_id, claim, 0, state, moved=mark)

        for attempt in range(self._budget.attempts):
            if attempt:
                yield from self._pause(attempt)
            manifest = yield from self._claim_epoch(writer_cache, key, look)
            if (yield from self._commit(writer_cache, key, manifest)) == manifest.claim:
                return manifest
        raise self._contended(acted=True)

    def builder(self, key: str, state: ThreadState) -> StateBuilder:
        """Starts to add entries to content."""
        return StateBuilder(
            state, key=key, limits=self._limits, encryption=self._documents.encryption, fresh=self._fresh
        )

    def _append_once(
        self, writer_cache: WriterCache, thread_id: str, key: str, entries: Sequence[Entry]
    ) -> Steps[bool]:
        manifest = writer_cache.owned(key)
        if manifest is None:
            manifest = yield from self._claim_thread(writer_cache, thread_id, key)
        builder = self.builder(key, manifest.state)
        builder.add(entries)
        for document in builder.documents:
            yield from self._documents.write(document)
        following = manifest.following(builder.state)
        last = yield from self._commit(writer_cache, key, following)
        if last == following.claim and following.version == 0 and following.skipped_base >= 0:
            yield from self._delete_skipped(key, following)
        return last == following.claim or (yield from self._was_adopted(writer_cache, key, entries, last))

    def _commit(self, writer_cache: WriterCache, key: str, manifest: Manifest) -> Steps[OwnerClaim | None]:
        """Writes a lane and tells who came last: it is committed if that is still its writer."""
        written = False
        try:
            yield from self._documents.write_manifest(key, manifest)
            written = True
            last = yield from self._documents.current_owner(key)
        except MixError as problem:
            if written:
                problem.acted = "unknown"  # That of the whole; the request that failed only reads.
            if problem.acted != "no":
                writer_cache.mark_uncertain(key, manifest)
            raise
        except BaseException:  # Cancelled, or interrupted.
            writer_cache.mark_uncertain(
                key, manifest
            )  # It may have arrived, or may still: this lane is never written again.
            raise
        if last == manifest.claim:
            writer_cache.own(key, manifest)
            if manifest.moved is not None and manifest.version == 0:
                yield from self._delete_visible(key, manifest.moved)
        else:
            writer_cache.forget(key)
        return last

    def _was_adopted(
        self, writer_cache: WriterCache, key: str, entries: Sequence[Entry], last: OwnerClaim | None
    ) -> Steps[bool]:
        """Whether whoever came last has these entries in its lane, and is still the last who came.

        Both are needed. The lane of anybody else may have these entries and still be passed over by the last one.
        """
        if last is None:
            return False
        manifest = yield from self._unless_superseded(key, last, self._documents.manifest(key, last.epoch))
        if manifest is None or manifest.claim != last:
            return False
        writer_cache.note_written(key, last)
        if not _holds(manifest.state, entries):
            return False
        return (yield from self._documents.current_owner(key)) == last

    def _claim_thread(self, writer_cache: WriterCache, thread_id: str, key: str) -> Steps[Manifest]:
        """Becomes the only owner of an epoch, with all that was stored before."""

        def look(claim: OwnerClaim) -> Steps[Manifest]:
            before = yield from self._manifest_before(writer_cache, thread_id, key, claim.epoch)
            manifest = Manifest(thread_id, claim, -1, ThreadState())
            if before is not None:
                active = before.state.active.resumed()
                blobs = yield from self._documents.blobs(active.last_blobs())
                state = ThreadState(before.state.refs, active.acquainted(blobs))
                manifest = Manifest(thread_id, claim, -1, state, before.claim.epoch, before.base)
            mark = yield from self._close_visible(key, claim.epoch, before=before, whole=True)
            if mark is not None and not (before is not None and before.holds(mark)):
                manifest = replace(manifest, state=(yield from self._merge_visible(manifest, mark)))
            return replace(manifest, moved=mark)

        return (yield from self._claim_epoch(writer_cache, key, look))

    def _close_visible(
        self, key: str, epoch: int, *, before: Manifest | None = None, whole: bool = False
    ) -> Steps[OwnerClaim | None]:
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
            last = yield from self._documents.settled_owner(visible)
        except MixCheckpointDamaged as problem:
            if whole and not isinstance(problem, TornDocument):
                raise
            last = OwnerClaim("", 0)
        if last is None:
            if whole and before is None and (yield from self._documents.is_epoch_taken(visible, 0)):
                raise damaged(names.owner(visible), "is missing, though the thread has been written to")
            return None
        if last.moved_in is None:
            last = last.closed(self._fresh(), epoch)
            yield from self._documents.write_closed_owner(visible, last)
        return last

    def _files_of(self, key: str) -> Steps[list[names.FileName]]:
        listed = [names.parse(info.name) for info in (yield from self._documents.session_files.listing())]
        return [what for what in listed if what is not None and what.key == key]

    def _merge_visible(self, manifest: Manifest, mark: OwnerClaim) -> Steps[ThreadState]:
        """Adds what the visible files hold to what a lane holds; all of it goes into new files.

        Raises:
            MixCheckpointDamaged: A document that is needed is damaged or missing.
        """
        key = names.key_of(manifest.thread_id)
        visible = names.visible(key)
        old = yield from self._reader.manifest(visible, mark)
        state = ThreadState() if old is None else old.state
        known = yield from queries.entries(self._documents, manifest.state)
        places = {(entry.ns, entry.checkpoint_id) for entry in known if isinstance(entry, CheckpointRecord)}
        builder = self.builder(key, manifest.state)
        builder.add(
            entry
            for entry in (yield from queries.entries(self._documents, state))
            if not (isinstance(entry, CheckpointRecord) and (entry.ns, entry.checkpoint_id) in places)
            and entry not in known
        )
        if (yield from self._documents.current_owner(visible)) != mark:
            raise _Superseded
        for document in builder.documents:
            yield from self._documents.write(document)
        return builder.state

    def _delete_visible(self, key: str, mark: OwnerClaim) -> Steps[None]:
        """Deletes the visible files whose content has been moved.

        What cannot be deleted now, the next owner of an epoch or `repair` deletes.
        """
        visible = names.visible(key)
        try:
            if (yield from self._documents.current_owner(visible)) != mark:
                return  # An earlier version has stored something again: the next owner of an epoch adds it.
            for what in sorted((yield from self._files_of(visible)), key=_in_clearing):
                yield from self._documents.session_files.delete(what.name)
        except MixError:
            return

    def _claim_epoch(self, writer_cache: WriterCache, key: str, look: Callable[[OwnerClaim], Steps[T]]) -> Steps[T]:
        """Becomes the only owner of an epoch.

        Args:
            writer_cache: What this process remembers.
            key: The thread.
            look: Looks at what there is. It is done before the last look at the register, so that nobody can have
                replaced and deleted what it found, or did not find, if that tells that nobody has come.

        Returns:
            What was found.
        """
        epoch = yield from self._first_free_epoch(writer_cache, key)
        for attempt in range(self._budget.attempts):
            mine = OwnerClaim(self._fresh(), epoch)
            yield from self._documents.write_owner(key, mine)
            if (yield from self._documents.is_epoch_taken(key, epoch)):
                epoch = (yield from self._documents.last_taken_epoch(key, epoch)) + 1
                continue
            yield from self._documents.write_epoch_marker(key, mine)
            found: T | MixCheckpointDamaged
            try:
                found = yield from look(mine)
            except MixCheckpointDamaged as problem:
                found = problem
            last = yield from self._documents.current_owner(key)
            if last == mine and isinstance(found, MixCheckpointDamaged):
                raise found
            if last == mine and not isinstance(found, MixCheckpointDamaged):
                return found
            yield from self._pause(attempt + 1)
            epoch = max(epoch + 1, 0 if last is None else last.epoch)
        raise self._contended(acted=False)

    def _unless_superseded(self, key: str, claim: OwnerClaim, steps: Steps[T]) -> Steps[T]:
        """Tells damage from documents that somebody who came meanwhile has replaced and is deleting."""
        try:
            return (yield from steps)
        except MixCheckpointDamaged as problem:
            if (yield from self._documents.current_owner(key)) == claim:
                raise
            raise _Superseded from problem

    def _first_free_epoch(self, writer_cache: WriterCache, key: str) -> Steps[int]:
        """An epoch that may be free. All before it are taken: on that, the search for the last one relies."""
        try:
            claim = yield from self._documents.settled_owner(key)
        except TornDocument:
            claim = OwnerClaim("", 0)
        if claim is None:
            return 0
        # Whether the next one is free is looked for after it is announced, so not here.
        taken = writer_cache.is_written(key, claim.epoch) or (
            yield from self._documents.is_epoch_taken(key, claim.epoch)
        )
        return claim.epoch + taken

    def _manifest_before(
        self, writer_cache: WriterCache, thread_id: str, key: str, epoch: int
    ) -> Steps[Manifest | None]:
        """The last lane before an epoch."""
        for earlier in range(epoch - 1, -1, -1):
            try:
                manifest = yield from self._documents.manifest(key, earlier)
            except MixCheckpointDamaged:
                manifest = writer_cache.uncertain(key, earlier)
                if manifest is None:
                    raise
            if manifest is not None and manifest.thread_id != thread_id:
                raise damaged(names.manifest(key, earlier, 0), f"belongs to the thread {manifest.thread_id!r}")
            if manifest is not None:
                return manifest
        return None

    def _delete_skipped(self, key: str, manifest: Manifest) -> Steps[None]:
        """Deletes lanes that nobody goes on from any more, but not the one before this.

        They are only in the way. Those that cannot be deleted now are found by `report` and `repair`.
        """
        for epoch in range(max(manifest.skipped_base, manifest.base - _CLEARED), manifest.base):
            for copy in (0, 1):
                try:
                    yield from self._documents.session_files.delete(names.manifest(key, epoch, copy))
                except MixError:
                    return

    def _pause(self, attempt: int) -> Steps[None]:
        longest = min(self._budget.backoff * 2.0 ** (attempt - 1), _LONGEST_PAUSE)
        if longest:
            yield Pause(longest * self._chance())

    @staticmethod
    def _contended(*, acted: bool) -> MixStoreContended:
        return MixStoreContended(
            "Other writers of the thread were faster in every attempt.",
            acted="unknown" if acted else "no",
            hint="Store the same again; that is safe. Threads are best written by one process at a time.",
        )


def _holds(state: ThreadState, entries: Sequence[Entry]) -> bool:
    """Whether all entries stand in the window, as they are; what cannot be told counts as no."""
    places = {(entry.ns, entry.checkpoint_id) for entry in entries}
    held = [
        state.active.entry(row, {})
        for row in state.active.rows
        if row.place in places and not any(state.active.blobs_of(row))
    ]
    return all(entry in held for entry in entries)


def _in_clearing(what: names.FileName) -> tuple[int, int, int]:
    """Sorts files that are deleted after a move.

    Oldest lanes first, as in `GarbageCollector.delete`; the register, which says that all has been moved, last.
    """
    return {"manifest": 0, "owner": 2}.get(what.kind, 1), what.epoch, what.copy
