"""The cost of retrieval: ranking compared with LangChain's BM25Retriever and bare bm25s, and bringing an index up to date.

Owns: the corpus of the measurement, its contenders, and the count of requests. Refuses to know: how good a ranking is.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import warnings
from collections.abc import Callable
from typing import Any, Final

import bm25s  # type: ignore[import-untyped]
import httpx
from langchain_core.documents import Document

from langchain_mix import MixEmulator, MixRetriever
from langchain_mix.client import Mix
from langchain_mix.retrievers.indexing import Chunk, IndexedFile, search_terms
from langchain_mix.retrievers.ranking import Index
from tests.benchmarks.hosting import hosted
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
    return [*_ranking(1_000, often), *_ranking(10_000, often), *_refresh(often), *_queries(often)]


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
    queried = by_turns({name: _searching(search, queries) for name, search in searches.items()}, often)
    what = f"{size:,} chunks"
    other = queried.get("BM25Retriever")
    missing = "langchain-community and rank_bm25 are not installed" if other is None else ""
    return [
        Figure(f"query at {what}", queried["ours"].cpu * 1e3, "ms", most=1.5),
        Figure(
            f"query at {what}, as many times faster than BM25Retriever",
            None if other is None else other.cpu / queried["ours"].cpu,
            "x",
            least=5 if size >= 10_000 else None,
            note=missing or f"which takes {0 if other is None else other.cpu * 1e3:.3g} ms",
        ),
        Figure(f"query at {what}, bare bm25s", queried["bm25s"].cpu * 1e3, "ms", note="split at spaces, nothing else"),
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
        requested = [r.path.rsplit("/", 1)[1] for r in list(server.requests)[before:]]
    listings = requested.count("files")
    return [
        Figure(f"first refresh at {_FILES:,} files", first.cost.cpu * 1e3, "ms", note="server in the same process"),
        Figure(f"unchanged refresh at {_FILES:,} files", statistics.median(taken) * 1e3, "ms", note="the same"),
        Figure(f"unchanged refresh at {_FILES:,} files, listings", listings / often, "", most=1),
        Figure(f"unchanged refresh at {_FILES:,} files, other requests", len(requested) - listings, "", most=0),
    ]


def _queries(often: int) -> list[Figure]:
    """Measures queries as users pay them: an unchanged session of 20 files and 10,000 chunks, on loopback."""
    files, queries = _passages()
    with hosted("checkpoints_server") as url, Mix(server_url=url) as mix:
        session_id = mix.sessions.create(title="queries").id
        for name, text in files.items():
            mix.files.upload_session_file(id=session_id, file=text.encode(), file_name=name)
        options = {"mix": mix, "session_id": session_id, "chunk_size": 150, "chunk_overlap": 0}
        retrievers = {verify: MixRetriever(**options, verify=verify) for verify in ("listing", "answers")}
        for retriever in retrievers.values():
            retriever.refresh()
        listing = f"{url}/api/sessions/{session_id}/files"
        used = [_files_of(retrievers["answers"].invoke(query)) for query in queries]
        with httpx.Client() as bare:
            sync = _query_costs(
                {
                    "listing": lambda n: retrievers["listing"].invoke(queries[n]),
                    "answers": lambda n: retrievers["answers"].invoke(queries[n]),
                    "bare listing": lambda _: bare.get(listing).json(),
                    "bare answers": lambda n: [bare.get(f"{listing}{part}").content for part in ("", *used[n])],
                },
                often,
            )
        asynchronous = asyncio.run(
            _query_costs_async(mix, retrievers, listing=listing, queries=queries, used=used, often=often)
        )
    chunks = f"{retrievers['listing'].report.chunks:,} chunks"
    per_answer = statistics.mean(map(len, used))
    return [
        figure
        for name, costs in (("sync", sync), ("async", asynchronous))
        for figure in (
            Figure(f"{name} query at {chunks}, bare listing", costs["bare listing"], "ms"),
            Figure(
                f'{name} query at {chunks}, verify="listing"',
                costs["listing"],
                "ms",
                most=round(1.3 * (costs["bare listing"] + 0.3), 2),
                note="1.3 x (bare listing + 0.3 ms)",
            ),
            Figure(f"{name} query at {chunks}, bare listing and GETs", costs["bare answers"], "ms"),
            Figure(
                f"{name} query at {chunks}, by default",
                costs["answers"],
                "ms",
                most=round(1.3 * costs["bare answers"], 2),
                note=f"1.3 x (bare listing + bare GETs of the {per_answer:.1f} files of an answer)",
            ),
        )
    ]


def _passages() -> tuple[dict[str, str], list[str]]:
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 10))) for _ in range(5_000)]
    files = {f"file{n:02}.txt": "\n\n".join(" ".join(rng.choices(words, k=16)) for _ in range(500)) for n in range(20)}
    return files, [" ".join(rng.choices(words, k=4)) for _ in range(_QUERIES)]


def _files_of(documents: list[Document]) -> list[str]:
    return list(dict.fromkeys(f"/{document.metadata['file_name']}" for document in documents))


def _query_costs(contenders: dict[str, Callable[[int], Any]], often: int) -> dict[str, float]:
    """Returns the median time of each in milliseconds, on the wall; each query goes to all of them in turn."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(often * _QUERIES):
        for name, work in contenders.items():
            with Stopwatch() as watch:
                work(number % _QUERIES)
            taken[name].append(watch.cost.wall * 1e3)
    return {name: statistics.median(costs) for name, costs in taken.items()}


async def _query_costs_async(
    mix: Mix,
    retrievers: dict[str, MixRetriever],
    *,
    listing: str,
    queries: list[str],
    used: list[list[str]],
    often: int,
) -> dict[str, float]:
    taken: dict[str, list[float]] = {}
    async with httpx.AsyncClient() as bare:

        async def get(*parts: str) -> None:
            for part in parts:
                (await bare.get(f"{listing}{part}")).read()

        for number in range(often * _QUERIES):
            turn = number % _QUERIES
            contenders = {
                "listing": retrievers["listing"].ainvoke(queries[turn]),
                "answers": retrievers["answers"].ainvoke(queries[turn]),
                "bare listing": get(""),
                "bare answers": get("", *used[turn]),
            }
            for name, work in contenders.items():
                with Stopwatch() as watch:
                    await work
                taken.setdefault(name, []).append(watch.cost.wall * 1e3)
    await mix.aclose()
    return {name: statistics.median(costs) for name, costs in taken.items()}
