from __future__ import annotations

import pytest

from langchain_mix.emulator.agents.base import Gate
from langchain_mix.emulator.events import Event
from langchain_mix.emulator.faults import (
    CloseConnection,
    CutStream,
    DropEvent,
    HttpError,
    InvalidUTF8,
    Memory,
    MissingId,
    RestartAfter,
    SlowReply,
    StallStream,
    TailAfterComplete,
    UnknownEvent,
)

CONTENT = Event("content", {"type": "content", "content": "a"})
COMPLETE = Event("complete", {"type": "complete"})


@pytest.mark.parametrize(
    ("match", "method", "path", "yes"),
    [
        ("POST /a/[^/]+", "POST", "/a/b", True),
        ("POST /a/[^/]+", "GET", "/a/b", False),
        ("POST /a/[^/]+", "POST", "/a/b/c", False),
        ("/a/.*", "PATCH", "/a/b/c", True),
        (".*", "GET", "/", True),
    ],
)
def test_requests_are_matched_whole(match, method, path, yes):
    assert HttpError(match).matches(method, path) is yes


def test_faults_are_written_as_they_are_documented():
    gate = Gate()
    assert HttpError("/x", 500, "b", "text/html", before=False).status == 500
    assert CloseConnection("/x", before=True).before
    assert SlowReply("/x", gate=gate).gate is gate
    assert RestartAfter(3).n == 3
    assert CutStream(after=2, on="turn", half=True).after == 2
    assert StallStream(2, gate=gate).after == 2
    assert UnknownEvent(before="complete").names(COMPLETE)
    assert DropEvent(event="content", nth=2, count=None).count is None


def test_no_event_name_means_any_event_of_a_turn():
    assert DropEvent().names(CONTENT)
    assert not DropEvent().names(Event("heartbeat", {}))


def test_the_nth_event_and_those_after_it():
    fault, memory = DropEvent("content", nth=2), Memory()
    shaped = [fault.shape(CONTENT, memory, lambda: True) for _ in range(3)]
    assert shaped == [[(CONTENT, None)], [], []]
    assert fault.shape(CONTENT, Memory(seen=5), lambda: False) == [(CONTENT, None)]


def test_a_tail_is_let_go_in_order_if_the_fault_may_not_act_or_the_turn_fails():
    fault, memory = TailAfterComplete(n=2), Memory()
    assert fault.shape(CONTENT, memory, lambda: True) == []
    assert fault.shape(COMPLETE, memory, lambda: False) == [(CONTENT, None), (COMPLETE, None)]
    assert fault.shape(CONTENT, memory, lambda: True) == []
    error = Event("error", {"error": "x"})
    assert fault.shape(error, memory, lambda: True) == [(CONTENT, None), (error, None)]


def test_bytes_are_spoiled_where_it_hurts():
    raw = b'id: 1\nevent: content\ndata: {"type":"content","content":"a"}\nretry: 30000\n\n'
    assert InvalidUTF8("content").bytes(raw).count(b'"content":"\xff\xfea"') == 1
    other = b'id: 1\nevent: x\ndata: {"x":"y"}\n\n'
    assert b'"y\xff\xfe"' in InvalidUTF8("x").bytes(other)
    assert MissingId("content").bytes(raw) == raw[6:]
