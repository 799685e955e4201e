"""A table read from CSV text.

Owns: delimiters, rows with their line numbers, and which cells are numbers or dates.
Refuses to know: questions.
"""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache

TABLES = (".csv", ".tsv")
_DELIMITERS = ",;\t|"
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d{1,2})?", re.ASCII)
_COMMA_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:\.\d{3})+|\d+),\d+", re.ASCII)
_DECORATION = "$€£¥% \u00a0"
_DATES = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%Y-%m",
    "%d %B %Y",
    "%B %d, %Y",
    "%d %b %Y",
    "%b %Y",
    "%B %Y",
)
_MOSTLY = 0.8


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        line: The line of the file where it ends.
        cells: Text by column.
    """

    line: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """A header and rows.

    Attributes:
        columns: Names as in the header.
        rows: In order.
        uneven: Lines whose number of cells is not that of the header; they are left out.
        comma_decimals: Whether `1,5` is one and a half.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    uneven: tuple[int, ...] = ()
    comma_decimals: bool = False
    _numbers: dict[str, bool] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def parse(cls, lines: Sequence[tuple[int, str]]) -> Table | None:
        """Reads a table.

        Args:
            lines: Numbers and texts, the header first.

        Returns:
            The table, or None if there is no header with at least one row.
        """
        first = next((i for i, (_, text) in enumerate(lines) if text.strip()), None)
        if first is None:
            return None
        delimiter = max(_DELIMITERS, key=lambda sign: (lines[first][1].count(sign), -_DELIMITERS.index(sign)))
        reader = csv.reader((text + "\n" for _, text in lines[first:]), delimiter=delimiter, skipinitialspace=True)
        try:
            records = [(lines[first + reader.line_num - 1][0], record) for record in reader if any(record)]
        except csv.Error:
            return None
        columns = tuple(_unique(name.strip().lstrip("\ufeff") for name in records[0][1]))
        whole = [(line, record) for line, record in records[1:] if len(record) == len(columns)]
        uneven = tuple(line for line, record in records[1:] if len(record) != len(columns))
        if not whole:
            return None
        rows = tuple(Row(line, {c: cell.strip() for c, cell in zip(columns, r, strict=True)}) for line, r in whole)
        return cls(columns, rows, uneven, delimiter == ";")

    def number(self, row: Row, column: str) -> Decimal | None:
        """Reads a cell as a number: signs of money, percent and thousands are understood."""
        text = row.cells[column].strip(_DECORATION)
        if text.startswith("(") and text.endswith(")"):  # Accountants write losses so.
            text = f"-{text[1:-1].strip(_DECORATION)}"
        if text.startswith("-"):
            text = "-" + text[1:].strip(_DECORATION)
        if self.comma_decimals and _COMMA_NUMBER.fullmatch(text):
            return Decimal(text.replace(".", "").replace(",", "."))
        if not any(char.isdigit() for char in text) or not _NUMBER.fullmatch(text):
            return None
        return Decimal(text.replace(",", ""))

    def is_numeric(self, column: str) -> bool:
        """Tells whether nearly all filled cells of a column are numbers."""
        if column not in self._numbers:
            filled = [row for row in self.rows if row.cells[column]]
            good = sum(self.number(row, column) is not None for row in filled)
            self._numbers[column] = bool(filled) and good >= _MOSTLY * len(filled)
        return self._numbers[column]


@lru_cache(maxsize=20_000)
def date_of(text: str) -> dt.date | None:
    """Reads a date in one of the usual forms; a time after it is left out."""
    day = text.strip().split("T", 1)[0]
    if len(day) > 10 and re.match(r"\d{4}-\d\d-\d\d ", day):  # noqa: PLR2004  Longer than a bare ISO date.
        day = day[:10]
    for form in _DATES:
        try:
            return dt.datetime.strptime(day, form).date()  # noqa: DTZ007  A date has no zone.
        except ValueError:
            continue
    return None


def _unique(names: Iterable[str]) -> list[str]:
    taken: list[str] = []
    for number, name in enumerate(names, 1):
        base = name or f"column {number}"
        taken.append(base if base not in taken else f"{base} ({number})")
    return taken
