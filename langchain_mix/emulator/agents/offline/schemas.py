"""Values for JSON Schemas, taken from the conversation as far as it tells them.

Owns: filling schemas: what the words tell where they do, a plain value that fits where they do not.
Refuses to know: who asks for the value, and how words are found (`extraction.py`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from langchain_mix.emulator.agents.offline import extraction, wordings

Schema = Mapping[str, Any]

_DEEPEST = 12
_FRAGMENTS = re.compile(r"\s*(?:;|\n|\.\s|,\s*(?:and\s+)?|\band\b)\s*")
_NOT = re.compile(
    r"\b(?:no|not|without|don't|doesn't|isn't|never|false|disable\w*|skip)\s+(?:\w+\s+){0,2}$", re.IGNORECASE
)
_OMITS = re.compile(r"\b(?:no|without(?: an?| the| any)?|omit(?: the)?|skip(?: the)?)\s+$", re.IGNORECASE)


class Value(NamedTuple):
    """A value, and whether the conversation tells it."""

    value: Any
    told: bool


@dataclass(slots=True)
class Source:
    """What values are taken from. Numbers and quotations are used up, so that two parameters do not get the same.

    Attributes:
        request: The user's words.
        answer: What the agent would say to them; empty if it knows nothing.
        known: Data that tools gave.
    """

    request: str
    answer: str = ""
    known: list[Any] = field(default_factory=list)
    numbers: list[float] = field(init=False)
    quotations: list[str] = field(init=False)

    def __post_init__(self) -> None:
        """Finds the numbers and quotations."""
        self.quotations = extraction.quotations(self.request)
        self.numbers = extraction.numbers(self.request)
        for data in self.known:
            if isinstance(data, str):
                self.numbers = [*extraction.numbers(data), *self.numbers]


def filled(schema: Schema, source: Source) -> Any:
    """Makes a value that fits a schema.

    Args:
        schema: JSON Schema as pydantic and LangChain write it.
        source: What to take it from.

    Returns:
        Plain JSON data.
    """
    return _Filler(schema, source).fill("", schema, 0).value


class _Filler:
    def __init__(self, root: Schema, source: Source) -> None:
        self._root = root
        self._source = source

    def fill(self, name: str, schema: Any, depth: int) -> Value:
        schema = self._resolved(schema)
        known = self._known(name, schema)
        if known is not None:
            return Value(known, told=True)
        if "const" in schema:
            return Value(schema["const"], told=False)
        if "enum" in schema:
            return self._choice(name, schema)
        branches = schema.get("anyOf") or schema.get("oneOf")
        if branches:
            return self._branch(name, schema, branches, depth)
        found = self._of_type(name, schema, depth)
        return Value(schema["default"], told=False) if "default" in schema and not found.told else found

    def _resolved(self, schema: Any) -> dict[str, Any]:
        found: dict[str, Any] = dict(schema) if isinstance(schema, Mapping) else {}
        for _ in range(_DEEPEST):
            if "$ref" in found:
                found = {**self._at(str(found.pop("$ref"))), **found}
            elif "allOf" in found:
                parts = [self._resolved(part) for part in found.pop("allOf")]
                merged: dict[str, Any] = {}
                for part in [*parts, found]:
                    both = {**merged.get("properties", {}), **part.get("properties", {})}
                    required = [*merged.get("required", ()), *part.get("required", ())]
                    merged = {**merged, **part, **({"properties": both, "required": required} if both else {})}
                found = merged
            else:
                break
        return found

    def _at(self, reference: str) -> Mapping[str, Any]:
        node: Any = self._root
        for part in reference.removeprefix("#").strip("/").split("/"):
            node = node.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(node, Mapping) else {}
        return node if isinstance(node, Mapping) else {}

    def _known(self, name: str, schema: Schema) -> Any:
        """Finds the property in data that a tool gave, if the type there is the wanted one."""
        for data in reversed(self._source.known):
            value = data.get(name) if isinstance(data, Mapping) and name else None
            if value is not None and _is(value, schema):
                return value
        return None

    def _choice(self, name: str, schema: Schema) -> Value:
        options = schema["enum"]
        said = f"{self._source.request} {' '.join(d for d in self._source.known if isinstance(d, str))}"
        found = extraction.mentions(said, (str(option) for option in options))
        if found is None:
            found = wordings.mood(said, [str(option) for option in options])
        for option in options:
            if found is not None and str(option) == found:
                return Value(option, told=True)
        amount = next((n for n in self._source.numbers if n in options), None)
        if amount is not None and extraction.number_named(said, name) == amount:
            return Value(options[options.index(amount)], told=True)
        return Value(schema.get("default", options[0]), told=False)

    def _branch(self, name: str, schema: Schema, branches: list[Any], depth: int) -> Value:
        resolved = [self._resolved(branch) for branch in branches]
        nullable = any(branch.get("type") == "null" for branch in resolved)
        others = [branch for branch in resolved if branch.get("type") != "null"]
        if nullable and self._is_refused(name):
            return Value(None, told=True)
        titles = [str(branch.get("title", "")) for branch in others]
        named = extraction.mentions(self._source.request, titles)
        others.sort(key=lambda branch: named is None or branch.get("title") != named)
        context = {key: schema[key] for key in ("description",) if key in schema}
        for branch in others:
            found = self.fill(name, {**context, **branch}, depth + 1)
            if found.told:
                return found
        if "default" in schema:
            return Value(schema["default"], told=False)
        if nullable or not others:
            return Value(None, told=False)
        return self.fill(name, {**context, **others[0]}, depth + 1)

    def _of_type(self, name: str, schema: Schema, depth: int) -> Value:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(name, schema, depth)
            case "integer" | "number":
                return self._number(name, schema, whole=kind == "integer")
            case "boolean":
                return self._boolean(name)
            case "null":
                return Value(None, told=False)
            case _:
                return self._object(schema, depth) if "properties" in schema else self._string(name, schema)

    def _object(self, schema: Schema, depth: int) -> Value:
        required = schema.get("required", ())
        result: dict[str, Any] = {}
        told = False
        # Required ones first: they have the first claim on what the words tell.
        properties = sorted((schema.get("properties") or {}).items(), key=lambda item: item[0] not in required)
        for key, part in properties:
            if key not in required and (depth > _DEEPEST or self._is_refused(key)):
                continue
            found = self.fill(key, part, depth + 1) if depth <= _DEEPEST * 2 else Value(None, told=False)
            if key in required or found.told:
                result[key] = found.value
            told = told or found.told
        rest = schema.get("additionalProperties")
        if isinstance(rest, Mapping) and not properties:
            for key, text in extraction.pairs(self._source.request):
                found = _Filler(self._root, Source(text)).fill(key, rest, depth + 1)
                result[key], told = found.value, True
        ordered = {key: result[key] for key in (schema.get("properties") or {}) if key in result}
        return Value({**ordered, **result}, told=told)

    def _array(self, name: str, schema: Schema, depth: int) -> Value:
        first = [self.fill(name, part, depth + 1) for part in schema.get("prefixItems", ())]
        items = schema.get("items", not first)
        least, most = int(schema.get("minItems", 0)), int(schema.get("maxItems", 100))
        found = [] if items is False else self._items(name, self._resolved(items), depth)
        values = [*(one.value for one in first), *found]
        if schema.get("uniqueItems"):
            values = [value for index, value in enumerate(values) if value not in values[:index]]
        while len(values) < least and items is not False:
            extra = _Filler(self._root, Source("")).fill(name, items, depth + 1).value
            values.append(
                f"{extra} {len(values) + 1}" if schema.get("uniqueItems") and isinstance(extra, str) else extra
            )
        return Value(values[:most], told=bool(found) or any(one.told for one in first))

    def _items(self, name: str, schema: Schema, depth: int) -> list[Any]:
        kind = schema.get("type")
        if kind in ("integer", "number"):
            values, self._source.numbers = self._source.numbers, []
            return [_bounded(value, schema, whole=kind == "integer") for value in values]
        if kind == "object" or "properties" in schema:
            return self._objects(schema, depth)
        if "enum" in schema:
            said = self._source.request
            return [option for option in schema["enum"] if extraction.mentions(said, [str(option)])]
        if kind == "string":
            texts = self._source.quotations or self._strings(name)
            self._source.quotations = []
            return [_fitted(text, schema) for text in texts]
        return []

    def _strings(self, name: str) -> list[str]:
        if set(extraction.label_words(name)) & {word + "s" for word in extraction.PLACE_WORDS} | {
            "cities",
            "countries",
        }:
            found = extraction.places(self._source.request)
            if found:
                return found
        return extraction.listed(self._source.request, name)

    def _objects(self, schema: Schema, depth: int) -> list[Any]:
        """Gives one object for each part of the request that tells something of one."""
        if depth > _DEEPEST:
            return []
        found = []
        for fragment in _FRAGMENTS.split(self._source.request.partition(":")[2] or self._source.request):
            one = _Filler(self._root, Source(fragment)).fill("", schema, depth + 1)
            numeric = any(isinstance(v, int | float) and not isinstance(v, bool) for v in one.value.values())
            if one.told and (not numeric or extraction.numbers(fragment)):
                found.append(one.value)
        return found

    def _number(self, name: str, schema: Schema, *, whole: bool) -> Value:
        source = self._source
        found = extraction.number_named(source.request, name) if name else None
        if found is None and source.answer and set(extraction.label_words(name)) & wordings.ANSWERS:
            found = next(iter(extraction.numbers(wordings.point_of(source.answer))), None)
        if found is None and source.numbers:
            found = source.numbers[0]
        if found in source.numbers:
            source.numbers.remove(found)
        return Value(_bounded(found or 0, schema, whole=whole), told=found is not None)

    def _boolean(self, name: str) -> Value:
        label = [word for word in extraction.label_words(name) if word not in ("is", "has", "should", "include", "use")]
        match = re.search(rf"\b{re.escape(' '.join(label))}", self._source.request, re.IGNORECASE) if label else None
        if match is None:
            return Value(value=False, told=False)
        return Value(value=not _NOT.search(self._source.request[: match.start()]), told=True)

    def _string(self, name: str, schema: Schema) -> Value:
        text, told = wordings.wording(name, str(schema.get("format", "")), self._source)
        pattern = schema.get("pattern")
        if isinstance(pattern, str) and not _matches(pattern, text):
            text = wordings.matching(pattern, self._source.request)
        return Value(_fitted(text, schema), told=told)

    def _is_refused(self, name: str) -> bool:
        place = (
            re.search(rf"\b{re.escape(name.replace('_', ' '))}\b", self._source.request, re.IGNORECASE)
            if name
            else None
        )
        return place is not None and _OMITS.search(self._source.request[: place.start()]) is not None


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:  # Another dialect; whoever wrote the schema will judge.
        return True


def _fitted(text: str, schema: Schema) -> str:
    text = text.ljust(int(schema.get("minLength", 0)), ".")
    return text[: int(schema["maxLength"])] if "maxLength" in schema else text


def _bounded(value: float, schema: Schema, *, whole: bool) -> float:
    step = 1 if whole else 0.5
    low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf) + step)
    high = min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf) - step)
    if low > high:  # Less than a step apart.
        low = high = (schema.get("exclusiveMinimum", low) + schema.get("exclusiveMaximum", high)) / 2
    value = min(max(value, low), high)
    unit = schema.get("multipleOf")
    if unit:
        value = unit * (math.ceil(value / unit) if unit * round(value / unit) < low else round(value / unit))
    return round(value) if whole or float(value).is_integer() else value


def fits(value: Any, schema: Schema) -> bool:
    """Tells whether a value has the type of a schema and lies in its limits, or is one of its options."""
    if not _is(value, schema):
        return False
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    return _bounded(value, schema, whole=isinstance(value, int)) == value


def _is(value: Any, schema: Schema) -> bool:
    kinds: dict[str, type | tuple[type, ...]] = {
        "string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict,
    }  # fmt: skip
    kind = schema.get("type")
    if "enum" in schema:
        return value in schema["enum"]
    if not isinstance(kind, str) or kind not in kinds:
        return False
    return isinstance(value, kinds[kind]) and (kind == "boolean" or not isinstance(value, bool))


def data_in(text: str) -> Any:
    """Reads what a tool gave: its data if it is JSON, else its text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
