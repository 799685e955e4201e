"""Renders a view in a notebook cell while it changes.

Owns: the one thread that reads items into the view and renders it, for synchronous and asynchronous code alike: reading
the stream never waits for rendering, and the last items are rendered though nothing follows; when to render again;
IPython's display protocol. Refuses to know: what items mean (`items.py`) and how a view looks (`html.py`).
"""

from __future__ import annotations

import ast
import sys
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from langchain_mix import process_fork
from langchain_mix.notebook.html import Look, Page
from langchain_mix.notebook.items import read_item
from langchain_mix.notebook.plain_text import as_plain_text
from langchain_mix.notebook.view import Status, View


class LiveRenderer:
    """Shows a view in a cell, from `start` to `finish`.

    Attributes:
        view: What is shown. It belongs to the thread between the two.
    """

    def __init__(
        self,
        look: Look,
        *,
        interval: float = 0.1,
        idle: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Shows nothing yet. `interval` is in seconds, `idle` those after which the time alone is drawn again."""
        self.view = View()
        root = f"lcm-{uuid4().hex}"
        self._page = Page(look, root)
        self._cell = Cell(root)
        self._throttle = Throttle(interval, idle)
        self._clock = clock
        self._began = 0.0
        self._items: list[Any] = []
        self._end: tuple[Status, BaseException | None] | None = None
        self._renew()
        process_fork.renew_in_child(self._renew)
        self._problem: Exception | None = None
        # In a copy of the caller's context: the kernel knows by it which cell an output belongs to.
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name="mix-display", daemon=True)

    def _renew(self) -> None:
        self._awake = threading.Condition()

    def start(self) -> None:
        """Shows the empty display, and draws from now on."""
        self._began = self._clock()
        self._draw()
        self._thread.start()

    def put(self, item: Any) -> None:
        """Takes the next item of the stream."""
        with self._awake:
            self._items.append(item)
            if len(self._items) == 1:
                self._awake.notify()

    def finish(self, status: Status, error: BaseException | None = None) -> None:
        """Draws the final state.

        Raises:
            Exception: Something could not be drawn. The stream was read to its end all the same.
        """
        with self._awake:
            self._end = (status, error)
            self._awake.notify()
        if self._thread.ident is None:
            self._thread.start()  # `start` was interrupted.
        self._thread.join()
        if self._problem is not None:
            raise self._problem

    def refresh(self) -> None:
        """Draws once more, after `finish`."""
        self._draw()

    def _run(self) -> None:
        # The last state is drawn here too: an interrupt while `finish` waits leaves no display that says "running".
        try:
            while self._wait():
                self._read()
                self._draw()
            self._read()
            if self._end is not None:
                self.view.end(*self._end)
            self._draw()
        except Exception as problem:  # noqa: BLE001  # Raised by `finish`: no thread may end in silence.
            self._problem = problem

    def _wait(self) -> bool:
        """Waits until a drawing is due. Returns False when the last one is."""
        with self._awake:
            while self._end is None:
                wait = self._throttle.wait(self._clock(), news=bool(self._items))
                if not wait:
                    return True
                self._awake.wait(wait)
        return False

    def _read(self) -> None:
        with self._awake:
            items, self._items = self._items, []
        for item in items:
            read_item(self.view, item)
        self.view.elapsed = self._clock() - self._began

    def _draw(self) -> None:
        began = self._clock()
        html, text = self._page.render(self.view), as_plain_text(self.view)
        self._cell.publish(html, text)
        self._throttle.drawn(began, self._clock(), size=len(html) + len(text))


_SHARE: Final = 4
"""Drawing takes a fifth of the time at most: what is drawn must also be read."""
_MOST_PER_SECOND: Final = 250_000
"""Characters. Jupyter's server drops what a kernel sends, the last state among it, at more than 1 MB in a second."""


class Throttle:
    """Keeps drawings apart."""

    def __init__(self, interval: float, idle: float) -> None:
        """Starts with a drawing due. `interval` is in seconds, as is `idle`, for when only the time is new."""
        self._interval = interval
        self._idle = idle
        self._last: float | None = None
        self._rest = 0.0

    def wait(self, now: float, *, news: bool) -> float:
        """Returns the seconds until the next drawing is due, 0 if it is, by a clock that only goes forward."""
        if self._last is None:
            return 0.0
        gap = max(self._interval if news else self._idle, self._rest)
        return max(0.0, self._last + gap - now)

    def drawn(self, began: float, ended: float, *, size: int = 0) -> None:
        """Notes when a drawing began and was done, and how many characters were sent."""
        self._last, self._rest = ended, max(_SHARE * (ended - began), size / _MOST_PER_SECOND)


def in_notebook() -> bool:
    """True when rich output can be shown: IPython runs, and not in a terminal. Loads nothing."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and not any(kind.__name__ == "TerminalInteractiveShell" for kind in type(shell).__mro__)


@dataclass(slots=True)
class _QuietHook:
    """IPython's display hook of one cell, which prints no value that the cell has shown.

    Attributes:
        hook: The one that it replaces. IPython sets its own again after the cell.
        shown: The values.
    """

    hook: Any
    shown: list[object]

    def __call__(self, value: object) -> None:
        """Prints the value of a line, unless it is that of a call that has shown it."""
        if any(value is one for one in self.shown) and self._is_of_a_call():
            self.hook.update_user_ns(value)  # It is `_` and in `Out` all the same.
        else:
            self.hook(value)

    def _is_of_a_call(self) -> bool:
        """True when the cell ends with a call: who writes the name of the reply wants to see its repr."""
        try:
            last = ast.parse(self.hook.shell.history_manager.input_hist_parsed[-1]).body[-1]
        except (AttributeError, IndexError, SyntaxError):
            return False
        return isinstance(last, ast.Expr) and isinstance(last.value, ast.Call | ast.Await)


def keep_quiet(value: object) -> None:
    """Keeps IPython from printing a value below the display that has shown it."""
    hook: Any = sys.displayhook
    if isinstance(hook, _QuietHook):
        hook.shown.append(value)
    elif hasattr(hook, "update_user_ns"):  # A cell of IPython is running.
        sys.displayhook = _QuietHook(hook, [value])


class Cell:
    """One output of a notebook cell that is replaced by its next state."""

    def __init__(self, display_id: str) -> None:
        """Names the output; all updates carry its id."""
        self._id = display_id
        self._shown = False

    def publish(self, html: str, text: str) -> None:
        """Shows a state in place of the one before, for frontends with and without HTML."""
        from IPython.display import display, update_display  # noqa: PLC0415  # Notebooks alone have it.

        show: Any = update_display if self._shown else display
        self._shown = True
        show({"text/html": html, "text/plain": text}, raw=True, display_id=self._id)
