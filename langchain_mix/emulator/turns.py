"""One turn of the agent: from a user's message to its last word.

Owns: the loop of model replies and tool batches, the rows it stores, the order of its events, and how it ends.
Refuses to know: how tools run (`tool_runs.py`), where its events go (`streams.py`), what else runs (`runner.py`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Final, Literal

from langchain_mix.emulator.agents.base import (
    Agent,
    Fail,
    Line,
    Piece,
    Raw,
    Request,
    Result,
    Text,
    Thinking,
    ToolUse,
    Usage,
    Wait,
)
from langchain_mix.emulator.events import LOGIN_TEXT, STREAM_LOGIN_TEXT, Call, Event, EventEncoder
from langchain_mix.emulator.state import ApiError, Row, ServerState, SessionFacts, ToolCallRecord
from langchain_mix.emulator.state.catalogue import available, canonical, spelled
from langchain_mix.emulator.state.serializers import well_formed
from langchain_mix.emulator.streams import Subscribers
from langchain_mix.protocol.api import ApiVersion

CANCELLED: Final = "request cancelled by user"
_DEFAULT_USAGE: Final = Usage(input_tokens=10, output_tokens=20)
_PLAN_REMINDER: Final = (
    "\n\n<system-reminder>\nPlan mode is active. Only read-only tools may be used: look around, then present a plan "
    "with the ExitPlanMode tool. Do not change anything.\n</system-reminder>"
)
_THINKING_WORDS: Final = (("ultrathink", "maximum"), ("think hard", "medium"), ("think", "basic"))
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest:
    """A message and how it is to be answered.

    Attributes:
        thinking_level: The level of thinking; None leaves it to words in the text.
        max_steps: The most batches of tools; 0 or less is no limit (Mix 0.8).
    """

    session_id: str
    text: str
    plan_mode: bool = False
    thinking_level: str | None = None
    max_steps: int = 0


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a turn.

    Attributes:
        row: The last assistant row, if there is one.
        is_auth: True when the server takes the error for a missing login.
    """

    row: Row | None
    error: str | None = None
    kind: Literal["done", "cancelled", "failed"] = "done"
    is_auth: bool = False


class AgentError(Exception):
    """The agent cannot go on; the text is that of its `error` event."""

    def __init__(self, text: str, kind: Literal["provider", "rate_limit", "auth"] = "provider") -> None:
        """Says why."""
        super().__init__(text)
        self.text = text
        self.kind = kind

    @property
    def is_auth(self) -> bool:
        """True when the server takes it for a missing login; it goes by the words."""
        return self.kind == "auth" or "401" in self.text or "authentication" in self.text.lower()

    @property
    def is_rate_limit(self) -> bool:
        """True when the server sends its undocumented event for it (Mix)."""
        return self.kind == "rate_limit" or "rate_limit_error" in self.text


RunTools = Callable[["Turn", list[ToolUse], list[Call]], Awaitable[None]]
"""Runs a batch of calls and stores the rows that come of it."""


