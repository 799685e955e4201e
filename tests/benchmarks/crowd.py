"""A thousand answers at once in one process, beside bare httpx.

Owns: the crowd, and how long its event loop keeps others waiting. Refuses to know: what one answer costs.

Both do the same: open the session's stream, post the message, read the answer piece by piece, read what is stored.
`ChatMix` goes on in conversations that it has begun, so that no session has to be made.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, Self

import httpx
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.messages.utils import message_chunk_to_message

from langchain_mix import ChatMix
from tests.benchmarks.crowd_server import answer
from tests.benchmarks.hosting import allow_open_files, hosted
from tests.benchmarks.measure import Cost, Figure, Stopwatch, quantile
from tests.benchmarks.yardsticks import asplit

_TURNS: Final = 1000
_PIECES: Final = 20
_REQUESTS: Final = 3
_BATCH: Final = 20
"""Conversations that begin at once. How a thousand sessions are made is not measured."""
_TICK: Final = 0.005


class Ticker:
    """Notes how late an event loop comes to what is due every 5 ms.

    A loop that is held up for a second is late for two hundred ticks, not for one: all of them are noted.
    """

    def __init__(self) -> None:
        self.late: list[float] = []
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        """Starts."""
        self._due = self._loop.time() + _TICK
        self._timer = self._loop.call_at(self._due, self._tick)
        return self

    def _tick(self) -> None:
        now = self._loop.time()
        while self._due <= now:
            self.late.append(now - self._due)
            self._due += _TICK
        self._timer = self._loop.call_at(self._due, self._tick)

    def __exit__(self, *_: object) -> None:
        """Stops."""
        self._timer.cancel()


class Run(NamedTuple):
    """What one crowd took: its cost, how late its event loop was, in seconds, and which turns went wrong."""

    cost: Cost
    most_late: float
    p99_late: float
    problems: list[str]


class RawCrowd:
    """httpx as somebody would use it who knows that open streams need connections of their own."""

    def __init__(self, url: str) -> None:
        no_limit = httpx.Limits(max_connections=None)
        self._streams = httpx.AsyncClient(base_url=url, timeout=60, limits=no_limit)
        # Without a limit, or with the usual one of 100 that streams and calls share, it is slower or fails.
        self._calls = httpx.AsyncClient(base_url=url, timeout=60, limits=httpx.Limits(max_connections=200))

    async def answered(self, number: int, turn: int) -> tuple[str, list[str]]:
        """The session, and the pieces of its answer."""
        session_id, told = f"raw-{number}", []
        messages = f"/api/sessions/{session_id}/messages"
        async with self._streams.stream("GET", "/stream", params={"sessionId": session_id}) as response:
            events = asplit(response.aiter_bytes())
            await anext(events)
            (await self._calls.post(messages, json={"text": f"go {turn}"})).raise_for_status()
            async for event in events:
                kind = event.get("type")
                if kind == "content":
                    told.append(event["content"])
                elif kind == "complete":
                    break
        rows = (await self._calls.get(messages)).raise_for_status().json()
        if rows[-1]["assistantResponse"] != "".join(told):
            raise RuntimeError("The stored answer is another one.")
        return session_id, told

    async def close(self) -> None:
        """Closes the connections."""
        await self._streams.aclose()
        await self._calls.aclose()


class ChatMixCrowd:
    """`ChatMix.astream`, in a thousand conversations."""

    def __init__(self, url: str) -> None:
        self._model = ChatMix(server_url=url, api="0.8")
        self._conversations: list[list[BaseMessage]] = [[] for _ in range(_TURNS)]

    async def answered(self, number: int, turn: int) -> tuple[str, list[str]]:
        """The session, and the pieces of its answer."""
        conversation = [*self._conversations[number], HumanMessage(f"go {turn}")]
        chunks: list[AIMessageChunk] = [chunk async for chunk in self._model.astream(conversation)]
        reply = add_ai_message_chunks(chunks[0], *chunks[1:])
        self._conversations[number] = [*conversation, message_chunk_to_message(reply)]
        return reply.response_metadata["mix"]["session_id"], [chunk.text for chunk in chunks if chunk.text]

    async def close(self) -> None:
        """Closes the connections."""
        await self._model.client.aclose()


_Answered = Callable[[int, int], Awaitable[tuple[str, list[str]]]]


async def _begin(answered: _Answered) -> None:
    """Has the first turn of all conversations."""
    for first in range(0, _TURNS, _BATCH):
        await asyncio.gather(*(answered(number, 1) for number in range(first, first + _BATCH)))


async def _run(answered: _Answered, turn: int) -> Run:
    gc.collect()
    with Ticker() as ticker, Stopwatch() as watch:
        told = await asyncio.gather(*(answered(number, turn) for number in range(_TURNS)), return_exceptions=True)
    problems = [problem for problem in map(_problem, told) if problem]
    return Run(watch.cost, max(ticker.late), quantile(ticker.late, 0.99), problems)


def _problem(told: tuple[str, list[str]] | BaseException) -> str:
    """What went wrong with a turn, or nothing."""
    if isinstance(told, BaseException):
        return f"{type(told).__name__}: {told}"
    session_id, pieces = told
    turn = int(pieces[0].split("/")[1]) if pieces else 0
    return "" if pieces == answer(session_id, turn, _PIECES) else f"Session {session_id} was told {pieces}."


async def _count(url: str) -> int:
    async with httpx.AsyncClient() as client:
        requests: int = (await client.get(f"{url}/count")).raise_for_status().json()
        return requests


async def _runs(url: str, repetitions: int) -> dict[str, list[Run]]:
    raw, ours = RawCrowd(url), ChatMixCrowd(url)
    ways: dict[str, _Answered] = {"ChatMix": ours.answered, "httpx": raw.answered}
    runs: dict[str, list[Run]] = {name: [] for name in ways}
    for answered in ways.values():
        await _begin(answered)
    for repetition in range(repetitions):
        for name, answered in ways.items():
            before = await _count(url)
            run = await _run(answered, repetition + 2)
            if (asked := await _count(url) - before) != _REQUESTS * _TURNS:
                run.problems.append(f"{asked} requests were sent for {_TURNS} turns.")
            runs[name].append(run)
    await raw.close()
    await ours.close()
    return runs


def measure(repetitions: int) -> list[Figure]:
    """Measures crowds, by turns.

    Args:
        repetitions: Crowds of each, after the one that begins the conversations.

    Returns:
        The figures.
    """
    allow_open_files()
    with hosted("crowd_server", str(_PIECES)) as url:
        runs = asyncio.run(_runs(url, repetitions))
    figures = []
    for name, taken in runs.items():
        cpu, wall = (statistics.median(getattr(run.cost, kind) for run in taken) for kind in ("cpu", "wall"))
        figures.append(Figure(f"{name}, processor time", cpu, "s", note=f"wall {wall:.2f} s"))
        figures.append(Figure(f"{name}, event loop late, 99 of 100", 1e3 * _median(taken, "p99_late"), "ms"))
        figures.append(Figure(f"{name}, event loop late, at most", 1e3 * _median(taken, "most_late"), "ms"))
    ours, raw = runs["ChatMix"], runs["httpx"]
    for what, name in (("99 of 100", "p99_late"), ("at most", "most_late")):
        same_work = not any(run.problems for run in (*ours, *raw))
        ratio = _median(ours, name) / _median(raw, name) if same_work else None
        note = "" if same_work else "not compared: who gives turns up has less to do, see below"
        figures.append(Figure(f"ChatMix / httpx, event loop late, {what}", ratio, "x", most=1.2, note=note))
    for name, taken in runs.items():
        problems = [problem for run in taken for problem in run.problems]
        most = 0 if name == "ChatMix" else None
        figures.append(Figure(f"{name}, turns that went wrong", len(problems), "", most=most, note=_first(problems)))
    return figures


def _median(runs: list[Run], name: str) -> float:
    late: list[float] = [getattr(run, name) for run in runs]
    return statistics.median(late)


def _first(problems: list[str]) -> str:
    return problems[0][:120] if problems else "no error, all text, in order, once; 3 requests each"
