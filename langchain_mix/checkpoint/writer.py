"""Changes a thread: one writer at a time, on a server that can only overwrite whole files.

Owns: claiming an epoch, committing versions of its manifest, and which manifests this process owns. Refuses to know:
what entries mean, and how anyone waits (`runtime.py`).

Theory of operation
===================

Mix stores files, without compare-and-swap: the last upload of a name wins, a reader may meet an upload half-way, and an
upload whose reply was lost may still arrive at any later time. Three rules make a safe store of that:

1. A file that is ever overwritten has one writer, so that nobody overwrites what somebody else has stored. (Owner file
   and markers have several; they hold no entries.)
2. That writer has two copies of it and overwrites the older one, so that an upload that tears harms nothing that was
   acknowledged.
3. A writer that commits first writes, then looks; one that takes over first writes, then looks, too. So of two that
   overlap at least one sees the other.

Layout
------

All names begin with `.langchain-mix-ckpt-KEY`, where KEY is made of the thread's id (`names.py`).

    -r      owner file     {writer, epoch}: the last claim. Everybody who claims an epoch overwrites it.
    -gE     epoch marker   its existence says that epoch E is taken; what it holds does not matter. Never deleted.
    -lE-0   manifest of    {thread, writer, epoch, version, base, references, active segment}: the whole state of the
    -lE-1   epoch E        thread. Even versions are in copy 0, odd ones in copy 1. Written by the owner of E alone.
    -xU     index          references to segments or to other indexes; U is unique, the file immutable
    -sU     segment        entries (checkpoints and writes) that were in a manifest before; immutable
    -bU     blob           one big value; immutable

    owner file ──epoch──> manifest ──references──> index ──references──> segment ──references──> blob
                             └── active segment: the newest entries, inside of the manifest

`base` is the epoch whose manifest this one has gone on from. Documents carry a checksum, their kind and their own name;
a reference carries the checksum of what it refers to. So a document is whole, or an error that names it
(`encoding.py`).

Write
-----

The owner of epoch E, whose manifest has version v:

1. Uploads new segments, indexes and blobs; usually there are none.
2. Uploads the manifest, version v + 1, over the copy that has v - 1.
3. Reads the owner file. If it still holds this claim, the version is *committed*, and only then acknowledged. Else
   somebody has come: the entries count if the manifest of the present owner holds them (`_was_adopted`), or they are
   stored again by the same steps in a later epoch. Storing an entry twice is the same as storing it once.

Take-over
---------

1. Reads the owner file: E is its epoch, or the next one if E is marked already.
2. Writes {a new unique writer, E} to the owner file.
3. Looks for the marker of E. If it is there, E is the epoch after the last marked one; goes back to 2.
4. Writes the marker of E.
5. Reads the last manifest below E.
6. Reads the owner file. If it is unchanged, nobody else can ever own E. Else somebody has come: waits, tries a later E.

Its first commit (version 0) makes E the epoch that counts, and deletes manifests that nobody goes on from any more.

Read
----

The owner file names epoch E (`reader.py`). If this process owns E, what it remembers counts: one request. Else both
copies of the manifest of E are read, and the newer one counts: three. If the claimed epoch has no manifest yet,
somebody is taking it over, or died doing so; then the last manifest below it counts.

Crashes
-------

    a writer dies                          readers find                     the next writer
    -------------------------------------  -------------------------------  -----------------------------------------
    before the manifest is uploaded        the version before               goes on; new documents are orphans
    while the manifest is uploaded         the version before or after it,  goes on from what readers find; a torn copy
                                           or an error that names the torn  is an error for it, too, and `repair` falls
                                           copy (never the other copy: the  back on the other copy
                                           bad one may have been committed)
    after it, before the owner file is     the version after it, though it  goes on from it
    read                                   was not acknowledged
    after the owner file is claimed        the last manifest below          claims the same epoch
    after the marker is written            the last manifest below          claims the next epoch, skips the empty one
    while old manifests are deleted        the version that counts          leaves them to `report` and `repair`

Why it is safe
--------------

*An epoch has one owner.* Of two that claim E, let B be the one whose claim reached the owner file later. If A read the
owner file (6) before that, A had written the marker (4) before that, and B, who looks for it later (3), finds it. If A
reads the owner file after that, it finds B's claim there and gives up. So they cannot both succeed.

*What was acknowledged is never lost.* An owner uploads (2), then reads the owner file (3); a claimant writes the owner
file (2), then reads the manifest (5). If the owner still finds its own claim, the claimant had not written its own by
then, so that it reads the manifest later than the upload and goes on from it. The claimant reads (5) before its last
look (6): what it found missing was not deleted by a third one that has taken over completely meanwhile.

*What arrives late is harmless.* An upload of unknown outcome may still arrive. It is for a copy in the epoch of its
writer, who marks the manifest uncertain, never writes it again and claims a later epoch. It may be seen until that one
commits, by readers alone; it was never acknowledged.

*Entries in just any manifest prove nothing.* An owner that was superseded looks for its entries in the manifest of the
present owner, then reads the owner file again: a manifest that is skipped by a third owner may hold them as well.

*Nothing is deleted that somebody needs.* Only manifests below `base` go, oldest epoch and copy 0 first, so that a
reader that goes down the epochs never meets one that is skipped, and a lone copy 0 that is still there after both were
read is a first version and not half of a deletion. Epoch markers and the owner file stay: a slow writer could take an
old epoch.

Visible names
-------------

Earlier versions of this package stored the same files under names without a dot, which agents see. Who takes over a
thread that has such files closes them (their owner file gets a form that earlier versions refuse to read, and that
names the new epoch), copies what they hold into the hidden manifest it commits, and deletes them after that commit. A
hidden manifest counts as soon as there is one, so that a crash on the way leaves all of the old files or all of the
new. What an earlier version stores under visible names later is recognised by its owner file, and the next owner adds
it.

What holds this: `tests/unit_tests/checkpoint/test_interleavings.py` runs writers and readers request by request in all
orders, with uploads that are lost, late and torn, and shows of each rule that entries are lost without it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from langchain_mix import process_fork
from langchain_mix.checkpoint import names
from langchain_mix.checkpoint.documents import DocumentIO
from langchain_mix.checkpoint.encoding import TornDocument, damaged
from langchain_mix.checkpoint.reader import StateReader, all_entries
from langchain_mix.checkpoint.records import CheckpointRecord, Entry
from langchain_mix.checkpoint.runtime import Pause, Steps
from langchain_mix.checkpoint.state import Manifest, OwnerClaim, StateBuilder, StoreSettings, ThreadState
from langchain_mix.errors import MixCheckpointDamaged, MixError, MixStoreContended

T = TypeVar("T")

_LONGEST_PAUSE: Final = 2.0

_DELETED_AT_ONCE: Final = 4
"""Epochs whose manifests are deleted by one commit; usually there is one."""


class WriterCache:
    """The manifests that this process owns, as it left them. Its methods may be called from any Python thread.

    All of it may be forgotten: a writer that has forgotten its manifest claims a new epoch.
    """

    def __init__(self, most: int) -> None:
        """Starts empty; the manifests of `most` checkpoint threads are remembered."""
        self._most = most
        self._clear()
        process_fork.renew_in_child(self._clear)

    def _clear(self) -> None:
        """Forgets everything: what a parent owns, its forked child does not."""
        self._lock = threading.Lock()
        self._owned: OrderedDict[str, Manifest] = OrderedDict()
        self._uncertain: OrderedDict[str, Manifest] = OrderedDict()
        self._written: OrderedDict[str, int] = OrderedDict()

    def owned(self, key: str) -> Manifest | None:
        """Returns the manifest that this process owns, as it was last committed."""
        with self._lock:
            manifest = self._owned.get(key)
            if manifest is not None:
                self._owned.move_to_end(key)
            return manifest

    def commit(self, key: str, manifest: Manifest) -> None:
        """Stores a committed manifest."""
        with self._lock:
            self._keep(self._owned, key, manifest)
            self._keep(self._written, key, manifest.claim.epoch)
            self._uncertain.pop(key, None)

    def disown(self, key: str) -> None:
        """Forgets the manifest of a thread: somebody else has claimed it."""
        with self._lock:
            self._owned.pop(key, None)

    def mark_uncertain(self, key: str, manifest: Manifest) -> None:
        """Marks the manifest uncertain: the upload's outcome is unknown, so it must never be written again."""
        with self._lock:
            self._owned.pop(key, None)
            self._keep(self._uncertain, key, manifest)

    def uncertain(self, key: str, epoch: int) -> Manifest | None:
        """Returns the version whose upload may have torn a copy in that epoch; no other process wrote there."""
        with self._lock:
            manifest = self._uncertain.get(key)
            return manifest if manifest is not None and manifest.claim.epoch == epoch else None

    def is_uncertain(self, key: str) -> bool:
        """True if nothing was committed since an upload whose outcome is unknown."""
        with self._lock:
            return key in self._uncertain

    def note_written(self, key: str, claim: OwnerClaim) -> None:
        """Stores that a manifest of this epoch exists, so that its marker need not be looked for."""
        with self._lock:
            self._keep(self._written, key, claim.epoch)

    def is_written(self, key: str, epoch: int) -> bool:
        """True if a manifest of that epoch is known to exist."""
        with self._lock:
            return self._written.get(key) == epoch

    def _keep(self, kept: OrderedDict[str, T], key: str, value: T) -> None:
        kept[key] = value
        kept.move_to_end(key)
        if len(kept) > self._most:
            kept.popitem(last=False)


