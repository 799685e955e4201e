"""Copying a thread together with the Mix sessions it stands in.

Owns: forking each session as far as the thread needs it, and the pointers of the copy. Two threads never write into one
session: a session that cannot be forked (Mix 0.8 has no fork) is not referred to by the copy, whose next turn ChatMix
then begins in a session of its own, with the conversation as a transcript. Refuses to know: where checkpoints are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from langchain_mix.checkpoint.ownership import Ownership
from langchain_mix.checkpoint.positions import read_position
from langchain_mix.checkpoint.shelf import Item, Shelf, Steps, not_empty
from langchain_mix.errors import MixError, MixInputError, MixUnsupportedError
from langchain_mix.protocol import calls, flows
from langchain_mix.protocol.api import ServerApi
from langchain_mix.protocol.call import ask

TITLE: Final = "Copy of a thread"
"""Title of forked sessions."""

_PLACE: Final = ("server", "session_id", "message_id", "user_message_id", "row_count", "digest", "setup", "model")


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy did.

    Attributes:
        checkpoints: How many checkpoints were copied.
        sessions: The sessions of the source that were forked, each with its fork.
        unforked: The sessions of the source that the copy does not refer to: Mix cannot fork, or the session does not
            say what the thread says.
    """

    checkpoints: int = 0
    sessions: Mapping[str, str] = field(default_factory=dict)
    unforked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Forked:
    """A session and its fork.

    Attributes:
        session_id: The fork.
        rows: The place of each row of the source that the fork has too, counted from 1, by its id.
        copies: The ids of the fork's rows, in order.
    """

    session_id: str
    rows: Mapping[str, int]
    copies: Sequence[str]


def copy_thread(shelf: Shelf, server_api: ServerApi, server: str, source: str, target: str) -> Steps[Copied]:
    """Copies a thread.

    Args:
        shelf: Where the checkpoints are.
        server_api: What is known of the Mix server.
        server: Its base URL.
        source: The thread to copy. One that does not exist gives a copy that does not exist either.
        target: The new thread.

    Returns:
        What was done. When it fails, forks that were made are deleted again.
    """
    if source == target:
        raise MixInputError(f"Thread {source!r} cannot be copied to itself.")
    snapshot = yield from shelf.snapshot(source)
    if not snapshot.items:
        return Copied()
    if (yield from shelf.snapshot(target)).items:
        raise not_empty(target)
    forks: dict[str, Forked] = {}
    sessions = _rows_needed(snapshot.items, server)
    owned = Ownership(shelf, server, source, snapshot.items)
    try:
        for session_id, message_ids in sessions.items():
            try:
                fork = yield from _fork(server_api, session_id, message_ids, forks, owned)
            except MixUnsupportedError:
                break
            if fork is not None:
                forks[session_id] = fork
        yield from shelf.create(target, snapshot, lambda pointer: _renewed(pointer, server, forks))
    except GeneratorExit:
        raise
    except BaseException as problem:  # Cancelled, too.
        yield from _undo(forks.values(), problem)
        raise
    return Copied(
        checkpoints=len(snapshot.items),
        sessions={session_id: fork.session_id for session_id, fork in forks.items()},
        unforked=tuple(session_id for session_id in sessions if session_id not in forks),
    )


def _undo(forks: Iterable[Forked], problem: BaseException) -> Steps[None]:
    """Deletes forks after a failure; what cannot be deleted is a note of it."""
    for fork in forks:
        try:
            yield from ask(calls.delete_session(fork.session_id))
        except MixError as failure:
            problem.add_note(f"Session {fork.session_id} was made for the copy and is left: {failure}")


def _rows_needed(items: Sequence[Item], server: str) -> dict[str, set[str]]:
    """The sessions of a thread on this server, and the messages it points to in each."""
    found: dict[str, set[str]] = {}
    for item in items:
        for position in (*item.positions, *(p for write in item.writes for p in write.positions)):
            if position.server == server:
                found.setdefault(position.session_id, set()).add(position.message_id)
    return found


def _fork(
    server_api: ServerApi,
    session_id: str,
    message_ids: set[str],
    forks: dict[str, Forked],
    owned: Ownership,
) -> Steps[Forked | None]:
    """Forks a session as far as the thread needs it; None if it does not hold the messages, or not any more."""
    if server_api.detected.supports("fork") is False:
        raise MixUnsupportedError("This Mix server has no fork.")
    listed = yield from ask(calls.list_messages(session_id))
    places = {row.id: index for index, row in enumerate(listed, 1)}
    own = message_ids & (yield from owned.proven(session_id, listed))
    count = max((places[one] for one in own), default=0)
    if not count:
        return None
    # Mix 0.5 to 0.7: the index counts all rows, those of tools included, and is exclusive.
    made = yield from flows.fork_session(server_api, session_id, count, TITLE)
    forks[session_id] = Forked(made.id, {}, ())  # From here on it is to be deleted should anything fail.
    copies = yield from ask(calls.list_messages(made.id))
    if [row.role for row in copies[:count]] != [row.role for row in listed[:count]]:
        del forks[session_id]
        yield from ask(calls.delete_session(made.id))
        return None  # Somebody rewound the session meanwhile: the fork is no copy of what was read.
    rows = {row: place for row, place in places.items() if place <= count}
    return Forked(made.id, rows, tuple(row.id for row in copies))


def _renewed(pointer: Mapping[str, Any], server: str, forks: Mapping[str, Forked]) -> Mapping[str, Any]:
    """The pointer that a message of the copy has in the place of the source's.

    A fork has no prompt (Mix 0.5 to 0.7), so that it knows no setup. A pointer to what was not forked loses its place
    and keeps what else it tells, such as the cost.
    """
    position = read_position(pointer)
    if position is None:
        return pointer
    fork = forks.get(position.session_id) if position.server == server else None
    place = fork.rows.get(position.message_id) if fork is not None else None
    if fork is None or place is None:
        return {key: value for key, value in pointer.items() if key not in _PLACE}
    asked = fork.rows.get(position.user_message_id)
    renewed = {
        **pointer,
        "session_id": fork.session_id,
        "message_id": fork.copies[place - 1],
        "user_message_id": "" if asked is None else fork.copies[asked - 1],
        "row_count": place,
    }
    return {**renewed, "setup": "", "model": ""} if "setup" in pointer else renewed
