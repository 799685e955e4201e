"""Who listens: the open event streams and what is queued for each.

Owns: fan-out, the bounded queue of each connection and its silent drops (Q5), and the order of what bypasses it.
Refuses to know: how events are written (`streams.py`) and what they mean.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from types import coroutine
from typing import Any, Final

from langchain_mix.emulator.agents.base import Gate
from langchain_mix.emulator.fault_kinds import EventFault, Fault, InvalidUTF8, Memory, MissingId
from langchain_mix.emulator.faults import Faults
from langchain_mix.emulator.vocabulary import Event

INBOUND_SIZE: Final = 100
"""Mix 0.5: messages that wait for a stream's turn; further ones are lost."""


@coroutine
def give_way() -> Generator[None, Any, None]:
    """Lets every other ready task run once, as the server's parallel goroutines would by themselves."""
    yield


@dataclass(eq=False)
class Connection:
    """An open event stream, seen from those who fill it.

    Attributes:
        session_id: The session it was opened for.
        queue_size: How many events wait for a slow reader before more are dropped; None is no limit.
        faults: The server's faults.
        inbound: Messages that POST /stream/{id}/message put on it (Mix 0.5).
        busy: Whether it runs a turn itself (Mix 0.5).
        dropped: Events that found the queue full.
        closed: Whether nothing more is to be written.
        ended: Whether the server itself ends the answer in good order.
        writing: Whether a write is under way, which takes long if the reader is slow.
    """

    session_id: str
    queue_size: int | None
    faults: Faults
    inbound: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(INBOUND_SIZE))
    busy: bool = False
    dropped: int = 0
    closed: bool = False
    ended: bool = False
    writing: bool = False
    _queue: deque[Event] = field(default_factory=deque)
    _urgent: deque[Event] = field(default_factory=deque)
    _memory: dict[Fault, Memory] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _forget: list[Callable[[], None]] = field(default_factory=list)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def say(self, message: str) -> None:
        """Puts a message on the stream, which runs it as a turn (Mix 0.5); when too many wait it is lost."""
        if not self.inbound.full():
            self.inbound.put_nowait(message)

    def offer(self, event: Event) -> None:
        """Queues an event, or drops it if the queue is full."""
        self._shaped(event, self._enqueue)

    def offer_directly(self, event: Event) -> None:
        """Has an event written past the bounded queue.

        Nothing drops it, and it overtakes what a slow reader keeps waiting.
        """
        self._shaped(event, self._put_first if self.writing else self._put_last)

    def _shaped(self, event: Event, put: Callable[[Event], None]) -> None:
        pieces = [event]
        for fault in self.faults.of(EventFault):
            if fault.session in {None, self.session_id} and not isinstance(fault, InvalidUTF8 | MissingId):
                pieces = [shaped for piece in pieces for shaped in self._apply(fault, piece)]
        for piece in pieces:
            put(piece)

    def _apply(self, fault: EventFault, event: Event) -> list[Event]:
        memory = self._memory.setdefault(fault, Memory())
        now: list[Event] = []
        for piece, gate in fault.shape(event, memory, lambda: self.faults.take(fault)):
            if gate is None:
                now.append(piece)
            else:
                self._forget.append(gate.when_open(partial(self._call_soon, self._enqueue, piece)))
        return now

    def raw(self, event: Event, written: bytes) -> bytes:
        """The bytes of an event after the faults that spoil bytes."""
        for fault in self.faults.of(EventFault):
            if not isinstance(fault, InvalidUTF8 | MissingId) or fault.session not in {None, self.session_id}:
                continue
            if fault.due(event, self._memory.setdefault(fault, Memory())) and self.faults.take(fault):
                written = fault.bytes(written)
        return written

    def _call_soon(self, function: Callable[..., None], *arguments: Any) -> None:
        self._loop.call_soon_threadsafe(function, *arguments)

    def _enqueue(self, event: Event) -> None:
        if self.queue_size is not None and len(self._queue) >= self.faults.queue_size(self.queue_size):
            self.dropped += 1
            self.faults.overflowed()
            return
        self._put_last(event)

    def _put_last(self, event: Event) -> None:
        self._queue.append(event)
        self._wake.set()

    def _put_first(self, event: Event) -> None:
        self._urgent.append(event)
        self._wake.set()

    async def next(self) -> Event | None:
        """Waits for the next event to write.

        Returns:
            The event, or None once the connection is closed.
        """
        while not self.closed:
            if self._urgent:
                return self._urgent.popleft()
            if self._queue:
                return self._queue.popleft()
            await self._woken()
        return None

    async def until_open(self, gate: Gate) -> None:
        """Waits until a gate is open or the connection closed."""
        self._forget.append(gate.when_open(partial(self._call_soon, self._wake.set)))
        while not (gate.is_open or self.closed):
            await self._woken()

    async def _woken(self) -> None:
        self._wake.clear()
        await self._wake.wait()

    def end(self) -> None:
        """Has the answer end in good order."""
        self.ended = True
        self.close()

    def close(self) -> None:
        """Ends the connection: what is still queued is never written."""
        self.closed = True
        self._wake.set()
        for forget in self._forget:
            forget()
        self._forget.clear()


class Hub:
    """All open event streams of a server."""

    def __init__(self) -> None:
        """Begins with none."""
        self._connections: dict[str, list[Connection]] = {}

    def join(self, connection: Connection) -> None:
        """Registers a connection; from now on it gets its session's events."""
        self._connections.setdefault(connection.session_id, []).append(connection)

    def leave(self, connection: Connection) -> None:
        """Forgets a connection."""
        connection.close()
        rest = [one for one in self._connections.get(connection.session_id, ()) if one is not connection]
        if rest:
            self._connections[connection.session_id] = rest
        else:
            self._connections.pop(connection.session_id, None)

    def of(self, session_id: str) -> list[Connection]:
        """The connections of a session."""
        return list(self._connections.get(session_id, ()))

    def publish(self, session_id: str, event: Event) -> None:
        """Queues an event on every connection of a session. Without one it vanishes."""
        for connection in self._connections.get(session_id, ()):
            connection.offer(event)

    def publish_directly(self, session_id: str, event: Event) -> None:
        """Has an event written past the queues of a session's connections."""
        for connection in self._connections.get(session_id, ()):
            connection.offer_directly(event)

    def broadcast(self, event: Event) -> None:
        """Queues an event on every connection of every session."""
        for connections in list(self._connections.values()):
            for connection in connections:
                connection.offer(event)

    def close(self) -> None:
        """Ends all connections."""
        for connections in list(self._connections.values()):
            for connection in list(connections):
                connection.close()
