"""Cassettes are replayed with no network, and leave neither a thread nor an open stream behind."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_socket import disable_socket, enable_socket

from langchain_mix.client import Mix
from langchain_mix.protocol.api import ApiVersion
from langchain_mix.testing.scenarios import Scenario, play, play_async
from langchain_mix.testing.vcr import CASSETTE_URL, use_cassette

Replay = Callable[..., tuple[list[str], list[str]]]


@pytest.fixture(autouse=True)
def no_network() -> Iterator[None]:
    disable_socket(allow_unix_socket=True)  # Event loops wake themselves through a pair of Unix sockets.
    yield
    enable_socket()


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t not in before and not t.name.startswith(("asyncio_", "ThreadPool"))]
    for thread in left:
        thread.join(2.0)
    assert not [t for t in left if t.is_alive()]
    gc.collect(1)


@pytest.fixture
def replay() -> Replay:
    """Replays a cassette: what was seen, and what was seen when it was recorded."""

    def replayed(
        path: Path, scenario: Scenario, api: ApiVersion, shell: str, patience: float = 5.0
    ) -> tuple[list[str], list[str]]:
        async def run() -> list[str]:
            async with Mix(server_url=CASSETTE_URL, api=str(api)) as mix:
                return await play_async(scenario.course(api), mix)

        with use_cassette(path, patience=patience) as cassette:
            if shell == "async":
                return asyncio.run(run()), cassette.about["seen"]
            with Mix(server_url=CASSETTE_URL, api=str(api)) as mix:
                return play(scenario.course(api), mix), cassette.about["seen"]

    return replayed
