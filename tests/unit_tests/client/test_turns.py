"""What both shells share of driving a turn."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import suppress

import httpx
import pytest

from langchain_mix.client import Mix
from langchain_mix.client._timeouts import interrupt
from langchain_mix.client._turn_calls import TurnRequest
from langchain_mix.errors import MixUsageError
from langchain_mix.protocol.api import ApiKnowledge


@pytest.mark.parametrize(
    ("text", "command", "sent"),
    [("/help", False, "Message: /help"), ("/help", True, "/help"), (" /x", False, "Message:  /x"), ("Hi", False, "Hi")],
)
def test_a_text_is_guarded_however_it_is_sent(text, command, sent):
    request = TurnRequest(session_id="S", text=text, command=command)
    for api in ("0.5", "0.8"):
        assert request.post_call(ApiKnowledge([api])).body == {"text": sent}
    written = request.message_call(ApiKnowledge(["0.5"]))
    assert (str(written), json.loads(written.body["content"])) == ("POST /stream/S/message", {"text": sent})
    assert request.message_call(ApiKnowledge(["0.8"])) == request.post_call(ApiKnowledge(["0.8"]))


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
def test_a_stream_that_has_ended_needs_no_waking_and_nothing_is_woken_in_its_place(closed):
    reader, server = socket.socketpair()
    extensions = {"network_stream": NetworkStream(reader)} if closed else {}
    reader.close()
    other, peer = socket.socketpair()  # The operating system gives it the number of the one that was closed.
    with server, other, peer:
        interrupt(httpx.Response(200, extensions=extensions))
        peer.sendall(b"read on")
        assert other.recv(100) == b"read on"


def test_a_turn_that_waits_for_a_task_of_its_own_thread_is_refused() -> None:
    """It would block the event loop, and with it the turn that it waits for."""

    async def main() -> None:
        reached, go_on = asyncio.Event(), asyncio.Event()

        async def hold(_: httpx.Request) -> httpx.Response:
            reached.set()
            await go_on.wait()
            return httpx.Response(503)

        http = httpx.AsyncClient(transport=httpx.MockTransport(hold))
        mix = Mix(server_url="http://server", api="0.8", async_client=http)
        running = asyncio.ensure_future(mix.turn_async("s", "first").run())
        await reached.wait()
        with pytest.raises(MixUsageError, match="event loop of this thread"):
            mix.turn("s", "second", multitask_strategy="enqueue").run()
        running.cancel()
        go_on.set()
        with suppress(asyncio.CancelledError):
            await running

    asyncio.run(main())
