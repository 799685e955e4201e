"""Notifies callbacks, tracers and graphs of what happens beside the reply: runs of tools, custom events, the cost.

Owns: which runs start and end when and inside of what (`RunPlan`, pure), that every started run ends (`TurnCallbacks`),
the names and data of custom events, and who gets them: callbacks as `on_custom_event`, and in a LangGraph graph the
stream writer (`stream_mode="custom"`), which callbacks do not reach.
Refuses to know: what a reply shows of tools (`content_blocks.py`), and how permission requests are answered.

A run ends with the tool's result, as a `ToolMessage`. Mix 0.8 reports results when the turn is over, so that a run that
has succeeded stays open until then; one that has failed ends at once. Before 0.8 no result is reported: the server's
words about the run are used instead, marked by `additional_kwargs={"mix_result": "progress"}`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from contextvars import copy_context
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from langchain_core.callbacks import (
    AsyncCallbackManager,
    AsyncCallbackManagerForLLMRun,
    CallbackManager,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import LangSmithParams
from langchain_core.messages import ToolMessage
from langchain_core.runnables.config import (
    ensure_config,
    get_async_callback_manager_for_config,
    get_callback_manager_for_config,
)

from langchain_mix.chat_models.parameters import UNNAMED_MODEL
from langchain_mix.chat_models.retries import LINEAGE
from langchain_mix.errors import MixAgentError, MixTurnCancelled
from langchain_mix.pointer import KEY
from langchain_mix.protocol.tool_calls import CoreToolName
from langchain_mix.protocol.turn.updates import (
    NotificationReceived,
    PermissionRequested,
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

if TYPE_CHECKING:
    from langchain_mix.protocol.api import ApiKnowledge

SUBAGENT = "subagent"
"""The name of a sub-agent's run."""

Key = tuple[Literal["tool", "subagent"], str]
"""A run: of a tool call, or of the sub-agent that a Task call runs."""

_ToolUpdate = ToolCallStarted | ToolCalled | ToolRunning | ToolFinished | ToolOutput


@dataclass(frozen=True, slots=True)
class Start:
    """A run starts, under its parent; without one, under the run that the turn hangs under.

    `input` has the arguments of the tool as JSON text; a sub-agent has those of its Task.
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
    """A run ends, with a tool's result as a message, a sub-agent's last words, or the error for which it failed."""

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
        extra: dict[str, Any] = {} if self.output is not None else {"mix_result": "progress"}
        return ToolMessage(
            content=(self.progress or "") if self.output is None else self.output,
            name=self.name or None,
            tool_call_id=self.id,
            artifact=artifact,
            additional_kwargs=extra,
            status="error" if self.is_error else "success",
        )


@dataclass(slots=True)
class _Subagent:
    message_id: str = ""
    text: list[str] = field(default_factory=list)
    error: str = ""

    def add_text(self, piece: TextDelta) -> None:
        if piece.message_id != self.message_id:
            self.message_id, self.text = piece.message_id, []
        self.text.append(piece.text)


class RunPlan:
    """Decides what starts and ends. What a step says is taken as done when the next one is requested."""

    def __init__(self, detected: ApiKnowledge | None = None) -> None:
        """Starts with no run. `detected` shows whether the server may report tools' results when the turn is over."""
        self._detected = detected
        self._calls: dict[str, _Call] = {}
        self._subagents: dict[str, _Subagent] = {}

    def handle(self, update: Update) -> Steps:
        """Yields what starts and ends by an update."""
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
                subagent.add_text(piece)
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
                elif inside is None and call.output is None and self._results_follow():
                    yield from self._begin(call)
                    yield from self._end_subagent(call.id, None)
                else:
                    yield from self._over(call, None)
            case _:
                pass

    def _results_follow(self) -> bool:
        return self._detected is not None and self._detected.supports("tool_results") is not False

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


PERMISSION: Final = "mix_permission"
"""A tool asks whether it may run. The data has the fields of `SSEPermissionEventData`."""
NOTIFICATION: Final = "mix_notification"
"""The agent notifies or asks the user. The data has the fields of `SSENotificationEventData`."""
PROGRESS: Final = "mix_progress"
"""Anything else: `kind` (`rate_limit`, `reopened`, `foreign_turn`, …) and `detail`, as in the update `Progress`."""


@dataclass(frozen=True, slots=True)
class CustomEvent:
    """A custom event with JSON values. Of a sub-agent's event, `parent_tool_call_id` is its Task call."""

    name: str
    data: dict[str, Any]

    def written(self) -> dict[str, Any]:
        """The event as it goes to a graph's stream writer, distinguished from other writers' data by its only key."""
        return {"mix": {**self.data, "event": self.name.removeprefix("mix_")}}


