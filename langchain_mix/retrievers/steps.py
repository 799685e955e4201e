"""The steps of the retriever's procedures, and their execution in synchronous and asynchronous code.

Owns: waiting, threads for work that takes processor time. Refuses to know: why a step is taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

from langchain_mix.generators import Owned
from langchain_mix.protocol.call import Call, Together
from langchain_mix.retrievers.downloads import FileReport, Received, download_all, download_all_async
from langchain_mix.retrievers.files import RemoteFile
from langchain_mix.retrievers.parsing.parsed import Limits

if TYPE_CHECKING:
    from langchain_mix.client import Mix

T = TypeVar("T")
E = TypeVar("E")

_LOOK_AGAIN: Final = 1.0
"""Seconds between two checks that the event loop of a task that is waited for still runs."""


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """Runs a function that takes processor time, reads a disk or calls a model.

    Attributes:
        do: The function.
        do_async: Its asynchronous form; None to run `do` in a thread.
        quick: True when `do` takes less time than handing it to a thread.
    """

    do: Callable[[], T]
    do_async: Callable[[], Awaitable[T]] | None = None
    quick: bool = False


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
        loop: The event loop it runs on; None for a thread of its own.
    """

    done: Future[None]
    loop: asyncio.AbstractEventLoop | None


Step: TypeAlias = Call[Any] | Together | Work[Any] | Download[Any] | Wait
Steps: TypeAlias = Generator[Step, Any, T]
"""A procedure and its result. A `Flow` is one too: `yield from` takes both."""


def perform(mix: Mix, step: Step) -> Any:
    """Carries out a step with a client, for `procedure.run`."""
    match step:
        case Work():
            return step.do()
        case Download():
            received = download_all(mix, step.session_id, step.files, step.limits, step.report, versions=step.versions)
            results = []
            for file in received:
                used = step.use(file)
                results.append(used.do() if isinstance(used, Work) else used)
            return results
        case Wait():
            return _wait(step)
        case _:
            return mix.perform(step)


async def perform_async(mix: Mix, step: Step) -> Any:
    """Does what `perform` does, asynchronously: downloads on the event loop, long work in threads."""
    match step:
        case Work():
            return await _work_async(step)
        case Download():
            received = download_all_async(
                mix, step.session_id, step.files, step.limits, step.report, versions=step.versions
            )
            results = []
            async with Owned(received) as files:
                async for file in files:
                    used = step.use(file)
                    results.append(await _work_async(used) if isinstance(used, Work) else used)
            return results
        case Wait():
            return await _wait_async(step)
        case _:
            return await mix.perform_async(step)


async def _work_async(work: Work[T]) -> T:
    if work.do_async is not None:
        return await work.do_async()
    return work.do() if work.quick else await asyncio.to_thread(work.do)


def _wait(step: Wait) -> bool:
    try:
        here: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    while not step.done.done():
        if step.loop is not None and (here is step.loop or not step.loop.is_running()):
            return False  # This very thread would have to go on for that task to end, or nobody runs it any more.
        with suppress(TimeoutError):
            step.done.result(timeout=_LOOK_AGAIN)
    return True


async def _wait_async(step: Wait) -> bool:
    here = asyncio.get_running_loop()
    done = asyncio.wrap_future(step.done)
    while not step.done.done():
        if step.loop is not None and step.loop is not here and not step.loop.is_running():
            return False
        await asyncio.wait([done], timeout=_LOOK_AGAIN)
    return True
