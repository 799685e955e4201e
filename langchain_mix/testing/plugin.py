"""Fixtures for pytest: Mix emulators, and cassettes named after their tests.

Owns: the fixtures and the option `--mix-record`. Refuses to know: what servers and cassettes do.

Enable them in the `conftest.py` next to your `pyproject.toml`; without that line nothing is loaded:

    pytest_plugins = ["langchain_mix.testing.plugin"]
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from langchain_mix.extras import extra

with extra("testing", part=__name__):
    import pytest

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from langchain_mix.emulator import Faults, MixEmulator
    from langchain_mix.emulator.agents import Agent
    from langchain_mix.emulator.agents.scripted import TurnSource
    from langchain_mix.emulator.faults import Fault
    from langchain_mix.testing.vcr import Cassette


class StartEmulator:
    """Starts Mix emulators."""

    def __init__(self, stack: ExitStack) -> None:
        """Starts none yet; all of them stop with the stack."""
        self._stack = stack

    def __call__(
        self,
        *turns: TurnSource,
        api: str = "0.8",
        agent: str | Agent | BaseChatModel | None = None,
        loop: bool = False,
        subagent: Sequence[TurnSource] | Mapping[str, Sequence[TurnSource]] = (),
        faults: Faults | Iterable[Fault] = (),
        **options: Any,
    ) -> MixEmulator:
        """Starts one; it stops when the test is over.

        Args:
            *turns: What its agent says, turn by turn: texts, or what `turn` gives. Without any, the offline agent of
                the emulator answers, which needs no script.
            api: The generation it speaks.
            agent: Who answers instead of a script.
            loop: Whether the script starts again when it has run out.
            subagent: What sub-agents say.
            faults: What goes wrong.
            **options: More options of `MixEmulator`.

        Returns:
            The server, running; `url` is its address, `requests` what it received.

        Raises:
            ValueError: There are both turns and an agent, or an option is wrong.
        """
        from langchain_mix.emulator import Faults, MixEmulator, Script  # noqa: PLC0415  # Tests without it pay nothing.

        if agent is not None and (turns or subagent):
            raise ValueError("A server answers from a script or through an agent, not both.")
        answering = Script(*turns, loop=loop, subagent=subagent) if turns or subagent else agent or "offline"
        wrong = faults if isinstance(faults, Faults) else Faults(*faults)
        return self._stack.enter_context(MixEmulator(api, answering, faults=wrong, **options))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--mix-record`."""
    parser.getgroup("langchain-mix").addoption(
        "--mix-record",
        choices=("none", "once", "all"),
        default="none",
        help="Whether tests with `mix_cassette` record: none (default) replays, once records what is missing, all "
        "records again.",
    )


@pytest.fixture
def mix_emulator() -> Iterator[StartEmulator]:
    """Starts Mix emulators, each by a call that says what its agent answers: see `StartEmulator`."""
    with ExitStack() as stack:
        yield StartEmulator(stack)


@pytest.fixture
def mix_cassette(request: pytest.FixtureRequest) -> Iterator[Cassette]:
    """Replays the test's HTTP from `cassettes/<module>/<test>.yaml` next to it, or records it there.

    Record with `pytest --mix-record=once` and a server running; from then on neither server nor network is needed.
    """
    from langchain_mix.testing.vcr import use_cassette  # noqa: PLC0415  # Tests without it pay nothing.

    name = re.sub(r"[^\w.\-]+", "-", request.node.name).strip("-")
    path = request.path.parent / "cassettes" / request.path.stem / f"{name}.yaml"
    record: Any = request.config.getoption("--mix-record")
    with use_cassette(path, record=record) as cassette:
        yield cassette
