"""What all sub-clients have in common: the options of one operation, and the shells that honour them.

Owns: `RequestOptions`, and which server an operation talks to. Refuses to know: any single operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, TypeVar

import httpx

from langchain_mix.client._async import AsyncAttempting, AsyncTransport, Clients
from langchain_mix.client._settings import CallOptions
from langchain_mix.client._sync import Attempting, EventStream, SyncTransport
from langchain_mix.client.types import Unset, given
from langchain_mix.protocol.call import Call
from langchain_mix.protocol.retry import RetryConfig

T = TypeVar("T")


class RequestOptions(TypedDict, total=False):
    """How the requests of one operation are sent; every operation takes these as keyword arguments.

    Attributes:
        retries: When a request is sent again; None for the client's policy. Whatever it says, only requests that do no
            more when sent twice are.
        timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
        http_headers: Headers to add to every request of the operation.
        server_url: The base URL of the server that this one operation talks to; None for the client's. What is learned
            of one server is never believed of another. The client's own headers and the credentials in its URL go to
            its own origin (scheme, host and port) alone: another server gets `http_headers` and the credentials in
            this URL.
    """

    retries: RetryConfig | Unset | None
    timeout_ms: int | None
    http_headers: Mapping[str, str] | None
    server_url: str | None


class SyncShell(SyncTransport):
    """A synchronous shell as one operation sees it: with its options on every request, for the server it names.

    The connections are those of the client; there is nothing to close.
    """

    def __init__(self, transport: SyncTransport, options: RequestOptions) -> None:
        """Borrows the client's shell.

        Raises:
            TypeError: There is an option that no operation has.
            MixConfigurationError: The URL is malformed.
        """
        self._options, server_url = _read(options)
        self.core = transport.core.of_server(server_url)
        self.server_api = self.core.server_api
        self._transport = transport

    def call_client(self) -> httpx.Client:
        """Returns the client's own."""
        return self._transport.call_client()

    def stream_client(self) -> httpx.Client:
        """Returns the client's own."""
        return self._transport.stream_client()

    def transmit(self, client: httpx.Client, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        """Sends a request through the client."""
        return self._transport.transmit(client, request, stream=stream)

    def watch(self, stream: EventStream) -> None:
        """Lets the client remember an open stream."""
        self._transport.watch(stream)

    def _sent(self, call: Call[T], options: CallOptions, attempt: Attempting) -> tuple[T, httpx.Response | None]:
        return super()._sent(call, merged(self._options, options), attempt)


class AsyncShell(AsyncTransport):
    """An asynchronous shell as one operation sees it; see `SyncShell`."""

    def __init__(self, transport: AsyncTransport, options: RequestOptions) -> None:
        """Borrows the client's shell.

        Raises:
            TypeError: There is an option that no operation has.
            MixConfigurationError: The URL is malformed.
        """
        self._options, server_url = _read(options)
        self.core = transport.core.of_server(server_url)
        self.server_api = self.core.server_api
        self._transport = transport

    def clients(self) -> Clients:
        """Returns the client's own."""
        return self._transport.clients()

    async def transmit(
        self, client: httpx.AsyncClient, request: httpx.Request, *, stream: bool = False
    ) -> httpx.Response:
        """Sends a request through the client."""
        return await self._transport.transmit(client, request, stream=stream)

    async def _sent(
        self, call: Call[T], options: CallOptions, attempt: AsyncAttempting
    ) -> tuple[T, httpx.Response | None]:
        return await super()._sent(call, merged(self._options, options), attempt)


class Operations:
    """A group of operations. Each builds a call or a flow and hands it to a shell."""

    def __init__(self, sync: SyncTransport, asynchronous: AsyncTransport) -> None:
        """Takes the two shells of one client."""
        self._sync = sync
        self._async = asynchronous

    def _sync_with(self, options: RequestOptions) -> SyncShell:
        return SyncShell(self._sync, options)

    def _async_with(self, options: RequestOptions) -> AsyncShell:
        return AsyncShell(self._async, options)

    def __repr__(self) -> str:
        """Returns which operations of which server these are."""
        return f"<{type(self).__name__} of {self._sync.core.settings.server}>"


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


def _read(options: RequestOptions) -> tuple[CallOptions, str | None]:
    # Python checks the names of keyword arguments only where they are written out.
    unknown = sorted(options.keys() - RequestOptions.__annotations__.keys())
    if unknown:
        raise TypeError(
            f"unexpected keyword argument {unknown[0]!r}; besides its own, an operation takes "
            f"{', '.join(RequestOptions.__annotations__)}"
        )
    call_options = CallOptions(given(options.get("retries")), options.get("timeout_ms"), options.get("http_headers"))
    return call_options, options.get("server_url")
