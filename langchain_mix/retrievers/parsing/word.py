"""Word documents: sections under headings, tables among paragraphs, and the parts beside the main text.

Owns: which text of the markup readers see, once and in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from langchain_mix.retrievers.limits import Limits
from langchain_mix.retrievers.parsing.charts import chart_text, diagram_text
from langchain_mix.retrievers.parsing.collecting import Collector, EnoughError
from langchain_mix.retrievers.parsing.packages import Markup, Package, opened
from langchain_mix.retrievers.parsing.parts import Parsed, Place

_HEADING: Final = re.compile(r"heading (\d)", re.IGNORECASE)
_SIGNS: Final = {"w:tab": "\t", "w:ptab": "\t", "w:br": "\n", "w:cr": "\n", "w:noBreakHyphen": "-"}
_LEFT_OUT: Final = frozenset({"mc:Fallback", "w:moveFrom", "w:del", "w:tabs", "w:sectPr", "w:pPrChange", "w:rPrChange"})
"""Markup whose text is not printed, or is printed from another place: the second copy of a text box, what was moved
away or deleted, tab stops (which are no tabs), settings."""
_NOTES: Final = {"footnotes": "footnote", "endnotes": "endnote", "comments": "comment"}
_MOST_CELLS: Final = 1000
"""Cells of a row; Word has 63 at most. More stand in the last one."""
_LONGEST_SECTION: Final = 500_000
"""Characters after which a section goes on in another part."""
_LONGEST_NOTE: Final = 10_000
"""Paragraphs after which a note goes on in another part."""
_MOST_STYLES: Final = 10_000
_ONE_NOTE: Final = frozenset({"w:footnote", "w:endnote", "w:comment"})


@dataclass(slots=True)
class _Paragraph:
    """A paragraph that is being read."""

    level: int = 0
    texts: list[str] = field(default_factory=list)
    behind: list[tuple[int, str]] = field(default_factory=list)
    """What text boxes hold that hang at it; it stands behind its own text."""


@dataclass(slots=True)
class _Row:
    """A row of a table that is being read."""

    cells: list[str] = field(default_factory=list)


def read_word(data: bytes, limits: Limits) -> Parsed:
    """Reads a document, a part for each section under a heading, then headers, footers, notes and comments.

    Raises:
        Exception: The file is damaged; its parsers raise many kinds.
    """
    found = Collector(limits)
    with opened(data, found) as package, found.bounded():
        main = package.main("word/document.xml")
        _sections(package, main, _heading_levels(package, main))
        for kind, name in dict.fromkeys(package.relations(main).values()):
            if package.has(name):
                _beside(package, kind, name)
        package.report_attachments()
    return found.parsed("word")


def _sections(package: Package, main: str, levels: Mapping[str, int]) -> None:
    found = package.found
    above: list[tuple[int, str]] = []
    lines: list[str] = []
    size = 0

    def flush() -> None:
        nonlocal size
        found.add("\n".join(lines), Place(headings=tuple(title for _, title in above)))
        lines.clear()
        size = 0

    reader = _Blocks(levels, found)

    def rest() -> None:
        lines.extend(reader.rest())
        flush()

    with found.keeping(rest):
        for level, text in _blocks(package, main, reader):
            if level and text.strip():
                flush()
                above = [*((other, title) for other, title in above if other < level), (level, text.strip())]
            size += len(text) + 1
            if text or (lines and lines[-1]):  # Of empty lines one is enough.
                lines.append(text)
            if size > _LONGEST_SECTION:
                flush()


def _beside(package: Package, kind: str, name: str) -> None:
    """Adds what stands beside the main text, with its place."""
    found = package.found
    if kind in {"header", "footer"}:
        text = "\n".join(text for _, text in _blocks(package, name, _Blocks({}, found)))
        if not any(part.text == text and part.place.part == kind for part in found.parts):
            found.add(text, Place(part=kind))
    elif kind in _NOTES:
        for note in _notes(package, name):
            found.add(note[1], Place(part=f"{_NOTES[kind]} {note[0]}"))
    elif kind == "chart":
        found.add(chart_text(package, name), Place(part="chart"))
    elif kind == "diagramData":
        found.add(diagram_text(package, name), Place(part="diagram"))


def _notes(package: Package, name: str) -> Iterator[tuple[str, str]]:
    """Number and text of each note; a comment begins with its author."""
    reader = _Blocks({}, package.found)
    number = author = ""
    lines: list[str] = []
    for mark in package.markup(name):
        if mark.value in _ONE_NOTE and mark.kind == "start":
            real = mark.attributes.get("w:type", "normal") == "normal"  # Others are lines that separate notes.
            number, author = mark.attributes.get("w:id", "") if real else "", mark.attributes.get("w:author", "")
            lines = []
        reader.take(mark)
        lines += [text for _, text in reader.taken() if text.strip()]
        ended = mark.value in _ONE_NOTE and mark.kind == "end"
        if number and (ended or len(lines) >= _LONGEST_NOTE):
            text, lines = "\n".join(lines), []
            yield number, f"{author}: {text}" if author else text


def _heading_levels(package: Package, main: str) -> dict[str, int]:
    """The levels of the styles that are headings."""
    levels: dict[str, int] = {}
    for name in package.related(main, "styles"):
        style = ""
        for mark in package.markup(name):
            if mark.kind != "start":
                continue
            if mark.value == "w:style":
                style = mark.attributes.get("w:styleId", "")
            elif mark.value == "w:name" and style:
                value = mark.attributes.get("w:val", "")
                if len(levels) >= _MOST_STYLES:
                    break
                if heading := _HEADING.fullmatch(value):
                    levels[style] = int(heading[1])
                elif value.lower() == "title":
                    levels[style] = 1
    return levels


def _blocks(package: Package, name: str, reader: _Blocks) -> Iterator[tuple[int, str]]:
    """Paragraphs and rows of tables, each with its level as a heading or 0.

    Wrappers such as content controls and custom XML are looked through: what they hold stands in its own place.
    """
    for mark in package.markup(name):
        reader.take(mark)
        yield from reader.taken()


class _Blocks:
    """Takes markup and gives blocks. Paragraphs stand in cells, cells in rows, and text boxes in paragraphs."""

    def __init__(self, levels: Mapping[str, int], found: Collector) -> None:
        self._ready: list[tuple[int, str]] = []
        self._levels = levels
        self._found = found
        self._inside: list[_Paragraph | _Row] = []
        self._left_out = 0
        self._reads = False
        self._parents: list[str] = []
        self._pieces = 0

    def taken(self) -> list[tuple[int, str]]:
        """Returns the blocks that are complete, once."""
        if not self._ready:
            return self._ready
        ready, self._ready, self._pieces = self._ready, [], 0
        return ready

    def rest(self) -> list[str]:
        """Returns the texts of what has begun and did not end."""
        texts: list[str] = []
        for around in self._inside:
            if isinstance(around, _Row):
                texts.append(" | ".join(around.cells))
            else:
                texts += ["".join(around.texts), *(text for _, text in around.behind)]
        self._inside = []
        return [text for text in texts if text.strip()]

    def take(self, mark: Markup) -> None:
        if mark.kind == "text":
            if self._reads:
                self._piece(mark.value)
        elif mark.kind == "start":
            self._start(mark)
        else:
            self._end(mark.value)

    def _start(self, mark: Markup) -> None:
        parent = self._parents[-1] if self._parents else ""
        self._parents.append(mark.value)
        if self._left_out or mark.value in _LEFT_OUT:
            self._left_out += 1
        elif mark.value == "w:p":
            self._inside.append(_Paragraph())
        elif mark.value == "w:tr":
            self._inside.append(_Row())
        elif mark.value == "w:tc" and self._inside and isinstance(row := self._inside[-1], _Row):
            if len(row.cells) < _MOST_CELLS:
                row.cells.append("")
        elif self._inside and isinstance(paragraph := self._inside[-1], _Paragraph):
            self._in_paragraph(mark, parent, paragraph)

    def _in_paragraph(self, mark: Markup, parent: str, paragraph: _Paragraph) -> None:
        if mark.value in {"w:t", "m:t", "a:t"}:
            self._reads = True
        elif mark.value in _SIGNS and parent == "w:r":
            self._piece(_SIGNS[mark.value])
        elif mark.value == "m:den":
            self._piece("/")
        elif mark.value == "w:pStyle":
            paragraph.level = self._levels.get(mark.attributes.get("w:val", ""), 0)
        elif mark.value == "w:outlineLvl" and mark.attributes.get("w:val", "") in set("012345678"):
            paragraph.level = paragraph.level or int(mark.attributes["w:val"]) + 1

    def _piece(self, text: str) -> None:
        paragraph = self._inside[-1] if self._inside else None
        if isinstance(paragraph, _Paragraph):
            paragraph.texts.append(text)
            self._pieces += len(text)
            if self._pieces > self._found.limits.max_text_chars + _LONGEST_SECTION:
                raise EnoughError(self._found.too_long())

    def _end(self, name: str) -> None:
        self._parents.pop()
        if self._left_out:
            self._left_out -= 1
            return
        self._reads = False
        if name == "w:p" and self._inside and isinstance(self._inside[-1], _Paragraph):
            paragraph = self._inside.pop()
            assert isinstance(paragraph, _Paragraph)  # noqa: S101  # For type checkers.
            self._give(paragraph.level, "".join(paragraph.texts))
            for level, text in paragraph.behind:
                self._give(level, text)
        elif name == "w:tr" and self._inside and isinstance(self._inside[-1], _Row):
            row = self._inside.pop()
            assert isinstance(row, _Row)  # noqa: S101  # For type checkers.
            nested = any(isinstance(around, _Row) for around in self._inside)
            self._give(0, " ".join(filter(None, row.cells)) if nested else " | ".join(row.cells))

    def _give(self, level: int, text: str) -> None:
        """Puts a block into what is around it: the cell of a row, the paragraph that its box hangs at, or nothing."""
        around = self._inside[-1] if self._inside else None
        if around is None:
            self._ready.append((level, text))
        elif text.strip() and isinstance(around, _Paragraph):
            around.behind.append((0, text))
        elif text.strip() and isinstance(around, _Row) and around.cells:
            around.cells[-1] = f"{around.cells[-1]} {text.strip()}".lstrip()
