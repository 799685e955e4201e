"""Word, Excel and PowerPoint, read from their packages."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from langchain_mix.retrievers.parsing.packages import Markup, Package, chart_text, diagram_text, opened, texts_of
from langchain_mix.retrievers.parsing.parsed import GROUP_CHARS, Collector, EnoughError, Limits, Parsed, Place

_HEADING: Final = re.compile(r"heading (\d)", re.IGNORECASE)
_SIGNS: Final = {"w:tab": "\t", "w:ptab": "\t", "w:br": "\n", "w:cr": "\n", "w:noBreakHyphen": "-"}
_LEFT_OUT: Final = frozenset({"mc:Fallback", "w:moveFrom", "w:del", "w:tabs", "w:sectPr", "w:pPrChange", "w:rPrChange"})
"""Markup whose text is not printed, or is printed from another place: the second copy of a text box, what was moved
away or deleted, tab stops (which are no tabs), settings."""
_NOTES: Final = {"footnotes": "footnote", "endnotes": "endnote", "comments": "comment"}
_MOST_CELLS: Final = 1000
"""Cells of a row; Word has 63 at most. More are put into the last one."""
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
    """The text of the text boxes anchored to it, which follows its own text."""


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
                _read_part(package, kind, name)
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


def _read_part(package: Package, kind: str, name: str) -> None:
    """Adds what is outside the main text, with its place."""
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

    Wrappers such as content controls and custom XML are looked through: what they hold keeps its own place.
    """
    for mark in package.markup(name):
        reader.take(mark)
        yield from reader.taken()


class _Blocks:
    """Takes markup and gives blocks. Cells have paragraphs, rows have cells, and paragraphs have text boxes."""

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


_SEPARATOR: Final = " | "
_WIDEST_GAP: Final = 100
"""Empty cells that are shown as such before a cell; a wider gap is one sign."""
_COLUMNS: Final = 16_384
_REFERENCE: Final = re.compile(r"([A-Z]{1,3})(\d+)")
_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
_DATES: Final = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))
"""Formats of numbers that show dates (ECMA-376 part 1, §18.8.30)."""
_NO_DATE_SIGN: Final = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.')
_DATE_SIGN: Final = re.compile(r"[dmyhs]", re.IGNORECASE)
_EPOCHS: Final = (datetime(1899, 12, 30), datetime(1904, 1, 1))  # noqa: DTZ001  # Excel knows no time zones.
_LEAP_DAY: Final = 60
"""Excel has a 29 February 1900; dates before it are a day later than its successor counts them."""
_MOST_CELL_STYLES: Final = 65_536
_MOST_SHEETS: Final = 10_000
_MOST_FORMULAS: Final = 10_000
_STRINGS_TO_TEXT: Final = 4
"""Bytes that shared strings may take for each character of text that is read from a file at most."""


@dataclass
class _Book:
    """Holds what all sheets refer to."""

    package: Package
    strings: list[str] = field(default_factory=list)
    dates: set[str] = field(default_factory=set)
    epoch: datetime = _EPOCHS[0]


def read_excel(data: bytes, limits: Limits) -> Parsed:
    """Reads a workbook, a part for each group of rows, then its comments and drawings.

    The first row of a sheet is its header, and the context of all its parts but the first, which has it in its text.

    Raises:
        Exception: The file is damaged; its parsers raise many kinds.
    """
    found = Collector(limits)
    with opened(data, found) as package, found.bounded():
        main = package.main("xl/workbook.xml")
        book = _Book(package)
        for name in package.related(main, "sharedStrings"):
            book.strings = _shared_strings(package, name)
        for name in package.related(main, "styles"):
            book.dates = _date_styles(package, name)
        for title, name in _sheets(book, main):
            _Sheet(book, title, name).collect()
            _read_sheet_extras(package, title, name)
        package.report_attachments()
    return found.parsed("excel")


def _sheets(book: _Book, main: str) -> list[tuple[str, str]]:
    """Title and member of each sheet, in the order of the workbook."""
    relations = book.package.relations(main)
    sheets: list[tuple[str, str]] = []
    for mark in book.package.markup(main):
        if mark.kind == "start" and mark.value == "x:sheet":
            kind, name = relations.get(mark.attributes.get("r:id", ""), ("", ""))
            if kind == "worksheet" and book.package.has(name) and len(sheets) < _MOST_SHEETS:
                sheets.append((mark.attributes.get("name", ""), name))
        elif mark.kind == "start" and mark.value == "x:workbookPr":
            book.epoch = _EPOCHS[mark.attributes.get("date1904", "0") in {"1", "true"}]
    return sheets


