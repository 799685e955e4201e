"""The asynchronous shell: sends calls and reads streams with an asynchronous HTTP client, one per event loop.

Owns: doing. Refuses to know: what a call means and what to do about its outcome.
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar, cast

import httpx

from langchain_mix import errors, forking
from langchain_mix.client._bodies import whole
from langchain_mix.client._core import Core, Outcome, Wait, head_of, reply_of
from langchain_mix.client._deadlines import SLACK, AsyncBoundedAttempt, ReadLimit, guard_async, left
from langchain_mix.client._failures import broken_stream, failure_of, inherited_client, inherited_stream, original_of
from langchain_mix.client._settings import ANSWER_LIMIT, DEFAULT_OPTIONS, CallOptions
from langchain_mix.client._sync import FAILURES, ReadAhead
from langchain_mix.client._turns import socket_of
from langchain_mix.client.http_clients import CALL_LIMITS, STREAM_LIMITS, open_async_client
from langchain_mix.protocol.call import Call, Flow, Reply, Together
from langchain_mix.protocol.events import Event, read_event
from langchain_mix.protocol.sse import SSEDecoder

T = TypeVar("T")

AsyncAttempting: TypeAlias = Callable[[Call[Any], CallOptions], Awaitable[tuple[Outcome, httpx.Response | None]]]
"""Sends a call once: how it went, and the answer if there was one."""


class Clients(NamedTuple):
    """The HTTP clients of one event loop."""

    calls: httpx.AsyncClient
    streams: httpx.AsyncClient


class AsyncTransport:
    """Sends the calls of one client, from any number of event loops."""

    def __init__(self, core: Core, client: httpx.AsyncClient | None = None) -> None:
        """Opens nothing yet.

        Args:
            core: Settings and knowledge, shared with the other shell.
            client: The user's own HTTP client, which is then used for everything and never closed here.
        """
        self.core = core
        self.server_api = core.server_api
        self._own = client is None
        self._given = None if client is None else Clients(client, client)
        self._lock = threading.Lock()
        # A connection belongs to the loop that opened it; a client used from another one fails in odd ways.
        self._by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Clients] = weakref.WeakKeyDictionary()
        self._connections: weakref.WeakSet[Any] = weakref.WeakSet()
        self._used = self._inherited = False
        forking.renew_in_child(self._renew)

    def _renew(self) -> None:
        """Begins without the connections of the parent, which uses them on."""
        forking.let_go(map(socket_of, self._connections))
        self._lock = threading.Lock()
        self._by_loop, self._connections = weakref.WeakKeyDictionary(), weakref.WeakSet()
        self._inherited = self._used and not self._own

    async def transmit(
        self, client: httpx.AsyncClient, request: httpx.Request, *, stream: bool = False
    ) -> httpx.Response:
        """Sends a request and notes over which connection."""
        self._used = True
        response = await client.send(request, stream=stream, follow_redirects=False)
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
                clients = Clients(
                    open_async_client(CALL_LIMITS),
                    open_async_client(STREAM_LIMITS),
                )
                self._by_loop[loop] = clients
            return clients

    async def close(self) -> None:
        """Closes the connections of the running loop. The next call opens new ones."""
        with self._lock:
            clients = self._by_loop.pop(asyncio.get_running_loop(), None)
        if clients is not None:
            await clients.calls.aclose()
            await clients.streams.aclose()

    async def send(self, call: Call[T], options: CallOptions = DEFAULT_OPTIONS) -> T:
        """Sends a call, again where that is safe and promising.

        Args:
            call: The call.
            options: How this one is sent.

        Returns:
            Its result.

        Raises:
            MixError: It failed; the type tells whose fault it is.
        """
        return (await self._sent(call, options, self._attempt))[0]

    async def _sent(
        self, call: Call[T], options: CallOptions, attempt: AsyncAttempting
    ) -> tuple[T, httpx.Response | None]:
        """Makes attempts as long as one more is safe and promising; gives the result and the answer it came from."""
        steps = self.core.sending(call, options)
        step = next(steps)
        response: httpx.Response | None = None
        try:
            while True:
                outcome: Outcome | None = None
                if isinstance(step, Wait):
                    await asyncio.sleep(step.seconds)  # noqa: TID251  # The pause between two attempts.
                else:
                    outcome, response = await attempt(call, options)
                step = steps.send(outcome)
        except StopIteration as done:
            return done.value, response
        except errors.MixResponseError as error:
            error.raw_response = response
            raise

    async def _attempt(self, call: Call[Any], options: CallOptions) -> tuple[Outcome, httpx.Response | None]:
        client = self.clients().calls
        request = self.core.request(client, call, options)
        self.core.log_request(call, request)
        try:
            async with AsyncBoundedAttempt(request, options.until, body=ANSWER_LIMIT):
                response, reply = await self._read(call, await self.transmit(client, request, stream=True))
        except errors.MixReplyTooLarge as error:
            return error, None
        except FAILURES as problem:
            return self._failure(call, problem), None
        self.core.log_reply(call, reply)
        return reply, response

    async def _read(self, call: Call[Any], response: httpx.Response) -> tuple[httpx.Response, Reply]:
        """Reads an answer whole, and closes it."""
        try:
            body = self.core.body_of(call, response)
            if response.is_stream_consumed:  # Of a transport in memory.
                body.check(len(response.content))
                return response, reply_of(response, response.content)
            async for piece in response.aiter_raw():
                body.feed(piece)
            content = body.finish()
        finally:
            await response.aclose()
        return whole(response, content), reply_of(response, content)

    def _failure(self, call: Call[Any], problem: Exception) -> errors.MixError:
        error = failure_of(problem, sent=str(call), idempotent=call.idempotent, server=self.core.settings.server)
        error.original = original_of(problem)
        return error

    async def run(self, flow: Flow[T], options: CallOptions = DEFAULT_OPTIONS) -> T:
        """Runs several calls in a row; see `Flow`.

        Args:
            flow: The calls.
            options: How each is sent.

        Returns:
            The flow's result.

        Raises:
            MixError: The flow failed.
        """
        try:
            step = next(flow)
            while True:
                try:
                    result = await self.perform(step, options)
                except errors.MixError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(result)
        except StopIteration as done:
            final: T = done.value
            return final

    async def perform(self, step: Call[Any] | Together, options: CallOptions = DEFAULT_OPTIONS) -> Any:
        """Carries out one step of a procedure; see `protocol/procedure.py`.

        Args:
            step: A call, or several that go together.
            options: How each is sent.

        Returns:
            The result, or the list of results.

        Raises:
            MixError: A call failed.
        """
        if not isinstance(step, Together):
            return await self.send(step, options)
        sending = [asyncio.ensure_future(self.send(call, options)) for call in step.calls]
        try:
            return await asyncio.gather(*sending)
        finally:
            for task in sending:  # One has failed, or this task is cancelled: none is left behind.
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)

    async def open_stream(
        self, call: Call[None], options: CallOptions = DEFAULT_OPTIONS, *, liveness: float | None = None
    ) -> AsyncEventStream:
        """Opens an event stream, again where that is promising. Its head has arrived when this returns.

        Args:
            call: From `calls.event_stream`.
            options: How it is sent; `timeout_ms` is how long to wait for the head.
            liveness: Seconds without a byte after which the stream is dead, or None for the client's.

        Returns:
            The stream, to be closed.

        Raises:
            MixError: The server cannot be reached, or refuses.
        """
        _, response = await self._sent(call, options, self._open)
        if response is None:
            raise AssertionError("Only an open stream is a success.")
        seconds = self.core.stay(response.request, liveness)
        return AsyncEventStream(call, response, seconds)

    async def _open(self, call: Call[Any], options: CallOptions) -> tuple[Outcome, httpx.Response | None]:
        client = self.clients().streams
        request = self.core.stream_request(client, call, options)
        self.core.log_request(call, request)
        try:
            async with AsyncBoundedAttempt(request, options.until, body=ANSWER_LIMIT):
                response = await self.transmit(client, request, stream=True)
                if self.core.is_stream(response):
                    return head_of(response), response
                response, reply = await self._read(call, response)
        except errors.MixReplyTooLarge as error:
            return error, None
        except FAILURES as problem:
            return self._failure(call, problem), None
        return self.core.refused_stream(call, reply), response

    async def download(
        self,
        call: Call[T],
        write: Callable[[bytes], object],
        progress: Callable[[int, int | None], object] | None,
        options: CallOptions = DEFAULT_OPTIONS,
    ) -> tuple[T, int]:
        """Streams the body of an answer. It is asked for again as long as nothing of it was written.

        Args:
            call: From `calls.download_file`.
            write: Takes each piece.
            progress: Told the bytes so far and the bytes in all, None if the server does not tell.
            options: How it is sent.

        Returns:
            The result of the call, which is decoded from the head alone, and the number of bytes.

        Raises:
            MixError: It failed; what was written by then is not the file.
        """
        size = 0

        async def fetch(call: Call[Any], options: CallOptions) -> tuple[Outcome, httpx.Response | None]:
            nonlocal size
            client = self.clients().calls
            request = self.core.request(client, call, options)
            self.core.log_request(call, request)
            try:
                async with AsyncBoundedAttempt(request, options.until, body=None):
                    response = await self.transmit(client, request, stream=True)
                    try:
                        if response.status_code not in call.statuses:
                            refused, reply = await self._read(call, response)
                            return reply, refused
                        total = self.core.size_of(response)
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
                error = self._failure(call, problem)
                if size:
                    raise error from None
                return error, None
            return head_of(response), response

        result, _ = await self._sent(call, options, fetch)
        return result, size


class AsyncEventStream:
    """An open event stream: iterate over it for events, and close it.

    Iterating ends when the server ends the stream, and raises `MixStreamError` when it breaks. Mix cuts every stream
    after ten minutes in the middle, which is a break too: open another one then. `async with stream:` and
    `async with stream.result:` both close it at the end.
    """

    def __init__(self, call: Call[None], response: httpx.Response, liveness: float) -> None:
        """Takes an open response, and the seconds without a byte after which the stream is dead."""
        self._call = call
        self._liveness = liveness
        self.read_limit: Callable[[], float] | None = None
        self.response = response
        self.problem: errors.MixStreamError | None = None
        self._depth = forking.depth()
        self.read_ahead = ReadAhead()
        self._reading = False
        self._moved: asyncio.Event | None = None  # Made by who waits while another task reads.
        self._pieces = self._read_pieces()
        self._events = self._read()
        self.loop = asyncio.get_running_loop()
        forking.renew_in_child(self._renew)

    def _renew(self) -> None:
        """Ends in a forked child, since the parent reads on."""
        self.problem = inherited_stream(str(self._call))
        self._reading = False
        self.read_ahead.abandon()

    async def until_broken(self) -> AsyncIterator[Event]:
        """Gives the events until the stream ends, in whichever way; `problem` then has why it broke, if it did.

        For a stream that nobody else reads. Each piece is waited for until the moment that `read_limit` gives, on the
        monotonic clock in seconds, if it is set.
        """
        events = self.read_ahead.events
        async for _ in self._pieces:
            while events:
                yield events.popleft()

    async def _read(self) -> AsyncIterator[Event]:
        events = self.read_ahead.events
        while events or await self._reach(events.__len__):
            yield events.popleft()
        if self.problem is not None:
            raise self.problem

    def _due(self) -> float:
        due = time.monotonic() + SLACK * self._liveness
        return due if self.read_limit is None else min(due, self.read_limit())

    async def _read_pieces(self) -> AsyncIterator[None]:
        feed, add = SSEDecoder(read_event).feed, self.read_ahead.add
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
        return forking.depth() != self._depth

    async def _reach(self, reached: Callable[[], object]) -> bool:
        """Reads on until something is so, or the stream ends. Of several tasks that want to, one reads for all."""
        ahead = self.read_ahead
        while self._reading:
            if reached() or ahead.ended:
                return bool(reached())
            if self._moved is None:
                self._moved = asyncio.Event()
            await self._moved.wait()
        self._reading = True
        try:
            if not (reached() or ahead.ended):
                async for _ in self._pieces:
                    if reached():
                        break
                    self._notify()
                else:
                    ahead.ended = True
        except BaseException as cut:  # A cancelled task ends the stream for the others too.
            self.problem, ahead.ended = self.problem or broken_stream(cut, sent=str(self._call)), True
            raise
        finally:
            self._reading = False
            self._notify()
        return not ahead.ended or bool(reached())

    def _notify(self) -> None:
        if self._moved is not None:
            self._moved.set()
            self._moved = None

    async def await_connected(self, within: float) -> bool:
        """Waits so many seconds until the server has said that it is listening; False if the stream ends before."""
        self.read_ahead.shared = True
        return await self._reach_within(lambda: self.read_ahead.connected, within)

    async def await_ending(self, after: int, within: float) -> Event | None:
        """Waits for the event that ends a turn, while others may read the stream too; see `EventStream`."""
        endings = self.read_ahead.endings
        return endings[after] if await self._reach_within(lambda: len(endings) > after, within) else None

    async def _reach_within(self, reached: Callable[[], object], seconds: float) -> bool:
        timeout = asyncio.timeout(seconds)
        try:
            async with timeout:
                return await self._reach(reached)
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
        """The events, as they come."""
        return self._events

    async def __anext__(self) -> Event:
        """The next event."""
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


async def decided(said: T | Awaitable[T]) -> T:
    """What a policy said, whether it is an async function or not."""
    return cast("T", await said) if isinstance(said, Awaitable) else said


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
        except BaseException:  # noqa: BLE001  # Told by `task.result()` below.
            break
    if cancelled is not None:
        raise cancelled
    return task.result()
