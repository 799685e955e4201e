"""Charts and diagrams (SmartArt) of Office documents: the words and numbers that they show."""

from __future__ import annotations

from itertools import zip_longest
from typing import Final

from langchain_mix.retrievers.parsing.packages import Package

_LISTS: Final = {"c:tx": "name", "c:cat": "labels", "c:xVal": "labels", "c:val": "values", "c:yVal": "values"}


_MOST_PIECES: Final = 100_000
"""Texts and numbers of a chart or a diagram that are read."""


def chart_text(package: Package, name: str) -> str:
    """Returns the titles of a chart, then a line for each series: its name, and its values with their labels.

    Args:
        package: The document.
        name: The member that is the chart.
    """
    # The workbook that is embedded with a chart holds the same numbers.
    package.read.update(target for _, target in package.relations(name).values())
    titles: list[str] = []
    series: dict[str, list[str]] = {}
    lines: list[str] = []
    target, reads, pieces = "", False, 0
    for mark in package.markup(name):
        if mark.kind == "text":
            if reads:
                (series.setdefault(target, []) if target else titles).append(mark.value)
                pieces += 1
                if pieces > _MOST_PIECES:
                    package.found.leave_out(f"A chart has more than {_MOST_PIECES} values; the rest was not read.")
                    break
        elif mark.value == "c:ser":
            if mark.kind == "end":
                lines.append(_line(series))
            series = {}
        elif mark.value in _LISTS:
            target = _LISTS[mark.value] if mark.kind == "start" else ""
        elif mark.value in {"a:t", "c:v"}:
            reads = mark.kind == "start"
        elif mark.value == "c:title":
            target = ""
    return "\n".join([" ".join(titles), *lines]).strip()


def _line(series: dict[str, list[str]]) -> str:
    name, labels, values = (series.get(part, []) for part in ("name", "labels", "values"))
    pairs = (" ".join(filter(None, pair)) for pair in zip_longest(labels, values, fillvalue=""))
    return f"{' '.join(name)}: {', '.join(pairs)}".removeprefix(": ")


def diagram_text(package: Package, name: str) -> str:
    """Returns the texts of a diagram, one a line.

    Args:
        package: The document.
        name: The member with its data.
    """
    lines: list[str] = []
    pieces: list[str] = []
    reads = False
    for mark in package.markup(name):
        if mark.kind == "text":
            pieces += [mark.value] if reads else []
        elif mark.value == "a:t":
            reads = mark.kind == "start"
        elif mark.value == "a:p" and mark.kind == "end":
            lines += ["".join(pieces)] if pieces else []
            pieces = []
            if len(lines) >= _MOST_PIECES:
                package.found.leave_out(f"A diagram has more than {_MOST_PIECES} texts; the rest was not read.")
                break
    return "\n".join(lines)
