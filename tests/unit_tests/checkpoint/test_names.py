from __future__ import annotations

import re
from dataclasses import replace

import pytest

from langchain_mix.checkpoint import names
from langchain_mix.reserved_files import is_reserved

KEY = names.key_of("a thread")
UNIQUE = "0123456789abcdef" * 2
ALL = {
    names.owner(KEY): names.FileName(names.owner(KEY), KEY, "owner"),
    names.epoch_marker(KEY, 12): names.FileName(names.epoch_marker(KEY, 12), KEY, "epoch_marker", 12),
    names.manifest(KEY, 3, 1): names.FileName(names.manifest(KEY, 3, 1), KEY, "manifest", 3, 1),
    names.segment(KEY, UNIQUE): names.FileName(names.segment(KEY, UNIQUE), KEY, "segment"),
    names.index(KEY, UNIQUE): names.FileName(names.index(KEY, UNIQUE), KEY, "index"),
    names.blob(KEY, UNIQUE): names.FileName(names.blob(KEY, UNIQUE), KEY, "blob"),
}


@pytest.mark.parametrize("name", ALL)
def test_a_name_reports_what_it_was_made_of(name):
    assert names.parse(name) == ALL[name]
    assert is_reserved(name)
    assert re.fullmatch("[.][a-z0-9-]{1,128}", name), "no generation of the server rewrites it, and no agent lists it"


@pytest.mark.parametrize("name", ALL)
def test_earlier_versions_wrote_the_same_names_without_the_dot(name):
    told, visible = ALL[name], names.parse(name[1:])
    assert is_reserved(name[1:])
    assert visible == replace(told, name=name[1:], key=names.visible(told.key))
    assert names.hidden(visible.key) == KEY
    assert names.owner(names.visible(KEY)) == names.owner(KEY)[1:]


@pytest.mark.parametrize("thread", ["", "a", "é", "../..", "\0", "x" * 10_000, "😀" * 99, "\ud800"])
def test_any_text_is_a_thread(thread):
    assert re.fullmatch("[0-9a-f]{32}", names.key_of(thread))
    assert names.key_of(thread) == names.key_of_bytes(names.bytes_of(thread))


@pytest.mark.parametrize(
    "name", ["report.md", "langchain-mix-ckpt-", names.owner(KEY) + "x", names.manifest(KEY, 3, 2)]
)
def test_other_files_are_not_the_stores(name):
    assert names.parse(name) is None
