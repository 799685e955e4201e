"""The terminal: where output goes, and text from elsewhere made harmless for it.

Owns: the consoles, and which characters a terminal is never given. Refuses to know: what is shown.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from io import TextIOWrapper
from typing import Any, Final

from rich.console import Console

_HARMFUL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters, which steer a terminal, and direction marks, which make a text read as something else."""


def output_console() -> Console:
    """The console of standard output."""
    _never_fail(sys.stdout)
    return Console(highlight=False)


def errors_console() -> Console:
    """The console of standard error."""
    _never_fail(sys.stderr)
    return Console(stderr=True, highlight=False)


def is_interactive() -> bool:
    """Whether a person sits at both ends: keyboard and screen."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def visible(text: str) -> str:
    r"""Shows what would steer a terminal instead of doing it: an escape becomes `\x1b`.

    Args:
        text: Text that a server, a model or a file has given.

    Returns:
        The text, without carriage returns; line breaks and tabs stay.
    """
    return _HARMFUL.sub(lambda found: _escaped(found[0]), text.replace("\r", ""))


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


def write(console: Console, text: str) -> None:
    """Writes text as it is. What rich writes it also wraps, and its tabs become spaces."""
    console.file.write(text)
    console.file.flush()


def write_json(console: Console, value: Any) -> None:
    """Writes a value as JSON, as it is: neither wrapped nor coloured."""
    write(console, json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def write_rows(console: Console, rows: Iterable[Sequence[str]]) -> None:
    """Writes lines of cells for programs: separated by tabs, never cut."""
    write(console, "".join("\t".join(one_line(cell) for cell in row) + "\n" for row in rows))


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004  # One byte.


def _never_fail(stream: Any) -> None:
    """A terminal that lacks a character shows a stand-in; the command goes on."""
    if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
        stream.reconfigure(errors="replace")
