"""Ranking of chunks: BM25 by words, cosine by vectors, and both fused.

Owns: scores, the order of hits, filters. Refuses to know: how a text becomes terms (`tokens.py`), when an embedding
model is called (`embedding.py`), servers and disks. An index never changes; a newer one takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from langchain_mix.errors import MixConfigurationError
from langchain_mix.retrievers.indexing import Chunk, IndexedFile, digest_of
from langchain_mix.retrievers.tokens import terms_of

Mask = npt.NDArray[np.bool_]
"""For each text whether it may be a hit."""

_Rows: TypeAlias = npt.NDArray[np.int32]
_Scores: TypeAlias = npt.NDArray[np.float32]

MOST_TERMS: Final = 1024
"""Different terms of a query that are looked for; of a longer one the rarest, which are the most specific."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A text that fits a query, by its position, and how well: above 0, and comparable within one list only."""

    position: int
    score: float


class LexicalIndex:
    """The terms of many texts, ready to be searched. It never changes, and may be used by many threads at once."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        """Counts the terms of each text. There may be no text, and no term in a text."""
        self.size = len(texts)
        self._ids: dict[str, int] = {}
        numbers = [[self._ids.setdefault(term, len(self._ids)) for term in terms] for terms in texts]
        self._starts, self._rows, self._scores = [0], np.zeros(0, np.int32), np.zeros(0, np.float32)
        if self._ids:
            self._starts, self._rows, self._scores = _columns(numbers, len(self._ids))

    def rank(self, query: Iterable[str], k: int, mask: Mask | None = None) -> list[Hit]:
        """Finds the texts that have most of a query, the best first; of equal ones the earlier first.

        Texts without any of its terms are none. Those that the mask leaves out are as if they were not there, except
        that they count for how rare terms are.
        """
        terms = self._numbers(query)
        if not terms or k < 1:
            return []
        scores = np.zeros(self.size, dtype=np.float32)
        for term in terms:
            column = slice(self._starts[term], self._starts[term + 1])
            np.add.at(scores, self._rows[column], self._scores[column])
        if mask is not None:
            scores = np.where(mask, scores, 0)
        return best(scores, k)

    def _numbers(self, query: Iterable[str]) -> list[int]:
        numbers = [self._ids[term] for term in query if term in self._ids]
        if len(numbers) > MOST_TERMS:
            starts = self._starts
            numbers = sorted(set(numbers), key=lambda number: (starts[number + 1] - starts[number], number))[
                :MOST_TERMS
            ]
        # Sorted: sums of floating point numbers depend on their order, and equal queries have equal scores.
        return sorted(numbers)


def best(scores: npt.NDArray[np.floating[Any]], k: int) -> list[Hit]:
    """Picks the k highest scores above 0, the best first; of equal ones the earlier first."""
    found = (scores > 0).nonzero()[0]
    values = scores[found]
    if len(found) > k:
        # All that are as good as the last one stay for now: which of them come first is a matter of order, not chance.
        sorted_in_part = values.copy()
        sorted_in_part.partition(len(values) - k)
        kept = values >= sorted_in_part[len(values) - k]
        found, values = found[kept], values[kept]
    order = (-values).argsort(kind="stable")[:k]
    return list(map(Hit, found[order].tolist(), values[order].tolist()))


_K1: Final = 1.5
"""BM25: how slowly more of the same term counts less."""
_B: Final = 0.75
"""BM25: how much long texts are at a disadvantage."""


def _columns(numbers: list[list[int]], terms_in_all: int) -> tuple[list[int], _Rows, _Scores]:
    """Returns the scores of BM25 in Lucene's variant, a column for each term with the texts that have it.

    That is where each column begins, and at last where all end; the texts; their scores. numpy counts them all at once;
    the packages for BM25 count in Python, which takes several times as long.
    """
    count = len(numbers)
    lengths = np.fromiter(map(len, numbers), dtype=np.int64, count=count)
    terms = np.fromiter(chain.from_iterable(numbers), dtype=np.int64, count=int(lengths.sum()))
    # One number for each pair of a term and a text, so that sorting them sorts by term, then by text.
    pairs, times = np.unique(terms * count + np.repeat(np.arange(count), lengths), return_counts=True)
    columns, rows = np.divmod(pairs, count)
    texts_with = np.bincount(columns, minlength=terms_in_all)
    rarity = np.log1p((count - texts_with + 0.5) / (texts_with + 0.5))
    length = 1 - _B + _B * lengths[rows] / lengths.mean()
    scores = rarity[columns] * times / (times + _K1 * length)
    return [0, *np.cumsum(texts_with).tolist()], rows.astype(np.int32), scores.astype(np.float32)


Vector = npt.NDArray[np.float32]
"""A vector of length 1, or of zeros only."""


def vector_of(numbers: Iterable[float]) -> Vector:
    """Makes a vector of the numbers that an embedding model gave, of length 1 unless all are zero.

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
        """Puts the vectors of the texts into one table.

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
        """The length of each vector; 0 if there are none."""
        return self._size

    def rank(self, query: Vector, k: int, mask: Mask | None = None) -> list[Hit]:
        """Finds the texts that are most like a query, the best first; scores are cosines.

        Those at or below 0 have nothing in common with the query.

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


