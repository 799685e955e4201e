"""Event streams: who subscribes, what is queued for each, and the bytes of GET /stream.

Owns: fan-out, the bounded queue of each connection and its silent drops (Mix), the order of what bypasses it, and the
head, ids, heartbeats and end of a stream.
Refuses to know: what the events mean and where they come from.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from functools import partial
from types import coroutine
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from langchain_mix.emulator.activity import Activity
from langchain_mix.emulator.agents.base import Gate
from langchain_mix.emulator.events import TURN_EVENTS, Event, connected, failure, heartbeat
from langchain_mix.emulator.faults import (
    BytesFault,
    CutStream,
    Fault,
    Faults,
    Memory,
    QueueFault,
    StallStream,
    StreamFault,
)
from langchain_mix.emulator.serving import Transports
from langchain_mix.protocol.sse import ServerSentEvent, encode

INBOUND_SIZE: Final = 100
"""Mix 0.5: messages that wait for a stream's turn; further ones are lost."""


@coroutine
def yield_to_tasks() -> Generator[None, Any, None]:
    """Lets every other ready task run once, as the server's parallel goroutines would by themselves."""
    yield


@dataclass(eq=False)
class Connection:
    """An open event stream, seen from those who fill it.

    Attributes:
        queue_size: The events that wait for a slow reader before more are dropped; None is no limit.
        inbound: Messages that POST /stream/{id}/message put on it (Mix 0.5).
        busy: True when it runs a turn itself (Mix 0.5).
        dropped: Events that found the queue full.
        closed: True when nothing more is to be written.
        ended: True when the server itself ends the answer in good order.
        writing: True when a write is under way, which takes long if the reader is slow.
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
        for fault in self.faults.of(QueueFault):
            if fault.session in {None, self.session_id}:
                pieces = [shaped for piece in pieces for shaped in self._apply(fault, piece)]
        for piece in pieces:
            put(piece)

    def _apply(self, fault: QueueFault, event: Event) -> list[Event]:
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
        for fault in self.faults.of(BytesFault):
            concerned = fault.session in {None, self.session_id}
            if concerned and fault.due(event, self._memory.setdefault(fault, Memory())) and self.faults.take(fault):
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
        """Waits for the next event to write; None once the connection is closed."""
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


class EventBroker:
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


@dataclass(frozen=True, slots=True)
class Subscribers:
    """The streams that receive a turn's events.

    Attributes:
        publish: Queues an event on each of them.
        forwarders: Returns how many turns of the session forward its events: each of them forwards all (Mix).
        errors_twice: True when the handler that started the turn reports its failure once more (Mix).
    """

    publish: Callable[[Event], None]
    forwarders: Callable[[], int] = lambda: 1
    errors_twice: bool = False

    async def emit(self, event: Event) -> None:
        """Sends an event of the agent as often as turns forward it, and lets the streams write it."""
        for _ in range(max(1, self.forwarders())):
            self.publish(event)
        await yield_to_tasks()

    async def emit_once(self, event: Event) -> None:
        """Sends an event of the handler that started the turn."""
        self.publish(event)
        await yield_to_tasks()


HEAD: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"connection", b"keep-alive"),
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-headers", b"Cache-Control"),
)
_ENDS: Final = frozenset({"complete", "error"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamConfig:
    """The settings of all streams of a server.

    Attributes:
        heartbeat: Seconds between heartbeats.
        limit: Seconds after which a stream is cut (Mix).
        heartbeat_in_turn: True when heartbeats go on while the connection itself runs a turn.
        left: Called with the session whenever one of its streams has ended.
    """

    broker: EventBroker
    faults: Faults
    activity: Activity
    transports: Transports
    heartbeat: float
    limit: float
    heartbeat_in_turn: bool
    left: Callable[[str], None]


class Refusal:
    """The stream of a session that does not exist: 200, one `error`, and the end."""

    def __init__(self, session_id: str) -> None:
        """Names the session that does not exist."""
        self._event = failure(f"Invalid session ID: {session_id}")

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers."""
        await send({"type": "http.response.start", "status": 200, "headers": list(HEAD)})
        await send({"type": "http.response.body", "body": wire(self._event, 1), "more_body": False})