class _Superseded(Exception):
    """Another writer has claimed the thread meanwhile."""


class Writer:
    """Changes threads. Its methods are called by one procedure per checkpoint thread at a time (`ThreadStore`)."""

    def __init__(
        self,
        documents: DocumentIO,
        reader: StateReader,
        cache: WriterCache,
        *,
        settings: StoreSettings,
        fresh: Callable[[], str],
        chance: Callable[[], float],
    ) -> None:
        """Takes what `ThreadStore` was given."""
        self._documents = documents
        self._reader = reader
        self._cache = cache
        self._settings = settings
        self._fresh = fresh
        self._chance = chance

    def append(self, thread_id: str, entries: Sequence[Entry]) -> Steps[None]:
        """Adds entries to a thread.

        Raises:
            MixStoreContended: Others were faster in every attempt.
            MixError: The server cannot be reached, or fails.
        """
        key = names.key_of(thread_id)
        unknown = 0
        for attempt in range(self._settings.attempts):
            if attempt:
                yield from self._pause(attempt)
            try:
                if (yield from self._append_once(thread_id, key, entries)):
                    return
            except _Superseded:
                continue
            except MixError as problem:
                # A write of unknown outcome is made again in a later epoch, where it cannot meet itself.
                unknown += 1
                if problem.acted == "no" or unknown > self._settings.retries:
                    raise
        raise _contended(acted=True)

    def replace(self, thread_id: str, make: Callable[[ThreadState], Steps[ThreadState]]) -> Steps[Manifest]:
        """Replaces the whole state of a thread, in a new epoch: no older version of the manifest can come back.

        `make` returns the new state, given the present one. It is called again when others came in between.

        Raises:
            MixStoreContended: Others were faster in every attempt.
        """
        key = names.key_of(thread_id)
        for attempt in range(self._settings.attempts):
            if attempt:
                yield from self._pause(attempt)
            try:
                manifest = yield from self._claim_thread(thread_id, key)
                state = yield from self._unless_superseded(key, manifest.claim, make(manifest.state))
            except _Superseded:
                continue
            made = manifest.following(state)
            if (yield from self._commit(key, made)) == made.claim:
                return made
        raise _contended(acted=True)

    def restart(self, thread_id: str, state: ThreadState, *, close_visible: bool = True) -> Steps[Manifest]:
        """Replaces the whole state of a thread without reading it, in a new epoch.

        With `close_visible`, replaces what an earlier version has stored under visible names, too.

        Raises:
            MixStoreContended: Others were faster in every attempt.
        """
        key = names.key_of(thread_id)

        def begin(claim: OwnerClaim) -> Steps[Manifest]:
            mark = (yield from self._close_visible(key, claim.epoch)) if close_visible else None
            return Manifest(thread_id, claim, 0, state, moved=mark)

        for attempt in range(self._settings.attempts):
            if attempt:
                yield from self._pause(attempt)
            manifest = yield from self._claim_epoch(key, begin)
            if (yield from self._commit(key, manifest)) == manifest.claim:
                return manifest
        raise _contended(acted=True)

    def builder(self, key: str, state: ThreadState) -> StateBuilder:
        """Returns a builder that adds entries to a state."""
        return StateBuilder(
            state, key=key, settings=self._settings, encryption=self._documents.encryption, fresh=self._fresh
        )

    def _append_once(self, thread_id: str, key: str, entries: Sequence[Entry]) -> Steps[bool]:
        """Makes one attempt; True if every later read sees the entries."""
        manifest = self._cache.owned(key)
        if manifest is None:
            manifest = yield from self._claim_thread(thread_id, key)
        builder = self.builder(key, manifest.state)
        builder.add(entries)
        for document in builder.documents:  # Before the manifest that refers to them.
            yield from self._documents.write(document)
        following = manifest.following(builder.state)
        last = yield from self._commit(key, following)
        if last == following.claim and following.version == 0 and following.skipped_base >= 0:
            yield from self._delete_skipped(key, following)
        return last == following.claim or (yield from self._was_adopted(key, entries, last))

    def _commit(self, key: str, manifest: Manifest) -> Steps[OwnerClaim | None]:
        """Writes a manifest, and returns the owner file after the upload: it is committed if its own claim is there."""
        written = False
        try:
            yield from self._documents.write_manifest(key, manifest)
            written = True
            last = yield from self._documents.current_owner(key)
        except MixError as problem:
            if written:
                problem.acted = "unknown"  # Of the commit: the request that failed only reads.
            if problem.acted != "no":
                self._cache.mark_uncertain(key, manifest)
            raise
        except BaseException:  # Cancelled, or interrupted: the upload may have arrived, or may still.
            self._cache.mark_uncertain(key, manifest)
            raise
        if last == manifest.claim:
            self._cache.commit(key, manifest)
            if manifest.moved is not None and manifest.version == 0:
                yield from self._delete_visible(key, manifest.moved)
        else:
            self._cache.disown(key)
        return last

    def _was_adopted(self, key: str, entries: Sequence[Entry], last: OwnerClaim | None) -> Steps[bool]:
        """True if the present owner has these entries in its manifest, and is still the present owner afterwards.

        Both are needed: any other manifest may hold the entries and still be skipped by the present owner.
        """
        if last is None:
            return False
        manifest = yield from self._unless_superseded(key, last, self._documents.manifest(key, last.epoch))
        if manifest is None or manifest.claim != last:
            return False
        self._cache.note_written(key, last)
        if not _holds(manifest.state, entries):
            return False
        return (yield from self._documents.current_owner(key)) == last

    def _claim_thread(self, thread_id: str, key: str) -> Steps[Manifest]:
        """Takes a thread over; returns a manifest of version -1, not written yet, that holds what is stored."""

        def go_on(claim: OwnerClaim) -> Steps[Manifest]:
            before = yield from self._manifest_before(thread_id, key, claim.epoch)
            manifest = Manifest(thread_id, claim, -1, ThreadState())
            if before is not None:
                # What was read from a file cannot be extended: the last value of each channel is needed for that.
                active = before.state.active.resumed()
                blobs = yield from self._documents.blobs(active.last_blobs())
                state = ThreadState(before.state.refs, active.with_blobs(blobs))
                manifest = Manifest(thread_id, claim, -1, state, before.claim.epoch, before.base)
            mark = yield from self._close_visible(key, claim.epoch, before=before, whole=True)
            if mark is not None and not (before is not None and before.holds(mark)):
                manifest = replace(manifest, state=(yield from self._merge_visible(manifest, mark)))
            return replace(manifest, moved=mark)

        return (yield from self._claim_epoch(key, go_on))

    def _claim_epoch(self, key: str, begin: Callable[[OwnerClaim], Steps[T]]) -> Steps[T]:
        """Becomes the only owner of an epoch; see "Take-over" above. Returns the result of `begin`.

        `begin` reads what the owner starts with. It is done before the last look at the owner file: then what it found,
        or did not find, cannot have been replaced and deleted by another one unnoticed.
        """
        epoch = yield from self._first_free_epoch(key)
        for attempt in range(self._settings.attempts):
            mine = OwnerClaim(self._fresh(), epoch)
            yield from self._documents.write_owner(key, mine)
            if (yield from self._documents.is_epoch_taken(key, epoch)):
                epoch = (yield from self._documents.last_taken_epoch(key, epoch)) + 1
                continue
            yield from self._documents.write_epoch_marker(key, mine)
            found: T | MixCheckpointDamaged
            try:
                found = yield from begin(mine)
            except MixCheckpointDamaged as problem:
                found = problem  # Or files that a later owner has replaced and is deleting: the owner file decides.
            last = yield from self._documents.current_owner(key)
            if last == mine and isinstance(found, MixCheckpointDamaged):
                raise found
            if last == mine and not isinstance(found, MixCheckpointDamaged):
                return found
            yield from self._pause(attempt + 1)
            # Not the same epoch again: its marker is written, and the other claimant may have taken it.
            epoch = max(epoch + 1, 0 if last is None else last.epoch)
        raise _contended(acted=False)

    def _first_free_epoch(self, key: str) -> Steps[int]:
        """Returns an epoch that may be free. All before it are taken: `last_taken_epoch` relies on that."""
        try:
            claim = yield from self._documents.settled_owner(key)
        except TornDocument:
            claim = OwnerClaim("", 0)
        if claim is None:
            return 0
        # Only this epoch's marker is looked for: the next one is, after it was claimed, by `_claim_epoch`.
        taken = self._cache.is_written(key, claim.epoch) or (
            yield from self._documents.is_epoch_taken(key, claim.epoch)
        )
        return claim.epoch + taken

    def _manifest_before(self, thread_id: str, key: str, epoch: int) -> Steps[Manifest | None]:
        """Finds the last manifest below an epoch."""
        for earlier in range(epoch - 1, -1, -1):
            try:
                manifest = yield from self._documents.manifest(key, earlier)
            except MixCheckpointDamaged:
                # A copy that an upload of this very process has torn: what it was to hold is remembered.
                manifest = self._cache.uncertain(key, earlier)
                if manifest is None:
                    raise
            if manifest is not None and manifest.thread_id != thread_id:
                raise damaged(names.manifest(key, earlier, 0), f"belongs to the thread {manifest.thread_id!r}")
            if manifest is not None:
                return manifest
        return None

    def _unless_superseded(self, key: str, claim: OwnerClaim, steps: Steps[T]) -> Steps[T]:
        """Runs steps that read documents; a later owner may have replaced these and be deleting them.

        Raises:
            _Superseded: Something was damaged, and the claim does not hold any more.
            MixCheckpointDamaged: Something is damaged.
        """
        try:
            return (yield from steps)
        except MixCheckpointDamaged as problem:
            if (yield from self._documents.current_owner(key)) == claim:
                raise
            raise _Superseded from problem

    def _delete_skipped(self, key: str, manifest: Manifest) -> Steps[None]:
        """Deletes manifests from which no writer goes on any more, but not the one before this.

        They are only in the way. Those that cannot be deleted now are found by `report` and `repair`.
        """
        for epoch in range(max(manifest.skipped_base, manifest.base - _DELETED_AT_ONCE), manifest.base):
            for copy in (0, 1):  # In this order: see `DocumentIO.manifest`.
                try:
                    yield from self._documents.session_files.delete(names.manifest(key, epoch, copy))
                except MixError:
                    return

    # Visible names

    def _close_visible(
        self, key: str, epoch: int, *, before: Manifest | None = None, whole: bool = False
    ) -> Steps[OwnerClaim | None]:
        """Closes the thread's visible files, so that their owners cannot store anything there unnoticed.

        `epoch` is that of hidden names in which they are moved; `whole` is True if their content is needed.

        Returns:
            What their owner file holds now, or None if there are none.

        Raises:
            MixCheckpointDamaged: It is needed, and their owner file is missing or cannot be opened.
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

    def _merge_visible(self, manifest: Manifest, mark: OwnerClaim) -> Steps[ThreadState]:
        """Adds the content of the visible files to the state of a manifest; all of it goes into new files.

        Raises:
            MixCheckpointDamaged: A document that is needed is damaged or missing.
        """
        key = names.key_of(manifest.thread_id)
        visible = names.visible(key)
        old = yield from self._reader.manifest(visible, mark)
        state = ThreadState() if old is None else old.state
        known = yield from all_entries(self._documents, manifest.state)
        places = {(entry.ns, entry.checkpoint_id) for entry in known if isinstance(entry, CheckpointRecord)}
        builder = self.builder(key, manifest.state)
        builder.add(
            entry
            for entry in (yield from all_entries(self._documents, state))
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
            listed = yield from self._documents.session_files.listing()
            mine = [file for info in listed if (file := names.parse(info.name)) is not None and file.key == visible]
            for file in sorted(mine, key=_in_clearing):
                yield from self._documents.session_files.delete(file.name)
        except MixError:
            return

    def _pause(self, attempt: int) -> Steps[None]:
        """Waits a random time, which doubles with each attempt, so that contending writers get out of step."""
        longest = min(self._settings.backoff * 2.0 ** (attempt - 1), _LONGEST_PAUSE)
        if longest:
            yield Pause(longest * self._chance())


def _holds(state: ThreadState, entries: Sequence[Entry]) -> bool:
    """True if all entries are in the active segment, unchanged; what cannot be decided without reading counts as no."""
    places = {(entry.ns, entry.checkpoint_id) for entry in entries}
    held = [
        state.active.entry(row, {})
        for row in state.active.rows
        if row.place in places and not any(state.active.blobs_of(row))
    ]
    return all(entry in held for entry in entries)


def _in_clearing(file: names.FileName) -> tuple[int, int, int]:
    """Sorts files that are deleted after a move.

    Oldest manifests first, as in `GarbageCollector.delete`; the owner file, which says that all has been moved, last.
    """
    return {"manifest": 0, "owner": 2}.get(file.kind, 1), file.epoch, file.copy


def _contended(*, acted: bool) -> MixStoreContended:
    return MixStoreContended(
        "Other writers of the thread were faster in every attempt.",
        acted="unknown" if acted else "no",
        hint="Store the same again; that is safe. Threads are best written by one process at a time.",
    )
