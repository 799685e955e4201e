"""What a procedure of the retriever may ask for, and the two drivers that do it.

Owns: waiting, threads for work that takes processor time, and calls of embedding models.
Refuses to know: why a step is taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar, cast

from langchain_mix.generators import Owned
from langchain_mix.protocol.call import Call, Flow, Together
from langchain_mix.retrievers.downloads import FileReport, Received, gather, gather_async
from langchain_mix.retrievers.files import RemoteFile
from langchain_mix.retrievers.parsing.parsed import Limits

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

    from langchain_mix.client import Mix

T = TypeVar("T")
E = TypeVar("E")

_LOOK_AGAIN: Final = 1.0
"""Seconds after which who waits for a task looks whether its event loop still runs."""


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """Run this; it takes processor time or reads a disk."""

    do: Callable[[], T]


@dataclass(frozen=True, slots=True)
class Download(Generic[E]):
    """Downloads files and uses each as soon as it has come. The answer is the list of what `use` made of them.

    Attributes:
        session_id: The session.
        files: The files.
        limits: How much is downloaded.
        report: Gets the files that do not come.
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
class Embed:
    """Ask the model for the vectors of these texts of documents."""

    model: Embeddings
    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class EmbedQuery:
    """Ask the model for the vector of this query."""

    model: Embeddings
    text: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for another thread or task. The answer is whether it could be waited for.

    Attributes:
        done: What it sets when it has ended.
        loop: The event loop it runs on; None for a thread of its own.
    """

    done: Future[None]
    loop: asyncio.AbstractEventLoop | None


Step: TypeAlias = Call[Any] | Together | Work[Any] | Download[Any] | Embed | EmbedQuery | Wait
Steps: TypeAlias = Generator[Step, Any, T]
"""A procedure and its result. A `Flow` is one too: `yield from` takes both."""


def run(mix: Mix, steps: Steps[T]) -> T:
    """Runs a procedure.

    Args:
        mix: The client.
        steps: The procedure.

    Returns:
        Its result.
    """
    try:
        step = next(steps)
        while True:
            try:
                result = _do(mix, step)
            except BaseException as error:  # noqa: BLE001  # The procedure decides, and lets others go on.
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as done:
        return cast("T", done.value)
    finally:
        steps.close()


async def run_async(mix: Mix, steps: Steps[T]) -> T:
    """Does what `run` does, asynchronously: downloads on the event loop, work beside it."""
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


def _do(mix: Mix, step: Step) -> Any:
    match step:
        case Work():
            return step.do()
        case Download():
            come = gather(mix, step.session_id, step.files, step.limits, step.report, versions=step.versions)
            used = map(step.use, come)
            return [one.do() if isinstance(one, Work) else one for one in used]
        case Embed():
            return step.model.embed_documents(list(step.texts))
        case EmbedQuery():
            return step.model.embed_query(step.text)
        case Wait():
            return _wait(step)
        case _:
            return mix.run(_only(step))


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


async def _do_async(mix: Mix, step: Step) -> Any:
    match step:
        case Work():
            return await asyncio.to_thread(step.do)
        case Download():
            come = gather_async(mix, step.session_id, step.files, step.limits, step.report, versions=step.versions)
            async with Owned(come) as files:
                used = []
                async for received in files:
                    one = step.use(received)
                    used.append(await asyncio.to_thread(one.do) if isinstance(one, Work) else one)
                return used
        case Embed():
            return await step.model.aembed_documents(list(step.texts))
        case EmbedQuery():
            return await step.model.aembed_query(step.text)
        case Wait():
            return await _wait_async(step)
        case _:
            return await mix.run_async(_only(step))
