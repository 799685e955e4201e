"""An event stream as an answer: GET /stream.

Owns: the head, the bytes, the ids, the heartbeats and the end of a stream.
Refuses to know: what the events mean and where they come from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.types import Receive, Scope, Send

from langchain_mix.emulator.activity import Activity
from langchain_mix.emulator.faults import CutStream, Faults, StallStream, StreamFault
from langchain_mix.emulator.hub import Connection, Hub
from langchain_mix.emulator.transports import Transports
from langchain_mix.emulator.vocabulary import TURN_EVENTS, Event, connected, failure, heartbeat
from langchain_mix.protocol.sse import ServerSentEvent, encode

HEAD: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"connection", b"keep-alive"),
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-headers", b"Cache-Control"),
)
_ENDS: Final = frozenset({"complete", "error"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What all streams of a server share.

    Attributes:
        hub: Who listens.
        faults: What goes wrong.
        activity: Where open streams are counted.
        transports: The TCP connections.
        heartbeat: Seconds between heartbeats.
        limit: Seconds after which a stream is cut (Q11).
        heartbeat_in_turn: Whether heartbeats go on while the connection itself runs a turn.
        left: Told the session whenever one of its streams has ended.
    """

    hub: Hub
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
    """How far a stream has come; `CutStream` and `StallStream` count by it."""

    number: int = 0
    in_turn: int = 0
    done: set[StreamFault] = field(default_factory=set)

    def wrote(self, event: Event) -> None:
        if event.name in TURN_EVENTS:
            self.in_turn = 0 if event.name in _ENDS and "parentToolCallId" not in event.data else self.in_turn + 1

    def at(self, fault: StreamFault, event: Event) -> bool:
        """Whether a fault is due before `event`, the next one, is written."""
        if fault.on == "turn":
            return event.name in TURN_EVENTS and self.in_turn == fault.after
        return self.number == fault.after


class EventStream:
    """One open event stream."""

    def __init__(
        self, connection: Connection, stage: Stage, attend: Callable[[Connection], Awaitable[None]] | None
    ) -> None:
        """Prepares the answer.

        Args:
            connection: What is queued for it.
            stage: What all streams share.
            attend: Runs beside the stream until it ends: Mix 0.5 runs its turns there.
        """
        self._connection = connection
        self._stage = stage
        self._attend = attend
        self._progress = _Progress()
        self._peer: object = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Writes events until the client leaves, the time is over or the server stops."""
        connection, stage = self._connection, self._stage
        self._peer = scope["client"]
        await send({"type": "http.response.start", "status": 200, "headers": list(HEAD)})
        connection.offer_directly(connected(connection.session_id))
        stage.hub.join(connection)
        stage.activity.changed("streams", 1)
        loop = asyncio.get_running_loop()
        clock = _Clock(connection, stage, loop)
        limit = loop.call_later(stage.limit, self._expire)
        gone = asyncio.create_task(self._watch(receive))
        beside = asyncio.create_task(_attended(self._attend, connection)) if self._attend else None
        try:
            await self._pump(send)
            if connection.ended:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                # Waiting until the connection is lost leaves the answer unfinished, which tells a cut from an end.
                await gone
        finally:
            clock.stop()
            limit.cancel()
            gone.cancel()
            stage.hub.leave(connection)
            if beside is not None:
                beside.cancel()
                await asyncio.wait([beside])
            stage.left(connection.session_id)
            stage.activity.changed("streams", -1)

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            continue
        self._connection.close()

    def _expire(self) -> None:
        self._connection.close()
        self._stage.transports.abort(self._peer)

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
        connection, faults, progress = self._connection, self._stage.faults, self._progress
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
                self._stage.transports.close(self._peer)
                return True
        return connection.closed


async def _attended(attend: Callable[[Connection], Awaitable[None]], connection: Connection) -> None:
    await attend(connection)


class _Clock:
    """Sends the heartbeats of a stream."""

    def __init__(self, connection: Connection, stage: Stage, loop: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._stage = stage
        self._loop = loop
        self._timer = loop.call_later(stage.heartbeat, self._beat)

    def _beat(self) -> None:
        if self._stage.heartbeat_in_turn or not self._connection.busy:
            self._connection.offer_directly(heartbeat())
        self._timer = self._loop.call_later(self._stage.heartbeat, self._beat)

    def stop(self) -> None:
        self._timer.cancel()
