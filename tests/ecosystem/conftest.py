"""Shared by the tests that run with other packages in an environment of their own: `pip install -e '.[ecosystem]'`, then `.ci/ecosystem`.

Without them nothing here is collected. Their own warnings are not ours: they are imported here, where none is an error.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from langchain_mix import ChatMix, MixAgent, MixEmulator
from langchain_mix.emulator import Script, use

_PACKAGES = (
    "ag_ui_langgraph",
    "chainlit",
    "deepagents",
    "langgraph_supervisor",
    "langgraph_swarm",
    "openinference.instrumentation.langchain",
)
NEVER = 3600.0

if importlib.util.find_spec("langgraph_supervisor") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    # Chainlit writes its settings where it is imported, unless it is told where.
    os.environ.setdefault("CHAINLIT_APP_ROOT", tempfile.mkdtemp(prefix="chainlit"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in _PACKAGES:
            importlib.import_module(name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/ecosystem" in item.path.as_posix():
            item.add_marker(pytest.mark.filterwarnings("default"))
            item.add_marker(pytest.mark.filterwarnings("error:::langchain_mix"))


class Cast:
    """The servers and agents of a play: who calls (the boss, a scripted model) and who works (a Mix agent)."""

    def __init__(self) -> None:
        self.servers: list[MixEmulator] = []
        self.clients: list[Any] = []

    def serve(self, *turns: Any, **options: Any) -> MixEmulator:
        self.servers.append(MixEmulator(agent=Script(*turns, **options), permission_timeout=NEVER).start())
        return self.servers[-1]

    def model(self, server: MixEmulator, **fields: Any) -> ChatMix:
        model = ChatMix(server_url=server.url, **fields)
        self.clients.append(model.client)
        return model

    def agent(self, server: MixEmulator, **options: Any) -> MixAgent:
        agent = MixAgent(server_url=server.url, **options)
        self.clients.append(agent.model.client)
        return agent

    @staticmethod
    def call(name: str, **args: Any) -> str:
        """A reply of the boss that calls a tool."""
        return f"\n<tool_calls>\n{json.dumps([{'name': name, 'args': args}])}\n</tool_calls>"

    @staticmethod
    def write(name: str) -> Any:
        return use("Write", {"file_path": name, "content": "x"}, result=f"wrote {name}", ask=True)

    @staticmethod
    def read(name: str) -> Any:
        return use("ReadText", {"file_path": name}, result="x")

    @staticmethod
    def sessions(server: MixEmulator) -> int:
        return len(server.state.sessions.listing(include_subagents=False))

    @staticmethod
    def answers(server: MixEmulator) -> list[str]:
        return [r.path.rsplit("/", 1)[1] for r in server.requests if r.path.startswith("/api/permissions/")]


@pytest.fixture
async def cast() -> Any:
    play = Cast()
    yield play
    for client in play.clients:
        async with client:
            pass
    for server in play.servers:
        server.stop()


Go = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def go(request: pytest.FixtureRequest) -> Go:
    """Invokes a graph, either way."""
    import asyncio

    async def invoke(graph: Any, given: Any, config: Any = None) -> Any:
        config = config or {"configurable": {"thread_id": "a"}}
        if request.param == "async":
            return await graph.ainvoke(given, config)
        return await asyncio.to_thread(graph.invoke, given, config)

    return invoke
