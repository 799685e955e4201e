from __future__ import annotations

import json
import pickle
import typing
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Generic, Literal, NotRequired, Optional, Required, TypeVar, Union

import pytest
import typing_extensions
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage
from langchain_core.utils.function_calling import convert_to_json_schema
from pydantic import BaseModel, Field, RootModel

from langchain_mix.chat_models.response_schema import ResponseSchema
from langchain_mix.chat_models.structured_output import response_schema

T = TypeVar("T")


class Colour(Enum):
    RED = "red"


class Leaf(BaseModel):
    size: int = Field(ge=0)


class Part(typing.TypedDict, total=False):
    """A part."""

    q: Required[int]
    r: str


class Tree(typing.TypedDict):
    """A tree; its annotations are texts, which hide `NotRequired` from Python."""

    name: str
    trees: NotRequired[list[Tree]]
    part: NotRequired[Annotated[Part | None, ..., "a part"]]


class More(Tree, total=False):
    more: int


class Box(typing_extensions.TypedDict, Generic[T]):
    inside: T


def typed(kind: Any, hint: Any, *, total: bool = True) -> Any:
    return kind("Item", {"v": hint}, total=total)


BOTH = pytest.mark.parametrize("kind", [typing.TypedDict, typing_extensions.TypedDict])


@BOTH
@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (Optional[int], [1, None], ["1", 1.5, True]), (int | None, [None], ["x"]), (Union[int, str, None], [1, "a", None], [1.5]), (list[Optional[int]], [[1, None]], [["a"], None]),  # noqa: UP045, UP007
        (dict[str, Optional[int]], [{"a": None}], [{"a": "x"}]), (Literal["a", 1, None], ["a", 1, None], ["b", "1"]), (tuple[int, ...], [[], [1, 2, 3]], [["a"], 1]),  # noqa: UP045, PYI061
        (tuple[int, str], [[1, "a"]], [[1], [1, "a", 2]]), (set[int], [[1, 2]], [["a"]]), (float, [1, 1.5], ["1"]), (Any, [None, {"a": [1]}], []), (list, [[1, "a"]], [{}]), (dict, [{"a": 1}], [[]]),
        (typing.List[int], [[1]], [["a"]]), (typing.Dict[str, int], [{"a": 1}], [{"a": "b"}]), (bool, [True], ["yes", 1]), (Colour, ["red"], ["blue"]), (Leaf, [{"size": 1}], [{"size": -1}]),  # noqa: UP006
        (Part, [{"q": 1}, {"q": 1, "r": "x", "more": 1}], [{}, {"r": "x"}, {"q": None}]), (list[Part], [[{"q": 1}]], [[{}]]), (dict[str, list[Part | None]], [{"a": [None, {"q": 1}]}], [{"a": [{}]}]),
        (Tree, [{"name": "a", "trees": [{"name": "b"}], "part": None}], [{"name": "a", "trees": [{}]}, {}]), (More, [{"name": "a"}, {"name": "a", "more": 1}], [{"more": 1}]), (Box[int], [{"inside": 1}], [{"inside": "a"}]),
        (Annotated[int, ..., "words"], [1], [None]), (Annotated[int, Field(ge=1)], [1], [0]), (Annotated[Optional[int], None, "words"], [1, None], ["a"]), (Annotated[str, None, "words"], ["a", None], [1]),  # noqa: UP045
    ],
)  # fmt: skip
def test_values_of_typed_dicts_are_checked_against_the_type(
    kind: Any, hint: Any, good: list[Any], bad: list[Any]
) -> None:
    schema = ResponseSchema.of(typed(kind, hint))
    for value in good:
        assert schema.from_text(json.dumps({"v": value})) == {"v": value}
    for value in bad:
        with pytest.raises(OutputParserException, match="Item"):
            schema.from_text(json.dumps({"v": value}))


@BOTH
@pytest.mark.parametrize(
    ("hint", "total", "required"),
    [
        (int, True, True), (int, False, False), (Required[int], False, True), (NotRequired[int], True, False), (Annotated[int, ...], True, True),
        (Annotated[int, 5, "words"], True, False), (NotRequired[Annotated[int, ..., "words"]], True, False), (Annotated[NotRequired[int], ..., "words"], True, False),
    ],
)  # fmt: skip
def test_what_has_to_be_there(kind: Any, hint: Any, total: bool, required: bool) -> None:
    schema = ResponseSchema.of(typed(kind, hint, total=total))
    assert (schema.json_schema.get("required") == ["v"]) is required
    if required:
        with pytest.raises(OutputParserException, match="v"):
            schema.from_text("{}")
    else:
        assert schema.from_text("{}") == {}, "nothing is filled in"


@BOTH
def test_the_schema_of_the_prompt_is_that_of_the_type(kind: Any) -> None:
    item = kind("Item", {"a": Annotated[int, 5, "words"], "b": Annotated[list[Part], ..., "parts"]})
    item.__doc__ = "An item."
    schema = ResponseSchema.of(item)
    assert (schema.name, schema.json_schema["description"]) == ("Item", "An item.")
    assert schema.json_schema["properties"] == {
        "a": {"default": 5, "description": "words", "type": "integer"},
        "b": {"description": "parts", "items": {"$ref": "#/$defs/Part"}, "type": "array"},
    }
    assert schema.json_schema["$defs"]["Part"]["required"] == ["q"]
    flat = kind("Flat", {"a": Annotated[int, ..., "words"]})
    flat.__doc__ = "Words."
    assert ResponseSchema.of(flat).json_schema == convert_to_json_schema(flat), "as LangChain's, where that is right"


