"""What the server says on an event stream: every event of every generation, and those not invented yet.

Owns: the events. Refuses to know: how one is read (`event_reader.py`) and what it does to a turn (`turn/`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class EventData(BaseModel):
    """What every event may carry. Unknown fields are kept, missing ones have defaults: the wire is an open world."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", defer_build=True)

    type: str = ""
    """The event's own idea of its name; some events have none."""


class AgentEventData(EventData):
    """An event of an agent's work.

    Attributes:
        parent_tool_call_id: The Task call whose sub-agent speaks, or None for the session's own agent (Mix 0.7).
        assistant_message_id: The message that the piece belongs to (Mix 0.7).
    """

    parent_tool_call_id: str | None = None
    assistant_message_id: str | None = None


class SSEConnectedEventData(EventData):
    """The stream stands; every later event of the session will be delivered."""

    session_id: str = ""


class SSEHeartbeatEventData(EventData):
    """The server is alive; every 45 seconds."""


class SSEThinkingEventData(AgentEventData):
    """A piece of reasoning."""

    content: str = ""


class SSEContentEventData(AgentEventData):
    """A piece of the answer."""

    content: str = ""


class SSEToolEventData(AgentEventData):
    """A snapshot of one tool call, sent again and again (Mix up to 0.7).

    `status` is `running` while the arguments arrive and `completed` once they are complete, not executed.
    """

    id: str = ""
    name: str = ""
    input: str = ""
    status: str = ""


class SSEToolParameterDeltaEventData(AgentEventData):
    """A fragment of a tool call's arguments. Mix 0.6.5 and 0.7 send it still quoted as a JSON string."""

    tool_call_id: str = ""
    input: str = ""


class SSEToolUseStartEventData(AgentEventData):
    """The model begins a tool call (Mix 0.8)."""

    id: str = ""
    name: str = ""


class SSEToolUseParameterStreamingCompleteEventData(AgentEventData):
    """A tool call's arguments are complete (Mix 0.8)."""

    id: str = ""
    name: str = ""
    input: str = ""


class SSEToolExecutionStartEventData(AgentEventData):
    """A tool runs. `tool_name` is empty from Mix 0.6 on; `tool_call_id` tells which."""

    tool_call_id: str = ""
    tool_name: str = ""
    progress: str = ""


class SSEToolExecutionCompleteEventData(AgentEventData):
    """A tool has run. `success` is what the server derives from words in `progress`."""

    tool_call_id: str = ""
    tool_name: str = ""
    progress: str = ""
    success: bool = True


class SSEPermissionEventData(EventData):
    """The agent asks whether a tool may run. Without an answer within 30 seconds the server denies."""

    id: str = ""
    session_id: str = ""
    tool_name: str = ""
    description: str = ""
    action: str = ""
    path: str = ""
    params: Any = None
    parent_tool_call_id: str | None = None


class SSENotificationEventData(EventData):
    """The agent tells or asks the user something (Mix 0.8).

    Attributes:
        timeout: Seconds until the server gives up waiting.
        created_at: Unix time in milliseconds.
        choices: What may be answered when `response_type` is `choice`.
    """

    id: str = ""
    session_id: str = ""
    notification_type: str = ""
    title: str = ""
    message: str = ""
    response_type: str = ""
    choices: list[str] | None = None
    timeout: float = 0
    created_at: int = 0
    parent_tool_call_id: str | None = None


class SSEUserMessageCreatedEventData(AgentEventData):
    """A turn begins: the user's message is stored (Mix 0.7)."""

    message_id: str = ""
    content: str = ""


class SSECompleteEventData(AgentEventData):
    """A turn has ended well.

    Attributes:
        content: The text of the last assistant message; absent if that is empty.
        message_id: The last assistant message.
        reasoning_duration: Seconds, although the official documentation says milliseconds.
    """

    content: str = ""
    message_id: str = ""
    done: bool = True
    reasoning: str = ""
    reasoning_duration: float = 0


class SSEErrorEventData(AgentEventData):
    """A turn has failed, or something else on the server has."""

    error: str = ""
    retry_after: float = 0
    attempt: int = 0
    max_attempts: int = 0


class SSESummarizeEventData(EventData):
    """The server shortens a conversation (Mix 0.5 and 0.6)."""

    progress: str = ""
    done: bool = False


class SSESessionCreatedEventData(EventData):
    """Some session was created. `created_at` is Unix time in seconds."""

    session_id: str = ""
    title: str = ""
    created_at: int = 0


class SSESessionDeletedEventData(EventData):
    """Some session was deleted."""

    session_id: str = ""


D_co = TypeVar("D_co", bound=EventData, covariant=True)


