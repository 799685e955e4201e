"""Permissions through ChatMix: every policy, and graphs that pause until somebody has decided."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from pathlib import PurePath

import pytest
from langchain_core.exceptions import ModelInvalidRequestError
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.errors import GraphInterrupt, is_invalid_resume
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from langchain_mix import ChatMix, MixEmulator, MixPermissionWarning
from langchain_mix.chat_models.process_state import SESSION_CLAIMS, SESSION_HEADS
from langchain_mix.emulator import CloseConnection, Gate, HttpError, Script, say, turn, use
from langchain_mix.emulator.agents.base import Text, Wait
from langchain_mix.errors import MixInputError, MixResumeError
from langchain_mix.pointer import read_pointer
from langchain_mix.protocol.api import ALL
from langchain_mix.protocol.permissions import ANSWER_SCHEMA, PERMISSION_SCHEMA
from tests.in_turn import in_turn
from tests.new_process import python

APIS = [str(v) for v in ALL]
GRAPH_APIS = ["0.6", "0.7", "0.8"]
NEWER = ["0.8", pytest.param("0.7", marks=pytest.mark.exhaustive)]
A = {"configurable": {"thread_id": "a"}}
NEVER = 3600.0
"""Seconds after which the emulator denies by itself: far longer than a test may take."""
APPROVE = {"decisions": [{"type": "approve"}]}
REJECT = {"decisions": [{"type": "reject"}]}


def write(name, *, ask=True):
    return use("Write", {"file_path": name, "content": "x"}, result=f"wrote {name}", ask=ask)


def writing(*names):
    """A turn that writes files, one after another, and then says so."""
    return turn(*[[write(name)] for name in names], say("Done."))


def serve(api, *turns, **options):
    return MixEmulator(api=api, agent=Script(*turns, **options), permission_timeout=NEVER)


def statuses(message):
    return [b["status"] for b in message.content_blocks if b["type"] == "server_tool_result"]


def answers(server):
    """The answers that the server got to its requests, in order."""
    return [r.path.rsplit("/", 1)[1] for r in server.requests if r.path.startswith("/api/permissions/")]


def sessions(server):
    return {
        s["id"]: [row["userInput"] for row in server.state.rows.messages(s["id"]) if row["role"] == "user"]
        for s in server.state.sessions.listing(include_subagents=True)
    }


# Policies


POLICIES = [
    ("allow", True),
    ("deny", False),
    (["Write"], True),
    (["write"], True),
    ({"Write(*.md)"}, True),
    (("Write(*/a.md)",), True),
    (["Write(*.txt)"], False),
    (["Bash"], False),
    ([], False),
    (lambda r: True, True),
    (lambda r: r.tool_name.lower() == "write", True),
    (lambda r: False, False),
    (lambda r: "yes", False),
    (lambda r: 1, False),
    (lambda r: object(), False),
]


def test_nothing_runs_unless_it_is_allowed():
    with serve("0.8", writing("a.md"), loop=True) as server:
        with pytest.warns(MixPermissionWarning):
            assert statuses(ChatMix(server_url=server.url).invoke("Go")) == ["error"]
        assert answers(server) == ["deny"]
        for policy, granted in POLICIES:
            server.forget_requests()
            reply = ChatMix(server_url=server.url, permissions=policy).invoke("Go")
            assert statuses(reply) == ["success" if granted else "error"], policy
            assert answers(server) == ["grant" if granted else "deny"], policy


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("policy", ["allow", "deny"])
async def test_policies_on_every_generation(api, policy):
    with serve(api, writing("a.md")) as server:
        model = ChatMix(server_url=server.url, permissions=policy)
        assert statuses(await model.ainvoke("Go")) == ["success" if policy == "allow" else "error"]


async def test_an_async_policy():
    async def decide(request):
        return request.params["file_path"].endswith("/a.md")

    with serve("0.8", writing("a.md", "b.md")) as server:
        reply = await ChatMix(server_url=server.url, permissions=decide).ainvoke("Go")
        assert answers(server) == ["grant", "deny"]
        assert len(statuses(reply)) == 1 or statuses(reply)[0] == "success"
    with serve("0.8", writing("a.md")) as server:
        with pytest.raises(MixInputError, match="async"):
            ChatMix(server_url=server.url, permissions=decide).invoke("Go")
        assert answers(server) == ["deny"]


@pytest.mark.parametrize("shell", ["invoke", "ainvoke"])
async def test_a_verdict_that_is_not_understood_denies_and_is_reported_once(caplog, shell):
    with serve("0.8", writing("a.md", "b.md"), writing("c.md")) as server:
        model = ChatMix(server_url=server.url, permissions=lambda request: "perhaps")
        for text in ("Go", "Go on"):
            reply = model.invoke(text) if shell == "invoke" else await model.ainvoke(text)
            assert reply.text.endswith("Done.")
        assert answers(server) == ["deny"] * 4  # Two sessions.
    warned = [r.getMessage() for r in caplog.records if r.levelname == "WARNING" and "policy" in r.getMessage()]
    assert warned == ["The permission policy returned 'perhaps', which denies: a verdict is True, False or None."]


@pytest.mark.parametrize("verdict", [True, False])
def test_a_verdict_that_is_understood_is_not_reported(caplog, verdict):
    with serve("0.8", writing("a.md")) as server:
        ChatMix(server_url=server.url, permissions=lambda request: verdict).invoke("Go")
        assert answers(server) == ["grant" if verdict else "deny"]
    assert "policy" not in caplog.text


def test_a_policy_that_raises_denies_and_ends_the_turn():
    def decide(_):
        raise LookupError("my own failure")

    with serve("0.8", writing("a.md")) as server:
        with pytest.raises(LookupError, match="my own failure"):
            ChatMix(server_url=server.url, permissions=decide).invoke("Go")
        assert answers(server) == ["deny"]
        server.wait_idle()
    assert not SESSION_CLAIMS._claims


def test_a_request_that_is_ignored_waits_for_someone_else():
    from langchain_mix.client import Mix

    with serve("0.8", writing("a.md")) as server, Mix(server_url=server.url) as other:
        asked = []

        def elsewhere(request):
            asked.append(request.id)
            other.permissions.grant(id=request.id)

        reply = ChatMix(server_url=server.url, permissions=elsewhere).invoke("Go")  # It answers None.
        assert statuses(reply) == ["success"]
        assert answers(server) == ["grant"]


def test_what_is_no_policy_is_refused_before_anything_is_sent():
    with serve("0.8", writing("a.md")) as server:
        for policy in ("Write", "ALLOW", {"Write": False}, None, True, 7, ["Write", 7], [lambda r: True]):
            with pytest.raises(MixInputError, match="no policy"):
                ChatMix(server_url=server.url, permissions=policy).invoke("Go")
            with pytest.raises(MixInputError, match="no policy"):
                ChatMix(server_url=server.url, on_notification=policy or 1).invoke("Go")
        assert not server.requests


@pytest.mark.parametrize("options", [{"permissions": "interrupt"}, {"on_notification": "interrupt"}])
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_pause_needs_a_graph(options, way):
    with serve("0.8", writing("a.md")) as server:
        with pytest.raises(MixInputError, match="LangGraph"):
            list(getattr(ChatMix(server_url=server.url, **options), way)("Go"))
        assert not server.requests


# Pauses


def graph_of(model, saver, node=None):
    def call(state):
        return {"messages": [model.invoke(state["messages"])]}

    return StateGraph(MessagesState).add_node("chat", node or call).add_edge(START, "chat").compile(checkpointer=saver)


def start(graph, text="Go", config=A):
    return graph.invoke({"messages": [HumanMessage(text)]}, config)


def request_of(state):
    """Returns the request of a pause."""
    (pause,) = state["__interrupt__"]
    return pause.value["action_requests"]


def files(state):
    return [PurePath(r["args"]["file_path"]).name for r in request_of(state)]


@pytest.mark.parametrize("scenario", in_turn(GRAPH_APIS, ["success", "error"]))
def test_a_graph_pauses_and_goes_on(scenario):
    api, status = scenario
    decision = APPROVE if status == "success" else REJECT
    with serve(api, writing("a.md")) as server:
        graph = graph_of(ChatMix(server_url=server.url, permissions="interrupt"), InMemorySaver())
        state = start(graph)
        assert files(state) == ["a.md"]
        assert state["__interrupt__"][0].value["review_configs"][0]["allowed_decisions"] == ["approve", "reject"]
        assert answers(server) == ["deny"]
        server.wait_idle()
        assert sessions(server) == {}
        reply = graph.invoke(Command(resume=decision), A)["messages"][-1]
        assert statuses(reply) == [status]
        assert list(sessions(server).values()) == [["Go"]]
        assert answers(server) == ["deny", "grant" if decision is APPROVE else "deny"]
    assert not SESSION_CLAIMS._claims


@pytest.mark.parametrize("api", GRAPH_APIS)
async def test_an_async_graph_pauses_and_goes_on(api):
    with serve(api, writing("a.md")) as server:
        model = ChatMix(server_url=server.url, permissions="interrupt")

        async def call(state):
            whole = None
            async for chunk in model.astream(state["messages"]):
                whole = chunk if whole is None else whole + chunk
            return {"messages": [whole]}

        graph = graph_of(model, InMemorySaver(), call)
        assert files(await graph.ainvoke({"messages": [HumanMessage("Go")]}, A)) == ["a.md"]
        assert sessions(server) == {}
        state = await graph.ainvoke(Command(resume=APPROVE), A)
        assert statuses(state["messages"][-1]) == ["success"]


@pytest.mark.parametrize("api", GRAPH_APIS)
def test_a_pause_in_a_conversation_leaves_no_trace(api):
    with serve(api, "first", writing("a.md"), "third") as server:
        graph = graph_of(ChatMix(server_url=server.url, permissions="interrupt"), InMemorySaver())
        start(graph, "one")
        ((session, _),) = sessions(server).items()
        rows = [row.id for row in server.state.rows.of(session)]
        assert files(start(graph, "two")) == ["a.md"]
        assert [row.id for row in server.state.rows.of(session)] == rows
        reply = graph.invoke(Command(resume=APPROVE), A)["messages"][-1]
        assert statuses(reply) == ["success"]
        start(graph, "three")
        assert sessions(server) == {session: ["one", "two", "three"]}


# Every form is read in tests/unit_tests/protocol/test_permissions.py; here are one of each kind and what becomes of them.
WRONG = ["yes please", {"approved": True}, [], 1, {"decisions": [{"type": "approve"}] * 2}, {"type": "edit"}]


@pytest.fixture(params=["checked by LangGraph", "checked here"])
def either_langgraph(request, monkeypatch):
    """LangGraph with and without `interrupt(response_schema=...)`."""
    if request.param == "checked here":
        monkeypatch.setattr("langgraph.types.interrupt", lambda value: interrupt(value))  # noqa: PLW0108  # One parameter.


@pytest.mark.usefixtures("either_langgraph")
@pytest.mark.parametrize("right", ["yes", False])
def test_what_is_no_decision_runs_nothing_and_leaves_the_pause(right):
    with serve("0.8", writing("a.md", "b.md")) as server:
        graph = graph_of(ChatMix(server_url=server.url, permissions="interrupt"), InMemorySaver())
        start(graph)
        server.forget_requests()
        for wrong in WRONG:
            with pytest.raises(MixResumeError, match="still paused") as caught:
                graph.invoke(Command(resume=wrong), A)
            assert isinstance(caught.value, ModelInvalidRequestError)
            assert graph.get_state(A).interrupts
        assert not server.requests
        state = graph.invoke(Command(resume=right), A)
        approved = right == "yes"
        assert answers(server)[0] == ("grant" if approved else "deny")
        if approved:  # The wrong values are no answers to the next request.
            assert files(state) == ["b.md"]
            reply = graph.invoke(Command(resume={"decisions": [{"type": "reject"}]}), A)["messages"][-1]
            assert statuses(reply) == ["success", "error"]


async def test_what_is_no_decision_leaves_the_pause_of_an_async_graph():
    with serve("0.8", writing("a.md")) as server:
        model = ChatMix(server_url=server.url, permissions="interrupt")

        async def call(state):
            return {"messages": [await model.ainvoke(state["messages"])]}

        graph = graph_of(model, InMemorySaver(), call)
        await graph.ainvoke({"messages": [HumanMessage("Go")]}, A)
        server.forget_requests()
        with pytest.raises(MixResumeError) as caught:
            await graph.ainvoke(Command(resume="maybe"), A)
        assert is_invalid_resume(caught.value), "LangGraph's ToolNode and runner know it"
        assert not server.requests
        assert statuses((await graph.ainvoke(Command(resume="Approve"), A))["messages"][-1]) == ["success"]


def test_a_pause_says_with_which_values_it_may_be_resumed():
    with serve("0.8", writing("a.md"), turn([notify()], say("Done."))) as server:
        model = ChatMix(server_url=server.url, permissions="interrupt", on_notification="interrupt")
        graph = graph_of(model, InMemorySaver())
        assert start(graph)["__interrupt__"][0].response_schema == PERMISSION_SCHEMA
        assert graph.invoke(None, A)["__interrupt__"][0].response_schema == PERMISSION_SCHEMA
        graph.invoke(Command(resume=True), A)
        assert start(graph)["__interrupt__"][0].response_schema == ANSWER_SCHEMA


def test_a_choice_that_is_none_leaves_the_pause():
    with serve("0.8", turn([notify("choice", choices=["Red", "Blue"])], say("Done."))) as server:
        graph = graph_of(ChatMix(server_url=server.url, on_notification="interrupt"), InMemorySaver())
        start(graph)
        with pytest.raises(MixResumeError, match=r"'Red', 'Blue'"):
            graph.invoke(Command(resume="green"), A)
        graph.invoke(Command(resume="blue"), A)
        assert [r.json["value"] for r in server.requests if r.path.endswith("/respond") and b"lue" in r.body] == [
            "Blue"
        ]


def test_words_of_a_refusal_for_which_there_is_no_place_are_logged(caplog):
    with serve("0.8", writing("a.md")) as server:
        graph = graph_of(ChatMix(server_url=server.url, permissions="interrupt"), InMemorySaver())
        start(graph)
        graph.invoke(Command(resume={"decisions": [{"type": "reject", "message": "later"}]}), A)
        assert answers(server)[-1] == "deny"
        assert "no place" in caplog.text
        assert "later" not in caplog.text


@pytest.mark.parametrize("api", NEWER)
def test_several_requests_pause_one_after_another(api):
    with serve(api, writing("a.md", "b.md", "c.md")) as server:
        graph = graph_of(ChatMix(server_url=server.url, permissions="interrupt"), InMemorySaver())
        assert files(start(graph)) == ["a.md"]
        assert files(graph.invoke(Command(resume=APPROVE), A)) == ["b.md"]
        assert files(graph.invoke(Command(resume=APPROVE), A)) == ["c.md"]
        reply = graph.invoke(Command(resume=REJECT), A)["messages"][-1]
        assert statuses(reply) == ["success", "success", "error"]
        assert list(sessions(server).values()) == [["Go"]]


@pytest.mark.parametrize("api", NEWER)
def test_requests_at_once_are_each_decided_on_their_own(api):
    both = turn([write("a.md"), write("b.md")], say("Done."))
    with serve(api, both) as server:
        graph = graph_of(ChatMix(server_url=server.url, permissions="interrupt"), InMemorySaver())
        state = start(graph)
        decided = {}
        while "__interrupt__" in state:
            (name,) = files(state)
            assert name not in decided
            decided[name] = APPROVE if name == "a.md" else REJECT
            state = graph.invoke(Command(resume=decided[name]), A)
        granted = [b["status"] for b in state["messages"][-1].content_blocks if b["type"] == "server_tool_result"]
        assert decided.keys() <= {"a.md", "b.md"}
        assert granted[0] == "success"
        assert "success" not in granted[1:]


def test_an_approval_is_for_what_was_asked_and_nothing_else():
    """The turn that is run again may ask for something else; that has not been approved."""

    class Changing:
        def __init__(self):
            self.runs = 0

        async def reply(self, request):
            if request.lines[-1].role == "user":
                self.runs += 1
                yield write("harmless.md" if self.runs == 1 else "secret.md")
            else:
                for piece in say("Done."):
                    yield piece

    with MixEmulator(api="0.8", agent=Changing(), permission_timeout=NEVER) as server:
        graph = graph_of(ChatMix(server_url=server.url, permissions="interrupt"), InMemorySaver())
        assert files(start(graph)) == ["harmless.md"]
        assert files(graph.invoke(Command(resume=APPROVE), A)) == ["secret.md"]
        assert "grant" not in answers(server)
        reply = graph.invoke(Command(resume=REJECT), A)["messages"][-1]
        assert statuses(reply) == ["error"]


def test_nothing_is_sent_while_nobody_has_decided():
    with serve("0.8", writing("a.md")) as server:
        graph = graph_of(ChatMix(server_url=server.url, permissions="interrupt"), InMemorySaver())
        start(graph)
        server.forget_requests()
        assert files(graph.invoke(None, A)) == ["a.md"]
        assert not server.requests


def test_parallel_nodes_pause_each(tmp_path):
    with serve("0.8", writing("a.md"), loop=True) as server:
        model = ChatMix(server_url=server.url, permissions="interrupt")
        builder = StateGraph(MessagesState)
        for name in ("left", "right"):
            builder.add_node(name, lambda state: {"messages": [model.invoke(state["messages"])]})
            builder.add_edge(START, name)
        graph = builder.compile(checkpointer=InMemorySaver())
        first, second = start(graph)["__interrupt__"]
        state = graph.invoke(Command(resume={first.id: APPROVE, second.id: REJECT}), A)
        assert sorted(statuses(m)[0] for m in state["messages"][1:]) == ["error", "success"]
        assert len(sessions(server)) == 2


def test_a_pause_in_a_subgraph():
    with serve("0.8", writing("a.md")) as server:
        inner = graph_of(ChatMix(server_url=server.url, permissions="interrupt"), None)
        graph = StateGraph(MessagesState).add_node("inner", inner).add_edge(START, "inner")
        graph = graph.compile(checkpointer=InMemorySaver())
        assert files(start(graph)) == ["a.md"]
        assert statuses(graph.invoke(Command(resume=APPROVE), A)["messages"][-1]) == ["success"]


def test_an_interrupt_of_the_node_after_the_call_gets_its_own_answer():
    """The call is not made again, and the approval that it took is not the answer to the node's own question."""
    with serve("0.8", writing("a.md")) as server:
        model, confirmed = ChatMix(server_url=server.url, permissions="interrupt"), []

        def call(state):
            reply = model.invoke(state["messages"])
            confirmed.append(interrupt("really?"))
            return {"messages": [reply]}

        graph = graph_of(model, InMemorySaver(), call)
        start(graph)
        assert graph.invoke(Command(resume=APPROVE), A)["__interrupt__"][0].value == "really?"
        state = graph.invoke(Command(resume="my answer"), A)
        assert confirmed == ["my answer"]
        assert statuses(state["messages"][-1]) == ["success"]


