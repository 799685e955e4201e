"""Understands what a question wants of a table.

Owns: finding the operation and the columns in English words.
Refuses to know: computing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from langchain_mix.emulator.agents.offline.table import Table
from langchain_mix.emulator.agents.offline.table_filters import (
    Filter,
    column_places,
    find_filters,
    is_dated,
    limit_after,
)
from langchain_mix.emulator.agents.offline.words import stem, words

Aggregate = Literal["sum", "average", "median", "count"]
Extreme = Literal["highest", "lowest"]

_AGGREGATES: tuple[tuple[Aggregate, str], ...] = (
    ("average", r"\b(?:average|mean|avg)\b"),
    ("median", r"\bmedian\b"),
    ("sum", r"\b(?:total|sum|altogether|overall|combined|in all|add up)\b"),
    ("count", r"\b(?:how many|count|number of)\b"),
)
_HIGHEST = r"\b(?:highest|largest|biggest|most|maximum|max|greatest|top|best|longest|oldest)\b"
_LOWEST = r"\b(?:lowest|smallest|least|minimum|min|fewest|bottom|worst|cheapest|shortest|youngest)\b"
_ROWS = re.compile(r"\b(?:rows?|records?|entries|entry|lines)\b")
_WHICH = re.compile(r"\b(?:who|whose|which|top|bottom)\b")
_COUNTED = re.compile(r"\b(?:how many|count of|number of|count)\b(.{0,40})")
_GROUPS = re.compile(r"\b(?:by|per|each|every)\s+(?:the\s+)?$")
_RANKS = re.compile(r"\b(?:top|bottom|sorted|ranked)\b.*by\s+$")
_NAMES = re.compile(r"\b(?:which|what|top \d+|bottom \d+|\d+)\s+(?:\w+\s+)?$|\b(?:how many|number of)\s+(?:\w+\s+)?$")
_TOP = re.compile(
    r"\b(?:top|bottom|first|highest|lowest|largest|smallest)\s+(\d{1,3})\b|\b(\d{1,3})\s+(?:highest|"
    r"lowest|largest|smallest)\b"
)
TABULAR = re.compile(
    "|".join(
        [
            r"\b(?:csv|tsv|table|spreadsheet|columns?|rows?)\b",
            _HIGHEST,
            _LOWEST,
            *(pattern for _, pattern in _AGGREGATES),
        ]
    ),
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Query:
    """What is wanted.

    Attributes:
        aggregate: How values are put together; None for the rows themselves.
        extreme: Whether the highest or lowest is asked for.
        measure: The column of numbers; None only for counting.
        label: The column that names or groups rows.
        grouped: Whether every value of `label` gets its own result.
        limit: How many of the highest or lowest.
        filters: All must hold.
    """

    aggregate: Aggregate | None
    extreme: Extreme | None
    measure: str | None
    label: str | None
    grouped: bool
    limit: int
    filters: tuple[Filter, ...]


def understand(question: str, table: Table, *, guess: bool = False) -> Query | None:
    """Reads a question.

    Args:
        question: In English.
        table: Whose columns and cells it may name.
        guess: Whether the question is surely about this table, so that it need not name a column.

    Returns:
        The query, or None if the question asks nothing of this table.
    """
    text = question.casefold()
    aggregate = _aggregate(text)
    extreme = _extreme(text)
    places = column_places(text, table)
    label, grouped = _label(text, table, places)
    filters = tuple(find_filters(text, table, places, label))
    if (aggregate is None and extreme is None) or not (places or filters or guess or _ROWS.search(text)):
        return None
    measure = None if aggregate == "count" and _ROWS.search(text) else _measure(text, table, places, label)
    if measure is None and (aggregate != "count" or not (guess or _counted(text, table))):
        return None
    if extreme is not None and label is None and _WHICH.search(text):
        others = (c for c in table.columns if c != measure and not table.is_numeric(c) and not is_dated(table, c))
        label = next(others, None)
    top = _TOP.search(text)
    limit = int(top[1] or top[2]) if top else 1
    return Query(aggregate, extreme, measure, label, grouped, max(limit, 1), filters)


def _aggregate(text: str) -> Aggregate | None:
    for name, pattern in _AGGREGATES:
        if re.search(pattern, text):
            return name
    return None


def _extreme(text: str) -> Extreme | None:
    text = re.sub(r"\bat (?:least|most)\b", "", text)
    if re.search(_LOWEST, text):
        return "lowest"
    return "highest" if re.search(_HIGHEST, text) else None


def _counted(text: str, table: Table) -> bool:
    """Tells whether what is counted is in the table: a column or a value stands right behind "how many"."""
    counted = _COUNTED.search(text)
    if counted is None:
        return False
    return bool(_ROWS.search(text) or column_places(counted[1], table) or find_filters(counted[1], table, {}, None))


def _label(text: str, table: Table, places: Mapping[str, int]) -> tuple[str | None, bool]:
    for column, at in sorted(places.items(), key=lambda pair: pair[1]):
        before = text[:at]
        if _GROUPS.search(before) and not _RANKS.search(before):
            return column, True
        if _NAMES.search(before) and not table.is_numeric(column):
            return column, False
    return None, False


def _measure(text: str, table: Table, places: Mapping[str, int], label: str | None) -> str | None:
    said = sorted(places, key=lambda column: places[column])
    named = [c for c in said if table.is_numeric(c) and c != label and "id" not in words(c)]
    limited = [c for c in named if limit_after(text, places[c])]
    free = [c for c in named if c not in limited]
    if free:
        return free[0]
    counts = _aggregate(text) == "count"
    if limited and not counts:
        return limited[0]
    if "expensive" in text or "cheapest" in text:
        return next((c for c in table.columns if stem(c.casefold()) in ("price", "cost") and table.is_numeric(c)), None)
    numeric = [c for c in table.columns if table.is_numeric(c) and not {"id", "year", "number"} & set(words(c))]
    return numeric[0] if len(numeric) == 1 and not counts else None
