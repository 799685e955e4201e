"""From messages to a session that is ready: which requests that costs, in which order, and what is left when one fails.

Flows are played against a scripted server; nothing is sent.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_mix import errors
from langchain_mix.chat_models.alignment import Append, Fork, New, Replay, Rewind
from langchain_mix.chat_models.history import digest, setup_digest
from langchain_mix.chat_models.parameters import CallParameters, MixParameterWarning
from langchain_mix.chat_models.process_state import SESSION_CLAIMS, SESSION_HEADS, SessionHead
from langchain_mix.chat_models.session_lifecycle import PreparedTurn, SessionRequest, prepare
from langchain_mix.pointer import KEY, Pointer
from langchain_mix.protocol.api import UNKNOWN, ApiKnowledge, ApiVersion, ServerApi
from langchain_mix.protocol.call import Call, Reply
from langchain_mix.protocol.turn.updates import Message, RowRef, TurnResult

SERVER = "http://localhost:1"
ROWS = [("U1", "user"), ("A1", "assistant")]


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> Iterator[None]:
    SESSION_HEADS.forget((SERVER, "S"))
    yield
    SESSION_HEADS.forget((SERVER, "S"))
    assert not SESSION_CLAIMS._claims, "a claim outlives its call"


class Server:
    """Answers the calls of a flow like a server of one generation whose session S has these rows."""

    def __init__(self, version: str, rows: list[tuple[str, str]] = ROWS, refuses: str = "") -> None:
        self.server_api = ServerApi(ApiKnowledge([ApiVersion(version)]))
        self.rows = list(rows)
        self.refuses = refuses
        self.texts: dict[str, str] = {}
        self.calls: list[str] = []
        self.bodies: list[Mapping[str, Any]] = []

    def run(self, asked: SessionRequest) -> PreparedTurn:
        flow = prepare(self.server_api, asked)
        act: Callable[[], Any] = partial(next, flow)
        try:
            while True:
                act = self._answered(flow, act())
        except StopIteration as end:
            ready: PreparedTurn = end.value
            return ready

    def _answered(self, flow: Any, call: Call[Any]) -> Callable[[], Any]:
        self.calls.append(f"{call.method} {'/'.join(call.segments[1:])}")
        self.bodies.append(call.body or {})
        try:
            result = call.result(self._reply(call))
        except errors.MixError as error:
            return lambda error=error: flow.throw(error)
        if call.shows is not None:
            self.server_api.detected = self.server_api.detected.narrow(call.shows(result))
        return lambda: flow.send(result)

    def _reply(self, call: Call[Any]) -> Reply:
        last = call.segments[-1]
        if self.refuses and last == self.refuses:
            return Reply(503, {"content-type": "text/plain"}, b"no")
        if last == "messages":
            said = {"U1": "Q1", "A1": "R1"} | self.texts
            return self._json(
                [{"id": i, "sessionId": "S", "role": r, "userInput": said.get(i, "")} for i, r in self.rows]
            )
        if last == "upload":
            return self._json({"name": "kept.png", "size": 1, "modified": 0, "isDir": False}, 201)
        if call.method == "DELETE":
            return Reply(204, {}, b"")
        new = "S2" if last in {"sessions", "fork"} else "S"
        kind = (
            {"sessionType": "main"}
            if ApiVersion.V0_5 not in self.server_api.detected and ApiVersion.V0_6 not in self.server_api.detected
            else {}
        )
        return self._json({"id": new, "title": "t", "browserMode": "x"} | kind, 201 if new == "S2" else 200)

    @staticmethod
    def _json(value: Any, status: int = 200) -> Reply:
        return Reply(status, {"content-type": "application/json"}, json.dumps(value).encode())


def talk(*texts: str, setup: str = "", answer: str = "A1") -> list[BaseMessage]:
    """One question, its answer in row A1 of session S, and what is asked now."""
    said: list[BaseMessage] = [HumanMessage("Q1")]
    reply = AIMessage("R1")
    place = Pointer(server=SERVER, session_id="S", message_id=answer, digest=digest([*said, reply]), setup=setup)
    said.append(reply.model_copy(update={"response_metadata": {KEY: place.as_metadata()}}))
    return [*said, *(HumanMessage(text) for text in texts)]


LEFT = SessionHead("A1", digest([HumanMessage("Q1"), AIMessage("R1")]))


def asked(messages: list[BaseMessage], **fields: Any) -> SessionRequest:
    return SessionRequest(**{"messages": messages, "setup": "", "server": SERVER} | fields)


def held(ready: PreparedTurn) -> PreparedTurn:
    """Ends the call, as its caller does in the end."""
    SESSION_CLAIMS.release(ready.claim)
    return ready


# Which requests


@pytest.mark.parametrize(
    "left", [None, LEFT, SessionHead("A1"), SessionHead("A1", "0" * 32), SessionHead("A9", LEFT.digest)]
)
@pytest.mark.parametrize("policy", ["fork", "replay", "rewind", "error"])
@pytest.mark.parametrize("said", [{"U1": "Q0"}, {"A1": "R0"}, {"U1": ""}, {"A1": ""}, {"U1": "Q1 and more"}])
def test_a_session_that_says_something_else_is_left_alone(
    left: SessionHead | None, policy: str, said: dict[str, str]
) -> None:
    if left is not None:
        SESSION_HEADS.put((SERVER, "S"), left)
    for rows in (ROWS, [*ROWS, ("U2", "user"), ("A2", "assistant")]):
        server = Server("0.7", rows)
        server.texts = said
        if left == LEFT:
            ready = held(server.run(asked(talk("Q2"), on_divergence=policy)))
            assert isinstance(ready.plan, Append), "this process left the session with just these messages"
        elif policy == "error":
            with pytest.raises(errors.MixHistoryDiverged, match="not known to hold"):
                server.run(asked(talk("Q2"), on_divergence=policy))
        else:
            ready = server.run(asked(talk("Q2"), on_divergence=policy))
            assert isinstance(ready.plan, Replay)
            assert "R1" in ready.text, "what the messages say is given to a session of its own"
        assert set(server.calls) <= {"GET sessions/S/messages", "POST sessions"}


def test_a_pinned_session_that_says_something_else_loses_nothing() -> None:
    server = Server("0.8", [*ROWS, ("U2", "user"), ("A2", "assistant")])
    server.texts = {"A1": "R0"}
    held(server.run(asked(talk("Q2"), pinned="S", on_divergence="rewind")))
    assert server.calls == ["GET sessions/S/messages"]


def test_a_talk_that_goes_on_where_this_process_left_it_costs_nothing() -> None:
    SESSION_HEADS.put((SERVER, "S"), LEFT)
    server = Server("0.8")
    ready = held(server.run(asked(talk("Q2"))))
    assert server.calls == []
    assert isinstance(ready.plan, Append)
    assert (ready.session_id, ready.text, ready.created, ready.rows_before) == ("S", "Q2", False, None)


def test_another_process_reads_where_the_session_stands() -> None:
    server = Server("0.8")
    ready = held(server.run(asked(talk("Q2"))))
    assert server.calls == ["GET sessions/S/messages"]
    assert isinstance(ready.plan, Append)
    assert ready.rows_before == 2


@pytest.mark.parametrize(
    ("version", "policy", "plan", "paths"),
    [
        ("0.7", "fork", Fork, ["GET sessions/S/messages", "POST sessions/S/fork"]),
        ("0.8", "fork", Replay, ["GET sessions/S/messages", "POST sessions"]),
        ("0.7", "replay", Replay, ["GET sessions/S/messages", "POST sessions"]),
        ("0.8", "rewind", Rewind, ["GET sessions/S/messages", "POST sessions/S/rewind"]),
    ],
)
def test_a_session_that_moved_on(version: str, policy: str, plan: type, paths: list[str]) -> None:
    server = Server(version, [*ROWS, ("U2", "user"), ("A2", "assistant")])
    ready = server.run(asked(talk("Q2"), on_divergence=policy))
    assert bool(SESSION_CLAIMS._claims) is (plan is Rewind), "a call that goes elsewhere leaves the place to others"
    held(ready)
    assert server.calls == paths
    assert isinstance(ready.plan, plan)
    assert ready.session_id == ("S" if plan is Rewind else "S2")
    assert ready.created is (plan is not Rewind)
    assert ready.rows_before == (0 if plan is Replay else None), "rows of a copy or after a rewind are not known"
    assert (ready.text == "Q2") is (plan is not Replay)


def test_the_generation_is_asked_for_only_where_it_decides() -> None:
    server = Server("0.8", [*ROWS, ("U2", "user")])
    server.server_api.detected = UNKNOWN
    held(server.run(asked(talk("Q2"))))
    assert server.calls == ["GET sessions/S", "GET sessions/S/messages", "POST sessions"]


def test_of_two_calls_at_once_only_one_relies_on_the_place() -> None:
    SESSION_HEADS.put((SERVER, "S"), LEFT)
    first = Server("0.8").run(asked(talk("Q2")))
    server = Server("0.8")
    second = server.run(asked(talk("Q3")))
    assert isinstance(second.plan, Replay)
    assert server.calls == ["GET sessions/S/messages", "POST sessions"]
    pinned = held(Server("0.8").run(asked(talk("Q4"), pinned="S")))
    assert isinstance(pinned.plan, Append), "who names the session uses it whoever else does"
    held(first)


def test_a_new_session_is_told_what_it_must_know() -> None:
    server = Server("0.8")
    ready = server.run(asked([HumanMessage("Q1")], setup="Be brief.", title="T", prompt_mode="replace"))
    assert server.calls == ["POST sessions"]
    body = server.bodies[0]
    assert (body["title"], body["customSystemPrompt"], body["promptMode"]) == ("T", "Be brief.", "replace")
    assert isinstance(ready.plan, New)
    assert (ready.text, ready.cost_before, ready.rows_before) == ("Q1", 0.0, 0)


@pytest.mark.parametrize(
    ("knows", "wanted", "said"),
    [("", "", None), ("Old", "Old", None), ("", "New", "New"), ("Old", "New", "New"), ("Old", "", "(none)")],
)
def test_a_session_is_told_again_what_has_changed(knows: str, wanted: str, said: str | None) -> None:
    SESSION_HEADS.put((SERVER, "S"), LEFT)
    ready = held(Server("0.8").run(asked(talk("Q2", setup=setup_digest(knows)), setup=wanted)))
    if said is None:
        assert ready.text == "Q2"
    else:
        assert "Instructions from here on" in ready.text
        assert f"\n\n{said}\n\n" in ready.text
        assert ready.text.endswith("\n\nQ2")


def test_a_fork_knows_no_prompt() -> None:
    server = Server("0.7", [*ROWS, ("U2", "user")])
    ready = server.run(asked(talk("Q2", setup=setup_digest("P")), setup="P"))
    assert isinstance(ready.plan, Fork)
    assert "\n\nP\n\n" in ready.text


def test_a_reminder_is_sent_and_is_no_part_of_the_conversation() -> None:
    SESSION_HEADS.put((SERVER, "S"), LEFT)
    messages = talk()
    ready = held(Server("0.8").run(asked(messages, reminder="Call it.")))
    assert ready.text == "Call it."
    reply = AIMessage("R2")
    pointer = ready.pointer(TurnResult(session_id="S", verified=False), reply)
    assert pointer.digest == ""
    rows = [RowRef("A1", "assistant"), RowRef("U2", "user"), RowRef("A2", "assistant")]
    done = TurnResult(session_id="S", verified=True, user_message_id="U2", rows=rows, messages=[Message(id="A2")])
    assert ready.pointer(done, reply).digest == digest([*messages, reply])
    with pytest.raises(errors.MixInputError, match="nothing to answer"):
        Server("0.8").run(asked(messages))


# What fails


@pytest.mark.parametrize("refuses", ["messages", "fork"])
def test_a_call_that_fails_gives_its_place_back(refuses: str) -> None:
    server = Server("0.7", [*ROWS, ("U2", "user")], refuses=refuses)
    with pytest.raises(errors.MixDefaultError):
        server.run(asked(talk("Q2")))


def test_what_cannot_be_sent_is_told_before_anything_is_made() -> None:
    server = Server("0.8")
    with pytest.raises(errors.MixInputError):
        server.run(asked([HumanMessage([{"type": "image", "base64": "%", "mime_type": "image/png"}])]))
    assert server.calls == []


IMAGE = {"type": "image", "base64": base64.b64encode(b"\x89PNG\r\n\x1a\n").decode(), "mime_type": "image/png"}


def test_files_are_named_as_the_server_keeps_them() -> None:
    server = Server("0.8")
    ready = server.run(asked([HumanMessage(["See ", IMAGE])]))
    assert server.calls == ["POST sessions", "POST sessions/S2/files/upload"]
    assert "kept.png" in ready.text


@pytest.mark.parametrize("where", ["new", "appended"])
def test_a_session_without_its_files_is_left_to_nobody(where: str) -> None:
    SESSION_HEADS.put((SERVER, "S"), LEFT)
    messages = [HumanMessage([IMAGE])] if where == "new" else [*talk(), HumanMessage([IMAGE])]
    server = Server("0.8", refuses="upload")
    with pytest.raises(errors.MixDefaultError):
        server.run(asked(messages))
    assert ("DELETE sessions/S2" in server.calls) is (where == "new")
    assert "DELETE sessions/S" not in server.calls, "what was said before is not deleted"


# Models


def test_a_model_that_cannot_be_chosen_is_told_before_a_session_is_made() -> None:
    server = Server("0.8")
    wanted = CallParameters(model="m", provider="p", model_is_override=True)
    with pytest.raises(errors.MixUnsupportedError):
        server.run(asked([HumanMessage("Q1")], parameters=wanted))
    assert server.calls == []
    with pytest.warns(MixParameterWarning):
        ready = server.run(asked([HumanMessage("Q1")], parameters=CallParameters(model="m")))
    assert not ready.model_honoured


def test_a_model_is_given_to_the_session_where_sessions_have_one() -> None:
    server = Server("next")
    ready = server.run(asked([HumanMessage("Q1")], parameters=CallParameters(model="m", provider="p")))
    assert (server.bodies[0]["modelId"], server.bodies[0]["provider"]) == ("m", "p")
    assert (ready.model_honoured, ready.session_model) == (True, "m")


def test_without_a_model_the_server_chooses() -> None:
    for version in ("next", "0.8"):
        server = Server(version)
        wanted = CallParameters(provider="p")
        assert not server.run(asked([HumanMessage("Q1")], parameters=wanted, set_preferences=True)).model_honoured
        assert server.calls == ["POST sessions"]
        assert not {"modelId", "provider"} & server.bodies[0].keys()


@pytest.mark.parametrize("talked", [[HumanMessage("Q1")], talk("Q2")])
def test_the_next_generation_demands_a_provider(talked: list[BaseMessage]) -> None:
    SESSION_HEADS.put((SERVER, "S"), LEFT)
    server = Server("next")
    with pytest.raises(errors.MixInputError, match="provider"):
        server.run(asked(talked, parameters=CallParameters(model="m"), set_preferences=True))
    assert not server.calls


@pytest.mark.parametrize("talked", [[HumanMessage("Q1")], talk("Q2")])
def test_preferences_of_older_servers_are_changed_if_that_is_allowed(talked: list[BaseMessage]) -> None:
    SESSION_HEADS.put((SERVER, "S"), LEFT)
    server = Server("0.8")
    wanted = CallParameters(model="m", provider="p")
    ready = held(server.run(asked(talked, parameters=wanted, set_preferences=True, max_tokens=5)))
    assert (ready.model_honoured, ready.session_model) == (True, "")
    assert server.calls[0] == "POST preferences"
    assert server.bodies[0]["main_agent_model"] == "m"
    with pytest.warns(MixParameterWarning, match="cannot be chosen"):
        assert not held(Server("0.8").run(asked(talked, parameters=wanted))).model_honoured


# Pointers


def ready_to_append(**fields: Any) -> PreparedTurn:
    SESSION_HEADS.put((SERVER, "S"), LEFT)
    return held(Server("0.8").run(asked(talk("Q2"), **fields)))


def result(*rows: str, **fields: Any) -> TurnResult:
    listed = [RowRef(row, "user" if row.startswith("U") else "assistant") for row in rows]
    known = {"verified": True, "user_message_id": "U2", "row_count": len(rows), "messages": [Message(id="A2")]}
    return TurnResult(session_id="S", rows=listed, **known | fields)


def test_a_reply_that_stands_where_it_should_proves_the_talk() -> None:
    ready = ready_to_append(setup="P")
    reply = AIMessage("R2")
    pointer = ready.pointer(result("U1", "A1", "U2", "A2"), reply)
    assert pointer.digest == digest([*talk("Q2"), reply])
    assert (pointer.session_id, pointer.message_id, pointer.user_message_id) == ("S", "A2", "U2")
    assert (pointer.row_count, pointer.setup) == (4, setup_digest("P"))


@pytest.mark.parametrize("rows", [("U1", "A1", "U9", "U2", "A2"), ("U1", "A1", "U9", "A9", "U2", "A2"), ("U1", "A1")])
def test_a_reply_to_another_history_proves_nothing_or_is_told(rows: tuple[str, ...]) -> None:
    assert ready_to_append().pointer(result(*rows), AIMessage("R2")).digest == ""
    with pytest.raises(errors.MixHistoryDiverged) as caught:
        ready_to_append(on_divergence="error").pointer(told := result(*rows), AIMessage("R2"))
    assert caught.value.turn is told
    assert caught.value.acted == "yes"


def test_a_turn_whose_rows_were_not_read_proves_nothing() -> None:
    ready = ready_to_append(on_divergence="error")
    assert ready.pointer(result(verified=False), AIMessage("R2")).digest == ""