def test_two_calls_of_a_node_take_their_own_answers():
    with serve("0.8", turn([write("a.md")], say("Done."))) as server, serve("0.8", writing("b.md")) as second:
        models = [ChatMix(server_url=s.url, permissions="interrupt") for s in (server, second)]

        def call(state):
            return {"messages": [m.invoke(state["messages"]) for m in models]}

        graph = graph_of(None, InMemorySaver(), call)
        assert files(start(graph)) == ["a.md"]
        assert files(graph.invoke(Command(resume=APPROVE), A)) == ["b.md"]
        state = graph.invoke(Command(resume=REJECT), A)
        assert [statuses(m) for m in state["messages"][1:]] == [["success"], ["error"]]
        assert answers(second) == ["deny", "deny"]


def test_an_interrupt_of_the_node_before_the_call():
    with serve("0.8", writing("a.md")) as server:
        model, confirmed = ChatMix(server_url=server.url, permissions="interrupt"), []

        def call(state):
            confirmed.append(interrupt("really?"))
            return {"messages": [model.invoke(state["messages"])]}

        graph = graph_of(model, InMemorySaver(), call)
        start(graph)
        assert files(graph.invoke(Command(resume="sure"), A)) == ["a.md"]
        state = graph.invoke(Command(resume=APPROVE), A)
        assert confirmed == ["sure", "sure"]
        assert statuses(state["messages"][-1]) == ["success"]


