"""The shells as one operation sees them: with its own options on every request it makes.

Owns: handing an operation's options to a turn, which makes requests of its own. Refuses to know: turns.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    )


def _for_stream(
    outer: CallOptions, headers: Mapping[str, str] | None, seconds: float | None
) -> tuple[dict[str, str], float | None]:
    """The same for the head of a stream, whose options are two arguments."""
    if seconds is None and outer.timeout_ms is not None:
        seconds = outer.timeout_ms / 1000
    return {**(outer.http_headers or {}), **(headers or {})}, seconds


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
        self,
        call: Call[None],
        *,
        liveness: float | None = None,
        http_headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> EventStream:
        """Opens an event stream."""
        headers, seconds = _for_stream(self._options, http_headers, seconds)
        return self._transport.open_stream(call, liveness=liveness, http_headers=headers, seconds=seconds)


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
        self,
        call: Call[None],
        *,
        liveness: float | None = None,
        http_headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> AsyncEventStream:
        """Opens an event stream."""
        headers, seconds = _for_stream(self._options, http_headers, seconds)
        return await self._transport.open_stream(call, liveness=liveness, http_headers=headers, seconds=seconds)
