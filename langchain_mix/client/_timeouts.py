"""Enforces timeouts: of a turn, of an attempt at a request, and of each read of the network.

Owns: by when something must be over, whatever a server sends: one byte now and then, interim answers without end,
endless chunk heads; and how a read of the HTTP library is made to keep to it.
Refuses to know: what is sent, and what follows from a missed deadline.

`timeout` of a turn is a `Deadline`: it makes the options of each request of the turn (`until`), and a `Watchdog` limits
the reads of its stream by it, by the turn's silence (`StallDetector`) and by the `connected` that is due. `until` and
`timeout_ms` of a request hold through `BoundedAttempt`.

The timeouts of httpx hold for one read of the socket, and are fixed when the head or the body of an answer begins to be
read. In asynchronous code a task that waits can be cancelled. Synchronous code waits in a system call: there the read
and write methods of the network streams are wrapped, which httpx hands out through its `trace` extension and with each
response, so that each of them looks at the deadline of its thread. No thread is needed for it.

Event streams come in thousands of pieces, most of which are there already: in both kinds of code it is the wrapped read
method that looks at their deadline, and only where the network is read.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from contextlib import closing
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Final, Self

import httpx

from langchain_mix.client._config import CONNECT_TIMEOUT, TURN_TIMEOUT, CallOptions, Settings
from langchain_mix.protocol.api import ApiKnowledge
from langchain_mix.protocol.call import Call
from langchain_mix.protocol.retry import NO_RETRIES, BackoffStrategy, RetryConfig
from langchain_mix.protocol.turn.signals import Answered

CLEANUP: Final = 5.0
"""Seconds for all that is done after the end or the deadline of a turn."""

_LAST_REQUEST: Final = 2.0
_BACKGROUND_GRACE: Final = 1.0
_LAST_RETRIES: Final = RetryConfig(backoff=BackoffStrategy(50, 50, 1.0, int(_LAST_REQUEST * 1000)), max_attempts=2)

_POOL_TIMEOUT: Final = 120.0
_SHORTEST: Final = 0.001

_AT_ONCE: Final = 256 * 1024
"""Bytes written between two checks of the deadline."""

SLACK: Final = 1.25
"""Ratio of a deadline for several reads to the timeout of one read: with a silent server, the latter comes first."""

_SLICE: Final = 1.0
"""Seconds of waiting in one system call. Python takes no notice of a Ctrl-C that came just before it until it ends."""

_OVER: Final = "The time allowed is over."


class Deadline:
    """The time allowed for a turn, and the short time for cleaning up after it."""

    def __init__(self, seconds: float | None, began: float | None = None) -> None:
        """Starts counting.

        Args:
            seconds: The time allowed, or None for any time.
            began: The moment from which it counts, on the monotonic clock in seconds; None for now.
        """
        self.seconds = seconds or 0.0
        self.end = None if seconds is None else (time.monotonic() if began is None else began) + seconds
        self._cleanup: float | None = None

    def left(self) -> float | None:
        """Returns the seconds left, not negative, or None for any time."""
        return None if self.end is None else max(self.end - time.monotonic(), 0.0)

    @property
    def over(self) -> bool:
        """True when the time is up."""
        return self.end is not None and time.monotonic() >= self.end

    def cuts_off(self, answer: Answered) -> bool:
        """True when the deadline is why a message has no answer; a refusal counts all the same."""
        return self.over and answer.error is not None and answer.error.acted != "no"

    def cleanup_until(self) -> float:
        """Returns when all cleaning up must be over: some seconds after the first call of this method."""
        if self._cleanup is None:
            self._cleanup = time.monotonic() + CLEANUP
        return self._cleanup

    def cleanup_left(self) -> float:
        """Returns the seconds left for cleaning up, not negative."""
        return max(self.cleanup_until() - time.monotonic(), 0.0)

    def options(self) -> CallOptions:
        """Returns the options of a request of the turn."""
        return CallOptions(until=self.end)

    def options_for_cleanup(self) -> CallOptions:
        """Returns the options of the last requests: a short time, and a second attempt for a stale connection."""
        until = min(time.monotonic() + _LAST_REQUEST, self.cleanup_until())
        return CallOptions(_LAST_RETRIES, until=until)

    def options_for_reading(self) -> CallOptions:
        """Returns the options for reading the stored messages; at the end of the time allowed not for much longer."""
        time_left = self.left()
        return self.options() if time_left is None or time_left > _LAST_REQUEST else self.options_for_cleanup()

    def options_for_stream(self) -> CallOptions:
        """Returns the options for opening the stream: one attempt, since the turn decides about another one."""
        return CallOptions(NO_RETRIES, until=self.end)

    def options_for_background(self) -> CallOptions:
        """Returns the options of a message that is sent in the background.

        A little more than the deadline: giving the request up cancels the turn (Mix 0.6), and the stream would report
        that as somebody else's cancelling before the deadline is noticed.
        """
        return CallOptions(until=None if self.end is None else self.end + _BACKGROUND_GRACE)


class StallDetector:
    """Measures how long a running turn has brought nothing new, whatever its streams do meanwhile.

    Heartbeats, comments, streams that end and are opened again: none of it is a sign of life. Only time counts in which
    the turn is being read: the user's own code may take an hour over an update, and find old heartbeats then.
    """

    __slots__ = ("_clock", "_longest_gap", "_news", "_since", "_stalled", "allowed")

    def __init__(self, allowed: float, longest_gap: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Begins to measure.

        Args:
            allowed: Seconds without anything new after which the turn is given up.
            longest_gap: Seconds between two readings of the clock that count at most. No wait is longer; in a longer
                gap the process was stopped.
            clock: Returns the time in seconds.
        """
        self.allowed = allowed
        self._longest_gap = longest_gap
        self._clock = clock
        self._news = 0
        self._stalled = 0.0
        self._since: float | None = clock()

    def pause(self) -> None:
        """Stops the clock, while the user's code has an update."""
        self._count()
        self._since = None

    def resume(self) -> None:
        """Starts the clock again."""
        self._since = self._clock()

    def is_over(self, news: int) -> bool:
        """Returns True when the turn's counter of what was new has not changed for too long."""
        if news == self._news:
            self._count()
        else:
            self._news, self._stalled = news, 0.0
            if self._since is not None:
                self._since = self._clock()
        return self._stalled >= self.allowed

    def left(self) -> float:
        """Returns the seconds until the turn has stalled if nothing new comes, not negative."""
        self._count()
        return max(self.allowed - self._stalled, 0.0)

    def _count(self) -> None:
        if self._since is not None:
            now = self._clock()
            self._stalled += min(now - self._since, self._longest_gap)
            self._since = now


