"""Tables in text: CSV and its kin, and records line by line.

Owns: where rows begin and end, and the header that belongs to each. Refuses to know: what a column means.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Final, NamedTuple

from langchain_mix.retrievers.limits import Limits
from langchain_mix.retrievers.parsing.collecting import GROUP_CHARS, Collector, TextFile
from langchain_mix.retrievers.parsing.detection import extension_of
from langchain_mix.retrievers.parsing.json_values import may_be_escaped
from langchain_mix.retrievers.parsing.lines import lines_of
from langchain_mix.retrievers.parsing.parts import Kind, Parsed, Place, Skipped
from langchain_mix.retrievers.parsing.plain import read_text

_DELIMITERS: Final = (",", ";", "\t", "|")
_BY_EXTENSION: Final = {"tsv": "\t", "tab": "\t", "psv": "|"}
_LOOKED_AT: Final = 20
_LONGEST_HEADER: Final = 2000


class _Row(NamedTuple):
    """Where a row of a table, or several rows in a group, begin and end."""

    start: int
    end: int
    first_line: int
    last_line: int
    first_row: int
    last_row: int


def read_csv(source: TextFile, limits: Limits) -> Parsed | Skipped:
    """Reads a table, a part for each group of rows.

    The first row is the header, and the context of all parts but the first, which has it in its text.
    """
    found = Collector(limits, source)
    delimiter = _BY_EXTENSION.get(extension_of(source.name)) or _delimiter_of(found.text)
    with found.bounded():
        try:
            _collect(found, _rows(found, delimiter), header=True)
        except csv.Error as problem:
            return _as_text(source, limits, "csv", f"It is no table that can be read ({problem}); it was read as text.")
    return found.parsed("csv")


def read_json_lines(source: TextFile, limits: Limits) -> Parsed | Skipped:
    """Reads records of which each has a line of its own, a part for each group of them."""
    found = Collector(limits, source)
    lines = enumerate(lines_of(found.text), 1)
    with found.bounded():
        rows = (_Row(start, start + len(line), number, number, number, number) for number, (start, line) in lines)
        _collect(found, rows, header=False)
    return replace(found.parsed("jsonl"), escaped=may_be_escaped(found.text))


def _as_text(source: TextFile, limits: Limits, kind: Kind, problem: str) -> Parsed | Skipped:
    told = TextFile(source.name, source.text, source.encoding, (*source.problems, problem))
    return read_text(told, limits, kind)


def _collect(found: Collector, rows: Iterable[_Row], *, header: bool) -> None:
    """Adds rows, neighbours together up to `GROUP_CHARS`. None but those of one group are held."""
    head = ""
    group: _Row | None = None
    for row in rows:
        if header and row.first_row == 1:
            head = found.text[row.start : row.end].rstrip("\r\n")
        if group is not None and row.end - group.start <= GROUP_CHARS:
            group = group._replace(end=row.end, last_line=row.last_line, last_row=row.last_row)
            continue
        if group is not None:
            _add(found, group, head)
        group = row
    if group is not None:
        _add(found, group, head)


def _add(found: Collector, rows: _Row, head: str) -> None:
    place = Place(start_line=rows.first_line, end_line=rows.last_line, start_row=rows.first_row, end_row=rows.last_row)
    found.span(rows.start, rows.end, place, head if rows.first_row > 1 and len(head) <= _LONGEST_HEADER else "")


def _rows(found: Collector, delimiter: str) -> Iterator[_Row]:
    """The rows of a table; one may have several lines if a field is quoted."""
    end = 0

    def lines() -> Iterator[str]:
        nonlocal end
        for start, line in lines_of(found.text):
            end = start + len(line)
            yield line

    begin, line = 0, 0
    reader = csv.reader(lines(), delimiter=delimiter)  # Takes a line only when it needs one.
    for number, _ in enumerate(reader, 1):
        if number % 1000 == 0:
            found.check_time()
        yield _Row(begin, end, line + 1, reader.line_num, number, number)
        begin, line = end, reader.line_num


def _delimiter_of(text: str) -> str:
    """The delimiter under which the first rows have the same number of columns, the more the better."""
    lines = [line for _, line in islice(lines_of(text), _LOOKED_AT)]
    return max(_DELIMITERS, key=lambda delimiter: _columns(lines, delimiter))


def _columns(lines: Iterable[str], delimiter: str) -> tuple[bool, int]:
    try:
        counts = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
    except csv.Error:
        return False, 0
    alike = bool(counts) and counts[0] > 1 and all(count == counts[0] for count in counts[:-1])
    return alike, counts[0] if counts else 0