def _shared_strings(package: Package, name: str) -> list[str]:
    """The texts that cells refer to by number; phonetic marks are none of them."""
    found = package.found
    room = max(_STRINGS_TO_TEXT * found.limits.max_text_chars, GROUP_CHARS**2)
    strings: list[str] = []
    longest = found.limits.max_text_chars
    for _, shared in texts_of(package, name, {"x:si"}, {"x:t"}, left_out="x:rPh", longest=longest):
        text = _unescaped(shared)
        room -= sys.getsizeof(text) + 8
        if room < 0:
            found.leave_out(f"Only the first {len(strings)} texts of its cells were read (`max_text_chars`).")
            break
        strings.append(text)
    return strings


def _unescaped(text: str) -> str:
    """Characters that XML cannot write are written as `_x000D_`."""
    if "_x" not in text:
        return text
    return _ESCAPED.sub(lambda m: "\n" if m[1].upper() in {"000D", "000A"} else chr(int(m[1], 16)), text)


def _date_styles(package: Package, name: str) -> set[str]:
    """The numbers of the styles of cells that show numbers as dates."""
    formats: set[int] = set(_DATES)
    dates: set[str] = set()
    number, among_cells = 0, False
    for mark in package.markup(name):
        if mark.value == "x:cellXfs":
            among_cells = mark.kind == "start"
        elif mark.kind == "start" and mark.value == "x:numFmt":
            code = _NO_DATE_SIGN.sub("", mark.attributes.get("formatCode", ""))
            identity = int(mark.attributes.get("numFmtId", "0"))
            (formats.add if _DATE_SIGN.search(code) else formats.discard)(identity)
        elif mark.kind == "start" and mark.value == "x:xf" and among_cells:
            if int(mark.attributes.get("numFmtId", "0")) in formats:
                dates.add(str(number))
            number += 1
            if number > _MOST_CELL_STYLES:
                break
    return dates


class _Sheet:
    """Reads one sheet, cell by cell."""

    def __init__(self, book: _Book, title: str, name: str) -> None:
        self._book = book
        self._title = title
        self._name = name
        self._found = book.package.found
        self._header = ""
        self._lines: list[str] = []
        self._size = 0
        self._rows = (0, 0)
        self._number = 0
        self._cells: list[str] = []
        self._cells_size = 0
        self._next_column = 0
        self._attributes: Mapping[str, str] = {}
        self._value: list[str] = []
        self._formula: list[str] = []
        self._shared = ""
        self._target: list[str] | None = None
        self._has_formula = False
        self._formulas: dict[str, str] = {}
        self._unstored: list[str] = []
        self._unstored_count = 0

    def collect(self) -> None:
        with self._found.keeping(self._rest):
            for mark in self._book.package.markup(self._name):
                self._take(mark)

    def _rest(self) -> None:
        self._end_row()
        self._flush()
        if self._unstored_count:
            unnamed = self._unstored_count - len(self._unstored)
            more = f" and {unnamed} more" if unnamed else ""
            self._found.leave_out(
                f"Sheet {self._title!r}: no value is stored for the formulas of {', '.join(self._unstored)}{more};"
                " they were read as formulas."
            )

    # Cells

    def _take(self, mark: Markup) -> None:
        if mark.kind == "text":
            if self._target is not None:
                self._target.append(mark.value)
                self._cells_size += len(mark.value)
                if self._cells_size > 2 * self._found.limits.max_text_chars + GROUP_CHARS:
                    raise EnoughError(self._found.too_long())
        elif mark.kind == "start":
            self._start(mark)
        elif mark.value == "x:c":
            self._end_cell()
        elif mark.value == "x:row":
            self._end_row()
        elif mark.value in {"x:v", "x:f", "x:t"}:
            self._target = None

    def _start(self, mark: Markup) -> None:
        if mark.value == "x:row":
            self._end_row()
            self._number = _whole(mark.attributes.get("r", ""), self._number + 1)
        elif mark.value == "x:c":
            self._attributes, self._value, self._formula, self._has_formula = mark.attributes, [], [], False
        elif mark.value in {"x:v", "x:t"}:
            self._target = self._value
        elif mark.value == "x:f":
            self._target, self._has_formula = self._formula, True
            self._shared = mark.attributes.get("si", "") if mark.attributes.get("t") == "shared" else ""

    def _end_cell(self) -> None:
        reference = self._attributes.get("r", "")
        text = self._shown(reference)
        if not text.strip():
            return
        column = _column(reference, self._next_column)
        gap = column - self._next_column
        if gap > 0:
            self._cells += [""] * gap if gap <= _WIDEST_GAP else ["…"]
        self._cells.append(text)
        self._next_column = column + 1
        if len(self._cells) >= _COLUMNS:  # Without references a row may go on for ever.
            self._end_row()
        self._cells_size += len(text) + 3
        if self._cells_size > self._found.limits.max_text_chars + GROUP_CHARS:
            self._end_row()
            self._flush()  # Raises, for the text is longer than is taken.

    def _shown(self, reference: str) -> str:
        kind, value = self._attributes.get("t", "n"), "".join(self._value)
        if self._has_formula and not value:
            return self._as_formula(reference)
        if kind == "s":
            number = _whole(value, -1)
            return self._book.strings[number] if 0 <= number < len(self._book.strings) else ""
        if kind == "b":
            return {"1": "True", "0": "False"}.get(value, value)
        if kind in {"str", "inlineStr", "e", "d"} or not value:
            return _unescaped(value)
        return _number(value, self._book.epoch if self._attributes.get("s") in self._book.dates else None)

    def _as_formula(self, reference: str) -> str:
        formula = "".join(self._formula)
        if self._shared and formula and len(self._formulas) < _MOST_FORMULAS:
            self._formulas[self._shared] = formula
        formula = formula or self._formulas.get(self._shared, "")
        self._unstored_count += 1
        if len(self._unstored) < 5:  # noqa: PLR2004  # Some are named, of more the number.
            self._unstored.append(reference or f"row {self._number}")
        return f"={formula}" if formula else ""

    # Rows

    def _end_row(self) -> None:
        cells, self._cells, self._cells_size, self._next_column = self._cells, [], 0, 0
        if not cells:
            return
        line = _SEPARATOR.join(cells)
        if self._lines and self._size + len(line) > GROUP_CHARS:
            self._flush()
        self._rows = (self._rows[0] if self._lines else self._number, self._number)
        self._lines.append(line)
        self._size += len(line)

    def _flush(self) -> None:
        lines, self._lines, self._size = self._lines, [], 0
        if not lines:
            return
        place = Place(sheet=self._title, start_row=self._rows[0], end_row=self._rows[1])
        self._found.add("\n".join(lines), place, self._header if len(self._header) <= 2 * GROUP_CHARS else "")
        self._header = self._header or lines[0]


