"""The terminal: where output goes, and text from elsewhere made harmless for it.

Owns: the consoles, and that nothing reaches one that steers it (`terminal_text.py`). Refuses to know: what is shown.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from typing import Any, Final, Literal

import typer
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from langchain_mix.errors import MixInputError
from langchain_mix.protocol.terminal_text import visible, visible_json

__all__ = [
    "Column",
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


_GAP: Final = 2
_LEAST_CHARS: Final = 20
_CUT_CHARS: Final = 48


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
    """Shows a text on one line, cut to `limit` characters if there is one."""
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


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its heading.
        rank: Where the screen is too narrow, columns with the highest rank are left out first; 0 never is.
        fit: How a cell fits a narrow column: `whole` is never cut, as ids are copied; `cut` ends in "…"; `wrap` goes on
            in the next line.
        right: Aligned to the right, as numbers are.
    """

    name: str
    rank: int = 0
    fit: Literal["whole", "cut", "wrap"] = "whole"
    right: bool = False

    def least(self, cells: Iterable[str]) -> int:
        """Returns how many characters of a line it needs."""
        longest = max(map(cell_len, (self.name, *cells)))
        return longest if self.fit == "whole" else min(longest, _LEAST_CHARS)


def show_table(console: Console, columns: Sequence[Column | str], rows: Sequence[Sequence[str]]) -> None:
    """Shows rows: as a table to people, with the columns that fit; as lines of all cells between tabs to programs.

    A cell that is whole and longer than the screen goes on in the next line.
    """
    every = [Column(one) if isinstance(one, str) else one for one in columns]
    if not console.is_terminal:
        write_rows(console, [[one.name for one in every], *rows])
        return
    cells = {one: [one_line(row[at]) for row in rows] for at, one in enumerate(every)}
    kept, needed = list(every), {one: one.least(cells[one]) for one in every}
    while sum(needed[one] + _GAP for one in kept) - _GAP > console.width:
        last = max(kept, key=lambda one: one.rank)
        if not last.rank:
            break
        kept.remove(last)
    too_wide = sum(needed[one] + _GAP for one in kept if one.fit == "whole") > console.width
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, _GAP, 0, 0))
    for one in kept:
        whole = one.fit == "whole" and not too_wide
        table.add_column(one.name, justify="right" if one.right else "left", no_wrap=whole, overflow="fold")
    for row in zip(*(map(_cell, [one] * len(rows), cells[one]) for one in kept), strict=True):
        table.add_row(*row)
    console.print(table)


def _cell(column: Column, text: str) -> Text:
    if column.fit != "cut":
        return Text(text)
    return Text(one_line(text, _CUT_CHARS), no_wrap=True, overflow="ellipsis")


def confirm(question: str, *, way_out: str = "--yes") -> None:
    """Asks a person; without a terminal, the answer is no, and `way_out` the option that does it without asking.

    Raises:
        MixInputError: There is no terminal.
        Abort: The answer was no.
    """
    question = f"{question} This cannot be undone."
    if not is_interactive():
        raise MixInputError(f"There is no terminal to ask in: {question}", hint=f"Say `{way_out}` to do it.")
    typer.confirm(question, abort=True)


def write_rows(console: Console, rows: Iterable[Sequence[str]]) -> None:
    """Writes lines of cells for programs: separated by tabs, never cut."""
    write(console, "".join("\t".join(one_line(cell) for cell in row) + "\n" for row in rows))


def _never_fail(stream: Any) -> None:
    """Has a terminal that lacks a character show another one, so that the command goes on."""
    if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
        stream.reconfigure(errors="replace")
