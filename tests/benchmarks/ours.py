"""This project's client, opened as the benchmarks need it.

Owns: its set-up. Refuses to know: what is measured with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from langchain_mix.client._async import AsyncTransport
from langchain_mix.client._core import Core
from langchain_mix.client._settings import read_settings
from langchain_mix.client._sync import SyncTransport
from langchain_mix.protocol import calls
from langchain_mix.protocol.events import Event


def core(url: str) -> Core:
    """Settings of a client that knows what server it speaks to."""
    return Core(
        read_settings(
            server_url=url,
            url_params=None,
            server_idx=None,
            retry_config=None,
            timeout_ms=None,
            debug_logger=None,
            headers=None,
            api="0.8",
        )
    )


class Ours:
    """`open_stream` of the synchronous shell."""

    def __init__(self, url: str) -> None:
        self._transport = SyncTransport(core(url))

    @contextmanager
    def events(self, session_id: str) -> Iterator[Iterator[Event]]:
        """The events of a session."""
        with self._transport.open_stream(calls.event_stream(session_id)) as stream:
            yield iter(stream)

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()


class AsyncOurs:
    """`open_stream` of the asynchronous shell."""

    def __init__(self, url: str) -> None:
        self._transport = AsyncTransport(core(url))

    @asynccontextmanager
    async def events(self, session_id: str) -> AsyncIterator[AsyncIterator[Event]]:
        """The events of a session."""
        async with await self._transport.open_stream(calls.event_stream(session_id)) as stream:
            yield aiter(stream)

    async def close(self) -> None:
        """Closes the connections."""
        await self._transport.close()