_DAMPING: Final = 60
"""The constant of Cormack, Clarke and Büttcher (2009): how little the first places of one list alone decide."""


def fused(rankings: Iterable[tuple[Sequence[Hit], float]], k: int) -> list[Hit]:
    """Merges weighted rankings by places, for scores of different kinds cannot be compared.

    A text counts once per ranking, at its best place. A score is the sum of weight / (60 + place); of equal ones the
    earlier text comes first.
    """
    scores: dict[int, float] = {}
    for hits, weight in rankings:
        places = dict.fromkeys(hit.position for hit in hits)
        for place, position in enumerate(places, 1):
            scores[position] = scores.get(position, 0.0) + weight / (_DAMPING + place)
    ordered = sorted((position for position in scores if scores[position] > 0), key=lambda p: (-scores[p], p))
    return [Hit(position, scores[position]) for position in ordered[:k]]


_DEPTH = 50
"""Hits of each ranking that are put together, at least; lower ones decide nothing."""


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk that fits a query. The score is of BM25, or the sum of reciprocal ranks of several rankings."""

    file: IndexedFile
    chunk: Chunk
    score: float


@dataclass(frozen=True, slots=True)
class Weights:
    """The weight of the ranking by words, and of that by the vectors of an embedding model."""

    words: float = 0.5
    meaning: float = 0.5


class Index:
    """The chunks of files and their rankings. It may be used by many threads at once."""

    def __init__(
        self,
        files: Mapping[str, IndexedFile],
        vectors: Mapping[str, Vector] | None = None,
        *,
        stemming: str | None = None,
    ) -> None:
        """Builds it; takes processor time. The vector of each chunk is found by the digest of its content.

        Raises:
            MixConfigurationError: The vectors do not fit together.
        """
        self.files = {name: files[name] for name in sorted(files)}
        self._stemming = stemming
        self._places = [(name, number) for name, file in self.files.items() for number in range(len(file.chunks))]
        self._words = LexicalIndex([terms for file in self.files.values() for terms in file.terms])
        self._vectors = None if vectors is None else self._vector_index(vectors)
        counts = [len(file.chunks) for file in self.files.values()]
        self._owners: npt.NDArray[np.int64] = np.repeat(np.arange(len(counts)), counts)

    def __len__(self) -> int:
        """Returns the number of chunks."""
        return len(self._places)

    @property
    def has_vectors(self) -> bool:
        """True when it can be searched by meaning."""
        return self._vectors is not None

    def fits(self, vector: Vector) -> bool:
        """True when a query's vector can be compared with those of the chunks."""
        return self._vectors is None or self._vectors.size in {0, len(vector)}

    def _vector_index(self, vectors: Mapping[str, Vector]) -> VectorIndex:
        return VectorIndex([vectors[digest_of(c.content)] for file in self.files.values() for c in file.chunks])

    def rechecked(self, files: Mapping[str, IndexedFile]) -> Index:
        """Returns the same index for files with the same chunks, which were verified again; nothing is built again."""
        other = Index.__new__(Index)
        other.__dict__.update(self.__dict__)
        other.files = {name: files[name] for name in sorted(files)}
        return other

    def search(
        self,
        query: str,
        k: int,
        *,
        vector: Vector | None = None,
        weights: Weights = Weights(),
        accepts: Callable[[str], bool] | None = None,
    ) -> list[Found]:
        """Finds the chunks that fit a query, the best first; takes processor time. Without a vector, words alone rank.

        Files whose names are not accepted never take a place from the others. Of equal chunks the one comes first whose
        file's name and place do.
        """
        mask = self._mask(accepts)
        if vector is None or self._vectors is None or weights.meaning == 0:
            hits = self._words.rank(terms_of(query, self._stemming), k, mask)
        else:
            depth = max(_DEPTH, 4 * k)
            words = self._words.rank(terms_of(query, self._stemming), depth, mask) if weights.words else []
            meaning = self._vectors.rank(vector, depth, mask)
            hits = fused([(words, weights.words), (meaning, weights.meaning)], k)
        return [self._found(hit) for hit in hits]

    def _mask(self, accepts: Callable[[str], bool] | None) -> Mask | None:
        if accepts is None:
            return None
        return np.array([accepts(name) for name in self.files], dtype=np.bool_)[self._owners]

    def _found(self, hit: Hit) -> Found:
        name, number = self._places[hit.position]
        file = self.files[name]
        return Found(file, file.chunks[number], hit.score)