@dataclass(slots=True)
class SSEEvent(Generic[D_co]):
    """An event of the stream.

    Attributes:
        data: What it says.
        id: A counter of this connection only; no handle for resuming.
        event: Its name.
        retry: Reconnection time in milliseconds, if given.
    """

    data: D_co
    id: str = ""
    event: str = ""
    retry: int | None = None

    payload: ClassVar[type[EventData]] = EventData


class SSEConnectedEvent(SSEEvent[SSEConnectedEventData]):
    """`connected`."""

    payload = SSEConnectedEventData


class SSEHeartbeatEvent(SSEEvent[SSEHeartbeatEventData]):
    """`heartbeat`."""

    payload = SSEHeartbeatEventData


class SSEThinkingEvent(SSEEvent[SSEThinkingEventData]):
    """`thinking`."""

    payload = SSEThinkingEventData


class SSEContentEvent(SSEEvent[SSEContentEventData]):
    """`content`."""

    payload = SSEContentEventData


class SSEToolEvent(SSEEvent[SSEToolEventData]):
    """`tool`."""

    payload = SSEToolEventData


class SSEToolParameterDeltaEvent(SSEEvent[SSEToolParameterDeltaEventData]):
    """`tool_parameter_delta`."""

    payload = SSEToolParameterDeltaEventData


class SSEToolUseStartEvent(SSEEvent[SSEToolUseStartEventData]):
    """`tool_use_start`."""

    payload = SSEToolUseStartEventData


class SSEToolUseParameterDeltaEvent(SSEEvent[SSEToolParameterDeltaEventData]):
    """`tool_use_parameter_delta`."""

    payload = SSEToolParameterDeltaEventData


class SSEToolUseParameterStreamingCompleteEvent(SSEEvent[SSEToolUseParameterStreamingCompleteEventData]):
    """`tool_use_parameter_streaming_complete`."""

    payload = SSEToolUseParameterStreamingCompleteEventData


class SSEToolExecutionStartEvent(SSEEvent[SSEToolExecutionStartEventData]):
    """`tool_execution_start`."""

    payload = SSEToolExecutionStartEventData


class SSEToolExecutionCompleteEvent(SSEEvent[SSEToolExecutionCompleteEventData]):
    """`tool_execution_complete`."""

    payload = SSEToolExecutionCompleteEventData


class SSEPermissionEvent(SSEEvent[SSEPermissionEventData]):
    """`permission`."""

    payload = SSEPermissionEventData


class SSENotificationEvent(SSEEvent[SSENotificationEventData]):
    """`notification`."""

    payload = SSENotificationEventData


class SSEUserMessageCreatedEvent(SSEEvent[SSEUserMessageCreatedEventData]):
    """`user_message_created`."""

    payload = SSEUserMessageCreatedEventData


class SSECompleteEvent(SSEEvent[SSECompleteEventData]):
    """`complete`."""

    payload = SSECompleteEventData


class SSEErrorEvent(SSEEvent[SSEErrorEventData]):
    """`error`."""

    payload = SSEErrorEventData


class SSERateLimitErrorEvent(SSEEvent[SSEErrorEventData]):
    """`rate_limit_error`, which no official document names. An `error` follows it."""

    payload = SSEErrorEventData


class SSESummarizeEvent(SSEEvent[SSESummarizeEventData]):
    """`summarize`."""

    payload = SSESummarizeEventData


class SSESessionCreatedEvent(SSEEvent[SSESessionCreatedEventData]):
    """`session_created`. Every stream of the server gets it."""

    payload = SSESessionCreatedEventData


class SSESessionDeletedEvent(SSEEvent[SSESessionDeletedEventData]):
    """`session_deleted`. Every stream of the server gets it."""

    payload = SSESessionDeletedEventData


@dataclass(slots=True)
class UnknownEvent:
    """An event that this client does not know, or whose data it cannot read.

    Attributes:
        data: The JSON value, or None if the data is no JSON.
        raw: The data as text, exactly as it came.
        reason: Why a known event could not be read; empty for an unknown name.
    """

    data: Any
    id: str = ""
    event: str = ""
    retry: int | None = None
    raw: str = ""
    reason: str = ""


Event = (
    SSEConnectedEvent
    | SSEHeartbeatEvent
    | SSEThinkingEvent
    | SSEContentEvent
    | SSEToolEvent
    | SSEToolParameterDeltaEvent
    | SSEToolUseStartEvent
    | SSEToolUseParameterDeltaEvent
    | SSEToolUseParameterStreamingCompleteEvent
    | SSEToolExecutionStartEvent
    | SSEToolExecutionCompleteEvent
    | SSEPermissionEvent
    | SSENotificationEvent
    | SSEUserMessageCreatedEvent
    | SSECompleteEvent
    | SSEErrorEvent
    | SSERateLimitErrorEvent
    | SSESummarizeEvent
    | SSESessionCreatedEvent
    | SSESessionDeletedEvent
    | UnknownEvent
)
