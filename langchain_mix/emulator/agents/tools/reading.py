"""The tool ReadText, and how bytes become text for every tool.

Owns: telling text from binary, decoding, line numbers and limits.
Refuses to know: which files may be read.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from langchain_mix.emulator.agents.tools import arguments as args
from langchain_mix.emulator.agents.tools.arguments import ToolError
from langchain_mix.emulator.agents.tools.places import Places

MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_OUTPUT_CHARS = 250 * 1024
MAX_LINE_CHARS = 2000
LINE_CUT = " … (line cut)"
MORE = "(File has more lines. Use 'offset' {offset} to read on)"
_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1b")
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def decode(content: bytes) -> str | None:
    """Turns a file's bytes into text.

    Args:
        content: All of them.

    Returns:
        The text, or None if the file is binary. Text that is not Unicode is read as Windows-1252.
    """
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return _try(content, encoding)
    if b"\0" in content:
        return None
    text = _try(content, "utf-8")
    if text is not None:
        return text
    return None if _CONTROLS.intersection(content[:8192]) else _try(content, "cp1252")


def _try(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None


def lines_of(path: Path) -> list[str] | None:
    """Reads a text file as lines without their ends.

    Returns:
        The lines, or None if the file is binary or larger than 16 MiB.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        return None
    text = decode(path.read_bytes())
    if text is None:
        return None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def read_text(arguments: Mapping[str, Any], places: Places) -> str:
    """Runs ReadText.

    Args:
        arguments: `file_path`; `offset`, the lines to skip; `limit`, the lines to give, 2000 by default.
        places: Where it may read.

    Returns:
        Numbered lines, and a note if there are more.

    Raises:
        ToolError: If the file cannot be read as text.
    """
    name = args.text(arguments, "file_path")
    offset = args.number(arguments, "offset", 0)
    limit = args.number(arguments, "limit", 2000, least=1)
    path = places.file(name)
    lines = lines_of(path)
    if lines is None:
        raise ToolError(f"{name} is too large or not a text file; use ReadMedia for images, audio, video and PDF")
    if offset and offset >= len(lines):
        raise ToolError(f"offset {offset} is past the end of the file, which has {len(lines)} lines")
    out: list[str] = []
    size = 0
    for index, line in enumerate(lines[offset : offset + limit], offset + 1):
        shown = line if len(line) <= MAX_LINE_CHARS else line[:MAX_LINE_CHARS] + LINE_CUT
        size += len(shown) + 8
        if out and size > MAX_OUTPUT_CHARS:
            break
        out.append(f"{index:6d}|{shown}")
    if offset + len(out) < len(lines):
        out.append(MORE.format(offset=offset + len(out)))
    return "\n".join(out)
