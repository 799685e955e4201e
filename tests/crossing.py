"""Decides which combinations of a test's parameters run by default: pairwise, the others under the marker `exhaustive`.

A test that is parametrised along axes (generations, modes, faults, …) runs every combination only with
`-m exhaustive`. By default it runs a cover: every pair of values of two axes that meet in some combination meets in one
that runs. What says where a scenario runs, and not what it is, is covered more thinly:

- Between two axes of the surroundings (the server's generation, the way of calling) every value runs, but not every
  pair: which of them meet changes from test to test.
- Of four generations or more every other one runs. Which half does changes from test to test, and within a test from
  one scenario to the next: a scenario runs on old and new servers, and a test of several scenarios on all of them.
- Of four scenarios or more each is called in every other way. The synchronous and the asynchronous code are twins, of
  which each is to meet every kind of scenario, not every one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heapreplace
from itertools import combinations
from typing import Any
from zlib import crc32

import pytest

GENERATIONS = frozenset({"0.5", "0.6", "0.6.5", "0.7", "0.8", "next"})
_FEW_GENERATIONS = 3
"""So many always run."""

WAYS = frozenset({"shell", "mode", "way", "asynchronous"})
"""Names of axes that say how a scenario is called. An axis of `sync` and `async` is one too."""
_FEW_SCENARIOS = 3
"""So many are called in every way."""

Case = Mapping[str, Hashable]
"""One combination: a value for each axis."""


class Axes:
    """The axes of one test, and what a cover of them owes."""

    def __init__(self, cases: Sequence[Case], name: str = "") -> None:
        """Reads the axes from all combinations of the test of this name."""
        self._places: dict[str, dict[Hashable, int]] = {}
        for case in cases:
            for axis, value in case.items():
                places = self._places.setdefault(axis, {})
                places.setdefault(value, len(places))
        generations = {axis for axis, values in self._places.items() if values.keys() <= GENERATIONS}
        ways = {axis for axis, values in self._places.items() if axis in WAYS or values.keys() <= {"sync", "async"}}
        self._surroundings = generations | ways
        scenarios = {tuple(value for axis, value in case.items() if axis not in self._surroundings) for case in cases}
        self._many = {axis for axis in generations if len(self._places[axis]) > _FEW_GENERATIONS}
        # Which half runs is one bit of the name's checksum for generations, and another one for ways: with the same bit,
        # the same ways would meet the same generations in all tests.
        half = crc32(name.encode())
        self._thinned = dict.fromkeys(self._many, half)
        if len(scenarios) > _FEW_SCENARIOS:
            self._thinned |= dict.fromkeys(ways, half >> 1)

    def owed(self, case: Case) -> Iterator[frozenset[tuple[str, Hashable]]]:
        """Yields the values and pairs of values in a combination that the cover must contain."""
        for one in case.items():
            if one[0] not in self._many or self._meet(one):
                yield frozenset({one})
        for one, other in combinations(case.items(), 2):
            if not {one[0], other[0]} <= self._surroundings and self._meet(one, other):
                yield frozenset({one, other})

    def _meet(self, *values: tuple[str, Hashable]) -> bool:
        """Returns whether values are to meet: all, but of a thinned axis every other one."""
        half = next((self._thinned[axis] for axis, _ in values if axis in self._thinned), None)
        return half is None or (half + sum(self._places[axis][value] for axis, value in values)) % 2 == 0


def cover(cases: Sequence[Case], name: str = "") -> set[int]:
    """Returns the positions of the combinations that run by default.

    The choice is greedy: the combination that adds most pairs is next. Among equals the name of the test decides, and
    nothing else, so that all processes agree.

    Args:
        cases: All combinations of one test.
        name: The test's name.
    """
    # Sets of pairs are numbers, a bit for each pair: every process makes this choice each time it collects.
    bits: defaultdict[frozenset[tuple[str, Hashable]], int] = defaultdict(lambda: 1 << len(bits))
    axes = Axes(cases, name)
    offered = [sum(bits[owed] for owed in axes.owed(case)) for case in cases]
    missing = (1 << len(bits)) - 1
    order = sorted(range(len(cases)), key=lambda i: crc32(f"{name}{i}".encode()))
    # Lazy greedy: what a combination would add only shrinks, so that its last figure is an upper bound, which is
    # computed again only when the combination comes up as the best.
    queue = [(-offered[i].bit_count(), rank, i) for rank, i in enumerate(order)]
    heapify(queue)
    chosen: set[int] = set()
    while missing:
        bound, rank, best = queue[0]
        added = -(offered[best] & missing).bit_count()
        if added != bound:
            heapreplace(queue, (added, rank, best))
            continue
        heappop(queue)
        chosen.add(best)
        missing &= ~offered[best]
    return chosen


def mark_the_rest(items: Iterable[pytest.Item]) -> None:
    """Marks the combinations that are not in the cover of their test as `exhaustive`.

    Those that a test marks itself are no part of it: what they show, others show by default.
    """
    tests: dict[tuple[str, str], list[pytest.Function]] = defaultdict(list)
    for item in items:
        marked = item.get_closest_marker("exhaustive") is not None
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and not marked:
            tests[item.parent.nodeid if item.parent else "", item.originalname].append(item)
    for (_, name), crossed in tests.items():
        cases = [{axis: _value(given) for axis, given in item.callspec.params.items()} for item in crossed]
        chosen = cover(cases, name)
        for position, item in enumerate(crossed):
            if position not in chosen:
                item.add_marker(pytest.mark.exhaustive)


def _value(given: Any) -> Hashable:
    """Returns what is equal for equal parameters: those of simple types by value, all others as the objects they are."""
    if isinstance(given, str):
        return str(given) if type(given) is str or given in GENERATIONS else (type(given), str(given))
    return (type(given), given) if isinstance(given, (bytes, int, float, type(None))) else id(given)
