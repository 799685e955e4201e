"""A running turn as plain text, for pipes and files.

Owns: the text of the answer on standard output, and notes about it on standard error. Refuses to know: colours.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.text import Text

from langchain_mix.cli.terminal import one_line, write
from langchain_mix.protocol.turn.updates import Progress, TextDelta, TextRestated, ToolCalled, ToolFinished, Update

_LINE_CHARS = 300


class Plain:
    """Shows turns. A `with` block is one turn."""

    def __init__(self, output: Console, notes: Console) -> None:
        """Shows nothing yet.

        Args:
            output: Standard output: the answer alone, as the model wrote it; made harmless if it is a terminal.
            notes: Standard error: tools and what happens on the way.
        """
        self._output = output
        self._notes = notes
        self._message: str | None = None
        self._line_open = False

    def __enter__(self) -> Self:
        """Begins a turn."""
        self._message = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it, on a line of its own."""
        self._end_line()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves the screen to somebody who tells the user something."""
        yield

    def show(self, update: Update) -> None:
        """Shows what happened."""
        match update:
            case TextDelta():
                if self._message not in {None, update.message_id}:
                    self._end_line()
                    self._write("\n")
                self._message = update.message_id
                self._write(update.text)
            case TextRestated():
                self._end_line()
                self._note("A part of the text was lost on the way. The whole of it follows.")
                self._write(update.text)
            case ToolCalled():
                self._note(f"[tool] {update.name} {update.input}")
            case ToolFinished(success=False):
                self._note(f"[tool] {update.progress}")
            case Progress() if update.detail.get("error"):
                self._note(str(update.detail["error"]))
            case _:
                return

    def _write(self, text: str) -> None:
        if text:
            write(self._output, text)
            self._line_open = not text.endswith("\n")

    def _end_line(self) -> None:
        if self._line_open:
            self._write("\n")

    def _note(self, text: str) -> None:
        self._notes.print(Text(one_line(text, _LINE_CHARS), style="dim"), soft_wrap=True)
