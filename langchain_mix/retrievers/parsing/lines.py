"""Lines of a text and the places where they begin.

Owns: what a line is. Refuses to know: what stands in it.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

_BREAK: Final = re.compile(r"\r\n|\n|\r")
"""What editors count. Form feeds and the separators of Unicode, which `str.splitlines` counts, begin no line there."""


_MOST_OF_FOUR_BYTES: Final = 2**32 - 1


class LineIndex:
    """Where the lines of a text begin."""

    def __init__(self, text: str) -> None:
        """Finds the beginnings.

        Args:
            text: The text.
        """
        # Four bytes a line, where a list has forty: a file may be nothing but ends of lines.
        self._starts = array("L" if len(text) > _MOST_OF_FOUR_BYTES else "I", (0,))
        self._starts.extend(found.end() for found in _BREAK.finditer(text))

    def line_of(self, index: int) -> int:
        """The number of the line, counted from 1, in which the character at an index stands."""
        return bisect_right(self._starts, index)


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a text with their ends, each with the index at which it begins."""
    start = 0
    for found in _BREAK.finditer(text):
        yield start, text[start : found.end()]
        start = found.end()
    if start < len(text):
        yield start, text[start:]
