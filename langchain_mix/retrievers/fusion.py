"""Several rankings made one: reciprocal rank fusion.

Owns: the formula. Refuses to know: where rankings come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from langchain_mix.retrievers.ranking import Hit

_DAMPING: Final = 60
"""The constant of Cormack, Clarke and Büttcher (2009): how little the first places of one list alone decide."""


def fused(rankings: Iterable[tuple[Sequence[Hit], float]], k: int) -> list[Hit]:
    """Merges rankings by places; scores of different kinds cannot be compared.

    Args:
        rankings: The hits of each, the best first, and its weight. A text counts once per ranking, at its best place.
        k: Hits at most.

    Returns:
        The hits, the best first; of equal ones the earlier text first. A score is the sum of weight / (60 + place).
    """
    scores: dict[int, float] = {}
    for hits, weight in rankings:
        places = dict.fromkeys(hit.position for hit in hits)
        for place, position in enumerate(places, 1):
            scores[position] = scores.get(position, 0.0) + weight / (_DAMPING + place)
    ordered = sorted((position for position in scores if scores[position] > 0), key=lambda p: (-scores[p], p))
    return [Hit(position, scores[position]) for position in ordered[:k]]
