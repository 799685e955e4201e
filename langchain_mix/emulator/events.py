"""The events of each generation's stream.

Owns: names, payloads (key order included) and retry values of all events.
Refuses to know: who receives them and when.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from langchain_mix.emulator.state.serializers import filled, go_json
from langchain_mix.protocol.api import CAPABILITIES, ApiVersion

LOGIN_TEXT: Final = "⚠️ Authentication required. Please use the /login command to authenticate with Claude API key."
STREAM_LOGIN_TEXT: Final = (
    "Authentication failed: Not logged in or token expired. Please use /login to authenticate with Claude Code."
)
RATE_LIMIT_TEXT: Final = (
    "This request would exceed your account's rate limit. The application will automatically retry."
)
TURN_EVENTS: Final = frozenset(
    {
        "user_message_created",
        "thinking",
        "content",
        "tool",
        "tool_parameter_delta",
        "tool_use_start",
        "tool_use_parameter_delta",
        "tool_use_parameter_streaming_complete",
        "tool_execution_start",
        "tool_execution_complete",
        "permission",
        "notification",
        "complete",
        "error",
        "rate_limit_error",
    }
)
"""The events that belong to a turn."""
_RETRY: Final[Mapping[str, int]] = {"heartbeat": 45000, "error": 750}
_DEFAULT_RETRY: Final = 30000
_FRAGMENT: Final = 20
_CONTINUATION: Final = 0x80


@dataclass(frozen=True, slots=True)
class Event:
    """An event as it goes to streams, keys in wire order; its id is given by each connection.

    The payload is written as JSON once, and `retry` is the reconnection time in milliseconds.
    """

    name: str
    data: Mapping[str, Any]
    text: str = field(init=False, default="")
    retry: int = field(init=False, default=_DEFAULT_RETRY)

    def __post_init__(self) -> None:
        """Writes the payload once for all connections."""
        object.__setattr__(self, "text", go_json(self.data))
        retry = _RETRY.get(self.name, _DEFAULT_RETRY)
        if self.name == "error" and int(self.data.get("retryAfter") or 0) > 0:
            retry = int(self.data["retryAfter"])
        object.__setattr__(self, "retry", retry)


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as events name it; its arguments are JSON text."""

    id: str
    name: str
    input: str
    ready: bool = False


def connected(session_id: str) -> Event:
    """The first event of every stream; the only one without `type`."""
    return Event("connected", {"sessionId": session_id})


def heartbeat() -> Event:
    """The sign that the stream is alive."""
    return Event("heartbeat", {"type": "ping"})


def session_created(session_id: str, title: str, created_at: int) -> Event:
    """A new session, announced on every stream. `created_at` is in unix seconds."""
    return _typed("session_created", {"sessionId": session_id, "title": title, "createdAt": created_at})


def session_deleted(session_id: str) -> Event:
    """A session is gone, announced on every stream."""
    return _typed("session_deleted", {"sessionId": session_id})


def failure(text: str, *, kind: str = "") -> Event:
    """An `error` that belongs to no turn, or to a turn of the main agent."""
    return Event("error", {"error": text} | filled(type=kind))


def _typed(name: str, payload: dict[str, Any]) -> Event:
    return Event(name, {"type": name} | payload)


