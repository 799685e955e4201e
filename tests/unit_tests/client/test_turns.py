"""What both shells share of driving a turn."""

from __future__ import annotations

import socket

import httpx
import pytest

from langchain_mix.client._deadlines import interrupt


class NetworkStream:
    def __init__(self, sock):
        self._sock = sock

    def get_extra_info(self, name):
        return self._sock if name == "socket" else None


def test_a_reader_is_woken_even_where_new_sockets_are_refused():
    """As under pytest-socket, which guards these tests: a socket of a number alone is refused as one of the network."""
    reader, server = socket.socketpair()
    with reader, server:
        server.sendall(b"arrived")
        interrupt(httpx.Response(200, extensions={"network_stream": NetworkStream(reader)}))
        reader.settimeout(5)
        assert (reader.recv(100), reader.recv(100)) == (b"arrived", b"")
        reader.sendall(b"still open")
        assert server.recv(100) == b"still open"


@pytest.mark.parametrize("closed", [True, False])
def test_a_stream_that_has_ended_needs_no_waking(closed):
    reader, server = socket.socketpair()
    with reader, server:
        extensions = {"network_stream": NetworkStream(reader)} if closed else {}
        reader.close()
        interrupt(httpx.Response(200, extensions=extensions))
