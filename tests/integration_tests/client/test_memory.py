"""Memory follows the largest event, never the length of a stream; and a slow reader loses no text."""

from __future__ import annotations

import json
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from langchain_mix.emulator import FullQueue, Gate, Script, say, turn
from langchain_mix.emulator.agents.base import Text, Wait
from langchain_mix.protocol import calls
from langchain_mix.protocol.turn.updates import TextDelta

pytestmark = pytest.mark.timeout(60)

MIB = 1 << 20
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


@contextmanager
def serving(pieces: Callable[[], Iterator[bytes]]) -> Iterator[str]:
    """A server that answers one request with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(65536)
                connection.sendall(HEAD)
                for piece in pieces():
                    connection.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            thread.join(10)


def content(text: str, number: int = 1) -> bytes:
    data = json.dumps({"type": "content", "content": text})
    return f"id: {number}\nevent: content\ndata: {data}\nretry: 30000\n\n".encode()


def peak_of(shell: Any, url: str) -> tuple[int, int, int]:
    """Peak of memory in bytes, events and characters of a whole stream, none of it kept."""
    counted = [0, 0]

    def count(event: Any) -> None:
        counted[0] += 1
        counted[1] += len(event.data.content)

    async def read() -> None:
        async with await shell.transport.open_stream(calls.event_stream("s")) as stream:
            async for event in stream:
                count(event)

    tracemalloc.start()
    try:
        if shell.name == "sync":
            with shell.transport.open_stream(calls.event_stream("s")) as stream:
                for event in stream:
                    count(event)
        else:
            shell.awaited(read())
        return tracemalloc.get_traced_memory()[1], counted[0], counted[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("length", [10_000, pytest.param(100_000, marks=pytest.mark.exhaustive)])
def test_a_long_stream_takes_no_more_memory_than_a_short_one(clients: Any, shell: str, length: int) -> None:
    text = "some text " * 50
    chunk = b"".join(content(text, i) for i in range(100))

    def pieces() -> Iterator[bytes]:
        for _ in range(length // 100):
            yield chunk

    with serving(pieces) as url:
        peak, events, characters = peak_of(clients(shell, url), url)
    assert events == length
    assert characters == length * len(text)
    # 5 MiB and more came; what is in memory at once are a few reads of 64 KiB and their events.
    assert peak < 2 * MIB, f"{peak / MIB:.1f} MiB"


def test_a_huge_event_takes_a_few_times_its_size(clients: Any, shell: str) -> None:
    size = 16 * MIB

    def pieces() -> Iterator[bytes]:
        whole = content("x" * size)
        for start in range(0, len(whole), MIB):
            yield whole[start : start + MIB]

    with serving(pieces) as url:
        client = clients(shell, url)
        peak, events, characters = peak_of(client, url)
    assert (events, characters) == (1, size)
    # Measured: 4.0 times, of which the sender in this process holds one.
    assert peak < 5 * size, f"{peak / size:.1f} times the event"


@pytest.mark.parametrize("api", ["0.8", *(pytest.param(api, marks=pytest.mark.exhaustive) for api in ("0.5", "0.6"))])
def test_a_slow_reader_gets_all_of_the_text(labs: Any, shell: str, api: str) -> None:
    # More than the sockets' buffers hold, so that the server's queue of 50 runs over while the reader rests.
    gate, resting = Gate(), Gate()
    pieces = [Text(f"{i:05d}" + "x" * 20_000) for i in range(400)]
    lab = labs(shell, api, Script(turn([*say("Begin. "), Wait(gate), *pieces])), heartbeat=0.2, timeout=20)
    full = lab.server.faults.add(FullQueue(50)) if api != "0.5" else None

    def rest(update: Any) -> None:
        if isinstance(update, TextDelta) and not gate.is_open:
            gate.open()
            if full is not None:
                lab.server.faults.wait_for(full, 10)
            else:
                resting.open()

    outcome = lab.turn("go", rest).well()
    whole = "Begin. " + "".join(p.text for p in pieces)
    assert outcome.result.full_text == whole
    assert outcome.result.verified
    assert outcome.restated or outcome.told == whole
    assert full is None or outcome.restated or outcome.told == whole
    assert len(lab.messages()) == 1
