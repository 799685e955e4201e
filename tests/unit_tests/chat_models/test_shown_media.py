"""Outputs of the Show tool as content blocks."""

from __future__ import annotations

import json

import pytest

from langchain_mix.chat_models.shown_media import is_show, shown_blocks


@pytest.mark.parametrize(
    ("name", "shows"), [("Show", True), ("ShowMedia", True), ("show_media", True), ("Bash", False), ("", False)]
)
def test_the_tool_that_shows(name, shows):
    assert is_show(name) is shows


@pytest.mark.parametrize(
    ("output", "block"),
    [
        ({"type": "image", "path": "a.png"}, {"type": "image", "file_id": "a.png"}),
        ({"type": "image", "path": "https://x/a.png"}, {"type": "image", "url": "https://x/a.png"}),
        (
            {"type": "video", "path": "v.mp4", "startTime": 0, "duration": 3},
            {"type": "video", "file_id": "v.mp4", "extras": {"startTime": 0, "duration": 3}},
        ),
        (
            {"type": "audio", "path": "s.wav", "title": "S"},
            {"type": "audio", "file_id": "s.wav", "extras": {"title": "S"}},
        ),
        ({"type": "pdf", "path": "r.pdf"}, {"type": "file", "file_id": "r.pdf", "mime_type": "application/pdf"}),
        ({"type": "csv", "path": "t.csv"}, {"type": "file", "file_id": "t.csv", "mime_type": "text/csv"}),
    ],
)
def test_what_is_shown(output, block):
    assert shown_blocks(json.dumps({"outputs": [output]})) == [block]


@pytest.mark.parametrize(
    "output",
    [
        {"type": "gsap_animation", "config": "{}"},
        {"type": "image"},
        {"type": "image", "path": ""},
        {"type": "image", "path": 3},
        {},
    ],
)
def test_what_langchain_has_no_block_for_is_kept(output):
    assert shown_blocks(json.dumps({"outputs": [output]})) == [{"type": "non_standard", "value": output}]


@pytest.mark.parametrize(
    "arguments",
    ["", "{", "[]", "null", "3", "{}", '{"outputs": {}}', '{"outputs": null}', '{"outputs": ["x", 1, null]}'],
)
def test_arguments_that_show_nothing(arguments):
    assert shown_blocks(arguments) == []
