"""Chunks are exactly the text of their span."""

from __future__ import annotations

import json
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_mix.errors import MixConfigurationError
from langchain_mix.retrievers.indexing import Splitting, chunks_of
from langchain_mix.retrievers.parsing import parse
from langchain_mix.retrievers.parsing.parsed import Limits, Parsed

LIMITS = Limits()
DEFAULT = Splitting()


def parsed(name, text):
    found = parse(name, text.encode(), LIMITS)
    assert isinstance(found, Parsed), found
    return found


def chunk(found, rule=DEFAULT):
    return list(chunks_of(found, rule))


def checked(found, rule=DEFAULT):
    chunks = chunk(found, rule)
    for piece in chunks:
        assert found.text[piece.start_index : piece.end_index] == piece.text
        assert piece.text.strip()
        if found.verbatim and found.kind != "json":
            assert piece.place.start_line == line_of(found.text, piece.start_index)
            assert piece.place.end_line == line_of(found.text, piece.end_index - 1)
    return chunks


def line_of(text, index):
    ends = [i for i in range(index) if text[i] == "\n" or (text[i] == "\r" and text[i + 1 : i + 2] != "\n")]
    return 1 + len(ends)


def test_lines_and_indices_are_those_of_the_file():
    text = "".join(f"line {number} " + "x" * 30 + "\n" for number in range(1, 40))
    found = parsed("a.txt", text)
    chunks = checked(found, Splitting(chunk_size=100, chunk_overlap=0))
    assert len(chunks) > 10
    for piece in chunks:
        assert f"line {piece.place.start_line} " in piece.text
        assert f"line {piece.place.end_line} " in piece.text
    assert chunks[-1].end_index >= len(text) - 1


@pytest.mark.parametrize("size", [40, 100, 1000])
def test_chunks_are_no_larger_than_requested(size):
    found = parsed("a.md", "# Head\n" + "words and more words. " * 300 + "\n## Next\n" + "x" * 5000)
    chunks = checked(found, Splitting(chunk_size=size, chunk_overlap=size // 5))
    assert max(len(piece.text) for piece in chunks) <= size
    assert max(len(piece.text) for piece in chunks) > size // 2


def test_overlap_is_there_on_request():
    found = parsed("a.txt", " ".join(f"word{number}" for number in range(200)))
    plain = checked(found, Splitting(chunk_size=100, chunk_overlap=0))
    overlapping = checked(found, Splitting(chunk_size=100, chunk_overlap=40))
    assert all(after.start_index >= before.end_index for before, after in pairwise(plain))
    assert all(after.start_index < before.end_index for before, after in pairwise(overlapping))


def test_the_same_text_again_and_again_is_covered_to_its_end():
    found = parsed("a.txt", "ab ab ab ab ab ab ab ab ab ab")
    chunks = checked(found, Splitting(chunk_size=6, chunk_overlap=0))
    assert chunks[-1].end_index == len(found.text)
    assert [piece.start_index for piece in chunks] == sorted({piece.start_index for piece in chunks})


def test_code_is_cut_where_functions_begin():
    text = "".join(f"def function_{n}():\n    value = {n}\n    return value\n\n\n" for n in range(20))
    chunks = checked(parsed("a.py", text), Splitting(chunk_size=120, chunk_overlap=0))
    assert all(piece.text.startswith("def ") for piece in chunks)


def test_prose_is_cut_between_sentences():
    text = "This is a sentence of some length. " * 40
    chunks = checked(parsed("a.txt", text), Splitting(chunk_size=200, chunk_overlap=0))
    assert all(piece.text.endswith(".") for piece in chunks)
    japanese = "これは長い文章です。" * 100
    assert all(piece.text.endswith("。") for piece in checked(parsed("b.txt", japanese), Splitting(200, 0)))


def test_markdown_chunks_do_not_span_sections():
    found = parsed("a.md", "# One\nshort\n# Two\nshort\n")
    assert [piece.place.headings for piece in checked(found)] == [("One",), ("Two",)]


def test_rows_are_put_together_up_to_the_size_and_keep_their_header():
    text = "id,text\n" + "".join(f"{n},{'x' * 90}\n" for n in range(100))
    small = checked(parsed("a.csv", text), Splitting(chunk_size=500, chunk_overlap=0))
    large = checked(parsed("a.csv", text), Splitting(chunk_size=4000, chunk_overlap=0))
    assert len(large) < len(small)
    assert max(len(piece.text) for piece in large) > 3000
    assert large[1].content == f"id,text\n{large[1].text}"
    assert large[-1].place.end_row == 101
    assert large[1].place.start_row == text[: large[1].start_index].count("\n") + 1


def test_sheets_pages_and_cells_are_not_put_together():
    cells = [{"cell_type": "code", "source": f"x = {n}"} for n in range(3)]
    found = parsed("a.ipynb", json.dumps({"cells": cells, "metadata": {}}))
    assert [piece.place.cell for piece in checked(found)] == [1, 2, 3]


def test_metadata_have_the_span_and_the_place():
    piece = checked(parsed("a.md", "# One\ntext\n"))[0]
    assert piece.metadata() == {"start_index": 0, "end_index": 10, "start_line": 1, "end_line": 2, "headings": ["One"]}


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (10, 10), (10, -1)])
def test_sizes_that_cannot_work_are_refused(size, overlap):
    with pytest.raises(MixConfigurationError):
        Splitting(size, overlap)


