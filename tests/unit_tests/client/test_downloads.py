"""Files that appear whole or not at all."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

from langchain_mix.client.files import open_target
from langchain_mix.errors import MixInputError


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_new_file(tmp_path: Path, overwrite: bool) -> None:
    with open_target(tmp_path / "a", overwrite=overwrite) as write:
        write(b"one ")
        assert not (tmp_path / "a").exists(), "it appears when it is whole"
        write(b"two")
    assert (tmp_path / "a").read_bytes() == b"one two"
    assert names(tmp_path) == ["a"]
    usual = os.umask(0)
    os.umask(usual)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~usual


@pytest.mark.parametrize("problem", [ValueError, KeyboardInterrupt])
def test_a_broken_one_leaves_the_old_file_and_no_litter(tmp_path: Path, problem: type[BaseException]) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def broken() -> None:
        with open_target(str(tmp_path / "a"), overwrite=True) as write:
            write(b"half")
            raise problem

    with pytest.raises(problem):
        broken()
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_file_that_must_stay(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(MixInputError, match="exists"), open_target(tmp_path / "a", overwrite=False):
        pytest.fail("The block does not begin.")
    with pytest.raises(MixInputError, match="exists"), open_target(tmp_path / "b", overwrite=False):
        (tmp_path / "b").write_bytes(b"theirs")
    assert names(tmp_path) == ["a", "b"]
    assert (tmp_path / "b").read_bytes() == b"theirs"


def test_an_open_file(tmp_path: Path) -> None:
    memory = io.BytesIO()
    with open_target(memory, overwrite=False) as write:
        write(b"x")
    assert memory.getvalue() == b"x"
    assert not memory.closed


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with (tmp_path / "a").open("rb") as reading:
        targets: list[tuple[Any, str]] = [
            (tmp_path, "is a directory"),
            (tmp_path / "missing" / "a", "No such file"),
            (io.StringIO(), "text mode"),
            (reading, "cannot be written"),
            (7, "no place to write"),
        ]
        for target, reason in targets:
            with pytest.raises(MixInputError, match=reason), open_target(target, overwrite=True):
                pytest.fail("The block does not begin.")
