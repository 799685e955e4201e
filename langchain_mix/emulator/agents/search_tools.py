"""The tools Glob and Grep, with patterns that RE2 matches, as in the server's own language.

Owns: which files and lines are found, in which order, and within which time; the patterns.
Refuses to know: where they may search.

Python's `re` backtracks, and holds the interpreter lock while it does: one hostile pattern would stop the whole server,
and no timer could end it. RE2 takes time linear in the text, so a deadline can be kept.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import re2  # type: ignore[import-untyped]

from langchain_mix.emulator.agents import tool_arguments as args
from langchain_mix.emulator.agents.file_tools import lines_of
from langchain_mix.emulator.agents.tool_arguments import Places, ToolError

_MAX_BYTES: Final = 1 << 23
_GO_WORDS: Final = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "trailing \\": "trailing backslash at end of expression",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "pattern too large - compile failed": "expression too large",
}
"""The errors of the C++ library in the words of Go's, which the server has."""
_WILDCARDS: Final = {"**/": "(?:[\\s\\S]*/)?", "**": "[\\s\\S]*", "*": "[^/]*", "?": "[^/]"}


class PatternError(ValueError):
    """The pattern cannot be read, or would need too much memory."""


class Pattern:
    """A compiled pattern."""

    def __init__(self, source: str) -> None:
        """Compiles a pattern in RE2's syntax.

        Raises:
            PatternError: It is malformed or too large. The text is the server's.
        """
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MAX_BYTES
        try:
            self._compiled: Any = re2.compile(_encoded(source), options)
        except re2.error as error:
            reason = error.args[0].decode("utf-8", "replace") if error.args else ""
            raise PatternError(f"error parsing regexp: {_in_go_words(reason, source)}") from None

    def search(self, text: str) -> bool:
        """True when the pattern matches anywhere in the text."""
        return self._compiled.search(_encoded(text)) is not None


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")  # A lone surrogate has no UTF-8.


def _in_go_words(reason: str, source: str) -> str:
    code, separator, expression = reason.partition(": ")
    return f"{_GO_WORDS.get(code, code)}: `{expression if separator else source}`"


def literal_source(text: str) -> str:
    """Returns a pattern that matches exactly a text."""
    return "".join(c if c.isalnum() or c == "_" else f"\\{c}" if c.isascii() and c.isprintable() else c for c in text)


def glob_pattern(glob: str) -> Pattern:
    """Compiles a file name pattern for a whole path: `*`, `?`, `**`, `[a-z]`, `{a,b}`.

    Raises:
        PatternError: Brackets or braces do not close.
    """
    out: list[str] = []
    at = depth = 0
    while at < len(glob):
        wildcard = next((w for w in _WILDCARDS if glob.startswith(w, at)), None)
        if wildcard is not None:
            out.append(_WILDCARDS[wildcard])
            at += len(wildcard)
            continue
        char = glob[at]
        at += 1
        if char == "[":
            stop = glob.find("]", at + 1)
            if stop < 0:
                raise PatternError("missing `]`")
            body = glob[at:stop].replace("\\", "\\\\").replace("[", "\\[")
            out.append(f"[^{body[1:]}]" if body[:1] in ("!", "^") else f"[{body}]")
            at = stop + 1
        elif char in "{}," and (char == "{" or depth):
            depth += {"{": 1, "}": -1, ",": 0}[char]
            out.append({"{": "(?:", "}": ")", ",": "|"}[char])
        else:
            out.append(literal_source(char))
    if depth:
        raise PatternError("missing `}`")
    return Pattern(f"\\A(?:{''.join(out)})\\z")


MAX_RESULTS = 100
MAX_SEARCHED_CHARS = 10_000
MAX_SHOWN_CHARS = 500
NO_FILES = "No files found"
TRUNCATED = "(Results are truncated. Use a more specific path or pattern.)"


def glob(arguments: Mapping[str, Any], places: Places) -> str:
    """Runs Glob in a directory, or in the workspace and the uploads: absolute paths by name, 100 at most.

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
    """Runs Grep for at most so many seconds: matching lines by file, 100 at most.

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
