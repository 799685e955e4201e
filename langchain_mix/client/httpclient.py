"""HTTP clients: the interface that users' own must have, where the official client has it, and those made here.

Owns: making clients, TLS, and what is wrong with the environment where that fails. Refuses to know: requests.
"""

from __future__ import annotations

import asyncio
import inspect
import ipaddress
import os
import ssl
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final, Protocol, runtime_checkable

import httpx

from langchain_mix import errors, process_fork

__all__ = ["AsyncHttpClient", "ClientOwner", "HttpClient", "close_clients"]

CALL_LIMITS: Final = httpx.Limits(max_connections=200, max_keepalive_connections=200)
STREAM_LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=20)
"""Open streams hold their connections; in one pool with the calls they would leave none for these."""

_PROXIED: Final = ("http", "https", "all")
_OWN_CLIENT: Final = "Correct it, or pass a client of your own: `client=httpx.Client(trust_env=False)`."


class RequestBuilder(Protocol):
    """Builds requests, as both kinds of HTTP clients do."""

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
        """Builds a request, as `build_request` of the clients of httpx does."""
        ...


@runtime_checkable
class HttpClient(RequestBuilder, Protocol):
    """Builds and sends requests; `httpx.Client` does, and so may a wrapper around one."""

    def send(
        self, request: httpx.Request, *, stream: bool = False, auth: Any = None, follow_redirects: Any = None
    ) -> httpx.Response:
        """Sends a request, as `httpx.Client.send` does."""
        ...

    def close(self) -> None:
        """Closes the connections."""
        ...


@runtime_checkable
class AsyncHttpClient(RequestBuilder, Protocol):
    """Builds and sends requests; `httpx.AsyncClient` does, and so may a wrapper around one."""

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


def open_client(limits: httpx.Limits) -> httpx.Client:
    """Makes a synchronous HTTP client.

    Raises:
        MixConfigurationError: The environment names a proxy or hosts without one in a way that cannot be used.
    """
    with _explained():
        return httpx.Client(limits=limits, verify=tls())


def open_async_client(limits: httpx.Limits) -> httpx.AsyncClient:
    """Makes an asynchronous HTTP client.

    Raises:
        MixConfigurationError: The environment names a proxy or hosts without one in a way that cannot be used.
    """
    with _explained():
        return httpx.AsyncClient(limits=limits, verify=tls())


def check_clients(client: Any, async_client: Any) -> None:
    """Refuses HTTP clients of users that cannot send the requests made here.

    Args:
        client: For synchronous operations, or None.
        async_client: For asynchronous operations, or None.

    Raises:
        MixConfigurationError: One is of another library or of the other kind.
    """
    _check("client", client, "httpx.Client", asynchronous=False)
    _check("async_client", async_client, "httpx.AsyncClient", asynchronous=True)


def _check(option: str, client: Any, wanted: str, *, asynchronous: bool) -> None:
    if client is None:
        return
    kind = httpx.AsyncClient if asynchronous else httpx.Client
    if isinstance(client, kind):
        return
    other = isinstance(client, httpx.Client | httpx.AsyncClient)
    if other or not _behaves(client, asynchronous=asynchronous):
        found = type(client)
        raise errors.MixConfigurationError(
            f"`{option}` is a {found.__module__}.{found.__qualname__}.",
            hint=f"Pass an {wanted} of the package `httpx`, or an object with its `build_request` and `send`.",
        )


def _behaves(client: Any, *, asynchronous: bool) -> bool:
    """True for a wrapper around an HTTP client, as the documentation of Mix shows one."""
    send, build = getattr(client, "send", None), getattr(client, "build_request", None)
    if not callable(send) or not callable(build) or inspect.iscoroutinefunction(send) is not asynchronous:
        return False
    try:
        return isinstance(build("GET", "http://localhost/"), httpx.Request)
    except Exception:  # noqa: BLE001  # A foreign object may fail in any way; the caller names it.
        return False


