"""A laboratory for turns: an emulated server, a client, and one way to run a scenario through both of its shells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pytest

from langchain_mix.client import Mix
from langchain_mix.client._config import CallOptions
from langchain_mix.emulator import Faults, MixEmulator, RequestRecord, Script
from langchain_mix.protocol.call import Call
from langchain_mix.protocol.retry import BackoffStrategy, RetryConfig
from langchain_mix.protocol.turn.updates import TextDelta, TextRestated, TurnResult, Update

T = TypeVar("T")

APIS = ("0.5", "0.6", "0.6.5", "0.7", "0.8", "next")
SHELLS = ("sync", "async")
QUICK = RetryConfig("backoff", BackoffStrategy(5, 20, 1.5, 2_000), max_attempts=3)
"""Retries as usual, in milliseconds instead of seconds."""


@dataclass
class Outcome:
    """How a turn went, as its user saw it."""

    updates: list[Update]
    result: TurnResult
    error: BaseException | None

    def of(self, kind: type[T]) -> list[T]:
        """The updates of a kind."""
        return [u for u in self.updates if isinstance(u, kind)]

    @property
    def told(self) -> str:
        """The text as its pieces add up."""
        return "".join(u.text for u in self.of(TextDelta))

    @property
    def restated(self) -> bool:
        """Whether some of it was told anew."""
        return bool(self.of(TextRestated))

    def well(self) -> Outcome:
        """The outcome of a turn that must have ended well."""
        if self.error is not None:
            raise self.error
        return self


Watcher = Callable[[Update], object]
"""Sees each update; what it raises is an exception in the user's loop."""


class SyncShell:
    """Turns as synchronous code runs them."""

    name = "sync"

    def __init__(self, mix: Mix) -> None:
        self.mix = mix
        self.transport = mix._sync

    def turn(self, session: str, text: str, watch: Watcher | None = None, **options: Any) -> Outcome:
        """Runs a turn to its end, whatever that is."""
        stream = self.mix.turn(session, text, **options)
        updates: list[Update] = []
        error: BaseException | None = None
        try:
            with stream:
                for update in stream:
                    updates.append(update)
                    if watch is not None:
                        watch(update)
        except BaseException as caught:
            error = caught
        return Outcome(updates, stream.result, error)

    def send(self, call: Call[T], options: CallOptions | None = None) -> T:
        """Sends one call."""
        return self.transport.send(call, options or CallOptions())

    def run(self, flow: Any) -> Any:
        """Runs a flow."""
        return self.transport.run(flow)

    def events(self, call: Call[None], count: int, **options: Any) -> list[Any]:
        """Opens a stream and reads so many events of it, all for -1."""
        with self.transport.open_stream(call, **options) as stream:
            return [event for _, event in zip(range(count) if count >= 0 else iter(int, 1), stream, strict=False)]

    def close(self) -> None:
        """Closes everything."""
        self.mix.close()