def test_strict_typed_dicts_have_no_other_items() -> None:
    written = '{"q": 1, "x": 2}'
    assert ResponseSchema.of(Part).from_text(written) == {"q": 1, "x": 2}
    with pytest.raises(OutputParserException, match="'x'"):
        ResponseSchema.of(Part, strict=True).from_text(written)
    schema = ResponseSchema.of(Part, strict=True).json_schema
    assert schema["additionalProperties"] is False, "the agent knows"


def test_a_type_that_cannot_be_read_is_refused() -> None:
    for kind in (typing.TypedDict, typing_extensions.TypedDict):
        with pytest.raises(ValueError, match=r"Item cannot be read.*Nowhere"):
            ResponseSchema.of(typed(kind, "Nowhere"))
        with pytest.raises(ValueError, match="Item cannot be read"):
            ResponseSchema.of(typed(kind, object.__eq__))


def test_what_traces_get_can_be_converted_by_langchain() -> None:
    for source in (
        typed(typing.TypedDict, NotRequired[int]),
        {"anyOf": [{"type": "object"}]},
        Tree,
        Leaf,
        RootModel[int],
    ):
        convert_to_json_schema(ResponseSchema.of(source).traced)


class Names(RootModel[list[str]]):
    """Names."""


class Node(RootModel[str | dict[str, "Node"]]):
    """A node."""


@dataclass
class Pair:
    a: int


CALLS = [
    (Names, ["a"], Names(["a"])), (Node, {"a": {"b": "c"}}, Node.model_validate({"a": {"b": "c"}})), (RootModel[int], 5, RootModel[int](5)),
    (RootModel[Optional[Leaf]], None, RootModel[Optional[Leaf]](None)), ({"type": "array", "items": {"type": "integer"}}, [1], [1]),  # noqa: UP045
    ({"title": "L", "type": "array", "items": {"$ref": "#"}}, [[], [[]]], [[], [[]]]), ({"enum": ["a", "b"]}, "a", "a"), ({"type": ["object", "null"]}, None, None),
    ({"title": "U", "anyOf": [{"type": "object"}, {"type": "string"}]}, "x", "x"),
]  # fmt: skip
OBJECTS = [
    (Leaf, {"size": 1}, Leaf(size=1)), (RootModel[dict[str, int]], {"a": 1}, RootModel[dict[str, int]]({"a": 1})), (Pair, {"a": 1}, Pair(1)), (Tree, {"name": "a"}, {"name": "a"}),
    ({"title": "U", "anyOf": [{"type": "object", "required": ["a"]}, {"type": "object", "required": ["b"]}]}, {"b": 1}, {"b": 1}), ({"properties": {"a": {}}}, {"a": 1}, {"a": 1}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "value", "expected", "wrapped"), [*((*c, True) for c in CALLS), *((*c, False) for c in OBJECTS)]
)
def test_calls_hold_values_of_every_kind(source: Any, value: Any, expected: Any, wrapped: bool) -> None:
    schema = ResponseSchema.of(source)
    arguments = {"value": value} if wrapped else value
    call = {"id": "c", "name": schema.name, "args": arguments}
    assert schema.from_calls(AIMessage("", tool_calls=[call])) == expected
    parameters = schema.tool["function"]["parameters"]
    asked = ResponseSchema.of(parameters)
    assert asked.from_text(json.dumps(arguments)) == arguments, "what the agent is asked for is what is read"
    assert (set(parameters.get("properties", ())) == {"value"}) is wrapped
    assert schema.from_text(json.dumps(value)) == expected
    if wrapped:
        for wrong in ({}, {"root": value}, {"value": value, "x": 1}):
            with pytest.raises(OutputParserException, match="'value'"):
                schema.from_calls(AIMessage("", tool_calls=[{**call, "args": wrong}]))


def test_the_kind_of_a_wrapped_value_is_checked() -> None:
    call = {"id": "c", "name": "Names", "args": {"value": [1]}}
    with pytest.raises(OutputParserException, match="valid string"):
        ResponseSchema.of(Names).from_calls(AIMessage("", tool_calls=[call]))


def test_response_formats_give_their_name_and_strictness() -> None:
    inner = {"name": "n", "strict": True, "schema": {"type": "object", "properties": {"a": {}}}}
    schema = response_schema({"type": "json_schema", "json_schema": inner})
    assert schema is not None
    assert (schema.name, schema.strict, schema.json_schema["additionalProperties"]) == ("n", True, False)
    assert schema.find('{"a": 1} and {"b": 2}').value == {"a": 1}  # type: ignore[union-attr]


def test_problems_of_classes_are_short() -> None:
    with pytest.raises(OutputParserException) as caught:
        ResponseSchema.of(Names).from_text(json.dumps([1] * 1000))
    assert len(str(caught.value)) < 3000


def test_schemas_can_be_pickled_after_use() -> None:
    for source in (Tree, Names, Leaf, {"type": "object"}):
        schema = ResponseSchema.of(source, strict=True)
        with pytest.raises(OutputParserException):
            schema.from_text('"x"')
        assert pickle.loads(pickle.dumps(schema)) == schema  # noqa: S301