class Watchdog:
    """Limits how long a turn's stream is read: by its deadline, its stall, and the `connected` that is due."""

    def __init__(self, deadline: Deadline, settings: Settings) -> None:
        """Begins to measure."""
        self.stall = StallDetector(settings.stall, settings.liveness)
        self._deadline = deadline
        self._liveness = settings.liveness
        self._opened = time.monotonic()
        self._connected = False

    def opening(self) -> None:
        """Begins to wait for `connected`: a stream is being opened."""
        self._opened, self._connected = time.monotonic(), False

    def received(self, *, sent: bool) -> None:
        """Notes that an event has arrived: once the message is on its way, `connected` is no longer waited for.

        Args:
            sent: True once the message is on its way. The turn sends it when `connected` has arrived.
        """
        self._connected = self._connected or sent

    def read_limit(self) -> float:
        """Returns until when the next piece of the stream is waited for, on the monotonic clock in seconds.

        Mix: `connected` comes at once, in all generations; Mix 0.5 may be silent for long after it.
        """
        limit = time.monotonic() + self.stall.left()
        if not self._connected:
            limit = min(limit, self._opened + self._liveness)
        return limit if self._deadline.end is None else min(limit, self._deadline.end)

    def pause(self, apart: float) -> float:
        """Returns the seconds to wait before a stream is opened again.

        Args:
            apart: Seconds that two openings are apart at least. A stream that lasted for longer is opened at once.
        """
        pause = max(self._opened + apart - time.monotonic(), 0.0)
        time_left = self._deadline.left()
        return pause if time_left is None else min(pause, time_left)


def stream_liveness(detected: ApiKnowledge, usual: float) -> float:
    """Returns the seconds that a stream may be silent. Mix 0.5 sends no heartbeats while a turn runs."""
    return usual if detected.supports("heartbeat_in_turn") is not False else max(usual, TURN_TIMEOUT)


