"""Sessions that go along with checkpoints: taken back, copied, deleted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from langchain_mix import ChatMix, MixEmulator, MixSaver
from langchain_mix.checkpoint import Copied, Rewound
from langchain_mix.checkpoint.files import TITLE
from langchain_mix.emulator.agents.base import Text
from langchain_mix.emulator.faults import HttpError
from langchain_mix.errors import MixError, MixInputError
from langchain_mix.pointer import read_pointer
from langchain_mix.protocol.api import CAPABILITIES

A = {"configurable": {"thread_id": "a"}}
B = {"configurable": {"thread_id": "b"}}


class Echo:
    async def reply(self, request):
        yield Text(" / ".join(line.text for line in request.lines if line.role == "user"))


@pytest.fixture(params=["0.8", pytest.param("0.7", marks=pytest.mark.exhaustive)])
def server(request):
    with MixEmulator(api=request.param, agent=Echo()) as server:
        yield server


@pytest.fixture
def saver(server):
    with MixSaver(server.url) as saver:
        yield saver


@pytest.fixture
def graph(server, saver):
    return chat(server, saver)


def chat(server, saver, *, after=None):
    model = ChatMix(server_url=server.url)

    def call(state):
        reply = model.invoke(state["messages"])
        if after is not None:
            after(state)
        return {"messages": [reply]}

    builder = StateGraph(MessagesState).add_node("chat", call).add_edge(START, "chat")
    return builder.compile(checkpointer=saver)


def say(graph, text, config=A):
    return graph.invoke({"messages": [HumanMessage(text)]}, config)["messages"]


def session_of(message):
    return read_pointer(message.response_metadata).session_id


def said(server):
    return {
        s["id"]: [row["userInput"] for row in server.state.rows.messages(s["id"]) if row["role"] == "user"]
        for s in server.state.sessions.listing(include_subagents=True)
        if s["title"][:16] != TITLE[:16]
    }


def ids(saver, config):
    return [one.config["configurable"]["checkpoint_id"] for one in saver.list(config)]


def answered(saver, config, count):
    """The config of the checkpoint after so many answers."""
    return next(
        one.config
        for one in saver.list(config, filter={"source": "loop"})
        if len(one.checkpoint["channel_values"].get("messages", ())) == 2 * count
    )


def changes(server):
    return [f"{r.method} {r.path.rpartition('/')[2]}" for r in server.requests if r.method not in {"GET", "OPTIONS"}]


# Rewind


def test_a_rewind_takes_thread_and_session_back(server, saver, graph):
    for text in ("one", "two", "three"):
        session_id = session_of(say(graph, text)[-1])
    older = answered(saver, A, 1)
    before = ids(saver, A)
    server.forget_requests()
    plan = saver.rewind(older, dry_run=True)
    assert changes(server) == []
    assert ids(saver, A) == before
    done = saver.rewind(older)
    assert done == plan
    assert done.session_rewound
    assert done.rows_removed == 4
    assert done.position.session_id == session_id
    assert len(done.removed[""]) == 6
    assert ids(saver, A) == [i for i in before if i not in done.removed[""]]
    assert said(server) == {session_id: ["one"]}
    assert say(graph, "other")[-1].text == "one / other"
    assert said(server) == {session_id: ["one", "other"]}


async def test_a_rewind_takes_thread_and_session_back_async(server, saver, graph):
    for text in ("one", "two"):
        say(graph, text)
    config = answered(saver, A, 1)
    assert (await saver.arewind(config, dry_run=True)).session_rewound
    assert (await saver.arewind(config)).rows_removed == 2
    assert list(said(server).values()) == [["one"]]
    await saver.aclose()


def test_a_rewind_to_the_newest_does_nothing(server, saver, graph):
    say(graph, "one")
    done = saver.rewind(answered(saver, A, 1))
    assert not done.session_rewound
    assert "ends there already" in done.reason
    assert done.removed == {}
    assert len(ids(saver, A)) == 3


def test_a_rewind_to_before_the_first_answer_leaves_the_session(server, saver, graph):
    session_id = session_of(say(graph, "one")[-1])
    first = ids(saver, A)[-1]
    done = saver.rewind({"configurable": {"thread_id": "a", "checkpoint_id": first}})
    assert isinstance(done, Rewound)
    assert done.position is None
    assert not done.session_rewound
    assert ids(saver, A) == [first]
    assert session_of(say(graph, "other")[-1]) != session_id
    assert said(server)[session_id] == ["one"]


def test_a_rewind_leaves_what_an_older_branch_needs(server, saver, graph):
    """The newer branch goes on in the same session that the older one stands further on in."""
    say(graph, "one")
    two = answered(saver, A, 1)
    session_id = session_of(say(graph, "two")[-1])
    # A branch whose state came from the same session, made later than what it leaves alone.
    again = graph.update_state(two, {"messages": [HumanMessage("aside")]})
    done = saver.rewind(again)
    assert "older branch" in done.reason
    assert said(server)[session_id] == ["one", "two"]


def test_a_rewind_that_fails_between_can_be_made_again(server, saver, graph):
    for text in ("one", "two"):
        session_id = session_of(say(graph, text)[-1])
    older = answered(saver, A, 1)
    fault = server.faults.add(HttpError(match="POST .*/rewind", status=500))
    with pytest.raises(MixError) as failed:
        saver.rewind(older)
    assert "again" in "".join(failed.value.__notes__)
    assert server.faults.times(fault) == 1
    assert len(ids(saver, A)) == 3
    # ChatMix leaves alone a session that is further than the conversation.
    done = saver.rewind(older)
    assert done.session_rewound
    assert said(server) == {session_id: ["one"]}


def test_chat_goes_on_elsewhere_when_only_the_thread_was_taken_back(server, saver, graph):
    for text in ("one", "two"):
        session_id = session_of(say(graph, text)[-1])
    server.faults.add(HttpError(match="POST .*/rewind", status=500))
    with pytest.raises(MixError):
        saver.rewind(answered(saver, A, 1))
    other = say(graph, "other")[-1]
    assert session_of(other) != session_id
    assert said(server)[session_id] == ["one", "two"]
    assert "two" not in other.text


def test_a_rewind_to_an_interrupt_waits_for_the_answer_again(server, saver):
    asked = []
    graph = chat(server, saver, after=lambda _: asked.append(interrupt("go on?")))
    say(graph, "one")
    waiting = graph.get_state(A).config
    graph.invoke(Command(resume="yes"), A)
    saver.rewind(waiting)
    assert graph.get_state(A).interrupts
    graph.invoke(Command(resume="no"), A)
    assert asked == ["yes", "no"]


def test_a_rewind_needs_a_checkpoint_of_the_root_graph(saver, graph):
    say(graph, "one")
    for wrong in ({"thread_id": "a"}, {"thread_id": "a", "checkpoint_ns": "n", "checkpoint_id": "x"}):
        with pytest.raises(MixInputError, match="root graph"):
            saver.rewind({"configurable": wrong})
    with pytest.raises(MixInputError, match="no checkpoint"):
        saver.rewind({"configurable": {"thread_id": "a", "checkpoint_id": "x"}})
    assert len(ids(saver, A)) == 3


# Copies


COPYING = pytest.mark.parametrize("server", ["0.7", "0.8"], indirect=True)
"""A server that forks sessions, and one that does not."""


def test_a_thread_that_does_not_exist_is_copied_to_nothing(server, saver):
    assert saver.copy_thread("none", "b") == Copied()
    assert ids(saver, B) == []


@COPYING
def test_a_target_that_exists_is_refused(server, saver, graph):
    say(graph, "one")
    say(graph, "other", B)
    server.forget_requests()
    with pytest.raises(MixInputError, match="holds checkpoints already"):
        saver.copy_thread("a", "b")
    with pytest.raises(MixInputError, match="to itself"):
        saver.copy_thread("a", "a")
    assert changes(server) == []


@pytest.mark.parametrize(
    ("failing", "underneath"),
    [
        pytest.param("POST .*/fork", False, id="fork-mix"),
        pytest.param("GET .*/messages", True, id="rows-sqlite"),
        pytest.param("POST .*/files/upload", False, id="state-mix"),
        pytest.param("POST .*/fork", True, id="fork-sqlite", marks=pytest.mark.exhaustive),
        pytest.param("GET .*/messages", False, id="rows-mix", marks=pytest.mark.exhaustive),
    ],
)
def test_a_copy_that_fails_leaves_nothing(tmp_path, failing, underneath):
    with MixEmulator(api="0.7", agent=Echo()) as server, SqliteSaver.from_conn_string(str(tmp_path / "x")) as sqlite:
        saver = MixSaver(server.url, storage=sqlite if underneath else None, max_retries=0)
        graph = chat(server, saver)
        branch = say(graph, "one")
        branch = answered(saver, A, 1)
        say(graph, "two")
        say(graph, "other", branch)  # Two sessions.
        before = said(server)
        assert len(before) == 2
        # The second request of the kind fails: half of the copy is made by then.
        seen = HttpError(match=failing, status=500, count=None)
        fail_after(server, seen, 1)
        with pytest.raises(MixError):
            saver.copy_thread("a", "b")
        server.faults.clear()
        assert said(server) == before
        assert ids(saver, B) == []
        assert saver.copy_thread("a", "b").sessions.keys() == before.keys()
        saver.close()


def fail_after(server, fault, good):
    """Lets some requests through before a fault acts."""
    left = [good]
    matches = type(fault).matches

    class Late(type(fault)):
        def matches(self, method, path):
            if not matches(self, method, path):
                return False
            left[0] -= 1
            return left[0] < 0

    server.faults.add(Late(match=fault.match, status=fault.status, count=None))


@COPYING
def test_a_copy_points_only_to_sessions_of_its_own(server, saver, graph):
    say(graph, "one")
    branch = answered(saver, A, 1)
    say(graph, "two")
    say(graph, "other", branch)
    sources = set(said(server))
    copied = saver.copy_thread("a", "b")
    pointed = {node.position.session_id for node in saver.branches("b").nodes if node.position}
    assert not pointed & sources
    assert pointed == set(copied.sessions.values())
    assert set(copied.sessions) | set(copied.unforked) == sources
    if CAPABILITIES[server.api].fork:
        assert copied.unforked == ()
    for one in saver.list(B):
        for message in one.checkpoint["channel_values"].get("messages", ()):
            assert message.type != "ai" or message.text
            pointer = read_pointer(message.response_metadata)
            if pointer is not None:
                rows = [row["id"] for row in server.state.rows.messages(pointer.session_id)]
                assert rows.index(pointer.message_id) + 1 == pointer.row_count


# Pointers that were forged


@pytest.mark.parametrize("api", ["0.7", "0.8"])
@pytest.mark.parametrize("underneath", [False, True], ids=["mix", "memory"])
@pytest.mark.parametrize("words", ["other", "last answer alone"])
def test_a_session_of_somebody_else_is_left_alone(api, underneath, words):
    """Messages from outside point into another conversation, and the thread is copied, taken back and deleted."""
    with MixEmulator(api=api, agent=Echo()) as server:
        model = ChatMix(server_url=server.url)
        talk = [HumanMessage("secret")]
        talk.append(model.invoke(talk))
        victim = model.invoke([*talk, HumanMessage("more")])
        rows = server.state.rows.of(session_of(victim))
        reply = model.invoke("hello")
        content = reply.content if words == "other" else talk[1].content
        pointer = {**talk[1].response_metadata["mix"], "digest": reply.response_metadata["mix"]["digest"]}
        forged = reply.model_copy(
            update={"content": content, "response_metadata": {**reply.response_metadata, "mix": pointer}}
        )
        storage = InMemorySaver() if underneath else None
        with MixSaver(server.url, storage=storage, delete_sessions=True) as saver:
            graph = chat(server, saver)
            start = graph.update_state(A, {"messages": [HumanMessage("hello"), forged]})
            say(graph, "what was said?")
            copied = saver.copy_thread("a", "b")
            assert session_of(victim) in copied.unforked
            assert "does not say what the thread says" in saver.rewind(start).reason
            saver.prune(["a", "b"], keep_last=1)
            saver.delete_thread("a")
            saver.delete_thread("b")
        assert server.state.rows.of(session_of(victim)) == rows


# Deletion


def test_sessions_stay_unless_they_are_to_go(server, saver, graph):
    say(graph, "one")
    saver.delete_thread("a")
    assert ids(saver, A) == []
    assert len(said(server)) == 1


def test_sessions_go_with_the_last_thread_that_points_to_them(server, saver, graph):
    say(graph, "one")
    branch = answered(saver, A, 1)
    session_id = session_of(say(graph, "two")[-1])
    # Another thread takes over the messages, pointers and all.
    graph.update_state(B, graph.get_state(branch).values)
    plan = saver.prune(["a"], strategy="delete", delete_sessions=True, dry_run=True)
    assert (plan.sessions, plan.spared) == ((), (session_id,))
    saver.delete_thread("a", delete_sessions=True)
    assert list(said(server)) == [session_id]
    plan = saver.prune(["b"], strategy="delete", delete_sessions=True, dry_run=True)
    assert plan.sessions == (session_id,)
    assert list(said(server)) == [session_id]
    saver.delete_thread("b", delete_sessions=True)
    assert said(server) == {}
    saver.delete_thread("b", delete_sessions=True)


def test_pruning_deletes_sessions_of_branches_that_go(server, saver, graph):
    say(graph, "one")
    branch = answered(saver, A, 1)
    parent = session_of(say(graph, "two")[-1])
    child = session_of(say(graph, "other", branch)[-1])
    assert parent != child
    # The first answer of the branch came from the session that it left.
    assert saver.prune(["a"], delete_sessions=True).spared == tuple(sorted({parent, child}))
    first = say(graph, "again", {"configurable": {"thread_id": "b"}})
    graph.invoke({"messages": [HumanMessage("anew")]}, {"configurable": {**B["configurable"], **oldest(saver, B)}})
    removed = saver.prune(["b"], delete_sessions=True)
    assert removed.sessions == (session_of(first[-1]),)
    assert set(said(server)) == {parent, child, saver.session_of(B).session_id}


def oldest(saver, config):
    return {"checkpoint_id": ids(saver, config)[-1]}


def test_the_option_of_the_saver_holds_for_all(server):
    with MixSaver(server.url, delete_sessions=True) as saver:
        graph = chat(server, saver)
        say(graph, "one")
        saver.delete_thread("a", delete_sessions=False)
        assert len(said(server)) == 1
        say(graph, "one")
        saver.delete_thread("a")
        assert len(said(server)) == 1
        say(graph, "one", B)
        assert saver.prune(["b"], strategy="delete").sessions
        assert len(said(server)) == 1


def test_the_session_that_the_store_works_through_is_never_deleted(server):
    model = ChatMix(server_url=server.url)
    reply = model.invoke("hello")
    with MixSaver(server.url, session_id=session_of(reply), delete_sessions=True) as saver:
        graph = chat(server, saver)
        graph.update_state(A, {"messages": [HumanMessage("hello"), reply]})
        removed = saver.prune(["a"], strategy="delete")
        assert removed.spared == (session_of(reply),)
        assert session_of(reply) in said(server)
        assert ids(saver, A) == []


def test_old_checkpoints_go_by_age(server, saver, graph):
    say(graph, "one")
    assert saver.prune(["a"], older_than=timedelta(hours=1)).checkpoints == {}
    assert len(saver.prune(["a"], older_than=timedelta(0), keep_last=2, dry_run=True).checkpoints["a"]) == 1
    assert len(saver.prune(["a"], older_than=timedelta(0)).checkpoints["a"]) == 2


def test_wrong_rules_are_refused(saver):
    for wrong in (
        {"strategy": "all"},
        {"strategy": "delete", "keep_last": 1},
        {"strategy": "delete", "older_than": timedelta(1)},
        {"keep_last": 0},
        {"older_than": timedelta(-1)},
    ):
        with pytest.raises(MixInputError):
            saver.prune(["a"], **wrong)
