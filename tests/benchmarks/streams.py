"""Raw typed events: microseconds of processor time for each.

Owns: the comparison of stream readers. Refuses to know: turns and LangChain.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Final, Protocol

from tests.benchmarks.measure import Cost, Figure, Stopwatch, Work, by_turns
from tests.benchmarks.ours import AsyncOurs, Ours
from tests.benchmarks.yardsticks import HAS_HTTPX_SSE, AsyncRawHttpx, HttpxSse, OfficialSdk, RawHttpx

_EVENTS: Final = 5000
_PACED: Final = 1500
_PAUSE: Final = 150
"""Microseconds: more than any reader but the official SDK needs, so that each event is read by itself."""
_FEW: Final = 150
"""The official SDK needs most of a millisecond for an event."""


class Reader(Protocol):
    """Reads a session's events."""

    def events(self, session_id: str) -> AbstractContextManager[Iterator[Any]]:
        """The events, once the stream is open."""
        ...

    def close(self) -> None:
        """Closes the connections."""


class AsyncReader(Protocol):
    """Reads a session's events, asynchronously."""

    def events(self, session_id: str) -> AbstractAsyncContextManager[AsyncIterator[Any]]:
        """The events, once the stream is open."""
        ...

    async def close(self) -> None:
        """Closes the connections."""


def read(reader: Reader, session_id: str, count: int) -> Cost:
    """Reads a stream to its end; opening it is not counted.

    Returns:
        The cost of one event.
    """
    seen = 0
    with reader.events(session_id) as events:
        next(events)  # `connected`: the stream stands.
        with Stopwatch() as watch:
            for _ in events:
                seen += 1
    return _each(watch, seen, count)


async def aread(reader: AsyncReader, session_id: str, count: int) -> Cost:
    """The same, asynchronously."""
    seen = 0
    async with reader.events(session_id) as events:
        await anext(events)
        with Stopwatch() as watch:
            async for _ in events:
                seen += 1
    return _each(watch, seen, count)


def _each(watch: Stopwatch, seen: int, count: int) -> Cost:
    if seen != count:
        raise RuntimeError(f"{seen} events were read of {count}.")
    return watch.cost / count


def measure(url: str, repetitions: int) -> list[Figure]:
    """Measures all readers.

    Args:
        url: The benchmark server's.
        repetitions: Runs of each.

    Returns:
        The figures.
    """
    readers: dict[str, Reader] = {"ours": Ours(url), "httpx": RawHttpx(url)}
    if HAS_HTTPX_SSE:
        readers["httpx-sse"] = HttpxSse(url)
    official = OfficialSdk(url)
    with asyncio.Runner() as runner:
        areaders: dict[str, AsyncReader] = {"ours async": AsyncOurs(url), "httpx async": AsyncRawHttpx(url)}

        def work(name: str, kind: str, count: int, pause: int) -> Work:
            session_id = f"{kind}.{count}.{pause}"
            if name in areaders:
                return lambda: runner.run(aread(areaders[name], session_id, count))
            return lambda: read(readers[name], session_id, count)

        names = [*readers, *areaders]
        alone = {name: work(name, "alone", _EVENTS, 0) for name in names}
        alone["sdk"] = lambda: read(official, f"alone.{_FEW}.0", _FEW)
        results = {
            "alone": by_turns(alone, repetitions),
            "paced": by_turns({name: work(name, "alone", _PACED, _PAUSE) for name in names}, repetitions),
            "bulk": by_turns({name: work(name, "bulk", _EVENTS, 0) for name in names}, repetitions),
        }
        for reader in readers.values():
            reader.close()
        for areader in areaders.values():
            runner.run(areader.close())
    return _figures(results)


_TITLES: Final = {
    "alone": "each in an HTTP chunk of its own",
    "paced": f"one every {_PAUSE} µs",
    "bulk": "64 KiB at a time",
}


def _figures(results: dict[str, dict[str, Cost]]) -> list[Figure]:
    figures = []
    for kind, costs in results.items():
        for name, cost in costs.items():
            note = f"wall {cost.wall * 1e6:.1f} µs"
            figures.append(Figure(f"{_TITLES[kind]}: {name}", cost.cpu * 1e6, "µs", note=note))
        # Where a reader waits for each event, most of the time is the system's, and a reader that is held up finds
        # several at once.
        most = {"alone": 1.6, "bulk": 1.5}.get(kind)
        for ours, other in (("ours", "httpx"), ("ours async", "httpx async")):
            figures.append(
                Figure(f"{_TITLES[kind]}: {ours} / {other}", costs[ours].cpu / costs[other].cpu, "x", most=most)
            )
        if "sdk" in costs:
            figures.append(Figure(f"{_TITLES[kind]}: sdk / ours", costs["sdk"].cpu / costs["ours"].cpu, "x", least=60))
    return figures
