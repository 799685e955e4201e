"""Bytes decoded to text.

Owns: byte order marks, the guess of an encoding, and what is no text at all. Refuses to know: file names and formats.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Final
from unicodedata import category

from charset_normalizer import from_bytes

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # Before UTF-16, whose mark it begins with.
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE: Final = 64 * 1024
"""Bytes from which an encoding is guessed; the whole file is then decoded with it."""

_CONTROLS: Final = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b"))
_MANY_CONTROLS: Final = 0.02
_SPACES: Final = " \t\n\u3000\u3001\u3002\uff0c"
_FEW_SPACES: Final = 0.01
"""The least share of them in a text; scripts without spaces have full stops and ends of lines."""
_NO_TEXT: Final = frozenset({"Cc", "Cn", "Co", "Cs"})
"""Categories of Unicode: controls, what is not assigned, private use, halves of characters."""
_LINE_SIGNS: Final = "\t\n\v\f\r\x1b"
_FALLBACK: Final = "cp1252"
_BEYOND_ASCII: Final = re.compile(rb"[\x80-\xff]")


@dataclass(frozen=True, slots=True)
class Decoded:
    """Bytes as text.

    Attributes:
        text: The text, without a byte order mark.
        encoding: How it was decoded, as Python names it.
        problem: What is uncertain about it, in a sentence; empty if nothing is.
    """

    text: str
    encoding: str
    problem: str = ""


def decode(data: bytes) -> Decoded | None:
    """Decodes bytes, if they are text.

    Args:
        data: All bytes of a file.

    Returns:
        The text; None if this is no text in any encoding.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _strictly(data[len(mark) :], encoding) or _loosely(data[len(mark) :], encoding)
    if b"\0" in data[:_SAMPLE]:
        return _wide(data)  # Before UTF-8: ASCII in UTF-16 is valid UTF-8 as well.
    if _is_binary(data):
        return None
    return _strictly(data, "utf-8") or _guessed(data)


def codec_of(data: bytes) -> str:
    """The name under which Python decodes the bytes, their byte order mark included; `utf-8` for what is no text."""
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    found = decode(data)
    if found is None:
        return "utf-8"
    marked = any(data.startswith(mark) for mark, _ in _MARKS)
    return found.encoding.rpartition("-")[0] if marked else found.encoding


def _strictly(data: bytes, encoding: str) -> Decoded | None:
    try:
        text = data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None
    return Decoded(text, encoding)


def _loosely(data: bytes, encoding: str) -> Decoded:
    text = data.decode(encoding, errors="replace")
    count = text.count("\ufffd")
    return Decoded(text, encoding, f"{count} characters could not be decoded as {encoding}; they show as U+FFFD.")


def _is_binary(data: bytes) -> bool:
    sample = data[:_SAMPLE]
    if b"\0" in data:
        return True
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    return controls > len(sample) * _MANY_CONTROLS


def _wide(data: bytes) -> Decoded | None:
    """UTF-16 without a mark: only in the right order of bytes do spaces, ends of lines and full stops stand in it."""
    best, share = None, _FEW_SPACES
    for encoding in ("utf-16-le", "utf-16-be"):
        found = _strictly(data, encoding)
        if found is None or not _is_legible(sample := found.text[:_SAMPLE]):
            continue
        spaces = sum(map(sample.count, _SPACES)) / len(sample)
        ascii_only = sample.isascii()  # One word alone has no spaces.
        if ascii_only or spaces >= share:
            best, share = found, 1.0 if ascii_only else spaces
    return best


def _is_legible(text: str) -> bool:
    """Whether all characters are some that texts have, which noise has not for long."""
    return not any(category(character) in _NO_TEXT and character not in _LINE_SIGNS for character in set(text))


def _guessed(data: bytes) -> Decoded | None:
    """Legacy encodings look alike; the guess is told as one."""
    best = from_bytes(_sample(data)).best()
    encoding = best.encoding if best is not None else _FALLBACK
    found = _strictly(data, encoding) or _strictly(data, _FALLBACK)
    if found is None:
        return _loosely(data, "utf-8")
    return Decoded(
        found.text, found.encoding, f"The encoding is not told by the file; it was read as {found.encoding}."
    )


def _sample(data: bytes) -> bytes:
    """A beginning that ends with a line, so that no character is cut; or the part where text is not ASCII."""
    beyond = _BEYOND_ASCII.search(data)
    first = beyond.start() if beyond else 0
    start = max(data.rfind(b"\n", 0, first) + 1, first - _SAMPLE // 2, 0)
    piece = data[start : start + _SAMPLE]
    cut = piece.rfind(b"\n")
    return piece[: cut + 1] if cut > 0 and len(piece) == _SAMPLE else piece
