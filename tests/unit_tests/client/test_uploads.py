"""What users pass as a file, made ready to be sent."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

from langchain_mix.client.files import File, part_of
from langchain_mix.errors import MixInputError


def content_of(source: Any, file_name: str | None = None) -> tuple[str, bytes, str]:
    with part_of(source, file_name, None) as part:
        content = part.content if isinstance(part.content, bytes) else part.content.read()
        return part.name, content, part.content_type


@pytest.mark.parametrize(
    ("source", "file_name", "expected"),
    [
        (b"x", "a.txt", ("a.txt", b"x", "text/plain")),
        (bytearray(b"x"), "a.bin", ("a.bin", b"x", "application/octet-stream")),
        (memoryview(b"x"), "a.png", ("a.png", b"x", "image/png")),
        (io.BytesIO(b"x"), "noextension", ("noextension", b"x", "application/octet-stream")),
        (File("a.txt", b"x", "text/markdown"), None, ("a.txt", b"x", "text/markdown")),
        (File("a.txt", b"x"), "b.pdf", ("b.pdf", b"x", "application/pdf")),
        ({"file_name": "a.txt", "content": b"x"}, None, ("a.txt", b"x", "text/plain")),
        ({"fileName": "a.txt", "content": b"x", "content_type": "a/b"}, None, ("a.txt", b"x", "a/b")),
    ],
)
def test_the_forms_of_a_file(source: Any, file_name: str | None, expected: tuple[str, bytes, str]) -> None:
    assert content_of(source, file_name) == expected


def test_a_path_is_closed_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "a b.csv"
    path.write_bytes(b"1,2")
    for form in (path, str(path), os.fspath(path)):
        with part_of(form, None, None) as part:
            assert not isinstance(part.content, bytes)
            assert (part.name, part.content.read()) == ("a b.csv", b"1,2")
        assert part.content.closed


def test_an_open_file_brings_its_name_and_stays_open(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x")
    with (tmp_path / "a.txt").open("rb") as file:
        assert content_of(file) == ("a.txt", b"x", "text/plain")
        assert not file.closed


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    closed = (tmp_path / "a.txt").open("rb")
    closed.close()
    with (tmp_path / "a.txt").open() as text:
        for source, reason in [
            (tmp_path, "is a directory"),
            (tmp_path / "missing", "No such file"),
            (text, "text mode"),
            (io.StringIO("x"), "text mode"),
            (File("a.txt", io.StringIO("x")), "text mode"),  # type: ignore[arg-type]
            (closed, "closed file"),
            (b"x", "no name"),
            (io.BytesIO(b"x"), "no name"),
            (7, "int is no content"),
            ({"file_name": "a.txt"}, "no `content`"),
            ({"file_name": "a.txt", "content": "x"}, "str is no content"),
            ({"name": "a.txt", "content": b"x"}, "unknown key 'name'"),
            (File("a.txt", b"x", "text/plain\r\nX: y"), "no media type"),
        ]:
            with pytest.raises(MixInputError, match=reason), part_of(source, None, None):
                pass


@pytest.mark.parametrize("source", [b"x" * 10, io.BytesIO(b"x" * 10)])
def test_progress(source: Any) -> None:
    told: list[Any] = []
    with part_of(source, "a.bin", lambda *p: told.append(p)) as part:
        file: Any = part.content
        assert file.seek(0, os.SEEK_END) == 10, "its length is found without reading"
        file.seek(0)
        assert file.read(4) + file.read(-1) == b"x" * 10
        assert file.read(4) == b""
        assert told == [(4, 10), (10, 10)]
        file.seek(0)
        file.read(5)
    assert told[-1] == (5, 10), "what is read again counts again from its place"


def test_progress_of_something_without_a_length() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"xyz")
    os.close(writing)
    told: list[Any] = []
    with os.fdopen(reading, "rb") as pipe, part_of(pipe, "a.bin", lambda *p: told.append(p)) as part:
        assert not isinstance(part.content, bytes)
        assert part.content.read(10) == b"xyz"
    assert told == [(3, None)]
