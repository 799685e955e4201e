r"""Text from elsewhere, made harmless for a terminal.

Owns: which characters a terminal is never given, and what is shown in their place. All that servers, models and files
say passes here before a terminal sees it. Refuses to know: consoles and frontends.
"""

from __future__ import annotations

import json
import re
from typing import Final

_HARMFUL: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"
    r"\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
    r"\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
    r"\ud800-\udfff]"
)
"""Controls of C0 and C1, which steer a terminal; marks of direction, which make a text read as something else; line
breaks of Unicode, with which a text may pass for another line; what has no width, with which two names look the same
and words are hidden (joiners of scripts and emoji aside); and halves of surrogate pairs, which no terminal takes."""


def visible(text: str) -> str:
    r"""Returns a text that shows what would steer a terminal instead of doing it: an escape becomes `\x1b`.

    Args:
        text: Text that a server, a model or a file has given.

    Returns:
        The text, without carriage returns; line breaks and tabs stay. What was made visible already stays as it is.
    """
    return _HARMFUL.sub(lambda found: _escaped(found[0]), text.replace("\r", ""))


def harmless(text: str) -> str:
    """Returns a text without such characters, where showing them would disturb what is read."""
    return _HARMFUL.sub("", text)


def visible_json(text: str) -> str:
    r"""Returns a JSON text with the same value in which such characters are `\u` escapes.

    Args:
        text: JSON. These characters are in its strings alone.
    """
    return _HARMFUL.sub(lambda found: json.dumps(found[0])[1:-1] if found[0] != "\x7f" else r"\u007f", text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004  # One byte, two bytes.
