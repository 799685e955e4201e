"""The official Python SDK as a client of the emulator, by its sync or its async half.

Both halves send the same requests, so that each test runs by one of them, every other test by the same one. The other
half runs it with `-m exhaustive`.
"""

from __future__ import annotations

import asyncio
import inspect
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from zlib import crc32

import httpx
import pytest
from mix_python_sdk import Mix
from mix_python_sdk.utils import BackoffStrategy, RetryConfig

from langchain_mix.emulator import MixEmulator

LIMIT = 10.0
"""Seconds after which a read that never ends fails its test."""
ENDS = ("complete", "error")
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Without certificates: nothing speaks TLS here, and loading them for each client takes longer than most tests."""
# The SDK's default is to repeat every 500 for ten minutes.
NO_RETRIES = RetryConfig("none", BackoffStrategy(1, 1, 1.0, 1), retry_connection_errors=False)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "operations(*names): the SDK's operations that the test must have run")


class Events:
    """An open stream of the SDK: typed events, read one by one."""

    def __init__(self, stream: Any, *, is_async: bool) -> None:
        self._stream = stream
        self._is_async = is_async

    async def next(self) -> Any:
        """The next event; `EOFError` at the end of the stream."""
        if self._is_async:
            event = await asyncio.wait_for(anext(self._stream, None), LIMIT)
        else:
            event = await asyncio.to_thread(next, self._stream, None)
        if event is None:
            raise EOFError
        return event

    async def until(self, *names: str) -> list[Any]:
        """Events up to and with the first of these names."""
        heard = [await self.next()]
        while heard[-1].event not in names:
            heard.append(await self.next())
        return heard

    async def turn(self) -> list[Any]:
        """Events up to the end of a turn of the main agent."""
        heard = await self.until(*ENDS)
        while getattr(heard[-1].data, "parent_tool_call_id", None):
            heard += await self.until(*ENDS)
        return heard


class Official:
    """One half of the SDK, connected to an emulator; calls it by the names of its operations."""

    def __init__(self, mix: Mix, server: MixEmulator, *, is_async: bool) -> None:
        self.mix = mix
        self.server = server
        self.is_async = is_async
        self.used: set[str] = set()

    async def __call__(self, operation: str, **arguments: Any) -> Any:
        """Runs an operation such as `sessions.create`."""
        group, _, name = operation.partition(".")
        self.used.add(operation)
        owner = getattr(self.mix, group)
        if self.is_async:
            return await getattr(owner, f"{name}_async")(**arguments)
        return await asyncio.to_thread(getattr(owner, name), **arguments)

    async def session(self, title: str = "test", **options: Any) -> str:
        options.setdefault("browser_mode", "local-browser-service")
        created = await self("sessions.create", title=title, **options)
        return str(created.id)

    @asynccontextmanager
    async def stream(self, session: str, **options: Any) -> AsyncIterator[Events]:
        """An open stream, which has said that it is connected."""
        response = await self("streaming.stream_events", session_id=session, **options)
        events = Events(response.result, is_async=self.is_async)
        try:
            first = await events.next()
            assert first.event == "connected"
            assert first.data.session_id == session
            yield events
        finally:
            if self.is_async:
                await response.result.__aexit__(None, None, None)
            else:
                await asyncio.to_thread(response.result.__exit__, None, None, None)

    async def turn(self, session: str, text: str = "go", **options: Any) -> list[Any]:
        """Runs a turn that asks nothing and gives its events; the stored rows are complete afterwards."""
        async with self.stream(session) as events:
            await self("messages.send", id=session, text=text, **options)
            heard = await events.turn()
        await asyncio.to_thread(self.server.wait_idle)
        return heard


Serve = Callable[..., Any]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts emulators and connects the SDK to them; everything is closed after the test."""
    async with AsyncExitStack() as stack:

        async def start(agent: Any = "offline", *, api: str = "0.8", is_async: bool = True, **options: Any) -> Official:
            server = await stack.enter_async_context(MixEmulator(api, agent, **options))
            # Both clients are given, because the SDK leaves the one it did not use to the garbage collector.
            sync_client = stack.enter_context(httpx.Client(timeout=LIMIT, verify=NO_TLS))
            async_client = await stack.enter_async_context(httpx.AsyncClient(timeout=LIMIT, verify=NO_TLS))
            mix = Mix(
                server_url=server.url,
                client=sync_client,
                async_client=async_client,
                retry_config=NO_RETRIES,
                timeout_ms=int(LIMIT * 1000),
            )
            return Official(mix, server, is_async=is_async)

        yield start


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test by one half of the SDK by default: which one changes from test to test."""
    if "is_async" in metafunc.fixturenames:
        usual = bool(crc32(metafunc.function.__name__.encode()) % 2)
        halves = [usual, pytest.param(not usual, marks=pytest.mark.exhaustive)]
        metafunc.parametrize("is_async", halves, ids=lambda half: "async" if half else "sync")


@pytest.fixture
async def official(serve: Serve, request: pytest.FixtureRequest, is_async: bool) -> AsyncIterator[Serve]:
    """Starts an emulator with one half of the SDK. What the test's mark promises to run must have run."""
    started: list[Official] = []

    async def start(agent: Any = "offline", **options: Any) -> Official:
        started.append(await serve(agent, is_async=is_async, **options))
        return started[-1]

    yield start
    used = {operation for half in started for operation in half.used}
    assert promised([request.function]) <= used


@pytest.fixture
async def sdk(official: Serve) -> Official:
    """An emulator with the offline agent."""
    half: Official = await official()
    return half


def promised(tests: Iterable[Any]) -> set[str]:
    """The operations that tests are marked with."""
    marks = [mark for test in tests for mark in getattr(test, "pytestmark", ())]
    return {name for mark in marks if mark.name == "operations" for name in mark.args}


@pytest.fixture
def promises() -> Callable[[dict[str, Any]], set[str]]:
    """Collects what the tests of a module are marked with."""
    return lambda module: promised(member for name, member in module.items() if name.startswith("test_"))


@pytest.fixture
async def surface(serve: Serve) -> dict[str, bool]:
    """Every public operation of the SDK, and whether it has an async twin."""
    mix = (await serve()).mix
    found: dict[str, bool] = {}
    for group in Mix._sub_sdk_map:
        members = vars(type(getattr(mix, group)))
        names = [name for name, member in members.items() if inspect.isfunction(member) and not name.startswith("_")]
        found |= {f"{group}.{name}": f"{name}_async" in names for name in names if not name.endswith("_async")}
    return found
