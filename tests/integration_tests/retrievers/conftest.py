"""Servers that the tests of a module share, and the ways to call a retriever."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from langchain_mix import MixEmulator


class Servers:
    """The servers of a module, one for each generation that it needs, and their threads."""

    def __init__(self) -> None:
        self.threads: set[threading.Thread] = set()
        self._made: dict[str, MixEmulator] = {}

    def running(self, api: str) -> MixEmulator:
        before = set(threading.enumerate())
        if api not in self._made:
            self._made[api] = MixEmulator(api)
        server = self._made[api].start()
        self.threads |= set(threading.enumerate()) - before
        return server

    def stop(self) -> None:
        for server in self._made.values():
            server.stop()


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    made.stop()


@pytest.fixture
def emulator(servers: Servers) -> Callable[[str], MixEmulator]:
    """Returns the module's server of a generation, without sessions, files, faults and requests: `emulator("0.8")`.

    It waits until the connections of earlier tests are closed: a request still in flight would be counted in this one.
    """

    def emptied(api: str) -> MixEmulator:
        server = servers.running(api)  # Started again if a test has stopped it.
        server.faults.clear()
        server.wait_until(lambda: server.connections == 0)
        for session in server.state.sessions.listing(include_subagents=True):
            server.state.delete_session(session["id"])
        for path in (server.data_dir / "uploads").iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        server.forget_requests()
        return server

    return emptied


@pytest.fixture(scope="session")
def store() -> Callable[[MixEmulator, dict[str, bytes]], None]:
    """Puts uploads on a server without requests: `store(server, {"a.md": b"# A"})`."""

    def put(server: MixEmulator, files: dict[str, bytes]) -> None:
        for name, data in files.items():
            (server.data_dir / "uploads" / name).write_bytes(data)

    return put


@pytest.fixture
def outlives_a_test(
    outlives_a_test: Callable[[threading.Thread], bool], servers: Servers
) -> Callable[[threading.Thread], bool]:
    """Adds the threads of the module's servers, and those that such a server begins for files."""
    return lambda thread: outlives_a_test(thread) or thread in servers.threads or thread.name.startswith("AnyIO worker")


@pytest.fixture(params=["sync", "async"])
def way(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def ask(way: str) -> Callable[..., Any]:
    """Calls a retriever in one of both ways: `ask(retriever, query, **options)`."""

    async def asked(retriever: Any, query: str, options: dict[str, Any]) -> Any:
        try:
            return await retriever.ainvoke(query, **options)
        finally:
            await retriever.client.aclose()  # Connections belong to their event loop.

    if way == "sync":
        return lambda retriever, query, **options: retriever.invoke(query, **options)
    return lambda retriever, query, **options: asyncio.run(asked(retriever, query, options))