@dataclass(eq=False, kw_only=True)
class Turn:
    """A turn that is running."""

    turn_request: TurnRequest
    facts: SessionFacts
    state: ServerState
    agent: Agent
    subscribers: Subscribers
    encoder: EventEncoder
    run_tools: RunTools
    user_row: Row = field(init=False)
    live: Row | None = field(init=False, default=None)
    _unsaved: bool = field(init=False, default=False)
    _said: list[str] = field(init=False, default_factory=list)
    _thought: list[str] = field(init=False, default_factory=list)

    @property
    def session_id(self) -> str:
        """The session it runs in."""
        return self.turn_request.session_id

    @property
    def is_subagent(self) -> bool:
        """True when it works for a Task call."""
        return self.facts.type == "subagent"

    def begin(self) -> None:
        """Stores the user's message, so that every later reader of the session finds it."""
        text = self.turn_request.text + (_PLAN_REMINDER if self.turn_request.plan_mode else "")
        self.user_row = self.state.rows.append(self.session_id, Row(role="user", text=text))

    async def run(self) -> Ending:
        """Answers the message and returns how that ended. Cancelling the task is an end too."""
        try:
            await self.emit(self.encoder.user_message_created(self.user_row.id, self.user_row.text))
            row = await self._converse()
        except asyncio.CancelledError:
            return await self._fail(AgentError(CANCELLED), "cancelled")
        except AgentError as error:
            return await self._fail(error, "failed")
        except ApiError as error:
            # The session was deleted while the turn ran.
            return await self._fail(AgentError(f"failed to process events: {error.message}"), "failed")
        except Exception as error:  # noqa: BLE001  Whatever breaks ends the turn with an error event.
            _log.exception("A turn of session %s broke.", self.session_id)
            return await self._fail(AgentError(f"failed to process events: {error}"), "failed")
        self.save()
        for event in self.encoder.complete(row.text, row.id, row.reasoning, row.reasoning_duration):
            await self.subscribers.emit_once(event)
        return Ending(row)

    def save(self) -> None:
        """Stores what the reply that is being given holds so far."""
        row = self.live
        if row is not None and self._unsaved:
            self._unsaved = False
            # Pieces are joined only here, so that a long reply costs no more per piece than a short one.
            row.text, row.reasoning = "".join(self._said), "".join(self._thought)
            self._said, self._thought = [row.text], [row.reasoning]
            self.state.rows.update(row)

    async def emit(self, events: list[Event]) -> None:
        """Sends events to the subscribers."""
        for event in events:
            await self.subscribers.emit(event)

    async def _fail(self, error: AgentError, kind: Literal["cancelled", "failed"]) -> Ending:
        row = self.live
        if row is not None and not row.finish_reason:
            row.finish_reason = "canceled" if kind == "cancelled" else "error"
            self._unsaved = True
        self.save()
        streamed = self.encoder.api is ApiVersion.V0_5
        first = STREAM_LOGIN_TEXT if streamed and error.is_auth else error.text
        rate = self.encoder.rate_limit() if error.is_rate_limit else []
        await self.emit(rate or self.encoder.error(first))
        # Mix: the request handler reports the failure again once the run has ended.
        if self.subscribers.errors_twice or rate:
            for event in self.encoder.error(LOGIN_TEXT if error.is_auth and not streamed else error.text):
                await self.subscribers.emit_once(event)
        return Ending(row, error.text, kind, error.is_auth)

    async def _converse(self) -> Row:
        for step in count(1):
            row, uses = await self._reply()
            if not uses:
                return row
            calls = [Call(call.id, call.name, call.input, ready=True) for call in row.tool_calls]
            await self.run_tools(self, uses, calls)
            await self.emit(self.encoder.tools_done(calls, row.id))
            if 0 < self.turn_request.max_steps <= step:
                raise AgentError(f"maximum iteration limit ({self.turn_request.max_steps} steps) reached")
        raise AssertionError("unreachable")

    async def _reply(self) -> tuple[Row, list[ToolUse]]:
        """One model reply: an assistant row that grows with its pieces."""
        row = self.live = self.state.rows.append(self.session_id, Row(role="assistant"))
        self._said, self._thought = [], []
        uses: list[ToolUse] = []
        usage = _DEFAULT_USAGE
        async with _closing(self.agent.reply(self.request(row))) as pieces:
            async for piece in pieces:
                if isinstance(piece, ToolUse):
                    uses.append(await self._call(piece, row))
                elif isinstance(piece, Usage):
                    usage = piece
                else:
                    await self._handle(piece, row)
        row.finish_reason = "tool_use" if uses else "end_turn"
        self._account(row, usage)
        self._unsaved = True
        self.save()
        return row, uses

    def request(self, growing: Row | None = None) -> Request:
        """Builds the input of an agent or a tool, without the row that is being written."""
        rows = self.state.rows.of(self.session_id)
        if growing is not None:
            rows = [row for row in rows if row.id != growing.id]
        turn_request, facts = self.turn_request, self.facts
        return Request(
            session_id=self.session_id,
            lines=conversation(rows),
            tools=available(self.encoder.api, plan_mode=turn_request.plan_mode, is_subagent=self.is_subagent),
            system_prompt=facts.system_prompt,
            prompt_mode=facts.prompt_mode,
            thinking_level=turn_request.thinking_level or _wanted_thinking(turn_request.text),
            plan_mode=turn_request.plan_mode,
            workspace=self.state.files.workspace(self.session_id),
            uploads=self.state.files.uploads,
            is_subagent=self.is_subagent,
        )

    async def _handle(self, piece: Thinking | Text | Fail | Raw | Wait, row: Row) -> None:
        match piece:
            case Thinking(text) if text:
                text = well_formed(text)
                self._thought.append(text)
                self._unsaved = True
                await self.emit(self.encoder.thinking(text, row.id))
            case Text(text) if text:
                text = well_formed(text)
                self._said.append(text)
                self._unsaved = True
                await self.emit(self.encoder.content(text, row.id))
            case Fail(message, kind):
                raise AgentError(message, kind)
            case Raw(event, data):
                await self.emit([Event(event, data)])
            case Wait(gate):
                self.save()
                await gate.passed()
            case _:
                # Mix: deltas are never empty.
                return

    async def _call(self, use: ToolUse, row: Row) -> ToolUse:
        use = replace(use, id=use.id or f"toolu_fake_{uuid.uuid4()}")
        raw = use.raw_input
        if raw is None:
            raw = json.dumps(dict(use.input), ensure_ascii=False, separators=(",", ":"))
        text = well_formed(raw)
        record = ToolCallRecord(id=use.id, name=spelled(use.name, self.encoder.api), input="")
        before = [Call(call.id, call.name, call.input, ready=True) for call in row.tool_calls]
        row.tool_calls.append(record)
        self._unsaved = True
        call = Call(record.id, record.name, text)
        await self.emit(self.encoder.tool_declared([*before, call], row.id))
        await self.emit(self.encoder.tool_input(call, row.id))
        record.input, record.finished = text, True
        await self.emit(self.encoder.tool_ready([*before, replace(call, ready=True)], row.id))
        return use

    def _account(self, row: Row, usage: Usage) -> None:
        row.input_tokens, row.output_tokens = usage.input_tokens, usage.output_tokens
        row.cache_creation_tokens = usage.cache_creation_tokens
        row.cache_read_tokens = usage.cache_read_tokens
        # The reply counts as one of the model that was chosen.
        row.cost, row.model = usage.cost, self.state.chosen_model(self.session_id) or usage.model or "mix-emulator"
        self.state.sessions.add_usage(
            self.session_id,
            prompt_tokens=usage.input_tokens + usage.cache_creation_tokens + usage.cache_read_tokens,
            completion_tokens=usage.output_tokens,
            cost=usage.cost,
        )


