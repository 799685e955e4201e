"""One turn at a time per session in a process.

Owns: who may run a turn in a session now, and who is next. Refuses to know: how anyone waits; waiters bring a callback.

Mix has no busy check: a second message starts a second run over the same history, and both spoil each other.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from langchain_mix import errors, forking

_REMEMBERED: Final = 1024


@dataclass(slots=True, eq=False)
class Ticket:
    """A place in the queue of a session.

    Attributes:
        key: The server and the session.
        wake: Called once, from any thread, when it is this ticket's turn.
        granted: Whether it is this ticket's turn.
    """

    key: tuple[str, str]
    wake: Callable[[], None]
    granted: bool = False


@dataclass(slots=True)
class _Session:
    holder: Ticket | None = None
    waiting: deque[Ticket] = field(default_factory=deque)


class Slots:
    """The sessions in which this process runs turns."""

    def __init__(self) -> None:
        """Starts with no turn running."""
        self._lock = threading.Lock()
        self._sessions: dict[tuple[str, str], _Session] = {}
        self._stale: OrderedDict[tuple[str, str], str] = OrderedDict()
        forking.renew_in_child(self._renew)

    def _renew(self) -> None:
        """Lets go of the turns of the parent, which runs them on. Errors that may come once more still may."""
        self._lock = threading.Lock()
        self._sessions = {}

    def enter(self, key: tuple[str, str], wake: Callable[[], None], *, wait: bool) -> Ticket:
        """Asks for a session.

        Args:
            key: The server and the session.
            wake: Called once, from any thread, when the session is free; never during this call.
            wait: Whether to queue behind a running turn.

        Returns:
            The ticket; `granted` tells whether the session is free now.

        Raises:
            MixSessionBusy: A turn runs and `wait` is false.
        """
        with self._lock:
            session = self._sessions.setdefault(key, _Session())
            ticket = Ticket(key, wake)
            if session.holder is None:
                session.holder, ticket.granted = ticket, True
            elif wait:
                session.waiting.append(ticket)
            else:
                raise errors.MixSessionBusy(
                    f"Session {key[1]} already runs a turn of this process.",
                    hint="Wait for it, close it, or pass multitask_strategy='enqueue'.",
                )
            return ticket

    def leave(self, ticket: Ticket) -> None:
        """Gives a session back, or a place in its queue. May be called twice."""
        with self._lock:
            session = self._sessions.get(ticket.key)
            if session is None:
                return
            if session.holder is not ticket:
                if ticket in session.waiting:
                    session.waiting.remove(ticket)
                return
            session.holder = session.waiting.popleft() if session.waiting else None
            heir = session.holder
            if heir is None:
                del self._sessions[ticket.key]
            else:
                heir.granted = True
        if heir is not None:
            heir.wake()

    def stale_error(self, key: tuple[str, str]) -> str:
        """Text of an error of the session's last turn that may come once more."""
        with self._lock:
            return self._stale.get(key, "")

    def remember(self, key: tuple[str, str], stale_error: str) -> None:
        """Keeps that text for the session's next turn, or forgets it if it is empty."""
        with self._lock:
            self._stale.pop(key, None)
            if stale_error:
                self._stale[key] = stale_error
                if len(self._stale) > _REMEMBERED:
                    self._stale.popitem(last=False)


SLOTS: Final = Slots()
"""Those of this process: two clients for one server must not run turns in one session at once either."""
