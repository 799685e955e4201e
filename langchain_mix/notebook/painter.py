"""A live display in a notebook.

Owns: the one thread that reads items into the view and draws it, for synchronous and asynchronous code alike: whoever
reads the stream never waits for a drawing, and what came last is drawn though nothing follows.
Refuses to know: what items mean (`items.py`), how a view looks (`html.py`), when to draw (`pace.py`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from typing import Any
from uuid import uuid4

from langchain_mix import forking
from langchain_mix.notebook.frontend import Cell
from langchain_mix.notebook.html import Look, Page
from langchain_mix.notebook.items import read_item
from langchain_mix.notebook.pace import Pace
from langchain_mix.notebook.plain_text import as_plain_text
from langchain_mix.notebook.view import Status, View


class Painter:
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
        """Shows nothing yet.

        Args:
            look: What is shown of the view.
            interval: Seconds between two drawings.
            idle: Seconds after which the time alone is drawn again.
            clock: Tells the time in seconds.
        """
        self.view = View()
        root = f"lcm-{uuid4().hex}"
        self._page = Page(look, root)
        self._cell = Cell(root)
        self._pace = Pace(interval, idle)
        self._clock = clock
        self._began = 0.0
        self._items: list[Any] = []
        self._over = False
        self._renew()
        forking.renew_in_child(self._renew)
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
        """Takes the next item of the stream.

        Args:
            item: The item.
        """
        with self._awake:
            self._items.append(item)
            if len(self._items) == 1:
                self._awake.notify()

    def finish(self, status: Status, error: BaseException | None = None) -> None:
        """Draws the final state.

        Args:
            status: How the stream ended.
            error: Why it ended badly.

        Raises:
            Exception: Something could not be drawn. The stream was read to its end all the same.
        """
        with self._awake:
            self._over = True
            self._awake.notify()
        self._thread.join()
        if self._problem is not None:
            raise self._problem
        self._read()
        self.view.elapsed = self._clock() - self._began
        self.view.end(status, error)
        self._draw()

    def refresh(self) -> None:
        """Draws once more, after `finish`."""
        self._draw()

    def _run(self) -> None:
        while self._wait():
            try:
                self._read()
                self.view.elapsed = self._clock() - self._began
                self._draw()
            except Exception as problem:  # noqa: BLE001  # Raised by `finish`: no thread may end in silence.
                self._problem = problem
                return

    def _wait(self) -> bool:
        """Waits until a drawing is due; tells whether there will be any."""
        with self._awake:
            while not self._over:
                wait = self._pace.wait(self._clock(), news=bool(self._items))
                if not wait:
                    return True
                self._awake.wait(wait)
        return False

    def _read(self) -> None:
        with self._awake:
            items, self._items = self._items, []
        for item in items:
            read_item(self.view, item)

    def _draw(self) -> None:
        began = self._clock()
        self._cell.publish(self._page.render(self.view), as_plain_text(self.view))
        self._pace.drawn(began, self._clock())
