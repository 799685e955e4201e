"""Permissions, notifications and callbacks."""

from __future__ import annotations

import pytest

from langchain_mix.emulator import Gate, Script, say, turn, use
from langchain_mix.emulator.agents.base import ToolUse, Wait
from langchain_mix.emulator.tool_runs import DENIED, NOT_EXECUTED

ALL = ("0.5", "0.6", "0.6.5", "0.7", "0.8", "next")


def asking(**more):
    return ToolUse(name="Write", input={"file_path": "a.txt", "content": "new"}, id="T", **more)


@pytest.mark.parametrize("api", ALL)
def test_a_granted_tool_runs(make, api):
    wire = make(api, Script(turn((asking(),), say("Done."))))
    session = wire.session()
    stream = wire.open(session)
    wire.start(session, "write it")
    ask = stream.until("permission")[-1].data
    assert ask["toolName"] == ("Write" if api in {"0.7", "0.8", "next"} else "write")
    assert not list(wire.server.state.files.workspace(session).iterdir())
    wire.http.post(f"/api/permissions/{ask['id']}/grant")
    heard = stream.turn()
    assert heard[-1].name == "complete"
    assert (wire.server.state.files.workspace(session) / "a.txt").read_text() == "new"


def test_a_denied_tool_does_not_run_and_the_turn_goes_on(make):
    wire = make("0.8", Script(turn((asking(),), say("Never mind."))))
    session = wire.session()
    stream = wire.open(session)
    wire.post(session, "write it")
    ask = stream.until("permission")[-1].data
    reply = wire.http.post(f"/api/permissions/{ask['id']}/deny")
    assert reply.json() == {"id": ask["id"], "message": "Permission denied successfully", "status": "denied"}
    done, *_, end = stream.turn()
    assert done.data["progress"].startswith("Failed Write tool after ")
    assert done.data["progress"].endswith(": permission denied")
    assert done.data["success"] is False
    assert end.name == "complete"
    call = wire.rows(session)[1]["toolCalls"][0]
    assert call["result"] == DENIED
    assert DENIED.startswith("The user doesn't want to proceed with this tool use.")
    assert "isError" not in call
    assert not list(wire.server.state.files.workspace(session).iterdir())


def test_without_an_answer_it_is_denied_and_nothing_says_so(make):
    wire = make("0.8", Script(turn((asking(),), say("Never mind."))), permission_timeout=0.05)
    session = wire.session()
    heard = wire.turn(session)
    names = [event.name for event in heard]
    assert names[names.index("permission") + 1] == "tool_execution_complete"
    assert wire.rows(session)[1]["toolCalls"][0]["result"] == DENIED


def test_the_first_answer_wins_and_unknown_questions_are_200(make):
    wire = make("0.8", Script(turn((asking(),), say("Done."))))
    session = wire.session()
    stream = wire.open(session)
    wire.post(session, "write it")
    ask = stream.until("permission")[-1].data
    wire.http.post(f"/api/permissions/{ask['id']}/grant")
    wire.http.post(f"/api/permissions/{ask['id']}/deny")
    assert stream.turn()[0].data["success"] is True
    for action, status in (("grant", "granted"), ("deny", "denied")):
        reply = wire.http.post(f"/api/permissions/unknown/{action}")
        assert (reply.status_code, reply.json()["status"], reply.json()["id"]) == (200, status, "unknown")
    assert wire.http.post("/api/permissions//grant", follow_redirects=False).status_code == 301


@pytest.mark.parametrize(
    ("wire", "keys"),
    [("0.5", ["id", "message", "status"]), ("0.7", ["id", "message", "status"])]
    + [(api, ["status", "id", "message"]) for api in ("0.8", "next")],
    indirect=["wire"],
)
def test_the_keys_of_an_answer_come_in_the_order_of_the_generation(wire, keys):
    for action in ("grant", "deny"):
        assert list(wire.http.post(f"/api/permissions/p/{action}").json()) == keys


def test_on_0_5_even_posted_messages_show_their_questions(make):
    wire = make("0.5", Script(turn((asking(),), say("Done."))))
    session = wire.session()
    stream = wire.open(session)
    answer = wire.pool.submit(wire.post, session, "write it")
    ask = stream.next()
    assert ask.name == "permission"
    wire.http.post(f"/api/permissions/{ask.data['id']}/grant")
    assert answer.result(5).json()["assistantResponse"] == "Done."


