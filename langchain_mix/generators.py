"""Closes generators that are left open when their event loop or their program ends.

Asynchronous ones inside of others are closed by these alone, and synchronous ones before connections are.
"""

from __future__ import annotations

import atexit
import sys
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import suppress
from functools import cache
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar, cast

from langchain_mix import process_fork

T = TypeVar("T")
R = TypeVar("R")


class Owned(AsyncIterator[T], Generic[T]):
    """An asynchronous generator that is closed when its `async with` block ends.

    `contextlib.aclosing` is not enough: an event loop that ends closes all generators that were left open, at the same
    time. Of two that are nested, both the loop and the outer one would close the inner one, and Python reports
    "asynchronous generator is already running". So the loop never learns of the inner one. It still finishes one that
    is collected unclosed.
    """

    def __init__(self, generator: AsyncIterator[T]) -> None:
        """Takes a generator. One that was begun already stays known to its loop."""
        self._generator = cast("AsyncGenerator[T, None]", generator)
        self._begun = False

    def __anext__(self) -> Awaitable[T]:
        """Returns what yields the next item."""
        if self._begun:
            return self._generator.__anext__()
        self._begun = True
        return _unregistered(self._generator.__anext__)

    async def aclose(self) -> None:
        """Closes the generator. May be called twice."""
        await _unregistered(self._generator.aclose)

    async def __aenter__(self) -> Self:
        """Keeps it open until the block ends."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes it."""
        await self.aclose()


def _unregistered(begin: Callable[[], Awaitable[R]]) -> Awaitable[R]:
    """Makes a first call to a generator without telling the event loop. Nothing is awaited in between."""
    firstiter: Any = sys.get_asyncgen_hooks().firstiter
    sys.set_asyncgen_hooks(firstiter=None)
    try:
        return begin()
    finally:
        sys.set_asyncgen_hooks(firstiter=firstiter)


_left: Final[weakref.WeakSet[Generator[Any, None, None]]] = weakref.WeakSet()
process_fork.renew_in_child(_left.clear)


def closed_at_exit(generator: Generator[T, None, None]) -> Generator[T, None, None]:
    """Has a generator closed at the end of the program, while there are connections to say so to a server.

    Args:
        generator: Any generator. One that is collected, or has come to its end, is not kept.

    Returns:
        The same one.
    """
    _watch_exit()
    _left.add(generator)
    return generator


@cache
def _watch_exit() -> None:
    # HTTP clients are closed by `weakref.finalize`, which registers at its first use. Who registers last runs first.
    weakref.finalize(_watch_exit, bool)
    atexit.register(_close_left)


def _close_left() -> None:
    for generator in list(_left):
        with suppress(ValueError):  # A daemon thread is running it, and ends with the process.
            generator.close()