def timeout_of(call: Call[Any], options: CallOptions, usual: float) -> httpx.Timeout:
    """Returns the timeouts of one attempt, within its deadline; where the options say nothing, `usual` seconds."""
    seconds = options.timeout_ms / 1000 if options.timeout_ms is not None else usual
    if call.long_poll and options.timeout_ms is None:
        seconds = max(seconds, TURN_TIMEOUT)
    # A crowd waits longer for a free connection than a server may take.
    pool = seconds if options.timeout_ms is not None else max(seconds, _POOL_TIMEOUT)
    if options.until is not None:
        time_left = max(options.until - time.monotonic(), _SHORTEST)
        seconds, pool = min(seconds, time_left), min(pool, time_left)
    return httpx.Timeout(seconds, connect=min(CONNECT_TIMEOUT, seconds), pool=pool)


class _Thread(threading.local):
    until: float | None = None


_THREAD: Final = _Thread()


class ReadLimit:
    """Keeps the reading of a piece of an event stream within a deadline, as a context. Used again for each piece."""

    __slots__ = ("_due", "_token", "_until")

    def __init__(self, due: Callable[[], float]) -> None:
        """Begins without a deadline; each piece has its own.

        Args:
            due: Returns the deadline, on the monotonic clock in seconds. Called once for each piece for which the
                network is read.
        """
        self._due = due
        self._until: float | None = None
        self._token: Token[ReadLimit | None]

    def __enter__(self) -> None:
        """Begins to hold."""
        self._until = None
        self._token = _READING.set(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ceases to hold."""
        _READING.reset(self._token)

    def until(self) -> float:
        """Returns the deadline of this piece, on the monotonic clock in seconds."""
        if self._until is None:
            self._until = self._due()
        return self._until


_READING: Final[ContextVar[ReadLimit | None]] = ContextVar("mix_read_limit", default=None)


class AttemptDeadlines:
    """The deadlines of one attempt: the head about within the read timeout, however it trickles, the body later."""

    def __init__(self, request: httpx.Request, until: float | None, *, body: float | None) -> None:
        """Starts with the deadlines; the trace of the request sets them as it makes progress.

        Args:
            request: The request, with its read timeout.
            until: When all must be over, on the monotonic clock in seconds, or None for any time.
            body: Seconds for the body, or None where it may take any time as long as it comes.
        """
        self.until = until
        self.sent = False
        self._head = SLACK * float(request.extensions["timeout"]["read"])
        self._body = body

    def due(self, event: str) -> tuple[bool, float | None]:
        """Handles an event of the HTTP library's trace.

        Returns:
            True if the deadline changes, and the new one.
        """
        if event.endswith(".send_request_headers.started"):
            self.sent = True
        elif event.endswith(".receive_response_headers.started"):
            return True, earlier(self.until, self._after(self._head))
        elif event.endswith(".receive_response_headers.complete"):
            return True, earlier(self.until, self._after(self._body))
        return False, None

    @staticmethod
    def _after(seconds: float | None) -> float | None:
        return None if seconds is None else time.monotonic() + seconds


class BoundedAttempt:
    """Keeps an attempt of synchronous code within its deadlines, as a context around sending and reading.

    They hold for all that this thread reads and writes on guarded connections; an outer deadline holds as well.
    """

    def __init__(self, request: httpx.Request, until: float | None, *, body: float | None) -> None:
        """Starts with the deadlines; see `AttemptDeadlines`."""
        self._deadlines = AttemptDeadlines(request, until, body=body)
        self._outer: float | None = None
        self._request = request
        request.extensions["trace"] = self._trace

    def __enter__(self) -> None:
        """Begins to hold."""
        self._outer = _THREAD.until
        _THREAD.until = earlier(self._outer, self._deadlines.until)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ceases to hold."""
        del self._request.extensions["trace"]
        _THREAD.until = self._outer

    def _trace(self, event: str, info: dict[str, Any]) -> None:
        if event.endswith((".connect_tcp.complete", ".connect_unix_socket.complete", ".start_tls.complete")):
            guard(info.get("return_value"))
        changes, until = self._deadlines.due(event)
        if changes:
            _THREAD.until = earlier(self._outer, until)


class AsyncBoundedAttempt:
    """Keeps an attempt of asynchronous code within its deadlines, as a context around sending and reading."""

    def __init__(self, request: httpx.Request, until: float | None, *, body: float | None) -> None:
        """Starts with the deadlines; see `AttemptDeadlines`."""
        self._deadlines = AttemptDeadlines(request, until, body=body)
        self._request = request
        self._timeout = asyncio.timeout(left(until))
        request.extensions["trace"] = self._trace

    async def _trace(self, event: str, _: dict[str, Any]) -> None:
        changes, until = self._deadlines.due(event)
        if changes and not self._timeout.expired():
            self._timeout.reschedule(None if until is None else asyncio.get_running_loop().time() + _left(until))

    async def __aenter__(self) -> Self:
        """Begins to hold."""
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ceases to hold.

        Raises:
            TimeoutException: The deadline passed; httpx's type shows whether anything was sent.
        """
        del self._request.extensions["trace"]
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError as problem:
            over = httpx.ReadTimeout if self._deadlines.sent else httpx.ConnectTimeout
            raise over(_OVER, request=self._request) from problem


class _Guarded:
    """A read or write method of a network stream that ends at its caller's deadline."""

    __slots__ = ("_method",)

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = weakref.WeakMethod(method)  # The stream holds it, and nothing else should hold the stream.

    def _call(self, data: Any, timeout: float | None) -> Any:
        method = self._method()
        if method is None:
            raise AssertionError("The stream of a running call is alive.")
        until = _THREAD.until
        if (limit := _READING.get()) is not None:
            until = earlier(until, limit.until())
        if until is not None:
            time_left = max(until - time.monotonic(), 0.0)
            timeout = time_left if timeout is None else min(timeout, time_left)
            if timeout == 0.0:
                raise httpx.ReadTimeout(_OVER)
        return method(data, timeout)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        until = None if timeout is None else time.monotonic() + timeout
        allowed = earlier(_SLICE, timeout)
        while True:
            try:
                data: bytes = self._call(max_bytes, allowed)
            except Exception as problem:
                # The library's own kind of timeout; nothing was read, and after a slice of the time it goes on.
                allowed = earlier(_SLICE, left(until))
                if not isinstance(problem.__cause__, TimeoutError) or allowed == 0.0:
                    raise
            else:
                return data

    def read_async(self, max_bytes: int, timeout: float | None = None) -> Awaitable[bytes]:
        reading: Awaitable[bytes] = self._call(max_bytes, timeout)
        return reading

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _AT_ONCE):
            self._call(buffer[start : start + _AT_ONCE], timeout)


