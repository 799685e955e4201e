"""Cuts an answer into the pieces in which it is streamed.

Owns: piece sizes and the estimate of tokens.
Refuses to know: what the text says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_PIECE = re.compile(r"\s*\S+|\s+\Z")
LONGEST = 24
CHARS_PER_TOKEN = 4


def pieces(text: str) -> Iterator[str]:
    """Cuts a text at the spaces; the pieces put together are the text, character for character.

    Args:
        text: Anything.

    Yields:
        A word with the white space before it; parts of 24 characters of very long ones.
    """
    for match in _PIECE.finditer(text):
        word = match[0]
        yield from (word[at : at + LONGEST] for at in range(0, len(word), LONGEST))


def tokens(characters: int) -> int:
    """Estimates the tokens of a text from its length."""
    return -(-characters // CHARS_PER_TOKEN)
