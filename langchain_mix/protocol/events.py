"""Events of a stream: every event of every generation, and those not invented yet.

Owns: the events, and how one is read, whatever is wrong with it. Refuses to know: framing (`sse.py`) and what an event
does to a turn (`turn/`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from langchain_mix.protocol.sse import ServerSentEvent

__all__ = [
    "Event",
    "EventData",
    "SSECompleteEvent",
    "SSECompleteEventData",
    "SSEConnectedEvent",
    "SSEConnectedEventData",
    "SSEContentEvent",
    "SSEContentEventData",
    "SSEErrorEvent",
    "SSEErrorEventData",
    "SSEEvent",
    "SSEHeartbeatEvent",
    "SSEHeartbeatEventData",
    "SSENotificationEvent",
    "SSENotificationEventData",
    "SSEPermissionEvent",
    "SSEPermissionEventData",
    "SSERateLimitErrorEvent",
    "SSESessionCreatedEvent",
    "SSESessionCreatedEventData",
    "SSESessionDeletedEvent",
    "SSESessionDeletedEventData",
    "SSESummarizeEvent",
    "SSESummarizeEventData",
    "SSEThinkingEvent",
    "SSEThinkingEventData",
    "SSEToolEvent",
    "SSEToolEventData",
    "SSEToolExecutionCompleteEvent",
    "SSEToolExecutionCompleteEventData",
    "SSEToolExecutionStartEvent",
    "SSEToolExecutionStartEventData",
    "SSEToolParameterDeltaEvent",
    "SSEToolParameterDeltaEventData",
    "SSEToolUseParameterDeltaEvent",
    "SSEToolUseParameterStreamingCompleteEvent",
    "SSEToolUseParameterStreamingCompleteEventData",
    "SSEToolUseStartEvent",
    "SSEToolUseStartEventData",
    "SSEUserMessageCreatedEvent",
    "SSEUserMessageCreatedEventData",
    "UnknownEvent",
]


class EventData(BaseModel):
    """The data of any event. Unknown fields are kept, missing ones have defaults: the wire is an open world."""

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
    """The stream is open; every later event of the session will be delivered."""

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
    """A tool runs. `tool_name` is empty from Mix 0.6 on; `tool_call_id` names it."""

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
    """The agent informs or asks the user (Mix 0.8).

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

_KINDS: Final[Mapping[str, type[SSEEvent[EventData]]]] = {
    "connected": SSEConnectedEvent,
    "heartbeat": SSEHeartbeatEvent,
    "thinking": SSEThinkingEvent,
    "content": SSEContentEvent,
    "tool": SSEToolEvent,
    "tool_parameter_delta": SSEToolParameterDeltaEvent,
    "tool_use_start": SSEToolUseStartEvent,
    "tool_use_parameter_delta": SSEToolUseParameterDeltaEvent,
    "tool_use_parameter_streaming_complete": SSEToolUseParameterStreamingCompleteEvent,
    "tool_execution_start": SSEToolExecutionStartEvent,
    "tool_execution_complete": SSEToolExecutionCompleteEvent,
    "permission": SSEPermissionEvent,
    "notification": SSENotificationEvent,
    "user_message_created": SSEUserMessageCreatedEvent,
    "complete": SSECompleteEvent,
    "error": SSEErrorEvent,
    "rate_limit_error": SSERateLimitErrorEvent,
    "summarize": SSESummarizeEvent,
    "session_created": SSESessionCreatedEvent,
    "session_deleted": SSESessionDeletedEvent,
}

UNREADABLE: Final = "unreadable"
"""The extra field under which an event keeps those of its fields that could not be read."""


def read_event(name: str, data: bytes | str, last_id: str = "", retry: int | None = None) -> Event:
    """Reads an event. It never raises on what a server may send.

    Args:
        name: Its name.
        data: Its data, as they came.
        last_id: The last id the stream has given.
        retry: The reconnection time in milliseconds, if given.

    Returns:
        The typed event. A name that is not known, or data that is no JSON object, gives an `UnknownEvent`. A field that
        is null or of the wrong type has its default, and its value is in the extra field `unreadable`.
    """
    kind = _KINDS.get(name)
    if kind is None:
        return _unknown(name, _text(data), last_id, retry)
    try:
        # What `model_validate_json` calls; its own checks of arguments take a third of the time.
        read = kind.payload.__pydantic_validator__.validate_json(data)
    except ValidationError:
        return _salvage(kind, ServerSentEvent(name, _text(data), last_id, retry))
    return kind(read, last_id, name, retry)  # type: ignore[return-value]  # The table holds members of `Event`.


def parse_event(sse: ServerSentEvent) -> Event:
    """Reads an event that was framed before; see `read_event`."""
    return read_event(sse.event, sse.data, sse.id, sse.retry)


def _text(data: bytes | str) -> str:
    return data if isinstance(data, str) else data.decode("utf-8", "replace")


def _unknown(name: str, text: str, last_id: str, retry: int | None) -> UnknownEvent:
    value, reason = _loads(text)
    return UnknownEvent(value, last_id, name, retry, text, reason)


def _salvage(kind: type[SSEEvent[EventData]], sse: ServerSentEvent) -> Event:
    try:  # Bytes that are no UTF-8 are replaced; the rest may be a whole event.
        data = kind.payload.__pydantic_validator__.validate_json(sse.data)
    except ValidationError:
        value, reason = _loads(sse.data)
        if not isinstance(value, dict):
            return UnknownEvent(value, sse.id, sse.event, sse.retry, sse.data, reason or "The data is no JSON object.")
        data = _readable(kind.payload, value)
    return kind(data, sse.id, sse.event, sse.retry)  # type: ignore[return-value]  # The table holds members of `Event`.


def _readable(payload: type[EventData], value: dict[str, Any]) -> EventData:
    """Reads the fields that can be read; the others are kept as they came, under `unreadable`."""
    bad = {k: value.pop(k) for k in [k for k, v in value.items() if v is None]}
    while True:  # At most twice: a field may be there by its wire name and by ours, both unreadable.
        try:
            data = payload.model_validate(value)
            break
        except ValidationError as again:
            bad |= {k: value.pop(k) for k in {e["loc"][0] for e in again.errors(include_url=False)} if k in value}
    return data.model_copy(update={UNREADABLE: bad}) if bad else data


def _loads(text: str) -> tuple[Any, str]:
    try:
        return _without_surrogates(json.loads(text)), ""
    except (ValueError, RecursionError) as problem:
        return None, f"The data is no JSON that can be read: {problem}."


def _without_surrogates(value: Any) -> Any:
    # JSON can escape half a surrogate pair; no UTF-8 text can hold it.
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(v) for v in value]
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    return value