def guard(stream: Any) -> None:
    """Makes the reads and writes of a network stream keep to the deadline of their thread. May be called twice.

    Args:
        stream: The stream of a connection, or None where the transport of a client has none to show.
    """
    own, read, write = (getattr(stream, name, None) for name in ("__dict__", "read", "write"))
    if own is None or read is None or write is None or isinstance(getattr(read, "__self__", None), _Guarded):
        return
    own["read"], own["write"] = _Guarded(read).read, _Guarded(write).write


def guard_async(response: httpx.Response) -> bool:
    """Makes the reads of an asynchronous response keep to a `ReadLimit`. May be called twice.

    Returns:
        False where they cannot: the transport shows no network stream, or several responses share it.
    """
    stream = response.extensions.get("network_stream")
    own, read = (getattr(stream, name, None) for name in ("__dict__", "read"))
    if own is None or read is None or not response.http_version.startswith("HTTP/1"):
        return False
    if not isinstance(getattr(read, "__self__", None), _Guarded):
        own["read"] = _Guarded(read).read_async
    return True


def earlier(one: float | None, other: float | None) -> float | None:
    """Returns the earlier of two deadlines; None is any time."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _left(until: float) -> float:
    return max(until - time.monotonic(), 0.0)


def left(until: float | None) -> float | None:
    """Returns the seconds until a deadline, not negative, or None for any time."""
    return None if until is None else _left(until)


def socket_of(connection: Any) -> Any | None:
    """Returns the socket of a connection of the HTTP library, or its event loop's substitute; None if there is none."""
    return None if connection is None else connection.get_extra_info("socket")


def interrupt(response: httpx.Response) -> None:
    """Ends the reading of a stream from outside: what has arrived is still read, then the stream ends.

    httpx fixes a stream's timeouts when it opens it, so that nothing else could wake its reader.
    """
    sock = socket_of(response.extensions.get("network_stream"))
    if sock is None:
        return
    try:
        # A duplicate, since event loops hand out sockets that refuse to be shut down; of the plain type, since test
        # tools such as pytest-socket put one in the place of `socket.socket` that refuses to be made.
        with closing(socket.SocketType(fileno=os.dup(sock.fileno()))) as own:
            own.shutdown(socket.SHUT_RD)
    except OSError:
        return  # It has ended by itself.
