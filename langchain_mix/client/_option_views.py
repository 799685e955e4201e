"""The shells as one operation sees them: with its own options on every request it makes.

Owns: handing an operation's options to a turn, which makes requests of its own. Refuses to know: turns.
"""

from __future__ import annotations

from typing import TypeVar

from langchain_mix.client._async import AsyncEventStream, AsyncTransport
from langchain_mix.client._settings import DEFAULT_OPTIONS, CallOptions
from langchain_mix.client._sync import EventStream, SyncTransport
from langchain_mix.protocol.call import Call

T = TypeVar("T")


def merged(outer: CallOptions, inner: CallOptions) -> CallOptions:
    """Adds to the options of a request what an operation says; what the request itself says counts more.

    Args:
        outer: The operation's options.
        inner: The request's options.

    Returns:
        Both.
    """
    return CallOptions(
        inner.retries or outer.retries,
        inner.timeout_ms if inner.timeout_ms is not None else outer.timeout_ms,
        {**(outer.http_headers or {}), **(inner.http_headers or {})} or None,
        inner.until if inner.until is not None else outer.until,
    )


class SyncOptionsView(SyncTransport):
    """A synchronous shell that adds options. It borrows everything else, and there is nothing to close."""

    def __init__(self, transport: SyncTransport, options: CallOptions) -> None:
        """Borrows a shell."""
        self.core = transport.core
        self._transport = transport
        self._options = options

    def send(self, call: Call[T], options: CallOptions = DEFAULT_OPTIONS) -> T:
        """Sends a call."""
        return self._transport.send(call, merged(self._options, options))

    def open_stream(
        self, call: Call[None], options: CallOptions = DEFAULT_OPTIONS, *, liveness: float | None = None
    ) -> EventStream:
        """Opens an event stream."""
        return self._transport.open_stream(call, merged(self._options, options), liveness=liveness)


class AsyncOptionsView(AsyncTransport):
    """An asynchronous shell that adds options. It borrows everything else, and there is nothing to close."""

    def __init__(self, transport: AsyncTransport, options: CallOptions) -> None:
        """Borrows a shell."""
        self.core = transport.core
        self._transport = transport
        self._options = options

    async def send(self, call: Call[T], options: CallOptions = DEFAULT_OPTIONS) -> T:
        """Sends a call."""
        return await self._transport.send(call, merged(self._options, options))

    async def open_stream(
        self, call: Call[None], options: CallOptions = DEFAULT_OPTIONS, *, liveness: float | None = None
    ) -> AsyncEventStream:
        """Opens an event stream."""
        return await self._transport.open_stream(call, merged(self._options, options), liveness=liveness)
