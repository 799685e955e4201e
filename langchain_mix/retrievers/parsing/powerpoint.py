"""PowerPoint presentations: slides with their tables, charts, diagrams and notes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from langchain_mix.retrievers.limits import Limits
from langchain_mix.retrievers.parsing.charts import chart_text, diagram_text
from langchain_mix.retrievers.parsing.collecting import Collector, EnoughError
from langchain_mix.retrievers.parsing.packages import Markup, Package, opened
from langchain_mix.retrievers.parsing.parts import Parsed, Place

_TITLES: Final = frozenset({"title", "ctrTitle"})
_NO_NOTES: Final = frozenset({"sldNum", "dt", "hdr", "ftr", "sldImg"})
"""Placeholders of a page of notes that are none: the slide's picture and number, the date, header and footer."""


_FED: Final = 64 * 1024
_MOST_CELLS: Final = 1000
"""Cells of a row; more stand in the last one."""


def read_powerpoint(data: bytes, limits: Limits) -> Parsed:
    """Reads a presentation, a part for each slide with all that belongs to it.

    Raises:
        Exception: The file is damaged; its parsers raise many kinds.
    """
    found = Collector(limits)
    with opened(data, found) as package, found.bounded():
        main = package.main("ppt/presentation.xml")
        for number, name in enumerate(_slides(package, main), 1):
            _Slide(package, number, name).collect()
        package.report_attachments()
    return found.parsed("powerpoint")


def _slides(package: Package, main: str) -> list[str]:
    relations = package.relations(main)
    names = [
        relations.get(mark.attributes.get("r:id", ""), ("", ""))[1]
        for mark in package.markup(main)
        if mark.kind == "start" and mark.value == "p:sldId"
    ]
    return [name for name in names if package.has(name)]


class _Slide:
    """Reads one slide."""

    def __init__(self, package: Package, number: int, name: str) -> None:
        self._package = package
        self._number = number
        self._name = name
        self._texts: list[str] = []
        self._title = ""

    def collect(self) -> None:
        with self._package.found.keeping(self._add):
            for kind, text in _shapes(self._package, self._name):
                if kind in _TITLES and not self._title:
                    self._title = text.strip()
                self._texts.append(text)
            for kind, name in dict.fromkeys(self._package.relations(self._name).values()):
                if self._package.has(name):
                    self._take_related(kind, name)

    def _take_related(self, kind: str, name: str) -> None:
        if kind == "chart":
            self._texts.append(chart_text(self._package, name))
        elif kind == "diagramData":
            self._texts.append(diagram_text(self._package, name))
        elif kind == "notesSlide":
            notes = [text for holder, text in _shapes(self._package, name) if holder not in _NO_NOTES]
            self._texts += [f"Notes: {text}" for text in notes]
        elif kind == "comments":
            self._texts += [f"Comment: {text}" for text in _comments(self._package, name)]

    def _add(self) -> None:
        place = Place(slide=self._number, headings=(self._title,) if self._title else ())
        self._package.found.add("\n".join(filter(str.strip, self._texts)), place)


def _shapes(package: Package, name: str) -> Iterator[tuple[str, str]]:
    """The text of each shape and of each row of a table, with the kind of its placeholder if it is one."""
    reader = _Shapes(package.found)
    for mark in package.markup(name):
        reader.take(mark)
        if reader.ready:
            yield from reader.ready
            reader.ready = []


class _Shapes:
    """Takes markup and gives the texts of shapes."""

    def __init__(self, found: Collector) -> None:
        self.ready: list[tuple[str, str]] = []
        self._found = found
        self._placeholder = ""
        self._lines: list[str] = []
        self._pieces: list[str] = []
        self._row: list[str] | None = None
        self._size = 0
        self._reads = False
        self._fallback = 0

    def take(self, mark: Markup) -> None:
        if mark.value == "mc:Fallback":
            self._fallback += 1 if mark.kind == "start" else -1
        elif self._fallback:
            return
        elif mark.kind == "text":
            self._piece(mark.value if self._reads else "")
        elif mark.kind == "start":
            self._start(mark)
        else:
            self._end(mark.value)

    def _piece(self, text: str) -> None:
        if text:
            self._pieces.append(text)
            self._size += len(text)
            if self._size > self._found.limits.max_text_chars + _FED:
                raise EnoughError(self._found.too_long())

    def _start(self, mark: Markup) -> None:
        if mark.value == "p:ph":
            self._placeholder = mark.attributes.get("type", "body")
        elif mark.value in {"a:t", "m:t"}:
            self._reads = True
        elif mark.value == "a:br":
            self._piece("\n")
        elif mark.value == "a:tab":
            self._piece("\t")
        elif mark.value == "a:tr":
            self._row = []

    def _end(self, name: str) -> None:
        self._reads = False
        if name == "a:p":
            text, self._pieces = "".join(self._pieces), []
            if text or (self._lines and self._lines[-1]):  # Of empty lines one is enough.
                self._lines.append(text)
        elif name == "a:tc" and self._row is not None:
            cell, self._lines = " ".join(filter(None, self._lines)), []
            if len(self._row) < _MOST_CELLS:
                self._row.append(cell)
            else:
                self._row[-1] = f"{self._row[-1]} {cell}"
        elif name == "a:tr" and self._row is not None:
            self.ready.append(("", " | ".join(self._row)))
            self._row, self._size = None, 0
        elif name in {"p:sp", "p:cxnSp", "p:graphicFrame", "p:pic"}:
            if self._lines:
                self.ready.append((self._placeholder, "\n".join(self._lines)))
            self._lines, self._placeholder, self._size = [], "", 0


def _comments(package: Package, name: str) -> Iterator[str]:
    """The texts of comments, of the older and of the newer form."""
    pieces: list[str] = []
    reads = False
    for mark in package.markup(name):
        if mark.kind == "text":
            pieces += [mark.value] if reads else []
        elif mark.value in {"p:text", "a:t"}:
            reads = mark.kind == "start"
        elif mark.value.rpartition(":")[2] == "cm" and mark.kind == "end":
            yield "".join(pieces)
            pieces = []
