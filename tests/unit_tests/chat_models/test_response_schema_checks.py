from __future__ import annotations

import pickle
from math import factorial
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from langchain_mix.chat_models.response_schema import SchemaChecker, closed

OLD = "http://json-schema.org/draft-07/schema#"
INTEGER, OBJECT = {"type": "integer"}, {"type": "object"}


def problems(value: Any, schema: Any) -> list[str]:
    checker = SchemaChecker(schema)
    checker.refuse_unusable()
    return checker.problems(value)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (INTEGER, [1, 2.0, -3, factorial(200)], ["1", 1.5, True, None, 1e400]), ({"type": "number"}, [1, 1.5, factorial(200)], ["1", False]), ({"type": "string"}, [""], [1]),
        ({"type": "boolean"}, [True], [1, "true"]), ({"type": "null"}, [None], [0]), ({"type": ["string", "null"]}, ["a", None], [1]),
        ({"enum": ["a", 1]}, ["a", 1, 1.0], ["b", True]), ({"const": 0}, [0, 0.0], [False, 1]), ({"const": [{"a": 1}]}, [[{"a": 1}]], [[{"a": True}]]),
        ({"minimum": 1.5, "maximum": 3}, [2, 3], [1, 4, factorial(200), -factorial(200)]), ({"exclusiveMinimum": 1, "exclusiveMaximum": 3}, [2], [1, 3]),
        ({"multipleOf": 0.1}, [0.3, 2, factorial(200)], [0.25, 1e400]), ({"multipleOf": 0.5}, [1e308], [0.7]), ({"multipleOf": 7}, [factorial(200)], [factorial(200) + 1]),
        ({"minLength": 2, "maxLength": 3}, ["ab", "💩💩"], ["a", "abcd", "💩"]), ({"pattern": r"^\d+$"}, ["12", 5], ["a", "12\n"]), ({"pattern": r"(?=b)b(.)\1"}, ["abcc"], ["abcd"]),
        ({"pattern": r"^\p{Lu}"}, ["Éa"], ["éa"]), ({"minItems": 1, "maxItems": 2}, [[1]], [[], [1, 2, 3]]), ({"uniqueItems": True}, [[1, 2], [1, True], [[0], [False]]], [[1, 1.0], [{"a": [1]}, {"a": [1]}]]),
        ({"items": INTEGER}, [[1]], [["a"]]), ({"prefixItems": [INTEGER], "items": False}, [[1], []], [["a"], [1, 2]]), ({"$schema": OLD, "items": [INTEGER], "additionalItems": False}, [[1]], [["a"], [1, 2]]),
        ({"contains": {"const": 1}}, [[0, 1]], [[0], []]), ({"contains": {"const": 1}, "minContains": 2, "maxContains": 2}, [[1, 1]], [[1], [1, 1, 1]]), ({"contains": {"const": 1}, "unevaluatedItems": False}, [[1]], [[1, 2]]),
        ({"required": ["a"]}, [{"a": 1}, 1], [{}]), ({"properties": {"a": INTEGER}}, [{"a": 1}, {"b": 1}], [{"a": "x"}, {"a": None}]),
        ({"properties": {"a": {}}, "additionalProperties": False}, [{"a": 1}], [{"b": 1}]), ({"additionalProperties": INTEGER}, [{"x": 1}], [{"x": "a"}]),
        ({"patternProperties": {"^x": INTEGER}, "additionalProperties": False}, [{"x1": 1}], [{"y": 1}, {"x1": "a"}]), ({"propertyNames": {"maxLength": 1}}, [{"a": 1}], [{"ab": 1}]),
        ({"minProperties": 1, "maxProperties": 1}, [{"a": 1}], [{}, {"a": 1, "b": 2}]), ({"dependentRequired": {"a": ["b"]}}, [{"b": 1}, {"a": 1, "b": 1}], [{"a": 1}]),
        ({"dependentSchemas": {"a": {"required": ["b"]}}}, [{"b": 1}], [{"a": 1}]), ({"$schema": OLD, "dependencies": {"a": ["b"], "c": {"required": ["b"]}}}, [{"b": 1}], [{"a": 1}, {"c": 1}]),
        ({"allOf": [{"properties": {"a": {}}}], "properties": {"b": {}}, "unevaluatedProperties": False}, [{"a": 1, "b": 1}], [{"c": 1}]),
        ({"anyOf": [INTEGER, {"type": "null"}]}, [1, None], ["a"]), ({"oneOf": [INTEGER, {"minimum": 2}]}, [1, 2.5], [3, 1.5]), ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, [1], [0, 3]),
        ({"not": {"const": "x"}}, ["y"], ["x"]), ({"if": INTEGER, "then": {"minimum": 5}, "else": {"minLength": 2}}, [5, "ab"], [1, "a"]),
        ({"$defs": {"a/b": INTEGER}, "items": {"$ref": "#/$defs/a~1b"}}, [[1]], [["x"]]), ({"$defs": {"n": {"$anchor": "n", **INTEGER}}, "$ref": "#n"}, [1], ["x"]),
        ({"properties": {"next": {"$ref": "#"}}, "required": ["v"]}, [{"v": 1, "next": {"v": 2}}], [{"v": 1, "next": {}}]), ({"$id": "https://a.b/c", "$defs": {"d": {"$id": "d", **INTEGER}}, "$ref": "d"}, [1], ["x"]),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, [{"type": "null"}], [{"type": "nil"}]), ({"properties": {"a": True, "b": False}}, [{"a": 1}], [{"b": 1}]),
        ({"format": "date", "unknown": 1}, ["not a date"], []),
    ],
)  # fmt: skip
def test_every_keyword(schema: Any, good: list[Any], bad: list[Any]) -> None:
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
    assert "$.parts[0].parts[0].size: -1 is less than the minimum of 0" in problem


