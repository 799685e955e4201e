"""How long the first piece of an answer takes from the server's socket to the user's loop.

Owns: the measure of latency. Refuses to know: throughput.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

from langchain_mix import ChatMix
from langchain_mix.client import Mix
from langchain_mix.protocol.turn.updates import TextDelta
from tests.benchmarks.measure import Figure, quantile

_PLAN: Final = "turn.5.5000"
"""Five pieces and the clock; the server is silent for 5 ms before the first, so that nothing else is on its way."""
_WARM: Final = 3


def _since(text: str) -> float:
    """Milliseconds since the server wrote this text, which begins with its clock; the clock is the machine's."""
    return (time.monotonic_ns() - int(text.split(maxsplit=1)[0])) / 1e6


def _turn(mix: Mix) -> float:
    session_id = mix.sessions.create(title=_PLAN).id
    late: list[float] = []
    with mix.turn(session_id, "go") as turn:
        for update in turn:
            if isinstance(update, TextDelta) and not late:
                late.append(_since(update.text))
    return late[0]


async def _aturn(mix: Mix) -> float:
    session_id = (await mix.sessions.create_async(title=_PLAN)).id
    late: list[float] = []
    async with mix.turn_async(session_id, "go") as turn:
        async for update in turn:
            if isinstance(update, TextDelta) and not late:
                late.append(_since(update.text))
    return late[0]


def _chunk(chunks: Iterator[Any]) -> float:
    late: list[float] = []
    for chunk in chunks:
        if chunk.text and not late:
            late.append(_since(chunk.text))
    return late[0]


async def _achunk(chunks: AsyncIterator[Any]) -> float:
    late: list[float] = []
    async for chunk in chunks:
        if chunk.text and not late:
            late.append(_since(chunk.text))
    return late[0]


def measure(url: str, repetitions: int) -> list[Figure]:
    """Measures turns and chunks, by turns, after a few to warm up.

    Args:
        url: The benchmark server's.
        repetitions: Turns of each.

    Returns:
        The figures.
    """
    model = ChatMix(server_url=url, api="0.8", title=_PLAN)
    with Mix(server_url=url, api="0.8") as mix, asyncio.Runner() as runner:
        ways: dict[str, Callable[[], float]] = {
            "mix.turn": lambda: _turn(mix),
            "mix.turn_async": lambda: runner.run(_aturn(mix)),
            "ChatMix.stream": lambda: _chunk(model.stream("go")),
            "ChatMix.astream": lambda: runner.run(_achunk(model.astream("go"))),
        }
        late: dict[str, list[float]] = {name: [] for name in ways}
        for repetition in range(repetitions + _WARM):
            for name, way in ways.items():
                milliseconds = way()
                if repetition >= _WARM:
                    late[name].append(milliseconds)
        runner.run(_close(mix, model))
    model.client.close()
    figures = []
    for name, taken in late.items():
        figures.append(Figure(f"{name}, median", statistics.median(taken), "ms", most=3))
        figures.append(Figure(f"{name}, 95 of 100", quantile(taken, 0.95), "ms"))
    return figures


async def _close(mix: Mix, model: ChatMix) -> None:
    """The connections of this event loop."""
    await mix.aclose()
    await model.client.aclose()