@asynccontextmanager
async def _closing(pieces: AsyncIterator[Piece]) -> AsyncIterator[AsyncIterator[Piece]]:
    """Closes an agent's pieces, so that it notices a turn that ends early."""
    try:
        yield pieces
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()


def _wanted_thinking(text: str) -> str | None:
    """The level that words of the message ask for, if no level was given."""
    plain = text.lower()
    return next((level for word, level in _THINKING_WORDS if word in plain), None)


def conversation(rows: Iterable[Row]) -> tuple[Line, ...]:
    """Makes a line of each row, tools under their PascalCase names."""
    return tuple(
        Line(
            role=row.role,
            text=row.text or _callbacks(row),
            calls=tuple(_call(call) for call in row.tool_calls),
            results=tuple(_result(result) for result in row.tool_results),
        )
        for row in rows
    )


def arguments(text: str) -> dict[str, Any]:
    """The arguments of a call from their JSON text; none if it is broken or no object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _call(call: ToolCallRecord) -> ToolUse:
    return ToolUse(name=canonical(call.name), input=arguments(call.input), id=call.id)


def _result(result: Mapping[str, Any]) -> Result:
    return Result(
        call_id=str(result.get("call_id", "")),
        name=canonical(str(result.get("name", ""))),
        output=str(result.get("output", "")),
        is_error=bool(result.get("is_error")),
    )


def _callbacks(row: Row) -> str:
    """Returns the results of callbacks, for a row that holds nothing else."""
    texts = (
        result.get("subagent_result") or result.get("stdout") or result.get("stderr") for result in row.callback_results
    )
    return "\n".join(str(text) for text in texts if text)
