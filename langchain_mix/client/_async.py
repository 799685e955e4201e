"""The asynchronous shell: sends calls and reads streams with an asynchronous HTTP client, one per event loop.

Owns: doing. Refuses to know: what a call means and what to do about its outcome.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import httpx

from langchain_mix import errors
from langchain_mix.client._core import CALL_LIMITS, STREAM_LIMITS, Core, Wait, reply_of, tls_for
from langchain_mix.client._failures import broken_stream, failure_of
from langchain_mix.client._settings import DEFAULT_OPTIONS, CallOptions
from langchain_mix.client._sync import FAILURES
from langchain_mix.protocol.call import Call, Flow, Reply
from langchain_mix.protocol.event_reader import parse_event
from langchain_mix.protocol.events import Event
from langchain_mix.protocol.sse import SSEDecoder

T = TypeVar("T")


class _Clients(NamedTuple):
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
        self._own = client is None
        self._given = None if client is None else _Clients(client, client)
        self._lock = threading.Lock()
        # A connection belongs to the loop that opened it; a client used from another one fails in odd ways.
        self._by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Clients] = weakref.WeakKeyDictionary()

    def _clients(self) -> _Clients:
        if self._given is not None:
            return self._given
        loop = asyncio.get_running_loop()
        with self._lock:
            clients = self._by_loop.get(loop)
            if clients is None:
                tls = tls_for(self.core.settings.url)
                clients = _Clients(
                    httpx.AsyncClient(limits=CALL_LIMITS, verify=tls),
                    httpx.AsyncClient(limits=STREAM_LIMITS, verify=tls),
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
        steps = self.core.sending(call, options)
        step = next(steps)
        response: httpx.Response | None = None
        try:
            while True:
                outcome: Reply | errors.MixError | None = None
                if isinstance(step, Wait):
                    await asyncio.sleep(step.seconds)  # noqa: TID251  # The pause between two attempts.
                else:
                    outcome, response = await self._attempt(call, options)
                step = steps.send(outcome)
        except StopIteration as done:
            result: T = done.value
            return result
        except errors.MixResponseError as error:
            error.raw_response = response
            raise

    async def _attempt(
        self, call: Call[Any], options: CallOptions
    ) -> tuple[Reply, httpx.Response] | tuple[errors.MixError, None]:
        client = self._clients().calls
        request = self.core.request(client, call, options)
        self.core.log_request(call, request)
        try:
            response = await client.send(request, follow_redirects=False)
        except FAILURES as problem:
            return self._failure(call, problem), None
        reply = reply_of(response)
        self.core.log_reply(call, reply)
        return reply, response

    def _failure(self, call: Call[Any], problem: Exception) -> errors.MixError:
        error = failure_of(problem, sent=str(call), idempotent=call.idempotent, server=self.core.settings.server)
        error.__cause__ = problem
        return error

    async def run(self, flow: Flow[T], options: CallOptions = DEFAULT_OPTIONS) -> T:
        """Runs several calls in a row; see `Flow`."""
        try:
            call = next(flow)
            while True:
                try:
                    result = await self.send(call, options)
                except errors.MixError as error:
                    call = flow.throw(error)
                else:
                    call = flow.send(result)
        except StopIteration as done:
            final: T = done.value
            return final

    async def open_stream(
        self,
        call: Call[None],
        *,
        liveness: float | None = None,
        http_headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> AsyncEventStream:
        """Opens an event stream. Its head has arrived when this returns.

        Args:
            call: From `calls.event_stream`.
            liveness: Seconds without a byte after which the stream is dead, or None for the client's.
            http_headers: Headers to add.
            seconds: How long to wait for the head at most, or None for the client's timeout.

        Returns:
            The stream, to be closed.

        Raises:
            MixError: The server cannot be reached, or refuses.
        """
        client = self._clients().streams
        request = self.core.stream_request(client, call, http_headers=http_headers, seconds=seconds)
        self.core.log_request(call, request)
        try:
            response = await client.send(request, stream=True, follow_redirects=False)
        except FAILURES as problem:
            raise self._failure(call, problem) from problem
        try:
            await self._check_head(call, response)
        except BaseException:
            await response.aclose()
            raise
        self.core.stay(request, liveness)
        return AsyncEventStream(call, response)

    async def _check_head(self, call: Call[None], response: httpx.Response) -> None:
        if response.status_code == httpx.codes.OK and "event-stream" in response.headers.get("content-type", ""):
            return
        try:
            await response.aread()
        except FAILURES as problem:
            raise self._failure(call, problem) from problem
        error = self.core.refused_stream(call, reply_of(response))
        error.raw_response = response
        raise error

    async def download(
        self, call: Call[bytes], write: Callable[[bytes], object], progress: Callable[[int, int | None], object] | None
    ) -> int:
        """Streams the body of an answer.

        Args:
            call: From `calls.download_file`.
            write: Takes each piece.
            progress: Told the bytes so far and the bytes in all, None if the server does not tell.

        Returns:
            The number of bytes.

        Raises:
            MixError: It failed; what was written by then is not the file.
        """
        client = self._clients().calls
        request = self.core.request(client, call, DEFAULT_OPTIONS)
        self.core.log_request(call, request)
        try:
            response = await client.send(request, stream=True, follow_redirects=False)
        except FAILURES as problem:
            raise self._failure(call, problem) from problem
        try:
            if response.status_code not in call.statuses:
                await response.aread()
                call.result(reply_of(response))
            size, total = 0, self.core.size_of(response)
            async for piece in response.aiter_bytes():
                write(piece)
                size += len(piece)
                if progress is not None:
                    progress(size, total)
        except FAILURES as problem:
            raise self._failure(call, problem) from problem
        finally:
            await response.aclose()
        return size


class AsyncEventStream:
    """An open event stream: iterate over it for events, and close it.

    Iterating ends when the server closes the stream, which Mix does after ten minutes at the latest, and raises
    `MixStreamError` if it breaks. `async with stream:` and `async with stream.result:` both close it at the end.
    """

    def __init__(self, call: Call[None], response: httpx.Response) -> None:
        """Takes an open response."""
        self._call = call
        self.response = response
        self._events = self._read()

    async def _read(self) -> AsyncIterator[Event]:
        decoder = SSEDecoder()
        feed = decoder.feed
        try:
            async for chunk in self.response.aiter_bytes():
                for event in feed(chunk):
                    yield parse_event(event)
        except FAILURES as problem:
            raise broken_stream(problem, sent=str(self._call)) from problem
        finally:
            await self.response.aclose()

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
        """Closes the stream. On Mix 0.5 and 0.6 that cancels a running turn of the session."""
        await self.response.aclose()

    async def __aenter__(self) -> Self:
        """Keeps the stream open until the block ends."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the stream."""
        await self.close()


async def decided(said: T | Awaitable[T]) -> T:
    """What a policy said, whether it is an async function or not."""
    return await said if isinstance(said, Awaitable) else said


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