# Pauses that cannot be tidied up

CANCEL = r"POST /api/sessions/[^/]+/cancel"
REWIND = r"POST /api/sessions/[^/]+/rewind"
DELETE = r"DELETE /api/sessions/[^/]+"
DENY = r"POST /api/permissions/[^/]+/deny"


class OnTwo:
    """Writes a file when it is told "two", in whichever session."""

    async def reply(self, request):
        told = next(line.text for line in reversed(request.lines) if line.role == "user")
        if "two" in told and request.lines[-1].role == "user":
            yield write("a.md")
        else:
            yield Text("Well.")


def troubled_graph(model, notes, asynchronous):
    def note(pause):
        notes.extend(getattr(pause, "__notes__", []))

    def call(state):
        try:
            return {"messages": [model.invoke(state["messages"])]}
        except GraphInterrupt as pause:
            note(pause)
            raise

    async def acall(state):
        try:
            return {"messages": [await model.ainvoke(state["messages"])]}
        except GraphInterrupt as pause:
            note(pause)
            raise

    return graph_of(model, InMemorySaver(), acall if asynchronous else call)


FAULTS = [
    pytest.param(HttpError(CANCEL, 503, count=None), id="cancel refused"),
    pytest.param(CloseConnection(CANCEL, count=None), id="cancel reset"),
    pytest.param(HttpError(REWIND, 500, count=None), id="rewind refused"),
    pytest.param(CloseConnection(REWIND, count=None), id="rewind reset"),
    pytest.param(CloseConnection(REWIND, before=False, count=None), id="rewind's answer lost"),
    pytest.param(HttpError(DENY, 503, count=None), id="deny refused"),
]
SHELLS = [pytest.param(False, id="sync"), pytest.param(True, id="async")]


