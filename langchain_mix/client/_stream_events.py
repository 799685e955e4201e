"""The updates of a turn as the events that the official helpers give.

Owns: names and data of these events. Refuses to know: how a turn runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from langchain_mix.protocol.events import (
    AgentEventData,
    SSECompleteEventData,
    SSEContentEventData,
    SSEErrorEventData,
    SSEThinkingEventData,
    SSEToolEventData,
    SSEToolExecutionCompleteEventData,
    SSEToolExecutionStartEventData,
    SSEUserMessageCreatedEventData,
)
from langchain_mix.protocol.turn.updates import (
    Accepted,
    NotificationReceived,
    PermissionRequested,
    Progress,
    SubagentUpdate,
    TextDelta,
    TextRestated,
    ThinkingDelta,
    ToolCalled,
    ToolFinished,
    ToolOutput,
    ToolRunning,
    TurnResult,
    Update,
)


@dataclass(slots=True)
class StreamEvent:
    """One thing that happened in a turn.

    Attributes:
        type: `thinking`, `content`, `tool`, `tool_execution_start`, `tool_execution_complete`, `tool_output`,
            `permission`, `notification`, `user_message_created`, `text_restated`, `error`, `complete`, `rate_limit`,
            and whatever newer servers send, under its own name. Text, reasoning and prompts of sub-agents have the
            prefix `subagent_`.
        data: What it says: the data of the server's event of that name, or a mapping for what has no such data.
    """

    type: str
    data: Any

    @property
    def content(self) -> str | None:
        """The piece of the answer, of a `content` event; else None."""
        return self.data.content if self.type == "content" else None

    @property
    def thinking(self) -> str | None:
        """The piece of reasoning, of a `thinking` event; else None."""
        return self.data.content if self.type == "thinking" else None

    @property
    def tool_name(self) -> str | None:
        """The tool, of a `tool` event; else None."""
        return self.data.name if self.type == "tool" else None


def event_of(update: Update) -> StreamEvent | None:
    """Shows an update as an event.

    Args:
        update: The update.

    Returns:
        The event, or None for arguments of a tool that are still being written; `tool` has them whole.
    """
    if isinstance(update, SubagentUpdate):
        return _nested(update)
    match update:
        case ThinkingDelta():
            data: AgentEventData = SSEThinkingEventData(content=update.text)
        case TextDelta():
            data = SSEContentEventData(content=update.text)
        case ToolCalled():
            data = SSEToolEventData(id=update.id, name=update.name, input=update.input, status="completed")
        case Accepted():
            data = SSEUserMessageCreatedEventData(message_id=update.message_id)
        case _:
            return _of_tool_run(update) or _of_the_rest(update)
    data.type = _NAMES[type(update)]
    if isinstance(update, ThinkingDelta | TextDelta | ToolCalled):
        data.assistant_message_id = update.message_id or None
    return StreamEvent(data.type, data)


_NAMES: dict[type, str] = {
    ThinkingDelta: "thinking",
    TextDelta: "content",
    ToolCalled: "tool",
    Accepted: "user_message_created",
}


def _of_tool_run(update: Update) -> StreamEvent | None:
    if isinstance(update, ToolRunning):
        start = SSEToolExecutionStartEventData(
            type="tool_execution_start", tool_call_id=update.id, tool_name=update.name, progress=update.progress
        )
        return StreamEvent(start.type, start)
    if isinstance(update, ToolFinished):
        end = SSEToolExecutionCompleteEventData(
            type="tool_execution_complete",
            tool_call_id=update.id,
            tool_name=update.name,
            progress=update.progress,
            success=update.success,
        )
        return StreamEvent(end.type, end)
    if isinstance(update, ToolOutput):
        return StreamEvent("tool_output", update)
    return None


def _of_the_rest(update: Update) -> StreamEvent | None:
    match update:
        case TextRestated():
            whole = SSEContentEventData(type="content", content=update.text)
            whole.assistant_message_id = update.message_id or None
            return StreamEvent("text_restated", whole)
        case PermissionRequested():
            return StreamEvent("permission", update.request)
        case NotificationReceived():
            return StreamEvent("notification", update.notification)
        case Progress(kind="rate_limit" | "subagent_error" | "sign_in_notice"):
            return StreamEvent(update.kind, SSEErrorEventData.model_validate(update.detail))
        case Progress():
            return StreamEvent(update.kind, update.detail)
        case _:
            return None


def _nested(update: SubagentUpdate) -> StreamEvent | None:
    event = event_of(update.update)
    if event is None:
        return None
    if isinstance(event.data, AgentEventData):
        event.data.parent_tool_call_id = update.parent_id
    if event.type in {"content", "thinking", "user_message_created"}:
        event.type = f"subagent_{event.type}"
    return event


def complete_event(result: TurnResult) -> StreamEvent:
    """Shows the end of a turn that ended well."""
    last = result.messages[-1] if result.messages else None
    data = SSECompleteEventData(
        type="complete",
        content=result.text,
        message_id=result.message_id,
        reasoning=last.thinking if last else "",
        reasoning_duration=result.reasoning_duration,
    )
    return StreamEvent("complete", data)


def error_event(message: str) -> StreamEvent:
    """Shows the end of a turn that did not end well."""
    return StreamEvent("error", SSEErrorEventData(type="error", error=message))
