"""The deadline of a piece of an event stream: computed where the network is read, and kept whatever the transport."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from langchain_mix import errors
from langchain_mix.client._async import AsyncEventStream
from langchain_mix.client._timeouts import ReadLimit, guard, guard_async
from langchain_mix.protocol import calls


class Network:
    """A network stream that notes the timeouts of its reads."""

    def __init__(self) -> None:
        self.timeouts: list[float | None] = []

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.timeouts.append(timeout)
        return b"x" * max_bytes

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        raise NotImplementedError


def network(kind: str) -> Network:
    stream = Network()
    if kind == "sync":
        guard(stream)
    else:
        assert guard_async(httpx.Response(200, extensions={"network_stream": stream}))
    return stream


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_deadline_is_computed_once_for_a_piece_that_is_read(kind: str) -> None:
    stream: Any = network(kind)
    computed: list[float] = []

    def due() -> float:
        computed.append(time.monotonic() + 0.5)
        return computed[-1]

    limit = ReadLimit(due)
    with limit:
        assert computed == []
    for _ in range(2):
        with limit:
            for _ in range(3):
                stream.read(1, 100.0)
    assert len(computed) == 2
    assert all(timeout <= 0.5 for timeout in stream.timeouts)
    stream.read(1, 0.75)
    assert stream.timeouts[-1] == 0.75, "it holds for the stream's own reads alone"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_nothing_is_read_after_the_deadline(kind: str) -> None:
    stream: Any = network(kind)
    with ReadLimit(time.monotonic), pytest.raises(httpx.ReadTimeout):
        stream.read(1, 100.0)
    assert stream.timeouts == []


def test_a_transport_without_a_network_stream_keeps_to_it_too() -> None:
    class Silent(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"event: connected\ndata: {}\n\n"
            await asyncio.Event().wait()

    async def read() -> tuple[list[str], errors.MixStreamError | None]:
        stream = AsyncEventStream(calls.event_stream("s"), httpx.Response(200, stream=Silent()), 0.01)
        return [event.event async for event in stream.events_until_end()], stream.problem

    seen, problem = asyncio.run(read())
    assert seen == ["connected"]
    assert isinstance(problem, errors.MixStreamError)
