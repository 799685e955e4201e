"""Users of every operation, in the one way or the other, and what they share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from langchain_mix.client import (
    Mix,
    SSEConnectedEvent,
    errors,
)
from langchain_mix.emulator import (
    MixEmulator,
)


class User:
    """A client and its server; calls operations by name, in the one way or the other."""

    def __init__(self, server: MixEmulator, *, asynchronous: bool, **options: Any) -> None:
        self.server = server
        self.mix = Mix(server_url=server.url, **options)
        self.asynchronous = asynchronous
        self.runner = asyncio.Runner()

    def __call__(self, operation: str, **arguments: Any) -> Any:
        group, _, name = operation.partition(".")
        owner = getattr(self.mix, group)
        if self.asynchronous:
            return self.runner.run(getattr(owner, f"{name}_async")(**arguments))
        return getattr(owner, name)(**arguments)

    def unsupported(self, operation: str, **arguments: Any) -> None:
        """Fails unless the operation says that this generation has no such thing."""
        with pytest.raises(errors.MixUnsupportedError, match="is not available on this Mix server") as caught:
            self(operation, **arguments)
        assert "It exists on API" in caught.value.hint
        assert caught.value.acted == "no"

    def session(self, **fields: Any) -> str:
        return str(self("sessions.create", title="Demo", **fields).id)

    def events(self, session: str, until: type, then: Callable[[], object] = lambda: None) -> list[Any]:
        """What is told on a session's stream up to an event, if `then` is done once the stream stands."""
        return (
            self.runner.run(self._events(session, until, then))
            if self.asynchronous
            else self._heard(session, until, then)
        )

    def _heard(self, session: str, until: type, then: Callable[[], object]) -> list[Any]:
        heard: list[Any] = []
        with self.mix.streaming.stream_events(session_id=session) as stream:
            for event in stream:
                heard.append(event)
                if isinstance(event, SSEConnectedEvent):
                    then()
                if isinstance(event, until):
                    return heard
        raise AssertionError(heard)

    async def _events(self, session: str, until: type, then: Callable[[], object]) -> list[Any]:
        heard: list[Any] = []
        opened = await self.mix.streaming.stream_events_async(session_id=session)
        async with opened.result as stream:
            async for event in stream:
                heard.append(event)
                if isinstance(event, SSEConnectedEvent):
                    await asyncio.to_thread(then)
                if isinstance(event, until):
                    return heard
        raise AssertionError(heard)

    def paths(self) -> list[str]:
        return [f"{r.method} {r.path}" for r in self.server.requests]

    def close(self) -> None:
        try:
            self.runner.run(self.mix.aclose())
        finally:
            self.runner.close()


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def asynchronous(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def users(asynchronous: bool) -> Iterator[Callable[..., User]]:
    """Makes users. At the end nothing of theirs is left at the server."""
    made: list[User] = []

    def make(
        api: str, agent: Any = "offline", *, client_api: str = "auto", mix: dict[str, Any] | None = None, **options: Any
    ) -> User:
        server = MixEmulator(api, agent, **options).start()
        made.append(User(server, asynchronous=asynchronous, api=client_api, **(mix or {})))
        return made[-1]

    try:
        yield make
        for user in made:
            user.close()
            user.server.wait_until(lambda user=user: user.server.connections == 0)
    finally:
        for user in made:
            user.server.stop()
