"""Sending and reading messages: the order of checks, both kinds of answer, commands, listings."""

from __future__ import annotations

import json
import socket

import httpx
import pytest

from langchain_mix.emulator import Gate, Script, say, turn, use
from langchain_mix.emulator.agents.base import Text, Wait

ALL = ("0.5", "0.6", "0.6.5", "0.7", "0.8", "next")
WAITING = ("0.5", "0.6")
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize("api", ["0.6.5", "0.7", "0.8", "next"])
def test_messages_are_taken_with_202(make, api):
    wire = make(api, Script("ok"))
    session = wire.session()
    reply = wire.post(session, "hi")
    assert reply.status_code == 202
    assert reply.text == f'{{"sessionId":"{session}","status":"processing"}}\n'
    assert wire.rows(session)[0]["userInput"] == "hi"


@pytest.mark.parametrize("api", WAITING)
def test_q17_a_synchronous_answer_has_the_users_role_and_no_session(make, api):
    wire = make(api, Script(turn((use("Glob", {}, result="a"),), say("all of it"))))
    session = wire.session()
    reply = wire.post(session, "hi")
    assert reply.status_code == 200
    last = wire.rows(session)[-1]
    assert list(reply.json().items()) == [
        ("id", last["id"]),
        ("sessionId", ""),
        ("role", "user"),
        ("userInput", "hi"),
        ("assistantResponse", "all of it"),
    ]


def test_on_0_5_a_posted_message_is_not_streamed(make):
    wire = make("0.5", Script("quiet"))
    session = wire.session()
    stream = wire.open(session)
    assert wire.post(session, "hi").json()["assistantResponse"] == "quiet"
    assert stream.rest() == []


def test_on_0_6_a_posted_message_is_streamed_while_the_answer_is_awaited(make):
    gate = Gate()
    wire = make("0.6", Script(turn((Text("first"), Wait(gate), Text(" second")))))
    session = wire.session()
    stream = wire.open(session)
    answer = wire.start(session, "hi")
    assert stream.next().data["content"] == "first"
    assert not answer.done()
    gate.open()
    assert answer.result(5).json()["assistantResponse"] == "first second"
    assert stream.turn()[-1].data["content"] == "first second"


@pytest.mark.parametrize("api", WAITING)
def test_a_client_that_leaves_cancels_its_synchronous_turn(make, api):
    gate = Gate()
    wire = make(api, Script(turn((Text("half"), Wait(gate)))))
    session = wire.session()
    url = httpx.URL(wire.server.url)
    with socket.create_connection((url.host, url.port)) as leaving:
        head = f"POST /api/sessions/{session}/messages HTTP/1.1\r\nHost: {url.host}:{url.port}\r\n"
        leaving.sendall(f'{head}Content-Type: application/json\r\nContent-Length: 13\r\n\r\n{{"text":"hi"}}'.encode())
        assert gate.reached.wait(5)
    wire.server.wait_idle()
    exported = wire.http.get(f"/api/sessions/{session}/export").json()["messages"]
    assert exported[1]["finishReason"] == "canceled"


@pytest.mark.parametrize("api", WAITING)
def test_q18_missing_credentials_look_like_an_answer(make, api):
    wire = make(api, auth_required=True)
    session = wire.session()
    stream = wire.open(session)
    reply = wire.post(session, "hi")
    text = wire.server.state.credentials.help_text()
    assert text.startswith("⚠️ Not authenticated with Anthropic (Claude) (your preferred provider)")
    assert (reply.status_code, reply.json()) == (
        200,
        {
            "id": "system-auth-prompt",
            "sessionId": "",
            "role": "assistant",
            "userInput": "hi",
            "assistantResponse": text,
        },
    )
    heard = [event.data for event in stream.rest()]
    assert heard == ([{"error": text}] if api == "0.6" else [])


@pytest.mark.parametrize("wire", ALL, indirect=True)
def test_q19_unknown_sessions(wire):
    status, kind, message = wire.error(wire.post(NOBODY, "hi"))
    if wire.api == "0.7":
        assert (status, kind, message) == (404, "not_found", f"Session with ID '{NOBODY}' not found")
    else:
        assert (status, kind) == (500, "internal_error")
        assert message == "Internal error during sending message to agent: sql: no rows in result set"


def test_bad_messages(wire):
    session = wire.session()
    assert wire.error(wire.post(session, ""))[2] == (
        "Validation error for field 'content': message content is required"
    )
    assert wire.error(wire.post(session, "hi", thinking_level="hard"))[2].endswith(
        "must be one of: off, basic, medium, maximum"
    )
    assert wire.post(session, "hi", thinking_level=None).status_code == 202
    assert wire.post(session, "  ").status_code == 202
    assert "of type bool" in wire.error(wire.post(session, "hi", plan_mode="yes"))[2]


