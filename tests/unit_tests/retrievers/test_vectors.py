"""Vectors of an embedding model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from langchain_mix.errors import MixConfigurationError
from langchain_mix.retrievers.ranking import VectorIndex, vector_of


@given(arrays(np.float64, 4, elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_vectors_have_length_one_whatever_their_numbers(numbers):
    length = float(np.linalg.norm(vector_of(numbers)))
    assert length == 0 if not numbers.any() else length == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("numbers", [[], [float("nan")], [1.0, float("inf")], [[1.0]]])
def test_what_is_no_vector_is_refused(numbers):
    with pytest.raises(MixConfigurationError):
        vector_of(numbers)


def test_vectors_of_different_sizes_are_refused():
    with pytest.raises(MixConfigurationError, match="different sizes"):
        VectorIndex([vector_of([1.0]), vector_of([1.0, 2.0])])


def test_a_query_of_another_size_is_refused():
    with pytest.raises(MixConfigurationError, match="same model"):
        VectorIndex([vector_of([1.0, 2.0])]).rank(vector_of([1.0]), 4)


def test_the_most_alike_come_first_and_the_unlike_not_at_all():
    index = VectorIndex([vector_of(v) for v in ([1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 0.0], [0.0, 0.0])])
    found = index.rank(vector_of([2.0, 0.1]), 9)
    assert [h.position for h in found] == [0, 2, 1]
    assert found[0].score == pytest.approx(0.99875, abs=1e-4)
    mask = np.array([False, True, True, True, True])
    assert [h.position for h in index.rank(vector_of([1.0, 0.0]), 1, mask)] == [2]


def test_nothing_gives_nothing():
    assert VectorIndex([]).rank(vector_of([1.0]), 4) == []
    assert VectorIndex([vector_of([1.0])]).rank(vector_of([1.0]), 0) == []
