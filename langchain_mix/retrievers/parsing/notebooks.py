"""Notebooks of Jupyter: cells, and the text among their outputs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from langchain_mix.retrievers.limits import Limits
from langchain_mix.retrievers.parsing.collecting import Collector, TextFile
from langchain_mix.retrievers.parsing.html_tokens import tokens_of
from langchain_mix.retrievers.parsing.json_values import TooDeepError, end_and_depth, loads_bounded, read_json
from langchain_mix.retrievers.parsing.parts import Parsed, Place, Skipped

_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_SPACE: Final = re.compile(r"[ \t\n\r]*")
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
        index = self._behind_space(0)
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
        index = self._behind_space(index + 1)
        while text[index] != closer:
            key = ""
            if is_object:
                end, _ = end_and_depth(text, index)
                key, index = text[index + 1 : end - 1], self._behind_space(end)
                if text[index] != ":":
                    raise ValueError("a colon is missing")
                index = self._behind_space(index + 1)
            end, depth = end_and_depth(text, index)
            if depth + 2 > self.max_depth:
                raise TooDeepError
            yield key, index, end
            index = self._behind_space(end)
            if text[index] == ",":
                index = self._behind_space(index + 1)
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
        self.found.add(_legible("\n\n".join(_texts(cell))), Place(cell=number, cell_type=kind))
        if any(_has_no_text(output) for output in _outputs(cell)) or cell.get("attachments"):
            self.without_text.append(number)

    def _behind_space(self, index: int) -> int:
        matched = _SPACE.match(self.text, index)
        return matched.end() if matched else index


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


def _legible(text: str) -> str:
    """JSON can name halves of characters, which no encoding can write."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _language_of(metadata: Any) -> str | None:
    info = metadata.get("language_info") if isinstance(metadata, Mapping) else None
    name = info.get("name") if isinstance(info, Mapping) else None
    return _LANGUAGES.get(name.lower(), name.lower()) if isinstance(name, str) else None
