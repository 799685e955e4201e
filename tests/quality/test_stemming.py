"""What stemming gains: nDCG with and without it, in the languages of `tests/corpus/stemming.json`."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from langchain_mix.retrievers.files import RemoteFile
from langchain_mix.retrievers.indexing import Reading, Splitting, index_file
from langchain_mix.retrievers.parsing.parsed import Limits
from langchain_mix.retrievers.ranking import Index

ROOT = Path(__file__).resolve().parents[2]
CORPUS = json.loads((ROOT / "tests/corpus/stemming.json").read_text(encoding="utf-8"))
DEPTH = 10

GAINS = {
    "english": (0.83, 1.00),
    "finnish": (0.08, 0.92),
    "french": (0.97, 1.00),
    "german": (0.87, 1.00),
    "russian": (0.42, 1.00),
    "spanish": (1.00, 1.00),
}
"""nDCG@10 without and with stemming."""


def mean(language, stemming):
    reading = Reading(Splitting(), Limits(), stemming=stemming)
    files = {
        name: index_file(RemoteFile(name, len(text), None, ""), text.encode(), 0.0, reading)
        for name, text in CORPUS[language]["documents"].items()
    }
    index = Index(files, stemming=stemming)
    queries = CORPUS[language]["queries"]
    return sum(gain([f.file.name for f in index.search(q, DEPTH)], right) for q, right in queries) / len(queries)


def gain(ranked, right):
    return 1 / math.log2(ranked.index(right) + 2) if right in ranked else 0.0


@pytest.mark.parametrize("language", sorted(CORPUS))
def test_stemming_finds_what_other_forms_of_a_word_hide(language, record_property):
    without, with_it = mean(language, None), mean(language, language)
    record_property("nDCG@10", (without, with_it))
    print(f"nDCG@10, {language}: without stemming {without:.2f}, with it {with_it:.2f}")
    assert (round(without, 2), round(with_it, 2)) == GAINS[language]
    assert with_it >= without


def test_the_documented_figures_are_the_measured_ones():
    page = (ROOT / "docs/pages/retrieval.md").read_text(encoding="utf-8")
    for language, (without, with_it) in GAINS.items():
        assert f"| {language} | {without:.2f} | {with_it:.2f} |" in page
