"""ChatMix and MixSaver in LangGraph graphs: after every way through a graph, what the server's sessions hold."""

from __future__ import annotations

import subprocess
import textwrap
from contextlib import ExitStack

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from langchain_mix import ChatMix, MixEmulator, MixSaver
from langchain_mix.checkpoint.files import TITLE
from langchain_mix.emulator.agents.base import Text
from langchain_mix.pointer import read_pointer
from langchain_mix.protocol.api import CAPABILITIES
from tests.new_process import python

A = {"configurable": {"thread_id": "a"}}
B = {"configurable": {"thread_id": "b"}}


class Echo:
    """Answers with all that the user said in the session: an answer shows which history it answers."""

    async def reply(self, request):
        yield Text(" / ".join(line.text for line in request.lines if line.role == "user"))


USUAL = {("0.7", "mix"), ("0.8", "sqlite")}
"""A server that forks sessions and one that does not; files of the server and another saver underneath."""


@pytest.fixture(
    params=[
        pytest.param(ground, id="-".join(ground), marks=[] if ground in USUAL else pytest.mark.exhaustive)
        for ground in (("0.5", "mix"), ("0.7", "mix"), ("0.7", "sqlite"), ("0.8", "mix"), ("0.8", "sqlite"))
    ]
)
def ground(request):
    return request.param


@pytest.fixture
def server(ground):
    with MixEmulator(api=ground[0], agent=Echo()) as server:
        yield server


@pytest.fixture
def saver(ground, server, tmp_path):
    with ExitStack() as stack:
        storage = None
        if ground[1] == "sqlite":
            storage = stack.enter_context(SqliteSaver.from_conn_string(str(tmp_path / "graph.sqlite")))
        yield stack.enter_context(MixSaver(server.url, storage=storage))


def session_of(message):
    return read_pointer(message.response_metadata).session_id


def sessions(server):
    """What the user said in each session but the saver's own."""
    return {
        s["id"]: [row["userInput"] for row in server.state.rows.messages(s["id"]) if row["role"] == "user"]
        for s in server.state.sessions.listing(include_subagents=True)
        if s["title"][:16] != TITLE[:16]
    }


def rows(server, session_id):
    return [row["id"] for row in server.state.rows.messages(session_id)]


def forks(server):
    return CAPABILITIES[server.api].fork


def chat(server, saver, *, after=None, **compiled):
    model = ChatMix(server_url=server.url)

    def call(state):
        reply = model.invoke(state["messages"])
        if after is not None:
            after(state)
        return {"messages": [reply]}

    builder = StateGraph(MessagesState).add_node("chat", call).add_edge(START, "chat")
    return builder.compile(checkpointer=saver, **compiled)


def say(graph, text, config=A, **given):
    return graph.invoke({"messages": [HumanMessage(text)]}, config, **given)["messages"]


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_a_thread_goes_on_in_one_session(server, saver, durability):
    graph = chat(server, saver)
    for text in ("one", "two", "three"):
        messages = say(graph, text, durability=durability)
    (session_id,) = sessions(server)
    assert sessions(server) == {session_id: ["one", "two", "three"]}
    assert messages[-1].text == "one / two / three"
    position = saver.session_of(A)
    assert (position.session_id, position.message_id) == (session_id, rows(server, session_id)[-1])
    assert position.row_count == 6
    assert position.server == server.url
    assert saver.session_of(B) is None
    first = next(s for s in graph.get_state_history(A) if len(s.values["messages"]) == 2)
    if durability != "exit":
        assert saver.session_of(first.config).message_id == rows(server, session_id)[1]


async def test_a_thread_goes_on_in_one_session_async(server):
    model = ChatMix(server_url=server.url)

    async def call(state):
        return {"messages": [await model.ainvoke(state["messages"])]}

    async with MixSaver(server.url) as saver:
        builder = StateGraph(MessagesState).add_node("chat", call).add_edge(START, "chat")
        graph = builder.compile(checkpointer=saver)
        for text in ("one", "two"):
            state = await graph.ainvoke({"messages": [HumanMessage(text)]}, A)
        assert state["messages"][-1].text == "one / two"
        (session_id,) = sessions(server)
        assert (await saver.asession_of(A)).session_id == session_id
        tree = await saver.abranches("a")
        assert [node.is_branch for node in tree.nodes] == [False] * len(tree.nodes)
    await model.client.aclose()


