"""The Mix agent as a part of other graphs, with LangGraph and LangChain alone."""

from __future__ import annotations

import asyncio
import json
import subprocess

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command
from pydantic import BaseModel, ValidationError

from langchain_mix import ChatMix, MixAgent, MixEmulator
from langchain_mix.emulator import Script, say, turn, use
from langchain_mix.errors import MixConfigurationError, MixInputError, MixResumeError
from langchain_mix.pointer import read_pointer
from tests.new_process import python

A = {"configurable": {"thread_id": "a"}}
B = {"configurable": {"thread_id": "b"}}
NEVER = 3600.0


def write(name):
    return use("Write", {"file_path": name, "content": "x"}, result=f"wrote {name}", ask=True)


def serve(*turns, api="0.8", **options):
    return MixEmulator(api=api, agent=Script(*turns, **options), permission_timeout=NEVER)


def call(name, args):
    """A reply that calls a tool of the application."""
    return f"\n<tool_calls>\n{json.dumps([{'name': name, 'args': args}])}\n</tool_calls>"


def sessions(server):
    """Returns what each session was given."""
    return sorted(
        [row["userInput"] for row in server.state.rows.messages(s["id"]) if row["role"] == "user"]
        for s in server.state.sessions.listing(include_subagents=False)
    )


@pytest.fixture(params=["sync", "async"])
def go(request):
    """Invokes a graph, either way."""

    async def invoke(graph, given, config=A):
        if request.param == "async":
            return await graph.ainvoke(given, config)
        return await asyncio.to_thread(graph.invoke, given, config)

    return invoke


@pytest.fixture
async def made():
    """Makes models and agents, whose clients are closed while their loop still runs."""
    clients = []

    def make(kind, server, **fields):
        thing = kind(server_url=server.url, **fields)
        clients.append((thing.model if kind is MixAgent else thing).client)
        return thing

    yield make
    for client in clients:
        async with client:
            pass


@pytest.mark.parametrize("saver", [True, False], ids=["checkpointer", "none"])
async def test_each_thread_has_a_session(saver, go, made):
    with serve("Hi.", loop=True) as server:
        agent = made(MixAgent, server, checkpointer=InMemorySaver() if saver else None)
        for text, thread in (("1", A), ("2", B), ("3", A)):
            state = await go(agent, {"messages": text}, thread)
            assert state["messages"][-1].text == "Hi."
            assert state["messages"][-1].name == "mix"
        assert sessions(server) == [["1", "3"], ["2"]]
        assert len(state["messages"]) == (4 if saver else 2)


def test_agents_of_one_thread_do_not_share_its_session():
    with serve("Hi.", loop=True) as server:
        for name in ("left", "right", "left"):
            MixAgent(server_url=server.url, name=name).invoke({"messages": name}, A)
        assert sessions(server) == [["left", "left"], ["right"]]


def test_a_history_that_is_given_goes_on_where_it_stands_and_not_in_the_thread():
    with serve("Hi.", api="0.7", loop=True) as server:
        agent = MixAgent(server_url=server.url)
        first = agent.invoke({"messages": "1"}, A)["messages"]
        agent.invoke({"messages": [*first, HumanMessage("2")]}, A)
        agent.invoke({"messages": [*first, HumanMessage("3")]}, A)
        assert sessions(server) == [["1", "2"], ["1", "3"]], "a branch is no part of the other one"


def test_time_travel_forks():
    with serve("Hi.", api="0.7", loop=True) as server:
        agent = MixAgent(server_url=server.url, checkpointer=InMemorySaver())
        agent.invoke({"messages": "1"}, A)
        before = agent.get_state(A).config
        agent.invoke({"messages": "2"}, A)
        agent.invoke({"messages": "3"}, before)
        assert sessions(server) == [["1", "2"], ["1", "3"]]


def in_a_parent(agent, saver=None):
    return StateGraph(MessagesState).add_node("mix", agent).add_edge(START, "mix").compile(checkpointer=saver)


