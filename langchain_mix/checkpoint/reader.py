"""Finds the current state of a thread. The theory is at the head of `writer.py`.

Owns: which manifest counts, given owner file, epoch markers and manifests. Refuses to know: what is looked for in the
state (`queries.py`), and how it is changed (`writer.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from langchain_mix.checkpoint import names
from langchain_mix.checkpoint.documents import DocumentIO
from langchain_mix.checkpoint.encoding import MissingDocument, TornDocument, damaged
from langchain_mix.checkpoint.runtime import Steps
from langchain_mix.checkpoint.state import Manifest, OwnerClaim, ThreadState
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
        """Finds the manifest that counts, given the content of the owner file, or None if it cannot be read.

        Returns:
            The manifest, or None if nothing was ever stored.
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
