"""Runs procedures: generators that yield what they need next (a step) and are sent what came of it.

A procedure decides and a shell does. Requests are values, so that one procedure serves synchronous and asynchronous
code, and tests run it without a socket. A package supplies `perform`, which carries out a single step.

- What `perform` returns is sent into the procedure. What it raises is thrown in, at the `yield` that requested the
  step, so that the procedure decides: it may go on with other steps, or undo what it did and raise. This includes
  `KeyboardInterrupt` and the cancellation of a task.
- `GeneratorExit` is the exception to this: it closes a coroutine that is never awaited again (its event loop has
  ended), so nothing can be performed any more and the procedure is closed.
- The procedure is closed whatever happens, so that its `finally` clauses give back what it holds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeAlias, TypeVar, cast

S = TypeVar("S")
T = TypeVar("T")

Procedure: TypeAlias = Generator[S, Any, T]
"""Yields steps, gets their results, returns a result. `yield from` makes one a part of another."""


def run(procedure: Procedure[S, T], perform: Callable[[S], Any]) -> T:
    """Runs a procedure to its end.

    Args:
        procedure: The procedure, not begun.
        perform: Carries out one step and returns its result.

    Raises:
        BaseException: What the procedure raises, which may be what `perform` raised.
    """
    try:
        step = next(procedure)
        while True:
            try:
                result = perform(step)
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001  # The procedure decides.
                step = procedure.throw(error)
            else:
                step = procedure.send(result)
    except StopIteration as done:
        return cast("T", done.value)
    finally:
        _close(procedure)


async def run_async(procedure: Procedure[S, T], perform: Callable[[S], Awaitable[Any]]) -> T:
    """Does what `run` does, with a `perform` that is awaited. When the task is cancelled, the procedure decides too."""
    try:
        step = next(procedure)
        while True:
            try:
                result = await perform(step)
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001  # The procedure decides.
                step = procedure.throw(error)
            else:
                step = procedure.send(result)
    except StopIteration as done:
        return cast("T", done.value)
    finally:
        _close(procedure)


def _close(procedure: Procedure[Any, Any]) -> None:
    """Closes a procedure with all its `finally` clauses.

    Raises:
        RuntimeError: One of them requested a step, which nobody can perform any more. Those around it have run as well.
    """
    try:
        procedure.close()
    except RuntimeError:
        _close(procedure)  # It may have stopped at that `yield`; nothing happens to one that has ended.
        raise
