"""Updates as events."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from langchain_mix.client import StreamEvent
from langchain_mix.client.helpers import complete_event, error_event, event_of
from langchain_mix.client.updates import (
    Accepted,
    Message,
    NotificationReceived,
    PermissionRequested,
    Progress,
    SubagentUpdate,
    TextDelta,
    TextRestated,
    ThinkingDelta,
    ToolCallDelta,
    ToolCalled,
    ToolCallStarted,
    ToolFinished,
    ToolOutput,
    ToolRunning,
    TurnResult,
    Update,
)
from langchain_mix.protocol.events import SSENotificationEventData, SSEPermissionEventData

PERMISSION = SSEPermissionEventData(id="P", tool_name="Write")
NOTIFICATION = SSENotificationEventData(id="N", message="Which?")

CASES: list[tuple[Any, str, dict[str, Any]]] = [
    (Accepted("M1"), "user_message_created", {"message_id": "M1", "type": "user_message_created"}),
    (ThinkingDelta("M2", "Hm."), "thinking", {"content": "Hm.", "assistant_message_id": "M2", "type": "thinking"}),
    (TextDelta("M2", "Hi"), "content", {"content": "Hi", "assistant_message_id": "M2", "type": "content"}),
    (TextDelta("", "Hi"), "content", {"content": "Hi", "assistant_message_id": None}),
    (TextRestated("M2", "all"), "text_restated", {"content": "all", "assistant_message_id": "M2"}),
    (ToolCalled("T", "Glob", "{}", "M2"), "tool", {"id": "T", "name": "Glob", "input": "{}", "status": "completed"}),
    (
        ToolRunning("T", "Glob", "go"),
        "tool_execution_start",
        {"tool_call_id": "T", "tool_name": "Glob", "progress": "go"},
    ),
    (
        ToolFinished("T", "Glob", False, "bad"),
        "tool_execution_complete",
        {"tool_call_id": "T", "tool_name": "Glob", "progress": "bad", "success": False},
    ),
    (ToolOutput("T", "out", True), "tool_output", {"id": "T", "output": "out", "is_error": True}),
    (PermissionRequested(PERMISSION), "permission", {"id": "P", "tool_name": "Write"}),
    (NotificationReceived(NOTIFICATION), "notification", {"id": "N", "message": "Which?"}),
    (
        Progress("rate_limit", {"error": "slow down", "retryAfter": 60}),
        "rate_limit",
        {"error": "slow down", "retry_after": 60},
    ),
    (SubagentUpdate("K", TextDelta("M", "in")), "subagent_content", {"content": "in", "parent_tool_call_id": "K"}),
    (SubagentUpdate("K", ThinkingDelta("M", "in")), "subagent_thinking", {"parent_tool_call_id": "K"}),
    (SubagentUpdate("K", Accepted("M")), "subagent_user_message_created", {"parent_tool_call_id": "K"}),
    (SubagentUpdate("K", ToolCalled("T", "Glob", "{}", "")), "tool", {"name": "Glob", "parent_tool_call_id": "K"}),
    (SubagentUpdate("K", ToolRunning("T", "Glob", "")), "tool_execution_start", {"parent_tool_call_id": "K"}),
    (SubagentUpdate("K", Progress("subagent_error", {"error": "no"})), "subagent_error", {"error": "no"}),
]


@pytest.mark.parametrize(("update", "kind", "fields"), CASES)
def test_an_update_is_an_event(update: Any, kind: str, fields: dict[str, Any]) -> None:
    event = event_of(update)
    assert event is not None
    assert event.type == kind
    assert {name: getattr(event.data, name) for name in fields} == fields


def test_news_keep_their_own_name() -> None:
    assert event_of(Progress("from_the_future", {"data": 1})) == StreamEvent("from_the_future", {"data": 1})


def test_arguments_being_written_are_no_event() -> None:
    assert event_of(ToolCallStarted("T", "Glob", "M")) is None
    assert event_of(ToolCallDelta("T", "{")) is None
    assert event_of(SubagentUpdate("K", ToolCallDelta("T", "{"))) is None


def test_no_kind_of_update_is_forgotten() -> None:
    seen = {type(update) for update, _, _ in CASES} | {ToolCallStarted, ToolCallDelta}
    assert seen == set(get_args(Update))


def test_shortcuts() -> None:
    text, thought, tool = (
        event_of(u) for u in (TextDelta("", "a"), ThinkingDelta("", "b"), ToolCalled("T", "Glob", "{}", ""))
    )
    assert text and thought and tool  # noqa: PT018
    assert (text.content, text.thinking, text.tool_name) == ("a", None, None)
    assert (thought.content, thought.thinking, thought.tool_name) == (None, "b", None)
    assert (tool.content, tool.thinking, tool.tool_name) == (None, None, "Glob")
    nested = event_of(SubagentUpdate("K", TextDelta("", "a")))
    assert nested is not None
    assert nested.content is None, "a sub-agent's text is no part of the answer"


def test_ends() -> None:
    messages = [Message(id="M1", text="first"), Message(id="M2", text="last", thinking="Hm.")]
    end = complete_event(TurnResult(session_id="S", messages=messages, reasoning_duration=2.5))
    assert (end.type, end.data.content, end.data.message_id) == ("complete", "last", "M2")
    assert (end.data.reasoning, end.data.reasoning_duration, end.data.done) == ("Hm.", 2.5, True)
    assert complete_event(TurnResult(session_id="S")).data.content == ""
    failed = error_event("no")
    assert (failed.type, failed.data.error) == ("error", "no")
