"""A stream in a terminal, or wherever there is no notebook.

Owns: writing pieces of plain text as they come, in colours if `rich` is installed and the terminal has any.
Refuses to know: what the pieces are (`plain_text.py`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from typing import Any, Final, TextIO

from langchain_mix.notebook.html import Look
from langchain_mix.notebook.items import read_item
from langchain_mix.notebook.plain_text import Span, Style, Teller
from langchain_mix.notebook.view import Status, View

_COLOURS: Final[Mapping[Style, str]] = {
    "text": "none",
    "thinking": "dim italic",
    "tool": "cyan",
    "good": "green",
    "bad": "red",
    "note": "yellow",
}


class Terminal:
    """Writes what is new as soon as it comes, from `start` to `finish`.

    Attributes:
        view: What was written.
    """

    def __init__(self, look: Look, *, file: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Writes nothing yet.

        Args:
            look: What is written of the view.
            file: Where; None for the standard output.
            clock: Tells the time in seconds.
        """
        self.view = View()
        self._teller = Teller(look)
        self._write = _writer(sys.stdout if file is None else file)
        self._clock = clock
        self._began = 0.0

    def start(self) -> None:
        """Begins to count the time."""
        self._began = self._clock()

    def put(self, item: Any) -> None:
        """Takes the next item of the stream and writes what is new.

        Args:
            item: The item.
        """
        read_item(self.view, item)
        self._write(self._teller.tell(self.view))

    def finish(self, status: Status, error: BaseException | None = None) -> None:
        """Writes how the stream ended.

        Args:
            status: How.
            error: Why it ended badly.
        """
        self.view.elapsed = self._clock() - self._began
        self.view.end(status, error)
        self._write(self._teller.tell(self.view))
        self._write(self._teller.end(self.view))

    def refresh(self) -> None:
        """Writes nothing: what is fetched after the end are pictures."""


def _writer(file: TextIO) -> Callable[[Iterable[Span]], None]:
    if find_spec("rich") is None or not file.isatty():
        return lambda spans: _plain(file, spans)
    from rich.console import Console  # noqa: PLC0415  # An extra, and loaded only for a terminal.

    console = Console(file=file, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def write(spans: Iterable[Span]) -> None:
        for span in spans:
            console.print(span.text, style=_COLOURS[span.style], end="")

    return write


def _plain(file: TextIO, spans: Iterable[Span]) -> None:
    text = "".join(span.text for span in spans)
    if text:
        file.write(text)
        file.flush()
