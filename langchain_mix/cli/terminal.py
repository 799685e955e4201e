"""The terminal: where output goes, and text from elsewhere made harmless for it.

Owns: the consoles, and that nothing reaches one that steers it (`terminal_text.py`). Refuses to know: what is shown.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from io import TextIOWrapper
from typing import Any, Final

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from langchain_mix.errors import MixInputError
from langchain_mix.protocol.terminal_text import visible, visible_json

__all__ = [
    "SafeConsole",
    "as_json",
    "confirm",
    "counted",
    "errors_console",
    "is_interactive",
    "one_line",
    "output_console",
    "show_table",
    "visible",
    "write",
    "write_json",
    "write_rows",
]


_CANNOT_BE_UNDONE: Final = " This cannot be undone."


class SafeConsole(Console):
    """A console that shows what would steer the terminal instead of passing it on, however it is printed."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Renders as usual, with each text made visible; what rich itself sends to steer the terminal stays."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def output_console() -> Console:
    """The console of standard output."""
    _never_fail(sys.stdout)
    return SafeConsole(highlight=False)


def errors_console() -> Console:
    """The console of standard error."""
    _never_fail(sys.stderr)
    return SafeConsole(stderr=True, highlight=False)


def is_interactive() -> bool:
    """True when a person sits at both ends: keyboard and screen."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def one_line(text: str, limit: int | None = None) -> str:
    """Shows a text on one line.

    Args:
        text: The text.
        limit: Characters at most, or None for any number.

    Returns:
        The text, cut if need be.
    """
    line = " ".join(visible(text).split())
    return line if limit is None or len(line) <= limit else line[: limit - 1] + "…"


def counted(number: int, noun: str) -> str:
    """Says how many: `1 exchange`, `2 exchanges`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def write(console: Console, text: str) -> None:
    """Writes text as it is, but for what steers a terminal if it goes to one.

    What rich writes it also wraps, and its tabs become spaces.
    """
    console.file.write(visible(text) if console.is_terminal else text)
    console.file.flush()


def write_json(console: Console, value: Any) -> None:
    """Writes a value as JSON, neither wrapped nor coloured."""
    write(console, as_json(value))


def as_json(value: Any) -> str:
    """Returns a value as JSON for people and programs: nothing is lost, and nothing in it steers a terminal."""
    return visible_json(json.dumps(value, ensure_ascii=False, indent=2, default=str)) + "\n"


def show_table(
    console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[str] = ()
) -> None:
    """Shows rows: as a table to people, as lines of cells between tabs to programs.

    Args:
        console: Where.
        columns: Names of the columns.
        rows: The cells.
        numbers: Columns that are aligned to the right.
    """
    if not console.is_terminal:
        write_rows(console, [columns, *rows])
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    console.print(table)


def confirm(question: str, *, way_out: str = "--yes") -> None:
    """Asks a person; without a terminal, the answer is no.

    Args:
        question: What is going to be done.
        way_out: The option that does it without asking.

    Raises:
        MixInputError: There is no terminal.
        Abort: The answer was no.
    """
    if not is_interactive():
        raise MixInputError(
            f"There is no terminal to ask in: {question.removesuffix(_CANNOT_BE_UNDONE)}{_CANNOT_BE_UNDONE}",
            hint=f"Say `{way_out}` to do it.",
        )
    typer.confirm(question, abort=True)


def write_rows(console: Console, rows: Iterable[Sequence[str]]) -> None:
    """Writes lines of cells for programs: separated by tabs, never cut."""
    write(console, "".join("\t".join(one_line(cell) for cell in row) + "\n" for row in rows))


def _never_fail(stream: Any) -> None:
    """Has a terminal that lacks a character show another one, so that the command goes on."""
    if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
        stream.reconfigure(errors="replace")