@pytest.mark.parametrize("scenario", in_turn(FAULTS, GRAPH_APIS, SHELLS))
async def test_a_pause_in_a_conversation_is_seen_whatever_fails_besides(scenario, caplog):
    fault, api, asynchronous = scenario
    with MixEmulator(api=api, agent=OnTwo(), permission_timeout=NEVER) as server:
        model, notes = ChatMix(server_url=server.url, api=api, permissions="interrupt", max_retries=0), []
        graph = troubled_graph(model, notes, asynchronous)

        async def go(given):
            return await graph.ainvoke(given, A) if asynchronous else await asyncio.to_thread(graph.invoke, given, A)

        await go({"messages": [HumanMessage("one")]})
        ((session, _),) = sessions(server).items()
        server.faults.add(fault)
        assert files(await go({"messages": [HumanMessage("two")]})) == ["a.md"]
        assert SESSION_HEADS.get((server.url, session)) is None
        assert not SESSION_CLAIMS._claims
        (note,) = notes
        assert session in note
        assert "on_divergence" in note
        assert note in caplog.messages
        server.faults.clear()
        await asyncio.to_thread(server.wait_idle)
        state = await go(Command(resume=APPROVE))
        if "__interrupt__" in state:  # It goes on in another session, and the approval was for a path in the first one.
            state = await go(Command(resume=APPROVE))
        reply = state["messages"][-1]
        assert statuses(reply) == ["success"]
        talks = sessions(server)
        last = talks[read_pointer(reply.response_metadata).session_id]
        assert sum("one" in text for text in last) == 1
        assert sum("two" in text for text in last) == 1, "the turn that was given up is no part of the talk"
        assert len(talks) <= 2


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("match", [CANCEL, DELETE])
async def test_a_pause_in_a_new_session_is_seen_whatever_fails_besides(match, asynchronous, caplog):
    with serve("0.8", writing("a.md"), writing("a.md")) as server:
        model, notes = ChatMix(server_url=server.url, permissions="interrupt", max_retries=0), []
        graph = troubled_graph(model, notes, asynchronous)

        async def go(given):
            return await graph.ainvoke(given, A) if asynchronous else await asyncio.to_thread(graph.invoke, given, A)

        server.faults.add(HttpError(match, 503, count=None))
        assert files(await go({"messages": [HumanMessage("Go")]})) == ["a.md"]
        assert len(sessions(server)) == (match == DELETE), "a session of which nobody knows is not left behind"
        assert len(notes) == 1
        assert "was made for it" in notes[0]
        assert notes[0] in caplog.messages
        server.faults.clear()
        reply = (await go(Command(resume=APPROVE)))["messages"][-1]
        assert statuses(reply) == ["success"]
        assert list(sessions(server).values()).count(["Go"]) == 1 + (match == DELETE)