def wire(event: Event, number: int) -> bytes:
    """The bytes of an event."""
    return encode(ServerSentEvent(event.name, event.text, str(number), event.retry))


@dataclass(slots=True)
class _Progress:
    """Counts what a stream has written; `CutStream` and `StallStream` go by it."""

    number: int = 0
    in_turn: int = 0

    def wrote(self, event: Event) -> None:
        if event.name in TURN_EVENTS:
            self.in_turn = 0 if event.name in _ENDS and "parentToolCallId" not in event.data else self.in_turn + 1

    def at(self, fault: StreamFault, event: Event) -> bool:
        """True when a fault is due before `event`, the next one, is written."""
        if fault.on == "turn":
            return event.name in TURN_EVENTS and self.in_turn == fault.after
        return self.number == fault.after


class EventStream:
    """One open event stream."""

    def __init__(
        self,
        connection: Connection,
        config: StreamConfig,
        attend: Callable[[Connection], Coroutine[Any, Any, None]] | None,
    ) -> None:
        """Prepares the answer; `attend` runs beside the stream until it ends: Mix 0.5 runs its turns there."""
        self._connection = connection
        self._config = config
        self._attend = attend
        self._progress = _Progress()
        self._peer: object = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Writes events until the client leaves, the time is over or the server stops."""
        connection, config = self._connection, self._config
        self._peer = scope["client"]
        await send({"type": "http.response.start", "status": 200, "headers": list(HEAD)})
        connection.offer_directly(connected(connection.session_id))
        config.broker.join(connection)
        config.activity.changed("streams", 1)
        loop = asyncio.get_running_loop()
        self._heartbeat = loop.call_later(config.heartbeat, self._beat)
        limit = loop.call_later(config.limit, self._expire)
        gone = asyncio.create_task(self._watch(receive))
        beside = asyncio.create_task(self._attend(connection)) if self._attend else None
        try:
            await self._pump(send)
            if connection.ended:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                # Waiting until the connection is lost leaves the answer unfinished, so that it looks cut and not ended.
                await gone
        finally:
            self._heartbeat.cancel()
            limit.cancel()
            gone.cancel()
            config.broker.leave(connection)
            if beside is not None:
                beside.cancel()
                await asyncio.wait([beside])
            config.left(connection.session_id)
            config.activity.changed("streams", -1)

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            continue
        self._connection.close()

    def _expire(self) -> None:
        self._connection.close()
        self._config.transports.abort(self._peer)

    def _beat(self) -> None:
        if self._config.heartbeat_in_turn or not self._connection.busy:
            self._connection.offer_directly(heartbeat())
        self._heartbeat = asyncio.get_running_loop().call_later(self._config.heartbeat, self._beat)

    async def _pump(self, send: Send) -> None:
        connection, progress = self._connection, self._progress
        while (event := await connection.next()) is not None:
            if await self._broken(event, send):
                return
            progress.number += 1
            raw = connection.raw(event, wire(event, progress.number))
            connection.writing = True
            await send({"type": "http.response.body", "body": raw, "more_body": True})
            connection.writing = False
            progress.wrote(event)

    async def _broken(self, event: Event, send: Send) -> bool:
        """Carries out the stream faults that are due before an event; True means that the stream was cut."""
        connection, faults, progress = self._connection, self._config.faults, self._progress
        for fault in faults.of(StreamFault):
            if fault.session not in {None, connection.session_id} or not progress.at(fault, event):
                continue
            if isinstance(fault, StallStream) and not fault.gate.is_open and faults.take(fault):
                connection.writing = True
                await connection.until_open(fault.gate)
                connection.writing = False
            elif isinstance(fault, CutStream) and faults.take(fault):
                if fault.half:
                    raw = wire(event, progress.number + 1)
                    await send({"type": "http.response.body", "body": raw[: len(raw) // 2], "more_body": True})
                connection.close()
                self._config.transports.close(self._peer)
                return True
        return connection.closed
