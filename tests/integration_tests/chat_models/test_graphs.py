"""ChatMix in LangGraph graphs: after every way through a graph, what the server's sessions hold."""

from __future__ import annotations

import subprocess
import textwrap

import pytest
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, RetryPolicy, interrupt

from langchain_mix import ChatMix, MixEmulator
from langchain_mix.chat_models.process_state import SESSION_CLAIMS
from langchain_mix.emulator.agents.base import Text
from langchain_mix.pointer import read_pointer
from langchain_mix.protocol.api import CAPABILITIES
from tests.new_process import python

APIS = ["0.6", "0.8", pytest.param("0.7", marks=pytest.mark.exhaustive)]
"""By default one that cannot fork and one that can."""
A = {"configurable": {"thread_id": "a"}}


class Echo:
    """Answers with all that the user said in the session: an answer shows which history it answers."""

    async def reply(self, request):
        yield Text(" / ".join(line.text for line in request.lines if line.role == "user"))


@pytest.fixture(params=APIS)
def server(request):
    with MixEmulator(api=request.param, agent=Echo()) as server:
        yield server
    assert not SESSION_CLAIMS._claims


@pytest.fixture
def saver(server, tmp_path):
    """On one generation the state goes to a disk and back."""
    if str(server.api) == "0.8":
        with SqliteSaver.from_conn_string(str(tmp_path / "graph.sqlite")) as saver:
            yield saver
    else:
        yield InMemorySaver()


def session_of(message):
    return read_pointer(message.response_metadata).session_id


def sessions(server):
    """Returns what the user said in each session, by its rows."""
    return {
        s["id"]: [row["userInput"] for row in server.state.rows.messages(s["id"]) if row["role"] == "user"]
        for s in server.state.sessions.listing(include_subagents=True)
    }


def sent(server):
    """Returns the number of messages that were sent."""
    return sum(r.method == "POST" and r.path.endswith(("/messages", "/message")) for r in server.requests)


def forks(server):
    return CAPABILITIES[server.api].fork


def chat(model, saver, *, after=None, **node):
    """A graph of one node that calls the model and then does something else."""

    def call(state):
        reply = model.invoke(state["messages"])
        if after is not None:
            after(state)
        return {"messages": [reply]}

    builder = StateGraph(MessagesState)
    builder.add_node("chat", call, **node)
    builder.add_edge(START, "chat")
    return builder.compile(checkpointer=saver)


def say(graph, text, config=A):
    return graph.invoke({"messages": [HumanMessage(text)]}, config)["messages"]


def test_turns_of_a_thread_go_on_in_one_session(server, saver):
    graph = chat(ChatMix(server_url=server.url), saver)
    for text in ("one", "two", "three"):
        messages = say(graph, text)
    assert list(sessions(server).values()) == [["one", "two", "three"]]
    assert messages[-1].text == "one / two / three"
    say(graph, "other", {"configurable": {"thread_id": "b"}})
    assert sorted(sessions(server).values()) == [["one", "two", "three"], ["other"]]


async def test_turns_of_a_thread_go_on_in_one_session_async(server, tmp_path):
    model = ChatMix(server_url=server.url)

    async def call(state):
        return {"messages": [await model.ainvoke(state["messages"])]}

    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "graph.sqlite")) as saver:
        builder = StateGraph(MessagesState).add_node("chat", call).add_edge(START, "chat")
        graph = builder.compile(checkpointer=saver)
        for text in ("one", "two"):
            state = await graph.ainvoke({"messages": [HumanMessage(text)]}, A)
    assert list(sessions(server).values()) == [["one", "two"]]
    assert state["messages"][-1].text == "one / two"


class Once:
    """Fails the first times."""

    def __init__(self, times=1):
        self.left = times

    def __call__(self, _):
        if self.left:
            self.left -= 1
            raise ConnectionError("the node's own failure")


RETRIES = RetryPolicy(max_attempts=3, initial_interval=0.01, jitter=False)


