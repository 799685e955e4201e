"""What is uploaded, and what is refused before anything is sent."""

from __future__ import annotations

import logging
import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from langchain_mix.emulator.state.files import stored_name
from langchain_mix.errors import MixInputError
from langchain_mix.protocol.api import ALL, CAPABILITIES, UNKNOWN, ApiKnowledge
from langchain_mix.retrievers.uploads import Display, Tracker, plan_upload, refuse_existing, stored_names


@pytest.fixture
def tree(tmp_path):
    for name in ("a.md", "b.txt", "docs/c.md", "docs/deep/d.md", "docs/.hidden", ".git/config"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "docs/link.md").symlink_to(tmp_path / "a.md")
    return tmp_path


def names(plan):
    return [file.path.name for file in plan.files]


def test_folders_files_and_patterns(tree):
    plan = plan_upload(tree, UNKNOWN)
    assert names(plan) == ["a.md", "b.txt", "c.md", "d.md"]
    assert sorted(path.name for path in plan.left_out) == [".git", ".hidden", "link.md"]
    assert names(plan_upload(f"{tree}/**/*.md", UNKNOWN))[:3] == ["a.md", "c.md", "d.md"]
    assert names(plan_upload([tree / "b.txt", f"{tree}/*.txt", tree / "b.txt"], UNKNOWN)) == ["b.txt"]
    assert [file.size for file in plan_upload(str(tree / "b.txt"), UNKNOWN).files] == [5]


@pytest.mark.parametrize("path", ["missing.md", "*.nothing", "no/folder/"])
def test_what_is_not_there_is_refused(tree, path):
    with pytest.raises(MixInputError):
        plan_upload(tree / path, UNKNOWN)


def test_a_file_whose_name_has_the_signs_of_a_pattern_is_a_file(tree):
    (tree / "x[1].md").write_text("x")
    assert names(plan_upload(tree / "x[1].md", UNKNOWN)) == ["x[1].md"]


def test_two_files_that_would_become_one_are_refused(tree):
    (tree / "docs/a.md").write_text("another")
    with pytest.raises(MixInputError, match=r"would all be stored as 'a\.md'") as refused:
        plan_upload(tree, UNKNOWN)
    assert str(tree / "docs/a.md") in str(refused.value)


@pytest.mark.parametrize(
    ("one", "two", "older"), [("a b.md", "a_b.md", True), ("a  b.md", "a b.md", True), ("a.b.md", "a_b.md", False)]
)
def test_names_that_the_server_makes_alike_are_refused(tmp_path, one, two, older):
    for name in (one, two):
        (tmp_path / name).write_text(name)
    for known in (UNKNOWN, ApiKnowledge(["0.8"])):
        with pytest.raises(MixInputError, match="would all be stored"):
            plan_upload(tmp_path, known)
    if older:
        with pytest.raises(MixInputError, match="would all be stored"):
            plan_upload(tmp_path, ApiKnowledge(["0.5"]))
    else:
        assert len(plan_upload(tmp_path, ApiKnowledge(["0.5"])).files) == 2


@pytest.mark.parametrize("name", ["langchain-mix-ckpt-1.bin", "a\nb.md", "a\x07.md"])
def test_names_of_others_and_names_that_are_none_are_refused(tmp_path, name):
    (tmp_path / name).write_text("x")
    with pytest.raises(MixInputError, match="name"):
        plan_upload(tmp_path, UNKNOWN)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable to root")
def test_a_file_that_cannot_be_read_is_refused(tree):
    (tree / "b.txt").chmod(0)
    with pytest.raises(MixInputError, match="cannot be read"):
        plan_upload(tree, UNKNOWN)


@pytest.mark.parametrize("api", ALL)
@pytest.mark.parametrize(
    "name",
    [
        "a.md",
        "a b.md",
        "a.b.c.tar.gz",
        "a__b\u3000 c.md",
        ".env",
        ".bashrc",
        ".env.local",
        ".a.b",
        "x",
        "a..b",
        "naïve 文.txt",
    ],
)
def test_names_are_foreseen_as_a_server_makes_them(api, name):
    assert stored_names(name, ApiKnowledge([api])) == (stored_name(name, CAPABILITIES[api]),)
    assert stored_name(name, CAPABILITIES[api]) in stored_names(name, UNKNOWN)


def test_what_is_there_is_not_replaced_without_request(tree):
    plan = plan_upload(tree, UNKNOWN)
    refuse_existing(plan, {"other.md"})
    with pytest.raises(MixInputError, match=r"'a.md', 'd.md'"):
        refuse_existing(plan, {"d.md", "a.md", "other"})


def test_progress_counts_all_files():
    steps = []
    tracker = Tracker({Path("a"): 10, Path("b"): 5}, steps.append)
    tracker.sent(Path("a"), 4)
    tracker.sent(Path("b"), 5)
    tracker.done(Path("b"))
    last = steps[-1]
    assert (last.path, last.sent, last.size) == (Path("b"), 5, 5)
    assert (last.files_done, last.files, last.bytes_sent, last.bytes_total) == (1, 2, 9, 15)


def shown(progress, monkeypatch, *, terminal):
    monkeypatch.setattr("langchain_mix.retrievers.uploads._somebody_looks", lambda: terminal)
    with Display(progress) as display:
        tracker = Tracker({Path("a"): 10, Path("b"): 5}, display.show)
        for path in (Path("a"), Path("b")):
            tracker.sent(path, 1)
            tracker.done(path)


def test_a_bar_is_drawn_where_somebody_looks(monkeypatch, capsys, caplog):
    caplog.set_level(logging.INFO)
    shown(True, monkeypatch, terminal=True)
    assert "2 of 2 files" in capsys.readouterr().err
    assert not caplog.records


def test_the_log_is_reported_elsewhere(monkeypatch, capsys, caplog):
    caplog.set_level(logging.INFO)
    shown(True, monkeypatch, terminal=False)
    assert capsys.readouterr().err == ""
    assert [record.getMessage() for record in caplog.records][-1] == "Uploaded 2 of 2 files, 15 bytes."
    assert len(caplog.records) == 3


@pytest.mark.parametrize("drawn", [True, False])
def test_a_notebook_without_widgets_is_reported_in_the_log(drawn, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setitem(sys.modules, "ipywidgets", widgets() if drawn else None)
    with Display(progress=True) as display:
        Tracker({Path("a"): 10}, display.show).done(Path("a"))
    assert bool(caplog.records) is not drawn


def widgets():
    module = ModuleType("ipywidgets")
    module.__spec__ = ModuleSpec("ipywidgets", loader=None)
    return module


def test_nothing_is_shown_if_nothing_is_wanted(monkeypatch, capsys, caplog):
    caplog.set_level(logging.INFO)
    shown(False, monkeypatch, terminal=True)
    assert (capsys.readouterr().err, caplog.records) == ("", [])


def test_the_log_is_used_where_rich_is_not_installed(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("langchain_mix.retrievers.uploads._bar", lambda: None)
    shown(True, monkeypatch, terminal=True)
    assert caplog.records