@contextmanager
def _explained() -> Iterator[None]:
    """Names the environment variable that httpx cannot read. Its own words may quote a password and are not used."""
    try:
        yield
    except (httpx.InvalidURL, ValueError, ImportError) as problem:
        raise errors.MixConfigurationError(_proxy_problem(problem), hint=_OWN_CLIENT) from None


def _proxy_problem(problem: Exception) -> str:
    """Finds what is wrong with the proxies that the environment names, by trying each alone."""
    configured = urllib.request.getproxies()
    for scheme in _PROXIED:
        if url := configured.get(scheme):
            url = url if "://" in url else f"http://{url}"
            kind = url.partition("://")[0].lower()
            try:
                httpx.Proxy(url)
            except (httpx.InvalidURL, ValueError):
                shown = f", with the scheme {kind!r}," if kind.isalnum() else ""
                return (
                    f"{_named(scheme)}{shown} is no proxy that can be used: it is written http://host:port, "
                    "https://host:port or socks5://host:port."
                )
            if kind.startswith("socks") and isinstance(problem, ImportError):
                return f"{_named(scheme)} is a SOCKS proxy, which needs another package: pip install 'httpx[socks]'."
    for entry in configured.get("no", "").split(","):
        if not _is_host(entry.strip()):
            shown = f" {entry.strip()!r}" if "@" not in entry else ""
            return (
                f"{_named('no')} has an entry{shown} that cannot be read: write host names and addresses separated by "
                "commas, without brackets, line breaks and networks of IPv6."
            )
    return f"The proxies of the environment ({', '.join(_named(s) for s in configured)}) cannot be used."


def proxy_variable(server: str) -> str:
    """Returns the name of the environment variable that sends requests to a server through a proxy, or empty.

    Args:
        server: The server's base URL.
    """
    scheme, _, rest = server.partition("://")
    configured = urllib.request.getproxies()
    found = next((s for s in (scheme.lower(), "all") if configured.get(s)), "")
    host = rest.partition("/")[0]
    return _named(found) if found and not urllib.request.proxy_bypass(host) else ""


def _named(scheme: str) -> str:
    """Returns the name of the variable, as it is written in the environment."""
    name = f"{scheme}_proxy"
    written = [found for found in os.environ if found.lower() == name and os.environ[found]]
    return name if name in written else next(iter(written), f"The system's {name}")


def _is_host(entry: str) -> bool:
    if not entry or entry == "*":
        return True
    try:
        ipaddress.IPv6Address(entry.partition("/")[0])
    except ValueError:
        host = f"*{entry}"
    else:
        host = f"[{entry}]"
    try:
        httpx.URL(entry if "://" in entry else f"all://{host}")
    except httpx.InvalidURL:
        return False
    return True


@cache
def tls() -> ssl.SSLContext:
    """Returns the TLS context of all connections."""
    return _LazyTLS(ssl.PROTOCOL_TLS_CLIENT)


class _LazyTLS(ssl.SSLContext):
    """A TLS context that loads certificates, which costs 20 ms, only where TLS is spoken."""

    _protocols: tuple[str, ...] = ()

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Sets what is spoken over TLS."""
        # httpcore closes its socket if wrapping it fails, but not if this does.
        self._protocols = tuple(alpn_protocols)

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """Speaks TLS over a socket."""
        return self._loaded().wrap_socket(*args, **kwargs)

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Speaks TLS over buffers."""
        return self._loaded().wrap_bio(*args, **kwargs)

    def _loaded(self) -> ssl.SSLContext:
        context = _trusting()
        context.set_alpn_protocols(list(self._protocols))
        return context


@cache
def _trusting() -> ssl.SSLContext:
    try:
        return httpx.create_ssl_context()
    except (OSError, ValueError) as problem:
        name = next((n for n in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(n)), "")
        raise errors.MixConfigurationError(
            f"{name or 'The system'} gives no certificates that can be read ({type(problem).__name__}).",
            hint="Let it name a file (or a folder) of certificates in PEM format, or unset it.",
        ) from None


process_fork.renew_in_child(_trusting.cache_clear)  # OpenSSL keeps locks in a context, which a handshake may hold.