def test_a_retried_node_sends_nothing_again(server, saver):
    model = ChatMix(server_url=server.url)
    first, second = Once(2), Once(1)
    graph = chat(
        model,
        saver,
        after=lambda state: (first if len(state["messages"]) == 1 else second)(state),
        retry_policy=RETRIES,
    )
    say(graph, "one")
    messages = say(graph, "two")
    assert sent(server) == 2
    assert list(sessions(server).values()) == [["one", "two"]]
    assert messages[-1].text == "one / two"
    assert not first.left
    assert not second.left


async def test_a_retried_async_node_sends_nothing_again(server):
    model, once = ChatMix(server_url=server.url), Once()

    async def call(state):
        whole = None
        async for chunk in model.astream(state["messages"]):
            whole = chunk if whole is None else whole + chunk
        once(state)
        return {"messages": [whole]}

    builder = StateGraph(MessagesState).add_node("chat", call, retry_policy=RETRIES).add_edge(START, "chat")
    state = await builder.compile(checkpointer=InMemorySaver()).ainvoke({"messages": [HumanMessage("one")]}, A)
    assert sent(server) == 1
    assert state["messages"][-1].text == "one"


def test_a_node_that_asks_twice_gets_two_replies_again(server):
    """The same question twice in one node is two questions, also when the node runs again."""
    model, once, seen = ChatMix(server_url=server.url), Once(), []

    def call(state):
        replies = [model.invoke(state["messages"]), model.invoke(state["messages"])]
        seen.append([session_of(r) for r in replies])
        once(state)
        return {"messages": replies[-1:]}

    builder = StateGraph(MessagesState).add_node("chat", call, retry_policy=RETRIES).add_edge(START, "chat")
    builder.compile(checkpointer=InMemorySaver()).invoke({"messages": [HumanMessage("one")]}, A)
    assert sent(server) == 2
    assert seen[0] == seen[1]
    assert seen[0][0] != seen[0][1]


def test_a_graph_without_checkpointer_retries_too(server):
    model, once = ChatMix(server_url=server.url), Once()
    graph = chat(model, None, after=once, retry_policy=RETRIES)
    graph.invoke({"messages": [HumanMessage("one")]})
    assert sent(server) == 1
    graph.invoke({"messages": [HumanMessage("one")]})
    assert sent(server) == 2


def test_an_interrupt_after_the_call_sends_nothing_again(server, saver):
    answers = []
    graph = chat(ChatMix(server_url=server.url), saver, after=lambda _: answers.append(interrupt("go on?")))
    say(graph, "one")
    graph.invoke(Command(resume="yes"), A)
    say(graph, "two")
    messages = graph.invoke(Command(resume="yes too"), A)["messages"]
    assert answers == ["yes", "yes too"]
    assert sent(server) == 2
    assert list(sessions(server).values()) == [["one", "two"]]
    assert messages[-1].text == "one / two"


PROGRAM = """
import sys
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt
from langchain_mix import ChatMix

url, path, what, text = sys.argv[1:]
with ChatMix(server_url=url).client as client, SqliteSaver.from_conn_string(path) as saver:
    model = ChatMix(server_url=url)

    def call(state):
        reply = model.invoke(state["messages"])
        interrupt("go on?")
        return {"messages": [reply]}

    graph = StateGraph(MessagesState).add_node("chat", call).add_edge(START, "chat").compile(checkpointer=saver)
    given = Command(resume=text) if what == "resume" else {"messages": [HumanMessage(text)]}
    print(graph.invoke(given, {"configurable": {"thread_id": "a"}})["messages"][-1].text)
    model.client.close()
"""


def in_a_new_process(server, tmp_path, what, text):
    done = subprocess.run(
        python(textwrap.dedent(PROGRAM), server.url, str(tmp_path / "graph.sqlite"), what, text),
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    "server", ["0.8", *(pytest.param(api, marks=pytest.mark.exhaustive) for api in ("0.6", "0.7"))], indirect=True
)
def test_an_interrupt_that_a_new_process_resumes_leaves_the_first_sessions_alone(server, tmp_path):
    """The new process cannot know the reply that was never stored; it asks again, but never in the same session."""
    in_a_new_process(server, tmp_path, "say", "one")
    assert in_a_new_process(server, tmp_path, "resume", "yes") == "one"
    assert list(sessions(server).values()) == [["one"], ["one"]]
    in_a_new_process(server, tmp_path, "say", "two")
    before = sessions(server)
    answer = in_a_new_process(server, tmp_path, "resume", "yes")
    assert answer.endswith("two")
    after = sessions(server)
    assert {s: after[s] for s in before} == before
    (new,) = set(after) - set(before)
    if forks(server):
        assert after[new] == ["one", "two"]
    else:
        assert "> one" in after[new][0]
        assert after[new][0].endswith("two")


