"""An ASGI app on a real socket, in a thread of its own.

Owns: the socket, the thread, the event loop, starting and stopping, the open connections and ending one abruptly.
Refuses to know: what the app does.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from langchain_mix import process_fork
from langchain_mix.emulator.activity import Activity


class Transports:
    """All open connections, by the address of the client."""

    def __init__(self, activity: Activity) -> None:
        """Begins with none."""
        self._activity = activity
        self._open: dict[object, asyncio.Transport] = {}

    def opened(self, peer: object, transport: asyncio.Transport) -> None:
        """Notes a new connection."""
        self._open[peer] = transport
        self._activity.changed("connections", 1)

    def lost(self, peer: object) -> None:
        """Notes that a connection is gone."""
        if self._open.pop(peer, None) is not None:
            self._activity.changed("connections", -1)

    def close(self, peer: object) -> None:
        """Closes a connection once what was written has gone out; an answer on it stays unfinished."""
        if (transport := self._open.get(peer)) is not None:
            transport.close()

    def abort(self, peer: object) -> None:
        """Closes a connection at once; what has not gone out is lost."""
        if (transport := self._open.get(peer)) is not None:
            transport.abort()

    def reset(self, peer: object) -> None:
        """Resets a connection (TCP RST)."""
        if (transport := self._open.get(peer)) is not None:
            sock: socket.socket = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()

    def let_go(self) -> None:
        """Gives up a forked child's share of all connections: they end when the parent closes them."""
        process_fork.abandon_sockets(transport.get_extra_info("socket") for transport in self._open.values())

    def abort_all(self) -> None:
        """Closes all connections at once."""
        for transport in list(self._open.values()):
            transport.abort()


class TrackedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which reports when connections open and end."""

    def __init__(self, transports: Transports, **options: Any) -> None:
        """Prepares for a connection."""
        super().__init__(**options)
        self._transports = transports

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self._transports.opened(self.client, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        super().connection_lost(exc)
        self._transports.lost(self.client)


_IDLE_SECONDS: Final = 900
"""Mix closes idle connections after 15 minutes."""
_STOP_SECONDS: Final = 5.0
"""Seconds that a request may take to notice that its connection is gone."""

Closer = Callable[[], Awaitable[None]]
"""Ends what an app does beside answering requests."""
Opener = Callable[[Transports], tuple[ASGIApp, Closer]]
"""Makes the app, inside the event loop, and what closes it again."""


def loopback_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Reads an address of this machine.

    Raises:
        ValueError: The host is no address, or can be reached from elsewhere.
    """
    address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    if not address.is_loopback:
        raise ValueError(f"The emulator serves this machine only; {host!r} is no loopback address.")
    return address


def loopback_socket(host: str, port: int) -> socket.socket:
    """A listening socket on this machine only; port 0 takes a free one.

    Raises:
        ValueError: The host can be reached from elsewhere.
        OSError: The port is taken.
    """
    address = loopback_address(host)
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET  # noqa: PLR2004
    # asyncio sets TCP_NODELAY only on sockets that say they are TCP; without it every burst waits 40 ms.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((str(address), port))
        sock.listen(2048)
        sock.setblocking(False)  # noqa: FBT003
    except OSError:
        sock.close()
        raise
    return sock


class Serving:
    """A server that runs from construction until `stop`.

    Attributes:
        foreign: True when this is the copy of a server in a forked child. It runs in the parent; nothing here ends it.
    """

    def __init__(self, sock: socket.socket, transports: Transports, opener: Opener) -> None:
        """Starts the thread and waits until requests are answered.

        The listening socket is closed by `stop`, or if the start fails.

        Raises:
            BaseException: Whatever the opener raised.
        """
        self.foreign = False
        self._sock = sock
        self._transports = transports
        self._opener = opener
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=f"mix-emulator-{sock.getsockname()[1]}", daemon=True)
        process_fork.renew_in_child(self._leave_to_parent)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self.stop()

    def _leave_to_parent(self) -> None:
        """Leaves the server to the parent in a forked child, which must not keep its port and connections open."""
        self.foreign = True
        process_fork.abandon_sockets([self._sock])
        self._transports.let_go()

    def stop(self) -> None:
        """Ends all connections and waits for the thread. May be called twice.

        Raises:
            BaseException: The failure that had ended the server.
        """
        if self.foreign:
            return
        # A loop that is closed has nothing left to stop.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001  It is raised in the thread that waits for the start.
            self._failure = error
        finally:
            self._sock.close()
            self._ready.set()

    async def _serve(self) -> None:
        app, close = self._opener(self._transports)
        # uvicorn's protocol without its process management: that handles signals and stops by polling.
        config = Config(
            app,
            loop="asyncio",
            lifespan="off",
            ws="none",
            log_config=None,
            timeout_keep_alive=_IDLE_SECONDS,
            # Connections are found by the address of the peer, not by that of a proxy's client.
            proxy_headers=False,
        )
        config.load()
        state = ServerState()
        server = await self._loop.create_server(
            lambda: TrackedProtocol(
                self._transports, config=config, server_state=state, app_state={}, _loop=self._loop
            ),
            sock=self._sock,
        )
        self._ready.set()
        await self._stopping.wait()
        server.close()
        self._transports.abort_all()
        await close()
        if state.tasks:
            _, late = await asyncio.wait(set(state.tasks), timeout=_STOP_SECONDS)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        await server.wait_closed()
