"""Excel workbooks: sheets, groups of their rows, and the comments of cells.

Owns: what a cell shows: its stored value, or its formula where none is stored.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from langchain_mix.retrievers.limits import Limits
from langchain_mix.retrievers.parsing.charts import chart_text, diagram_text
from langchain_mix.retrievers.parsing.collecting import GROUP_CHARS, Collector, EnoughError
from langchain_mix.retrievers.parsing.packages import Markup, Package, opened
from langchain_mix.retrievers.parsing.parts import Parsed, Place

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
_MOST_STYLES: Final = 65_536
_MOST_SHEETS: Final = 10_000
_MOST_FORMULAS: Final = 10_000
_STRINGS_TO_TEXT: Final = 4
"""Bytes that shared strings may take for each character of text that is read from a file at most."""


@dataclass
class _Book:
    """What all sheets refer to."""

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
            _beside(package, title, name)
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
    for text in _texts(package.markup(name), "x:si", found.limits.max_text_chars):
        room -= sys.getsizeof(text) + 8
        if room < 0:
            found.leave_out(f"Only the first {len(strings)} texts of its cells were read (`max_text_chars`).")
            break
        strings.append(text)
    return strings


def _texts(markup: Iterator[Markup], element: str, longest: int) -> Iterator[str]:
    """The text of each such element."""
    pieces: list[str] = []
    size, reads, phonetic = 0, False, False
    for mark in markup:
        if mark.kind == "text":
            if reads and not phonetic and size < longest:
                pieces.append(mark.value)
                size += len(mark.value)
        elif mark.value == element and mark.kind == "end":
            yield _unescaped("".join(pieces))
            pieces, size = [], 0
        elif mark.value == "x:t":
            reads = mark.kind == "start"
        elif mark.value == "x:rPh":
            phonetic = mark.kind == "start"


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
            if number > _MOST_STYLES:
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
    """A number as Excel shows it without a format, or as the date that it stands for."""
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


# Beside the cells


def _beside(package: Package, title: str, name: str) -> None:
    """Adds comments, charts and drawings of a sheet."""
    found = package.found
    for member in package.related(name, "comments", "threadedComment"):
        for reference, text in _comments(package, member):
            found.add(text, Place(sheet=title, part=f"comment {reference}"))
    for drawing in package.related(name, "drawing"):
        found.add(diagram_text(package, drawing), Place(sheet=title, part="drawing"))
        for chart in package.related(drawing, "chart"):
            found.add(chart_text(package, chart), Place(sheet=title, part="chart"))


def _comments(package: Package, name: str) -> Iterator[tuple[str, str]]:
    """Reference of the cell and text of each comment."""
    reference = ""
    pieces: list[str] = []
    reads = False
    for mark in package.markup(name):
        local = mark.value.rpartition(":")[2]
        if mark.kind == "text":
            pieces += [mark.value] if reads else []
        elif local in {"comment", "threadedComment"}:
            if mark.kind == "end":
                yield reference, "".join(pieces)
            reference, pieces = mark.attributes.get("ref", ""), []
        elif local in {"t", "text"}:
            reads = mark.kind == "start" and (local == "t" or mark.value.startswith("?"))
