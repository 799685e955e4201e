"""The TCP connections of the server.

Owns: which are open, and ending one abruptly.
Refuses to know: what goes over them.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from langchain_mix import forking
from langchain_mix.emulator.activity import Activity


class Transports:
    """All open connections, by the address of the client."""

    def __init__(self, activity: Activity) -> None:
        """Begins with none.

        Args:
            activity: Where they are counted.
        """
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
        forking.let_go(transport.get_extra_info("socket") for transport in self._open.values())

    def abort_all(self) -> None:
        """Closes all connections at once."""
        for transport in list(self._open.values()):
            transport.abort()


class TrackedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 that tells when connections open and end."""

    def __init__(self, transports: Transports, **options: Any) -> None:
        """Prepares for a connection.

        Args:
            transports: Where it is noted.
            options: What uvicorn's protocol needs.
        """
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
