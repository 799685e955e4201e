"""Removing what is not needed any more: checkpoints first, then the sessions that only they pointed to.

Owns: the order of steps, so that what fails in between leaves nothing that points to nothing. Refuses to know: which
checkpoints may go (`pruning.py`), which sessions (`sessions.py`), and where anything is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from langchain_mix.checkpoint.ownership import Ownership
from langchain_mix.checkpoint.pruning import without_runs
from langchain_mix.checkpoint.sessions import Removed, delete_sessions, sessions_of, unneeded
from langchain_mix.checkpoint.shelf import Item, Keep, Shelf, Steps
from langchain_mix.protocol import calls
from langchain_mix.protocol.call import ask

_NOTHING: Final = Keep(frozenset())


@dataclass(frozen=True, slots=True)
class Removal:
    """Removes from one place.

    Attributes:
        shelf: Where the threads are.
        server: The base URL of the Mix server.
        door: The session that the store works through, if it has one; it is never deleted.
    """

    shelf: Shelf
    server: str
    door: str | None = None

    def thread(self, thread_id: str, *, sessions: bool) -> Steps[None]:
        """Removes a thread, and its sessions if asked to."""
        if sessions:
            yield from self.checkpoints([thread_id], None, sessions=True)
        else:
            yield from self.shelf.delete(thread_id)

    def runs(self, run_ids: Collection[str]) -> Steps[None]:
        """Removes what runs have stored, in all threads."""
        if not run_ids:
            return
        for thread_id in (yield from self.shelf.threads_of_runs(run_ids)):
            yield from self.shelf.revise(thread_id, lambda items: without_runs(items, run_ids))

    def checkpoints(
        self,
        thread_ids: Sequence[str],
        decide: Callable[[Sequence[Item]], Keep] | None,
        *,
        sessions: bool = False,
        dry_run: bool = False,
    ) -> Steps[Removed]:
        """Removes what is not to stay of some threads, then the sessions that only that pointed to.

        Args:
            thread_ids: The threads.
            decide: Tells what stays of each; None removes them altogether.
            sessions: Whether sessions go too.
            dry_run: Only tell what would be done.

        Returns:
            What was done.
        """
        removed: dict[str, tuple[str, ...]] = {}
        candidates: set[str] = set()
        own: set[str] = set()
        kept: list[Item] = []
        for thread_id in dict.fromkeys(thread_ids):
            snapshot = yield from self.shelf.snapshot(thread_id)
            keep = _NOTHING if decide is None else decide(snapshot.items)
            gone = [item for item in snapshot.items if item.key not in keep.checkpoints]
            kept += [item for item in snapshot.items if item.key in keep.checkpoints]
            if gone:
                removed[thread_id] = tuple(item.checkpoint_id for item in gone)
            if gone and sessions:
                pointed = sessions_of(gone, self.server)
                candidates |= pointed
                own |= yield from self._own(thread_id, gone, pointed - own)
            if decide is None and not dry_run:
                yield from self.shelf.delete(thread_id)
            elif decide is not None and gone and not dry_run:
                yield from self.shelf.revise(thread_id, decide)
        if not sessions:
            return Removed(checkpoints=removed)
        # What goes is still there in a dry run, so that what stays of these threads is known otherwise.
        skipped = list(removed) if dry_run else []
        needless = yield from unneeded(self.shelf, self.server, own, but=skipped, kept=kept)
        going = sorted(needless - {self.door})
        if not dry_run:
            yield from delete_sessions(going)
        return Removed(checkpoints=removed, sessions=tuple(going), spared=tuple(sorted(candidates - set(going))))

    def _own(self, thread_id: str, items: Sequence[Item], session_ids: Collection[str]) -> Steps[set[str]]:
        """Finds the sessions that say what the thread says. Others are not deleted, whatever messages point to."""
        own: set[str] = set()
        owned = Ownership(self.shelf, self.server, thread_id, items)
        for session_id in session_ids:
            rows = yield from ask(calls.list_messages(session_id))
            if (yield from owned.proven(session_id, rows)):
                own.add(session_id)
        return own