@pytest.mark.parametrize("wire", ALL, indirect=True)
def test_q15_q16_slash_commands_are_200_everywhere_and_leave_no_trace(wire):
    session = wire.session()
    stream = wire.open(session)
    reply = wire.post(session, "  /help me")
    assert reply.status_code == 200
    assert list(reply.json()) == ["id", "sessionId", "role", "userInput", "assistantResponse"]
    assert (reply.json()["id"], reply.json()["sessionId"]) == ("cmd-help", "")
    assert json.loads(reply.json()["assistantResponse"])["type"] == "help"
    status, kind, message = wire.error(wire.post(session, "/etc/hosts please read"))
    assert (status, kind) == (404, "not_found")
    assert message.startswith("Command 'etc/hosts' not found. Available commands: [")
    assert wire.post(session, "/").status_code == 404
    assert wire.rows(session) == []
    assert stream.rest() == []


def test_the_command_clear_makes_a_session_and_announces_it(wire):
    stream = wire.open(wire.session())
    told = json.loads(wire.post(stream.session, "/clear").json()["assistantResponse"])
    assert (told["type"], told["sessionTitle"]) == ("session_switch", "New Session")
    assert [event.data["sessionId"] for event in stream.rest()] == [told["sessionId"]]
    assert wire.get(told["sessionId"])["title"] == "New Session"


def test_exclamation_marks_mean_nothing_when_posted(make):
    script = Script("ok")
    wire = make("0.8", script)
    session = wire.session()
    wire.turn(session, "!ls")
    assert script.requests[0].lines[-1].text == "!ls"


def test_three_parallel_messages_of_one_session_are_all_taken(make):
    wire = make("0.8", Script("a", "b", "c"))
    session = wire.session()
    replies = list(wire.pool.map(lambda n: wire.post(session, f"m{n}").status_code, range(3)))
    assert replies == [202] * 3
    wire.server.wait_idle()
    assert [row["role"] for row in wire.rows(session)].count("user") == 3


def test_sessions_do_not_see_each_other(make):
    wire = make("0.8", Script("ok"))
    sessions = [wire.session(str(n)) for n in range(4)]
    list(wire.pool.map(lambda one: wire.post(one, f"only {one}"), sessions))
    wire.server.wait_idle()
    for one in sessions:
        assert [row["userInput"] for row in wire.rows(one)] == [f"only {one}", "ok"]


def test_history_spans_sessions(make):
    wire = make("0.8", Script("ok"))
    for number in range(3):
        wire.turn(wire.session(), f"m{number}")

    def history(**query):
        return [row["userInput"] for row in wire.http.get("/api/messages/history", params=query).json()]

    assert sorted(history()) == ["m0", "m1", "m2"]
    assert len(history(limit=1)) == 1
    assert history(limit=2, offset=1) == history()[1:3]
    assert history(limit="x", offset=-1) == history(limit=0) == history(limit=-3) == history(limit=2**70) == history()


def test_q40_messages_of_unknown_sessions_are_an_empty_list(wire):
    reply = wire.http.get(f"/api/sessions/{NOBODY}/messages")
    assert (reply.status_code, reply.text) == (200, "[]\n")


def test_a_reader_during_a_turn_sees_all_of_it_so_far(make):
    gate = Gate()
    wire = make("0.8", Script(turn((Text("half of"), Wait(gate), Text(" it")))))
    session = wire.session()
    wire.post(session, "hi")
    assert gate.reached.wait(5)
    assert [row["userInput"] for row in wire.rows(session)] == ["hi", "half of"]
    gate.open()
    wire.server.wait_idle()
    assert wire.rows(session)[-1]["userInput"] == "half of it"


@pytest.mark.parametrize("path", ["messages", "export"])
def test_a_slow_agent_is_read_up_to_date(make, path):
    gate = Gate()

    class Slow:
        async def reply(self, request):
            yield Text("half")
            await gate.passed()

    wire = make("0.8", Slow())
    session = wire.session()
    wire.post(session, "hi")
    assert gate.reached.wait(5)
    assert "half" in wire.http.get(f"/api/sessions/{session}/{path}").text
    gate.open()


def test_words_of_the_message_ask_for_thinking(make):
    script = Script("ok", loop=True)
    wire = make("0.8", script)
    session = wire.session()
    for text, level, wanted in [
        ("hello", None, None),
        ("think about it", None, "basic"),
        ("Think hard", None, "medium"),
        ("ULTRATHINK", None, "maximum"),
        ("ultrathink", "off", "off"),
    ]:
        wire.post(session, text, thinking_level=level)
        wire.server.wait_idle()
        assert script.requests[-1].thinking_level == wanted, text


def test_the_agent_gets_the_conversation_and_the_prompt(make):
    script = Script(turn((use("Grep", {"pattern": "x"}, result="found"),), say("one")), "two")
    wire = make("0.5", script)
    session = wire.session(customSystemPrompt="Be brief.", promptMode="replace")
    wire.turn(session, "first")
    wire.turn(session, "second")
    request = script.requests[-1]
    assert (request.system_prompt, request.prompt_mode) == ("Be brief.", "replace")
    assert [(line.role, line.text) for line in request.lines] == [
        ("user", "first"),
        ("assistant", ""),
        ("tool", ""),
        ("assistant", "one"),
        ("user", "second"),
    ]
    assert request.lines[1].calls[0].name == request.lines[2].results[0].name == "Grep"
    assert request.lines[2].results[0].output == "found"
    assert "Task" not in request.tools
