"""Measuring: repetitions by turns, medians, and figures with their budgets.

Owns: how a number is got and how it is told. Refuses to know: what is measured.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self


class Cost(NamedTuple):
    """What one unit of work took, in seconds: processor time of this process, and time on the wall."""

    cpu: float
    wall: float

    def __truediv__(self, units: float) -> Cost:
        """The cost of one of so many units."""
        return Cost(self.cpu / units, self.wall / units)


Work = Callable[[], Cost]


class Stopwatch:
    """Measures a block: `with Stopwatch() as watch: ...`, then `watch.cost`."""

    cost: Cost

    def __enter__(self) -> Self:
        """Starts."""
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops."""
        self.cost = Cost(time.process_time() - self._cpu, time.perf_counter() - self._wall)


def by_turns(contenders: Mapping[str, Work], repetitions: int) -> dict[str, Cost]:
    """Measures contenders A, B, C, A, B, C, …, so that a slow moment of the machine hits all of them.

    Args:
        contenders: What to measure; each returns the cost of one unit. Each has one run before that is not counted.
        repetitions: Runs of each that are counted.

    Returns:
        The medians.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    for repetition in range(repetitions + 1):
        for name, work in contenders.items():
            gc.collect()
            cost = work()
            if repetition:
                costs[name].append(cost)
    return {
        name: Cost(statistics.median(c.cpu for c in taken), statistics.median(c.wall for c in taken))
        for name, taken in costs.items()
    }


def quantile(values: Sequence[float], part: float) -> float:
    """The value below which this part of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes:
        what: What was measured.
        value: The number, or None if it could not be measured here; then the note says why.
        unit: Its unit.
        most: The most that it may be, or None.
        least: The least that it may be, or None.
        note: What else there is to say.
    """

    what: str
    value: float | None
    unit: str
    most: float | None = None
    least: float | None = None
    note: str = ""

    @property
    def kept(self) -> bool | None:
        """Whether the budget is kept; None if there is none or nothing to hold against it."""
        if self.value is None or (self.most is None and self.least is None):
            return None
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)

    @property
    def budget(self) -> str:
        """The budget in words."""
        if self.most is not None:
            return f"<= {self.most:g}"
        return f">= {self.least:g}" if self.least is not None else ""


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if value < 1e4 else f"{value:.0f}"


def table(sections: Mapping[str, Sequence[Figure]]) -> str:
    """One table of all figures, missed budgets marked."""
    lines = []
    width = max((len(f.what) for figures in sections.values() for f in figures), default=0)
    for title, figures in sections.items():
        lines.append(f"\n{title}")
        for figure in figures:
            verdict = {None: "", True: "ok", False: "MISSED"}[figure.kept]
            value = _number(figure.value)
            line = (
                f"  {figure.what:<{width}}  {value:>8} {figure.unit:<5} {figure.budget:>9} {verdict:<7} {figure.note}"
            )
            lines.append(line.rstrip())
    return "\n".join(lines)