def _whole(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else otherwise  # noqa: PLR2004  # Of 2^20.


def _column(reference: str, otherwise: int) -> int:
    """The column of a reference such as `AB12`, counted from 0."""
    found = _REFERENCE.fullmatch(reference)
    if not found:
        return otherwise
    number = 0
    for letter in found[1]:
        number = number * 26 + ord(letter) - 64
    return min(number, _COLUMNS) - 1


def _number(value: str, epoch: datetime | None) -> str:
    """A number as Excel shows it without a format, or as the date that it means."""
    try:
        number = float(value)
    except ValueError:
        return value
    if epoch is not None:
        try:
            days = number + (epoch == _EPOCHS[0] and number < _LEAP_DAY)
            moment = epoch + timedelta(days=days)
        except (OverflowError, ValueError):
            return value
        moment = (moment + timedelta(microseconds=500_000)).replace(microsecond=0)
        if number < 1:
            return moment.strftime("%H:%M:%S")
        return moment.strftime("%Y-%m-%d" if number == int(number) else "%Y-%m-%d %H:%M:%S")
    if number.is_integer() and abs(number) < 1e15:  # noqa: PLR2004  # Digits that a float has.
        return str(int(number))
    return repr(number)


# Outside the cells


def _read_sheet_extras(package: Package, title: str, name: str) -> None:
    """Adds comments, charts and drawings of a sheet."""
    found = package.found
    for member in package.related(name, "comments", "threadedComment"):
        for attributes, text in texts_of(package, member, {"x:comment", "?:threadedComment"}, {"x:t", "?:text"}):
            found.add(text, Place(sheet=title, part=f"comment {attributes.get('ref', '')}"))
    for drawing in package.related(name, "drawing"):
        found.add(diagram_text(package, drawing), Place(sheet=title, part="drawing"))
        for chart in package.related(drawing, "chart"):
            found.add(chart_text(package, chart), Place(sheet=title, part="chart"))


_TITLES: Final = frozenset({"title", "ctrTitle"})
_NO_NOTES: Final = frozenset({"sldNum", "dt", "hdr", "ftr", "sldImg"})
"""Placeholders of a page of notes that are none: the slide's picture and number, the date, header and footer."""
_FED: Final = 64 * 1024


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
            comments = texts_of(self._package, name, {"p:cm", "?:cm"}, {"p:text", "a:t"})
            self._texts += [f"Comment: {text}" for _, text in comments]

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
