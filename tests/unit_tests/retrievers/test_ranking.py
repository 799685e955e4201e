"""BM25 over terms."""

from __future__ import annotations

import math
import random
from concurrent.futures import ThreadPoolExecutor

import bm25s
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from langchain_mix.errors import MixConfigurationError
from langchain_mix.retrievers.ranking import MOST_TERMS, Hit, LexicalIndex, VectorIndex, best, fused, vector_of

WORDS = st.lists(st.lists(st.sampled_from("abcdef"), max_size=8), max_size=12)


def expected(texts, query):
    """BM25 as the books have it, with the idf of Lucene, k1 = 1.5 and b = 0.75."""
    n, mean = len(texts), sum(map(len, texts)) / len(texts)
    scores = []
    for terms in texts:
        score = 0.0
        for term in query:
            df = sum(term in other for other in texts)
            tf = terms.count(term)
            if tf:
                idf = math.log(1 + (n - df + 0.5) / (df + 0.5))
                score += idf * tf / (tf + 1.5 * (1 - 0.75 + 0.75 * len(terms) / mean))
        scores.append(score)
    return scores


@given(WORDS, st.lists(st.sampled_from("abcdefgh"), max_size=6))
def test_scores_are_those_of_bm25(texts, query):
    hits = LexicalIndex(texts).rank(query, 100)
    if texts and any(texts):
        scores = expected(texts, query)
        assert {h.position for h in hits} == {i for i, s in enumerate(scores) if s > 0}
        assert [h.score for h in hits] == pytest.approx([scores[h.position] for h in hits], rel=1e-4)
    else:
        assert hits == []


@given(WORDS.filter(any))
def test_the_table_is_that_of_bm25s(texts):
    there = bm25s.BM25(method="lucene", backend="numpy", csc_backend="numpy")
    ids = {term: number for number, term in enumerate(dict.fromkeys(term for text in texts for term in text))}
    numbers = [[ids[term] for term in text] for text in texts]
    there.index((numbers, dict(ids)), create_empty_token=False, show_progress=False)
    here = LexicalIndex(texts)
    for part, ours in {"data": here._scores, "indices": here._rows, "indptr": np.array(here._starts)}.items():
        np.testing.assert_allclose(ours, there.scores[part], rtol=1e-5)


@given(WORDS, st.lists(st.sampled_from("abc"), max_size=4), st.integers(0, 15))
def test_the_first_k_are_the_first_of_all(texts, query, k):
    index = LexicalIndex(texts)
    assert index.rank(query, k) == index.rank(query, 1000)[:k]


@given(WORDS, st.lists(st.sampled_from("abc"), max_size=4), st.lists(st.booleans(), min_size=12, max_size=12))
def test_a_mask_takes_away_and_changes_nothing_else(texts, query, flags):
    index = LexicalIndex(texts)
    mask = np.array(flags[: len(texts)], dtype=bool)
    kept = [hit for hit in index.rank(query, 100) if mask[hit.position]]
    assert index.rank(query, 100, mask) == kept
    assert index.rank(query, 1, mask) == kept[:1]


def test_equal_texts_keep_their_order():
    texts = [["x"], ["a", "b"], ["y"], ["a", "b"], ["a", "b"]]
    assert [h.position for h in LexicalIndex(texts).rank(["a"], 2)] == [1, 3]


def test_many_equal_texts_keep_their_order():
    hits = LexicalIndex([["a", "b"] if n % 3 else ["a"] for n in range(900)]).rank(["a"], 900)
    assert [h.position for h in hits] == [*range(0, 900, 3), *(n for n in range(900) if n % 3)]


def test_nothing_gives_nothing():
    assert LexicalIndex([]).rank(["a"], 4) == []
    assert LexicalIndex([[], []]).rank(["a"], 4) == []
    assert LexicalIndex([["a"]]).rank([], 4) == []
    assert LexicalIndex([["a"]]).rank(["b"], 4) == []
    assert LexicalIndex([["a"]]).rank(["a"], 0) == []


def test_a_long_query_is_cut_to_its_rarest_terms():
    common = [f"c{i}" for i in range(3 * MOST_TERMS)]
    texts = [[*common], [*common], ["rare"]]
    hits = LexicalIndex(texts).rank([*common, "rare"], 1)
    assert [h.position for h in hits] == [2] or hits[0].score > 0
    assert 2 in {h.position for h in LexicalIndex(texts).rank([*common, "rare"], 3)}


def test_the_order_of_a_query_does_not_change_scores():
    rng = random.Random(3)
    texts = [rng.choices("abcdefghij", k=20) for _ in range(50)]
    query = rng.choices("abcdefghij", k=9)
    index = LexicalIndex(texts)
    assert index.rank(query, 50) == index.rank(query[::-1], 50)


def test_many_threads_find_the_same():
    rng = random.Random(5)
    index = LexicalIndex([rng.choices("abcdefghij", k=20) for _ in range(500)])
    queries = [rng.choices("abcdefghij", k=3) for _ in range(64)]
    alone = [index.rank(query, 10) for query in queries]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda query: index.rank(query, 10), queries)) == alone


def test_best_leaves_out_what_is_no_number():
    assert [h.position for h in best(np.array([0.5, np.nan, 0.0, -1.0, 2.0]), 9)] == [4, 0]


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


def test_no_vectors_give_no_hits():
    assert VectorIndex([]).rank(vector_of([1.0]), 4) == []
    assert VectorIndex([vector_of([1.0])]).rank(vector_of([1.0]), 0) == []


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
def test_the_first_k_of_fused_rankings_are_the_first_of_all(lists, k):
    rankings = [(hits(*positions), weight) for positions, weight in lists]
    every = fused(rankings, 1000)
    assert fused(rankings, k) == every[:k]
    assert len({h.position for h in every}) == len(every)
    assert [h.score for h in every] == sorted((h.score for h in every), reverse=True)
