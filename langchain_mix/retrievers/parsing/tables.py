"""Tables in text: CSV and its kin, and records line by line.

Owns: where rows begin and end, and the header that belongs to each. Refuses to know: what a column means.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from langchain_mix.retrievers.limits import Limits
from langchain_mix.retrievers.parsing.collecting import Collector, TextFile, groups
from langchain_mix.retrievers.parsing.detection import extension_of
from langchain_mix.retrievers.parsing.lines import lines_of
from langchain_mix.retrievers.parsing.parts import Kind, Parsed, Place, Skipped
from langchain_mix.retrievers.parsing.plain import read_text

_DELIMITERS: Final = (",", ";", "\t", "|")
_BY_EXTENSION: Final = {"tsv": "\t", "tab": "\t", "psv": "|"}
_LOOKED_AT: Final = 20
_LONGEST_HEADER: Final = 2000

_Row = tuple[int, int, int, int]
"""Where a row begins and ends, and its first and last line."""


def read_csv(source: TextFile, limits: Limits) -> Parsed | Skipped:
    """Reads a table, a part for each group of rows.

    The first row is the header, and the context of all parts but the first, which has it in its text.
    """
    found = Collector(limits, source)
    delimiter = _BY_EXTENSION.get(extension_of(source.name)) or _delimiter_of(found.text)
    with found.bounded():
        try:
            rows = list(_rows(found, delimiter))
        except csv.Error as problem:
            return _as_text(source, limits, "csv", f"It is no table that can be read ({problem}); it was read as text.")
        _collect(found, rows, header=True)
    return found.parsed("csv")


def read_json_lines(source: TextFile, limits: Limits) -> Parsed | Skipped:
    """Reads records of which each has a line of its own, a part for each group of them."""
    found = Collector(limits, source)
    rows = [(start, start + len(line), number, number) for number, (start, line) in enumerate(lines_of(found.text), 1)]
    with found.bounded():
        _collect(found, rows, header=False)
    return found.parsed("jsonl")


def _as_text(source: TextFile, limits: Limits, kind: Kind, problem: str) -> Parsed | Skipped:
    told = TextFile(source.name, source.text, source.encoding, (*source.problems, problem))
    return read_text(told, limits, kind)


def _collect(found: Collector, rows: list[_Row], *, header: bool) -> None:
    head = found.text[rows[0][0] : rows[0][1]].rstrip("\r\n") if header and rows else ""
    for first, after in groups([end - start for start, end, _, _ in rows]):
        place = Place(start_line=rows[first][2], end_line=rows[after - 1][3], start_row=first + 1, end_row=after)
        context = head if first and len(head) <= _LONGEST_HEADER else ""
        found.span(rows[first][0], rows[after - 1][1], place, context)


def _rows(found: Collector, delimiter: str) -> Iterator[_Row]:
    """The rows of a table; one may have several lines if a field is quoted."""
    ends: list[int] = []

    def lines() -> Iterator[str]:
        for start, line in lines_of(found.text):
            ends.append(start + len(line))
            yield line

    begin, line = 0, 0
    reader = csv.reader(lines(), delimiter=delimiter)
    for count, _ in enumerate(reader):
        if count % 1000 == 0:
            found.check_time()
        end = ends[reader.line_num - 1]
        yield begin, end, line + 1, reader.line_num
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
