"""The SDK's typed events of an emulator of Mix 0.8: whole turns, and what breaks the SDK's streams."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import httpx
import pytest
from mix_python_sdk import models
from pydantic import ValidationError

from langchain_mix.emulator import CutStream, DuplicateEvent, Faults, Gate, Script, UnknownEvent, say, think, turn, use
from langchain_mix.emulator.agents.base import Fail, Wait
from langchain_mix.emulator.tool_runs import DENIED

TYPES = {
    "complete": models.SSECompleteEvent,
    "content": models.SSEContentEvent,
    "error": models.SSEErrorEvent,
    "heartbeat": models.SSEHeartbeatEvent,
    "notification": models.SSENotificationEvent,
    "permission": models.SSEPermissionEvent,
    "session_created": models.SSESessionCreatedEvent,
    "session_deleted": models.SSESessionDeletedEvent,
    "thinking": models.SSEThinkingEvent,
    "tool_execution_complete": models.SSEToolExecutionCompleteEvent,
    "tool_execution_start": models.SSEToolExecutionStartEvent,
    "tool_use_parameter_delta": models.SSEToolUseParameterDeltaEvent,
    "tool_use_parameter_streaming_complete": models.SSEToolUseParameterStreamingCompleteEvent,
    "tool_use_start": models.SSEToolUseStartEvent,
    "user_message_created": models.SSEUserMessageCreatedEvent,
}
UNKNOWN = "7b1c0000-0000-4000-8000-000000000000"


def names(events) -> list[str]:
    return [event.event for event in events]


def only(events, name, **data):
    """The data of the one event of this name and these values."""
    found = [
        event.data
        for event in events
        if event.event == name and all(getattr(event.data, key) == value for key, value in data.items())
    ]
    assert len(found) == 1, f"{len(found)} {name} events"
    return found[0]


WRITE = use("Write", {"file_path": "plan.txt", "content": "1. <think> & act ✓"}, id="toolu_write")
ASK = use(
    "Notify",
    {
        "notification_type": "question",
        "title": "Colour",
        "message": "Which one?",
        "response_type": "choice",
        "choices": ["red", "blue"],
        "timeout": 20,
    },
    id="toolu_ask",
)
TASK = use("Task", {"description": "count files", "prompt": "Count them."}, id="toolu_task")
WHOLE = Script(
    turn(
        [think("First a plan, ", chunk=8), say("I write it. "), WRITE], ASK, TASK, [think("Done."), say("All done ✓")]
    ),
    subagent=[turn([think("Hm."), use("Glob", {"pattern": "*"}, id="toolu_glob")], say("One file."))],
)


async def test_a_whole_turn_is_typed_from_the_first_event_to_the_last(official):
    sdk = await official(WHOLE)
    session = await sdk.session()
    async with sdk.stream(session) as stream:
        sent = await sdk("messages.send", id=session, text="Go <on>")
        assert sent.status == "processing"
        heard = await stream.until("permission")
        permission = heard[-1].data
        await sdk("permissions.grant", id=permission.id)
        heard += await stream.until("notification")
        notice = heard[-1].data
        await sdk("notifications.respond_to_notification", id=notice.id, type_="choice", value="blue")
        heard += await stream.turn()
    await asyncio.to_thread(sdk.server.wait_idle)

    assert all(type(event) is TYPES[event.event] for event in heard)
    assert set(names(heard)) == TYPES.keys() - {"error", "heartbeat", "session_created", "session_deleted"}
    # Mix 0.8: ids count per connection, from `connected` on; every event has a retry time.
    assert [event.id for event in heard] == [str(number) for number in range(2, len(heard) + 2)]
    assert {event.retry for event in heard} == {30000}
    assert (permission.session_id, permission.tool_name) == (session, "Write")
    assert permission.parent_tool_call_id is None
    assert permission.path == str(sdk.server.state.files.workspace(session))
    assert (notice.session_id, notice.notification_type, notice.response_type) == (session, "question", "choice")
    assert (notice.title, notice.message, notice.choices, notice.timeout) == (
        "Colour",
        "Which one?",
        ["red", "blue"],
        20,
    )
    assert notice.created_at > 10**12  # Mix 0.8: milliseconds here, seconds in session_created.

    mine = [event for event in heard if getattr(event.data, "parent_tool_call_id", None) is None]
    theirs = [event for event in heard if getattr(event.data, "parent_tool_call_id", None) == "toolu_task"]
    assert len(mine) + len(theirs) == len(heard)
    assert names(mine)[0] == "user_message_created"
    assert mine[0].data.content == "Go <on>"
    assert names(mine)[-1] == "complete"
    for call, given in (("toolu_write", WRITE.input), ("toolu_ask", ASK.input), ("toolu_task", TASK.input)):
        started = only(mine, "tool_use_start", id=call)
        ready = only(mine, "tool_use_parameter_streaming_complete", id=call)
        deltas = [e.data.input for e in mine if e.event == "tool_use_parameter_delta" and e.data.tool_call_id == call]
        assert len(deltas) > 1
        assert "".join(deltas) == ready.input
        assert json.loads(ready.input) == given
        assert started.name == ready.name
        assert started.assistant_message_id == ready.assistant_message_id
        # §7.6: the names are empty on the server.
        assert only(mine, "tool_execution_start", tool_call_id=call).tool_name == ""
        ended = only(mine, "tool_execution_complete", tool_call_id=call)
        assert (ended.tool_name, ended.success) == ("", True)
        assert ended.progress.startswith(f"Completed {started.name} tool in ")
    end = mine[-1].data
    assert (end.content, end.reasoning, end.done) == ("All done ✓", "Done.", True)
    assert "".join(e.data.content for e in mine if e.event == "content") == "I write it. All done ✓"
    assert "".join(e.data.content for e in mine if e.event == "thinking") == "First a plan, Done."
    last = [e.data.assistant_message_id for e in mine if e.event == "content"][-1]
    assert last == end.message_id

    # §7.7: a sub-agent's `complete` never comes.
    assert names(theirs)[0] == "user_message_created"
    assert theirs[0].data.content == "Count them."
    assert "complete" not in names(theirs)
    assert only(theirs, "tool_execution_complete", tool_call_id="toolu_glob").success is True
    order = names(heard)
    assert order.index("permission") < order.index("tool_execution_complete")

    rows = await sdk("messages.list_session", id=session)
    results = {call.id: call.result for row in rows for call in row.tool_calls or ()}
    assert results["toolu_ask"] == "User response: blue"
    assert results["toolu_task"] == "One file."
    assert [row.role for row in rows] == ["user", *["assistant", "tool"] * 3, "assistant"]
    assert (sdk.server.state.files.workspace(session) / "plan.txt").read_text() == "1. <think> & act ✓"
    assert [s.id for s in await sdk("sessions.list")] == [session]
    child = next(s for s in await sdk("sessions.list", include_subagents=True) if s.id != session)
    assert (child.session_type, child.subagent_type, child.parent_session_id, child.parent_tool_call_id) == (
        "subagent",
        "general-purpose",
        session,
        "toolu_task",
    )
    assert child.title == "Subagent: count f..."


async def test_a_denied_tool_fails_and_the_turn_goes_on(official):
    sdk = await official(Script(turn(WRITE, say("As you like."))))
    session = await sdk.session()
    async with sdk.stream(session) as stream:
        await sdk("messages.send", id=session, text="Go")
        asked = (await stream.until("permission"))[-1].data
        await sdk("permissions.deny", id=asked.id)
        heard = await stream.turn()
    done = only(heard, "tool_execution_complete")
    assert done.success is False
    assert done.progress.endswith(": permission denied")
    assert heard[-1].data.content == "As you like."
    called = (await sdk("messages.list_session", id=session))[1]
    assert called.tool_calls[0].result == DENIED


async def test_a_subagent_asks_on_its_own_stream(official):
    # §7.7, Mix: whoever watches the parent alone never hears the question.
    sdk = await official(Script(turn(TASK, say("Done.")), subagent=[turn(WRITE, say("Written."))]))
    session = await sdk.session()
    async with sdk.stream(session) as parent:
        await sdk("messages.send", id=session, text="Go")
        await parent.until("tool_execution_start")
        await parent.until("user_message_created")
        child = next(s for s in await sdk("sessions.list", include_subagents=True) if s.id != session)
        assert child.parent_tool_call_id == "toolu_task"
        heard = await parent.until("tool_execution_start")
        assert "permission" not in names(heard)
        await sdk("sessions.cancel_processing", id=session)
        heard = await parent.turn()
    assert heard[-1].data.error == "request cancelled by user"


async def test_two_streams_of_a_session_hear_the_same(official):
    sdk = await official(Script("Hello there, both of you."))
    session = await sdk.session()
    async with sdk.stream(session) as one, sdk.stream(session, last_event_id="7") as two:
        await sdk("messages.send", id=session, text="Hi")
        # §6.1: Last-Event-ID changes nothing.
        assert await one.turn() == await two.turn()


async def test_two_turns_share_a_stream_and_callbacks_leave_rows(official):
    looking = use("Glob", {"pattern": "*"}, id="toolu_glob")
    # The callback's message is a user row, so that the script goes on with its next turn there.
    sdk = await official(Script(turn(looking), "One.", "Two."))
    callbacks = [
        models.Callback(tool_name="*", type="bash_script", bash_command="make", name="build"),
        models.Callback(tool_name="Glob", type="send_message", message_content="Seen."),
    ]
    session = await sdk.session(callbacks=callbacks)
    ends: list[str] = []
    async with sdk.stream(session) as stream:
        for text in ("first", "second"):
            await sdk("messages.send", id=session, text=text)
            heard = await stream.turn()
            assert heard[0].data.content == text
            ends.append(heard[-1].data.content)
    assert ends == ["One.", "Two."]
    rows = await sdk("messages.list_session", id=session)
    (result,) = next(row.callback_results for row in rows if row.callback_results)
    assert (result.callback_type, result.callback_name, result.tool_call_id) == ("bash_script", "build", "toolu_glob")
    # The emulator never executes a script.
    assert (result.success, result.exit_code, result.error) == (False, 126, "not executed")
    assert result.stderr.endswith("make")
    assert "Seen." in [row.user_input for row in rows if row.role == "user"]


async def test_parallel_tools_are_told_apart_by_their_ids(official):
    gate = Gate()
    slow = use("Glob", {"pattern": "a"}, id="T1", result="slow", until=gate)
    fast = use("Grep", {"pattern": "b"}, id="T2", result="fast")
    sdk = await official(Script(turn([slow, fast], say("Both."))))
    session = await sdk.session()
    async with sdk.stream(session) as stream:
        await sdk("messages.send", id=session, text="Go")
        heard = await stream.until("tool_execution_complete")
        gate.open()
        heard += await stream.turn()
    assert [e.data.tool_call_id for e in heard if e.event == "tool_execution_complete"] == ["T2", "T1"]
    called = (await sdk("messages.list_session", id=session))[1]
    assert [(call.id, call.result) for call in called.tool_calls] == [("T1", "slow"), ("T2", "fast")]


async def test_sessions_are_announced_on_every_stream(official):
    sdk = await official()
    async with sdk.stream(await sdk.session()) as stream:
        other = await sdk.session("Ännounced <all>")
        created = await stream.next()
        assert type(created) is models.SSESessionCreatedEvent
        assert (created.data.session_id, created.data.title) == (other, "Ännounced <all>")
        assert created.data.created_at < 10**11
        await sdk("sessions.delete", id=other)
        deleted = await stream.next()
        assert type(deleted) is models.SSESessionDeletedEvent
        assert deleted.data.session_id == other


async def test_a_heartbeat_is_typed(official):
    sdk = await official(heartbeat=0.05)
    async with sdk.stream(await sdk.session()) as stream:
        beat = await stream.next()
        assert type(beat) is models.SSEHeartbeatEvent
        assert (beat.data.type, beat.retry) == ("ping", 45000)


@pytest.mark.parametrize(
    ("reply", "options", "text"),
    [
        (Fail("failed to process events: overloaded"), {}, "failed to process events: overloaded"),
        (use("Glob", {"pattern": "*"}), {"max_steps": 1}, "maximum iteration limit (1 steps) reached"),
    ],
)
async def test_a_failed_turn_ends_in_two_errors(official, reply, options, text):
    # §6.6.
    sdk = await official(Script(turn(reply)))
    session = await sdk.session()
    async with sdk.stream(session) as stream:
        await sdk("messages.send", id=session, text="Go", **options)
        failures = [(await stream.turn())[-1], await stream.next()]
    assert all(type(event) is models.SSEErrorEvent for event in failures)
    assert [(event.data.error, event.retry) for event in failures] == [(text, 750)] * 2


async def test_a_cancelled_turn_ends_in_two_errors(official):
    gate = Gate()
    sdk = await official(Script(turn(["Begun. ", Wait(gate), "Never said."])))
    session = await sdk.session()
    async with sdk.stream(session) as stream:
        await sdk("messages.send", id=session, text="Go")
        await stream.until("content")
        assert await asyncio.to_thread(gate.reached.wait, 10)
        await sdk("sessions.cancel_processing", id=session)
        failures = [await stream.next(), await stream.next()]
    assert [event.data.error for event in failures] == ["request cancelled by user"] * 2
    exported = (await sdk("sessions.export_session", id=session)).result
    assert (exported.messages[-1].content, exported.messages[-1].finish_reason) == ("Begun. ", "canceled")


async def test_a_missing_credential_is_an_error_event(official):
    sdk = await official(auth_required=True)
    session = await sdk.session()
    async with sdk.stream(session) as stream:
        with pytest.raises(Exception, match="API error occurred"):
            await sdk("messages.send", id=session, text="Go")
        error = await stream.next()
    assert type(error) is models.SSEErrorEvent
    assert error.data.error.startswith("⚠️ Not authenticated with ")


async def test_the_stream_of_an_unknown_session_is_one_error_and_the_end(official):
    # §16: the documents say 404.
    sdk = await official()
    with pytest.raises(AssertionError, match="connected"):
        async with sdk.stream(UNKNOWN):
            pytest.fail("the stream is open")
    response = await sdk("streaming.stream_events", session_id=UNKNOWN)
    if sdk.is_async:
        events = [event async for event in response.result]
    else:
        events = await asyncio.to_thread(list, response.result)
    assert [type(event) for event in events] == [models.SSEErrorEvent]
    assert (events[0].id, events[0].data.error, events[0].retry) == ("1", f"Invalid session ID: {UNKNOWN}", 750)


async def test_an_empty_refusal_is_more_than_the_sdk_can_report(official):
    # §15.7: GET /stream without a session is an empty 400; the SDK looks at its text before reading it.
    sdk = await official()
    with pytest.raises(httpx.ResponseNotRead):
        await sdk("streaming.stream_events", session_id="")
    assert sdk.server.requests[-1].status == 400


@pytest.mark.parametrize(
    ("agent", "faults", "name"),
    [
        (Script(turn(Fail("rate_limit_error: slow down", "rate_limit"))), (), "rate_limit_error"),
        (Script("Hello"), (UnknownEvent(before="complete"),), "from_the_future"),
    ],
)
async def test_an_unknown_event_kills_the_stream(official, agent, faults, name):
    # §15.3, Mix: the SDK's union of events is closed, so that even the server's own rate_limit_error breaks it.
    sdk = await official(agent, faults=Faults(*faults))
    session = await sdk.session()
    async with sdk.stream(session) as stream:
        await sdk("messages.send", id=session, text="Go")
        with pytest.raises(ValidationError, match=name):
            await stream.turn()
        with pytest.raises(EOFError):
            await stream.next()
    # What the SDK did not hear of has happened nevertheless.
    await asyncio.to_thread(sdk.server.wait_idle)
    assert (await sdk("messages.list_session", id=session))[0].user_input == "Go"


async def test_repeated_events_and_a_cut_are_seen_as_they_are(official):
    sdk = await official(
        Script(turn(say("one two three four", chunk=4))), faults=Faults(DuplicateEvent(event="complete"))
    )
    session = await sdk.session()
    async with sdk.stream(session) as stream:
        await sdk("messages.send", id=session, text="Go")
        heard = [*await stream.turn(), await stream.next()]
    assert Counter(names(heard))["complete"] == 2
    sdk.server.faults.add(CutStream(after=2, on="turn"))
    async with sdk.stream(session) as stream:
        await sdk("messages.send", id=session, text="Go")
        with pytest.raises(httpx.RemoteProtocolError):
            await stream.turn()
