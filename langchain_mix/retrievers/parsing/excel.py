"""Excel workbooks, with openpyxl.

Owns: sheets and groups of their rows. Refuses to know: formulas (the values that Excel has stored are read), charts.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

from langchain_mix.retrievers.limits import Limits
from langchain_mix.retrievers.parsing.collecting import GROUP_CHARS, Collector
from langchain_mix.retrievers.parsing.parts import Parsed, Place

_SEPARATOR = " | "


def read_excel(data: bytes, limits: Limits) -> Parsed:
    """Reads a workbook, a part for each group of rows.

    The first row of a sheet is its header, and the context of all its parts but the first, which has it in its text.

    Raises:
        ImportError: openpyxl is not installed.
        Exception: The file is damaged; its parsers raise many kinds.
    """
    from openpyxl import load_workbook  # type: ignore[import-untyped]  # noqa: PLC0415  # An extra, without types.

    found = Collector(limits)
    workbook = load_workbook(BytesIO(data), read_only=True, data_only=True, keep_links=False)
    try:
        with found.bounded():
            for sheet in workbook.worksheets:
                _collect(sheet, found)
    finally:
        workbook.close()
    return found.parsed("excel")


def _collect(sheet: Any, found: Collector) -> None:
    # A sheet may declare a million rows of 16,384 columns; what it has is read instead.
    sheet.reset_dimensions()
    header, first, last, lines = "", 0, 0, list[str]()
    for number, line in _rows(sheet, found):
        if lines and sum(map(len, lines)) + len(line) > GROUP_CHARS:
            _add(found, sheet, (first, last), lines, header)
            header, lines = header or lines[0], []
        first = number if not lines else first
        last = number
        lines.append(line)
    _add(found, sheet, (first, last), lines, header)


def _add(found: Collector, sheet: Any, rows: tuple[int, int], lines: list[str], header: str) -> None:
    place = Place(sheet=sheet.title, start_row=rows[0], end_row=rows[1])
    found.add("\n".join(lines), place, header if len(header) <= 2 * GROUP_CHARS else "")


def _rows(sheet: Any, found: Collector) -> Iterator[tuple[int, str]]:
    """The rows that have values, with their numbers."""
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
        found.check_time()
        cells = ["" if value is None else str(value) for value in row]
        while cells and not cells[-1].strip():
            cells.pop()
        if cells:
            yield number, _SEPARATOR.join(cells)
