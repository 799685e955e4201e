from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from langchain_mix.chat_models.schema_check import problems


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer"}, [1, 2.0, -3], ["1", 1.5, True, None]), ({"type": "number"}, [1, 1.5], ["1", False]), ({"type": "string"}, [""], [1]),
        ({"type": "boolean"}, [True], [1, "true"]), ({"type": "null"}, [None], [0]), ({"type": ["string", "null"]}, ["a", None], [1]),
        ({"enum": ["a", 1]}, ["a", 1], ["b", True]), ({"const": 0}, [0], [False, 1]), ({"minimum": 1, "maximum": 3}, [1, 3], [0, 4]),
        ({"exclusiveMinimum": 1, "exclusiveMaximum": 3}, [2], [1, 3]), ({"multipleOf": 0.1}, [0.3, 2], [0.25]), ({"minLength": 2, "maxLength": 3}, ["ab"], ["a", "abcd"]),
        ({"pattern": r"^\d+$"}, ["12"], ["a"]), ({"pattern": "("}, ["a"], []), ({"minItems": 1, "maxItems": 2}, [[1]], [[], [1, 2, 3]]),
        ({"uniqueItems": True}, [[1, 2]], [[1, 1]]), ({"items": {"type": "integer"}}, [[1]], [["a"]]),
        ({"prefixItems": [{"type": "integer"}], "items": False}, [[1], []], [["a"], [1, 2]]), ({"required": ["a"]}, [{"a": 1}], [{}]),
        ({"properties": {"a": {"type": "integer"}}}, [{"a": 1}, {"b": 1}, {"a": None}], [{"a": "x"}]),
        ({"properties": {"a": {"type": "integer"}}, "required": ["a"]}, [{"a": 1}], [{"a": None}]),
        ({"properties": {"a": {}}, "additionalProperties": False}, [{"a": 1}], [{"b": 1}]),
        ({"additionalProperties": {"type": "integer"}}, [{"x": 1}], [{"x": "a"}]), ({"patternProperties": {"^x": {}}, "additionalProperties": False}, [{"x1": 1}], [{"y": 1}]),
        ({"minProperties": 1, "maxProperties": 1}, [{"a": 1}], [{}, {"a": 1, "b": 2}]), ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, [1, None], ["a"]),
        ({"oneOf": [{"type": "integer"}, {"minLength": 2}]}, [1, "ab"], ["a"]), ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, [1], [0, 3]), (True, [1], []), (False, [], [1]),
    ],
)  # fmt: skip
def test_keywords(schema: Any, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        assert problems(value, schema) == [], value
    for value in bad:
        assert problems(value, schema), value


class Leaf(BaseModel):
    kind: Literal["leaf"]
    size: Annotated[int, Field(ge=0)]


class Branch(BaseModel):
    kind: Literal["branch"]
    parts: list[Branch | Leaf]
    note: str | None = None


def test_references_recursion_and_places() -> None:
    schema = Branch.model_json_schema()
    leaf = {"kind": "leaf", "size": 1}
    assert problems({"kind": "branch", "parts": [leaf, {"kind": "branch", "parts": []}], "note": None}, schema) == []
    (problem,) = problems(
        {"kind": "branch", "parts": [{"kind": "branch", "parts": [{"kind": "leaf", "size": -1}]}]}, schema
    )
    assert "$.parts[0].parts[0].size: is less than 0" in problem


def test_closed_schemas_allow_only_what_they_name() -> None:
    schema = Leaf.model_json_schema()
    assert problems({"kind": "leaf", "size": 1, "x": 1}, schema) == []
    assert problems({"kind": "leaf", "size": 1, "x": 1}, schema, closed=True) == [
        "$: has the property 'x', which the schema does not name"
    ]
    assert problems({"x": 1}, {"type": "object"}, closed=True) == []


def test_endless_references_end() -> None:
    assert "deeply" in problems(1, {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}})[0]
    assert problems(1, {"$ref": "https://elsewhere/schema"}) == problems(1, {"$ref": "#/none"}) == []


def test_no_more_than_five_problems_are_told() -> None:
    assert len(problems([""] * 50, {"items": {"type": "integer"}})) == 5