@dataclass(frozen=True, slots=True)
class EventEncoder:
    """The events of one turn, which may work for a Task call (Mix 0.7)."""

    api: ApiVersion
    parent_call: str = ""

    def user_message_created(self, row_id: str, content: str) -> list[Event]:
        """The message is stored (Mix 0.7)."""
        if not CAPABILITIES[self.api].user_message_created:
            return []
        return [_typed("user_message_created", {"messageId": row_id, "content": content} | self._parent())]

    def thinking(self, text: str, row_id: str) -> list[Event]:
        """A piece of reasoning."""
        return [_typed("thinking", {"content": text} | self._origin(row_id))]

    def content(self, text: str, row_id: str) -> list[Event]:
        """A piece of the answer."""
        return [_typed("content", {"content": text} | self._origin(row_id))]

    def tool_declared(self, calls: Sequence[Call], row_id: str) -> list[Event]:
        """The model has begun to call the last of `calls`.

        Up to Mix 0.7 a snapshot of every call of the message so far is sent again (Mix).
        """
        if not CAPABILITIES[self.api].tool_use_events:
            return self.snapshots(calls, row_id)
        call = calls[-1]
        return [_typed("tool_use_start", {"name": call.name, "id": call.id} | self._origin(row_id))]

    def tool_input(self, call: Call, row_id: str) -> list[Event]:
        """The arguments of a call, in fragments of 20 bytes of JSON.

        From Mix 0.6.5 to 0.7 a fragment is still quoted as a JSON string literal (Mix); before, there are none.
        """
        caps = CAPABILITIES[self.api]
        if not caps.tool_use_events and self.api in {ApiVersion.V0_5, ApiVersion.V0_6}:
            return []
        name = "tool_use_parameter_delta" if caps.tool_use_events else "tool_parameter_delta"
        events = []
        for piece in fragments(call.input):
            shown = piece if caps.tool_use_events else json.dumps(piece, ensure_ascii=False)
            events.append(_typed(name, {"toolCallId": call.id, "input": shown} | self._origin(row_id)))
        return events

    def tool_ready(self, calls: Sequence[Call], row_id: str) -> list[Event]:
        """The arguments of the last of `calls` are complete; it has not run yet."""
        if not CAPABILITIES[self.api].tool_use_events:
            return self.snapshots(calls, row_id)
        call = calls[-1]
        payload = {"name": call.name, "input": call.input, "id": call.id} | self._origin(row_id)
        return [_typed("tool_use_parameter_streaming_complete", payload)]

    def tools_done(self, calls: Sequence[Call], row_id: str) -> list[Event]:
        """All calls of a message have run. Before Mix 0.7 their snapshots come once more."""
        caps = CAPABILITIES[self.api]
        return [] if caps.tool_use_events or caps.subagents else self.snapshots(calls, row_id)

    def snapshots(self, calls: Sequence[Call], row_id: str) -> list[Event]:
        """The `tool` event of every call of a message so far."""
        events = []
        for call in calls:
            state = {"status": "completed"} if call.ready else {"status": "running"}
            payload = {"name": call.name, "input": call.input if call.ready else "", "id": call.id} | state
            events.append(_typed("tool", payload | self._origin(row_id)))
        return events

    def execution_start(self, call: Call) -> list[Event]:
        """A tool begins to run."""
        payload = {"toolName": self._tool_name(call), "progress": f"Executing {call.name} tool", "toolCallId": call.id}
        return [_typed("tool_execution_start", payload | self._parent())]

    def execution_complete(self, call: Call, seconds: float, cause: str | None) -> list[Event]:
        """A tool has run, or broke for a cause. An error *result* is not a break."""
        took = go_duration(seconds)
        progress = f"Completed {call.name} tool in {took}"
        if cause is not None:
            progress = f"Failed {call.name} tool after {took}: {cause}"
        success = cause is None
        if self.api is not ApiVersion.V0_5:
            # Mix: the server goes by the words of the text, the tool's name included.
            success = not any(word in progress.lower() for word in ("error", "failed"))
        payload = {"toolName": self._tool_name(call), "progress": progress, "success": success, "toolCallId": call.id}
        return [_typed("tool_execution_complete", payload | self._parent())]

    def complete(self, text: str, row_id: str, reasoning: str = "", reasoning_seconds: int = 0) -> list[Event]:
        """The turn is over. That of a sub-agent is never announced."""
        if self.parent_call:
            return []
        payload = filled(content=text, messageId=row_id) | {"done": True}
        return [_typed("complete", payload | filled(reasoning=reasoning, reasoningDuration=reasoning_seconds))]

    def error(self, text: str, *, kind: str = "") -> list[Event]:
        """The turn has failed."""
        return [Event("error", {"error": text} | filled(type=kind) | self._parent())]

    def rate_limit(self) -> list[Event]:
        """The provider refused for now (Mix); despite its words nothing is retried."""
        payload = {
            "error": RATE_LIMIT_TEXT,
            "type": "rate_limit_error",
            "retryAfter": 60,
            "attempt": 1,
            "maxAttempts": 8,
        }
        return [Event("rate_limit_error", payload | self._parent())]

    def _tool_name(self, call: Call) -> str:
        # Mix 0.6 on: the server looks for other phrases in the progress text than it writes.
        return call.name if self.api is ApiVersion.V0_5 else ""

    def _parent(self) -> dict[str, Any]:
        return filled(parentToolCallId=self.parent_call)

    def _origin(self, row_id: str) -> dict[str, Any]:
        if not CAPABILITIES[self.api].message_ids:
            return {}
        return self._parent() | {"assistantMessageId": row_id}


def fragments(text: str) -> list[str]:
    """Cuts a text into pieces of at most 20 bytes of UTF-8 without cutting a character."""
    raw, pieces = text.encode(), []
    start = 0
    while start < len(raw):
        end = min(start + _FRAGMENT, len(raw))
        while end < len(raw) and raw[end] & 0xC0 == _CONTINUATION:
            end -= 1
        pieces.append(raw[start:end].decode())
        start = end
    return pieces


def go_duration(seconds: float) -> str:
    """A duration as Go prints it: `12.3ms`, `1.2s`, `1m2.5s`."""
    nanos = max(0, round(seconds * 1e9))
    for unit, size in (("ns", 1), ("µs", 10**3), ("ms", 10**6)):
        if nanos < 1000 * size:
            return f"{nanos / size:.9g}{unit}" if nanos else "0s"
    minutes, rest = divmod(nanos, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 1e9:.9f}".rstrip("0").rstrip(".") + "s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text