def custom_event_of(update: Update) -> CustomEvent | None:
    """Returns the custom event that an update is; None if it is part of the reply or of a tool's run."""
    match update:
        case PermissionRequested():
            event = CustomEvent(PERMISSION, update.request.model_dump(mode="json", exclude_none=True))
        case NotificationReceived():
            event = CustomEvent(NOTIFICATION, update.notification.model_dump(mode="json", exclude_none=True))
        case Progress():
            # Details hold what the server sent as it came, so that they are JSON but for what nobody foresaw.
            event = CustomEvent(
                PROGRESS, {"kind": update.kind, "detail": json.loads(json.dumps(dict(update.detail), default=str))}
            )
        case SubagentUpdate():
            inner = custom_event_of(update.update)
            return CustomEvent(inner.name, {**inner.data, "parent_tool_call_id": update.parent_id}) if inner else None
        case _:
            return None
    event.data.pop("type", None)  # The wire's name of the event, which `name` replaces.
    return event


class _TurnCallbacks:
    """Holds what sync and async share: who listens, the plan of the runs, and those that are open."""

    def __init__(
        self,
        manager: CallbackManager | AsyncCallbackManager | None,
        *,
        tool_runs: bool,
        detected: ApiKnowledge | None,
    ) -> None:
        self._manager: Any = manager  # Synchronous or asynchronous, as the class is.
        self._write = _graph_writer()
        self._plan = RunPlan(detected) if tool_runs and manager is not None else None
        self._open: dict[Key, Any] = {}
        # Handlers set context variables at a run's start and reset them at its end. Between the two the reply's
        # generator hands control to its caller, who must not see them; so they are kept in a context of their own.
        self._context = copy_context()

    def _steps(self, update: Update) -> Steps:
        return iter(()) if self._plan is None else self._plan.handle(update)

    def _target(self, step: Start | End) -> Any:
        if isinstance(step, End):
            return self._open.pop(step.key)
        return self._manager if step.parent is None else self._open[step.parent].get_child()

    def _aborted(self, error: BaseException) -> list[End]:
        """The ends of all open runs, oldest first."""
        if isinstance(error, GeneratorExit):
            cause, error = error, MixTurnCancelled("The reply was given up before it was complete.", acted="yes")
            error.__cause__ = cause
        return [End(key, error=error) for key in self._open]


class TurnCallbacks(_TurnCallbacks):
    """Notifies callbacks and the graph of one turn. A context manager that closes all runs of tools."""

    def __init__(
        self,
        run_manager: CallbackManagerForLLMRun | None = None,
        *,
        tool_runs: bool = True,
        detected: ApiKnowledge | None = None,
    ) -> None:
        """Finds the listeners, once: the run's handlers, else those of the run around it, else none.

        Custom events are reported even where runs of tools are not.
        """
        super().__init__(manager_of(run_manager), tool_runs=tool_runs, detected=detected)

    def handle(self, update: Update) -> None:
        """Starts and ends the runs that an update starts and ends, and emits it if it is a custom event."""
        for step in self._steps(update):
            self._do(step)
        event = custom_event_of(update)
        if event is None:
            return
        if self._manager is not None:
            # Not `run_manager.on_custom_event`: that is a handler's hook, inherited, and notifies nobody.
            self._manager.on_custom_event(event.name, event.data, run_id=self._manager.parent_run_id)
        if self._write is not None:
            self._write(event.written())

    def close(self, error: BaseException | None = None) -> None:
        """Closes every open run, the innermost first; `error` is why the turn ended early."""
        if self._plan is None:
            return
        if error is None:
            try:
                for step in self._plan.rest():
                    self._do(step)
            except BaseException as failure:
                self._abort(self._plan, failure)
                raise
        else:
            self._abort(self._plan, error)

    def _abort(self, plan: RunPlan, error: BaseException) -> None:
        with ExitStack() as stack:
            stack.callback(self._abort_open, error)
            for step in plan.succeeded():
                self._do(step)

    def _abort_open(self, error: BaseException) -> None:
        with ExitStack() as stack:  # Calls them all, the last one first, even if a handler raises.
            for end in self._aborted(error):
                stack.callback(self._do, end)

    def _do(self, step: Start | End) -> None:
        run = self._context.run(step.perform, self._target(step))
        if isinstance(step, Start):
            self._open[step.key] = run

    def __enter__(self) -> Self:
        """Begins with no run."""
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        """Closes every open run."""
        self.close(error)


