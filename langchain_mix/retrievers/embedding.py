"""The vectors of chunks: requested in batches, once per text, and cached.

Owns: which texts still need a vector, and what the model's answer must look like.
Refuses to know: how alike vectors are (`ranking.py`) and how a model is called (`retriever.py`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from langchain_mix.errors import MixConfigurationError
from langchain_mix.retrievers.disk_cache import DiskCache
from langchain_mix.retrievers.indexing import IndexedFile, digest_of
from langchain_mix.retrievers.ranking import Vector, vector_of
from langchain_mix.retrievers.steps import Steps, Work

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

OnEmbeddingError: TypeAlias = Literal["raise", "words"]
"""The effect of a failure of the embedding model: the end of the call, or a ranking by words alone."""

_log: Final = logging.getLogger("langchain_mix")

_SPARE: Final = 1000
"""Vectors of texts that are gone which stay on disk for a while: files come back, and other retrievers have theirs."""


_SETTINGS: Final = (
    "output_dimensionality",
    "output_dimension",
    "truncate_dim",
    "embedding_type",
    "output_dtype",
    "normalize",
    "normalize_embeddings",
    "revision",
    "task_type",
    "embed_instruction",
    "query_instruction",
    "model_kwargs",
    "encode_kwargs",
    "query_encode_kwargs",
)
"""The names that embedding models give to settings which change their vectors."""


class Embedder:
    """Computes the vectors of chunks and queries. Safe to use from many threads; its methods are procedures.

    Attributes:
        notes: Failures of the model that were lived with, a sentence each.
    """

    def __init__(
        self,
        model: Embeddings,
        *,
        batch: int,
        on_error: OnEmbeddingError,
        name: str = "",
        cache: DiskCache | None = None,
    ) -> None:
        """Asks nothing yet. Without a name, vectors are not stored in the cache."""
        self._model = model
        self._batch = batch
        self._on_error = on_error
        self._name = name
        self._cache = cache if name else None
        self._known: dict[str, Vector] | None = None
        self._from_cache = False
        self.notes: list[str] = []

    def vectors_of(self, files: Iterable[IndexedFile]) -> Steps[dict[str, Vector] | None]:
        """Returns the vectors of all chunks by the digest of their content, as a procedure; unknown ones are requested.

        The result is None if the model failed and that is to be lived with.

        Raises:
            MixConfigurationError: What the model gave are no vectors.
            Exception: Whatever the model raises.
        """
        known = dict((yield from self._loaded()) if self._known is None else self._known)
        texts = {digest_of(chunk.content): chunk.content for file in files for chunk in file.chunks}
        missing = {digest: text for digest, text in texts.items() if digest not in known}
        new: dict[str, Vector] = {}
        try:
            yield from self._embedded(missing, new)
            if other := _of_another_size(known, new, texts):
                yield from self._embedded(other, new)
        except Exception as problem:  # noqa: BLE001  # Models fail in ways of their own.
            self._tolerate(problem)
            return None
        finally:
            # What came before a failure is not requested again.
            vectors = {digest: vector for digest, vector in (known | new).items() if digest in texts}
            self._known = vectors
        yield from self._keep(new, texts, len(known))
        return vectors

    def vector_of_query(self, query: str) -> Steps[Vector | None]:
        """Returns the vector of a query, as a procedure; None if the model failed and that is to be lived with.

        Raises:
            MixConfigurationError: What the model gave is no vector.
            Exception: Whatever the model raises.
        """
        try:
            model = self._model
            return vector_of((yield Work(lambda: model.embed_query(query), lambda: model.aembed_query(query))))
        except Exception as problem:  # noqa: BLE001  # The same.
            self._tolerate(problem)
            return None

    def forget_cached(self) -> bool:
        """Forgets vectors that were read from disk, of another form of the model; returns False if there were none.

        The model gives texts and queries vectors of different sizes then.
        """
        from_cache, self._from_cache = self._from_cache, False
        if from_cache:
            self._known = {}
        return from_cache

    def _loaded(self) -> Steps[dict[str, Vector]]:
        cache, name = self._cache, self._name
        found: dict[str, Vector] = (yield Work(lambda: cache.load_vectors(name))) if cache is not None else {}
        self._from_cache = bool(found)
        return found

    def _embedded(self, texts: Mapping[str, str], new: dict[str, Vector]) -> Steps[None]:
        digests = list(texts)
        for start in range(0, len(digests), self._batch):
            batch = digests[start : start + self._batch]
            answer = yield self._request([texts[digest] for digest in batch])
            if len(answer) != len(batch):
                raise MixConfigurationError(f"The embedding model gave {len(answer)} vectors for {len(batch)} texts.")
            new.update((digest, vector_of(numbers)) for digest, numbers in zip(batch, answer, strict=True))

    def _request(self, texts: list[str]) -> Work[list[list[float]]]:
        model = self._model
        return Work(lambda: model.embed_documents(texts), lambda: model.aembed_documents(texts))

    def _keep(self, new: dict[str, Vector], texts: Mapping[str, str], known: int) -> Steps[None]:
        cache, name = self._cache, self._name
        if cache is None:
            return
        if new:
            yield Work(lambda: cache.save_vectors(name, new))
        if known > 2 * len(texts) + _SPARE:
            yield Work(lambda: cache.keep_only_vectors(texts))

    def _tolerate(self, problem: Exception) -> None:
        """Goes on without vectors after a failure, if the user permits that.

        Raises:
            Exception: The failure; it was not.
        """
        if self._on_error == "raise":
            raise problem
        note = f"The embedding model failed, and chunks were ranked by words alone: {problem!r}."
        _log.warning(note)
        if note not in self.notes:
            self.notes.append(note)


def name_of(model: Embeddings) -> str:
    """Returns the class and the model's name, under which vectors may be stored; empty if nothing distinguishes it."""
    kind = type(model)
    named = (getattr(model, attribute, None) for attribute in ("model", "model_name", "model_id", "deployment"))
    parts = [value for value in named if isinstance(value, str) and value]
    size = getattr(model, "dimensions", None)
    # Arguments may hold credentials: only a digest of them is kept.
    settings = {name: value for name in _SETTINGS if (value := _as_json(getattr(model, name, None))) is not None}
    more = f":{digest_of(json.dumps(settings, sort_keys=True))}" if settings else ""
    return f"{kind.__module__}.{kind.__qualname__}:{'/'.join(parts)}:{size or ''}{more}" if parts else ""


def _as_json(value: Any) -> Any:
    """Returns a setting as JSON, or None where its text would say something else in another process."""
    if isinstance(value, Mapping):
        return {str(key): _as_json(one) for key, one in value.items()} or None
    if isinstance(value, list | tuple):
        return [_as_json(one) for one in value]
    return value if isinstance(value, str | int | float | bool) else None


def _of_another_size(known: dict[str, Vector], new: Mapping[str, Vector], texts: Mapping[str, str]) -> dict[str, str]:
    """Drops known vectors that are not as long as new ones; returns their texts."""
    sizes = {len(vector) for vector in new.values()}
    if len(sizes) != 1:
        return {}
    other = {digest: text for digest, text in texts.items() if digest in known and len(known[digest]) not in sizes}
    for digest in other:
        del known[digest]
    return other
