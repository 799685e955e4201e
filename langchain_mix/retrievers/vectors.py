"""Ranking by meaning: the vectors of an embedding model.

Owns: what a valid vector is, and how alike two are. Refuses to know: models and when they are called (`embedding.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from langchain_mix.errors import MixConfigurationError
from langchain_mix.retrievers.ranking import Hit, Mask, best

Vector = npt.NDArray[np.float32]
"""A vector of length 1, or of zeros only."""


def vector_of(numbers: Iterable[float]) -> Vector:
    """Makes a vector of what an embedding model gave.

    Args:
        numbers: Its numbers.

    Returns:
        The vector, of length 1 unless all is zero.

    Raises:
        MixConfigurationError: There is none, or one of them is no number.
    """
    # In double precision: the square of a large single-precision number is infinite.
    wide = np.asarray(list(numbers), dtype=np.float64)
    if wide.ndim != 1 or not wide.size or not np.isfinite(wide).all():
        raise MixConfigurationError(
            "The embedding model gave a vector that is empty or has values which are no numbers.",
            hint="Nothing can be compared with it; check the model.",
        )
    largest = np.abs(wide).max()
    if largest == 0:
        return wide.astype(np.float32)
    scaled = wide / largest
    unit: Vector = (scaled / np.linalg.norm(scaled)).astype(np.float32)
    return unit


class VectorIndex:
    """The vectors of many texts, ready to be searched. It never changes."""

    def __init__(self, vectors: Sequence[Vector]) -> None:
        """Puts them into one table.

        Args:
            vectors: The vector of each text.

        Raises:
            MixConfigurationError: They are not of one length, as if they came from different models.
        """
        sizes = sorted({len(vector) for vector in vectors})
        if len(sizes) > 1:
            raise MixConfigurationError(f"The embedding model gives vectors of different sizes: {sizes}.")
        self._size = sizes[0] if sizes else 0
        self._table = np.stack(vectors) if vectors else np.zeros((0, 0), dtype=np.float32)

    @property
    def size(self) -> int:
        """The numbers of each vector; 0 if there are none."""
        return self._size

    def rank(self, query: Vector, k: int, mask: Mask | None = None) -> list[Hit]:
        """Finds the texts that are most like a query.

        Args:
            query: The query's vector.
            k: Hits at most.
            mask: Which texts count; None for all.

        Returns:
            The hits, the best first; scores are cosines. Those at or below 0 have nothing in common with the query.

        Raises:
            MixConfigurationError: The query's vector is not of the size of the texts'.
        """
        if not len(self._table) or k < 1:
            return []
        if len(query) != self._size:
            raise MixConfigurationError(
                f"The query's vector has {len(query)} numbers, those of the texts {self._size}.",
                hint="Texts and queries must be embedded by the same model.",
            )
        scores = self._table @ query
        return best(scores if mask is None else np.where(mask, scores, 0), k)
