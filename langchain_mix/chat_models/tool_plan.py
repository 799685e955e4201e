"""Which runs the tools of a turn are: the pure half of `tool_runs.py`.

Owns: what starts and ends when, and inside of what.
Refuses to know: callback managers, who listens, and whether this happens in sync or async code.

A run ends when the server says that the tool has run, with the server's words about it: what the tool gave is told
when the turn is over (Mix 0.8), too late for a run's time. It is the run's output only where it was known by then.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from langchain_mix.errors import MixAgentError
from langchain_mix.protocol.tool_names import CoreToolName
from langchain_mix.protocol.turn.updates import (
    Progress,
    SubagentUpdate,
    TextDelta,
    ToolCalled,
    ToolCallStarted,
    ToolFinished,
    ToolOutput,
    ToolRunning,
    Update,
)

SUBAGENT = "subagent"
"""The name of a sub-agent's run."""

Key = tuple[Literal["tool", "subagent"], str]
"""A run: of a tool call, or of the sub-agent that a Task call runs."""

_ToolUpdate = ToolCallStarted | ToolCalled | ToolRunning | ToolFinished | ToolOutput
HEARD = frozenset({ToolCallStarted, ToolCalled, ToolRunning, ToolFinished, ToolOutput, SubagentUpdate})


@dataclass(frozen=True, slots=True)
class Start:
    """A run starts.

    Attributes:
        key: The run.
        parent: The run it hangs under; None for the one that the turn hangs under.
        name: The tool, or `SUBAGENT`.
        input: Its arguments as JSON text; a sub-agent has those of its Task.
    """

    key: Key
    parent: Key | None
    name: str
    input: str

    def perform(self, target: Any) -> Any:
        """Starts the run with a sync or async manager: the run, or an awaitable of it."""
        called, inputs = {"name": self.name}, _arguments(self.input)
        if self.key[0] == "subagent":
            return target.on_chain_start(called, inputs, name=self.name)
        return target.on_tool_start(called, self.input, inputs=inputs, tool_call_id=self.key[1], name=self.name)


@dataclass(frozen=True, slots=True)
class End:
    """A run ends.

    Attributes:
        key: The run.
        output: What is known of what it gave.
        error: Why it failed; None if it did not.
    """

    key: Key
    output: str = ""
    error: BaseException | None = None

    def perform(self, target: Any) -> Any:
        """Ends a sync or async run: nothing, or an awaitable."""
        subagent = self.key[0] == "subagent"
        if self.error is not None:
            return target.on_chain_error(self.error) if subagent else target.on_tool_error(self.error)
        return target.on_chain_end({"output": self.output}) if subagent else target.on_tool_end(self.output)


Steps = Iterator[Start | End]


@dataclass(slots=True)
class _Call:
    id: str
    inside: str | None
    name: str = ""
    input: str = ""
    state: Literal["called", "running", "over"] = "called"
    output: str | None = None
    is_error: bool = False


@dataclass(slots=True)
class _Subagent:
    message_id: str = ""
    text: list[str] = field(default_factory=list)
    error: str = ""

    def tell(self, piece: TextDelta) -> None:
        if piece.message_id != self.message_id:
            self.message_id, self.text = piece.message_id, []
        self.text.append(piece.text)


class RunPlan:
    """Decides what starts and ends. What a step says is taken as done when the next one is asked for."""

    def __init__(self) -> None:
        """Starts with no run."""
        self._calls: dict[str, _Call] = {}
        self._subagents: dict[str, _Subagent] = {}

    def hear(self, update: Update) -> Steps:
        """What starts and ends by an update."""
        if isinstance(update, SubagentUpdate):
            yield from self._inside(update)
        elif isinstance(update, _ToolUpdate):
            yield from self._tool(update, None)

    def rest(self) -> Steps:
        """Closes a turn that ended well: its tools have run, even those whose events were lost on the way."""
        for call in [c for c in self._calls.values() if c.inside is None]:
            yield from self._over(call, _failure(call, call.output) if call.is_error else None)

    def _inside(self, update: SubagentUpdate) -> Steps:
        task = self._call(update.parent_id, None)
        if task.state == "over":
            return  # The queue of a server may deliver a sub-agent's last words late.
        task.name = task.name or CoreToolName.TASK.value
        yield from self._begin(task)
        subagent = self._subagents.get(task.id)
        if subagent is None:
            yield Start(("subagent", task.id), ("tool", task.id), SUBAGENT, task.input or "{}")
            subagent = self._subagents[task.id] = _Subagent()
        match update.update:
            case TextDelta() as piece:
                subagent.tell(piece)
            case Progress(kind="subagent_error", detail=detail):
                subagent.error = str(detail.get("error", ""))
            case SubagentUpdate() as deeper:
                yield from self._inside(deeper)
            case inner if isinstance(inner, _ToolUpdate):
                yield from self._tool(inner, task.id)
            case _:
                pass

    def _tool(self, update: _ToolUpdate, inside: str | None) -> Steps:
        call = self._call(update.id, inside)
        if isinstance(update, ToolOutput):
            call.output, call.is_error = update.output, update.is_error
            return
        call.name = call.name or update.name
        match update:
            case ToolCalled():
                call.input = call.input or update.input
            case ToolRunning():
                yield from self._begin(call)
            case ToolFinished():
                call.output = update.progress if call.output is None else call.output
                yield from self._over(call, None if update.success else _failure(call, update.progress))
            case _:
                pass

    def _call(self, call_id: str, inside: str | None) -> _Call:
        return self._calls.setdefault(call_id, _Call(call_id, inside))

    def _begin(self, call: _Call) -> Steps:
        if call.state == "called":
            parent: Key | None = ("subagent", call.inside) if call.inside in self._subagents else None
            # Mix 0.6 on: the events of a run have no names, so that one whose call was lost has none.
            yield Start(("tool", call.id), parent, call.name or "tool", call.input or "{}")
            call.state = "running"

    def _over(self, call: _Call, error: BaseException | None) -> Steps:
        if call.state == "over":
            return
        yield from self._begin(call)
        yield from self._end_subagent(call.id, error)
        call.state = "over"
        yield End(("tool", call.id), call.output or "", error)

    def _end_subagent(self, task_id: str, error: BaseException | None) -> Steps:
        if task_id not in self._subagents:
            return
        for call in [c for c in self._calls.values() if c.inside == task_id]:
            if error is None or call.state == "running":
                yield from self._over(call, error)
        subagent = self._subagents.pop(task_id)
        if error is not None and subagent.error:
            error = MixAgentError(subagent.error, acted="yes")
        yield End(("subagent", task_id), "".join(subagent.text), error)


def _failure(call: _Call, words: str | None) -> MixAgentError:
    return MixAgentError(words or f"The tool {call.name or call.id} failed.", acted="yes")


def _arguments(text: str) -> dict[str, Any]:
    """Arguments as the model wrote them; text that is no JSON object is shown as it is."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"input": text}
