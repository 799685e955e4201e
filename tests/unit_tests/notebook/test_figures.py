"""Pictures and tables as HTML."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from langchain_mix.notebook.figures import figure, picture_type, read_table
from langchain_mix.notebook.view import Media

PNG = (Path(__file__).resolve().parents[2] / "fixtures" / "chart.png").read_bytes()
BAD = '"><script>alert(1)</script>'


@pytest.mark.parametrize(
    ("content", "mime"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a..", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", ""),
        (b"<html>", ""),
        (b"", ""),
    ],
)
def test_pictures_are_known_by_their_first_bytes(content, mime):
    assert picture_type(content) == mime


def test_a_picture_is_in_the_page():
    html = figure(Media("image", name="a.png", title="A", description="d", content=PNG))
    assert f'src="data:image/png;base64,{b64encode(PNG).decode()}" alt="A"' in html
    assert "<strong>A</strong> · <code>a.png</code> · d" in html


def test_what_claims_to_be_a_picture_and_is_none():
    html = figure(Media("image", name="a.png", mime_type="image/png", content=b"<script>alert(1)</script>"))
    assert "<img" not in html
    assert "script" not in html


def test_nothing_is_loaded_from_the_web():
    html = figure(Media("image", url="https://tracker.example/a.png", title="A"))
    assert "<img" not in html
    assert '<a href="https://tracker.example/a.png"' in html


@pytest.mark.parametrize("field", ["name", "title", "description", "problem", "url", "mime_type"])
@pytest.mark.parametrize("content", [None, PNG])
@pytest.mark.parametrize("kind", ["image", "table", "other"])
def test_no_word_becomes_markup(field, content, kind):
    assert "<script" not in figure(Media(kind, content=content, **{field: BAD}))


def test_a_url_that_runs_is_no_link():
    assert "<a" not in figure(Media("image", url="javascript:alert(1)"))


def test_why_it_is_not_here():
    assert "gone" in figure(Media("image", name="a.png", problem="gone"))


def test_a_table():
    content = b'\xef\xbb\xbfname,units\n<b>x</b>,12\n"a,b",-1.5%\n'
    html = figure(Media("table", name="t.csv", title="T", content=content))
    assert '<th scope="col">name</th><th scope="col">units</th>' in html
    assert '<td>&lt;b&gt;x&lt;/b&gt;</td><td class="lcm-num">12</td>' in html
    assert '<td>a,b</td><td class="lcm-num">-1.5%</td>' in html
    assert "<caption><strong>T</strong>" in html


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators(separator):
    head, rows, _ = read_table(separator.join("ab") + "\n" + separator.join("12"))
    assert (list(head), [list(row) for row in rows]) == (["a", "b"], [["1", "2"]])


def test_large_tables_are_cut_and_say_so():
    text = "\n".join(",".join(map(str, range(40))) for _ in range(101))
    head, rows, left = read_table(text)
    assert (len(head), len(rows), len(rows[0])) == (30, 50, 30)
    assert left == "50 more rows, 10 more columns"
    assert "50 more rows" in figure(Media("table", content=text.encode()))


def test_long_cells_are_cut():
    html = figure(Media("table", content=b"a\n" + b"x" * 1000))
    assert "x" * 300 + "…" in html
    assert "x" * 301 not in html


@pytest.mark.parametrize("text", ["", "\n", "\0,\0", '"', "a" * 200_000])
def test_what_is_no_table(text):
    assert "<table>" in figure(Media("table", content=text.encode()))


def test_a_field_that_is_too_large_is_told():
    assert read_table("a\n" + "x" * 200_000)[2].startswith("This is no table")
