"""The steps of the retriever's procedures, as values. `retriever.py` carries them out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from langchain_mix.protocol.call import Call, Together
from langchain_mix.retrievers.downloads import Batch, Received

T = TypeVar("T")
E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """Runs a function that takes processor time, reads a disk or calls a model; without `do_async` in a thread."""

    do: Callable[[], T]
    do_async: Callable[[], Awaitable[T]] | None = None


@dataclass(frozen=True, slots=True)
class Download(Generic[E]):
    """Downloads files and uses each as soon as it has arrived. The result is the list of what `use` made of them.

    `use` returns what it made, or the work that makes it where that takes processor time.
    """

    batch: Batch
    use: Callable[[Received], E | Work[E]]


@dataclass(frozen=True, slots=True)
class Wait:
    """Waits for another thread or task. The result is False where it cannot be waited for.

    Attributes:
        done: Set when it has ended.
        loop: The event loop it runs on; None in a thread without one.
    """

    done: Future[None]
    loop: asyncio.AbstractEventLoop | None


Step: TypeAlias = Call[Any] | Together | Work[Any] | Download[Any] | Wait
Steps: TypeAlias = Generator[Step, Any, T]
"""A procedure and its result. A `Flow` is one too: `yield from` takes both."""
