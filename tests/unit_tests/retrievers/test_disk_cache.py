"""An index kept on disk: whole, or dropped."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from langchain_mix.errors import MixConfigurationError
from langchain_mix.retrievers.disk_cache import DiskCache
from langchain_mix.retrievers.files import RemoteFile
from langchain_mix.retrievers.indexing import Reading, Splitting, index_file
from langchain_mix.retrievers.parsing.parsed import Limits
from langchain_mix.retrievers.ranking import vector_of

READING = Reading(Splitting(60, 10), Limits())
TEXTS = {
    "a.md": "# Head\n\nOne two three.\n\n## Below\n\nFour café 猫 five.",
    "t.csv": "name,size\nx,1\ny,2\n",
    "code.py": "def f():\n    return 1\n" * 20,
    "noise.bin": "\0\1\2" * 40,
    "j.json": '{"a": {"b": [1, 2, "three"]}}',
    "odd \ud83e\udd94.txt".encode("utf-16", "surrogatepass").decode("utf-16"): "hedgehog",
}


def files(now=5.0):
    return {
        name: index_file(RemoteFile(name, len(text), 3.5, "u"), text.encode(), now, READING)
        for name, text in TEXTS.items()
    }


@pytest.fixture
def kept(tmp_path):
    return DiskCache(tmp_path / "new" / "cache", "key")


def test_what_was_kept_comes_back(kept):
    written = files()
    kept.save_files(written.values(), [])
    assert DiskCache(kept.path.parent, "key").load_files() == written
    assert any(file.skipped for file in written.values())
    assert kept.notes == []


def modes(directory):
    return {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}


def test_a_new_directory_and_all_in_it_are_their_owners(kept):
    kept.save_files(files().values(), [])
    assert stat.S_IMODE(kept.path.parent.stat().st_mode) == 0o700
    assert modes(kept.path.parent) == {0o600}


def test_files_in_a_directory_of_everybody_are_their_owners(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    kept = DiskCache(shared, "key")
    kept.path.touch(mode=0o666)
    kept.path.chmod(0o666)
    kept.save_vectors("model", {"digest": vector_of([1.0])})
    assert modes(shared) == {0o600}
    assert stat.S_IMODE(shared.stat().st_mode) == 0o777
    with closing(sqlite3.connect(kept.path)) as db:  # While something is written, too.
        db.execute("INSERT INTO vectors VALUES ('m', 'd', x'00', x'00')")
        assert modes(shared) == {0o600}
        assert len(list(shared.iterdir())) == 2


def test_nothing_is_kept_for_another_key(kept):
    kept.save_files(files().values(), [])
    assert DiskCache(kept.path.parent, "other").load_files() == {}


def test_files_change_and_go(kept):
    written = files()
    kept.save_files(written.values(), [])
    newer = replace(written["a.md"], checksum="new", checked_at=6.0)
    kept.save_files([newer], ["t.csv"])
    found = kept.load_files()
    assert found["a.md"] == newer
    assert "t.csv" not in found
    assert len(found) == len(written) - 1


def test_what_another_process_read_later_stays(kept):
    newer, older = files(9.0)["a.md"], files(5.0)["a.md"]
    kept.save_files([newer], [])
    kept.save_files([older], [])
    assert kept.load_files()["a.md"].checked_at == 9.0


def test_vectors_come_back_for_their_model_alone(kept):
    vectors = {"d1": vector_of([1.0, 2.0]), "d2": vector_of([3.0, 1.0])}
    kept.save_vectors("m", vectors)
    found = kept.load_vectors("m")
    assert found.keys() == vectors.keys()
    assert all(np.array_equal(found[d], vectors[d]) for d in vectors)
    assert kept.load_vectors("other") == {}
    kept.keep_only_vectors(["d2"])
    assert kept.load_vectors("m").keys() == {"d2"}


@pytest.mark.parametrize("damage", ["noise", "cut", "empty", "text"])
def test_a_damaged_file_is_built_again_and_reported(kept, damage):
    kept.save_files(files().values(), [])
    whole = kept.path.read_bytes()
    broken = {
        "noise": bytes(b ^ 0x5A for b in whole),
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"not a database, and long enough to be looked at as one" * 99,
    }[damage]
    kept.path.write_bytes(broken)
    found = kept.load_files()
    assert all(found[name] == files()[name] for name in found)
    assert kept.notes or damage == "empty"
    kept.save_files(files().values(), [])
    assert DiskCache(kept.path.parent, "key").load_files() == files()


@pytest.mark.parametrize("distance", [409, pytest.param(37, marks=pytest.mark.exhaustive)])
def test_every_changed_byte_is_noticed(kept, distance):
    """Whatever single byte goes wrong, what comes back is what was written, or nothing."""
    written = files()
    kept.save_files(written.values(), [])
    whole = kept.path.read_bytes()
    for place in range(0, len(whole), distance):
        kept.path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        found = DiskCache(kept.path.parent, "key").load_files()
        assert all(found[name] == written[name] for name in found), place


@pytest.mark.parametrize("column", ["name", "listed_size", "modified", "checked_at", "body", "proof"])
def test_a_row_that_was_changed_is_dropped(kept, column):
    kept.save_files([files()["a.md"]], [])
    value = {"name": "'b.md'", "body": "x'00'", "proof": "x'00'"}.get(column, "77")
    db = sqlite3.connect(kept.path)
    with db:
        db.execute(f"UPDATE files SET {column} = {value}")  # noqa: S608  # Values of this test.
    db.close()
    assert kept.load_files() == {}
    assert "1 files" in kept.notes[0]


def test_a_vector_that_was_changed_is_dropped(kept):
    kept.save_vectors("m", {"d": vector_of([1.0, 2.0])})
    db = sqlite3.connect(kept.path)
    with db:
        db.execute("UPDATE vectors SET numbers = x'0000803f'")
    db.close()
    assert kept.load_vectors("m") == {}
    assert kept.notes


def test_tables_of_another_form_are_no_failure(kept):
    db = sqlite3.connect(kept.path)
    with db:
        db.execute("CREATE TABLE files (something TEXT)")
        db.execute("INSERT INTO files VALUES ('else')")
    db.close()
    assert kept.load_files() == {}
    kept.save_files(files().values(), [])
    assert kept.notes
    assert kept.load_files() == files()


def test_a_directory_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MixConfigurationError, match="cache_dir"):
        DiskCache(tmp_path / "file" / "below", "key")


def test_a_file_that_cannot_be_opened_is_reported(kept):
    kept.path.mkdir()
    assert kept.load_files() == {}
    kept.save_files(files().values(), [])
    assert any("could not be used" in note for note in kept.notes)


def test_the_directory_is_for_its_owner_alone(kept):
    assert kept.path.parent.stat().st_mode & 0o077 == 0


def write(directory, number):
    kept = DiskCache(directory, "key")
    for turn in range(5):
        file = index_file(RemoteFile(f"f{number}-{turn}", 3, None, "u"), b"abc", 1.0, READING)
        kept.save_files([file], [])
        kept.save_vectors("m", {f"d{number}-{turn}": vector_of([1.0, float(turn + 1)])})
    return kept.notes


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_several_processes_share_it(tmp_path, forked):
    processes = [forked(partial(write, tmp_path, number)) for number in range(2)]
    assert [process.result() for process in processes] == [[], []]
    kept = DiskCache(tmp_path, "key")
    assert len(kept.load_files()) == 10
    assert len(kept.load_vectors("m")) == 10
