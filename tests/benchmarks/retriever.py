"""What retrieval costs: ranking beside LangChain's BM25Retriever and bare bm25s, and bringing an index up to date.

Owns: the corpus of the measurement, its contenders, and the count of requests. Refuses to know: how good a ranking is.
"""

from __future__ import annotations

import random
import statistics
import warnings
from collections.abc import Callable
from typing import Any, Final

import bm25s  # type: ignore[import-untyped]

from langchain_mix import MixEmulator, MixRetriever
from langchain_mix.client import Mix
from langchain_mix.retrievers.indexing import Chunk, IndexedFile, search_terms
from langchain_mix.retrievers.ranking import Index
from tests.benchmarks.measure import Cost, Figure, Stopwatch, Work, by_turns

_WORDS: Final = 120
"""Words of a chunk."""
_QUERIES: Final = 100
_FILES: Final = 1000
_K: Final = 4


def measure(often: int) -> list[Figure]:
    """Measures building and searching at 1,000 and 10,000 chunks, then an unchanged session of 1,000 files.

    Args:
        often: How often each is measured.

    Returns:
        The figures.
    """
    return [*_ranking(1_000, often), *_ranking(10_000, often), *_refresh(often)]


def _corpus(size: int) -> tuple[list[str], list[str]]:
    rng = random.Random(size)  # The same texts on every run.
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choices(letters, k=rng.randint(3, 10))) for _ in range(20_000)]
    weights = [1 / place for place in range(1, len(words) + 1)]  # As words of a language are distributed.
    texts = [" ".join(rng.choices(words, weights, k=_WORDS)) for _ in range(size)]
    return texts, [" ".join(rng.choices(words, weights, k=6)) for _ in range(_QUERIES)]


def _ranking(size: int, often: int) -> list[Figure]:
    texts, queries = _corpus(size)
    builders: dict[str, Callable[[], Callable[[str], Any]]] = {
        "ours": lambda: _ours(texts),
        "bm25s": lambda: _bare(texts),
    }
    if (theirs := _bm25_retriever(texts)) is not None:
        builders["BM25Retriever"] = theirs
    searches = {name: build() for name, build in builders.items()}
    built = by_turns({name: _building(build) for name, build in builders.items()}, max(1, often // 3))
    asked = by_turns({name: _searching(search, queries) for name, search in searches.items()}, often)
    what = f"{size:,} chunks"
    other = asked.get("BM25Retriever")
    missing = "langchain-community and rank_bm25 are not installed" if other is None else ""
    return [
        Figure(f"query at {what}", asked["ours"].cpu * 1e3, "ms", most=1.5),
        Figure(
            f"query at {what}, as many times faster than BM25Retriever",
            None if other is None else other.cpu / asked["ours"].cpu,
            "x",
            least=5 if size >= 10_000 else None,
            note=missing or f"which takes {0 if other is None else other.cpu * 1e3:.3g} ms",
        ),
        Figure(f"query at {what}, bare bm25s", asked["bm25s"].cpu * 1e3, "ms", note="split at spaces, nothing else"),
        Figure(f"build of {what}, terms included", built["ours"].cpu * 1e3, "ms"),
        Figure(f"build of {what}, bare bm25s", built["bm25s"].cpu * 1e3, "ms"),
        Figure(
            f"build of {what}, BM25Retriever",
            built["BM25Retriever"].cpu * 1e3 if other is not None else None,
            "ms",
            note=missing,
        ),
    ]


def _building(build: Callable[[], Callable[[str], Any]]) -> Work:
    def work() -> Cost:
        with Stopwatch() as watch:
            build()
        return watch.cost

    return work


def _searching(search: Callable[[str], Any], queries: list[str]) -> Work:
    def work() -> Cost:
        with Stopwatch() as watch:
            for query in queries:
                search(query)
        return watch.cost / len(queries)

    return work


def _ours(texts: list[str]) -> Callable[[str], Any]:
    files = {}
    for number, text in enumerate(texts):
        name, chunks = f"{number:06}.txt", (Chunk(text, 0, len(text)),)
        files[name] = IndexedFile(
            name=name,
            listed_size=len(text),
            modified=None,
            checksum=name,
            checked_at=0.0,
            chunks=chunks,
            terms=search_terms(name, chunks),
        )
    index = Index(files)
    return lambda query: index.search(query, _K)


def _bare(texts: list[str]) -> Callable[[str], Any]:
    index = bm25s.BM25(backend="numpy", csc_backend="numpy")
    index.index([text.split() for text in texts], show_progress=False)
    return lambda query: index.retrieve([query.split()], k=_K, show_progress=False, backend_selection="numpy")


def _bm25_retriever(texts: list[str]) -> Callable[[], Callable[[str], Any]] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import rank_bm25  # noqa: F401  # It is imported when the first retriever is made.
            from langchain_community.retrievers import BM25Retriever  # Perhaps not installed.
        except ImportError:
            return None
    return lambda: BM25Retriever.from_texts(texts, k=_K).invoke


def _refresh(often: int) -> list[Figure]:
    with MixEmulator("0.8") as server, Mix(server_url=server.url) as mix:
        session_id = mix.sessions.create(title="files").id
        texts, _ = _corpus(_FILES)
        for number, text in enumerate(texts):
            (server.data_dir / "uploads" / f"file{number:04}.txt").write_text(text)
        retriever = MixRetriever(mix=mix, session_id=session_id)
        with Stopwatch() as first:
            retriever.refresh()
        before, taken = len(server.requests), []
        for _ in range(often):
            with Stopwatch() as watch:
                retriever.refresh()
            taken.append(watch.cost.cpu)
        asked = [r.path.rsplit("/", 1)[1] for r in list(server.requests)[before:]]
    listings = asked.count("files")
    return [
        Figure(f"first refresh at {_FILES:,} files", first.cost.cpu * 1e3, "ms", note="server in the same process"),
        Figure(f"unchanged refresh at {_FILES:,} files", statistics.median(taken) * 1e3, "ms", note="the same"),
        Figure(f"unchanged refresh at {_FILES:,} files, listings", listings / often, "", most=1),
        Figure(f"unchanged refresh at {_FILES:,} files, other requests", len(asked) - listings, "", most=0),
    ]
