"""Text that grows while it is shown.

Owns: which part of it can no longer change, and so can be printed for good. Pure.
Refuses to know: the screen. Without this, an answer taller than the screen would flicker or be cut.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from markdown_it import MarkdownIt

from langchain_mix.cli.terminal import visible

_SHARE: Final = 8
"""A block is read again when it has grown by this part of itself."""


class GrowingText:
    """A text that comes in pieces.

    Attributes:
        rest: What was not given out yet, and may still change.
    """

    def __init__(self, *, markdown: bool) -> None:
        """Begins empty.

        Args:
            markdown: Whether it settles block by block, as Markdown does; else line by line.
        """
        self.rest = ""
        self._markdown = markdown
        self._read_at = 0

    def add(self, piece: str) -> str:
        """Takes the next piece.

        Args:
            piece: The piece, as the server sent it.

        Returns:
            What has settled and was not given out before; often empty.
        """
        piece = visible(piece)
        self.rest += piece
        # A block that grows and grows is read again only when it has grown by a share, so that the whole costs little.
        grown = not self._markdown or len(self.rest) - self._read_at > self._read_at // _SHARE
        if "\n" not in piece or not grown:
            return ""
        end = settled_markdown(self.rest) if self._markdown else self.rest.rfind("\n") + 1
        settled, self.rest = self.rest[:end], self.rest[end:]
        self._read_at = len(self.rest)
        return settled

    def finish(self) -> str:
        """Gives out the rest: nothing follows."""
        settled, self.rest = self.rest, ""
        return settled


def settled_markdown(text: str) -> int:
    """Finds how much of a growing Markdown text no longer changes.

    Args:
        text: The text so far.

    Returns:
        Characters of all blocks but the last one, which may go on. A line that is not complete does not begin a block:
        a digit may become the next item of a list.
    """
    complete = text[: text.rfind("\n") + 1]
    starts = [
        token.map[0]
        for token in _parser().parse(complete)
        if token.level == 0 and token.map is not None and token.nesting >= 0
    ]
    if not starts:
        return 0
    return sum(len(line) + 1 for line in complete.split("\n")[: starts[-1]])


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt().enable("strikethrough").enable("table")