def test_a_replay_from_an_older_checkpoint_is_asked_anew(server, saver):
    graph = chat(ChatMix(server_url=server.url), saver)
    say(graph, "one")
    messages = say(graph, "two")
    parent = session_of(messages[-1])
    before = sessions(server)[parent]
    older = next(s for s in graph.get_state_history(A) if s.next == ("chat",) and len(s.values["messages"]) == 3)
    again = graph.invoke(None, older.config)["messages"]
    assert sessions(server)[parent] == before
    child = session_of(again[-1])
    assert child != parent
    assert sent(server) == 3
    if forks(server):
        assert sessions(server)[child] == ["one", "two"]
    # The branch goes on in the child.
    assert session_of(say(graph, "three")[-1]) == child


def test_a_new_message_at_an_older_checkpoint_is_a_branch(server, saver):
    graph = chat(ChatMix(server_url=server.url), saver)
    say(graph, "one")
    older = graph.get_state(A)
    parent = session_of(say(graph, "two")[-1])
    branch = graph.invoke({"messages": [HumanMessage("other")]}, older.config)["messages"]
    child = session_of(branch[-1])
    assert child != parent
    assert sessions(server)[parent] == ["one", "two"]
    assert branch[-1].text.endswith("other")
    assert "two" not in branch[-1].text
    third = graph.invoke({"messages": [HumanMessage("third")]}, older.config)["messages"]
    assert session_of(third[-1]) not in {parent, child}


def test_edits_of_the_state_are_answered_elsewhere(server, saver):
    graph = chat(ChatMix(server_url=server.url), saver)
    say(graph, "one")
    messages = say(graph, "two")
    parent = session_of(messages[-1])
    graph.update_state(A, {"messages": [HumanMessage("TWO", id=messages[2].id)]})
    edited = say(graph, "three")
    child = session_of(edited[-1])
    assert child != parent
    assert sessions(server)[parent] == ["one", "two"]
    everything = "\n".join(sessions(server)[child])
    assert "TWO" in everything
    assert "[User]\n> two" not in everything
    graph.update_state(A, {"messages": [RemoveMessage(id=m.id) for m in edited[:4]]})
    removed = say(graph, "four")
    assert session_of(removed[-1]) not in {parent, child}
    assert "[User]\n> TWO" not in sessions(server)[session_of(removed[-1])][0]
    graph.update_state(A, {"messages": [AIMessage("By hand.")]}, as_node="chat")
    last = say(graph, "five")
    assert sum("By hand." in text for text in sessions(server)[session_of(last[-1])]) == 1


@pytest.mark.parametrize("own", [None, True], ids=["inherited", "own"])
def test_a_subgraph_keeps_its_session(server, saver, own):
    model, once = ChatMix(server_url=server.url), Once()
    inner = StateGraph(MessagesState)
    inner.add_node("chat", lambda state: {"messages": [model.invoke(state["messages"])]})
    inner.add_edge(START, "chat")
    builder = StateGraph(MessagesState).add_node("inner", inner.compile(checkpointer=own))
    builder.add_node("after", once, retry_policy=RETRIES)
    builder.add_edge(START, "inner").add_edge("inner", "after")
    graph = builder.compile(checkpointer=saver)
    say(graph, "one")
    messages = say(graph, "two")
    assert sent(server) == 2
    assert list(sessions(server).values()) == [["one", "two"]]
    assert messages[-1].text == "one / two"


