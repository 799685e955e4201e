"""Whole turns as streams hear them: transcripts A to I of the protocol, per generation."""

from __future__ import annotations

import json

import pytest

from langchain_mix.emulator import Gate, Script, say, think, turn, use
from langchain_mix.emulator.agents.base import Fail, Raw, Text, ToolUse, Usage, Wait

ALL = ("0.5", "0.6", "0.6.5", "0.7", "0.8", "next")
TWICE = ("0.6.5", "0.7", "0.8", "next")
LOGIN = "⚠️ Authentication required. Please use the /login command to authenticate with Claude API key."


def names(heard):
    return [event.name for event in heard]


def squeezed(heard):
    """Names without repetition of the same one."""
    found = names(heard)
    return [name for i, name in enumerate(found) if i == 0 or found[i - 1] != name]


def bash(**more):
    return ToolUse(name="Bash", input={"command": "make"}, id="T1", result="ok", **more)


@pytest.mark.parametrize("api", ALL)
def test_a_plain_turn(make, api):
    wire = make(api, Script(turn((*think("Let me see."), *say("Hello <world> & all")))))
    session = wire.session()
    heard = wire.turn(session)
    start = ["user_message_created"] if api in {"0.7", "0.8", "next"} else []
    assert squeezed(heard) == [*start, "thinking", "content", "complete"]
    assert "".join(e.data["content"] for e in heard if e.name == "content") == "Hello <world> & all"
    end = heard[-1].data
    rows = wire.rows(session)
    assert end == {
        "type": "complete",
        "content": "Hello <world> & all",
        "messageId": rows[-1]["id"],
        "done": True,
        "reasoning": "Let me see.",
    }
    assert list(end) == ["type", "content", "messageId", "done", "reasoning"]
    for event in heard:
        if event.name in {"content", "thinking"}:
            assert event.data.get("assistantMessageId") == (rows[-1]["id"] if start else None)
    if start:
        assert heard[0].data == {"type": "user_message_created", "messageId": rows[0]["id"], "content": "go"}
    assert [row["role"] for row in rows] == ["user", "assistant"]
    assert rows[1]["reasoning"] == "Let me see."


@pytest.mark.parametrize("api", ["0.8", "next"])
def test_a_transcript_a_one_tool_and_a_grant(make, api):
    wire = make(api, Script(turn((Text("Sure. "), bash(ask=True)), say("Done."))))
    session = wire.session()
    stream = wire.open(session)
    wire.post(session, "list files")
    heard = stream.until("permission")
    assert names(heard) == [
        "user_message_created",
        "content",
        "tool_use_start",
        "tool_use_parameter_delta",
        "tool_use_parameter_streaming_complete",
        "tool_execution_start",
        "permission",
    ]
    origin = heard[1].data["assistantMessageId"]
    assert heard[2].data == {"type": "tool_use_start", "name": "Bash", "id": "T1", "assistantMessageId": origin}
    assert heard[3].data["input"] == '{"command":"make"}'
    assert heard[4].data["input"] == '{"command":"make"}'
    assert list(heard[4].data) == ["type", "name", "input", "id", "assistantMessageId"]
    assert heard[5].data == {
        "type": "tool_execution_start",
        "toolName": "",
        "progress": "Executing Bash tool",
        "toolCallId": "T1",
    }
    ask = heard[6].data
    assert list(ask) == ["type", "id", "sessionId", "toolName", "description", "action", "path", "params"]
    assert ask["sessionId"] == session
    assert ask["toolName"] == "Bash"
    assert ask["action"].startswith("Execute command: ")
    reply = wire.http.post(f"/api/permissions/{ask['id']}/grant")
    assert (reply.status_code, reply.text) == (
        200,
        f'{{"status":"granted","id":"{ask["id"]}","message":"Permission granted successfully"}}\n',
    )
    heard = stream.turn()
    assert names(heard) == ["tool_execution_complete", "content", "complete"]
    done = heard[0].data
    assert done["success"] is True
    assert done["toolName"] == ""
    assert done["progress"].startswith("Completed Bash tool in ")
    assert heard[2].data["content"] == "Done."
    rows = wire.rows(session)
    assert [row["role"] for row in rows] == ["user", "assistant", "tool", "assistant"]
    assert rows[1]["toolCalls"][0]["result"] == "ok"
    assert rows[2]["userInput"] == ""
    assert rows[3]["id"] == heard[1].data["assistantMessageId"] != origin
    facts = wire.get(session)
    assert (facts["userMessageCount"], facts["assistantMessageCount"], facts["toolCallCount"]) == (1, 2, 1)


