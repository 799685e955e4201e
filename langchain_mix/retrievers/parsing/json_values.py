"""JSON documents.

Owns: where the values of a document stand, and their pointers. Refuses to know: what they mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from langchain_mix.retrievers.limits import Limits
from langchain_mix.retrievers.parsing.collecting import GROUP_CHARS, Collector, TextFile, groups
from langchain_mix.retrievers.parsing.lines import LineIndex
from langchain_mix.retrievers.parsing.parts import Parsed, Place, Skipped
from langchain_mix.retrievers.parsing.plain import read_text

_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]')
"""Strings and brackets of a document that is known to be valid."""

_ESCAPES: Final = re.compile(r"\\\\|((?:\\u[0-9a-fA-F]{4})+)")
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_BETWEEN: Final = re.compile(r"[ \t\n\r]*[,:]?[ \t\n\r]*")
_KEPT: Final = frozenset('"\\')
_LONGEST_POINTER: Final = 1000
"""Characters of a pointer; members below longer ones have that of the value around them."""

_scan: Final = json.JSONDecoder().raw_decode


@dataclass(frozen=True, slots=True)
class _Value:
    """Where a member of an array or an object stands; that of an object begins with its key."""

    pointer: str
    start: int
    value: int
    end: int


def read_json(source: TextFile, limits: Limits) -> Parsed | Skipped:
    """Reads a document: values are parts, small neighbours together. Escaped characters are shown as themselves."""
    try:
        json.loads(source.text)
    except RecursionError:
        return Skipped(f"is nested deeper than {limits.max_depth} levels (`max_depth`)", "json")
    except ValueError as problem:
        told = f"It is no JSON that can be read ({str(problem)[:100]}); it was read as text."
        return read_text(replace(source, problems=(*source.problems, told)), limits, "json")
    if depth_of(source.text) > limits.max_depth:
        return Skipped(f"is nested deeper than {limits.max_depth} levels (`max_depth`)", "json")
    shown = _ESCAPES.sub(_unescaped, source.text) if "\\u" in source.text else source.text
    found = Collector(limits, replace(source, text=shown))
    lines = LineIndex(found.text)
    with found.bounded():
        start = _after(_SPACE, found.text, 0)
        if len(found.text) < len(shown):
            found.span(start, len(found.text), _place(lines, "", start, len(found.text)))
        else:
            _collect(found, lines, _Value("", start, start, len(shown.rstrip())))
    return found.parsed("json", verbatim=shown == source.text)


def depth_of(text: str) -> int:
    """How deep the values of a valid JSON document are nested.

    Args:
        text: The document.

    Returns:
        The levels; 0 for a single number or string.
    """
    depth = deepest = 0
    for token in _TOKENS.finditer(text):
        mark = token[0]
        if mark in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "]}":
            depth -= 1
    return deepest


def _unescaped(found: re.Match[str]) -> str:
    """The characters themselves, where JSON lets them stand."""
    if found[1] is None:
        return found[0]
    text: str = json.loads(f'"{found[0]}"')
    plain = not any(c in _KEPT or c < " " or "\ud800" <= c <= "\udfff" for c in text)
    return text if plain else found[0]


def _place(lines: LineIndex, pointer: str, start: int, end: int) -> Place:
    # An escape never stands for the end of a line, so that lines are those of the file.
    return Place(start_line=lines.line_of(start), end_line=lines.line_of(max(end - 1, start)), pointer=pointer)


def _collect(found: Collector, lines: LineIndex, value: _Value) -> None:
    """Adds a value: as one part if it is small or has no members, else its members."""
    text = found.text
    if value.end - value.start <= GROUP_CHARS or text[value.value] not in "[{":
        found.span(value.start, value.end, _place(lines, value.pointer, value.start, value.end))
        return
    members = list(_members(found, value))
    for first, after in groups([member.end - member.start for member in members]):
        if after - first == 1:
            _collect(found, lines, members[first])
        else:
            start, end = members[first].start, members[after - 1].end
            found.span(start, end, _place(lines, members[first].pointer, start, end))


def _members(found: Collector, value: _Value) -> Iterator[_Value]:
    text, index, number = found.text, _after(_SPACE, found.text, value.value + 1), 0
    is_object = text[value.value] == "{"
    while text[index] not in "]}":
        if number % 1000 == 0:
            found.check_time()
        start, token = index, str(number)
        if is_object:
            key, index = _scanned(text, index)
            token = key.replace("~", "~0").replace("/", "~1")
            index = _after(_BETWEEN, text, index)
        _, end = _scanned(text, index)
        fits = len(value.pointer) + len(token) < _LONGEST_POINTER
        yield _Value(f"{value.pointer}/{token}" if fits else value.pointer, start, index, end)
        index, number = _after(_BETWEEN, text, end), number + 1


def _scanned(text: str, index: int) -> tuple[Any, int]:
    return _scan(text, index)


def _after(pattern: re.Pattern[str], text: str, index: int) -> int:
    matched = pattern.match(text, index)
    return matched.end() if matched else index
