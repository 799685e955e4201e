"""Worlds of every generation on a real data directory, with a clock that only the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from langchain_mix.emulator.state import ServerState
from langchain_mix.protocol.api import ApiVersion

BASE_TIME = 1_760_000_000.75


@dataclass
class Clock:
    now: float = BASE_TIME

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_state(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., ServerState]]:
    states: list[ServerState] = []

    def make(
        api: str = "0.8",
        data_dir: Path | None = None,
        utc_offset: timedelta = timedelta(0),
        *,
        temporary: bool = True,
    ) -> ServerState:
        state = ServerState(
            ApiVersion(api), data_dir or tmp_path / "data", clock=clock, utc_offset=utc_offset, temporary=temporary
        )
        states.append(state)
        return state

    yield make
    for state in states:
        state.close()


@pytest.fixture
def state(make_state: Callable[..., ServerState]) -> ServerState:
    return make_state()


@pytest.fixture
def new_session() -> Callable[..., str]:
    """Makes a session that the generation accepts and gives its id."""

    def new(state: ServerState, title: str = "Session", **body: Any) -> str:
        if state.caps.browser_mode:
            body.setdefault("browserMode", "local-browser-service")
        return str(state.sessions.create({"title": title, **body})["id"])

    return new