def test_b_the_same_turn_on_0_7_has_snapshots_and_quoted_deltas_q7_q8(make):
    wire = make("0.7", Script(turn((Text("Sure. "), bash(ask=False)), say("Done."))))
    heard = wire.turn(wire.session())
    assert names(heard) == [
        "user_message_created",
        "content",
        "tool",
        "tool_parameter_delta",
        "tool",
        "tool_execution_start",
        "tool_execution_complete",
        "content",
        "complete",
    ]
    running, delta, ready = heard[2].data, heard[3].data, heard[4].data
    assert (running["name"], running["input"], running["status"]) == ("Bash", "", "running")
    assert json.loads(delta["input"]) == '{"command":"make"}'
    assert (ready["input"], ready["status"]) == ('{"command":"make"}', "completed")
    assert list(ready) == ["type", "name", "input", "id", "status", "assistantMessageId"]


def test_c_the_same_turn_on_0_5_names_the_tool(make):
    wire = make("0.5", Script(turn((Text("Sure. "), bash(ask=False)), say("Done."))))
    session = wire.session()
    heard = wire.turn(session)
    assert squeezed(heard) == [
        "content",
        "tool",
        "tool_execution_start",
        "tool_execution_complete",
        "tool",
        "content",
        "complete",
    ]
    assert [e.data["toolName"] for e in heard if e.name.startswith("tool_execution")] == ["bash", "bash"]
    assert all("assistantMessageId" not in e.data for e in heard)
    call = wire.rows(session)[1]["toolCalls"][0]
    assert call["name"] == "bash"
    assert "result" not in call


@pytest.mark.parametrize("api", ["0.6", "0.6.5"])
def test_on_0_6_all_snapshots_come_again_after_the_tools_q7(make, api):
    uses = (ToolUse(name="Glob", id="T1", result="a"), ToolUse(name="Grep", id="T2", result="b"))
    wire = make(api, Script(turn(uses, say("Done."))))
    events = wire.turn(wire.session())
    first = [e.data["status"] for e in events if e.name == "tool" and e.data["id"] == "T1"]
    assert first == ["running", "completed", "completed", "completed", "completed"]
    assert {e.data["toolName"] for e in events if e.name.startswith("tool_execution")} == {""}
    deltas = [e for e in events if e.name == "tool_parameter_delta"]
    assert bool(deltas) == (api == "0.6.5")


@pytest.mark.parametrize("api", ALL)
def test_d_a_failing_turn_q1(make, api):
    wire = make(api, Script(turn((Text("Well, "), Fail("failed to process events: X")))))
    session = wire.session()
    stream = wire.open(session)
    answer = wire.start(session, "go")
    heard = stream.turn()
    answer = answer.result(10)
    heard += stream.rest()
    errors = [e.data for e in heard if e.name == "error"]
    assert errors == [{"error": "failed to process events: X"}] * (2 if api in TWICE else 1)
    assert "complete" not in names(heard)
    assert heard[-1].retry == 750
    if api == "0.6":
        assert answer.status_code == 500
        assert answer.json()["error"]["message"] == (
            "Internal error during agent processing: failed to process events: X"
        )
    rows = wire.rows(session)
    assert [row["userInput"] for row in rows] == ["go", "Well, "]
    exported = wire.http.get(f"/api/sessions/{session}/export").json()["messages"]
    assert exported[1]["finishReason"] == "error"


@pytest.mark.parametrize("api", ALL)
def test_e_a_cancelled_turn(make, api):
    gate = Gate()
    wire = make(api, Script(turn((Text("Half"), Wait(gate), Text("never")))))
    session = wire.session()
    stream = wire.open(session)
    wire.start(session, "go")
    stream.until("content")
    assert gate.reached.wait(5)
    reply = wire.http.post(f"/api/sessions/{session}/cancel")
    assert reply.json() == {"sessionId": session, "status": "cancelled"}
    heard = stream.turn() + stream.rest()
    assert [e.data["error"] for e in heard] == ["request cancelled by user"] * (2 if api in TWICE else 1)
    rows = wire.rows(session)
    assert [row["userInput"] for row in rows] == ["go", "Half"]
    exported = wire.http.get(f"/api/sessions/{session}/export").json()["messages"]
    assert exported[1]["finishReason"] == "canceled"