class AsyncTurnCallbacks(_TurnCallbacks):
    """Does what `TurnCallbacks` does, for async code."""

    def __init__(
        self,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        *,
        tool_runs: bool = True,
        detected: ApiKnowledge | None = None,
    ) -> None:
        """Finds the listeners; see `TurnCallbacks`."""
        super().__init__(async_manager_of(run_manager), tool_runs=tool_runs, detected=detected)

    async def handle(self, update: Update) -> None:
        """Starts and ends the runs that an update starts and ends, and emits it if it is a custom event."""
        for step in self._steps(update):
            await self._do(step)
        event = custom_event_of(update)
        if event is None:
            return
        if self._manager is not None:
            await self._manager.on_custom_event(event.name, event.data, run_id=self._manager.parent_run_id)
        if self._write is not None:
            self._write(event.written())

    async def close(self, error: BaseException | None = None) -> None:
        """Closes every open run, the innermost first; `error` is why the turn ended early."""
        if self._plan is None:
            return
        if error is None:
            try:
                for step in self._plan.rest():
                    await self._do(step)
            except BaseException as failure:
                await self._abort(self._plan, failure)
                raise
        else:
            await self._abort(self._plan, error)

    async def _abort(self, plan: RunPlan, error: BaseException) -> None:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._abort_open, error)
            for step in plan.succeeded():
                await self._do(step)

    async def _abort_open(self, error: BaseException) -> None:
        async with AsyncExitStack() as stack:  # Calls them all, the last one first, even if a handler raises.
            for end in self._aborted(error):
                stack.push_async_callback(self._do, end)

    async def _do(self, step: Start | End) -> None:
        task = asyncio.get_running_loop().create_task(self._perform(step), context=self._context)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            # A run whose start was abandoned could never be closed.
            await asyncio.wait((task,))
            raise

    async def _perform(self, step: Start | End) -> None:
        run = await step.perform(self._target(step))
        if isinstance(step, Start):
            self._open[step.key] = run

    async def __aenter__(self) -> Self:
        """Begins with no run."""
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        """Closes every open run."""
        await self.close(error)


def manager_of(run_manager: CallbackManagerForLLMRun | None) -> CallbackManager | None:
    """Returns the callbacks under a model's run, else those under the run around it; None if nobody listens.

    The base class gives producers of streams no run, and a model's run cannot make children itself.
    """
    if run_manager is not None:
        manager = CallbackManager(**_inherited(run_manager))
    else:
        manager = get_callback_manager_for_config(ensure_config())
    return manager if _is_heard(manager) else None


def async_manager_of(run_manager: AsyncCallbackManagerForLLMRun | None) -> AsyncCallbackManager | None:
    """Does what `manager_of` does, for async code."""
    if run_manager is not None:
        manager = AsyncCallbackManager(**_inherited(run_manager))
    else:
        manager = get_async_callback_manager_for_config(ensure_config())
    return manager if _is_heard(manager) else None


def _is_heard(manager: CallbackManager | AsyncCallbackManager) -> bool:
    return manager.parent_run_id is not None and any(handler is not LINEAGE for handler in manager.handlers)


def _inherited(run: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun) -> dict[str, Any]:
    # What describes the model or its place in a chain is not true of a tool.
    tags = [tag for tag in run.tags if not tag.startswith("seq:step:")]
    metadata = {k: v for k, v in run.metadata.items() if k not in LangSmithParams.__annotations__}
    return {
        "handlers": list(run.handlers),
        "inheritable_handlers": list(run.handlers),
        "parent_run_id": run.run_id,
        "tags": tags,
        "inheritable_tags": list(tags),
        "metadata": metadata,
        "inheritable_metadata": dict(metadata),
    }


def _graph_writer() -> Callable[[Any], None] | None:
    """The stream writer of the LangGraph graph around this, if there is one. Loads nothing: a graph has loaded it."""
    langgraph = sys.modules.get("langgraph.config")
    if langgraph is None:
        return None
    try:
        writer: Callable[[Any], None] = langgraph.get_stream_writer()
    except (RuntimeError, KeyError):
        return None  # No run is around this, or one that is no graph's.
    return writer


def report_to_tracers(run: Any, metadata: Mapping[str, Any], usage: Mapping[str, Any] | None) -> None:
    """Writes which model answered, and what it cost, where LangSmith reads them: in the metadata of the model's run.

    A message cannot carry the cost in `usage_metadata`: LangChain adds up only whole numbers there.
    """
    if run is None:
        return
    cost = metadata[KEY].get("cost")
    for handler in run.handlers:
        traced = getattr(handler, "run_map", {}).get(str(run.run_id))
        if traced is None:
            continue
        known = dict(traced.extra.get("metadata") or {})
        if metadata["model_name"] != UNNAMED_MODEL:
            known["ls_model_name"] = metadata["model_name"]
        if cost is not None:
            known = _Metered(known, cost)
            known["usage_metadata"] = usage or {}
        traced.extra["metadata"] = known


class _Metered(dict[str, Any]):
    """The metadata of a traced run, whose `usage_metadata` keeps its cost when a tracer sets it from the message."""

    def __init__(self, known: Mapping[str, Any], cost: float) -> None:
        super().__init__(known)
        self._cost = cost

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, {**value, "total_cost": self._cost} if key == "usage_metadata" else value)
