"""How often a property of the protocol is tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis.strategies import SearchStrategy

Try = Callable[..., Callable[[Callable[..., None]], None]]


@pytest.fixture(params=[1, pytest.param(5, marks=pytest.mark.exhaustive)], ids=["few", "many"])
def tried(request: pytest.FixtureRequest) -> Try:
    """Tries a property at once: `@tried(20, text=TEXTS)` on 20 examples by default, on 100 with `-m exhaustive`."""

    def with_examples(count: int, **strategies: SearchStrategy[Any]) -> Callable[[Callable[..., None]], None]:
        def run(check: Callable[..., None]) -> None:
            settings(max_examples=count * request.param)(given(**strategies)(check))()

        return run

    return with_examples
