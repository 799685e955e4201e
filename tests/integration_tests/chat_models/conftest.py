"""The ways to have a reply, a tracer, and local files in the place of those that the standard suites would download."""

from __future__ import annotations

import asyncio
import operator
from functools import reduce
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, TypedDict

import httpx
import pytest
from langchain_core.messages import AnyMessage, HumanMessage
from langchain_core.messages.utils import message_chunk_to_message
from langchain_core.tracers.base import BaseTracer
from langchain_core.tracers.schemas import Run
from langchain_tests.utils.stream_lifecycle import assert_valid_event_stream
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages

from langchain_mix import ChatMix

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
LOCAL = {".pdf": "report.pdf", ".wav": "tone.wav", ".png": "chart.png", ".jpg": "chart.jpg"}


@pytest.fixture
def downloads_from_fixtures(monkeypatch):
    """`httpx.get` of the standard suites, without the internet."""

    def get(url, **_):
        name = next(local for ending, local in LOCAL.items() if str(url).lower().endswith(ending))
        return SimpleNamespace(content=(FIXTURES / name).read_bytes())

    monkeypatch.setattr(httpx, "get", get)
    monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "langchain-mix tests")


@pytest.fixture(autouse=True)
async def clients_are_closed(monkeypatch):
    """Closes the clients of all models that a test made: the suites of LangChain close none."""
    opened = []
    own = ChatMix.client.fget

    def client(model):
        mix = own(model)
        if mix not in opened:
            opened.append(mix)
        return mix

    monkeypatch.setattr(ChatMix, "client", property(client))
    yield
    for mix in opened:
        await mix.aclose()


class Tracer(BaseTracer):
    """As LangSmith's: it keeps whole trees, and gets one only when its root has ended."""

    run_inline = True

    def __init__(self) -> None:
        super().__init__()
        self.trees: list[Run] = []
        self.started = 0
        self.ended = 0

    def _persist_run(self, run: Run) -> None:
        self.trees.append(run)

    def _on_run_create(self, run: Run) -> None:
        self.started += 1

    def _on_run_update(self, run: Run) -> None:
        self.ended += 1

    def runs(self) -> list[Run]:
        """All runs, parents first."""
        return [run for tree in self.trees for run in _flattened(tree)]


def _flattened(run: Run) -> list[Run]:
    return [run, *(deeper for child in run.child_runs for deeper in _flattened(child))]


@pytest.fixture
def make_tracer():
    return Tracer


class State(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


KINDS = {"text", "reasoning", "server_tool_call", "server_tool_result", "image", "file", "non_standard"}


def whole(chunks: list[Any]) -> Any:
    for chunk in chunks:
        assert chunk.content_blocks is not None
        for block in chunk.content_blocks:
            assert block["type"] in KINDS, block
        # What is no block of the form "v0" is text, which merges as a `str`.
        assert isinstance(chunk.content, str) or all("index" in block for block in chunk.content), chunk
    assert [c.chunk_position for c in chunks].count("last") == 1
    assert chunks[-1].chunk_position == "last"
    assert len({c.id for c in chunks}) == 1
    return message_chunk_to_message(reduce(operator.add, chunks))


async def _ended() -> None:
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})  # LangChain's task ends after its stream.


async def by_events_v2(model: ChatMix, text: str, config: Any) -> list[Any]:
    events = [event async for event in model.astream_events(text, config, version="v2")]
    (end,) = [e["data"]["output"] for e in events if e["event"] == "on_chat_model_end"]
    chunks = [e["data"]["chunk"] for e in events if e["event"] == "on_chat_model_stream"]
    return [message_chunk_to_message(end), whole(chunks)]


async def by_events_v3(model: ChatMix, text: str, config: Any) -> list[Any]:
    stream = model.stream_events(text, config, version="v3")
    assert_valid_event_stream(list(stream))
    return [stream.output]


async def by_async_events_v3(model: ChatMix, text: str, config: Any) -> list[Any]:
    stream = await model.astream_events(text, config, version="v3")
    assert_valid_event_stream([event async for event in stream])
    reply = await stream
    await _ended()
    return [reply]


async def by_graph(model: ChatMix, text: str, config: Any) -> list[Any]:
    def node(state: State) -> Any:
        return {"messages": [model.invoke(state["messages"])]}

    graph = StateGraph(State).add_node("n", node).add_edge(START, "n").compile()
    parts = list(graph.stream({"messages": [HumanMessage(text)]}, config, stream_mode=["messages", "values"]))
    return [whole([part[0] for mode, part in parts if mode == "messages"]), parts[-1][1]["messages"][-1]]


async def by_async_graph(model: ChatMix, text: str, config: Any) -> list[Any]:
    async def node(state: State) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(State).add_node("n", node).add_edge(START, "n").compile()
    state = {"messages": [HumanMessage(text)]}
    parts = [part async for part in graph.astream(state, config, stream_mode=["messages", "values"])]
    return [whole([part[0] for mode, part in parts if mode == "messages"]), parts[-1][1]["messages"][-1]]


async def by_invoke(model: ChatMix, text: str, config: Any) -> list[Any]:
    return [model.invoke(text, config)]


async def by_ainvoke(model: ChatMix, text: str, config: Any) -> list[Any]:
    return [await model.ainvoke(text, config)]


async def by_stream(model: ChatMix, text: str, config: Any) -> list[Any]:
    return [whole(list(model.stream(text, config)))]


async def by_astream(model: ChatMix, text: str, config: Any) -> list[Any]:
    return [whole([chunk async for chunk in model.astream(text, config)])]


async def by_batch(model: ChatMix, text: str, config: Any) -> list[Any]:
    return model.batch([text, text], config)


async def by_abatch(model: ChatMix, text: str, config: Any) -> list[Any]:
    return await model.abatch([text, text], config)


WAYS = {
    "invoke": by_invoke,
    "ainvoke": by_ainvoke,
    "stream": by_stream,
    "astream": by_astream,
    "astream_events v2": by_events_v2,
    "stream_events v3": by_events_v3,
    "astream_events v3": by_async_events_v3,
    "batch": by_batch,
    "abatch": by_abatch,
    "graph": by_graph,
    "async graph": by_async_graph,
}
"""Each gives the replies of one call of a model (of two in a batch): each the same message."""


@pytest.fixture
def ways():
    return WAYS


@pytest.fixture
def every_way():
    """Yields the reply, had in all ways there are, each with its name."""

    async def replies(model: ChatMix, text: str) -> Any:
        for name, way in WAYS.items():
            for reply in await way(model, text, {}):
                yield name, reply

    return replies
