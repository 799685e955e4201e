"""Ranking by words: BM25 over search terms.

Owns: scores, the order of hits, and what a very long query is cut to.
Refuses to know: how a text becomes terms (`tokens.py`), and what is ranked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
"""For each text whether it may be a hit."""

MOST_TERMS: Final = 1024
"""Different terms of a query that are looked for; of a longer one the rarest, which tell the most."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A text that fits a query.

    Attributes:
        position: Which one, counted from 0.
        score: How well it fits; above 0, and comparable within one list only.
    """

    position: int
    score: float


class LexicalIndex:
    """The terms of many texts, ready to be searched. It never changes, and may be used by many threads at once."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        """Counts.

        Args:
            texts: The terms of each text. There may be none, and none in a text.
        """
        self.size = len(texts)
        self._ids: dict[str, int] = {}
        numbers = [[self._ids.setdefault(term, len(self._ids)) for term in terms] for terms in texts]
        self._bm25: Any = None
        self._lengths: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        if self._ids:
            self._bm25 = _indexed(numbers, self._ids)
            self._lengths = np.diff(self._bm25.scores["indptr"])

    def rank(self, query: Iterable[str], k: int, mask: Mask | None = None) -> list[Hit]:
        """Finds the texts that have most of a query.

        Args:
            query: Its terms.
            k: Hits at most.
            mask: Which texts count; None for all. The others are as if they were not there, but for how rare terms are.

        Returns:
            The hits, the best first; of equal ones the earlier text first. Texts without any of the terms are none.
        """
        if self._bm25 is None or k < 1:
            return []
        terms = self._numbers(query)
        if not terms:
            return []
        scores = self._bm25.get_scores_from_ids(terms)
        if mask is not None:
            scores = np.where(mask, scores, 0)
        return best(scores, k)

    def _numbers(self, query: Iterable[str]) -> list[int]:
        known = Counter(self._ids[term] for term in query if term in self._ids)
        if len(known) > MOST_TERMS:
            rarest = sorted(known, key=lambda number: (self._lengths[number], number))[:MOST_TERMS]
            known = Counter({number: known[number] for number in rarest})
        # Sorted: sums of floating point numbers depend on their order, and equal queries have equal scores.
        return sorted(known.elements()) if known.total() <= MOST_TERMS else sorted(known)


def best(scores: npt.NDArray[np.floating[Any]], k: int) -> list[Hit]:
    """Picks the highest scores.

    Args:
        scores: A score for each text.
        k: Hits at most.

    Returns:
        Those above 0, the best first; of equal ones the earlier first.
    """
    found = np.flatnonzero(scores > 0)
    if len(found) > k:
        least = np.partition(scores[found], len(found) - k)[len(found) - k]
        # All that are as good as the last one stay for now: which of them come first is a matter of order, not chance.
        found = found[scores[found] >= least]
    order = found[np.lexsort((found, -scores[found]))][:k]
    return [Hit(int(position), float(scores[position])) for position in order]


def _indexed(numbers: list[list[int]], ids: dict[str, int]) -> Any:
    from langchain_mix.retrievers.bm25 import CountedBM25  # noqa: PLC0415  # bm25s takes a third of a second.

    index = CountedBM25()
    index.index((numbers, ids), create_empty_token=False, show_progress=False)
    return index