def test_f_two_tools_run_in_parallel_and_are_stored_in_call_order(make):
    slow = Gate()
    uses = (
        ToolUse(name="Glob", id="T1", result="first", until=slow),
        ToolUse(name="Grep", id="T2", result="second"),
    )
    wire = make("0.8", Script(turn(uses, say("Done."))))
    session = wire.session()
    stream = wire.open(session)
    wire.post(session, "go")
    heard = stream.until("tool_execution_complete")
    assert [(e.name, e.data["toolCallId"]) for e in heard if e.name.startswith("tool_execution")] == [
        ("tool_execution_start", "T1"),
        ("tool_execution_start", "T2"),
        ("tool_execution_complete", "T2"),
    ]
    slow.open()
    assert stream.turn()[0].data["toolCallId"] == "T1"
    calls = wire.rows(session)[1]["toolCalls"]
    assert [(c["id"], c["result"], c["finished"]) for c in calls] == [("T1", "first", True), ("T2", "second", True)]


@pytest.mark.parametrize("api", ["0.7", "0.8"])
def test_g_a_sub_agents_events_are_on_its_parents_stream(make, api):
    task = ToolUse(name="Task", id="T", input={"description": "count", "prompt": "Count to two."})
    script = Script(turn((task,), say("They counted.")), subagent=(turn(say("one two")),))
    wire = make(api, script)
    session = wire.session()
    heard = wire.turn(session)
    inner = [e for e in heard if e.data.get("parentToolCallId") == "T"]
    assert squeezed(inner) == ["user_message_created", "content"]
    assert inner[0].data["content"] == "Count to two."
    assert [e.name for e in heard if e.name in {"complete", "session_created"}] == ["complete"]
    ends = [e for e in heard if e.name == "tool_execution_complete"]
    assert [(e.data["toolCallId"], e.data["success"]) for e in ends] == [("T", True)]
    assert heard.index(ends[0]) > heard.index(inner[-1])
    listed = wire.http.get("/api/sessions", params={"includeSubagents": "true"}).json()
    child = next(one for one in listed if one["sessionType"] == "subagent")
    assert (child["parentSessionId"], child["parentToolCallId"]) == (session, "T")
    assert child["subagentType"] == "general-purpose"
    assert child["title"].startswith("Subagent: count"[:17])
    assert child["id"] not in [one["id"] for one in wire.http.get("/api/sessions").json()]
    assert wire.server.state.rows.of(session)[2].tool_results[0]["output"] == "one two"


@pytest.mark.parametrize("api", ["0.6.5", "0.7", "0.8", "next"])
def test_h_no_credentials_is_an_error_event_and_a_401(make, api):
    wire = make(api, auth_required=True)
    session = wire.session()
    stream = wire.open(session)
    reply = wire.post(session, "go")
    text = wire.server.state.credentials.help_text()
    assert text.startswith("⚠️ Not authenticated with Anthropic (Claude) (your preferred provider)")
    assert reply.status_code == 401
    assert reply.json() == {"error": {"code": 401, "message": text, "type": "unauthorized"}}
    assert [(e.name, e.data) for e in stream.rest()] == [("error", {"error": text})]
    assert wire.post(session, "/help").status_code == 401
    assert wire.post("00000000-0000-4000-8000-000000000000", "x").status_code == 401


@pytest.mark.parametrize("api", ALL)
def test_i_a_stream_of_an_unknown_session(make, api):
    reply = make(api).http.get("/stream", params={"sessionId": "x"})
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/event-stream"
    assert reply.text == 'id: 1\nevent: error\ndata: {"error":"Invalid session ID: x"}\nretry: 750\n\n'


@pytest.mark.parametrize("api", ALL)
def test_q2_a_rate_limit_has_an_event_of_its_own_before_the_error(make, api):
    wire = make(api, Script(turn((Fail("429 rate_limit_error: slow down", "rate_limit"),))))
    session = wire.session()
    stream = wire.open(session)
    wire.start(session, "go")
    heard = [e for e in stream.turn() + stream.rest() if "error" in e.name]
    assert names(heard) == ["rate_limit_error", "error"]
    assert heard[0].data["retryAfter"] == 60
    assert heard[0].data["maxAttempts"] == 8
    assert heard[0].retry == 30000
    assert heard[1].data == {"error": "429 rate_limit_error: slow down"}


@pytest.mark.parametrize("api", ["0.5", "0.6", "0.8"])
def test_a_401_of_the_provider(make, api):
    wire = make(api, Script(turn((Fail("POST /v1/messages: 401 Unauthorized", "auth"),))))
    session = wire.session()
    stream = wire.open(session)
    answer = wire.start(session, "go")
    heard = [e.data["error"] for e in stream.turn() + stream.rest() if e.name == "error"]
    if api == "0.5":
        assert heard[0].startswith("Authentication failed: Not logged in or token expired.")
    else:
        assert heard[0] == "POST /v1/messages: 401 Unauthorized"
        assert heard[1:] == ([LOGIN] if api == "0.8" else [])
    if api == "0.6":
        assert answer.result(5).json()["id"] == "system-auth-prompt"


