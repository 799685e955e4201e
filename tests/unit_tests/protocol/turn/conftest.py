"""A server that never was: its rows and events in the form of the wire, and a shell that carries out every effect."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from langchain_mix import errors
from langchain_mix.protocol.api import ALL, CAPABILITIES, ApiKnowledge, ApiVersion
from langchain_mix.protocol.events import parse_event
from langchain_mix.protocol.models import BackendMessage, ExportSession, SendMessageResponse
from langchain_mix.protocol.sse import ServerSentEvent, SSEDecoder, encode
from langchain_mix.protocol.turn import signals as st
from langchain_mix.protocol.turn import updates as up
from langchain_mix.protocol.turn.machine import Turn
from langchain_mix.protocol.turn.stored_rows import Transcript, from_export, from_messages


@dataclass
class Row:
    """A stored row; `calls` are (id, name, input, output), `tokens` are (in, out, cost)."""

    role: str
    id: str
    text: str = ""
    thinking: str = ""
    calls: Sequence[tuple[str, str, str, str]] = ()
    finish: str = "end_turn"
    tokens: tuple[int, int, float] | None = None

    def listed(self, version: ApiVersion) -> dict[str, Any]:
        able = CAPABILITIES[version]
        row: dict[str, Any] = {"id": self.id, "sessionId": "S", "role": self.role, "userInput": self.text}
        if self.role != "user" and self.text:
            row["assistantResponse"] = self.text
        if self.thinking:
            row["reasoning"] = self.thinking
        if self.calls:
            row["toolCalls"] = [
                {"id": i, "name": n, "input": a, "type": "tool_use", "finished": True}
                | ({"result": o, "isError": False} if able.tool_results and o else {})
                for i, n, a, o in self.calls
            ]
        if self.tokens and able.message_usage:
            row |= {"inputTokens": self.tokens[0], "outputTokens": self.tokens[1], "cost": self.tokens[2], "model": "m"}
        return row

    def exported(self) -> dict[str, Any]:
        row: dict[str, Any] = {"id": self.id, "role": self.role, "content": self.text}
        if self.thinking:
            row["reasoning"] = self.thinking
        if self.calls:
            row["toolCalls"] = [
                {"id": i, "name": n, "input": a, "type": "tool_use", "finished": True} for i, n, a, _ in self.calls
            ]
        return row | {"finishReason": "stop" if self.role == "user" else self.finish, "model": "m"}


def transcript(rows: Iterable[Row], version: ApiVersion, *, export: bool, cost: float = 0.0) -> Transcript:
    """Reads rows through the payloads, as the client does."""
    if export:
        body = {
            "id": "S",
            "promptTokens": 7,
            "completionTokens": 9,
            "cost": cost,
            "messages": [r.exported() for r in rows],
        }
        return from_export(ExportSession.model_validate_json(json.dumps(body)))
    return from_messages(BackendMessage.model_validate_json(json.dumps(r.listed(version))) for r in rows)


def wire(name: str, data: dict[str, Any] | str) -> Any:
    """An event after its way over the wire."""
    text = data if isinstance(data, str) else json.dumps(data)
    (sse,) = SSEDecoder(ServerSentEvent.decode).feed(encode(ServerSentEvent(name, text, "1", 30_000)))
    return parse_event(sse)


@dataclass
class Bench:
    """A turn and everything it did."""

    api: str = "0.8"
    text: str = "hi"
    command: bool = False
    stale_error: str = ""
    cost_before: float | None = None
    rows_before: int | None = None
    rows: list[Row] = field(default_factory=list)
    cost: float = 0.0
    unreadable: errors.MixError | None = None
    updates: list[up.Update] = field(default_factory=list)
    effects: list[st.Effect] = field(default_factory=list)
    result: up.TurnResult | None = None
    error: errors.MixError | None = None

    def __post_init__(self) -> None:
        self.version = ApiVersion(self.api) if self.api != "auto" else ApiVersion.V0_8
        detected = ApiKnowledge(ALL if self.api == "auto" else [self.version])
        self.turn = Turn(
            "S",
            self.text,
            detected=detected,
            command=self.command,
            stale_error=self.stale_error,
            cost_before=self.cost_before,
            rows_before=self.rows_before,
        )

    def step(self, signal: st.Signal) -> list[st.Effect]:
        """Feeds a signal and carries out what follows; gives the effects of this step and its reads."""
        told: list[st.Effect] = []
        for effect in self.turn.step(signal):
            assert self.result is None, f"{effect} after the end"
            assert self.error is None, f"{effect} after the end"
            told.append(effect)
            self.effects.append(effect)
            match effect:
                case st.Emit(update):
                    self.updates.append(update)
                case st.Reconcile(export):
                    told += self.step(self.read(export=export))
                case st.Finish(result):
                    self.result = result
                case st.Fail(error):
                    self.error = error
        return told

    def read(self, *, export: bool) -> st.Read:
        if self.unreadable is not None:
            return st.Read(error=self.unreadable)
        return st.Read(transcript(self.rows, self.version, export=export, cost=self.cost))

    def event(self, name: str, data: dict[str, Any] | str | None = None, /, **fields: Any) -> list[st.Effect]:
        body = data if data is not None else {"type": name} | fields
        return self.step(st.Received(wire(name, body)))

    def connected(self) -> list[st.Effect]:
        return self.event("connected", {"sessionId": "S"})

    def heartbeat(self) -> list[st.Effect]:
        return self.event("heartbeat", {"type": "ping"})

    def accepted(self) -> list[st.Effect]:
        """The answer of this generation to a message it took."""
        able = CAPABILITIES[self.version]
        if able.stream_write or able.send_waits:
            return self.step(st.Answered()) if able.stream_write else []
        return self.step(st.Answered(SendMessageResponse.model_validate({"sessionId": "S", "status": "processing"})))

    def answered(self, **reply: Any) -> list[st.Effect]:
        return self.step(st.Answered(SendMessageResponse.model_validate(reply)))

    def refused(self, error: errors.MixError) -> list[st.Effect]:
        return self.step(st.Answered(error=error))

    def dropped(self, error: errors.MixError | None = None) -> list[st.Effect]:
        return self.step(st.Dropped(error or errors.MixStreamError("The stream broke.")))

    def begun(self, user_id: str = "U") -> Bench:
        """Runs up to the stored user message, in this generation's way."""
        self.connected()
        self.accepted()
        self.rows.append(Row("user", user_id, self.text))
        if CAPABILITIES[self.version].user_message_created:
            self.event("user_message_created", messageId=user_id, content=self.text)
        return self

    def say(self, text: str, message_id: str = "M") -> list[st.Effect]:
        """A piece of text, named where the generation names it."""
        named = {"assistantMessageId": message_id} if CAPABILITIES[self.version].message_ids else {}
        return self.event("content", content=text, **named)

    def complete(self, text: str = "", message_id: str = "M") -> list[st.Effect]:
        body = {"type": "complete", "messageId": message_id, "done": True} | ({"content": text} if text else {})
        return self.event("complete", body)

    def of(self, kind: type) -> list[Any]:
        """The effects or updates of one kind."""
        return [e for e in [*self.effects, *self.updates] if isinstance(e, kind)]

    @property
    def shown(self) -> str:
        return "".join(u.text for u in self.of(up.TextDelta))

    @property
    def kinds(self) -> list[str]:
        return [type(u).__name__ for u in self.updates]


@pytest.fixture(scope="session")
def bench() -> type[Bench]:
    return Bench


@pytest.fixture(scope="session")
def row() -> type[Row]:
    return Row


@pytest.fixture(scope="session")
def read_rows() -> Any:
    return transcript


@pytest.fixture(scope="session")
def wired() -> Any:
    return wire
