"""JSON, with pointers to its values and spans in its text; notebooks, which are JSON."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from langchain_mix.retrievers.parsing.markup import tokens_of
from langchain_mix.retrievers.parsing.parsed import (
    GROUP_CHARS,
    Collector,
    Limits,
    LineIndex,
    Parsed,
    Place,
    Skipped,
    TextFile,
    legible,
    may_be_escaped,
)
from langchain_mix.retrievers.parsing.text import read_as_text

_TOKENS: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]|[\]}]', re.DOTALL)
"""Strings and brackets. The quantifiers give nothing back, so that a string of any length takes no memory."""

_ESCAPES: Final = re.compile(r"\\\\|((?:\\u[0-9a-fA-F]{4})+)")
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_KEPT: Final = frozenset('"\\')
_LONGEST_POINTER: Final = 1000
"""Characters of a pointer; members below longer ones have that of the value around them."""

_scan: Final = json.JSONDecoder().raw_decode


class TooDeepError(Exception):
    """The document is nested deeper than allowed."""


def read_json(source: TextFile, limits: Limits) -> Parsed | Skipped:
    """Reads a document: values are parts, small neighbours together. Escaped characters are shown as themselves."""
    shown = _ESCAPES.sub(_decoded, source.text) if may_be_escaped(source.text) else source.text
    found = Collector(limits, replace(source, text=shown))
    try:
        with found.bounded():
            _Walk(found, limits.max_depth, cut=len(found.text) < len(shown)).run()
    except (TooDeepError, RecursionError):
        return Skipped(f"is nested deeper than {limits.max_depth} levels (`max_depth`)", "json")
    except ValueError as problem:
        return read_as_text(source, limits, "json", f"It is no JSON that can be read ({str(problem)[:100]})")
    return found.parsed("json", verbatim=shown == source.text)


@dataclass(slots=True)
class _Container:
    """An array or an object that is entered, and the neighbours in it that wait to become a part."""

    pointer: str
    is_object: bool
    count: int = 0
    after_comma: bool = False
    first_pointer: str = ""
    first: int = -1
    last: int = -1

    @property
    def closer(self) -> str:
        return "}" if self.is_object else "]"


class _Walk:
    """Goes through a document and adds its parts."""

    def __init__(self, found: Collector, max_depth: int, *, cut: bool) -> None:
        self._found = found
        self._text = found.text
        self._lines = LineIndex(found.text)
        self._max_depth = max_depth
        self._cut = cut
        self._open: list[_Container] = []
        self._taken = self._index = self._steps = 0

    def run(self) -> None:
        try:
            self._run()
        except (ValueError, IndexError) as problem:
            if not self._cut:
                raise ValueError(str(problem) if isinstance(problem, ValueError) else "it ends too early") from problem
            # The text was cut, and this is where: what is left of it is a part of its own.
            self._flush_all()
            self._add(self._taken, len(self._text), self._open[-1].pointer if self._open else "")

    def _run(self) -> None:
        start = _behind_space(self._text, 0)
        end = self._value(start, start, "")
        while self._open:
            self._member(self._open[-1], _behind_space(self._text, end))
            end = self._index
        if _behind_space(self._text, end) < len(self._text):
            raise ValueError(f"there is more behind its end, at character {end}")

    def _member(self, around: _Container, index: int) -> None:
        """Takes one member, or the end of the container."""
        self._steps += 1
        if self._steps % 1000 == 0:
            self._found.check_time()
        text = self._text
        if text[index] == around.closer and not around.after_comma:
            self._flush(around)
            self._open.pop()
            self._index = self._separated(index + 1)
            return
        start, token = index, str(around.count)
        if around.is_object:
            key, index = self._key(index)
            token = key.replace("~", "~0").replace("/", "~1")
        elif (behind := self._run_of_scalars(around, index)) is not None:
            self._index = self._separated(behind)
            return
        around.count += 1
        self._index = self._value(start, index, self._pointer(around, token))

    def _pointer(self, around: _Container, token: str) -> str:
        fits = len(around.pointer) + len(token) < _LONGEST_POINTER
        return f"{around.pointer}/{token}" if fits else around.pointer

    def _key(self, index: int) -> tuple[str, int]:
        if self._text[index] != '"':
            raise ValueError(f"a key is missing at character {index}")
        key, index = _scan(self._text, index)
        index = _behind_space(self._text, index)
        if self._text[index] != ":":
            raise ValueError(f"a colon is missing at character {index}")
        return key, _behind_space(self._text, index + 1)

    def _value(self, start: int, index: int, pointer: str) -> int:
        """Takes a value with its key, which begins at `start`, or enters it. Returns where to go on."""
        end = self._end_if_small(index, start)
        if end is not None:
            self._group(start, end, pointer)
        elif self._text[index] in "[{":
            self._flush_last()
            self._open.append(_Container(pointer, self._text[index] == "{"))
            self._taken = start
            if len(self._open) > self._max_depth:
                raise TooDeepError
            return index + 1
        else:
            _, end = _scan(self._text, index)
            self._flush_last()
            self._add(start, end, pointer)
        return self._separated(end)

    def _separated(self, index: int) -> int:
        """Returns the index of the next member, or of the closing bracket."""
        if not self._open:
            return index
        around = self._open[-1]
        index = _behind_space(self._text, index)
        around.after_comma = self._text[index] == ","
        if not around.after_comma and self._text[index] != around.closer:
            raise ValueError(f"a comma is missing at character {index}")
        return index + around.after_comma

    def _end_if_small(self, index: int, start: int) -> int | None:
        """Returns the end of a value that fits into a part; None if it is larger."""
        room = GROUP_CHARS - (index - start)
        piece = self._text[index : index + max(room, 0)]
        try:
            _, end = _scan(piece)
        except ValueError:
            return None
        if end == len(piece) and piece[-1] not in '"]}' and index + end < len(self._text):
            return None  # A number that may go on.
        brackets = piece.count("[", 0, end) + piece.count("{", 0, end)
        if len(self._open) + brackets > self._max_depth and len(self._open) + depth_of(piece[:end]) > self._max_depth:
            raise TooDeepError
        return index + end

    def _run_of_scalars(self, around: _Container, index: int) -> int | None:
        """Takes as many numbers and strings of an array at once as fit into a part. Returns where they end."""
        if self._text[index] in "[{":
            return None
        cut = self._text.rfind(",", index, index + GROUP_CHARS)
        if cut < 0:
            return None
        try:
            values = json.loads(f"[{self._text[index:cut]}]")
        except ValueError:
            return None
        if any(isinstance(value, list | dict) for value in values):
            return None
        self._group(index, cut, self._pointer(around, str(around.count)))
        around.count += len(values)
        return cut

    def _group(self, start: int, end: int, pointer: str) -> None:
        if not self._open:
            self._add(start, end, pointer)
            return
        around = self._open[-1]
        # What counts is what the members have, not the space and the commas between them.
        if around.first >= 0 and end - around.first > GROUP_CHARS:
            self._flush(around)
        if around.first < 0:
            around.first, around.first_pointer = start, pointer
        around.last = end

    def _flush_last(self) -> None:
        if self._open:
            self._flush(self._open[-1])

    def _flush_all(self) -> None:
        for around in self._open:
            self._flush(around)

    def _flush(self, around: _Container) -> None:
        if around.first >= 0:
            start, around.first = around.first, -1
            self._add(start, around.last, around.first_pointer)

    def _add(self, start: int, end: int, pointer: str) -> None:
        # An escape never is the end of a line, so that lines are those of the file.
        lines = self._lines
        place = Place(start_line=lines.line_of(start), end_line=lines.line_of(max(end - 1, start)), pointer=pointer)
        self._found.span(start, end, place)
        self._taken = end


def _behind_space(text: str, index: int) -> int:
    matched = _SPACE.match(text, index)
    return matched.end() if matched else index


def depth_of(text: str) -> int:
    """Returns how deep the values of a valid JSON document are nested; 0 for a single number or string."""
    return _measured(text, 0)[1]


def end_and_depth(text: str, index: int) -> tuple[int, int]:
    """Returns where the value at an index ends, and how deep it is nested, without building it.

    Raises:
        ValueError: It has no end.
    """
    if text[index : index + 1] not in {"[", "{"}:
        return _scan(text, index)[1], 0
    end, depth = _measured(text, index)
    if not end:
        raise ValueError("it ends too early")
    return end, depth


def _measured(text: str, index: int) -> tuple[int, int]:
    depth = deepest = 0
    for token in _TOKENS.finditer(text, index):
        mark = token[0][0]
        if mark in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "]}":
            depth -= 1
            if depth == 0:
                return token.end(), deepest
    return 0, deepest


# Escapes


def _decoded(found: re.Match[str]) -> str:
    """Returns the characters themselves, where JSON permits them."""
    if found[1] is None:
        return found[0]
    text: str = json.loads(f'"{found[0]}"')
    plain = not any(c in _KEPT or c < " " or "\ud800" <= c <= "\udfff" for c in text)
    return text if plain else found[0]


class Shown:
    r"""A JSON text as readers see it (`text`): `\u00e9` is é. Maps each character to its place in the text itself."""

    def __init__(self, source: str) -> None:
        """Decodes the escapes of a JSON text or a piece of one."""
        pieces: list[str] = []
        self._shown, self._source = [0], [0]
        size = index = 0
        for found in _ESCAPES.finditer(source):
            text = _decoded(found)
            if text == found[0]:
                continue
            pieces += source[index : found.start()], text
            size += found.start() - index
            # Each character of a run has its own escape; beyond the basic plane, two of them.
            start = found.start()
            for character in text:
                self._note(size, start)
                start += 6 if character <= "\uffff" else 12
                size += 1
            self._note(size, start)
            index = found.end()
        pieces.append(source[index:])
        self.text = "".join(pieces)

    def _note(self, shown: int, source: int) -> None:
        self._shown.append(shown)
        self._source.append(source)

    def in_source(self, index: int) -> int:
        """Returns where the character at an index of the shown text begins in the JSON text."""
        known = bisect_right(self._shown, index) - 1
        return self._source[known] + index - self._shown[known]


def shown(source: str) -> str:
    """Returns a piece of a JSON text as readers see it."""
    return _ESCAPES.sub(_decoded, source) if may_be_escaped(source) else source


def loads_bounded(text: str, index: int, end: int) -> Any:
    """Builds the value between two indices, if what it becomes is in proportion to its text.

    Raises:
        MemoryError: Built, it would take many times its text.
        ValueError: It is no JSON.
    """
    values = text.count(",", index, end) + text.count("[", index, end) + text.count("{", index, end)
    if values * _VALUE_BYTES > 4 * (end - index) + _SPARE_BYTES:
        raise MemoryError
    return _scan(text, index)[0]


_VALUE_BYTES: Final = 80
_SPARE_BYTES: Final = 4 * 1024 * 1024


_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_LANGUAGES: Final = {"javascript": "js", "typescript": "ts", "c++": "cpp"}
_TEXTS: Final = ("text/markdown", "text/plain", "text/latex")


def read_notebook(source: TextFile, limits: Limits) -> Parsed | Skipped:
    """Reads a notebook, a part for each cell: its source, then the text of its outputs.

    Cells are built one at a time, so that a notebook of many pictures takes no more memory than its largest cell.
    """
    found = Collector(limits)
    found.problems += source.problems
    reader = _Reader(found, source.text, limits.max_depth)
    try:
        with found.bounded():
            reader.read()
    except (TooDeepError, RecursionError):
        return Skipped(f"is nested deeper than {limits.max_depth} levels (`max_depth`)", "notebook")
    except (ValueError, IndexError):
        return read_json(source, limits)
    if not reader.has_cells:
        return read_json(source, limits)
    if reader.without_text:
        cells = ", ".join(map(str, reader.without_text[:10])) + (" …" if len(reader.without_text) > 10 else "")  # noqa: PLR2004
        found.leave_out(f"Pictures and widgets have no text and were left out: outputs of cells {cells}.")
    return found.parsed("notebook", language=reader.language)


@dataclass
class _Reader:
    """Goes through the members of a notebook."""

    found: Collector
    text: str
    max_depth: int
    has_cells: bool = False
    language: str | None = None
    without_text: list[int] = field(default_factory=list)

    def read(self) -> None:
        """Reads cells as they come.

        Raises:
            ValueError: This is no JSON.
            IndexError: It ends too early.
        """
        index = _behind_space(self.text, 0)
        if self.text[index] != "{":
            return
        for key, start, end in self._members(index):
            if key == "cells" and self.text[start] == "[":
                self.has_cells = True
                for number, (_, first, last) in enumerate(self._members(start), 1):
                    self.found.check_time()
                    self._cell(number, first, last)
            elif key == "metadata":
                self.language = _language_of(self._built(start, end))

    def _members(self, index: int) -> Iterator[tuple[str, int, int]]:
        """Key (empty in an array), beginning and end of each member of the container at an index."""
        is_object, text = self.text[index] == "{", self.text
        closer = "}" if is_object else "]"
        index = _behind_space(self.text, index + 1)
        while text[index] != closer:
            key = ""
            if is_object:
                end, _ = end_and_depth(text, index)
                key, index = text[index + 1 : end - 1], _behind_space(self.text, end)
                if text[index] != ":":
                    raise ValueError("a colon is missing")
                index = _behind_space(self.text, index + 1)
            end, depth = end_and_depth(text, index)
            if depth + 2 > self.max_depth:
                raise TooDeepError
            yield key, index, end
            index = _behind_space(self.text, end)
            if text[index] == ",":
                index = _behind_space(self.text, index + 1)
            elif text[index] != closer:
                raise ValueError("a comma is missing")

    def _built(self, start: int, end: int) -> Any:
        try:
            return loads_bounded(self.text, start, end)
        except MemoryError:
            return None

    def _cell(self, number: int, start: int, end: int) -> None:
        try:
            cell = loads_bounded(self.text, start, end)
        except MemoryError:
            self.found.leave_out(f"Cell {number} has more values than can be held and was left out.")
            return
        if not isinstance(cell, Mapping):
            return
        kind = str(cell.get("cell_type") or "raw")
        self.found.add(legible("\n\n".join(_texts(cell))), Place(cell=number, cell_type=kind))
        if any(_has_no_text(output) for output in _outputs(cell)) or cell.get("attachments"):
            self.without_text.append(number)


def _texts(cell: Mapping[str, Any]) -> Iterator[str]:
    yield _joined(cell.get("source"))
    for output in _outputs(cell):
        if text := _output(output).strip("\n"):
            yield text


def _outputs(cell: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    outputs = cell.get("outputs")
    return [output for output in outputs if isinstance(output, Mapping)] if isinstance(outputs, list) else []


def _has_no_text(output: Mapping[str, Any]) -> bool:
    data = output.get("data")
    kinds = data.keys() if isinstance(data, Mapping) else ()
    return any(str(kind).startswith(("image/", "audio/", "video/", "application/")) for kind in kinds)


def _output(output: Mapping[str, Any]) -> str:
    data = output.get("data")
    if isinstance(data, Mapping):
        text = next((text for kind in _TEXTS if (text := _joined(data.get(kind)))), "")
        return text or " ".join(t.value for t in tokens_of(_joined(data.get("text/html"))) if t.kind == "text")
    if output.get("output_type") == "error":
        return f"{output.get('ename', '')}: {output.get('evalue', '')}"
    return _COLOURS.sub("", _joined(output.get("text")))


def _joined(value: Any) -> str:
    if isinstance(value, list):
        return "".join(piece for piece in value if isinstance(piece, str))
    return value if isinstance(value, str) else ""


def _language_of(metadata: Any) -> str | None:
    info = metadata.get("language_info") if isinstance(metadata, Mapping) else None
    name = info.get("name") if isinstance(info, Mapping) else None
    return _LANGUAGES.get(name.lower(), name.lower()) if isinstance(name, str) else None
