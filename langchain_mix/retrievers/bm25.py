"""BM25 as bm25s computes it, counted with numpy.

Owns: how the table of scores is built. Refuses to know: what terms are, and what is done with scores.

bm25s counts in Python, which takes several times as long as the rest of an index. Its `build_index_from_ids` is the
place that it offers for another way; the table is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import bm25s  # type: ignore[import-untyped]
import numpy as np


class CountedBM25(bm25s.BM25):  # type: ignore[misc]  # bm25s has no types.
    """BM25 in Lucene's variant."""

    def __init__(self) -> None:
        """Chooses numpy alone: results do not depend on what else is installed, and nothing is compiled."""
        super().__init__(method="lucene", backend="numpy", csc_backend="numpy")

    def build_index_from_ids(
        self,
        unique_token_ids: Sequence[int],
        corpus_token_ids: Sequence[Sequence[int]],
        show_progress: bool = False,  # noqa: ARG002, FBT001, FBT002  # The signature is bm25s'.
        leave_progress: bool = False,  # noqa: ARG002, FBT001, FBT002  # The same.
    ) -> dict[str, Any]:
        """Builds the table of scores, a column for each term.

        Args:
            unique_token_ids: The numbers of all terms, 0 to the last.
            corpus_token_ids: The terms of each text, by number; at least one in all.
            show_progress: Of no meaning; there is no progress bar.
            leave_progress: The same.

        Returns:
            The table, in the form of bm25s.
        """
        self.nonoccurrence_array = None
        count = len(corpus_token_ids)
        lengths = np.fromiter(map(len, corpus_token_ids), dtype=np.int64, count=count)
        terms = np.fromiter(chain.from_iterable(corpus_token_ids), dtype=np.int64, count=int(lengths.sum()))
        # One number for each pair of a term and a text, so that sorting them sorts by term, then by text.
        pairs, times = np.unique(terms * count + np.repeat(np.arange(count), lengths), return_counts=True)
        columns, rows = np.divmod(pairs, count)
        texts_with = np.bincount(columns, minlength=len(unique_token_ids))
        rarity = np.log1p((count - texts_with + 0.5) / (texts_with + 0.5))
        length = 1 - self.b + self.b * lengths[rows] / lengths.mean()
        scores = rarity[columns] * times / (times + self.k1 * length)
        return {
            "data": scores.astype(self.dtype),
            "indices": rows.astype(self.int_dtype),
            "indptr": np.concatenate(([0], np.cumsum(texts_with))),
            "num_docs": count,
        }
