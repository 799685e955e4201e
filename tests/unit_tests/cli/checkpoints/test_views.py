"""Checkpoints on the screen."""

from __future__ import annotations

import io
import json
from collections import deque
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from pydantic import BaseModel
from rich.console import Console

from langchain_mix.checkpoint.branches import Node, Preview, Tree
from langchain_mix.checkpoint.garbage import Report, ThreadReport
from langchain_mix.checkpoint.positions import Position
from langchain_mix.cli.checkpoints.queries import Shown, Summary, as_data
from langchain_mix.cli.checkpoints.views import (
    as_text,
    parts_of,
    show_checkpoint,
    show_list,
    show_report,
    show_tree,
)

ID = "1f1e4da1-86ac-6e58-8002-8b19302a8912"
SESSION = "4e37c075-9f85-4e22-80d1-b1a7b53dcf09"
ONE = Summary(
    thread_id="Evil \x1b[2J thread",
    ns="",
    checkpoint_id=ID,
    parent_id=None,
    step=2,
    source="loop",
    created_at="2026-01-02T03:04:05.678+00:00",
    next=("chat", "ask"),
    size=1234,
    pending_writes=3,
    position=Position(server="s", session_id=SESSION, row_count=4),
)


def shown(show, *, terminal=True, width=140):
    out = io.StringIO()
    show(Console(file=out, width=width, force_terminal=terminal, no_color=True, color_system=None))
    return out.getvalue()


@pytest.mark.parametrize(("width", "source", "session"), [(160, True, True), (100, True, False), (60, False, False)])
def test_people_get_a_table_with_whole_ids(width, source, session):
    told = shown(lambda c: show_list(c, [ONE], threads=False), width=width)
    assert ID in told
    assert len(told.splitlines()) == 2
    assert ("loop" in told) is source
    assert (SESSION in told) is session
    assert "ns" not in told
    assert "inner" in shown(lambda c: show_list(c, [replace(ONE, ns="inner")], threads=False), width=width)


def test_a_thread_is_copied_whole_from_a_narrow_screen():
    threads = [replace(ONE, thread_id=f"{SESSION}-{n}", next=("a very long name of a node " * 4,)) for n in range(3)]
    for width, created in ((50, False), (80, True), (100, True)):
        head, *lines = shown(lambda c: show_list(c, threads, threads=True), width=width).splitlines()
        assert [line.split()[0] for line in lines] == [one.thread_id for one in threads]
        assert ("created" in head) is created
        assert max(map(len, lines)) <= width


def test_nothing_steers_the_terminal():
    for show in (
        lambda c: show_list(c, [ONE], threads=True),
        lambda c: show_checkpoint(c, Shown(ONE, {}, {"\x1b[2J": "\x1b[2J"}, [("t", "\x1b[2J", 1)]), full=True),
        lambda c: show_report(c, Report((ThreadReport("\x1b[2J", "k", problem="\x1b[2J"),))),
        lambda c: show_tree(
            c, Tree("\x1b[2J", "\x1b[2J", (node("1", source="\x1b[2J"),)), {"1": Preview("\x1b[2J", "\x1b[2J")}
        ),
    ):
        for terminal in (True, False):
            told = shown(show, terminal=terminal)
            assert "\x1b[2J" not in told
            assert "\\x1b[2J" in told


def test_a_report_has_sums_and_problems():
    good = ThreadReport("a", "k1", files=4, bytes=1000, checkpoints=3, writes=2)
    told = shown(lambda c: show_report(c, Report((good,))))
    assert "1 thread: 3 checkpoints, 2 writes, 4 files, 1,000 bytes" in told
    assert "problem" not in told
    told = shown(lambda c: show_report(c, Report((good, ThreadReport("", "k2", problem="is damaged")))))
    assert "is damaged" in told
    assert "? k2" in told
    told = shown(lambda c: show_report(c, Report((good,), (ThreadReport("gone", "k3", files=3, bytes=500),))))
    assert "1 thread: 3 checkpoints, 2 writes, 7 files, 1,500 bytes" in told
    assert "1 empty thread" in told
    assert "gone" not in told


def test_what_a_person_sees_of_a_checkpoint():
    found = Shown(ONE, {}, {"messages": [HumanMessage("hello")], "branch:to:chat": None}, [])
    told = shown(lambda c: show_checkpoint(c, found, full=False))
    assert "next: chat, ask" in told
    assert f"session {SESSION} after 4 messages" in " ".join(told.split())
    assert "human: hello" in told
    assert "branch:to" not in told


def node(name, parent=None, **given):
    given = {"step": 0, "source": "loop", "position": None, "is_branch": False, "pending_writes": 0, **given}
    return Node(checkpoint_id=name, parent_id=parent, created_at="", **given)


def test_branches_hang_on_what_they_left_and_the_rest_goes_straight_down():
    position = Position(server="s", session_id="S", row_count=2)
    nodes = (
        node("1"),
        node("2", "1"),
        node("3", "2"),
        node("4", "1", is_branch=True),
        node("5", "4", position=position),
        node("6", "1", is_branch=True, pending_writes=1),
        node("7", "gone"),
    )
    previews = {"3": Preview("chat", "ai: " + "four " * 30)}
    lines = [line.rstrip() for line in shown(lambda c: show_tree(c, Tree("t", "", nodes), previews)).splitlines()]
    assert lines == [
        "t · 7 checkpoints",
        "├── 1  step 0 loop",
        "│   ├── 4  step 0 loop  branch",
        "│   ├── 5  step 0 loop  session S after 2 messages",
        "│   └── 6  step 0 loop  branch  1 pending",
        "├── 2  step 0 loop",
        "├── 3  step 0 loop",
        f"│     chat ai: {('four ' * 30)[:66]}…",
        "└── 7  step 0 loop  newest",
    ]


@dataclass
class Own:
    text: str


class Model(BaseModel):
    inner: list[bytes]


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (None, None),
        ({"a": (1, 2.5, True)}, {"a": [1, 2.5, True]}),
        ({1: deque([{2}])}, {"1": [[2]]}),
        (Own("mine"), {"text": "mine"}),
        (Model(inner=[b"12345"]), {"inner": ["<5 bytes>"]}),
        (Decimal("1.5"), "1.5"),
        (Own, str(Own)),
    ],
)
def test_everything_has_a_form_in_json(value, data):
    assert as_data(value) == data
    json.dumps(as_data(value))


def test_messages_are_told_by_who_says_what():
    call = {"name": "add", "args": {"a": 1}, "id": "1"}
    assert as_text(AIMessage("So:", tool_calls=[call])) == 'ai: So: add({"a": 1})'
    assert as_text(HumanMessage("Ж")) == "human: Ж"
    assert as_text("as it is") == "as it is"
    assert as_text({"б": [1]}) == '{"б": [1]}'
    assert as_data(HumanMessage("Ж"))["content"] == "Ж"


def test_messages_have_lines_of_their_own():
    assert len(parts_of([HumanMessage("1"), HumanMessage("2")])) == 2
    assert parts_of([1, 2]) == [[1, 2]]
