"""POST /stream/{id}/message, the way Mix 0.5 streams turns."""

from __future__ import annotations

import json

import pytest

from langchain_mix.emulator import Gate, Script, turn
from langchain_mix.emulator.agents.base import Text, Wait
from langchain_mix.emulator.routes_messages import SHELL_REFUSED

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def old(make):
    return make("0.5", Script("one", "two"))


def write(wire, session, **said):
    return wire.http.post(f"/stream/{session}/message", json={"content": json.dumps(said)})


def test_the_answer_says_nothing_of_success_q12(old):
    for session in (old.session(), NOBODY):
        reply = write(old, session, text="hi")
        assert (reply.status_code, reply.text) == (200, f'{{"sessionId":"{session}","status":"broadcasted"}}\n')
        assert old.rows(session) == []


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "Invalid JSON in request body"),
        (b"{", "Invalid JSON in request body"),
        (b"[]", "Invalid JSON in request body"),
        (b'{"content":7}', "Invalid JSON in request body"),
        (b"{}", "Missing content parameter"),
        (b'{"content":""}', "Missing content parameter"),
    ],
)
def test_refusals_are_plain_text_q36(old, body, text):
    reply = old.http.post("/stream/x/message", content=body)
    assert (reply.status_code, reply.text) == (400, f"{text}\n")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"


def test_only_post(old):
    reply = old.http.get("/stream/x/message")
    assert (reply.status_code, reply.text) == (405, "Only POST method allowed\n")


def test_unknown_keys_are_ignored(old):
    session = old.session()
    stream = old.open(session)
    content = json.dumps({"text": "hi", "media": ["a"], "apps": [], "more": 1})
    old.http.post(f"/stream/{session}/message", json={"content": content, "other": 2})
    assert stream.turn()[-1].data["content"] == "one"


def test_messages_wait_for_their_turn(make):
    gate = Gate()
    wire = make("0.5", Script(turn((Wait(gate), Text("one"))), "two"))
    session = wire.session()
    stream = wire.open(session)
    write(wire, session, text="a")
    write(wire, session, text="b")
    assert gate.reached.wait(5)
    assert [row["userInput"] for row in wire.rows(session)] == ["a", ""]
    gate.open()
    assert stream.turn()[-1].data["content"] == "one"
    assert stream.turn()[-1].data["content"] == "two"
    assert [row["userInput"] for row in wire.rows(session)] == ["a", "one", "b", "two"]


@pytest.mark.parametrize("content", ["not json", "[1]", '"x"'])
def test_q13_bad_inner_json_ends_the_stream_without_a_word(old, content):
    session = old.session()
    stream = old.open(session)
    old.http.post(f"/stream/{session}/message", json={"content": content})
    with pytest.raises(EOFError):
        stream.next()


def test_q14_exclamation_marks_are_never_executed(old, tmp_path):
    session = old.session()
    stream = old.open(session)
    trace = tmp_path / "trace"
    write(old, session, text=f"!touch {trace}")
    heard = stream.turn()
    assert [(e.name, e.data) for e in heard] == [
        ("complete", {"type": "complete", "content": SHELL_REFUSED, "done": True})
    ]
    write(old, session, text="! ")
    assert stream.next().data["content"] == "No command specified"
    assert not trace.exists()
    assert old.rows(session) == []


def test_slash_commands_complete_without_a_message(old):
    session = old.session()
    stream = old.open(session)
    write(old, session, text="/help")
    event = stream.next()
    assert list(event.data) == ["type", "content", "done"]
    assert json.loads(event.data["content"])["type"] == "help"
    write(old, session, text="/nothing")
    assert stream.next().data["error"].startswith("Command execution failed: Command 'nothing' not found")
    write(old, session, text=" /help")
    assert stream.turn()[-1].data["content"] == "one"


def test_the_command_clear_announces_its_session(old):
    stream = old.open(old.session())
    write(old, stream.session, text="/clear")
    heard = {event.name: event.data for event in (stream.next(), stream.next())}
    assert json.loads(heard["complete"]["content"])["sessionId"] == heard["session_created"]["sessionId"]


def test_missing_credentials_have_a_type(make):
    wire = make("0.5", auth_required=True)
    session = wire.session()
    stream = wire.open(session)
    write(wire, session, text="hi")
    event = stream.next()
    assert event.name == "error"
    assert event.data["type"] == "authentication_error"
    assert event.data["error"].startswith("⚠️ Not authenticated with ")


def test_a_deleted_session_cannot_start_an_agent(old):
    session = old.session()
    stream = old.open(session)
    old.http.delete(f"/api/sessions/{session}")
    stream.until("session_deleted")
    write(old, session, text="hi")
    assert stream.next().data == {"error": "Failed to start agent: sql: no rows in result set"}


def test_plan_mode(old):
    session = old.session()
    stream = old.open(session)
    write(old, session, text="hi", plan_mode=True)
    stream.turn()
    assert "<system-reminder>" in old.rows(session)[0]["userInput"]