def test_a_pause_that_is_tidied_up_tells_nothing(caplog):
    with serve("0.8", "first", writing("a.md")) as server:
        notes = []
        graph = troubled_graph(ChatMix(server_url=server.url, permissions="interrupt"), notes, asynchronous=False)
        start(graph, "one")
        ((session, _),) = sessions(server).items()
        head = SESSION_HEADS.get((server.url, session))
        assert files(start(graph, "two")) == ["a.md"]
        assert SESSION_HEADS.get((server.url, session)) == head
    assert notes == caplog.messages == []


# Sub-agents and notifications


class Listened(Script):
    """Sub-agents go on once the client listens to them, as a model's first words take longer than that."""

    server: MixEmulator

    def _open(self, gate):
        try:
            self.server.wait_until(lambda: self.server.streams >= 2)
        finally:
            gate.open()

    async def reply(self, request):
        if request.is_subagent:
            gate = Gate()
            opener = threading.Thread(target=self._open, args=(gate,))
            opener.start()
            yield Wait(gate)
            opener.join()
        async for piece in super().reply(request):
            yield piece


@pytest.mark.parametrize("api", NEWER)
def test_a_request_of_a_subagent_pauses_the_graph(api):
    task = turn([use("Task", {"description": "d", "prompt": "p", "subagent_type": "general-purpose"})], say("Done."))
    agent = Listened(task, subagent=[writing("a.md")])
    with MixEmulator(api=api, agent=agent, permission_timeout=NEVER) as server:
        agent.server = server
        graph = graph_of(ChatMix(server_url=server.url, permissions="interrupt"), InMemorySaver())
        assert files(start(graph)) == ["a.md"]
        server.wait_idle()
        graph.invoke(Command(resume=APPROVE), A)
        assert answers(server) == ["deny", "grant"]


