"""Axes that do not depend on each other run in turn by default, and crossed on demand."""

from __future__ import annotations

import pytest

from tests.in_turn import in_turn


def usual(combined):
    return [one.values[0] for one in combined if not one.marks]


def test_every_value_runs_by_default_and_every_combination_on_demand():
    combined = in_turn(["a", "b", "c"], [1, 2], "xy")
    assert usual(combined) == [("a", 1, "x"), ("b", 2, "y"), ("c", 1, "x")]
    assert len(combined) == len({one.values for one in combined}) == 12
    assert {mark.name for one in combined for mark in one.marks} == {"exhaustive"}


def test_a_longer_axis_has_the_others_begin_again():
    assert usual(in_turn([1, 2], "abcd")) == [(1, "a"), (1, "c"), (2, "b"), (2, "d")]


def test_combinations_are_called_by_what_is_in_them():
    combined = in_turn([pytest.param({"k": 1}, id="first"), len, object()], ["0.8"])
    assert [one.id for one in combined] == ["first-0.8", "len-0.8", "2-0.8"]