def test_q4_success_goes_by_words(make):
    uses = (
        ToolUse(name="error_counter", id="T1", result="fine"),
        ToolUse(name="Glob", id="T2", failure="disk on fire"),
    )
    wire = make("0.8", Script(turn(uses, say("Done."))))
    session = wire.session()
    ends = {e.data["toolCallId"]: e.data for e in wire.turn(session) if e.name == "tool_execution_complete"}
    assert ends["T1"]["progress"].startswith("Completed error_counter tool in")
    assert ends["T1"]["success"] is False
    assert ends["T2"]["progress"].startswith("Failed Glob tool after ")
    assert ends["T2"]["progress"].endswith(": disk on fire")
    assert ends["T2"]["success"] is False
    results = wire.server.state.rows.of(session)[2].tool_results
    assert [(r["output"], r["is_error"]) for r in results] == [("fine", False), ("", False)]


def test_an_unknown_tool_has_no_execution_events(make):
    wire = make("0.8", Script(turn((use("Levitate", {}),), say("Done."))))
    session = wire.session()
    heard = wire.turn(session)
    assert not [e for e in heard if e.name.startswith("tool_execution")]
    call = wire.rows(session)[1]["toolCalls"][0]
    assert (call["result"], call["isError"]) == ("Tool not found: Levitate", True)
    assert call["id"].startswith("toolu_fake_")


def test_tool_inputs_come_in_fragments_of_20_bytes(make):
    text = "grün " * 20
    wire = make("0.8", Script(turn((ToolUse(name="TodoWrite", input={"x": text}, id="T", result=""),), say("."))))
    heard = wire.turn(wire.session())
    pieces = [e.data["input"] for e in heard if e.name == "tool_use_parameter_delta"]
    assert max(len(piece.encode()) for piece in pieces) <= 20
    assert json.loads("".join(pieces)) == {"x": text}


def test_broken_arguments_go_out_as_they_are(make):
    wire = make("0.8", Script(turn((ToolUse(name="Glob", raw_input='{"pattern": "*', id="T", result=""),), say("."))))
    session = wire.session()
    heard = wire.turn(session)
    ready = next(e for e in heard if e.name == "tool_use_parameter_streaming_complete")
    assert ready.data["input"] == '{"pattern": "*'
    assert wire.rows(session)[1]["toolCalls"][0]["input"] == '{"pattern": "*'


@pytest.mark.parametrize(("steps", "fails"), [(1, True), (2, False), (0, False), (-1, False)])
def test_the_step_limit(make, steps, fails):
    wire = make("0.8", Script(turn((use("Glob", {}, result="a"),), say("Done."))))
    session = wire.session()
    heard = wire.turn(session, max_steps=steps)
    errors = [e.data["error"] for e in heard if e.name == "error"]
    assert errors == (["maximum iteration limit (1 steps) reached"] * 2 if fails else [])


def test_q34_the_reminder_of_plan_mode_is_stored_and_echoed(make):
    script = Script(turn((use("Write", {"file_path": "a", "content": "b"}),), say("No.")))
    wire = make("0.8", script)
    session = wire.session()
    heard = wire.turn(session, "plan it", plan_mode=True)
    assert heard[0].data["content"].startswith("plan it\n\n<system-reminder>")
    rows = wire.rows(session)
    assert rows[0]["userInput"] == heard[0].data["content"]
    assert rows[1]["toolCalls"][0]["result"] == "Tool not found: Write"
    assert "Write" not in script.requests[0].tools
    assert "Grep" in script.requests[0].tools


def test_q9_two_turns_of_a_session_forward_each_others_events(make):
    gate = Gate()
    script = Script(turn((Text("one"), Wait(gate), Text("more"))), turn(say("two")))
    wire = make("0.8", script)
    session = wire.session()
    stream = wire.open(session)
    assert wire.post(session, "a").status_code == 202
    stream.until("content")
    assert wire.post(session, "b").status_code == 202
    heard = stream.until("complete")
    assert names(heard) == ["user_message_created"] * 2 + ["content"] * 2 + ["complete"]
    gate.open()
    assert names(stream.turn()) == ["content", "complete"]


def test_cancel_reaches_the_latest_turn_only_q9(make):
    first, second = Gate(), Gate()
    wire = make("0.8", Script(turn((Wait(first), Text("one"))), turn((Wait(second), Text("two")))))
    session = wire.session()
    stream = wire.open(session)
    wire.post(session, "a")
    assert first.reached.wait(5)
    wire.post(session, "b")
    assert second.reached.wait(5)
    wire.http.post(f"/api/sessions/{session}/cancel")
    wire.server.wait_until(lambda: wire.server.turns == 1)
    first.open()
    assert stream.until("complete")[-1].data["content"] == "one"