async def test_a_subgraph_passes_pauses_up_and_refuses_what_is_no_decision(go, made):
    with serve(turn([write("a.md")], say("Done."))) as server:
        parent = in_a_parent(made(MixAgent, server, permissions="interrupt"), InMemorySaver())
        (pause,) = (await go(parent, {"messages": "Go"}))["__interrupt__"]
        assert pause.value["action_requests"][0]["name"] == "Write"
        with pytest.raises(MixResumeError):
            await go(parent, Command(resume="perhaps"))
        state = await go(parent, Command(resume="yes"))
        assert [b["status"] for b in state["messages"][-1].content_blocks if b["type"] == "server_tool_result"] == [
            "success"
        ]
        assert sessions(server) == [["Go"]]


async def test_the_parents_streams_show_text_tools_and_updates(made):
    read = use("ReadText", {"file_path": "a.md"}, result="x")
    with serve(turn([read], say("Well, that is done."))) as server:
        parent = in_a_parent(made(MixAgent, server, name="reader"))
        seen = {"messages": [], "updates": []}
        async for _, mode, item in parent.astream(
            {"messages": "Go"}, stream_mode=["messages", "updates"], subgraphs=True
        ):
            seen[mode].append(item)
        assert "".join(chunk.text for chunk, _ in seen["messages"]).endswith("Well, that is done.")
        assert len([chunk for chunk, _ in seen["messages"] if chunk.text]) >= 2, "it comes piece by piece"
        assert [list(update) for update in seen["updates"]] == [["agent"], ["mix"]]
        kinds = [event["event"] async for event in parent.astream_events({"messages": "Go"}, version="v2")]
        assert "on_tool_start" in kinds


def test_it_is_copied_as_servers_do():
    """`langgraph dev` gives the graph that it imports its own checkpointer."""
    with serve("Hi.", loop=True) as server:
        agent = MixAgent(server_url=server.url, name="mixer")
        copied = agent.copy(update={"checkpointer": InMemorySaver(), "name": "served"}).with_config(tags=["x"])
        assert type(copied) is MixAgent
        assert (agent.checkpointer, agent.name, copied.name) == (None, "mixer", "served")
        for text in "12":
            copied.invoke({"messages": text}, A)
        assert len(copied.get_state(A).values["messages"]) == 4
        assert copied.as_tool().name == "served"
        assert "messages" in copied.get_input_jsonschema()["properties"]
        assert sorted(copied.get_graph().nodes) == ["__end__", "__start__", "agent"]


def test_a_model_of_your_own_and_tools_of_this_process():
    @tool
    def add(a: int, b: int) -> int:
        """Adds."""
        return a + b

    with serve(call("add", {"a": 2, "b": 3}), "Five.") as server:
        model = ChatMix(server_url=server.url, system_prompt="Be short.")
        agent = MixAgent(model, tools=[add], name="adder")
        assert agent.model is model
        messages = agent.invoke({"messages": "2 + 3?"})["messages"]
        assert [m.type for m in messages] == ["human", "ai", "tool", "ai"]
        assert messages[2].content == "5"
        assert messages[3].text == "Five."
        with pytest.raises(MixConfigurationError, match="title"):
            MixAgent(model, title="x")


# As a tool


@pytest.mark.parametrize("kind", [ChatMix, MixAgent])
async def test_a_tool_takes_one_text_and_keeps_the_threads_session(kind, made):
    with serve("Hi.", loop=True) as server:
        as_tool = made(kind, server).as_tool(name="helper", description="Helps.")
        assert (as_tool.name, as_tool.description, list(as_tool.args)) == ("helper", "Helps.", ["request"])
        assert as_tool.invoke("1", A) == "Hi."
        assert await as_tool.ainvoke({"request": "2"}, A) == "Hi."
        assert as_tool.invoke("3", B) == "Hi."
        as_tool.invoke("4")
        as_tool.invoke({"__arg1": "5"})
        assert sessions(server) == [["1", "2"], ["3"], ["4"], ["5"]]
        with pytest.raises(ValidationError):
            as_tool.invoke({"to": "a", "text": "b"})
        with pytest.raises(MixInputError, match="one text"):
            made(kind, server).as_tool(BaseModel, name="helper")


