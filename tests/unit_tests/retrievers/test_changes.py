"""What a listing says about an index."""

from __future__ import annotations

import pytest

from langchain_mix.retrievers.files import RemoteFile
from langchain_mix.retrievers.indexing import IndexedFile
from langchain_mix.retrievers.parsing.parsed import Limits
from langchain_mix.retrievers.session_index import changes_of


def known(name, size=10, *, modified=None, checksum="c", checked_at=1000.0, skipped=""):
    return IndexedFile(
        name=name, listed_size=size, modified=modified, checksum=checksum, checked_at=checked_at, skipped=skipped
    )


def listed(name, size=10, modified=None, refused=""):
    return RemoteFile(name, size, modified, "", refused)


def compare(before, after, *, limits=None, verify="answers", now=1010.0):
    changes = changes_of({f.name: f for f in before}, after, limits or Limits(), verify, now)
    return sorted(changes.kept), [f.name for f in changes.fetch], sorted(changes.skipped), changes.gone


def test_what_looks_the_same_is_kept():
    assert compare([known("a")], [listed("a")]) == (["a"], [], [], [])


@pytest.mark.parametrize("after", [listed("a", 11), listed("a", 10, 5.0), listed("a", 0)])
def test_what_looks_different_is_fetched(after):
    assert compare([known("a")], [after]) == ([], ["a"], [], [])


def test_a_time_that_went_back_is_a_change():
    assert compare([known("a", modified=7.0)], [listed("a", modified=6.0)]) == ([], ["a"], [], [])


def test_new_files_are_fetched_and_missing_ones_go():
    assert compare([known("a"), known("b")], [listed("b"), listed("c")]) == (["b"], ["c"], [], ["a"])


def test_what_could_not_be_had_is_requested_again():
    assert compare([known("a", checksum="", skipped="failed")], [listed("a")]) == ([], ["a"], [], [])


def test_what_cannot_be_parsed_is_not_requested_again():
    assert compare([known("a", skipped="is encrypted")], [listed("a")]) == (["a"], [], [], [])


@pytest.mark.parametrize(
    ("verify", "fetched"),
    [("answers", []), ("listing", []), ("checksum", ["a"]), (0, ["a"]), (9.0, ["a"]), (10.0, ["a"]), (11.0, [])],
)
def test_when_a_file_is_looked_at_again(verify, fetched):
    assert compare([known("a")], [listed("a")], verify=verify)[1] == fetched


def test_a_look_in_the_future_proves_nothing():
    assert compare([known("a", checked_at=2000.0)], [listed("a")], verify=60.0)[1] == ["a"]


def test_limits_hold_for_all_files_not_for_those_that_are_fetched():
    files = [listed("a", 40), listed("b", 40), listed("c", 40)]
    limits = Limits(max_total_bytes=100)
    assert compare([], files, limits=limits) == ([], ["a", "b"], ["c"], [])
    assert compare([known("a", 40), known("b", 40)], files, limits=limits) == (["a", "b"], [], ["c"], [])
    assert compare([], files, limits=Limits(max_files=2)) == ([], ["a", "b"], ["c"], [])
    assert compare([known("a", 40)], files, limits=Limits(max_file_bytes=39))[2] == ["a", "b", "c"]


def test_a_refused_name_is_not_fetched():
    assert compare([], [listed("../a", refused="its name leads out")]) == ([], [], ["../a"], [])
