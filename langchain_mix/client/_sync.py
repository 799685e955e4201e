"""The synchronous shell: sends calls and reads streams with a synchronous HTTP client. No event loop, no hidden thread.

Owns: input and output. Refuses to know: what a call means and what to do about its outcome.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar

import httpx

from langchain_mix import errors, process_fork
from langchain_mix.client._config import (
    ANSWER_LIMIT,
    DEFAULT_OPTIONS,
    CallOptions,
    RequestOptions,
    read_request_options,
)
from langchain_mix.client._failures import (
    FAILURES,
    broken_stream,
    inherited_client,
    inherited_stream,
    original_of,
)
from langchain_mix.client._replies import (
    EventBuffer,
    Outcome,
    head_of,
    is_stream,
    readable,
    refused_stream,
    reply_of,
    size_of,
)
from langchain_mix.client._requests import Core, Wait
from langchain_mix.client._timeouts import SLACK, BoundedAttempt, ReadLimit, guard, interrupt, left, socket_of
from langchain_mix.client.httpclient import CALL_LIMITS, STREAM_LIMITS, open_client
from langchain_mix.protocol.call import Call, Flow, Reply, Together
from langchain_mix.protocol.events import Event, read_event
from langchain_mix.protocol.procedure import run
from langchain_mix.protocol.sse import SSEDecoder

T = TypeVar("T")

AttemptFunction: TypeAlias = Callable[[Call[Any], CallOptions], tuple[Outcome, httpx.Response | None]]
"""Sends a call once; returns the outcome, and the answer if there was one."""


class SyncConnections:
    """The HTTP clients of one `Mix` for synchronous code, opened when they are first used."""

    def __init__(self, client: httpx.Client | None = None) -> None:
        """Opens nothing yet.

        Args:
            client: The user's own HTTP client, which is then used for everything and never closed here.
        """
        self._own = client is None
        self._calls = client
        self._streams = client
        self._lock = threading.Lock()
        self._open_streams: weakref.WeakSet[EventStream] = weakref.WeakSet()
        self._connections: weakref.WeakSet[Any] = weakref.WeakSet()
        self._closing: list[weakref.finalize[..., Any]] = []
        self._used = self._inherited = False
        process_fork.renew_in_child(self._renew)

    def _renew(self) -> None:
        """Begins without the connections of the parent, which goes on using them."""
        process_fork.abandon_sockets(map(socket_of, self._connections))
        self._lock = threading.Lock()
        self._open_streams, self._connections = weakref.WeakSet(), weakref.WeakSet()
        for closing in self._closing:
            closing.detach()  # It would wait for the lock of a pool that another thread of the parent may hold.
        self._closing = []
        if self._own:
            self._calls = self._streams = None
        else:
            self._inherited = self._used

    def transmit(self, client: httpx.Client, request: httpx.Request) -> httpx.Response:
        """Sends a request, receives the head of its answer, and remembers the connection."""
        self._used = True
        response = client.send(request, stream=True, follow_redirects=False)
        connection = response.extensions.get("network_stream")
        if connection is not None:
            self._connections.add(connection)
        return response

    def call_client(self) -> httpx.Client:
        """Returns the HTTP client for calls."""
        self._check_client()
        with self._lock:
            if self._calls is None:
                self._calls = self._open_client(CALL_LIMITS)
            return self._calls

    def stream_client(self) -> httpx.Client:
        """Returns the HTTP client for event streams."""
        self._check_client()
        with self._lock:
            if self._streams is None:
                self._streams = self._open_client(STREAM_LIMITS)
            return self._streams

    def _check_client(self) -> None:
        if self._inherited:
            raise inherited_client("client")

    def _open_client(self, limits: httpx.Limits) -> httpx.Client:
        client = open_client(limits)
        self._closing.append(weakref.finalize(self, client.close))  # Chat models are dropped, not closed.
        return client

    def register_stream(self, stream: EventStream) -> None:
        """Remembers an open stream, so that closing the client wakes its reader."""
        with self._lock:
            self._open_streams.add(stream)

    def close(self) -> None:
        """Closes the connections. The next call opens new ones."""
        if not self._own:
            return
        with self._lock:
            closing, self._closing = self._closing, []
            self._calls = self._streams = None
            streams = list(self._open_streams)
        for stream in streams:
            stream.interrupt()  # A reader in another thread would not notice that it is closed.
        for close in closing:
            close()


class SyncTransport:
    """Sends calls to one server, with options that hold for all of them.

    Attributes:
        core: Settings and knowledge of the server, shared with the other shell.
        server_api: The server's API as far as its replies have shown it.
        connections: The HTTP clients.
    """

    def __init__(self, core: Core, connections: SyncConnections, options: CallOptions = DEFAULT_OPTIONS) -> None:
        """Combines the parts; nothing is opened. Options of a single call count more than these."""
        self.core = core
        self.server_api = core.server_api
        self.connections = connections
        self._options = options

    def with_options(self, options: RequestOptions) -> SyncTransport:
        """Returns a transport over the same connections with the options of one operation.

        Raises:
            TypeError: There is an option that no operation has.
            MixConfigurationError: The URL is malformed.
        """
        if not options:
            return self
        read = read_request_options(options)
        return SyncTransport(self.core.for_server(options.get("server_url")), self.connections, read)

    def send(self, call: Call[T], options: CallOptions = DEFAULT_OPTIONS) -> T:
        """Sends a call, again where that is safe and promising.

        Raises:
            MixError: It failed; the type shows whose fault it is.
        """
        return self._send_with_retries(call, options, self._send_once)[0]

    def _send_with_retries(
        self, call: Call[T], options: CallOptions, attempt: AttemptFunction
    ) -> tuple[T, httpx.Response | None]:
        """Makes attempts as long as one more is safe and promising; returns the result and the answer it came from."""
        if self._options is not DEFAULT_OPTIONS:
            options = self._options.overridden_by(options)
        steps, response = self.core.sending(call, options), None
        step = next(steps)  # No step raises into this generator, so that it needs no driver.
        outcome: Outcome | None = None
        try:
            while True:
                outcome = None
                if isinstance(step, Wait):
                    time.sleep(step.seconds)  # noqa: TID251  # The pause between two attempts.
                else:
                    outcome, response = attempt(call, options)
                step = steps.send(outcome)
        except StopIteration as done:
            return done.value, response
        except errors.MixResponseError as error:
            error.raw_response = None if response is None else readable(response, outcome)
            raise

    def _send_once(self, call: Call[Any], options: CallOptions) -> tuple[Outcome, httpx.Response | None]:
        client = self.connections.call_client()
        request = self.core.request(client, call, options)
        self.core.log_request(call, request)
        try:
            with BoundedAttempt(request, options.until, body=ANSWER_LIMIT):
                response = self.connections.transmit(client, request)
                reply = self._read_reply(call, response)
        except errors.MixReplyTooLarge as error:
            return error, None
        except FAILURES as problem:
            return self.core.failure(call, problem), None
        self.core.log_reply(call, reply)
        return reply, response

    def _read_reply(self, call: Call[Any], response: httpx.Response) -> Reply:
        """Reads an answer whole, and closes it."""
        try:
            body = self.core.body_of(call, response)
            if response.is_stream_consumed:  # Of a transport in memory.
                body.check(len(response.content))
                return reply_of(response, response.content)
            for piece in response.iter_raw():
                body.feed(piece)
            content = body.finish()
        finally:
            response.close()
        return reply_of(response, content)

    def run(self, flow: Flow[T], options: CallOptions = DEFAULT_OPTIONS) -> T:
        """Runs several calls in a row; see `Flow`.

        Raises:
            MixError: The flow failed.
        """
        return run(flow, partial(self.perform, options=options))

    def perform(self, step: Call[Any] | Together, options: CallOptions = DEFAULT_OPTIONS) -> Any:
        """Carries out one step of a procedure; see `protocol/procedure.py`.

        Raises:
            MixError: A call failed.
        """
        if isinstance(step, Together):
            return [self.send(call, options) for call in step.calls]
        return self.send(step, options)

    def open_stream(
        self, call: Call[None], options: CallOptions = DEFAULT_OPTIONS, *, liveness: float | None = None
    ) -> EventStream:
        """Opens an event stream, again where that is promising. Its head has arrived when this returns.

        Args:
            call: From `calls.event_stream`.
            options: How it is sent; `timeout_ms` is how long to wait for the head.
            liveness: Seconds without a byte after which the stream is dead, or None for the client's.

        Raises:
            MixError: The server cannot be reached, or refuses.
        """
        _, response = self._send_with_retries(call, options, self._open)
        if response is None:
            raise AssertionError("Only an open stream is a success.")
        seconds = self.core.extend_read_timeout(response.request, liveness)
        guard(response.extensions.get("network_stream"))  # A user's own client may have opened it before.
        stream = EventStream(call, response, seconds)
        self.connections.register_stream(stream)
        return stream

    def _open(self, call: Call[Any], options: CallOptions) -> tuple[Outcome, httpx.Response | None]:
        client = self.connections.stream_client()
        request = self.core.request(client, call, options, stream=True)
        self.core.log_request(call, request)
        try:
            with BoundedAttempt(request, options.until, body=ANSWER_LIMIT):
                response = self.connections.transmit(client, request)
                if is_stream(response):
                    return head_of(response), response
                reply = self._read_reply(call, response)
        except errors.MixReplyTooLarge as error:
            return error, None
        except FAILURES as problem:
            return self.core.failure(call, problem), None
        return refused_stream(call, reply), readable(response, reply)

    def download(
        self,
        call: Call[T],
        write: Callable[[bytes], object],
        progress: Callable[[int, int | None], object] | None,
        options: CallOptions = DEFAULT_OPTIONS,
    ) -> tuple[T, int]:
        """Streams the body of an answer. It is requested again as long as nothing of it was written.

        Args:
            call: From `calls.download_file`.
            write: Called with each piece.
            progress: Called with the bytes so far and the bytes in all, None if the server does not say.
            options: How it is sent.

        Returns:
            The result of the call, which is decoded from the head alone, and the number of bytes.

        Raises:
            MixError: It failed; what was written by then is not the file.
        """
        size = 0

        def fetch(call: Call[Any], options: CallOptions) -> tuple[Outcome, httpx.Response | None]:
            nonlocal size
            client = self.connections.call_client()
            request = self.core.request(client, call, options)
            self.core.log_request(call, request)
            try:
                with BoundedAttempt(request, options.until, body=None):
                    response = self.connections.transmit(client, request)
                    try:
                        if response.status_code not in call.statuses:
                            return self._read_reply(call, response), response
                        total = size_of(response)
                        for piece in response.iter_bytes():
                            write(piece)
                            size += len(piece)
                            if progress is not None:
                                progress(size, total)
                    finally:
                        response.close()
            except errors.MixReplyTooLarge as too_large:
                return too_large, None
            except FAILURES as problem:
                error = self.core.failure(call, problem)
                if size:
                    raise error from None
                return error, None
            return head_of(response), response

        result, _ = self._send_with_retries(call, options, fetch)
        return result, size


class EventStream:
    """An open event stream: iterate over it for events, and close it.

    Iterating ends when the server ends the stream, and raises `MixStreamError` when it breaks. Mix cuts every stream
    after ten minutes in the middle, which is a break too: open another one then. `with stream:` and
    `with stream.result:` both close it at the end.
    """

    def __init__(self, call: Call[None], response: httpx.Response, liveness: float) -> None:
        """Begins to read an open response; after so many seconds without a byte the stream is dead."""
        self._call = call
        self._liveness = liveness
        self.read_limit: Callable[[], float] | None = None
        self.response = response
        self.problem: errors.MixStreamError | None = None
        self._depth = process_fork.depth
        self.buffer = EventBuffer()
        self._reading = threading.Lock()  # Held by the thread that reads for all.
        self._changed = threading.Condition()
        self._waiting = 0
        self._chunks = self._read_chunks()
        self._events = self._read()
        process_fork.renew_in_child(self._renew)

    def _renew(self) -> None:
        """Ends in a forked child, since the parent reads on."""
        self.problem = inherited_stream(str(self._call))
        self.buffer.abandon()
        self._reading, self._changed, self._waiting = threading.Lock(), threading.Condition(), 0

    def events_until_end(self) -> Iterator[Event]:
        """Yields the events until the stream ends, in whichever way; `problem` is then set if it broke.

        For a stream with one reader. Each piece is waited for until the moment that `read_limit` returns, on the
        monotonic clock in seconds, if it is set.
        """
        events = self.buffer.events
        for _ in self._chunks:
            while events:
                yield events.popleft()

    def _read(self) -> Iterator[Event]:
        events = self.buffer.events
        while events or self._read_until(events.__len__):
            yield events.popleft()
        if self.problem is not None:
            raise self.problem

    def _due(self) -> float:
        due = time.monotonic() + SLACK * self._liveness
        return due if self.read_limit is None else min(due, self.read_limit())

    def _read_chunks(self) -> Iterator[None]:
        feed, add = SSEDecoder(read_event).feed, self.buffer.add
        limit = ReadLimit(self._due)
        try:
            chunks = self.response.iter_bytes()
            while True:
                with limit:
                    chunk = next(chunks, None)
                if chunk is None:
                    return
                if add(feed(chunk)):
                    yield
        except FAILURES as problem:
            self.problem = broken_stream(problem, sent=str(self._call))
            self.problem.original = original_of(problem)
        finally:
            if not self._is_inherited():
                self.response.close()

    def _is_inherited(self) -> bool:
        return process_fork.depth != self._depth

    def _read_until(self, reached: Callable[[], object], until: float | None = None) -> bool:
        """Reads on until a condition holds, or the stream ends. Of several threads that need events, one reads for all.

        Args:
            reached: Returns true when the condition holds.
            until: When waiting ends, on the monotonic clock in seconds. The thread that reads then ends the stream for
                all.
        """
        buffer = self.buffer
        while not self._reading.acquire(False):  # noqa: FBT003  # A keyword costs as much as the lock.
            with self._changed:
                self._waiting += 1  # Before it looks at the lock, so that the thread that releases it notices.
                moved = self._changed.wait_for(
                    lambda: reached() or buffer.ended or not self._reading.locked(), left(until)
                )
                self._waiting -= 1
            if reached() or buffer.ended or not moved:
                return bool(reached())
        if until is not None:
            self.read_limit = lambda: until
        try:
            if not (reached() or buffer.ended):
                for _ in self._chunks:
                    if reached():
                        break
                    self._notify()
                else:
                    buffer.ended = True
        except BaseException as cut:
            self.problem, buffer.ended = self.problem or broken_stream(cut, sent=str(self._call)), True
            raise
        finally:
            if until is not None:
                self.read_limit = None
            self._reading.release()
            if self._waiting:
                self._notify()
        return not buffer.ended or bool(reached())

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait_until_connected(self, within: float) -> bool:
        """Waits so many seconds for the first event; returns False if the stream ends before."""
        self.buffer.shared = True
        return self._read_until(lambda: self.buffer.connected, time.monotonic() + within)

    def wait_for_terminal_event(self, after: int, within: float) -> Event | None:
        """Waits for the event that ends a turn, while others may read the stream too. Follows `wait_until_connected`.

        Args:
            after: How many turns had ended on this stream before.
            within: Seconds to wait.

        Returns:
            The event, which the readers of the stream get too, or None if the stream or the time ended before.
        """
        terminal_events = self.buffer.terminal_events
        arrived = self._read_until(lambda: len(terminal_events) > after, time.monotonic() + within)
        return terminal_events[after] if arrived else None

    @property
    def result(self) -> Self:
        """The stream itself, where the official client of 0.6 and later has it."""
        return self

    @property
    def headers(self) -> httpx.Headers:
        """The headers of the answer."""
        return self.response.headers

    def __iter__(self) -> Iterator[Event]:
        """Returns the iterator over the events."""
        return self._events

    def __next__(self) -> Event:
        """Returns the next event."""
        return next(self._events)

    def interrupt(self) -> None:
        """Ends the reading from another thread: what has arrived is still read, then the stream ends."""
        interrupt(self.response)

    def close(self) -> None:
        """Closes the stream. On Mix 0.5 and 0.6 that cancels a running turn of the session.

        In a forked process, the streams of its parent stay open there and do not exist here.
        """
        if self._is_inherited():
            return
        if self._reading.locked():
            self.interrupt()  # Another thread reads it: it notices nothing else, and closes it then.
        else:
            self.response.close()

    def __enter__(self) -> Self:
        """Keeps the stream open until the block ends."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the stream."""
        self.close()