TEXTS = st.text(st.sampled_from("ab .\n\r\t#|,;\"'{}[]:0é。 –"), max_size=300) | st.text(max_size=200)


NAMES = st.sampled_from(["a.txt", "a.md", "a.py", "a.csv", "a.json", "a.jsonl", "a.html", "a.xml"])


@pytest.mark.parametrize("examples", [120, pytest.param(400, marks=pytest.mark.exhaustive)])
def test_every_chunk_is_at_its_span(examples):
    @settings(max_examples=examples)
    @given(NAMES, TEXTS, st.integers(5, 60), st.integers(0, 4))
    def check(name, text, size, overlap):
        found = parse(name, text.encode("utf-8", "replace"), LIMITS)
        if not isinstance(found, Parsed):
            return
        chunks = checked(found, Splitting(size, overlap))
        covered = set()
        for piece in chunks:
            covered |= set(range(piece.start_index, piece.end_index))
        if found.kind in {"text", "code", "markdown"} and found.verbatim:
            missed = {index for index in range(len(found.text)) if not found.text[index].isspace()} - covered
            assert not missed

    check()


@pytest.mark.parametrize(
    ("text", "size", "overlap"),
    [
        (" 0  00     0  000 000 0 0  000000  000      0 000 00 00 0000 0000", 6, 4),
        ("0000 0", 5, 1),
        ("00000\r0ab 0 0", 5, 1),
    ],
)
def test_no_character_is_lost_where_a_text_repeats_itself(text, size, overlap):
    chunks = checked(parsed("a.py", text), Splitting(size, overlap))
    covered = {index for piece in chunks for index in range(piece.start_index, piece.end_index)}
    assert {index for index, character in enumerate(text) if not character.isspace()} <= covered
    assert max(len(piece.text) for piece in chunks) <= size


def test_a_text_of_many_blocks_is_covered_to_its_end():
    found = parsed("a.txt", "".join(f"sentence number {number} of a long book.\n" for number in range(8_000)))
    chunks = chunk(found, Splitting())
    assert len(found.text) > 200_000
    assert all(found.text[c.start_index : c.end_index] == c.text for c in chunks)
    assert all(second.start_index <= first.end_index + 1 for first, second in pairwise(chunks))
    assert (chunks[0].start_index, chunks[-1].end_index) == (0, len(found.text) - 1)
    assert max(len(c.text) for c in chunks) <= 1000


def test_data_in_letters_is_cut_in_linear_time():
    """A splitter would try every character of it: seconds for each megabyte."""
    found = parsed("a.json", json.dumps({"image": "QUJD" * 500_000}))
    started = time.process_time()
    chunks = chunk(found, Splitting())
    assert time.process_time() - started < 1
    assert all(second.start_index <= first.end_index + 1 for first, second in pairwise(chunks))
    assert chunks[-1].end_index >= len(found.text) - 1
    assert sum(len(c.text) == 1000 for c in chunks) > 0.95 * len(chunks)
