"""Event streams of httpx while they are recorded, and as they are replayed.

Owns: what a reader of a stream sees. Refuses to know: files, matching of requests, and what the events say.

A recorded stream is handed on piece by piece; stock vcrpy reads all of it first, which never ends when the reader has
to send a request before the server goes on.
"""

from __future__ import annotations

import errno
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, groupby
from typing import Any, Final, NoReturn

import httpx

from langchain_mix.testing.cassette_order import CassetteError, Clock, Condition, Ending, Order, Playback

_EVENT: Final = re.compile(rb".*?(?:\r\n\r\n|\n\n|\r\r)|.+", re.DOTALL)
_CUT: Final = "peer closed connection without sending complete message body (incomplete chunked read)"


def events_in(body: bytes) -> list[bytes]:
    """Splits a stream into its events, each with the blank line that ends it; what is left is the last one."""
    return _EVENT.findall(body)


def is_stream(response: httpx.Response) -> bool:
    """True when an answer is an event stream, by its head."""
    return "event-stream" in response.headers.get("content-type", "")


@dataclass(slots=True)
class Take:
    """One answer while it is recorded.

    Attributes:
        ending: How its stream ended, if the reader did not end it.
        failure: Class and words of the failure that ended it.
        waiting: Whether its reader waits for more.
        interrupted: Whether it was shut down under its reader.
    """

    clock: Clock
    requested: int
    answered: int = 0
    pieces: list[tuple[int, bytes]] = field(default_factory=list)
    ending: Ending | None = None
    ended: int = 0
    failure: tuple[str, str] = ("", "")
    waiting: bool = False
    interrupted: bool = False

    def received(self, piece: bytes) -> None:
        """Notes that a piece has arrived."""
        self.waiting = False
        self.pieces.append((self.clock.tick(), piece))

    def over(self, problem: httpx.HTTPError | None = None) -> None:
        """Notes that the stream has ended, unless that was its reader's own doing."""
        if not self.interrupted:
            self.waiting = False
            self.ended = self.clock.tick()
            self.ending = "failed" if problem else "ended"
            self.failure = (type(problem).__name__, str(problem)) if problem else ("", "")

    def interrupt(self) -> None:
        """Notes that the stream is shut down under its reader."""
        self.interrupted = True

    def order(self, *, streamed: bool) -> Order:
        """Returns when its parts arrived."""
        if not streamed:
            return Order(requested=self.requested, answered=self.answered)
        left: Ending = "left waiting" if self.waiting else "left"
        return Order(
            requested=self.requested,
            answered=self.answered,
            events=self._arrivals(),
            ending=self.ending or left,
            ended=self.ended,
            failure=self.failure,
        )

    @property
    def body(self) -> bytes:
        """All that has arrived."""
        return b"".join(piece for _, piece in self.pieces)

    def _arrivals(self) -> tuple[int, ...]:
        """Returns when each event was complete."""
        ends = list(accumulate(len(piece) for _, piece in self.pieces))
        arrivals, place = [], 0
        for end in accumulate(map(len, events_in(self.body))):
            while ends[place] < end:
                place += 1
            arrivals.append(self.pieces[place][0])
        return tuple(arrivals)


class RecordedStream(httpx.SyncByteStream):
    """A stream that is noted while it is read in synchronous code."""

    def __init__(self, source: httpx.SyncByteStream, take: Take) -> None:
        """Takes the real stream."""
        self._source = source
        self._take = take

    def __iter__(self) -> Iterator[bytes]:
        """Its pieces as they come."""
        self._take.waiting = True
        try:
            for piece in self._source:
                self._take.received(piece)
                yield piece
                self._take.waiting = True
        except httpx.HTTPError as problem:
            self._take.over(problem)
            raise
        self._take.over()

    def close(self) -> None:
        """Closes the real stream."""
        self._source.close()


