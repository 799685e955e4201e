"""The asynchronous shell: sends calls and reads streams with an asynchronous HTTP client, one per event loop.

Owns: input and output. Refuses to know: what a call means and what to do about its outcome.
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar, cast

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
from langchain_mix.client._timeouts import SLACK, AsyncBoundedAttempt, ReadLimit, guard_async, left, socket_of
from langchain_mix.client.httpclient import CALL_LIMITS, STREAM_LIMITS, open_async_client
from langchain_mix.protocol.call import Call, Flow, Reply, Together
from langchain_mix.protocol.events import Event, read_event
from langchain_mix.protocol.procedure import run_async
from langchain_mix.protocol.sse import SSEDecoder

T = TypeVar("T")

AsyncAttemptFunction: TypeAlias = Callable[[Call[Any], CallOptions], Awaitable[tuple[Outcome, httpx.Response | None]]]
"""Sends a call once; returns the outcome, and the answer if there was one."""


class Clients(NamedTuple):
    """The HTTP clients of one event loop."""

    calls: httpx.AsyncClient
    streams: httpx.AsyncClient


class AsyncConnections:
    """The HTTP clients of one `Mix` for asynchronous code: a pair for each event loop, opened when it is first used."""

    def __init__(self, client: httpx.AsyncClient | None = None) -> None:
        """Opens nothing yet.

        Args:
            client: The user's own HTTP client, which is then used for everything and never closed here.
        """
        self._own = client is None
        self._given = None if client is None else Clients(client, client)
        self._lock = threading.Lock()
        # A connection belongs to the loop that opened it; a client used from another one fails in odd ways.
        self._by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Clients] = weakref.WeakKeyDictionary()
        self._connections: weakref.WeakSet[Any] = weakref.WeakSet()
        self._used = self._inherited = False
        process_fork.renew_in_child(self._renew)

    def _renew(self) -> None:
        """Begins without the connections of the parent, which goes on using them."""
        process_fork.abandon_sockets(map(socket_of, self._connections))
        self._lock = threading.Lock()
        self._by_loop, self._connections = weakref.WeakKeyDictionary(), weakref.WeakSet()
        self._inherited = self._used and not self._own

    async def transmit(self, client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
        """Sends a request, receives the head of its answer, and remembers the connection."""
        self._used = True
        response = await client.send(request, stream=True, follow_redirects=False)
        connection = response.extensions.get("network_stream")
        if connection is not None:
            self._connections.add(connection)
        return response

    def clients(self) -> Clients:
        """Returns the HTTP clients of the running event loop."""
        if self._inherited:
            raise inherited_client("async_client")
        if self._given is not None:
            return self._given
        loop = asyncio.get_running_loop()
        with self._lock:
            clients = self._by_loop.get(loop)
            if clients is None:
                clients = Clients(open_async_client(CALL_LIMITS), open_async_client(STREAM_LIMITS))
                self._by_loop[loop] = clients
            return clients

    async def close(self) -> None:
        """Closes the connections of the running loop. The next call opens new ones."""
        with self._lock:
            clients = self._by_loop.pop(asyncio.get_running_loop(), None)
        if clients is not None:
            await clients.calls.aclose()
            await clients.streams.aclose()


class AsyncTransport:
    """Sends calls to one server from any number of event loops; see `SyncTransport`."""

    def __init__(self, core: Core, connections: AsyncConnections, options: CallOptions = DEFAULT_OPTIONS) -> None:
        """Combines the parts; nothing is opened. Options of a single call count more than these."""
        self.core = core
        self.server_api = core.server_api
        self.connections = connections
        self._options = options

    def with_options(self, options: RequestOptions) -> AsyncTransport:
        """Returns a transport over the same connections with the options of one operation.

        Raises:
            TypeError: There is an option that no operation has.
            MixConfigurationError: The URL is malformed.
        """
        if not options:
            return self
        read = read_request_options(options)
        return AsyncTransport(self.core.for_server(options.get("server_url")), self.connections, read)

    async def send(self, call: Call[T], options: CallOptions = DEFAULT_OPTIONS) -> T:
        """Does what `SyncTransport.send` does, asynchronously."""
        return (await self._send_with_retries(call, options, self._send_once))[0]

    async def _send_with_retries(
        self, call: Call[T], options: CallOptions, attempt: AsyncAttemptFunction
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
                    await asyncio.sleep(step.seconds)  # noqa: TID251  # The pause between two attempts.
                else:
                    outcome, response = await attempt(call, options)
                step = steps.send(outcome)
        except StopIteration as done:
            return done.value, response
        except errors.MixResponseError as error:
            error.raw_response = None if response is None else readable(response, outcome)
            raise

    async def _send_once(self, call: Call[Any], options: CallOptions) -> tuple[Outcome, httpx.Response | None]:
        client = self.connections.clients().calls
        request = self.core.request(client, call, options)
        self.core.log_request(call, request)
        try:
            async with AsyncBoundedAttempt(request, options.until, body=ANSWER_LIMIT):
                response = await self.connections.transmit(client, request)
                reply = await self._read_reply(call, response)
        except errors.MixReplyTooLarge as error:
            return error, None
        except FAILURES as problem:
            return self.core.failure(call, problem), None
        self.core.log_reply(call, reply)
        return reply, response

    async def _read_reply(self, call: Call[Any], response: httpx.Response) -> Reply:
        """Reads an answer whole, and closes it."""
        try:
            body = self.core.body_of(call, response)
            if response.is_stream_consumed:  # Of a transport in memory.
                body.check(len(response.content))
                return reply_of(response, response.content)
            async for piece in response.aiter_raw():
                body.feed(piece)
            content = body.finish()
        finally:
            await response.aclose()
        return reply_of(response, content)

    async def run(self, flow: Flow[T], options: CallOptions = DEFAULT_OPTIONS) -> T:
        """Does what `SyncTransport.run` does, asynchronously."""
        return await run_async(flow, partial(self.perform, options=options))

    async def perform(self, step: Call[Any] | Together, options: CallOptions = DEFAULT_OPTIONS) -> Any:
        """Does what `SyncTransport.perform` does, asynchronously. Calls that go together are sent at the same time."""
        if isinstance(step, Together):
            return await self._send_together(step, options)
        return await self.send(step, options)

    async def _send_together(self, step: Together, options: CallOptions) -> list[Any]:
        sending = [asyncio.ensure_future(self.send(call, options)) for call in step.calls]
        try:
            return await asyncio.gather(*sending)
        finally:
            for task in sending:  # One has failed, or this task is cancelled: none must go on.
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)

    async def open_stream(
        self, call: Call[None], options: CallOptions = DEFAULT_OPTIONS, *, liveness: float | None = None
    ) -> AsyncEventStream:
        """Does what `SyncTransport.open_stream` does, asynchronously."""
        _, response = await self._send_with_retries(call, options, self._open)
        if response is None:
            raise AssertionError("Only an open stream is a success.")
        seconds = self.core.extend_read_timeout(response.request, liveness)
        return AsyncEventStream(call, response, seconds)

    async def _open(self, call: Call[Any], options: CallOptions) -> tuple[Outcome, httpx.Response | None]:
        client = self.connections.clients().streams
        request = self.core.request(client, call, options, stream=True)
        self.core.log_request(call, request)
        try:
            async with AsyncBoundedAttempt(request, options.until, body=ANSWER_LIMIT):
                response = await self.connections.transmit(client, request)
                if is_stream(response):
                    return head_of(response), response
                reply = await self._read_reply(call, response)
        except errors.MixReplyTooLarge as error:
            return error, None
        except FAILURES as problem:
            return self.core.failure(call, problem), None
        return refused_stream(call, reply), readable(response, reply)

    async def download(
        self,
        call: Call[T],
        write: Callable[[bytes], object],
        progress: Callable[[int, int | None], object] | None,
        options: CallOptions = DEFAULT_OPTIONS,
    ) -> tuple[T, int]:
        """Does what `SyncTransport.download` does, asynchronously."""
        size = 0

        async def fetch(call: Call[Any], options: CallOptions) -> tuple[Outcome, httpx.Response | None]:
            nonlocal size
            client = self.connections.clients().calls
            request = self.core.request(client, call, options)
            self.core.log_request(call, request)
            try:
                async with AsyncBoundedAttempt(request, options.until, body=None):
                    response = await self.connections.transmit(client, request)
                    try:
                        if response.status_code not in call.statuses:
                            return await self._read_reply(call, response), response
                        total = size_of(response)
                        async for piece in response.aiter_bytes():
                            write(piece)
                            size += len(piece)
                            if progress is not None:
                                progress(size, total)
                    finally:
                        await response.aclose()
            except errors.MixReplyTooLarge as too_large:
                return too_large, None
            except FAILURES as problem:
                error = self.core.failure(call, problem)
                if size:
                    raise error from None
                return error, None
            return head_of(response), response

        result, _ = await self._send_with_retries(call, options, fetch)
        return result, size


class AsyncEventStream:
    """An open event stream: iterate over it for events, and close it.

    Iterating ends when the server ends the stream, and raises `MixStreamError` when it breaks. Mix cuts every stream
    after ten minutes in the middle, which is a break too: open another one then. `async with stream:` and
    `async with stream.result:` both close it at the end.
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
        self._reading = False
        self._moved: asyncio.Event | None = None  # Made by a task that waits while another one reads.
        self._chunks = self._read_chunks()
        self._events = self._read()
        self.loop = asyncio.get_running_loop()
        process_fork.renew_in_child(self._renew)

    def _renew(self) -> None:
        """Ends in a forked child, since the parent reads on."""
        self.problem = inherited_stream(str(self._call))
        self._reading = False
        self.buffer.abandon()

    async def events_until_end(self) -> AsyncIterator[Event]:
        """Yields the events until the stream ends, in whichever way; `problem` is then set if it broke.

        For a stream with one reader. Each piece is waited for until the moment that `read_limit` returns, on the
        monotonic clock in seconds, if it is set.
        """
        events = self.buffer.events
        async for _ in self._chunks:
            while events:
                yield events.popleft()

    async def _read(self) -> AsyncIterator[Event]:
        events = self.buffer.events
        while events or await self._read_until(events.__len__):
            yield events.popleft()
        if self.problem is not None:
            raise self.problem

    def _due(self) -> float:
        due = time.monotonic() + SLACK * self._liveness
        return due if self.read_limit is None else min(due, self.read_limit())

    async def _read_chunks(self) -> AsyncIterator[None]:
        feed, add = SSEDecoder(read_event).feed, self.buffer.add
        limit = ReadLimit(self._due) if guard_async(self.response) else None
        try:
            chunks = self.response.aiter_bytes()
            while True:
                if limit is not None:
                    with limit:
                        chunk = await anext(chunks, None)
                else:
                    async with asyncio.timeout(left(self._due())):
                        chunk = await anext(chunks, None)
                if chunk is None:
                    return
                if add(feed(chunk)):
                    yield
        except (*FAILURES, TimeoutError) as problem:
            self.problem = broken_stream(problem, sent=str(self._call))
            self.problem.original = original_of(problem)
        finally:
            if not self._is_inherited():
                await self.response.aclose()

    def _is_inherited(self) -> bool:
        return process_fork.depth != self._depth

    async def _read_until(self, reached: Callable[[], object]) -> bool:
        """Reads on until a condition holds, or the stream ends. Of several tasks that need it, one reads for all."""
        buffer = self.buffer
        while self._reading:
            if reached() or buffer.ended:
                return bool(reached())
            if self._moved is None:
                self._moved = asyncio.Event()
            await self._moved.wait()
        self._reading = True
        try:
            if not (reached() or buffer.ended):
                async for _ in self._chunks:
                    if reached():
                        break
                    self._notify()
                else:
                    buffer.ended = True
        except BaseException as cut:  # A cancelled task ends the stream for the others too.
            self.problem, buffer.ended = self.problem or broken_stream(cut, sent=str(self._call)), True
            raise
        finally:
            self._reading = False
            self._notify()
        return not buffer.ended or bool(reached())

    def _notify(self) -> None:
        if self._moved is not None:
            self._moved.set()
            self._moved = None

    async def wait_until_connected(self, within: float) -> bool:
        """Waits so many seconds for the first event; returns False if the stream ends before."""
        self.buffer.shared = True
        return await self._read_within(lambda: self.buffer.connected, within)

    async def wait_for_terminal_event(self, after: int, within: float) -> Event | None:
        """Waits for the event that ends a turn, while others may read the stream too; see `EventStream`."""
        terminal_events = self.buffer.terminal_events
        arrived = await self._read_within(lambda: len(terminal_events) > after, within)
        return terminal_events[after] if arrived else None

    async def _read_within(self, reached: Callable[[], object], seconds: float) -> bool:
        timeout = asyncio.timeout(seconds)
        try:
            async with timeout:
                return await self._read_until(reached)
        except TimeoutError:
            if not timeout.expired():
                raise
            return False

    @property
    def result(self) -> Self:
        """The stream itself, where the official client of 0.6 and later has it."""
        return self

    @property
    def headers(self) -> httpx.Headers:
        """The headers of the answer."""
        return self.response.headers

    def __aiter__(self) -> AsyncIterator[Event]:
        """Returns the iterator over the events."""
        return self._events

    async def __anext__(self) -> Event:
        """Returns the next event."""
        return await anext(self._events)

    async def close(self) -> None:
        """Closes the stream. On Mix 0.5 and 0.6 that cancels a running turn of the session.

        In a forked process, the streams of its parent stay open there and do not exist here.
        """
        if not self._is_inherited():
            await self.response.aclose()

    async def __aenter__(self) -> Self:
        """Keeps the stream open until the block ends."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the stream."""
        await self.close()


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Returns the event loop that runs in this thread, if there is one."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def in_thread(work: Callable[[], T]) -> T:
    """Does blocking work in a thread of its own, which keeps neither the loop nor the process from ending."""
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001  # Raised where it is awaited.
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    threading.Thread(target=run, daemon=True).start()
    # Shielded: a thread cannot be cancelled, and would find its outcome decided.
    return await asyncio.shield(asyncio.wrap_future(outcome))


async def decided(decision: T | Awaitable[T]) -> T:
    """Returns the decision of a policy, be it an async function or not."""
    return cast("T", await decision) if isinstance(decision, Awaitable) else decision


async def shielded(work: Awaitable[T]) -> T:
    """Finishes short work even if the task is cancelled meanwhile; the cancellation then goes on."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as cancellation:
            if task.cancelled():
                raise
            cancelled = cancellation
        except BaseException:  # noqa: BLE001  # Raised by `task.result()` below.
            break
    if cancelled is not None:
        raise cancelled
    return task.result()
