"""The values of a state as JSON and as text."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from decimal import Decimal

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from pydantic import BaseModel

from langchain_mix.cli.checkpoints.values import as_data, as_text, parts_of


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