@pytest.mark.parametrize("saver", [True, False], ids=["checkpointer", "none"])
async def test_a_tool_of_an_agent_goes_on_in_one_session(saver, go, made):
    request = call("helper", {"request": "task"})
    with serve("Hi.", loop=True) as server, serve(request, request, "End.", loop=True) as bosses:
        helper = made(MixAgent, server, name="helper").as_tool()
        boss = create_agent(made(ChatMix, bosses), [helper], checkpointer=InMemorySaver() if saver else None)
        for _ in range(2):
            state = await go(boss, {"messages": "Go"})
            assert state["messages"][-1].text == "End."
        assert sessions(server) == [["task"] * 4]


def test_an_artifact_keeps_the_conversation_for_a_new_process():
    """All that the tool knows of the past is in the state, as JSON would keep it."""
    request = call("helper", {"request": "task"})
    with serve("Hi.", loop=True) as server, serve(request, "End.", loop=True) as bosses:
        boss = create_agent(ChatMix(server_url=bosses.url), [ChatMix(server_url=server.url).as_tool(name="helper")])
        messages = boss.invoke({"messages": "Go"})["messages"]
        kept = [m for m in messages if isinstance(m, ToolMessage)]
        for message in kept:
            message.artifact = json.loads(json.dumps(message.artifact))
        boss.invoke({"messages": [*messages, HumanMessage("Again")]})
        assert sessions(server) == [["task", "task"]]


async def test_a_tool_passes_pauses_up(go, made):
    request = call("helper", {"request": "task"})
    with serve(turn([write("a.md")], say("Done."))) as server, serve(request, "End.") as bosses:
        helper = made(MixAgent, server, permissions="interrupt").as_tool(name="helper")
        boss = create_agent(made(ChatMix, bosses), [helper], checkpointer=InMemorySaver())
        (pause,) = (await go(boss, {"messages": "Go"}))["__interrupt__"]
        assert pause.value["action_requests"][0]["name"] == "Write"
        with pytest.raises(MixResumeError):
            await go(boss, Command(resume={"approved": True}))
        messages = (await go(boss, Command(resume=[{"type": "accept"}])))["messages"]
        assert [m.text for m in messages if isinstance(m, ToolMessage)] == ["Done."]
        assert messages[-1].text == "End."
        assert [r.path.rsplit("/", 1)[1] for r in server.requests if r.path.startswith("/api/permissions/")] == [
            "deny",
            "grant",
        ]


# In a new process

PROGRAM = """
import json, sys
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command
from langchain_mix import MixAgent, MixSaver

url, path, nested, given = sys.argv[1:]
agent = MixAgent(server_url=url, permissions="interrupt")
with agent.model.client, SqliteSaver.from_conn_string(path) if path else MixSaver(server_url=url) as saver:
    if nested == "nested":
        agent = StateGraph(MessagesState).add_node("mix", agent).add_edge(START, "mix").compile(checkpointer=saver)
    else:
        agent = agent.copy({"checkpointer": saver})
    given = json.loads(given)
    state = agent.invoke(Command(resume=given) if given else {"messages": "Go"}, {"configurable": {"thread_id": "a"}})
    print(json.dumps([i.value["action_requests"][0]["name"] for i in state.get("__interrupt__", ())] or state["messages"][-1].text))
"""


@pytest.mark.parametrize(("saver", "shape"), [("sqlite", "nested"), ("mix", "nested"), ("mix", "alone")])
def test_a_pause_goes_on_in_a_new_process(saver, shape, tmp_path):
    path = str(tmp_path / "graph.sqlite") if saver == "sqlite" else ""

    def in_a_new_process(given):
        command = python(PROGRAM, server.url, path, shape, json.dumps(given))
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    with serve(turn([write("a.md")], say("Done."))) as server:
        assert in_a_new_process(None) == ["Write"]
        assert in_a_new_process("approve").endswith("Done.")
        assert ["Go"] in sessions(server)


def test_its_answers_point_to_their_session():
    """The name that an answer gets is no change of it: the next turn needs no replay."""
    with serve("Hi.", loop=True) as server:
        agent = MixAgent(server_url=server.url, checkpointer=InMemorySaver())
        state = [agent.invoke({"messages": text}, A) for text in "12"][-1]
        pointers = {read_pointer(m.response_metadata).session_id for m in state["messages"] if isinstance(m, AIMessage)}
        assert len(pointers) == 1
