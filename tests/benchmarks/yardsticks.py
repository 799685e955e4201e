"""What else one could read a Mix event stream with.

Owns: the yardsticks: bare httpx, httpx-sse where it is installed, and the official SDK.
Refuses to know: how they are measured, and this project.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import httpx
from mix_python_sdk import Mix as OfficialMix

HAS_HTTPX_SSE = find_spec("httpx_sse") is not None


def split(chunks: Iterator[bytes]) -> Iterator[Any]:
    """The least that can be called reading events: blocks between blank lines, their data line as JSON."""
    rest = b""
    for chunk in chunks:
        *blocks, rest = (rest + chunk).split(b"\n\n")
        for block in blocks:
            for line in block.split(b"\n"):
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])


async def asplit(chunks: AsyncIterator[bytes]) -> AsyncIterator[Any]:
    """The same, asynchronously."""
    rest = b""
    async for chunk in chunks:
        *blocks, rest = (rest + chunk).split(b"\n\n")
        for block in blocks:
            for line in block.split(b"\n"):
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])


class RawHttpx:
    """httpx, a split and `json.loads`: no types, no errors, no promises."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/stream"
        self._client = httpx.Client(timeout=60)

    @contextmanager
    def events(self, session_id: str) -> Iterator[Iterator[Any]]:
        """The events of a session."""
        with self._client.stream("GET", self._url, params={"sessionId": session_id}) as response:
            yield split(response.iter_bytes())

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()


class AsyncRawHttpx:
    """The same, asynchronously."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/stream"
        self._client = httpx.AsyncClient(timeout=60)

    @asynccontextmanager
    async def events(self, session_id: str) -> AsyncIterator[AsyncIterator[Any]]:
        """The events of a session."""
        async with self._client.stream("GET", self._url, params={"sessionId": session_id}) as response:
            yield asplit(response.aiter_bytes())

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()


class HttpxSse:
    """httpx-sse: frames, but no JSON; that is added."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/stream"
        self._client = httpx.Client(timeout=60)

    @contextmanager
    def events(self, session_id: str) -> Iterator[Iterator[Any]]:
        """The events of a session."""
        with import_module("httpx_sse").connect_sse(
            self._client, "GET", self._url, params={"sessionId": session_id}
        ) as source:
            yield (event.json() for event in source.iter_sse())

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()


class OfficialSdk:
    """mix-python-sdk, the official client."""

    def __init__(self, url: str) -> None:
        self._mix = OfficialMix(server_url=url)

    @contextmanager
    def events(self, session_id: str) -> Iterator[Iterator[Any]]:
        """The events of a session."""
        result: Any = self._mix.streaming.stream_events(session_id=session_id).result
        with result as stream:
            yield iter(stream)

    def close(self) -> None:
        """Nothing: the SDK closes its connections when it is collected."""
