"""The tools Glob and Grep.

Owns: which files and lines are found, in which order, and within which time.
Refuses to know: where it may search, and how patterns are matched.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from langchain_mix.emulator.agents.tools import arguments as args
from langchain_mix.emulator.agents.tools.arguments import ToolError
from langchain_mix.emulator.agents.tools.patterns import Pattern, PatternError, glob_pattern, literal_source
from langchain_mix.emulator.agents.tools.places import Places
from langchain_mix.emulator.agents.tools.reading import lines_of

MAX_RESULTS = 100
MAX_SEARCHED_CHARS = 10_000
MAX_SHOWN_CHARS = 500
NO_FILES = "No files found"
TRUNCATED = "(Results are truncated. Use a more specific path or pattern.)"


def glob(arguments: Mapping[str, Any], places: Places) -> str:
    """Runs Glob.

    Args:
        arguments: `pattern`; `path`, the directory, by default the workspace and the uploads.
        places: Where it may look.

    Returns:
        Absolute paths, one per line, sorted by name, 100 at most.

    Raises:
        ToolError: If the pattern or the directory is wrong.
    """
    matcher = _compiled_glob(args.text(arguments, "pattern"), places)
    found: list[str] = []
    for name, path in places.files(args.optional_text(arguments, "path")):
        if matcher.search(name):
            if len(found) == MAX_RESULTS:
                return "\n".join([*found, "", TRUNCATED])
            found.append(_printable(path))
    return "\n".join(found) or NO_FILES


def grep(arguments: Mapping[str, Any], places: Places, *, seconds: float) -> str:
    """Runs Grep.

    Args:
        arguments: `pattern`; `path`; `include`, a pattern for names; `literal_text`.
        places: Where it may search.
        seconds: How long it may take.

    Returns:
        Matching lines by file, 100 at most.

    Raises:
        ToolError: If a pattern is wrong or the time is over before anything was found.
    """
    source = args.text(arguments, "pattern")
    try:
        pattern = Pattern(literal_source(source) if arguments.get("literal_text") is True else source)
    except PatternError as error:
        raise ToolError(f"invalid regex pattern: {error}") from None
    deadline = time.monotonic() + seconds
    found: dict[str, list[str]] = {}
    count = 0
    note = ""
    for path in _searched(arguments, places):
        for number, line in enumerate(lines_of(path) or (), 1):
            if time.monotonic() > deadline:
                note = f"(The search stopped after {seconds:g} seconds; there may be more.)"
                break
            if not pattern.search(line[:MAX_SEARCHED_CHARS]):
                continue
            if count == MAX_RESULTS:
                note = TRUNCATED
                break
            count += 1
            found.setdefault(_printable(path), []).append(f"  Line {number}: {line[:MAX_SHOWN_CHARS]}")
        if note:
            break
    if not found:
        if note:
            raise ToolError(note)
        return NO_FILES
    blocks = [f"{path}:\n" + "\n".join(lines) for path, lines in found.items()]
    return f"Found {count} matches\n" + "\n\n".join([*blocks, *([note] if note else [])])


def _printable(path: Path) -> str:
    """Writes a path as text that can be sent; bytes that are no UTF-8 are shown as a replacement character."""
    return os.fsencode(path).decode("utf-8", "replace")


def _searched(arguments: Mapping[str, Any], places: Places) -> Iterator[Path]:
    include = args.optional_text(arguments, "include")
    matcher = _compiled_glob(include, places) if include else None
    where = args.optional_text(arguments, "path")
    if where and places.existing(where).is_file():
        yield places.file(where)
        return
    for name, path in places.files(where):
        if matcher is None or matcher.search(name) or matcher.search(path.name):
            yield path


def _compiled_glob(pattern: str, places: Places) -> Pattern:
    for root in (places.workspace, places.uploads):
        pattern = pattern.removeprefix(f"{root}/")
    if pattern.startswith("/") or ".." in pattern.split("/"):
        raise ToolError(f"pattern leads out of the session's directories: {pattern}")
    try:
        return glob_pattern(pattern)
    except PatternError as error:
        raise ToolError(f"invalid file pattern: {error}") from None