def test_a_replay_is_a_branch_in_a_session_of_its_own(server, saver):
    graph = chat(server, saver)
    say(graph, "one")
    parent = session_of(say(graph, "two")[-1])
    before = rows(server, parent)
    older = next(s for s in graph.get_state_history(A) if s.next == ("chat",) and len(s.values["messages"]) == 3)
    child = session_of(graph.invoke(None, older.config)["messages"][-1])
    assert rows(server, parent) == before
    assert child != parent
    tree = saver.branches("a")
    (branch,) = [node for node in tree.nodes if node.is_branch]
    assert branch.parent_id == older.config["configurable"]["checkpoint_id"]
    assert {node.position.session_id for node in tree.heads} == {parent, child}
    assert tree.latest.position.session_id == child
    assert session_of(say(graph, "three")[-1]) == child
    assert rows(server, parent) == before
    assert f"session {child}" in str(saver.branches("a"))


def test_messages_and_edits_at_older_checkpoints_are_branches(server, saver):
    graph = chat(server, saver)
    say(graph, "one")
    older = graph.get_state(A)
    parent = session_of(say(graph, "two")[-1])
    before = rows(server, parent)
    other = say(graph, "other", older.config)
    assert "two" not in other[-1].text
    edited = graph.update_state(older.config, {"messages": [HumanMessage("by hand")]}, as_node="__start__")
    answered = graph.invoke(None, edited)["messages"]
    assert len({parent, session_of(other[-1]), session_of(answered[-1])}) == 3
    assert rows(server, parent) == before
    assert len([node for node in saver.branches("a").nodes if node.is_branch]) == 2
    without_ns = {"configurable": {"thread_id": "a", "checkpoint_id": older.config["configurable"]["checkpoint_id"]}}
    assert graph.update_state(without_ns, {"messages": [HumanMessage("x")]})["configurable"]["checkpoint_ns"] == ""


PROGRAM = """
import sys
from langchain_core.messages import HumanMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt
from langchain_mix import ChatMix, MixSaver

url, what, text = sys.argv[1:]
model = ChatMix(server_url=url)

def call(state):
    return {"messages": [model.invoke(state["messages"])]}

def ask(state):
    return {"messages": [HumanMessage("the answer was " + interrupt("go on?"))]}

builder = StateGraph(MessagesState).add_node("chat", call).add_node("ask", ask)
builder.add_edge(START, "chat").add_edge("chat", "ask")
with model.client, MixSaver(url) as saver:
    graph = builder.compile(checkpointer=saver)
    given = Command(resume=text) if what == "resume" else {"messages": [HumanMessage(text)]}
    print(graph.invoke(given, {"configurable": {"thread_id": "a"}})["messages"][-1].text)
"""


