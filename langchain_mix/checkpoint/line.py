"""Who may change a thread now, among all threads and tasks of this process.

Owns: turns, first come first served, and work that whoever has the turn does for those behind. Refuses to know: how
anyone waits; waiters bring a callback.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_mix import forking
from langchain_mix.checkpoint.records import Entry


@dataclass(slots=True, eq=False)
class Ticket:
    """A place in the line of a thread.

    Attributes:
        lines: The lines it belongs to.
        key: The thread.
        work: Entries to be stored, which somebody else may do. None for other work.
        loop: The event loop whose task holds it, if one does.
        granted: Whether it is its turn.
        taken: Whether somebody is storing its entries.
        done: Whether its entries are stored.
    """

    lines: Lines
    key: str
    work: Sequence[Entry] | None
    loop: asyncio.AbstractEventLoop | None = None
    granted: bool = False
    taken: bool = False
    done: bool = False
    wake: Callable[[], Any] | None = field(default=None, repr=False)

    def await_turn(self, wake: Callable[[], Any]) -> bool:
        """Tells whether there is nothing to wait for; else `wake` is called once, from any thread, when that is so."""
        return self.lines.await_turn(self, wake)

    def is_behind(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether somebody before it waits for, or works in, that event loop."""
        return self.lines.is_behind(self, loop)


@dataclass(slots=True)
class _Line:
    holder: Ticket | None = None
    waiting: deque[Ticket] = field(default_factory=deque)


class Lines:
    """The lines of all threads."""

    def __init__(self) -> None:
        """Starts with nobody in line."""
        self._clear()
        forking.renew_in_child(self._clear)

    def _clear(self) -> None:
        """Sends everybody away: those who stand in line at a fork do so in the parent."""
        self._lock = threading.Lock()
        self._lines: dict[str, _Line] = {}

    def enter(self, key: str, work: Sequence[Entry] | None) -> Ticket:
        """Joins a line.

        Args:
            key: The thread.
            work: Entries to be stored; None for other work.

        Returns:
            The ticket, to be given back with `leave`.
        """
        with self._lock:
            line = self._lines.setdefault(key, _Line())
            ticket = Ticket(self, key, work)
            if line.holder is None:
                line.holder, ticket.granted = ticket, True
            else:
                line.waiting.append(ticket)
            return ticket

    def await_turn(self, ticket: Ticket, wake: Callable[[], Any]) -> bool:
        """Does what `Ticket.await_turn` says."""
        with self._lock:
            if ticket.granted or ticket.done:
                return True
            ticket.wake = wake
            return False

    def is_behind(self, ticket: Ticket, loop: asyncio.AbstractEventLoop) -> bool:
        """Does what `Ticket.is_behind` says."""
        with self._lock:
            line = self._lines.get(ticket.key, _Line())
            for other in (line.holder, *line.waiting):
                if other is ticket:
                    return False
                if other is not None and other.loop is loop:
                    return True
            return False

    def take(self, ticket: Ticket) -> list[Ticket]:
        """Takes over the work of those behind.

        Args:
            ticket: Whoever has the turn, with work.

        Returns:
            It and those whose work it takes, in order.
        """
        with self._lock:
            others = [one for one in self._lines[ticket.key].waiting if one.work is not None]
            for one in others:
                one.taken = True
            return [ticket, *others]

    def finish(self, tickets: Sequence[Ticket], *, done: bool) -> None:
        """Ends what `take` began.

        Args:
            tickets: What it gave.
            done: Whether the work was done; else it is left to its owners.
        """
        awake = []
        with self._lock:
            for ticket in tickets:
                ticket.taken = False
                if not done:
                    continue
                ticket.done = True
                line = self._lines.get(ticket.key)
                if line is not None and ticket in line.waiting:
                    line.waiting.remove(ticket)
                    awake.append(ticket)
        for ticket in awake:
            _wake(ticket)

    def leave(self, ticket: Ticket) -> None:
        """Gives a turn back, or a place in the line. May be called twice."""
        leaving: Ticket | None = ticket
        while leaving is not None:
            heir = self._pass_on(leaving)
            leaving = heir if heir is not None and not _wake(heir) else None

    def _pass_on(self, ticket: Ticket) -> Ticket | None:
        with self._lock:
            line = self._lines.get(ticket.key)
            if line is None:
                return None
            if line.holder is not ticket:
                if ticket in line.waiting:
                    line.waiting.remove(ticket)
                return None
            line.holder = line.waiting.popleft() if line.waiting else None
            if line.holder is None:
                del self._lines[ticket.key]
            else:
                line.holder.granted = True
            return line.holder


def _wake(ticket: Ticket) -> bool:
    """Wakes a waiter; False if its event loop is closed, so that nobody is left who could do anything."""
    if ticket.wake is None:
        return True
    try:
        ticket.wake()
    except RuntimeError:
        return False
    return True
