"""The steps of the retriever's procedures, as values. `retriever.py` carries them out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from langchain_mix.protocol.call import Call, Together
from langchain_mix.retrievers.downloads import FileReport, Received
from langchain_mix.retrievers.files import RemoteFile
from langchain_mix.retrievers.parsing.parsed import Limits

T = TypeVar("T")
E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """Runs a function that takes processor time, reads a disk or calls a model.

    Attributes:
        do: The function.
        do_async: Its asynchronous form; None to run `do` in a thread.
    """

    do: Callable[[], T]
    do_async: Callable[[], Awaitable[T]] | None = None


@dataclass(frozen=True, slots=True)
class Download(Generic[E]):
    """Downloads files and uses each as soon as it has arrived. The result is the list of what `use` made of them.

    Attributes:
        session_id: The session.
        files: The files.
        limits: How much is downloaded.
        report: Gets the files that are left out.
        use: Takes a file; returns the result, or the work that makes it where that takes processor time.
        versions: The versions of files that are known, by name.
    """

    session_id: str
    files: Sequence[RemoteFile]
    limits: Limits
    report: FileReport
    use: Callable[[Received], E | Work[E]]
    versions: Mapping[str, str]


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
