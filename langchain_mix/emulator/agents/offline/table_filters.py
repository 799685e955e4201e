"""Which rows a question means: years, quarters, months, limits and named values.

Owns: finding filters, and the columns that a text names.
Refuses to know: what is computed over the rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from langchain_mix.emulator.agents.offline.table import Row, Table, date_of
from langchain_mix.emulator.agents.offline.words import STOP_WORDS, stem, words

_ABOVE = r"(?:over|above|more than|greater than|higher than|exceeding|>)"
_BELOW = r"(?:under|below|less than|lower than|fewer than|<)"
_LIMIT = re.compile(
    rf"\s*(?:is|are|was|were|of)?\s*({_ABOVE}|{_BELOW}|at least|at most|>=|<=)\s*[$€£]?(-?\d+(?:\.\d+)?)"
)
_NAME_BEFORE_LIMIT = re.compile(rf"[^\W_]+(?:[ _][^\W_]+)??(?={_LIMIT.pattern})")
_YEAR = re.compile(r"\b(?:in|during|for|from|of|since)\s+((?:19|20)\d\d)\b|\b(q[1-4]|[a-z]+)\s+((?:19|20)\d\d)\b")
_QUARTER = re.compile(r"\bq([1-4])\b|\b(first|second|third|fourth) quarter\b")
_MONTHS: tuple[str, ...] = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_ORDINALS: dict[str, int] = {"first": 1, "second": 2, "third": 3, "fourth": 4}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows count.

    Attributes:
        words: For the answer.
        test: Whether a row counts.
    """

    words: str
    test: Callable[[Row], bool]


def column_places(text: str, table: Table) -> dict[str, int]:
    """Finds the columns that a text names, and where."""
    found: dict[str, int] = {}
    said = [(stem(match[0]), match.start()) for match in re.finditer(r"[^\W_]+", text)]
    for column in table.columns:
        wanted = {stem(word) for word in words(column)}
        at = [place for word, place in said if word in wanted]
        if wanted and wanted <= {word for word, _ in said}:
            found[column] = min(at)
    if found:
        return found
    for column in table.columns:  # A part of a long name is enough if no whole name was said.
        wanted = {stem(word) for word in words(column)} - STOP_WORDS
        at = [place for word, place in said if word in wanted]
        if at:
            found[column] = min(at)
    return found


def is_dated(table: Table, column: str) -> bool:
    """Tells whether a column holds dates."""
    return any(date_of(row.cells[column]) for row in table.rows[:5])


def find_filters(text: str, table: Table, places: Mapping[str, int], label: str | None) -> list[Filter]:
    """Finds which rows a question means.

    Args:
        text: The question, case-folded.
        table: Whose cells it may name.
        places: Where it names columns.
        label: The column it asks for, whose values are no filter.

    Returns:
        The filters; all must hold.
    """
    found = [*_period(text, table), *_limits(text, table, places)]
    for column in table.columns:
        if table.is_numeric(column) or is_dated(table, column):
            continue
        said = _values(text, table, column)
        if said and column != label:
            chosen = frozenset(said)
            shown = " or ".join(sorted(chosen))
            found.append(Filter(f"{column} = {shown}", _one_of(column, chosen)))
    return found


def _one_of(column: str, values: frozenset[str]) -> Callable[[Row], bool]:
    return lambda row: row.cells[column] in values


def _values(text: str, table: Table, column: str) -> list[str]:
    """Finds the values of a column that a text names; one that lies within a longer one does not count."""
    header = {stem(word) for name in table.columns for word in words(name)}
    found: list[str] = []
    for value in sorted({row.cells[column] for row in table.rows}, key=lambda v: (-len(v), v)):
        folded = value.casefold()
        if len(folded) < 2 or folded in STOP_WORDS or stem(folded) in header or _is_quarter(folded):  # noqa: PLR2004
            continue
        pattern = rf"(?<!\w){re.escape(folded)}(?:s|'s)?(?!\w)"
        if re.search(pattern, text):
            found.append(value)
            text = re.sub(pattern, " ", text)
    return found


def _is_quarter(text: str) -> bool:
    return bool(re.fullmatch(r"q[1-4]", text))


def _period(text: str, table: Table) -> list[Filter]:
    found: list[Filter] = []
    year = _YEAR.search(text)
    if year:
        found.append(_cells(year[1] or year[3], table, _year, int(year[1] or year[3])))
    quarter = _QUARTER.search(text)
    if quarter:
        number = int(quarter[1]) if quarter[1] else _ORDINALS[quarter[2]]
        found.append(_cells(f"Q{number}", table, _quarter, number))
    month = next((m for m in _MONTHS if re.search(rf"\b(?:in|during|for|from|of)\s+{m}\b", text)), None)
    if month:
        found.append(_cells(month.title(), table, _month, _MONTHS.index(month) + 1))
    return found


def _cells(shown: str, table: Table, read: Callable[[str], int | None], wanted: int) -> Filter:
    """Keeps the rows that say this period, in the columns that hold periods at all."""
    sample = table.rows[:20]
    columns = [c for c in table.columns if _may_hold_periods(table, c) and any(read(row.cells[c]) for row in sample)]
    return Filter(shown, lambda row: any(read(row.cells[c]) == wanted for c in columns))


def _may_hold_periods(table: Table, column: str) -> bool:
    return not table.is_numeric(column) or all(_year(row.cells[column]) for row in table.rows[:20])


def _limits(text: str, table: Table, places: Mapping[str, int]) -> list[Filter]:
    found: list[Filter] = []
    for column, place in places.items():
        match = limit_after(text, place) if table.is_numeric(column) else None
        if match:
            found.append(_limit(table, column, match[1], match[2]))
    return found


def limit_after(text: str, place: int) -> re.Match[str] | None:
    """Finds `over 100` and the like behind a column's name."""
    name = _NAME_BEFORE_LIMIT.match(text, place)
    return _LIMIT.match(text, name.end()) if name else None


def _limit(table: Table, column: str, sign: str, number: str) -> Filter:
    above = bool(re.fullmatch(_ABOVE, sign)) or sign in ("at least", ">=")
    equal = sign in ("at least", "at most", ">=", "<=")

    def holds(row: Row) -> bool:
        value = table.number(row, column)
        if value is None:
            return False
        difference = value - type(value)(number)
        return (equal and difference == 0) or (difference > 0 if above else difference < 0)

    return Filter(f"{column} {sign} {number}", holds)


def _year(cell: str) -> int | None:
    if re.fullmatch(r"(?:19|20)\d\d", cell):
        return int(cell)
    match = re.search(r"\b((?:19|20)\d\d)\b", cell)
    date = date_of(cell) if match else None
    if date:
        return date.year
    return int(match[1]) if match and re.search(r"q[1-4]", cell.casefold()) else None


def _quarter(cell: str) -> int | None:
    match = re.search(r"\bq([1-4])\b", cell.casefold())
    if match:
        return int(match[1])
    date = date_of(cell) if any(char.isdigit() for char in cell) else None
    return (date.month - 1) // 3 + 1 if date else None


def _month(cell: str) -> int | None:
    folded = cell.casefold()
    if folded in _MONTHS or (len(folded) == 3 and any(m.startswith(folded) for m in _MONTHS)):  # noqa: PLR2004
        return next(i for i, m in enumerate(_MONTHS, 1) if m.startswith(folded))
    date = date_of(cell) if any(char.isdigit() for char in cell) else None
    return date.month if date else None
