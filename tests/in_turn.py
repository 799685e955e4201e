"""Combines the values of several axes in turn: each value runs by default, every other combination on demand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet


def in_turn(*axes: Sequence[Any]) -> list[ParameterSet]:
    """Returns all combinations, each as the one parameter of a test, which unpacks it.

    The first values of all axes go together, then the second ones, and so on; an axis that has no more begins again.
    What is not among these is marked `exhaustive`. It is for axes that do not depend on each other: where the code under test branches
    on two of them together, one `pytest.mark.parametrize` for each axis has every pair of values run.

    Args:
        axes: The values of each axis, which may be `pytest.param` of one value with an id.
    """
    usual = {tuple(n % len(axis) for axis in axes) for n in range(max(map(len, axes)))}
    combined: list[ParameterSet] = []
    for places in product(*(range(len(axis)) for axis in axes)):
        chosen = [axis[place] for axis, place in zip(axes, places, strict=True)]
        values = tuple(one.values[0] if isinstance(one, ParameterSet) else one for one in chosen)
        names = [_name(one, place) for one, place in zip(chosen, places, strict=True)]
        marks = [] if places in usual else [pytest.mark.exhaustive]
        combined.append(pytest.param(values, id="-".join(names), marks=marks))
    return combined


def _name(one: Any, place: int) -> str:
    if isinstance(one, ParameterSet) and isinstance(one.id, str):
        return one.id
    value = one.values[0] if isinstance(one, ParameterSet) else one
    if isinstance(value, (str, int, float, type(None))):
        return str(value)
    return str(getattr(value, "__name__", place))
