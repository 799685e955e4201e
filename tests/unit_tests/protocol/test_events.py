"""Events of every generation, and whatever else may come."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example
from hypothesis import strategies as st

from langchain_mix.protocol import events as ev
from langchain_mix.protocol.events import _KINDS, UNREADABLE, parse_event
from langchain_mix.protocol.sse import ServerSentEvent

SAMPLES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("connected", {"sessionId": "S"}, {"session_id": "S"}),
    ("heartbeat", {"type": "ping"}, {"type": "ping"}),
    ("thinking", {"type": "thinking", "content": "t", "assistantMessageId": "M"}, {"assistant_message_id": "M"}),
    ("content", {"type": "content", "content": "c", "parentToolCallId": "T"}, {"parent_tool_call_id": "T"}),
    ("tool", {"name": "bash", "input": "{}", "id": "T", "status": "completed"}, {"status": "completed", "input": "{}"}),
    ("tool_parameter_delta", {"toolCallId": "T", "input": '"a'}, {"tool_call_id": "T", "input": '"a'}),
    ("tool_use_start", {"name": "Bash", "id": "T"}, {"name": "Bash", "id": "T"}),
    ("tool_use_parameter_delta", {"toolCallId": "T", "input": "{"}, {"tool_call_id": "T"}),
    ("tool_use_parameter_streaming_complete", {"name": "Bash", "input": "{}", "id": "T"}, {"input": "{}"}),
    ("tool_execution_start", {"toolName": "", "progress": "p", "toolCallId": "T"}, {"tool_call_id": "T"}),
    ("tool_execution_complete", {"progress": "p", "success": False, "toolCallId": "T"}, {"success": False}),
    ("permission", {"id": "P", "params": {"command": "make", "timeout": 0}}, {"params": {"command": "make", "timeout": 0}}),
    ("notification", {"id": "N", "choices": ["a"], "timeout": 60, "createdAt": 1_700_000_000_000}, {"choices": ["a"]}),
    ("user_message_created", {"messageId": "U", "content": "hi"}, {"message_id": "U"}),
    ("complete", {"messageId": "M", "done": True, "reasoningDuration": 1.5}, {"content": "", "reasoning_duration": 1.5}),
    ("error", {"error": "boom"}, {"error": "boom", "retry_after": 0}),
    ("rate_limit_error", {"error": "r", "retryAfter": 60, "attempt": 1, "maxAttempts": 8}, {"retry_after": 60}),
    ("summarize", {"type": "summarize", "progress": "p", "done": True}, {"done": True}),
    ("session_created", {"sessionId": "S", "title": "t", "createdAt": 1_700_000_000}, {"created_at": 1_700_000_000}),
    ("session_deleted", {"sessionId": "S"}, {"session_id": "S"}),
]  # fmt: skip


def parse(name: str, data: Any) -> Any:
    return parse_event(ServerSentEvent(name, data if isinstance(data, str) else json.dumps(data), "7", 30_000))


@pytest.mark.parametrize(("name", "wire", "read"), SAMPLES)
def test_every_event_of_the_wire_is_typed(name: str, wire: dict[str, Any], read: dict[str, Any]) -> None:
    event = parse(name, wire)
    assert type(event) is _KINDS[name]
    assert type(event.data) is type(event).payload
    assert (event.event, event.id, event.retry) == (name, "7", 30_000)
    for field, value in read.items():
        assert getattr(event.data, field) == value


def test_every_event_is_in_the_samples_and_in_the_union() -> None:
    assert {name for name, *_ in SAMPLES} == set(_KINDS)
    assert {*_KINDS.values(), ev.UnknownEvent} == set(ev.Event.__args__)


def test_unknown_fields_are_kept() -> None:
    assert parse("content", {"content": "c", "brandNew": [1]}).data.brandNew == [1]


def test_an_unknown_event_keeps_all() -> None:
    event = parse("brand_new", {"a": 1})
    assert event == ev.UnknownEvent({"a": 1}, "7", "brand_new", 30_000, '{"a": 1}')


@pytest.mark.parametrize("data", ["", "no json", "[1]", '"x"', "null", "1e400", "{", "NaN"])
def test_a_known_event_that_cannot_be_read_says_why(data: str) -> None:
    event = parse("content", data)
    assert isinstance(event, ev.UnknownEvent)
    assert event.raw == data
    assert event.reason


def test_a_field_of_the_wrong_kind_has_its_default_and_is_kept() -> None:
    event = parse("complete", {"content": None, "messageId": 5, "reasoningDuration": "soon", "done": True})
    assert (event.data.content, event.data.message_id, event.data.reasoning_duration) == ("", "", 0)
    assert event.data.done is True
    assert getattr(event.data, UNREADABLE) == {"content": None, "messageId": 5, "reasoningDuration": "soon"}


def test_half_a_character_is_shown_as_such() -> None:
    event = parse("content", '{"content":"a\\ud83d","x":["\\ude00"]}')
    assert event.data.content == "a\ufffd"
    assert event.data.x == ["\ufffd"]
    assert parse("content", '{"content":"\\ud83d\\ude00"}').data.content == "😀"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = sorted(
    {
        spelling
        for kind in _KINDS.values()
        for name, field in kind.payload.model_fields.items()
        for spelling in (name, field.alias or name)
    }
    | {UNREADABLE, "model_config", "__class__", "copy"}
)
OBJECTS = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=4), VALUES, max_size=6).map(json.dumps)


def test_nothing_that_comes_raises(tried: Any) -> None:
    @tried(
        100,
        name=st.sampled_from(sorted(_KINDS)) | st.text(max_size=8),
        data=OBJECTS | st.text(max_size=20) | VALUES.map(json.dumps),
    )
    @example("tool_execution_start", '{"toolCallId":5,"tool_call_id":6}')
    @example("content", '{"content":' + "[" * 600 + "]" * 600 + "}")
    @example("new", "[" * 600 + "]" * 600)
    @example("content", "[" * 100_000)
    @example("notification", '{"createdAt":' + "9" * 5000 + "}")
    @example("new", "9" * 5000)
    @example("content", "\ud800")
    def _(name: str, data: str) -> None:
        event = parse_event(ServerSentEvent(name, data))
        assert event.event == name
        if isinstance(event, ev.UnknownEvent):
            assert event.raw == data
