"""The quality of the default ranking, compared with LangChain's BM25Retriever on the same chunks."""

from __future__ import annotations

import json
import math
import warnings
from functools import cache
from pathlib import Path

import pytest

from langchain_mix.retrievers.files import RemoteFile
from langchain_mix.retrievers.indexing import Reading, Splitting, index_file
from langchain_mix.retrievers.parsing.parsed import Limits
from langchain_mix.retrievers.ranking import Index

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
OTHER = set(json.loads((CORPUS / "other_scripts.json").read_text(encoding="utf-8")))
JUDGMENTS = json.loads((CORPUS / "judgments.json").read_text(encoding="utf-8"))
DEPTH = 10


@cache
def texts():
    found = {p.name: p.read_text(encoding="utf-8") for p in sorted((CORPUS / "documents").glob("*.txt"))}
    return found | json.loads((CORPUS / "other_scripts.json").read_text(encoding="utf-8"))


@cache
def index():
    reading = Reading(Splitting(), Limits())
    return Index({n: index_file(RemoteFile(n, len(t), None, ""), t.encode(), 0.0, reading) for n, t in texts().items()})


@cache
def bm25_retriever():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        community = pytest.importorskip("langchain_community.retrievers", reason="langchain-community is not installed")
        pytest.importorskip("rank_bm25", reason="rank_bm25 is not installed")
        chunks = [(name, chunk.content) for name, file in index().files.items() for chunk in file.chunks]
        return community.BM25Retriever.from_texts(
            [content for _, content in chunks], metadatas=[{"file_name": name} for name, _ in chunks], k=len(chunks)
        )


def ours(query):
    return [found.file.name for found in index().search(query, len(index()))]


def theirs(query):
    """What BM25Retriever gives; a chunk without any of the terms is no hit there either."""
    retriever = bm25_retriever()
    terms = retriever.preprocess_func(query)
    scores = retriever.vectorizer.get_scores(terms)
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    return [retriever.docs[i].metadata["file_name"] for i in order if scores[i] > 0]


def ndcg(ranked, relevant):
    files = list(dict.fromkeys(ranked))[:DEPTH]
    gain = sum((2 ** relevant.get(name, 0) - 1) / math.log2(place + 1) for place, name in enumerate(files, 1))
    ideal = sorted(relevant.values(), reverse=True)[:DEPTH]
    return gain / sum((2**grade - 1) / math.log2(place + 1) for place, grade in enumerate(ideal, 1))


def mean(search, judgments):
    return sum(ndcg(search(j["query"]), j["relevant"]) for j in judgments) / len(judgments)


def split():
    foreign = [j for j in JUDGMENTS if set(j["relevant"]) & OTHER]
    return {"English": [j for j in JUDGMENTS if j not in foreign], "other languages": foreign}


def test_the_corpus_is_large_enough_and_whole():
    assert len(texts()) >= 300
    assert len(JUDGMENTS) >= 60
    assert len(split()["other languages"]) >= 30
    assert {name for j in JUDGMENTS for name in j["relevant"]} <= texts().keys()


@pytest.mark.parametrize(("part", "least"), [("English", 0.80), ("other languages", 0.95)])
def test_the_ranking_is_good(part, least, record_property):
    found = mean(ours, split()[part])
    record_property("nDCG@10", found)
    print(f"nDCG@10, {part}: MixRetriever {found:.3f}")
    assert found >= least


@pytest.mark.parametrize("part", ["English", "other languages"])
def test_the_ranking_is_no_worse_than_that_of_bm25_retriever(part, record_property):
    judgments = split()[part]
    there, here = mean(theirs, judgments), mean(ours, judgments)
    record_property("nDCG@10", (here, there))
    print(f"nDCG@10, {part} ({len(judgments)} queries): MixRetriever {here:.3f}, BM25Retriever {there:.3f}")
    assert here >= there
