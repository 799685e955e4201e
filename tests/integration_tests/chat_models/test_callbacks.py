"""A call as callbacks, tracers and graphs see it: runs with the right parents, closed on every path."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, closing
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AnyMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.schemas import Run
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages

from langchain_mix import ChatMix, MixEmulator
from langchain_mix.emulator import CutStream, Gate, HttpError, Script, say, turn, use
from langchain_mix.emulator.agents.base import Fail, Raw, Wait
from langchain_mix.errors import MixAgentError, MixError, MixTurnInterrupted
from tests.in_turn import in_turn

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning"),
]

WAYS = ["invoke", "ainvoke", "stream", "astream", "v2", "v3", "av3"]


class State(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


def tree(run: Run) -> Any:
    children = [tree(child) for child in run.child_runs]
    name = run.name.replace("_", "").lower() if run.run_type == "tool" else run.name
    return (run.run_type, name, children) if children else (run.run_type, name)


def every(run: Run) -> list[Run]:
    return [run, *(deeper for child in run.child_runs for deeper in every(child))]


async def called(runnable: Any, way: str, text: Any = "Go") -> Any:
    if way == "invoke":
        return await asyncio.to_thread(runnable.invoke, text)
    if way == "ainvoke":
        return await runnable.ainvoke(text)
    if way == "stream":
        return await asyncio.to_thread(lambda: list(runnable.stream(text)))
    if way in {"astream", "v2"}:
        chunks = runnable.astream(text) if way == "astream" else runnable.astream_events(text, version="v2")
        return [chunk async for chunk in chunks]
    if way == "v3":
        return await asyncio.to_thread(lambda: list(runnable.stream_events(text, version="v3")))
    events = [event async for event in await runnable.astream_events(text, version="v3")]
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})  # LangChain's task ends after its stream.
    return events


def tools() -> Script:
    return Script(
        turn(
            [
                *say("First. "),
                use("Grep", {"pattern": "x"}, result="r", id="g"),
                use("Glob", {"pattern": "*"}, failure="no", id="f"),
            ],
            "Done.",
        ),
        loop=True,
    )


@pytest.mark.parametrize("api", ["0.6", "0.8"])
@pytest.mark.parametrize("way", ["stream", "astream"])
async def test_streams_in_a_chain_have_them_under_their_run(api, way, make_tracer):
    with MixEmulator(api=api, agent=tools()) as server:
        tracer = make_tracer()
        model = ChatMix(server_url=server.url)
        chain = RunnableLambda(lambda text: model).with_config(callbacks=[tracer], run_name="chain")
        await called(chain, way)
    (root,) = tracer.trees
    assert root.name == "chain"
    (model_run,) = root.child_runs
    assert model_run.name == "ChatMix"
    assert sorted(name for _, name in map(tree, model_run.child_runs)) == ["glob", "grep"]
    assert tracer.started == tracer.ended == 4


async def test_nobody_is_told_of_tools_when_that_is_switched_off(make_tracer):
    with MixEmulator(api="0.8", agent=tools()) as server:
        tracer = make_tracer()
        await called(ChatMix(server_url=server.url, callbacks=[tracer], emit_tool_runs=False), "invoke")
    assert [tree(root) for root in tracer.trees] == [("llm", "ChatMix")]


# Every path closes every run


FAILING = {
    "agent": (
        Script(
            turn([use("Grep", {"pattern": "x"}, result="r", id="g")], [*say("Half"), Fail("overloaded")]), loop=True
        ),
        (),
    ),
    "cut": (tools(), lambda: [CutStream(3)]),
    "refused": (tools(), lambda: [HttpError("/stream", 403)]),
    "in a tool": (
        Script(
            turn([*say("Half. "), use("Grep", {"pattern": "x"}, until=Gate(), result="r", id="g")], "Never."), loop=True
        ),
        (),
    ),
}


@pytest.mark.parametrize("scenario", in_turn(WAYS, list(FAILING), ["0.6", "0.8", "0.8"]))
async def test_a_failure_closes_every_run(scenario, make_tracer):
    way, failing, api = scenario
    agent, faults = FAILING[failing]
    with MixEmulator(api=api, agent=agent, heartbeat=0.05) as server:
        for fault in faults() if faults else ():
            server.faults.add(fault)
        tracer = make_tracer()
        model = ChatMix(server_url=server.url, **({"timeout": 0.4} if failing == "in a tool" else {}))
        chain = RunnableLambda(lambda text: model).with_config(callbacks=[tracer])
        if way in {"v3", "av3"}:
            chain = model.with_config(callbacks=[tracer])
        failed = None
        try:
            await called(chain, way)
        except MixError as error:
            failed = error
        if failing == "cut" and api == "0.8":
            assert failed is None
        else:
            assert failed is not None
        await asyncio.to_thread(server.wait_idle)
    (root,) = tracer.trees
    assert tracer.started == tracer.ended == len(every(root))
    assert all(run.end_time for run in every(root))
    model_run = next(run for run in every(root) if run.run_type == "llm")
    assert bool(model_run.error) == (failed is not None)
    if failing == "in a tool":
        (tool,) = [run for run in every(root) if run.run_type == "tool"]
        assert tool.error


@pytest.mark.parametrize(
    ("way", "how"),
    [("stream", "error"), ("astream", "error"), ("stream", "close"), ("astream", "close")],
)
async def test_a_handler_gets_what_was_said_when_a_stream_fails(way, how):
    class Partial(BaseCallbackHandler):
        run_inline = True
        text: Any = None
        metadata: Any = None

        def on_llm_error(self, error, *, response=None, **kwargs):
            self.text = response.generations[0][0].message.text

    partial = Partial()
    end = Fail("overloaded") if how == "error" else Wait(Gate())
    with MixEmulator(api="0.8", agent=Script(turn([*say("One. Two. "), end]))) as server:
        model = ChatMix(server_url=server.url, callbacks=[partial])
        if how == "error":
            with pytest.raises(MixAgentError):
                await called(model, way)
        elif way == "stream":
            with closing(model.stream("Go")) as chunks:
                for chunk in chunks:
                    if "." in chunk.text:
                        break
        else:
            async with aclosing(model.astream("Go")) as achunks:
                async for chunk in achunks:
                    if "." in chunk.text:
                        break
        assert partial.text
        assert "One. Two. ".startswith(partial.text)
        if how == "error":
            assert partial.text == "One. Two. "
        await asyncio.to_thread(server.wait_idle)


# Custom events


def eventful(api: str) -> Script:
    ask = use("Write", {"file_path": "a.txt", "content": "x"}, ask=True, id="w")
    return Script(
        turn([*say("Hm. "), Raw("from_the_future", {"type": "from_the_future", "a": 1}), ask], "Done."), loop=True
    )


EVENTS = {"mix_progress", "mix_permission"}


@pytest.mark.parametrize("api", ["0.6", "0.7", "0.8"])
async def test_permissions_and_progress_are_custom_events(api):
    with MixEmulator(api=api, agent=eventful(api)) as server:
        model = ChatMix(server_url=server.url, permissions="allow")
        chain = RunnableLambda(lambda text: model)
        got = [e async for e in chain.astream_events("Go", version="v2") if e["event"] == "on_custom_event"]
        assert {e["name"] for e in got} == EVENTS
        (permission,) = [e["data"] for e in got if e["name"] == "mix_permission"]
        assert "write" in str(permission).lower()
        assert any(e["data"].get("kind") == "from_the_future" for e in got)

        class Heard(BaseCallbackHandler):
            def __init__(self) -> None:
                self.names: list[str] = []

            def on_custom_event(self, name, data, **kwargs):
                self.names.append(name)

        for way in WAYS:
            heard = Heard()
            runnable = (model if way in {"invoke", "ainvoke", "v3", "av3"} else chain).with_config(callbacks=[heard])
            await called(runnable, way)
            assert set(heard.names) == EVENTS, way
            assert heard.names.count("mix_permission") == 1, way


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_a_graph_gets_them_on_its_stream_writer(way):
    with MixEmulator(api="0.8", agent=eventful("0.8")) as server:
        model = ChatMix(server_url=server.url, permissions="allow")

        def node(state: State) -> Any:
            return {"messages": [model.invoke(state["messages"])]}

        async def anode(state: State) -> Any:
            return {"messages": [await model.ainvoke(state["messages"])]}

        graph = StateGraph(State).add_node("n", node if way == "sync" else anode).add_edge(START, "n").compile()
        state = {"messages": [HumanMessage("Go")]}
        modes = ["custom", "messages", "tools"]
        if way == "sync":
            parts = list(graph.stream(state, stream_mode=modes))
        else:
            parts = [part async for part in graph.astream(state, stream_mode=modes)]
    events = [part["mix"] for mode, part in parts if mode == "custom"]
    assert {e["event"] for e in events} == {"progress", "permission"}
    started = [part for mode, part in parts if mode == "tools" and part["event"] == "tool-started"]
    assert [part["tool_call_id"] for part in started] == ["w"]
    assert "".join(part[0].text for mode, part in parts if mode == "messages") == "Hm. Done."


@pytest.mark.parametrize("api", ["0.5", "0.6"])
async def test_an_interrupted_turn_is_an_error_of_the_models_run(api, make_tracer):
    with MixEmulator(api=api, agent=tools(), heartbeat=0.05) as server:
        server.faults.add(CutStream(1))
        tracer = make_tracer()
        with pytest.raises(MixError) as caught:
            await ChatMix(server_url=server.url, callbacks=[tracer]).ainvoke("Go")
        assert isinstance(caught.value, MixTurnInterrupted | MixError)
        assert caught.value.turn is not None
    (root,) = tracer.trees
    assert root.error
    assert tracer.started == tracer.ended