def notify(kind="text", **more):
    return use(
        "Notify", {"type": "question", "title": "T", "message": "Colour?", "responseType": kind, "timeout": 300} | more
    )


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"decisions": [{"type": "respond", "message": "blue"}]}, "blue"),
        ({"type": "respond", "text": "blue"}, "blue"),
    ],
)
def test_a_question_of_the_agent_pauses_the_graph(answer, told):
    with serve("0.8", turn([notify()], say("Done."))) as server:
        graph = graph_of(ChatMix(server_url=server.url, on_notification="interrupt"), InMemorySaver())
        (request,) = request_of(start(graph))
        assert request["name"] == "mix_notification"
        assert request["description"] == "Colour?"
        assert sessions(server) == {}
        graph.invoke(Command(resume=answer), A)
        (sent,) = [r.json for r in server.requests if r.path.endswith("/respond") and b"blue" in r.body]
        assert sent["value"] == told


# What is approved is what is done


def asked_for(state):
    """All that a human is shown of what is asked."""
    return json.dumps(state["__interrupt__"][0].value["action_requests"])


@pytest.mark.parametrize("api", APIS)
def test_a_path_in_a_session_that_goes_is_not_shown_as_if_it_stayed(api):
    with serve(api, writing("a.md"), writing("a.md")) as server:
        graph = graph_of(ChatMix(server_url=server.url, permissions="interrupt"), InMemorySaver())
        state = start(graph)
        (request,) = request_of(state)
        assert request["args"]["file_path"].endswith("/<session>/a.md")
        assert "/<session>/a.md" in request["description"]
        assert not sessions(server)
        reply = graph.invoke(Command(resume=APPROVE), A)["messages"][-1]
        assert statuses(reply) == ["success"]
        (session,) = sessions(server)
        assert session not in asked_for(state)