def test_usage_is_ten_and_twenty_by_default(make):
    wire = make(
        "0.8", Script(turn(say("a")), turn((Text("b"), Usage(input_tokens=7, output_tokens=9, cost=0.5, model="m"))))
    )
    session = wire.session()
    wire.turn(session)
    wire.turn(session)
    rows = [row for row in wire.rows(session) if row["role"] == "assistant"]
    assert (rows[0]["inputTokens"], rows[0]["outputTokens"]) == (10, 20)
    assert (rows[1]["inputTokens"], rows[1]["outputTokens"], rows[1]["cost"], rows[1]["model"]) == (7, 9, 0.5, "m")
    facts = wire.get(session)
    assert (facts["promptTokens"], facts["completionTokens"], facts["cost"]) == (7, 9, 0.5)


def test_raw_events_go_out_as_they_are(make):
    wire = make("0.8", Script(turn((Raw("novelty", {"x": 1}), Text("a")))))
    heard = wire.turn(wire.session())
    assert heard[1].name == "novelty"
    assert heard[1].data == {"x": 1}


def test_an_empty_answer_has_no_content_in_complete(make):
    wire = make("0.8", Script(turn((Text(""),))))
    heard = wire.turn(wire.session())
    assert names(heard) == ["user_message_created", "complete"]
    assert "content" not in heard[-1].data


def test_lone_surrogates_become_replacement_characters(make):
    wire = make("0.8", Script(turn((Text("a\ud800b"),))))
    session = wire.session()
    assert wire.turn(session)[-1].data["content"] == "a\ufffdb"
    assert wire.rows(session)[1]["userInput"] == "a\ufffdb"


def test_an_agent_that_breaks_ends_the_turn_with_an_error(make, caplog):
    class Broken:
        async def reply(self, request):
            yield Text("so far")
            raise RuntimeError("no idea")

    wire = make("0.8", Broken())
    session = wire.session()
    heard = wire.turn(session)
    assert [e.data["error"] for e in heard if e.name == "error"] == ["failed to process events: no idea"] * 2
    assert "no idea" in caplog.text


def test_messages_to_a_sub_agents_session_are_on_the_parents_stream(make):
    task = ToolUse(name="Task", id="T", input={"description": "d", "prompt": "p"})
    wire = make("0.8", Script(turn((task,), say("Done.")), subagent=(turn(say("inner")), turn(say("again")))))
    session = wire.session()
    wire.turn(session)
    child = next(
        s for s in wire.http.get("/api/sessions?includeSubagents=true").json() if s["sessionType"] == "subagent"
    )
    own, parent = wire.open(child["id"]), wire.open(session)
    assert wire.post(child["id"], "once more").status_code == 202
    heard = parent.rest()
    assert names(heard)[0] == "user_message_created"
    assert {e.data.get("parentToolCallId") for e in heard} == {"T"}
    assert own.rest() != heard
    assert not [e for e in own.rest() if e.name == "content"]


def test_cancelling_a_parent_cancels_its_sub_agents(make):
    gate = Gate()
    task = ToolUse(name="Task", id="T", input={"description": "d", "prompt": "p"})
    wire = make("0.8", Script(turn((task,), say("Done.")), subagent=(turn((Text("inner"), Wait(gate))),)))
    session = wire.session()
    stream = wire.open(session)
    wire.post(session, "go")
    assert gate.reached.wait(5)
    assert wire.server.turns == 2
    wire.http.post(f"/api/sessions/{session}/cancel")
    heard = stream.turn() + stream.rest()
    mine = [e.data for e in heard if e.name == "error" and "parentToolCallId" not in e.data]
    assert mine == [{"error": "request cancelled by user"}] * 2
    assert wire.server.turns == 0


def test_a_sub_agent_that_fails_fails_its_task(make):
    task = ToolUse(name="Task", id="T", input={"description": "d", "prompt": "p"})
    wire = make("0.8", Script(turn((task,), say("Done.")), subagent=(turn((Fail("no luck"),)),)))
    session = wire.session()
    heard = wire.turn(session)
    end = next(e for e in heard if e.name == "tool_execution_complete")
    assert end.data["progress"].startswith("Failed Task tool after")
    assert end.data["success"] is False
    assert heard[-1].name == "complete"
    assert wire.server.state.rows.of(session)[2].tool_results[0] == {
        "call_id": "T",
        "name": "Task",
        "output": "",
        "is_error": False,
    }