def in_a_new_process(server, what, text):
    done = subprocess.run(
        python(textwrap.dedent(PROGRAM), server.url, what, text),
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("ground", [("0.8", "mix")], indirect=True)
def test_an_interrupt_is_resumed_by_a_new_process(server):
    assert in_a_new_process(server, "say", "one") == "one"
    (session_id,) = sessions(server)
    before = rows(server, session_id)
    assert in_a_new_process(server, "resume", "yes") == "the answer was yes"
    assert rows(server, session_id) == before
    assert in_a_new_process(server, "say", "two") == "one / the answer was yes\n\ntwo"
    assert sessions(server) == {session_id: ["one", "the answer was yes\n\ntwo"]}


@pytest.mark.parametrize("own", [None, True], ids=["inherited", "own"])
def test_a_subgraph_keeps_its_session(server, saver, own):
    model = ChatMix(server_url=server.url)
    asked = []

    def call(state):
        reply = model.invoke(state["messages"])
        asked.append(interrupt("go on?"))
        return {"messages": [reply]}

    inner = StateGraph(MessagesState).add_node("chat", call).add_edge(START, "chat")
    builder = StateGraph(MessagesState).add_node("inner", inner.compile(checkpointer=own)).add_edge(START, "inner")
    graph = builder.compile(checkpointer=saver)
    for text in ("one", "two"):
        say(graph, text)
        state = graph.get_state(A, subgraphs=True)
        assert state.tasks[0].state.values["messages"][-1].text == text
        messages = graph.invoke(Command(resume="yes"), A)["messages"]
    assert asked == ["yes", "yes"]
    assert messages[-1].text == "one / two"
    assert list(sessions(server).values()) == [["one", "two"]]
    spaces = {one.config["configurable"]["checkpoint_ns"] for one in saver.list(A)}
    assert len(spaces) == (2 if own else 3)


def test_tasks_beside_each_other_and_loops(server, saver):
    model = ChatMix(server_url=server.url)

    def call(state):
        return {"messages": [model.invoke([HumanMessage(state["messages"][0].text)])]}

    builder = StateGraph(MessagesState)
    for name in "pqr":
        builder.add_node(name, call).add_edge(START, name)
    graph = builder.compile(checkpointer=saver)
    assert len(say(graph, "one")) == 4
    assert list(sessions(server).values()) == [["one"]] * 3
    assert graph.get_state(A).values["messages"] == say(chat(server, saver), "more")[:4]


def test_a_copy_and_its_source_never_write_into_one_session(server, saver):
    graph = chat(server, saver)
    say(graph, "one")
    messages = say(graph, "two")
    source = session_of(messages[-1])
    copied = saver.copy_thread("a", "b")
    assert copied.checkpoints == len(list(saver.list(A))) == len(list(saver.list(B)))
    assert sessions(server)[source] == ["one", "two"]
    copy = graph.get_state(B).values["messages"]
    assert [m.text for m in copy] == [m.text for m in messages]
    assert [m.id for m in copy] == [m.id for m in messages]
    ids = [[one.config["configurable"]["checkpoint_id"] for one in saver.list(config)] for config in (A, B)]
    assert ids[0] == ids[1]
    before = rows(server, source)
    answered = say(graph, "three", B)
    assert rows(server, source) == before
    fork = session_of(answered[-1])
    if forks(server):
        assert copied.sessions == {source: fork}
        assert sessions(server)[fork] == ["one", "two", "three"]
        assert len(sessions(server)) == 2
        assert saver.session_of(ids_config(saver, B, 2)).session_id == fork
    else:
        assert copied.sessions == {}
        assert copied.unforked == (source,)
        assert sessions(server)[fork][0].endswith("three")
        assert "> one" in sessions(server)[fork][0]
    assert session_of(say(graph, "four")[-1]) == source
    assert sessions(server)[source] == ["one", "two", "four"]


def ids_config(saver, config, count):
    """The newest checkpoint with so many messages."""
    return next(
        t.config for t in saver.list(config) if len(t.checkpoint["channel_values"].get("messages", ())) == count
    )


def test_a_copy_travels_in_time_like_its_source(server, saver):
    graph = chat(server, saver)
    for text in ("one", "two"):
        say(graph, text)
    saver.copy_thread("a", "b")
    older = ids_config(saver, B, 2)
    before = {s: rows(server, s) for s in sessions(server)}
    branch = say(graph, "other", older)
    assert "two" not in branch[-1].text
    assert {s: rows(server, s) for s in before} == before
    if forks(server):
        assert sessions(server)[session_of(branch[-1])] == ["one", "other"]


def test_a_copied_interrupt_can_be_resumed(server, saver):
    asked = []
    graph = chat(server, saver, after=lambda _: asked.append(interrupt("go on?")))
    say(graph, "one")
    saver.copy_thread("a", "b")
    assert graph.get_state(B).interrupts
    graph.invoke(Command(resume="there"), B)
    graph.invoke(Command(resume="here"), A)
    assert asked == ["there", "here"]
    assert session_of(graph.get_state(A).values["messages"][-1]) != session_of(
        graph.get_state(B).values["messages"][-1]
    )


def test_pruning_leaves_what_goes_on(server, saver):
    graph = chat(server, saver)
    for text in ("one", "two", "three"):
        say(graph, text)
    (session_id,) = sessions(server)
    plan = saver.prune(["a", "none"], dry_run=True)
    assert len(list(saver.list(A))) == 9
    removed = saver.prune(["a", "none"])
    assert removed == plan
    assert len(removed.checkpoints["a"]) == 8
    assert len(list(saver.list(A))) == 1
    assert say(graph, "four")[-1].text == "one / two / three / four"
    assert list(sessions(server)) == [session_id]
    saver.prune(["a"], keep_last=2)
    assert len(list(saver.list(A))) == 2
    assert saver.prune(["a"], strategy="delete").checkpoints
    assert list(saver.list(A)) == []
    assert list(sessions(server)) == [session_id]
