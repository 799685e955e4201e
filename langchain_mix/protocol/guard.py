"""Guards texts that a server would take for something else than a message."""

from __future__ import annotations

from typing import Final

from langchain_mix.protocol.api import ApiKnowledge

GUARD: Final = "Message: "
"""The visible word before a guarded text. A visible one, since what the server trims of invisible ones is not known."""


def guarded(text: str, detected: ApiKnowledge) -> str:
    """Makes a text safe to send as a message.

    Mix takes a text that starts with `/` after spaces for a slash command, in every generation, and Mix 0.5 hands one
    that starts with `!` to a shell, unasked.

    Args:
        text: What the user said.
        detected: The generations the server may be.

    Returns:
        The text, with a word in front of it where that is needed.
    """
    start = text.lstrip()[:1]
    shell = start == "!" and detected.supports("stream_write") is not False
    return GUARD + text if start == "/" or shell else text