class AsyncRecordedStream(httpx.AsyncByteStream):
    """A stream that is noted while it is read in asynchronous code."""

    def __init__(self, source: httpx.AsyncByteStream, take: Take) -> None:
        """Takes the real stream."""
        self._source = source
        self._take = take

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Its pieces as they come."""
        self._take.waiting = True
        try:
            async for piece in self._source:
                self._take.received(piece)
                yield piece
                self._take.waiting = True
        except httpx.HTTPError as problem:
            self._take.over(problem)
            raise
        self._take.over()

    async def aclose(self) -> None:
        """Closes the real stream."""
        await self._source.aclose()


class ReplayedStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A stream out of a cassette: its events, each when all that came before it in the recording has happened again."""

    def __init__(self, body: bytes, order: Order, playback: Playback, name: str) -> None:
        """Prepares it; the name is that of the request, for errors.

        Raises:
            CassetteError: The body has more events than the order, or fewer.
        """
        self._order = order
        self._playback = playback
        self._name = name
        self._interrupted = False
        events = events_in(body)
        if len(events) != len(order.events):
            playback.fail(
                CassetteError(
                    f"{name}: the body has {len(events)} events, and its x_order has the times of {len(order.events)}.",
                    sent=name,
                    hint="If you remove an event from a cassette, remove its number from `events`, too.",
                )
            )
        self._pieces = [
            (tick, b"".join(event for _, event in group))
            for tick, group in groupby(zip(order.events, events, strict=True), key=lambda arrival: arrival[0])
        ]

    def _steps(self) -> Iterator[bytes | Condition]:
        """Yields conditions to wait for and pieces to hand on, for sync and async alike."""
        for number, (tick, piece) in enumerate(self._pieces, 1):
            yield self._playback.before(tick, f"piece {number} of {self._name}")
            self._playback.happened(tick)
            yield piece
        order = self._order
        if order.ended:
            yield self._playback.before(order.ended, f"the end of {self._name}")
            self._playback.happened(order.ended)
            if order.ending == "failed":
                self._fail_as_recorded()
            return
        if order.ending == "left" and not self._interrupted:
            self._playback.fail(
                CassetteError(
                    f"{self._name} is read on where its recording ends: its reader left it there.",
                    sent=self._name,
                    hint="The code waits for an event that the recording does not have. Record it again.",
                )
            )
        yield Condition(lambda: self._interrupted, f"the reader of {self._name}, which left it here in the recording,")
        raise httpx.RemoteProtocolError(_CUT)

    def _fail_as_recorded(self) -> NoReturn:
        name, words = self._order.failure
        kind = getattr(httpx, name, httpx.ReadError)
        raise kind(words)

    def __iter__(self) -> Iterator[bytes]:
        """Its pieces, in synchronous code."""
        for step in self._steps():
            if isinstance(step, bytes):
                yield step
            else:
                self._playback.wait(step)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Its pieces, in asynchronous code."""
        for step in self._steps():
            if isinstance(step, bytes):
                yield step
            else:
                await self._playback.wait_async(step)

    def interrupt(self) -> None:
        """Ends it under its reader: what was recorded is still read, then it breaks."""
        self._interrupted = True
        self._playback.changed()

    def close(self) -> None:
        """Nothing of it is waited for any longer."""
        self._interrupted = True
        self._playback.happened(*self._order.of_stream)

    async def aclose(self) -> None:
        """Does what `close` does."""
        self.close()


class Connection:
    """The connection under an answer, as httpx shows it in the extension `network_stream`.

    Clients use it for one thing: to shut a stream down under its reader. They ask for the socket and then for its
    descriptor, or shut it down themselves. A replayed answer has neither; asking is understood as doing.
    """

    def __init__(self, interrupt: Callable[[], None], real: Any = None) -> None:
        """Takes what to do when the stream is shut down, and the real connection if there is one."""
        self._interrupt = interrupt
        self._real = real

    def get_extra_info(self, info: str) -> Any:
        """Returns a fact about the connection."""
        real = self._real.get_extra_info(info) if self._real is not None else None
        if info != "socket" or (self._real is not None and real is None):
            return real
        return _Socket(self._interrupt, real)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the real one's."""
        return getattr(self._real, name)


class _Socket:
    def __init__(self, interrupt: Callable[[], None], real: Any) -> None:
        self._interrupt = interrupt
        self._real = real

    def fileno(self) -> int:
        self._interrupt()
        if self._real is None:
            raise OSError(errno.ENOTSOCK, "A replayed answer has no socket.")
        return int(self._real.fileno())

    def shutdown(self, how: int) -> None:
        self._interrupt()
        if self._real is not None:
            self._real.shutdown(how)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)