@pytest.mark.parametrize("api", ["0.5", "0.7", "0.8"])
def test_a_path_in_a_session_that_stays_is_shown_and_written(api):
    with MixEmulator(api=api, agent=OnTwo(), permission_timeout=NEVER) as server:
        graph = graph_of(ChatMix(server_url=server.url, permissions="interrupt"), InMemorySaver())
        start(graph, "one")
        ((session, _),) = sessions(server).items()
        (request,) = request_of(start(graph, "two"))
        assert request["args"]["file_path"].endswith(f"/{session}/a.md")
        reply = graph.invoke(Command(resume=APPROVE), A)["messages"][-1]
        assert statuses(reply) == ["success"]
        assert list(sessions(server)) == [session]


def test_an_approval_for_one_session_is_none_for_another():
    with MixEmulator(api="0.8", agent=OnTwo(), permission_timeout=NEVER) as server:
        model = ChatMix(server_url=server.url, permissions="interrupt")
        graph = graph_of(model, InMemorySaver())
        start(graph, "one")
        ((session, _),) = sessions(server).items()
        start(graph, "two")
        # Somebody else goes on in the session, so that the turn will be run in another.
        SESSION_HEADS.forget((server.url, session))
        model.client.turn(session, "foreign").run()
        (request,) = request_of(graph.invoke(Command(resume=APPROVE), A))
        assert "grant" not in answers(server), "what was approved is another file"
        assert request["args"]["file_path"].endswith("/<session>/a.md")
        assert statuses(graph.invoke(Command(resume=APPROVE), A)["messages"][-1]) == ["success"]


