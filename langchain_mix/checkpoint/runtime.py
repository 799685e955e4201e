"""The steps that procedures of this package may request, and how each is performed in both worlds.

Owns: waiting, for a pause, a lock or another saver. Refuses to know: what a procedure is about; calls go to the client
as they are.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, TypeAlias, TypeVar

from langchain_mix.client import Mix
from langchain_mix.errors import MixError, MixUnsupportedError
from langchain_mix.fifo_lock import LockTicket
from langchain_mix.protocol import procedure
from langchain_mix.protocol.call import Call, Together
from langchain_mix.protocol.procedure import Procedure

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pause:
    """Waits for a while."""

    seconds: float


@dataclass(frozen=True, slots=True)
class AcquireLock:
    """Waits until a place in the queue of a lock is granted, or its work was done by another owner."""

    ticket: LockTicket[Any]


@dataclass(frozen=True, slots=True)
class SaverCall:
    """Calls a method of another saver."""

    method: str
    call: Callable[[], Any]
    call_async: Callable[[], Awaitable[Any]]


Step: TypeAlias = Call[Any] | Together | Pause | AcquireLock | SaverCall
"""The steps that a procedure may request."""

Steps: TypeAlias = Procedure[Step, T]
"""A procedure of this package and its result. A `Flow` is one too: `yield from` takes both."""


def run(mix: Mix, steps: Steps[T]) -> T:
    """Runs a procedure in this thread.

    Raises:
        MixError: It failed.
        MixUsageError: It would wait for a task of the event loop that runs in this very thread.
    """
    try:
        return procedure.run(steps, partial(perform, mix))
    except MixError as error:
        raise error.with_traceback(_origin(error)) from error.__cause__


async def run_async(mix: Mix, steps: Steps[T]) -> T:
    """Does what `run` does, in the running event loop. It may be cancelled."""
    try:
        return await procedure.run_async(steps, partial(perform_async, mix))
    except MixError as error:
        raise error.with_traceback(_origin(error)) from error.__cause__


def _origin(error: BaseException) -> TracebackType | None:
    """Returns the frame that raised an error, without the twenty of the procedure and the client on the way to it.

    A `MixError` says itself what was sent and what to do; any other exception, which may be a fault of ours, keeps all.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace


def perform(mix: Mix, step: Step) -> Any:
    """Performs one step in this thread."""
    if isinstance(step, Call | Together):
        return mix.perform(step)
    if isinstance(step, AcquireLock):
        return step.ticket.wait()
    if isinstance(step, Pause):
        return time.sleep(step.seconds)  # noqa: TID251  # A pause between two attempts, configurable.
    try:
        return step.call()
    except NotImplementedError as lack:
        raise _lacks(step.method, lack) from lack


async def perform_async(mix: Mix, step: Step) -> Any:
    """Performs one step in the running event loop."""
    if isinstance(step, Call | Together):
        return await mix.perform_async(step)
    if isinstance(step, AcquireLock):
        return await step.ticket.wait_async()
    if isinstance(step, Pause):
        return await asyncio.sleep(step.seconds)  # noqa: TID251  # A pause between two attempts, configurable.
    try:
        return await step.call_async()
    except NotImplementedError as lack:
        raise _lacks(f"a{step.method}", lack) from lack


def _lacks(method: str, lack: NotImplementedError) -> MixUnsupportedError:
    return MixUnsupportedError(
        f"The saver underneath has no `{method}`: {str(lack) or 'it is not implemented'}",
        hint="Give `storage` a saver that has it; those of LangGraph exist for synchronous and for asynchronous code.",
    )
