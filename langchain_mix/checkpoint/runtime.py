"""Runs procedures of the store: the steps they may request, and how each is carried out in both worlds.

Owns: waiting. Refuses to know: what a procedure is about; calls go to the client as they are.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

from langchain_mix import errors
from langchain_mix.checkpoint.line import Ticket
from langchain_mix.client import Mix
from langchain_mix.protocol.call import Call, Flow, Together

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for a while.

    Attributes:
        seconds: How long.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Turn:
    """Wait until it is this ticket's turn, or until somebody else has done its work.

    Attributes:
        ticket: A place in the line.
    """

    ticket: Ticket


Steps: TypeAlias = Generator[Call[Any] | Together | Pause | Turn, Any, T]
"""A procedure of the store and its result. A `Flow` is one too: `yield from` takes both."""


def run(mix: Mix, steps: Steps[T]) -> T:
    """Runs a procedure.

    Args:
        mix: The client that sends its calls.
        steps: The procedure.

    Returns:
        Its result.

    Raises:
        MixError: It failed.
        MixUsageError: It would wait for a task of the event loop that runs in this very thread.
    """
    try:
        step = next(steps)
        while True:
            try:
                result = _do(mix, step)
            except BaseException as error:  # noqa: BLE001  # The procedure decides, and gives back what it holds.
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as done:
        return cast("T", done.value)
    finally:
        steps.close()


async def run_async(mix: Mix, steps: Steps[T]) -> T:
    """Does what `run` does, asynchronously, from any event loop. It may be cancelled."""
    try:
        step = next(steps)
        while True:
            try:
                result = await _do_async(mix, step)
            except BaseException as error:  # noqa: BLE001  # The same; cancellation among them.
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as done:
        return cast("T", done.value)
    finally:
        steps.close()


def _only(step: Call[Any] | Together) -> Flow[Any]:
    return (yield step)


def _do(mix: Mix, step: Call[Any] | Together | Pause | Turn) -> Any:
    if isinstance(step, Pause):
        time.sleep(step.seconds)  # noqa: TID251  # A pause between two attempts, configurable.
        return None
    if isinstance(step, Turn):
        _wait(step)
        return None
    return mix.run(_only(step))


def _wait(step: Turn) -> None:
    if step.ticket.granted:
        return
    granted = threading.Event()
    try:
        loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
    except RuntimeError:
        loop = None
    if step.ticket.await_turn(granted.set):
        return
    if loop is not None and step.ticket.is_behind(loop):
        raise errors.MixUsageError(
            "A synchronous call would wait for a task of the event loop that runs in this thread, which cannot go on.",
            acted="unknown" if step.ticket.taken else "no",
            hint="Use the asynchronous method, or make the call in another thread (`asyncio.to_thread`).",
        )
    granted.wait()


async def _do_async(mix: Mix, step: Call[Any] | Together | Pause | Turn) -> Any:
    if isinstance(step, Pause):
        await asyncio.sleep(step.seconds)  # noqa: TID251  # A pause between two attempts, configurable.
        return None
    if isinstance(step, Turn):
        await _wait_async(step)
        return None
    return await mix.run_async(_only(step))


async def _wait_async(step: Turn) -> None:
    loop = asyncio.get_running_loop()
    step.ticket.loop = loop
    if step.ticket.granted:
        return
    granted = loop.create_future()

    def grant() -> None:
        if not granted.done():
            granted.set_result(None)

    if not step.ticket.await_turn(lambda: loop.call_soon_threadsafe(grant)):
        await granted