# New processes

PROGRAM = """
import json, sys
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt
from langchain_mix import ChatMix, MixSaver
from langchain_mix.errors import MixResumeError

url, path, after, given = sys.argv[1:]
model = ChatMix(server_url=url, permissions="interrupt")

def call(state):
    reply = model.invoke(state["messages"])
    if after == "asks":
        interrupt("really?")
    return {"messages": [reply]}

with model.client, MixSaver(server_url=url) if after == "mix" else SqliteSaver.from_conn_string(path) as saver:
    graph = StateGraph(MessagesState).add_node("chat", call).add_edge(START, "chat").compile(checkpointer=saver)
    given = json.loads(given)
    try:
        state = graph.invoke(Command(resume=given) if given else {"messages": [HumanMessage("Go")]}, {"configurable": {"thread_id": "a"}})
    except MixResumeError as error:
        sys.exit(print(json.dumps(error.message)))
    if "__interrupt__" in state:
        print(json.dumps(state["__interrupt__"][0].value))
    else:
        print(json.dumps([b["status"] for b in state["messages"][-1].content_blocks if b["type"] == "server_tool_result"]))
"""


def in_a_new_process(server, tmp_path, given, after="ends"):
    path = str(tmp_path / "graph.sqlite")
    done = subprocess.run(
        python(PROGRAM, server.url, path, after, json.dumps(given)),
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("scenario", in_turn(["0.7", "0.8"], ["success", "error"]))
def test_a_new_process_goes_on(scenario, tmp_path):
    api, status = scenario
    decision = APPROVE if status == "success" else REJECT
    with serve(api, writing("a.md", "b.md")) as server:
        assert in_a_new_process(server, tmp_path, None)["action_requests"][0]["args"]["file_path"].endswith("/a.md")
        assert sessions(server) == {}
        assert in_a_new_process(server, tmp_path, APPROVE)["action_requests"][0]["args"]["file_path"].endswith("/b.md")
        assert in_a_new_process(server, tmp_path, decision) == ["success", status]
        assert list(sessions(server).values()) == [["Go"]]


@pytest.mark.parametrize("saver", ["sqlite", "mix"])
def test_a_wrong_value_leaves_the_pause_for_a_new_process(saver, tmp_path):
    with serve("0.8", writing("a.md")) as server:
        in_a_new_process(server, tmp_path, None, saver)
        assert "not a decision" in in_a_new_process(server, tmp_path, {"approved": True}, saver)
        assert answers(server) == ["deny"]
        assert in_a_new_process(server, tmp_path, [{"type": "accept"}], saver) == ["success"]


def test_an_approval_that_cannot_be_told_apart_is_asked_for_again(tmp_path):
    """The node's own question is the last that was stored, so that a new process cannot know what was approved."""
    with serve("0.8", writing("a.md")) as server:
        in_a_new_process(server, tmp_path, None, "asks")
        assert in_a_new_process(server, tmp_path, APPROVE, "asks") == "really?"
        grants = answers(server).count("grant")
        again = in_a_new_process(server, tmp_path, "sure", "asks")
        assert again["action_requests"][0]["args"]["file_path"].endswith("/a.md")
        assert answers(server).count("grant") == grants
        in_a_new_process(server, tmp_path, APPROVE, "asks")
        assert answers(server).count("grant") == grants + 1


def test_a_store_on_disk_pauses_in_one_process_too(tmp_path):
    with serve("0.8", writing("a.md")) as server, SqliteSaver.from_conn_string(str(tmp_path / "g")) as saver:
        graph = graph_of(ChatMix(server_url=server.url, permissions="interrupt"), saver)
        start(graph)
        assert statuses(graph.invoke(Command(resume=APPROVE), A)["messages"][-1]) == ["success"]
