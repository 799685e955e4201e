"""Interrupts that carry what nobody foresaw."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from langchain_mix.notebook.events import read_event, read_interrupts
from langchain_mix.notebook.view import View


def notices(view):
    return [(part.kind, part.text) for section in view.sections.values() for part in section.parts]


def test_interrupts_without_ids_are_all_told():
    view = View()
    read_interrupts(view, (SimpleNamespace(value="a"), SimpleNamespace(value="b")))
    read_interrupts(view, "c")
    assert notices(view) == [("interrupt", "a"), ("interrupt", "b"), ("interrupt", "c")]


def test_an_event_nobody_foresaw():
    view = View()
    read_event(view, "weather", {"event": "weather", "rain": True})
    assert notices(view) == [("weather", '{\n  "rain": true\n}')]


def asked(value):
    view = View()
    read_interrupts(view, (SimpleNamespace(value=value, id="i"),))
    ((_, text),) = notices(view)
    return text


def test_a_question_is_read_as_lines():
    assert asked({"question": "Is that all?", "answer": "a\nb"}) == "question: Is that all?\nanswer:\na\nb"


def test_requests_tell_what_is_decided_and_how():
    value = {
        "action_requests": [
            {"name": "Write", "args": {"path": "a.md", "diff": "@@\n+<b>"}, "description": "Create file a.md"},
            {"name": "Bash", "args": {"command": "ls", "flags": ["-l"]}},
        ],
        "review_configs": [
            {"action_name": "Write", "allowed_decisions": ["approve", "reject"]},
            {"action_name": "Bash", "allowed_decisions": ["approve"]},
        ],
        "mix_asked": [["b132ee8ea4e65930d1649d6f3baf1726"]],
    }
    assert asked(value).splitlines() == [
        "Write: Create file a.md",
        "path: a.md",
        "diff:",
        "@@",
        "+<b>",
        "decisions: approve / reject",
        "Bash",
        "command: ls",
        "flags:",
        "[",
        '  "-l"',
        "]",
        "decisions: approve",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"action_requests": []}, "action_requests: []"),
        ({"action_requests": "Write"}, "action_requests: Write"),
        ({"action_requests": [{}], "review_configs": 1}, ""),
        ({"action_requests": [{"name": "W", "args": "all"}], "review_configs": [{"action_name": "W"}]}, "W\nall"),
        ({"action_requests": [{"name": "W"}], "review_configs": [{"allowed_decisions": 3}]}, "W"),
        ([1], "[\n  1\n]"),
        (None, "null"),
    ],
)
def test_what_only_resembles_a_request_is_told_all_the_same(value, text):
    assert asked(value) == text
