"""`MixAgent` in langgraph-supervisor, langgraph-swarm and deepagents: sessions, pauses, and both in a new process."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from deepagents import CompiledSubAgent, create_deep_agent
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from langgraph_supervisor import create_supervisor
from langgraph_swarm import create_handoff_tool, create_swarm

from langchain_mix.emulator import say, turn
from langchain_mix.errors import MixResumeError

pytestmark = pytest.mark.ecosystem


def supervised(cast, boss, worker, saver):
    return create_supervisor([worker], model=cast.model(boss)).compile(checkpointer=saver)


def swarmed(cast, boss, worker, saver):
    first = cast.agent(boss, name="boss", tools=[create_handoff_tool(agent_name=worker.name)])
    return create_swarm([first, worker], default_active_agent="boss").compile(checkpointer=saver)


def deep(cast, boss, worker, saver):
    sub = CompiledSubAgent(name=worker.name, description="Works.", runnable=worker)
    return create_deep_agent(cast.model(boss), subagents=[sub], checkpointer=saver)


HANDOFFS = {
    "supervisor": (supervised, ("transfer_to_worker", {})),
    "swarm": (swarmed, ("transfer_to_worker", {})),
    "deepagents": (deep, ("task", {"description": "Work.", "subagent_type": "worker"})),
}


@pytest.fixture(params=HANDOFFS)
def kind(request):
    return request.param


def graph_of(cast, kind, worker, saver, times=1):
    build, (name, args) = HANDOFFS[kind]
    boss = cast.serve(*[cast.call(name, **args), "End."] * times)
    return build(cast, boss, worker, saver)


def said(state):
    return [m.text for m in state["messages"] if isinstance(m, AIMessage | ToolMessage)]


async def test_the_agent_answers_as_a_member(cast, kind, go):
    """The answer of a MixAgent comes back through each framework, synchronously and asynchronously."""
    server = cast.serve("The worker's answer.", loop=True)
    graph = graph_of(cast, kind, cast.agent(server, name="worker"), InMemorySaver())
    state = await go(graph, {"messages": [("user", "Go")]})
    assert "The worker's answer." in said(state)
    assert cast.sessions(server) == 1


async def test_a_member_keeps_one_session_for_a_thread(cast, go):
    """In the second round of a supervisor the member goes on in the session of the first one."""
    server = cast.serve("The worker's answer.", loop=True)
    graph = graph_of(cast, "supervisor", cast.agent(server, name="worker"), InMemorySaver(), times=2)
    for _ in range(2):
        state = await go(graph, {"messages": [("user", "Go")]})
    assert said(state).count("The worker's answer.") == 2
    assert cast.sessions(server) == 1


async def test_a_member_pauses_the_whole_graph(cast, kind, go):
    """A permission request comes up through each framework, a wrong value leaves the pause, a right one runs the tool."""
    server = cast.serve(turn([cast.write("a.md")], say("Written.")))
    graph = graph_of(cast, kind, cast.agent(server, name="worker", permissions="interrupt"), InMemorySaver())
    (pause,) = (await go(graph, {"messages": [("user", "Go")]}))["__interrupt__"]
    assert pause.value["action_requests"][0]["name"] == "Write"
    with pytest.raises(MixResumeError):
        await go(graph, Command(resume={"approved": True}))
    state = await go(graph, Command(resume={"decisions": [{"type": "approve"}]}))
    assert any("Written." in text for text in said(state))
    assert cast.answers(server) == ["deny", "grant"]


async def test_text_and_tools_of_a_member_are_streamed(cast, kind):
    """Text of the MixAgent comes piece by piece, and its tools as runs, through the streams of each framework."""
    server = cast.serve(turn([cast.read("a.md")], say("It was read by the worker.")))
    graph = graph_of(cast, kind, cast.agent(server, name="worker"), InMemorySaver())
    config = {"configurable": {"thread_id": "a"}}
    texts, tools = [], []
    async for event in graph.astream_events({"messages": [("user", "Go")]}, config, version="v2"):
        if event["event"] == "on_chat_model_stream":
            texts.append(event["data"]["chunk"].text)
        elif event["event"] == "on_tool_start":
            tools.append(event["name"])
    assert "It was read by the worker." in "".join(texts)
    assert "It was read by the worker." not in texts
    assert "ReadText" in tools


PROGRAM = """
import json, sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1])))
from test_multi_agent import HANDOFFS, said
from langgraph.types import Command
from langchain_mix import ChatMix, MixAgent, MixSaver
_, _, kind, boss, server, given = sys.argv

class At:
    def __init__(self, url): self.url = url

class Cast:
    def model(self, at, **fields): return ChatMix(server_url=at.url, **fields)
    def agent(self, at, **options): return MixAgent(server_url=at.url, **options)

worker = Cast().agent(At(server), name="worker", permissions="interrupt")
with MixSaver(server_url=server) as saver:
    graph = HANDOFFS[kind][0](Cast(), At(boss), worker, saver)
    given = json.loads(given)
    state = graph.invoke(Command(resume=given) if given else {"messages": [("user", "Go")]}, {"configurable": {"thread_id": "a"}})
    print(json.dumps([i.value["action_requests"][0]["name"] for i in state.get("__interrupt__", ())] or said(state)))
"""


def test_a_pause_goes_on_in_a_new_process(cast, kind):
    """With MixSaver, a pause of each framework is decided in another process than the one that began."""
    server = cast.serve(turn([cast.write("a.md")], say("Written.")))
    _, (name, args) = HANDOFFS[kind]
    boss = cast.serve(cast.call(name, **args), "End.")

    def in_a_new_process(given):
        folder = __file__.rpartition("/")[0]
        command = [sys.executable, "-c", PROGRAM, folder, kind, boss.url, server.url, json.dumps(given)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert in_a_new_process(None) == ["Write"]
    assert cast.answers(server) == ["deny"]
    assert any("Written." in text for text in in_a_new_process("approve"))
    assert cast.answers(server) == ["deny", "grant"]
