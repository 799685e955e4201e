"""Listings, selections, limits and reports."""

from __future__ import annotations

import json
import unicodedata

import pytest

from langchain_mix.errors import MixConfigurationError, MixFileError
from langchain_mix.protocol import calls
from langchain_mix.protocol.call import Reply
from langchain_mix.retrievers.downloads import FileReport, checked_on_problem
from langchain_mix.retrievers.files import (
    RemoteFile,
    Selection,
    file_url,
    list_remote,
    refusal_of,
    remember_upload,
    uploaded_here,
)
from langchain_mix.retrievers.parsing.parsed import Limits

SERVER = "http://mix.example:8088"


def listed(*infos):
    call = list_remote("session", SERVER)
    assert str(call) == str(calls.list_files("session"))
    return call.result(Reply(200, {}, json.dumps(infos).encode()))


def test_the_same_answer_is_the_same_list():
    call = list_remote("session", SERVER)
    answer, other = Reply(200, {}, b'[{"name": "a.md", "size": 1}]'), Reply(200, {}, b'[{"name": "a.md", "size": 2}]')
    first = call.result(answer)
    assert call.result(answer) is first
    assert [file.size for file in call.result(other)] == [2]
    assert call.result(answer) == first


def test_the_listing_has_documents_once_and_sorted():
    files = listed(
        {"name": "b.md", "size": 2, "modified": 1_700_000_000},
        {"name": "folder", "isDir": True},
        {"name": "langchain-mix-ckpt-1", "size": 9},
        {"name": "a.md", "size": 1, "modified": 0},
        {"name": "a.md", "size": 7},
        {"name": ""},
    )
    assert [(file.name, file.size, file.modified) for file in files] == [("a.md", 1, None), ("b.md", 2, 1.7e9)]


def test_urls_are_made_here_whatever_the_server_says():
    file, other = listed(
        {"name": "dir/ü #?.md", "url": "https://evil.example/x"}, {"name": "zed", "url": "file:///etc/passwd"}
    )
    assert file.url == f"{SERVER}{calls.download_file('session', 'dir/ü #?.md').path}"
    assert "%2F" in file.url
    assert other.url.startswith(SERVER)
    assert file_url(SERVER + "/", "session", "a.png", thumb="512").endswith("a.png?thumb=512")


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "\\\\host\\x",
        "C:\\x",
        "a\\..\\x",
        "a\nb",
        "a\x1b[2J",
        "..",
        ".",
        "a//b",
        "a/",
        "\ud800",
        "\x7f",
    ],
)
def test_hostile_names_are_refused(name):
    assert refusal_of(name)
    if "\ud800" not in name:
        (file,) = listed({"name": name, "url": "http://x"})
        assert (file.refused, file.url) == (refusal_of(name), "")


@pytest.mark.parametrize("name", ["a.md", "dir/a.md", ".hidden", "...", "a b", "ü.md", "a..b", "%2e%2e", "q?x=1#y"])
def test_other_names_are_not(name):
    assert refusal_of(name) == ""


def file(name, size=10):
    return RemoteFile(name, size, None, "")


FILES = [file("a.md"), file("b.py", 100), file("docs/c.md", 1000), file("D.MD"), file("e.png")]


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        (Selection(), "a.md b.py docs/c.md D.MD e.png"),
        (Selection(include="*.md"), "a.md docs/c.md"),
        (Selection(include=["*.py", "D*"]), "b.py D.MD"),
        (Selection(exclude="docs/*"), "a.md b.py D.MD e.png"),
        (Selection(include="*.md", exclude=("a*",)), "docs/c.md"),
        (Selection(include="[ab].*"), "a.md b.py"),
        (Selection(mime_types="image/*"), "e.png"),
        (Selection(min_bytes=11), "b.py docs/c.md"),
        (Selection(max_bytes=100, min_bytes=11), "b.py"),
        (Selection(predicate=lambda f: f.size == 100), "b.py"),
        (Selection(uploaded_by_me=["e.png", "gone"]), "e.png"),
        (Selection(uploaded_by_me=()), ""),
    ],
)
def test_all_conditions_hold(selection, names):
    assert [chosen.name for chosen in selection.choose(FILES, SERVER)] == names.split()


def test_names_are_compared_in_normal_form():
    apart = unicodedata.normalize("NFD", "été.md")
    assert Selection(include="été.*").accepts(file(apart), SERVER)
    assert Selection(include=unicodedata.normalize("NFD", "été.*")).accepts(file("été.md"), SERVER)
    assert not Selection(exclude="été.*").accepts(file(apart), SERVER)


def test_uploads_of_this_process_are_known_by_server():
    mine = Selection(uploaded_by_me=True)
    remember_upload("http://one.example/", "a.md")
    assert uploaded_here("http://one.example") == {"a.md"}
    assert mine.accepts(file("a.md"), "http://one.example")
    assert not mine.accepts(file("b.md"), "http://one.example")
    assert not mine.accepts(file("a.md"), "http://two.example")


@pytest.mark.parametrize(
    "options", [{"include": ""}, {"exclude": [1]}, {"uploaded_by_me": "a.md"}, {"mime_types": [""]}]
)
def test_selections_that_cannot_work_are_refused(options):
    with pytest.raises(MixConfigurationError):
        Selection(**options)


@pytest.mark.parametrize("name", list(Limits.__dataclass_fields__))
@pytest.mark.parametrize("value", [0, -1, True, "1", None, float("nan")])
def test_limits_are_numbers_above_zero(name, value):
    with pytest.raises(MixConfigurationError, match=name):
        Limits(**{name: value})


def test_seconds_may_be_fractions_and_nothing_else_may():
    assert Limits(max_seconds=0.5).max_seconds == 0.5
    with pytest.raises(MixConfigurationError):
        Limits(max_file_bytes=0.5)


def test_a_problem_is_reported_or_raised():
    report = FileReport(read=["a"])
    report.skip("b.bin", "is no text", "binary")
    assert "b.bin: is no text." in str(report)
    with pytest.raises(MixFileError, match=r"'c.bin' is no text") as raised:
        report.skip("c.bin", "is no text", "binary", "raise")
    assert raised.value.name == "c.bin"
    assert [skipped.name for skipped in report.skipped] == ["b.bin", "c.bin"]
    with pytest.raises(MixConfigurationError):
        checked_on_problem("ignore")
