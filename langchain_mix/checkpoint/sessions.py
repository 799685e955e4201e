"""Mix sessions that no checkpoint needs any more.

Owns: finding and deleting them. Mix cannot tell who made a session, so that a session counts as a thread's own if its
messages point to it, and goes only on demand, only if no checkpoint of any thread in the same place points to it, and
never if it is the one that the store works through. Refuses to know: sessions that are pinned or kept by other means.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from langchain_mix.checkpoint.shelf import Item, Shelf, Steps
from langchain_mix.errors import MixError, MixNotFoundError
from langchain_mix.protocol import calls
from langchain_mix.protocol.call import ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What was removed, or would be.

    Attributes:
        checkpoints: The ids of checkpoints, by thread.
        sessions: Sessions that were deleted, or would be.
        spared: Sessions that some checkpoint still points to, that the store works through, or that do not say what the
            thread says.
    """

    checkpoints: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sessions: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()


def sessions_of(items: Iterable[Item], server: str) -> set[str]:
    """The sessions on a server that checkpoints point to, in their values or in writes that wait at them."""
    return {
        position.session_id
        for item in items
        for position in (*item.positions, *(p for write in item.writes for p in write.positions))
        if position.server == server
    }


def unneeded(
    shelf: Shelf, server: str, candidates: set[str], *, but: Iterable[str] = (), kept: Iterable[Item] = ()
) -> Steps[set[str]]:
    """Finds those of some sessions that no checkpoint points to.

    Args:
        shelf: Where the checkpoints are; every thread is read.
        server: The base URL of the Mix server.
        candidates: The sessions.
        but: Threads that are not read, since it is known what is to stay of them.
        kept: What that is.

    Returns:
        Those sessions.
    """
    left = candidates - sessions_of(kept, server)
    if not left:
        return left
    skipped = set(but)
    for thread_id in (yield from shelf.thread_ids()):
        if thread_id not in skipped and left:
            snapshot = yield from shelf.snapshot(thread_id)
            left -= sessions_of(snapshot.items, server)
    return left


def delete_sessions(session_ids: Iterable[str]) -> Steps[None]:
    """Deletes sessions; one that is gone already is no error.

    Raises:
        MixError: The server refuses; the others are deleted all the same.
    """
    problem: MixError | None = None
    for session_id in session_ids:
        try:
            yield from ask(calls.delete_session(session_id))
        except MixNotFoundError:
            continue
        except MixError as failure:
            failure.add_note(f"The checkpoints are removed; session {session_id} is left.")
            problem = problem or failure
    if problem is not None:
        raise problem
