"""Worlds of every generation on a real data directory, with a clock that only the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from langchain_mix.emulator.world import World
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
def make_world(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def make(api: str = "0.8", data_dir: Path | None = None, utc_offset: timedelta = timedelta(0)) -> World:
        world = World(ApiVersion(api), data_dir or tmp_path / "data", clock=clock, utc_offset=utc_offset)
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


@pytest.fixture
def new_session() -> Callable[..., str]:
    """Makes a session that the generation accepts and gives its id."""

    def new(world: World, title: str = "Session", **body: Any) -> str:
        if world.caps.browser_mode:
            body.setdefault("browserMode", "local-browser-service")
        return str(world.create_session({"title": title, **body})["id"])

    return new
