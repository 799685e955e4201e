"""Where in which sessions a state stands, found in objects and in serialised values alike."""

from __future__ import annotations

import copy
from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from langgraph.types import Send
from pydantic import BaseModel

from langchain_mix.checkpoint.positions import (
    MARK,
    Position,
    marked,
    newest_positions,
    positions_in,
    read_mark,
    read_position,
    unmarked,
    with_pointers,
)
from langchain_mix.checkpoint.serde import packed_pointers, with_packed_pointers
from langchain_mix.pointer import Pointer

SERVER = "http://here"


def answer(session="s", row="m1", count=2, text="hi"):
    pointer = Pointer(server=SERVER, session_id=session, message_id=row, row_count=count, digest="d", setup="x")
    return AIMessage(text, response_metadata={"mix": {**pointer.as_metadata(), "cost": 0.5}, "model_name": "m"})


def at(session="s", row="m1", count=2):
    return Position(server=SERVER, session_id=session, message_id=row, row_count=count)


@dataclass(frozen=True)
class StateReader:
    messages: list[Any]
    note: str = ""


class Model(BaseModel):
    messages: list[Any]


class Pair(NamedTuple):
    left: Any
    right: Any


CONTAINERS = {
    "message": lambda m: m,
    "list": lambda m: [HumanMessage("q"), m],
    "tuple": lambda m: (m, 1),
    "dict": lambda m: {"a": {"b": [m]}},
    "int keys": lambda m: {1: m, 2: "x"},
    "deque": lambda m: deque([m]),
    "named tuple": lambda m: Pair(1, m),
    "dataclass": lambda m: StateReader([m]),
    "pydantic": lambda m: Model(messages=[m]),
    "send": lambda m: Send("node", {"messages": [m]}),
    "snapshot": lambda m: _DeltaSnapshot([m]),
}


@pytest.fixture(params=CONTAINERS.values(), ids=CONTAINERS)
def container(request):
    return request.param


def other(pointer):
    return {**pointer, "session_id": "S", "message_id": "M"}


def test_pointers_are_found_in_all_containers(container):
    assert positions_in(container(answer())) == [at()]
    assert positions_in(container(AIMessage("x"))) == []


def test_pointers_are_renewed_in_all_containers(container):
    before = container(answer())
    kept = copy.deepcopy(before)
    after = with_pointers(before, other)
    assert positions_in(after) == [at("S", "M")]
    assert type(after) is type(before)
    assert positions_in(before) == positions_in(kept)
    assert with_pointers(before, lambda pointer: pointer) is before


def test_pointers_are_found_and_renewed_in_serialised_values(container):
    serde = JsonPlusSerializer(allowed_msgpack_modules=True)
    before = container(answer())
    tag, data = serde.dumps_typed(before)
    assert tag == "msgpack"
    assert [read_position(p) for p in packed_pointers(data)] == [at()]
    assert with_packed_pointers(data, lambda pointer: pointer) is data
    renewed = with_packed_pointers(data, other)
    # The types need not be importable here, and nothing else changes.
    assert serde.loads_typed((tag, renewed)) == serde.loads_typed(serde.dumps_typed(with_pointers(before, other)))


def test_serialised_values_without_pointers_are_left_alone():
    serde = JsonPlusSerializer()
    for value in ([1, "session_id"], {"session_id": 3, "server": 1, "message_id": 2}, b"session_id", None, 2**63):
        tag, data = serde.dumps_typed(value)
        if tag == "msgpack":
            assert packed_pointers(data) == []
            assert with_packed_pointers(data, other) is data


def test_the_place_of_a_state_is_that_of_its_newest_message():
    channels = {
        "aside": [answer("other", "o1")],
        "messages": [answer("old", "a1"), answer("s", "m1", 2), HumanMessage("q"), answer("s", "m2", 4)],
    }
    assert newest_positions(channels) == (at("s", "m2", 4), at("old", "a1"), at("other", "o1"))
    assert newest_positions({"messages": [HumanMessage("q"), ToolMessage("t", tool_call_id="1")], "n": 1}) == ()


def test_what_is_no_pointer_is_none():
    for found in (None, "x", {}, {"session_id": ""}, {"server": "s"}):
        assert read_position(found) is None
    assert read_position({"session_id": "s", "row_count": "many", "server": "http://x/"}) == Position(
        server="http://x", session_id="s"
    )


def test_marks_are_kept_and_not_shown():
    metadata = {"source": "loop", "step": 1}
    noted = marked(metadata, [at(), at("t")])
    assert read_mark(noted) == (at(), at("t"))
    assert unmarked(noted) == metadata
    assert marked(metadata, []) == metadata
    assert read_mark(metadata) is None
    assert read_mark({MARK: "x"}) is None


def test_values_that_hold_themselves_end():
    loop: list[Any] = []
    loop.append(loop)
    assert positions_in(loop) == []


@pytest.mark.parametrize("junk", ["text", 7, None, [], {}, {"session_id": ""}, {"server": SERVER}])
def test_what_is_no_pointer_reports_no_position(junk):
    message = AIMessage("hi", response_metadata={"mix": junk})
    assert positions_in([message]) == []
    assert newest_positions({"messages": [answer(), message]}) == (at(),)
