"""The tools that an agent runs at the server, as nested runs for LangChain's callbacks.

Owns: whom to tell, and that every run that was told to start is told to end.
Refuses to know: which runs there are (`tool_plan.py`), what a reply shows of tools (`content.py`).
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack
from contextvars import copy_context
from types import TracebackType
from typing import Any, Self

from langchain_core.callbacks import (
    AsyncCallbackManager,
    AsyncCallbackManagerForLLMRun,
    CallbackManager,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import LangSmithParams
from langchain_core.runnables.config import (
    ensure_config,
    get_async_callback_manager_for_config,
    get_callback_manager_for_config,
)

from langchain_mix.chat_models.retries import LINEAGE
from langchain_mix.chat_models.tool_plan import HEARD, End, Key, RunPlan, Start
from langchain_mix.errors import MixTurnCancelled
from langchain_mix.protocol.turn.updates import Update


class _Runs:
    """What sync and async share: the plan, and the runs that are open."""

    def __init__(self, manager: CallbackManager | AsyncCallbackManager | None, *, results_follow: bool) -> None:
        self._manager = manager
        self._plan = RunPlan(results_follow=results_follow)
        self._open: dict[Key, Any] = {}
        # Handlers set context variables at a run's start and reset them at its end. Between the two the reply's
        # generator hands control to its caller, who must not see them; so they are kept in a context of their own.
        self._context = copy_context()

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


class ToolRuns(_Runs):
    """Tells callbacks of the tools of one turn. A context manager that closes all runs."""

    def __init__(
        self, run_manager: CallbackManagerForLLMRun | None = None, *, enabled: bool = True, results_follow: bool = False
    ) -> None:
        """Finds whom to tell, once: the run's handlers, else those of the run around it, else nobody.

        Args:
            run_manager: The model's run, where the caller of the producer gives it.
            enabled: False to tell nobody.
            results_follow: Whether the server may report the tools' results when the turn is over.
        """
        super().__init__(manager_of(run_manager) if enabled else None, results_follow=results_follow)

    def hear(self, update: Update) -> None:
        """Starts and ends what an update starts and ends.

        Args:
            update: What the turn tells.
        """
        if self._manager is None or type(update) not in HEARD:
            return
        for step in self._plan.hear(update):
            self._do(step)

    def close(self, error: BaseException | None = None) -> None:
        """Closes every open run, the innermost first.

        Args:
            error: Why the turn ended early; None if it ended well.
        """
        if self._manager is None:
            return
        if error is None:
            try:
                for step in self._plan.rest():
                    self._do(step)
            except BaseException as failure:
                self._abort(failure)
                raise
        else:
            self._abort(error)

    def _abort(self, error: BaseException) -> None:
        with ExitStack() as stack:
            stack.callback(self._abort_open, error)
            for step in self._plan.succeeded():
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


class AsyncToolRuns(_Runs):
    """`ToolRuns` for async code."""

    def __init__(
        self,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        *,
        enabled: bool = True,
        results_follow: bool = False,
    ) -> None:
        """Finds whom to tell, once: the run's handlers, else those of the run around it, else nobody.

        Args:
            run_manager: The model's run, where the caller of the producer gives it.
            enabled: False to tell nobody.
            results_follow: Whether the server may report the tools' results when the turn is over.
        """
        super().__init__(async_manager_of(run_manager) if enabled else None, results_follow=results_follow)

    async def hear(self, update: Update) -> None:
        """Starts and ends what an update starts and ends.

        Args:
            update: What the turn tells.
        """
        if self._manager is None or type(update) not in HEARD:
            return
        for step in self._plan.hear(update):
            await self._do(step)

    async def close(self, error: BaseException | None = None) -> None:
        """Closes every open run, the innermost first.

        Args:
            error: Why the turn ended early; None if it ended well.
        """
        if self._manager is None:
            return
        if error is None:
            try:
                for step in self._plan.rest():
                    await self._do(step)
            except BaseException as failure:
                await self._abort(failure)
                raise
        else:
            await self._abort(error)

    async def _abort(self, error: BaseException) -> None:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._abort_open, error)
            for step in self._plan.succeeded():
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
    """The callbacks under a model's run, else those under the run around it.

    The base class gives producers of streams no run, and a model's run cannot make children itself.

    Args:
        run_manager: The model's run, or None.

    Returns:
        A manager with a parent run, or None if nobody listens.
    """
    if run_manager is not None:
        manager = CallbackManager(**_inherited(run_manager))
    else:
        manager = get_callback_manager_for_config(ensure_config())
    return manager if _is_heard(manager) else None


def async_manager_of(run_manager: AsyncCallbackManagerForLLMRun | None) -> AsyncCallbackManager | None:
    """`manager_of` for async code.

    Args:
        run_manager: The model's run, or None.

    Returns:
        A manager with a parent run, or None if nobody listens.
    """
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
