"""All files of a session, ready to be searched.

Owns: which chunk stands where, filters, and how rankings are put together.
Refuses to know: servers, disks, and how anything got here. An index never changes; a newer one takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from langchain_mix.retrievers.chunking import Chunk
from langchain_mix.retrievers.fusion import fused
from langchain_mix.retrievers.indexing import IndexedFile, digest_of
from langchain_mix.retrievers.ranking import Hit, LexicalIndex, Mask
from langchain_mix.retrievers.tokens import terms_of
from langchain_mix.retrievers.vectors import Vector, VectorIndex

_DEPTH = 50
"""Hits of each ranking that are put together, at least; what stands lower decides nothing."""


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk that fits a query.

    Attributes:
        file: The file.
        chunk: The chunk.
        score: How well it fits: BM25, or the sum of reciprocal ranks where several rankings were put together.
    """

    file: IndexedFile
    chunk: Chunk
    score: float


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each ranking counts.

    Attributes:
        words: The ranking by words.
        meaning: The ranking by the vectors of an embedding model.
    """

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
        """Builds it; takes processor time.

        Args:
            files: The files by name, those without chunks included.
            vectors: The vector of each chunk by the digest of its content; None without an embedding model.
            stemming: With which the terms of the files were made.

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
        """The number of chunks."""
        return len(self._places)

    @property
    def has_vectors(self) -> bool:
        """Whether it can be searched by meaning."""
        return self._vectors is not None

    def fits(self, vector: Vector) -> bool:
        """Whether a query's vector can be compared with those of the chunks."""
        return self._vectors is None or self._vectors.size in {0, len(vector)}

    def _vector_index(self, vectors: Mapping[str, Vector]) -> VectorIndex:
        return VectorIndex([vectors[digest_of(c.content)] for file in self.files.values() for c in file.chunks])

    def rechecked(self, files: Mapping[str, IndexedFile]) -> Index:
        """The same index with files whose content is the same, but which were looked at again.

        Args:
            files: All files by name; their chunks are those of this index.

        Returns:
            The index; nothing of it is built anew.
        """
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
        """Finds the chunks that fit a query; takes processor time.

        Args:
            query: The query.
            k: Chunks at most.
            vector: The query's vector; None to rank by words alone.
            weights: How much each ranking counts where there are two.
            accepts: Told the name of a file, whether it counts; None for all. Others never take a place from these.

        Returns:
            The chunks, the best first; of equal ones the one whose file's name and place come first.
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
