"""The HTTP clients that a user may pass to `Mix`, where the official client has them.

Owns: what such a client must be able to do. Refuses to know: what it is used for.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, runtime_checkable

import httpx

__all__ = ["AsyncHttpClient", "ClientOwner", "HttpClient", "close_clients"]


@runtime_checkable
class HttpClient(Protocol):
    """Builds and sends requests; `httpx.Client` does, and so may a wrapper around one."""

    def build_request(
        self,
        method: str,
        url: Any,
        *,
        content: Any = None,
        data: Any = None,
        files: Any = None,
        json: Any = None,
        params: Any = None,
        headers: Any = None,
        cookies: Any = None,
        timeout: Any = None,
        extensions: Any = None,
    ) -> httpx.Request:
        """Builds a request, as `httpx.Client.build_request` does."""
        ...

    def send(
        self, request: httpx.Request, *, stream: bool = False, auth: Any = None, follow_redirects: Any = None
    ) -> httpx.Response:
        """Sends a request, as `httpx.Client.send` does."""
        ...

    def close(self) -> None:
        """Closes the connections."""
        ...


@runtime_checkable
class AsyncHttpClient(Protocol):
    """Builds and sends requests; `httpx.AsyncClient` does, and so may a wrapper around one."""

    def build_request(
        self,
        method: str,
        url: Any,
        *,
        content: Any = None,
        data: Any = None,
        files: Any = None,
        json: Any = None,
        params: Any = None,
        headers: Any = None,
        cookies: Any = None,
        timeout: Any = None,
        extensions: Any = None,
    ) -> httpx.Request:
        """Builds a request, as `httpx.AsyncClient.build_request` does."""
        ...

    async def send(
        self, request: httpx.Request, *, stream: bool = False, auth: Any = None, follow_redirects: Any = None
    ) -> httpx.Response:
        """Sends a request, as `httpx.AsyncClient.send` does."""
        ...

    async def aclose(self) -> None:
        """Closes the connections."""
        ...


class ClientOwner(Protocol):
    """Holds an HTTP client of each kind."""

    client: HttpClient | None
    async_client: AsyncHttpClient | None


def close_clients(
    owner: ClientOwner,
    sync_client: HttpClient | None,
    sync_client_supplied: bool,  # noqa: FBT001  # The order is that of the official client.
    async_client: AsyncHttpClient | None,
    async_client_supplied: bool,  # noqa: FBT001
) -> None:
    """Lets an owner drop its HTTP clients, and closes those that no user supplied.

    The asynchronous one is closed by the running event loop, soon, and without one at once.

    Args:
        owner: Gets None for both.
        sync_client: The synchronous client.
        sync_client_supplied: Whether a user supplied it.
        async_client: The asynchronous client.
        async_client_supplied: Whether a user supplied it.
    """
    owner.client = owner.async_client = None
    if sync_client is not None and not sync_client_supplied:
        sync_client.close()
    if async_client is not None and not async_client_supplied:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            asyncio.run(async_client.aclose())
        else:
            asyncio.run_coroutine_threadsafe(async_client.aclose(), loop)
