"""From the wire to events.

Owns: how an event is read, whatever is wrong with it. Refuses to know: framing (`sse.py`) and what events mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from langchain_mix.protocol.events import (
    Event,
    EventData,
    SSECompleteEvent,
    SSEConnectedEvent,
    SSEContentEvent,
    SSEErrorEvent,
    SSEEvent,
    SSEHeartbeatEvent,
    SSENotificationEvent,
    SSEPermissionEvent,
    SSERateLimitErrorEvent,
    SSESessionCreatedEvent,
    SSESessionDeletedEvent,
    SSESummarizeEvent,
    SSEThinkingEvent,
    SSEToolEvent,
    SSEToolExecutionCompleteEvent,
    SSEToolExecutionStartEvent,
    SSEToolParameterDeltaEvent,
    SSEToolUseParameterDeltaEvent,
    SSEToolUseParameterStreamingCompleteEvent,
    SSEToolUseStartEvent,
    SSEUserMessageCreatedEvent,
    UnknownEvent,
)
from langchain_mix.protocol.sse import ServerSentEvent

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


def parse_event(sse: ServerSentEvent) -> Event:
    """Reads an event. It never raises on what a server may send.

    Args:
        sse: The event as it stands on the wire.

    Returns:
        The typed event. A name that is not known, or data that is no JSON object, gives an `UnknownEvent`. A field that
        is null or of the wrong type has its default, and its value stands in the extra field `unreadable`.
    """
    kind = _KINDS.get(sse.event)
    if kind is None:
        value, reason = _loads(sse.data)
        return UnknownEvent(value, sse.id, sse.event, sse.retry, sse.data, reason)
    try:
        # What `model_validate_json` calls; its own checks of arguments take a third of the time.
        data = kind.payload.__pydantic_validator__.validate_json(sse.data)
    except ValidationError:
        return _salvage(kind, sse)
    return kind(data, sse.id, sse.event, sse.retry)  # type: ignore[return-value]  # The table holds members of `Event`.


def _salvage(kind: type[SSEEvent[EventData]], sse: ServerSentEvent) -> Event:
    value, reason = _loads(sse.data)
    if not isinstance(value, dict):
        return UnknownEvent(value, sse.id, sse.event, sse.retry, sse.data, reason or "The data is no JSON object.")
    bad = {k: value.pop(k) for k in [k for k, v in value.items() if v is None]}
    while True:  # At most twice: a field may stand there by its wire name and by ours, both unreadable.
        try:
            data = kind.payload.model_validate(value)
            break
        except ValidationError as again:
            bad |= {k: value.pop(k) for k in {e["loc"][0] for e in again.errors(include_url=False)} if k in value}
    data = data.model_copy(update={UNREADABLE: bad}) if bad else data
    return kind(data, sse.id, sse.event, sse.retry)  # type: ignore[return-value]  # The table holds members of `Event`.


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