def test_closed_schemas_allow_only_what_they_name() -> None:
    assert problems({"kind": "leaf", "size": 1, "x": 1}, Leaf.model_json_schema()) == []
    assert "'x'" in problems({"kind": "leaf", "size": 1, "x": 1}, closed(Leaf.model_json_schema()))[0]
    inner = {"kind": "branch", "parts": [{"kind": "leaf", "size": 1, "x": 1}]}
    assert problems(inner, Branch.model_json_schema()) == []
    assert problems(inner, closed(Branch.model_json_schema()))
    for schema in (OBJECT, {"properties": {}, "additionalProperties": True}, {"enum": [{"properties": {}}, {"x": 1}]}):
        assert closed(schema) == schema
    both = {"allOf": [{"properties": {"a": OBJECT}}, {"properties": {"b": {}}}]}
    assert problems({"a": {}, "b": 1}, closed(both)) == []
    named = {"properties": {"properties": {"type": "string"}}}
    assert problems({"properties": "x"}, closed(named)) == []
    assert problems({"y": 1}, closed(named))


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "https://elsewhere.example/schema"}, "never fetched"), ({"properties": {"a": {"$ref": "#/$defs/none"}}}, r"#/\$defs/none"),
        ({"$id": "https://a.b/c", "anyOf": [{"$ref": "d"}]}, "'d'"), ({"type": "text"}, r"\$\.type"), ({"required": True}, r"\$\.required"), ({"minimum": "1"}, "minimum"),
        ({"items": {"pattern": "("}}, r"pattern '\('"), ({"patternProperties": {"[": {}}}, r"pattern '\['"),
    ],
)  # fmt: skip
def test_what_no_value_can_be_checked_against_is_refused(schema: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SchemaChecker(schema).refuse_unusable()


def test_words_that_look_like_keywords_in_data_and_names_are_none() -> None:
    schema = {"const": {"$ref": "https://x.y", "pattern": "("}, "properties": {"$ref": {}, "pattern": {}}}
    assert problems({"$ref": "https://x.y", "pattern": "("}, schema) == []


def test_endless_references_and_deep_values_end() -> None:
    assert "deeply" in problems(1, {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}})[0]
    value: Any = 1
    for _ in range(5000):
        value = [value]
    assert "deeply" in problems(value, {"items": {"$ref": "#"}})[0]


def test_patterns_do_not_run_away() -> None:
    assert problems("a" * 5000 + "!", {"pattern": "^(a+)+$"})
    assert not problems("a" * 5000, {"pattern": "^(a+)+$"})


def test_problems_are_few_and_short() -> None:
    assert len(problems([""] * 50, {"items": INTEGER})) == 5
    long = {"a": ["x" * 100] * 1000}
    for schema in (
        {"type": "array"},
        {"enum": ["y" * 1000] * 100},
        {"anyOf": [INTEGER, {"properties": {"a": INTEGER}}]},
    ):
        (problem,) = problems(long, schema)
        assert len(problem) < 800
        assert problem.startswith("$: {'a': ['xxx")
    assert "$.a: " in problem, "the alternative that is nearest"
    assert "is not of type 'array'" in problems(long, {"type": "array"})[0]


def test_it_can_be_pickled_after_use() -> None:
    checker = SchemaChecker(INTEGER)
    assert checker.problems("x")
    assert pickle.loads(pickle.dumps(checker)).problems("x")  # noqa: S301