class AsyncShell:
    """Turns as asynchronous code runs them, in an event loop of its own."""

    name = "async"

    def __init__(self, mix: Mix) -> None:
        self.mix = mix
        self.transport = mix._async
        self.runner = asyncio.Runner()

    def turn(self, session: str, text: str, watch: Watcher | None = None, **options: Any) -> Outcome:
        """Runs a turn to its end, whatever that is."""
        return self.runner.run(self._turn(session, text, watch, options))

    async def _turn(self, session: str, text: str, watch: Watcher | None, options: dict[str, Any]) -> Outcome:
        stream = self.mix.turn_async(session, text, **options)
        updates: list[Update] = []
        error: BaseException | None = None
        try:
            async with stream:
                async for update in stream:
                    updates.append(update)
                    if watch is not None:
                        watch(update)
        except BaseException as caught:
            error = caught
        await no_task_is_left()
        return Outcome(updates, stream.result, error)

    def send(self, call: Call[T], options: CallOptions | None = None) -> T:
        """Sends one call."""
        return self.runner.run(self.transport.send(call, options or CallOptions()))

    def run(self, flow: Any) -> Any:
        """Runs a flow."""
        return self.runner.run(self.transport.run(flow))

    def events(self, call: Call[None], count: int, **options: Any) -> list[Any]:
        """Opens a stream and reads so many events of it, all for -1."""
        return self.runner.run(self._events(call, count, options))

    async def _events(self, call: Call[None], count: int, options: dict[str, Any]) -> list[Any]:
        heard: list[Any] = []
        async with await self.transport.open_stream(call, **options) as stream:
            events: AsyncIterator[Any] = aiter(stream)
            while len(heard) != count:
                try:
                    heard.append(await anext(events))
                except StopAsyncIteration:
                    break
        return heard

    def awaited(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine in this shell's loop."""
        return self.runner.run(work)

    def close(self) -> None:
        """Closes everything."""
        try:
            self.runner.run(self.mix.aclose())
        finally:
            self.runner.close()


Shell = SyncShell | AsyncShell


async def no_task_is_left() -> None:
    """Fails if anything but the running task lives in this loop."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks left: {left}"


@dataclass
class Lab:
    """A server and a client of it."""

    server: MixEmulator
    shell: Shell
    sessions: list[str] = field(default_factory=list)

    @property
    def mix(self) -> Mix:
        """The client."""
        return self.shell.mix

    @property
    def api(self) -> str:
        """The server's generation."""
        return str(self.server.api)

    def session(self, **fields: Any) -> str:
        """A new session, made past the client so that requests can be counted."""
        if self.api in {"0.8", "next"}:
            fields.setdefault("browserMode", "local-browser-service")
        session = str(self.server.state.sessions.create({"title": "lab", **fields})["id"])
        self.sessions.append(session)
        return session

    def turn(self, text: str = "go", watch: Watcher | None = None, *, session: str = "", **options: Any) -> Outcome:
        """Runs a turn, in a new session unless one is named."""
        return self.shell.turn(session or self.session(), text, watch, **options)

    def rows(self, session: str = "") -> list[dict[str, Any]]:
        """What is stored, in the last session unless one is named."""
        rows: list[dict[str, Any]] = self.server.state.rows.messages(session or self.sessions[-1])
        return rows

    def said(self, session: str = "") -> str:
        """The stored text of the agent."""
        return "".join(r.get("assistantResponse", "") for r in self.rows(session) if r["role"] == "assistant")

    def users(self, session: str = "") -> list[str]:
        """The stored texts of the user."""
        return [r["userInput"] for r in self.rows(session) if r["role"] == "user"]

    def asked(self, method: str = "", part: str = "") -> list[RequestRecord]:
        """The requests the server got, of a method and with a part in their path."""
        return [r for r in self.server.requests if method in {"", r.method} and part in r.path]

    def messages(self) -> list[RequestRecord]:
        """The messages the server got, whichever way."""
        return [r for r in self.asked("POST") if r.path.endswith(("/messages", "/message"))]

    def cancels(self) -> list[RequestRecord]:
        """The cancels the server got."""
        return self.asked("POST", "/cancel")


Labs = Callable[..., Lab]


def client_of(url: str, api: str = "auto", *, liveness: float = 10.0, timeout: float = 10.0) -> Mix:
    """A client whose waits suit tests."""
    mix = Mix(server_url=url, api=api, retry_config=QUICK, timeout_ms=int(timeout * 1000))
    mix._core.settings = replace(mix._core.settings, liveness=liveness)
    return mix


def open_gates(faults: Faults) -> None:
    """Lets go what faults have held up, so that the server can stop at once."""
    for fault in list(faults._times):
        for gate in (getattr(fault, "gate", None), getattr(fault, "until", None)):
            if gate is not None:
                gate.open()


@pytest.fixture
def labs() -> Iterator[Labs]:
    """Makes laboratories. When the test is over nothing of the client may be left at the server."""
    made: list[Lab] = []
    with ExitStack() as stack:

        def make(
            shell: str = "sync",
            api: str = "0.8",
            agent: Any = None,
            *,
            client_api: str = "",
            liveness: float = 10.0,
            timeout: float = 10.0,
            **options: Any,
        ) -> Lab:
            server = stack.enter_context(MixEmulator(api, agent or Script(), **options))
            mix = client_of(server.url, client_api or api, liveness=liveness, timeout=timeout)
            lab = Lab(server, SyncShell(mix) if shell == "sync" else AsyncShell(mix))
            made.append(lab)
            return lab

        try:
            yield make
        finally:
            for lab in made:
                open_gates(lab.server.faults)
                lab.shell.close()
        for lab in made:
            lab.server.wait_until(lambda lab=lab: lab.server.streams == 0 and lab.server.connections == 0)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    """Each of the two shells."""
    return str(request.param)


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest) -> str:
    """Each generation."""
    return str(request.param)


@pytest.fixture
def clients() -> Iterator[Callable[..., Shell]]:
    """Makes clients of servers that are no emulators: `clients("sync", url)`."""
    made: list[Shell] = []

    def make(shell: str, url: str, api: str = "0.8", **options: Any) -> Shell:
        mix = client_of(url, api, **options)
        made.append(SyncShell(mix) if shell == "sync" else AsyncShell(mix))
        return made[-1]

    try:
        yield make
    finally:
        for client in made:
            client.close()