def test_a_subgraph_in_a_node_that_is_retried_never_spoils_a_session(server):
    model, once = ChatMix(server_url=server.url), Once()
    inner = StateGraph(MessagesState)
    inner.add_node("chat", lambda state: {"messages": [model.invoke(state["messages"])]})
    inner.add_edge(START, "chat")
    compiled = inner.compile()

    def call(state):
        reply = compiled.invoke(state)["messages"][-1]
        if len(state["messages"]) > 1:
            once(state)
        return {"messages": [reply]}

    builder = StateGraph(MessagesState).add_node("outer", call, retry_policy=RETRIES).add_edge(START, "outer")
    graph = builder.compile(checkpointer=InMemorySaver())
    say(graph, "one")
    messages = say(graph, "two")
    assert messages[-1].text.endswith("two")
    # LangGraph runs the inner graph again as another one; its call is another session's, not the same one's again.
    for texts in sessions(server).values():
        assert sum("two" in text for text in texts) <= 1
    assert sent(server) == 3


def test_parallel_nodes_are_answered_each(server, saver):
    model = ChatMix(server_url=server.url)
    builder = StateGraph(MessagesState)
    for name in ("left", "right"):
        builder.add_node(name, lambda state: {"messages": [model.invoke(state["messages"])]})
        builder.add_edge(START, name)
    graph = builder.compile(checkpointer=saver)
    say(graph, "one")
    messages = say(graph, "two")
    assert len(messages) == 6
    for message in messages[-2:]:
        assert message.text.endswith("two")
        assert read_pointer(message.response_metadata).digest
    left, right = (session_of(m) for m in messages[-2:])
    assert left != right
    for texts in sessions(server).values():
        assert sum(text.endswith("two") for text in texts) <= 1
    assert sent(server) == 4


def test_every_stream_mode_goes_on_in_one_session(server):
    graph = chat(ChatMix(server_url=server.url), InMemorySaver())
    for mode in ("values", "updates", "messages", "custom", "debug", ["messages", "updates"]):
        before, thread = sessions(server), {"configurable": {"thread_id": str(mode)}}
        for text in ("one", "two"):
            parts = list(graph.stream({"messages": [HumanMessage(text)]}, thread, stream_mode=mode))
        assert [texts for session, texts in sessions(server).items() if session not in before] == [["one", "two"]], mode
        if mode == "messages":
            assert "".join(message.text for message, _ in parts) == "one / two"
            assert len({message.id for message, _ in parts}) == 1


def test_every_durability_goes_on_in_one_session(server, saver):
    graph = chat(ChatMix(server_url=server.url), saver)
    for durability in ("sync", "async", "exit"):
        before, thread = sessions(server), {"configurable": {"thread_id": durability}}
        for text in ("one", "two"):
            graph.invoke({"messages": [HumanMessage(text)]}, thread, durability=durability)
        assert [texts for session, texts in sessions(server).items() if session not in before] == [["one", "two"]]


def test_a_loop_in_a_graph_goes_on_in_one_session(server):
    model = ChatMix(server_url=server.url)

    def call(state):
        return {"messages": [model.invoke(state["messages"])]}

    def ask(state):
        return {"messages": [HumanMessage(f"more {len(state['messages'])}")]}

    builder = StateGraph(MessagesState).add_node("chat", call).add_node("ask", ask).add_edge(START, "chat")
    builder.add_conditional_edges("chat", lambda state: "ask" if len(state["messages"]) < 6 else END)
    builder.add_edge("ask", "chat")
    say(builder.compile(), "one", None)
    assert list(sessions(server).values()) == [["one", "more 2", "more 4"]]


def test_the_session_of_the_configuration_is_used_in_a_node(server):
    model = ChatMix(server_url=server.url)
    session = session_of(model.invoke("zero"))
    graph = chat(model, InMemorySaver())
    config = {"configurable": {"thread_id": "a", "mix_session_id": session}}
    say(graph, "one", config)
    say(graph, "two", config)
    assert sessions(server) == {session: ["zero", "one", "two"]}
    say(chat(ChatMix(server_url=server.url, session_per_thread=True), InMemorySaver()), "x", A)
    assert len(sessions(server)) == 2
