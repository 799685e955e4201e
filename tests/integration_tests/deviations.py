"""Servers that say the same as an emulator in another form: what a client must not depend on.

Owns: rewriting the emulator's replies and events on their way out. Refuses to know: what the requests ask for.

The fixture `deviations` gives this module; `deviations.DeviantEmulator(api, agent, deviation=deviations.Deviation(...))`
is used like a `MixEmulator`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from langchain_mix import MixEmulator

UNKNOWN_FIELD = "addedInALaterRelease"
UNKNOWN_EVENTS = ("tool_use_paused", "agent_status", "message_stored")


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """How replies differ from those of the documented servers.

    Attributes:
        statuses: Other statuses for refusals: what is sent in the place of what. The envelope's `code` follows.
        fields: Every JSON object of replies and events has one more field.
        events: Unknown events come before and after every event of a stream.
        types: The types of errors are ones that nobody knows.
        values: Members of closed sets are replaced by ones that nobody knows, where a member only describes.
        body: Rewrites a JSON body: gets the request's method and path, the status and the body, gives the last two.
    """

    statuses: Mapping[int, int] = field(default_factory=dict)
    fields: bool = False
    events: bool = False
    types: bool = False
    values: bool = False
    body: Callable[[str, str, int, Any], tuple[int, Any]] | None = None

    def value(self, value: Any) -> Any:
        """Rewrites a JSON value."""
        if isinstance(value, list):
            return [self.value(one) for one in value]
        if not isinstance(value, dict):
            return value
        changed = {key: self.value(one) for key, one in value.items()}
        if self.values:
            changed |= _other_members(changed)
        if self.types and {"code", "message", "type"} <= changed.keys():
            changed["type"] += "_of_tomorrow"
        if self.fields:
            changed |= {UNKNOWN_FIELD: {"nested": [None, 1, "x"]}}
        return changed

    def stream_event(self, block: str) -> Iterator[str]:
        """Rewrites one event of a stream: its lines without the blank one."""
        lines = dict(line.partition(": ")[::2] for line in block.splitlines())
        if self.events and lines["event"] != "connected":
            yield from (_event(lines["id"], name) for name in UNKNOWN_EVENTS)
        data = json.loads(lines["data"])
        if self.values and lines["event"] == "tool":
            yield _line_up(lines | {"data": json.dumps(data | {"status": "queued"})})
        yield _line_up(lines | {"data": json.dumps(self.value(data))})
        if self.events:
            yield from (_event(lines["id"], name) for name in UNKNOWN_EVENTS)


def _other_members(found: Mapping[str, Any]) -> dict[str, Any]:
    others: dict[str, Any] = {}
    if "sessionType" in found:
        others["sessionType"] = "workspace"
    if "browserMode" in found:
        others["browserMode"] = "browser-of-tomorrow"
    if found.get("role") == "tool":
        others["role"] = "tool_of_tomorrow"
    if "finished" in found:
        others["type"] = "server_tool_use"
    if found.get("finishReason") in {"end_turn", "tool_use"}:
        others["finishReason"] = f"{found['finishReason']}_of_tomorrow"
    return others


def _event(event_id: str, name: str) -> str:
    data = json.dumps({"type": name, "toolCallId": "unknown", "messageId": "unknown", "content": "Not for you."})
    return _line_up({"id": event_id, "event": name, "data": data, "retry": "30000"})


def _line_up(lines: Mapping[str, str]) -> str:
    return "".join(f"{key}: {value}\n" for key, value in lines.items()) + "\n"


class DeviantEmulator(MixEmulator):
    """An emulator whose replies are rewritten."""

    def __init__(self, *args: Any, deviation: Deviation, **options: Any) -> None:
        """Chooses what the server is like; `deviation` may be replaced while it runs."""
        super().__init__(*args, **options)
        self.deviation = deviation

    def _open(self, transports: Any) -> Any:
        app, close = super()._open(transports)
        return _Rewriter(app, lambda: self.deviation), close


@dataclass(frozen=True)
class _Rewriter:
    app: ASGIApp
    deviation: Callable[[], Deviation]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, _Reply(scope, send, self.deviation()).send)


class _Reply:
    def __init__(self, scope: Scope, send: Send, deviation: Deviation) -> None:
        self._scope, self._send, self._deviation = scope, send, deviation
        self._head: Message = {}
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._head = message
            if self._kind.startswith(b"text/event-stream") and message["status"] == 200:
                await self._send(message)
            return
        if self._kind.startswith(b"text/event-stream") and self._head["status"] == 200:
            blocks = message.get("body", b"").decode().split("\n\n")[:-1]
            text = "".join(one for block in blocks for one in self._deviation.stream_event(block))
            await self._send({**message, "body": text.encode()})
            return
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            await self._answer()

    @property
    def _kind(self) -> bytes:
        return dict(self._head["headers"]).get(b"content-type", b"")

    async def _answer(self) -> None:
        status, body = self._head["status"], self._body
        refused = status >= 400
        if refused:
            status = self._deviation.statuses.get(status, status)
        # What a file holds is its owner's.
        if self._kind.startswith(b"application/json") and (refused or b"/files/" not in self._scope["raw_path"]):
            value = json.loads(body)
            if refused and "error" in value:
                value["error"]["code"] = status
            if self._deviation.body is not None:
                status, value = self._deviation.body(self._scope["method"], self._scope["path"], status, value)
            body = json.dumps(self._deviation.value(value)).encode() + b"\n"
        headers = [(name, value) for name, value in self._head["headers"] if name != b"content-length"]
        if status != 204:
            headers.append((b"content-length", str(len(body)).encode()))
        await self._send({**self._head, "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})
