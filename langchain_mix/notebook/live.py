"""`show` and `ashow`: a stream is shown while it runs, and what it gave is returned.

Owns: reading a stream to its end, closing it whatever happens, and what is returned.
Refuses to know: what items mean (`items.py`) and how they are shown (`live_renderer.py`, `plain_text.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TextIO, overload

from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable
from pydantic import BaseModel

from langchain_mix.errors import MixInputError
from langchain_mix.notebook.html import Folding, Look
from langchain_mix.notebook.live_renderer import LiveRenderer, in_notebook, keep_quiet
from langchain_mix.notebook.media import fetching, wanted
from langchain_mix.notebook.plain_text import Terminal
from langchain_mix.notebook.view import Status, View
from langchain_mix.protocol.turn.updates import TurnResult

if TYPE_CHECKING:
    from langchain_mix.client import AsyncTurnStream, Mix, TurnStream

Mode = Literal["auto", "html", "plain"]

_MOST_UPDATES: Final = 10.0
_PIXELS: Final = range(16, 1025)
_INSTEAD_OF_TEXT: Final = (
    "To ask, `show(model.stream(text))`; for a session, `transcript(session_id, mix)`; for a thread, "
    "`tree(saver, thread_id)`; for a reply, the message that `model.invoke(...)` gave."
)
_WHOLE: Final = (str, BaseModel, Mapping, TurnResult)
"""Types that are one item, though some of them can be iterated over."""


class _Screen(Protocol):
    view: View

    def start(self) -> None: ...
    def put(self, item: Any) -> None: ...
    def finish(self, status: Status, error: BaseException | None = None) -> None: ...
    def refresh(self) -> None: ...


@overload
def show(  # pyright: ignore[reportOverlappingOverload]  # A turn gives its result, whatever else can be iterated over.
    output: TurnStream | TurnResult,
    *,
    mix: Mix | None = None,
    session_id: str = "",
    mode: Mode = "auto",
    thinking: Folding = "closed",
    tools: Folding = "closed",
    max_output: int = 2000,
    max_updates: float = _MOST_UPDATES,
    pixels: int = 320,
    file: TextIO | None = None,
) -> TurnResult: ...


@overload
def show(
    output: Any,
    *,
    mix: Mix | None = None,
    session_id: str = "",
    mode: Mode = "auto",
    thinking: Folding = "closed",
    tools: Folding = "closed",
    max_output: int = 2000,
    max_updates: float = _MOST_UPDATES,
    pixels: int = 320,
    file: TextIO | None = None,
) -> AIMessage | None: ...


def show(
    output: Any,
    *,
    mix: Mix | None = None,
    session_id: str = "",
    mode: Mode = "auto",
    thinking: Folding = "closed",
    tools: Folding = "closed",
    max_output: int = 2000,
    max_updates: float = _MOST_UPDATES,
    pixels: int = 320,
    file: TextIO | None = None,
) -> TurnResult | AIMessage | None:
    """Shows a run of an agent while it runs: in a notebook as one live display, elsewhere as text.

    An error of the stream is shown and raised again; a stream that is left early is closed, which cancels the turn.

    Example:
        ```python
        from langchain_mix import ChatMix
        from langchain_mix.notebook import show

        reply = show(ChatMix().stream("Which files are there?"))
        ```

    Args:
        output: What `model.stream`, `mix.turn`, `agent.stream` or `graph.stream` gives, with any stream modes, or what
            an `invoke` gave.
        mix: The client with which pictures and tables that the agent shows are fetched when the stream has ended, from
            its own server alone. None for their names.
        session_id: Where those files are; empty for the session of the stream.
        mode: `"html"` for a notebook, `"plain"` for text; `"auto"` sees which of them this is.
        thinking: Whether reasoning is folded away (`"closed"`), unfolded (`"open"`) or left out (`"hidden"`).
        tools: The same for tools.
        max_output: Characters of a tool's arguments or output that are shown before the rest is folded away.
        max_updates: Updates of the display in a second, 10 at most.
        pixels: Longest side of pictures, 16 to 1024.
        file: Where text is written outside a notebook; None for the standard output.

    Returns:
        The result of a turn; of anything else the final message, None if there was none.

    Raises:
        MixInputError: An option is out of range, or `output` is asynchronous or no run, as a model or a text.
        Exception: What the stream raised.
    """
    screen = _screen(mode, Look(thinking=thinking, tools=tools, max_output=max_output), max_updates, pixels, file)
    _check(output)
    if isawaitable(output) or (isinstance(output, AsyncIterable) and not isinstance(output, Iterable)):
        raise MixInputError("This output is asynchronous.", hint="Use `await ashow(...)`.")
    with _watched(screen):
        try:
            for item in _items(output):
                screen.put(item)
            _put_result(screen, output)
        finally:
            if isinstance(output, Iterator) and (close := getattr(output, "close", None)) is not None:
                close()
    if _has_files(screen, mix) and mix is not None:
        mix.run(fetching(screen.view, session_id, mix.server_url, pixels=pixels))
        screen.refresh()
    return _given(screen, output)


@overload
async def ashow(
    output: AsyncTurnStream | TurnResult,
    *,
    mix: Mix | None = None,
    session_id: str = "",
    mode: Mode = "auto",
    thinking: Folding = "closed",
    tools: Folding = "closed",
    max_output: int = 2000,
    max_updates: float = _MOST_UPDATES,
    pixels: int = 320,
    file: TextIO | None = None,
) -> TurnResult: ...


@overload
async def ashow(
    output: Any,
    *,
    mix: Mix | None = None,
    session_id: str = "",
    mode: Mode = "auto",
    thinking: Folding = "closed",
    tools: Folding = "closed",
    max_output: int = 2000,
    max_updates: float = _MOST_UPDATES,
    pixels: int = 320,
    file: TextIO | None = None,
) -> AIMessage | None: ...


async def ashow(
    output: Any,
    *,
    mix: Mix | None = None,
    session_id: str = "",
    mode: Mode = "auto",
    thinking: Folding = "closed",
    tools: Folding = "closed",
    max_output: int = 2000,
    max_updates: float = _MOST_UPDATES,
    pixels: int = 320,
    file: TextIO | None = None,
) -> TurnResult | AIMessage | None:
    """Does what `show` does, asynchronously: for `astream`, `turn_async`, or an awaitable such as `ainvoke(...)`.

    Returns:
        The result of a turn; of anything else the final message, None if there was none.
    """
    screen = _screen(mode, Look(thinking=thinking, tools=tools, max_output=max_output), max_updates, pixels, file)
    _check(output)
    with _watched(screen):
        try:
            async for item in _async_items(output):
                screen.put(item)
            _put_result(screen, output)
        finally:
            await _close(output)
    if _has_files(screen, mix) and mix is not None:
        await mix.run_async(fetching(screen.view, session_id, mix.server_url, pixels=pixels))
        screen.refresh()
    return _given(screen, output)


def _screen(mode: Mode, look: Look, max_updates: float, pixels: int, file: TextIO | None) -> _Screen:
    choices = {"mode": (mode, ("auto", "html", "plain"))}
    choices |= {name: (getattr(look, name), ("closed", "open", "hidden")) for name in ("thinking", "tools")}
    for name, (value, allowed) in choices.items():
        if value not in allowed:
            raise MixInputError(f"`{name}` is {value!r}.", hint=f"It is one of {', '.join(map(repr, allowed))}.")
    if not 0 < max_updates <= _MOST_UPDATES:
        raise MixInputError(f"`max_updates` is {max_updates}; it is more than 0 and at most 10 in a second.")
    if pixels not in _PIXELS:
        raise MixInputError(f"`pixels` is {pixels}; it is 16 to 1024.")
    if look.max_output < 0:
        raise MixInputError(f"`max_output` is {look.max_output}; it is at least 0.")
    if mode == "html" or (mode == "auto" and file is None and in_notebook()):
        return LiveRenderer(look, interval=1 / max_updates, idle=max(1.0, 1 / max_updates))
    return Terminal(look, file=file)


def _check(output: Any) -> None:
    """Refuses what is no run: some of it, as models, can be iterated over, and would be shown field by field."""
    instead = "Pass what `model.stream(...)`, `mix.turn(...)`, `agent.stream(...)` or an `invoke` gives."
    if isinstance(output, str):
        instead = _INSTEAD_OF_TEXT
    elif hasattr(output, "_repr_html_"):
        instead = "It needs no `show`: end a cell with it, or print it."
    elif not (output is None or isinstance(output, bytes | int | float | Runnable) or callable(output)):
        return
    raise MixInputError(f"`show` takes a run or its result, not {type(output).__name__}.", hint=instead)


@contextmanager
def _watched(screen: _Screen) -> Generator[None, None, None]:
    """Shows how a block ends."""
    try:
        screen.start()
        yield
    except (KeyboardInterrupt, GeneratorExit, asyncio.CancelledError):
        screen.finish("stopped")
        raise
    except BaseException as error:
        screen.finish("failed", error)
        raise
    screen.finish("done")


def _items(output: Any) -> Iterable[Any]:
    return (output,) if isinstance(output, _WHOLE) or not isinstance(output, Iterable) else output


async def _async_items(output: Any) -> AsyncIterator[Any]:
    if isawaitable(output):
        awaited: Awaitable[Any] = output
        output = await awaited
    if isinstance(output, AsyncIterable):
        async for item in output:
            yield item
        return
    for item in _items(output):
        yield item


async def _close(output: Any) -> None:
    close = getattr(output, "aclose", None) or getattr(output, "close", None)
    if close is None or not isinstance(output, AsyncIterator | Iterator):
        return
    closing = close()
    if isawaitable(closing):
        await closing


def _put_result(screen: _Screen, output: Any) -> None:
    """Adds what only the finished turn knows: tokens and cost."""
    result = _result(output)
    if result is not None and output is not result:
        screen.put(result)


def _result(output: Any) -> TurnResult | None:
    result = output if isinstance(output, TurnResult) else getattr(output, "result", None)
    return result if isinstance(result, TurnResult) else None


def _given(screen: _Screen, output: Any) -> TurnResult | AIMessage | None:
    given = _result(output) or screen.view.final_message()
    keep_quiet(given)
    return given


def _has_files(screen: _Screen, mix: Mix | None) -> bool:
    """True when there is anything to fetch. Without a client it is noted how to have it."""
    if not isinstance(screen, LiveRenderer):
        return False
    files = wanted(screen.view)
    if files and mix is None:
        for media in files:
            media.problem = "pass mix= to see it here"
        screen.refresh()
    return bool(files)
