"""Which runs the tools of a turn are: the pure half of `tool_runs.py`.

Owns: what starts and ends when, and inside of what.
Refuses to know: callback managers, who listens, and whether this happens in sync or async code.

A run ends with the tool's result, as a `ToolMessage`. Mix 0.8 reports results when the turn is over, so that a run that
has succeeded stays open until then; one that has failed ends at once. Before 0.8 no result is reported: the server's
words about the run stand in, marked by `additional_kwargs={"mix_result": "progress"}`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from langchain_core.messages import ToolMessage

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
        output: What it gave: a tool's result as a message, a sub-agent's last words.
        error: Why it failed; None if it did not.
    """

    key: Key
    output: ToolMessage | str = ""
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
    progress: str | None = None
    output: str | None = None
    is_error: bool = False

    def result(self) -> ToolMessage:
        """Returns what the tool gave, as one of LangChain's tools would."""
        artifact = {"progress": self.progress} if self.progress else None
        told: dict[str, Any] = {} if self.output is not None else {"mix_result": "progress"}
        return ToolMessage(
            content=(self.progress or "") if self.output is None else self.output,
            name=self.name or None,
            tool_call_id=self.id,
            artifact=artifact,
            additional_kwargs=told,
            status="error" if self.is_error else "success",
        )


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

    def __init__(self, *, results_follow: bool = False) -> None:
        """Starts with no run.

        Args:
            results_follow: Whether the server may report the tools' results when the turn is over.
        """
        self._results_follow = results_follow
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

    def succeeded(self) -> Steps:
        """Ends the runs of tools that have succeeded and whose results do not come any more, as the turn fails."""
        for call in [c for c in self._calls.values() if c.state == "running" and c.progress is not None]:
            yield from self._over(call, None)

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
            if call.progress is not None and call.state == "running":  # Held until now.
                yield from self._over(call, _failure(call, call.output) if call.is_error else None)
            return
        call.name = call.name or update.name
        match update:
            case ToolCalled():
                call.input = call.input or update.input
            case ToolRunning():
                yield from self._begin(call)
            case ToolFinished():
                call.progress = update.progress
                if not update.success:
                    yield from self._over(call, _failure(call, update.progress))
                elif self._results_follow and inside is None and call.output is None:
                    yield from self._begin(call)
                    yield from self._end_subagent(call.id, None)
                else:
                    yield from self._over(call, None)
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
        yield End(("tool", call.id), call.result() if error is None else "", error)

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
