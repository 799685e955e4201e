"""Reciprocal rank fusion."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_mix.retrievers.ranking import Hit, fused


def hits(*positions):
    return [Hit(position, 1.0) for position in positions]


def test_places_are_added_up():
    merged = fused([(hits(1, 2), 0.5), (hits(2, 3), 0.25)], 10)
    assert [h.position for h in merged] == [2, 1, 3]
    assert merged[0].score == pytest.approx(0.5 / 62 + 0.25 / 61)


def test_a_text_that_occurs_twice_in_a_list_counts_once():
    assert fused([(hits(1, 1, 1, 2), 1.0)], 10) == fused([(hits(1, 2), 1.0)], 10)


def test_weights_decide():
    assert [h.position for h in fused([(hits(1), 0.9), (hits(2), 0.1)], 10)] == [1, 2]
    assert [h.position for h in fused([(hits(1), 0.1), (hits(2), 0.9)], 10)] == [2, 1]
    assert [h.position for h in fused([(hits(1), 0.0), (hits(2), 0.9)], 10)] == [2]


def test_equal_ones_keep_their_order():
    assert [h.position for h in fused([(hits(7, 3), 0.5), (hits(3, 7), 0.5)], 1)] == [3]


@given(st.lists(st.tuples(st.lists(st.integers(0, 9), max_size=9), st.floats(0, 1)), max_size=3), st.integers(0, 12))
def test_the_first_k_are_the_first_of_all(lists, k):
    rankings = [(hits(*positions), weight) for positions, weight in lists]
    every = fused(rankings, 1000)
    assert fused(rankings, k) == every[:k]
    assert len({h.position for h in every}) == len(every)
    assert [h.score for h in every] == sorted((h.score for h in every), reverse=True)
