"""This project's event streams, opened as the yardsticks are.

Owns: their set-up. Refuses to know: what is measured with them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from langchain_mix.client import Event, Mix


class Ours:
    """The synchronous stream of `Mix`."""

    def __init__(self, url: str) -> None:
        self._mix = Mix(server_url=url, api="0.8")

    @contextmanager
    def events(self, session_id: str) -> Iterator[Iterator[Event]]:
        """The events of a session."""
        with self._mix.streaming.stream_events(session_id=session_id) as stream:
            yield iter(stream)

    def close(self) -> None:
        """Closes the connections."""
        self._mix.close()


class AsyncOurs:
    """The asynchronous stream of `Mix`."""

    def __init__(self, url: str) -> None:
        self._mix = Mix(server_url=url, api="0.8")

    @asynccontextmanager
    async def events(self, session_id: str) -> AsyncIterator[AsyncIterator[Event]]:
        """The events of a session."""
        async with await self._mix.streaming.stream_events_async(session_id=session_id) as stream:
            yield aiter(stream)

    async def close(self) -> None:
        """Closes the connections."""
        await self._mix.aclose()
