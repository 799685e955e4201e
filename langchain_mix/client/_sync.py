"""The synchronous shell: sends calls and reads streams with a synchronous HTTP client. No event loop, no hidden thread.

Owns: doing. Refuses to know: what a call means and what to do about its outcome.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from langchain_mix import errors
from langchain_mix.client._core import CALL_LIMITS, STREAM_LIMITS, Core, Wait, reply_of, tls_for
from langchain_mix.client._failures import broken_stream, failure_of
from langchain_mix.client._settings import DEFAULT_OPTIONS, CallOptions
from langchain_mix.client._turns import interrupt
from langchain_mix.protocol.call import Call, Flow, Reply
from langchain_mix.protocol.event_reader import parse_event
from langchain_mix.protocol.events import Event
from langchain_mix.protocol.sse import SSEDecoder

T = TypeVar("T")

FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)
"""What httpx raises when a request cannot be made, sent or answered."""


class SyncTransport:
    """Sends the calls of one client."""

    def __init__(self, core: Core, client: httpx.Client | None = None) -> None:
        """Opens nothing yet.

        Args:
            core: Settings and knowledge, shared with the other shell.
            client: The user's own HTTP client, which is then used for everything and never closed here.
        """
        self.core = core
        self._own = client is None
        self._calls = client
        self._streams = client
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[EventStream] = weakref.WeakSet()

    def _call_client(self) -> httpx.Client:
        with self._lock:
            if self._calls is None:
                self._calls = self._own_client(CALL_LIMITS)
            return self._calls

    def _stream_client(self) -> httpx.Client:
        with self._lock:
            if self._streams is None:
                self._streams = self._own_client(STREAM_LIMITS)
            return self._streams

    def _own_client(self, limits: httpx.Limits) -> httpx.Client:
        client = httpx.Client(limits=limits, verify=tls_for(self.core.settings.url))
        weakref.finalize(self, client.close)  # Chat models are dropped, not closed.
        return client

    def close(self) -> None:
        """Closes the connections. The next call opens new ones."""
        if not self._own:
            return
        with self._lock:
            clients, self._calls, self._streams = (self._calls, self._streams), None, None
            streams = list(self._open)
        for stream in streams:
            stream.interrupt()  # Who reads it in another thread would not notice that it is closed.
        for client in clients:
            if client is not None:
                client.close()

    def send(self, call: Call[T], options: CallOptions = DEFAULT_OPTIONS) -> T:
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
                    time.sleep(step.seconds)  # noqa: TID251  # The pause between two attempts.
                else:
                    outcome, response = self._attempt(call, options)
                step = steps.send(outcome)
        except StopIteration as done:
            result: T = done.value
            return result
        except errors.MixResponseError as error:
            error.raw_response = response
            raise

    def _attempt(
        self, call: Call[Any], options: CallOptions
    ) -> tuple[Reply, httpx.Response] | tuple[errors.MixError, None]:
        client = self._call_client()
        request = self.core.request(client, call, options)
        self.core.log_request(call, request)
        try:
            response = client.send(request, follow_redirects=False)
        except FAILURES as problem:
            return self._failure(call, problem), None
        reply = reply_of(response)
        self.core.log_reply(call, reply)
        return reply, response

    def _failure(self, call: Call[Any], problem: Exception) -> errors.MixError:
        error = failure_of(problem, sent=str(call), idempotent=call.idempotent, server=self.core.settings.server)
        error.__cause__ = problem
        return error

    def run(self, flow: Flow[T], options: CallOptions = DEFAULT_OPTIONS) -> T:
        """Runs several calls in a row; see `Flow`."""
        try:
            call = next(flow)
            while True:
                try:
                    result = self.send(call, options)
                except errors.MixError as error:
                    call = flow.throw(error)
                else:
                    call = flow.send(result)
        except StopIteration as done:
            final: T = done.value
            return final

    def open_stream(
        self,
        call: Call[None],
        *,
        liveness: float | None = None,
        http_headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> EventStream:
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
        client = self._stream_client()
        request = self.core.stream_request(client, call, http_headers=http_headers, seconds=seconds)
        self.core.log_request(call, request)
        try:
            response = client.send(request, stream=True, follow_redirects=False)
        except FAILURES as problem:
            raise self._failure(call, problem) from problem
        try:
            self._check_head(call, response)
        except BaseException:
            response.close()
            raise
        self.core.stay(request, liveness)
        stream = EventStream(call, response)
        with self._lock:
            self._open.add(stream)
        return stream

    def _check_head(self, call: Call[None], response: httpx.Response) -> None:
        if response.status_code == httpx.codes.OK and "event-stream" in response.headers.get("content-type", ""):
            return
        try:
            response.read()
        except FAILURES as problem:
            raise self._failure(call, problem) from problem
        error = self.core.refused_stream(call, reply_of(response))
        error.raw_response = response
        raise error

    def download(
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
        client = self._call_client()
        request = self.core.request(client, call, DEFAULT_OPTIONS)
        self.core.log_request(call, request)
        try:
            response = client.send(request, stream=True, follow_redirects=False)
        except FAILURES as problem:
            raise self._failure(call, problem) from problem
        try:
            if response.status_code not in call.statuses:
                response.read()
                call.result(reply_of(response))
            size, total = 0, self.core.size_of(response)
            for piece in response.iter_bytes():
                write(piece)
                size += len(piece)
                if progress is not None:
                    progress(size, total)
        except FAILURES as problem:
            raise self._failure(call, problem) from problem
        finally:
            response.close()
        return size


class EventStream:
    """An open event stream: iterate over it for events, and close it.

    Iterating ends when the server closes the stream, which Mix does after ten minutes at the latest, and raises
    `MixStreamError` if it breaks. `with stream:` and `with stream.result:` both close it at the end.
    """

    def __init__(self, call: Call[None], response: httpx.Response) -> None:
        """Takes an open response."""
        self._call = call
        self.response = response
        self._events = self._read()

    def _read(self) -> Iterator[Event]:
        decoder = SSEDecoder()
        feed = decoder.feed
        try:
            for chunk in self.response.iter_bytes():
                for event in feed(chunk):
                    yield parse_event(event)
        except FAILURES as problem:
            raise broken_stream(problem, sent=str(self._call)) from problem
        finally:
            self.response.close()

    @property
    def result(self) -> Self:
        """The stream itself, where the official client of 0.6 and later has it."""
        return self

    @property
    def headers(self) -> httpx.Headers:
        """The headers of the answer."""
        return self.response.headers

    def __iter__(self) -> Iterator[Event]:
        """The events, as they come."""
        return self._events

    def __next__(self) -> Event:
        """The next event."""
        return next(self._events)

    def interrupt(self) -> None:
        """Ends the reading from another thread: what has arrived is still read, then the stream ends."""
        interrupt(self.response)

    def close(self) -> None:
        """Closes the stream. On Mix 0.5 and 0.6 that cancels a running turn of the session."""
        self.response.close()

    def __enter__(self) -> Self:
        """Keeps the stream open until the block ends."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the stream."""
        self.close()