def test_q32_questions_of_a_sub_agent_are_seen_on_its_own_stream_only(make):
    task = ToolUse(name="Task", id="T", input={"description": "d", "prompt": "p"})
    gate = Gate()
    script = Script(turn((task,), say("Done.")), subagent=(turn((Wait(gate), asking()), say("wrote it")),))
    wire = make("0.8", script)
    session = wire.session()
    stream = wire.open(session)
    wire.post(session, "go")
    assert gate.reached.wait(5)
    listed = wire.http.get("/api/sessions?includeSubagents=true").json()
    child = next(one["id"] for one in listed if one.get("parentSessionId") == session)
    watching = wire.open(child)
    gate.open()
    ask = watching.next()
    assert ask.name == "permission"
    assert ask.data["sessionId"] == child
    assert "parentToolCallId" not in ask.data
    wire.http.post(f"/api/permissions/{ask.data['id']}/grant")
    assert "permission" not in [event.name for event in stream.until("complete")]
    assert (wire.server.state.files.workspace(child) / "a.txt").read_text() == "new"


def test_notifications_are_answered(make):
    question = {"title": "T", "message": "Which?", "type": "question", "responseType": "choice", "choices": ["a", "b"]}
    wire = make("0.8", Script(turn((use("Notify", question),), say("Done."))))
    session = wire.session()
    stream = wire.open(session)
    wire.post(session, "go")
    data = stream.until("notification")[-1].data
    assert list(data) == [
        "type",
        "id",
        "sessionId",
        "notificationType",
        "title",
        "message",
        "responseType",
        "choices",
        "timeout",
        "createdAt",
    ]
    assert (data["notificationType"], data["choices"], data["timeout"]) == ("question", ["a", "b"], 60)
    assert data["createdAt"] > 1_600_000_000_000
    url = f"/api/notifications/{data['id']}/respond"
    assert "of type string" in wire.error(wire.http.post(url, json={"type": "choice", "value": 1}))[2]
    assert "unknown field" in wire.error(wire.http.post(url, json={"type": "choice", "x": "1"}))[2]
    reply = wire.http.post(url, json={"type": "anything", "value": "b"})
    assert (reply.status_code, reply.content) == (204, b"")
    reply = wire.http.post(url, json={"type": "choice", "value": "b"})
    assert (reply.status_code, reply.text) == (404, "Notification not found or already responded\n")
    stream.turn()
    assert "b" in wire.rows(session)[1]["toolCalls"][0]["result"]


def test_an_expired_notification_is_an_error_result(make):
    wire = make("0.8", Script(turn((use("Notify", {"message": "?", "timeout": 1}),), say("Done."))))
    session = wire.session()
    heard = wire.turn(session)
    call = wire.rows(session)[1]["toolCalls"][0]
    assert call["isError"] is True
    assert call["result"] == "Notification request timed out - user did not respond in time"
    assert next(e for e in heard if e.name == "tool_execution_complete").data["success"] is True


def test_a_bad_notification_is_an_error_result(make):
    wire = make("0.8", Script(turn((use("Notify", {"message": "?", "timeout": 301}),), say("Done."))))
    session = wire.session()
    wire.turn(session)
    assert wire.rows(session)[1]["toolCalls"][0]["isError"] is True


CALLBACKS = [
    {"name": "run", "toolName": "Glob", "type": "bash_script", "bashCommand": "touch /tmp/never"},
    {"toolName": "*", "type": "send_message", "messageContent": "seen"},
    {"toolName": "glob", "type": "sub_agent", "subAgentPrompt": "Look at it."},
    {"toolName": "Grep", "type": "send_message", "messageContent": "not this"},
]


@pytest.mark.parametrize("api", ["0.7", "0.8"])
def test_callbacks_follow_on_results_q37(make, api):
    script = Script(turn((use("Glob", {}, result="a.txt"),), say("Done.")), subagent=("looked",), loop=False)
    wire = make(api, script)
    session = wire.session(callbacks=CALLBACKS)
    heard = wire.turn(session)
    rows = wire.rows(session)
    assert [(row["role"], row["userInput"]) for row in rows[2:6]] == [
        ("tool", ""),
        ("tool", ""),
        ("user", "seen"),
        ("tool", ""),
    ]
    script_row, agent_row = rows[3]["callbackResults"][0], rows[5]["callbackResults"][0]
    assert script_row["callback_name"] == "run"
    assert script_row["callback_type"] == "bash_script"
    assert script_row["success"] is False
    assert script_row["stderr"] == NOT_EXECUTED + "touch /tmp/never"
    assert (agent_row["subagent_result"], agent_row["success"]) == ("looked", True)
    child = wire.get(agent_row["subagent_id"])
    assert child["title"] == "Callback: Glob"
    assert child["parentSessionId"] == session
    assert [e for e in heard if e.data.get("parentToolCallId")]


def test_error_results_have_no_callbacks(make):
    wire = make("0.8", Script(turn((use("Levitate", {}),), say("Done."))))
    session = wire.session(callbacks=[{"toolName": "*", "type": "send_message", "messageContent": "seen"}])
    wire.turn(session)
    assert [row["role"] for row in wire.rows(session)] == ["user", "assistant", "tool", "assistant"]
