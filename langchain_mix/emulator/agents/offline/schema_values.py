"""Values for any JSON Schema: from the user's words where they say one, else the plainest value that fits.

Owns: filling schemas as pydantic and LangChain write them.
Refuses to know: who needs the value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, NamedTuple

from langchain_mix.emulator.agents.offline.files import STOP_WORDS, words_of

Schema = Mapping[str, Any]

_DEEPEST = 12
_MOST_OPTIONAL = 5000
"""Optional properties that are filled of one schema; those that refer to themselves would double at each level."""
_QUOTED = re.compile(
    r"[\"\u201c]([^\"\u201d]+)[\"\u201d]|(?<!\w)['\u2018]([^'\u2019\n]+)['\u2019](?!\w)|`([^`\n]+)`|「([^」]+)」"
)
_NUMBER = re.compile(r"(?:(?<![\w.)])-)?\d+(?:,\d{3})*(?:\.\d+)?")
_NAME = re.compile(r"[A-Z\u00c0-\u00de][\w'\u2019-]*\w(?:\s[A-Z\u00c0-\u00de][\w'\u2019-]*\w|,\s[A-Z]{2}\b)*")
_STARTS_SENTENCE = re.compile(r"(?:^|[.!?:]\s|\n)\s*\Z")
_SUBJECT = re.compile(r"\s+(?:is|was|has|are)\b")
_PARTS = re.compile(r"\s*(?:;|\n|\.\s|,|\band\b)\s*")
_POINT = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)
_NEGATED = re.compile(r"\b(?:no|not|without|don't|never|disable\w*)\s+(?:\w+\s+){0,2}\Z", re.IGNORECASE)
_ANSWERS = frozenset(("answer", "response", "result", "reply", "output", "summary", "reason", "value", "total", "sum"))
_SHAPES = {
    "email": re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    "uri": re.compile(r"\bhttps?://[a-zA-Z\d][a-zA-Z\d.-]*(?::\d{1,4})?(?:/[^\s<>\"'()\[\]]*)?"),
    "date-time": re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"),
    "date": re.compile(r"\b\d{4}-\d\d-\d\d\b"),
    "time": re.compile(r"\b\d{1,2}:\d\d(?::\d\d)?\b"),
    "uuid": re.compile(r"\b[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}\b", re.IGNORECASE),
}
_SHAPE_OF = {"email": "email", "mail": "email", "to": "email", "recipient": "email", "url": "uri", "link": "uri"}
_OF_FORMAT = {
    "email": "user@example.com", "uri": "https://example.com/", "date": "2024-01-01", "time": "12:00:00Z",
    "date-time": "2024-01-01T00:00:00Z", "duration": "PT1H", "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "127.0.0.1", "ipv6": "::1", "binary": "", "byte": "",
}  # fmt: skip
_OF_PATTERN = (
    "a", "A", "0", "1", "ab", "AB", "12", "abc", "ABC", "123", "A1", "abcd", "ABCD", "1234", "12345", "AB12", "AB-12",
    "ABC123", "ABC-123", "abc-123", "12345-6789", "555-1234", "123-456-7890", "+1234567890", "#ffffff", "1.0.0",
    "v1.0.0", "en-US", "10:00", "2024-01-01", "user@example.com", "https://example.com", "example.com", "Example",
)  # fmt: skip
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict,
}  # fmt: skip


class Value(NamedTuple):
    """A value, and whether it was said: optional properties are left out where it was not."""

    value: Any
    said: bool


class ValueSource:
    """The words and data that values are taken from. A number, quotation or name is taken once."""

    def __init__(self, text: str, answer: str = "", data: Sequence[Any] = ()) -> None:
        """Finds the values in the user's words, the agent's own answer and decoded results of tools."""
        self.text = text
        self.answer = answer
        self.data = data
        texts = [one for one in data if isinstance(one, str)]
        self.numbers = [number for one in (*texts, text) for number in numbers(one)]
        self.quotations = quotations(text)
        self.names = _names(_QUOTED.sub("", text))
        self.all_words = " ".join([text, *texts])


def quotations(text: str) -> list[str]:
    """Returns the texts in quotation marks, in order."""
    return [next(group for group in match.groups() if group) for match in _QUOTED.finditer(text)]


def numbers(text: str) -> list[float]:
    """Returns the numbers of a text in order; `2-3` is a two and a three."""
    return [float(match[0].replace(",", "")) for match in _NUMBER.finditer(text)]


def _names(text: str) -> list[str]:
    """Returns the capitalised phrases; the first word of a sentence counts where it is the subject."""
    found = []
    for match in _NAME.finditer(text):
        starts = _STARTS_SENTENCE.search(text, 0, match.start()) and " " not in match[0]
        if not starts or (_SUBJECT.match(text, match.end()) and match[0].casefold() not in STOP_WORDS):
            found.append(match[0])
    return found


def fill(schema: Schema, source: ValueSource) -> Any:
    """Returns a value that fits a schema, JSON Schema as pydantic and LangChain write it."""
    return _Filler(schema, source, iter(range(_MOST_OPTIONAL))).fill("", schema, 0).value


class _Filler:
    def __init__(self, root: Schema, source: ValueSource, optional: Iterator[int]) -> None:
        self._root = root
        self._source = source
        self._optional = optional

    def fill(self, name: str, schema: Any, depth: int) -> Value:
        schema = self._resolved(schema)
        for data in reversed(self._source.data):
            known = data.get(name) if isinstance(data, Mapping) and name else None
            if known is not None and _has_type(known, schema):
                return Value(known, said=True)
        if "const" in schema:
            return Value(schema["const"], said=False)
        if "enum" in schema:
            return self._choice(schema)
        branches = schema.get("anyOf") or schema.get("oneOf")
        if branches:
            return self._branch(name, schema, branches, depth)
        found = self._of_type(name, schema, depth)
        return Value(schema["default"], said=False) if "default" in schema and not found.said else found

    def _resolved(self, schema: Any) -> dict[str, Any]:
        """Follows `$ref` and merges `allOf`."""
        found: dict[str, Any] = dict(schema) if isinstance(schema, Mapping) else {}
        for _ in range(_DEEPEST):
            if "$ref" in found:
                found = {**self._at(str(found.pop("$ref"))), **found}
            elif "allOf" in found:
                merged: dict[str, Any] = {}
                for part in [*map(self._resolved, found.pop("allOf")), found]:
                    properties = {**merged.get("properties", {}), **part.get("properties", {})}
                    required = [*merged.get("required", ()), *part.get("required", ())]
                    merged |= {**part, **({"properties": properties, "required": required} if properties else {})}
                found = merged
            else:
                break
        return found

    def _at(self, reference: str) -> Mapping[str, Any]:
        node: Any = self._root
        for part in reference.removeprefix("#").strip("/").split("/"):
            node = node.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(node, Mapping) else {}
        return node if isinstance(node, Mapping) else {}

    def _choice(self, schema: Schema) -> Value:
        options = schema["enum"]
        for option in options:
            if re.search(rf"(?<!\w){re.escape(str(option))}(?!\w)", self._source.all_words, re.IGNORECASE):
                return Value(option, said=True)
        return Value(schema.get("default", options[0]), said=False)

    def _branch(self, name: str, schema: Schema, branches: list[Any], depth: int) -> Value:
        resolved = [self._resolved(branch) for branch in branches]
        others = [branch for branch in resolved if branch.get("type") != "null"]
        for branch in others:
            found = self.fill(name, branch, depth + 1)
            if found.said:
                return found
        if "default" in schema:
            return Value(schema["default"], said=False)
        if len(others) < len(resolved):
            return Value(None, said=False)
        return self.fill(name, others[0], depth + 1)

    def _of_type(self, name: str, schema: Schema, depth: int) -> Value:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        match kind:
            case "array":
                return self._array(name, schema, depth)
            case "integer" | "number":
                return self._number(name, schema, whole=kind == "integer")
            case "boolean":
                return self._boolean(name)
            case "null":
                return Value(None, said=False)
            case _:
                is_object = kind == "object" or "properties" in schema
                return self._object(schema, depth) if is_object else self._string(name, schema)

    def _object(self, schema: Schema, depth: int) -> Value:
        required = schema.get("required", ())
        properties: Mapping[str, Any] = schema.get("properties") or {}
        found: dict[str, Value] = {}
        for key in sorted(properties, key=lambda key: key not in required):  # Required ones have the first claim.
            if key in required or (depth <= _DEEPEST and next(self._optional, None) is not None):
                deeper = depth <= 2 * _DEEPEST
                found[key] = self.fill(key, properties[key], depth + 1) if deeper else Value(None, said=False)
        kept = {key: found[key] for key in properties if key in found and (key in required or found[key].said)}
        return Value({key: one.value for key, one in kept.items()}, said=any(one.said for one in kept.values()))

    def _array(self, name: str, schema: Schema, depth: int) -> Value:
        first = [self.fill(name, part, depth + 1) for part in schema.get("prefixItems", ())]
        items = schema.get("items", not first)
        found = [] if items is False else self._items(name, self._resolved(items), depth)
        values = [*(one.value for one in first), *found]
        if schema.get("uniqueItems"):
            values = [value for index, value in enumerate(values) if value not in values[:index]]
        while len(values) < int(schema.get("minItems", 0)) and items is not False:
            value = _Filler(self._root, ValueSource(""), self._optional).fill(name, items, depth + 1).value
            is_text = isinstance(value, str) and schema.get("uniqueItems")
            values.append(f"{value} {len(values) + 1}" if is_text else value)
        return Value(values[: int(schema.get("maxItems", 100))], said=bool(found) or any(one.said for one in first))

    def _items(self, name: str, schema: Schema, depth: int) -> list[Any]:
        kind = schema.get("type")
        if "enum" in schema:
            return [option for option in schema["enum"] if str(option).casefold() in self._source.text.casefold()]
        if kind in ("integer", "number"):
            values, self._source.numbers = self._source.numbers, []
            return [_bounded(value, schema, whole=kind == "integer") for value in values]
        if kind == "string":
            _, colon, listed = self._source.text.partition(":")
            texts = self._source.quotations or (re.split(r",\s*(?:and\s+)?|\s+and\s+", listed) if colon else [])
            self._source.quotations = []
            return [_fitted(text.strip(" ."), schema) for text in texts if text.strip(" .")]
        if (kind == "object" or "properties" in schema) and depth <= _DEEPEST:
            parts = _PARTS.split(self._source.text.rpartition(":")[2])
            filled = [
                _Filler(self._root, ValueSource(part), self._optional).fill(name, schema, depth + 1) for part in parts
            ]
            return [one.value for one in filled if one.said]
        return []

    def _number(self, name: str, schema: Schema, *, whole: bool) -> Value:
        source = self._source
        found = _number_named(source.all_words, name) if name else None
        if found is None and source.answer and _ANSWERS & _label(name):
            found = next(iter(numbers(_point(source.answer))), None)
        if found is None and source.numbers:
            found = source.numbers[0]
        if found in source.numbers:
            source.numbers.remove(found)
        return Value(_bounded(found or 0, schema, whole=whole), said=found is not None)

    def _boolean(self, name: str) -> Value:
        mentioned = re.search(rf"\b{_spaced(name)}\b", self._source.text, re.IGNORECASE) if name else None
        if mentioned is None:
            return Value(value=False, said=False)
        return Value(value=not _NEGATED.search(self._source.text[: mentioned.start()]), said=True)

    def _string(self, name: str, schema: Schema) -> Value:
        text, said = self._text(name, str(schema.get("format", "")))
        pattern = schema.get("pattern")
        if isinstance(pattern, str) and not _matches(pattern, text):
            text = _matching(pattern, self._source.text)
        return Value(_fitted(text, schema), said=said)

    def _text(self, name: str, shape: str) -> tuple[str, bool]:
        source, label = self._source, _label(name)
        meant = shape or next((_SHAPE_OF[word] for word in sorted(label) if word in _SHAPE_OF), "")
        shaped = _shaped(source.text, meant)
        if shaped or shape:
            return shaped or _OF_FORMAT.get(shape, "text"), bool(shaped)
        labelled = _labelled(source.text, name)
        if labelled:
            return labelled, True
        if source.answer and _ANSWERS & label:
            return source.answer.replace("**", ""), True
        if _POINT.search(source.answer) and label & set(words_of(source.text)):
            return _point(source.answer), True  # The question asks for the very thing that the field is called.
        for found in (source.quotations, source.names):
            if found:
                return found.pop(0), True
        return source.text.strip() or name or "text", False


def _label(name: str) -> set[str]:
    """Returns the words of a field's name: `customerName`, `customer_name`."""
    return set(words_of(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ")))


def _spaced(name: str) -> str:
    return r"[\s_-]".join(re.escape(part) for part in name.split("_") if part) or r"(?!)"


def _labelled(text: str, name: str) -> str:
    """Returns the text after "title:" or "title =", or nothing."""
    found = re.search(rf"\b{_spaced(name)}\b[\"'`]?\s*[:=]\s*([^\n,;?]+)", text, re.IGNORECASE) if name else None
    return found[1].strip(" .\"'`") if found else ""


def _number_named(text: str, name: str) -> float | None:
    """Returns the number in "age 30", "age: 30" or "30 people"."""
    after = re.search(rf"\b{_spaced(name)}\b\W{{0,3}}(?:(?:is|of|to)\s+)?({_NUMBER.pattern})", text, re.IGNORECASE)
    found = after or re.search(rf"({_NUMBER.pattern})\s+{_spaced(name)}\b", text, re.IGNORECASE)
    return float(found[1].replace(",", "")) if found else None


def _point(answer: str) -> str:
    """Returns the part of an answer that is set off in bold, or all of it."""
    match = _POINT.search(answer)
    return match[1] if match else answer


def _shaped(text: str, shape: str) -> str:
    """Returns the text of a JSON Schema format that a text holds, or nothing."""
    pattern = _SHAPES.get(shape)
    found = (match[0].rstrip(".,") for match in pattern.finditer(text)) if pattern else ()
    return next((one for one in found if _exists(shape, one)), "")


def _exists(shape: str, text: str) -> bool:
    """False for what looks like a date or a time and is none."""
    reads = {"date": date.fromisoformat, "time": time.fromisoformat, "date-time": datetime.fromisoformat}
    try:
        reads.get(shape, str)(text)
    except ValueError:
        return False
    return True


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:  # Another dialect of regular expressions; the schema's owner decides.
        return True


def _matching(pattern: str, text: str) -> str:
    """Returns a text that matches a pattern: part of a text, or one of the usual ones; else the pattern itself."""
    bare = pattern.removeprefix("^").removesuffix("$")
    found = re.search(rf"(?<!\w)(?:{bare})(?!\w)", text)
    if found and found[0]:
        return found[0]
    return next((sample for sample in _OF_PATTERN if re.search(pattern, sample)), bare)


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


def _has_type(value: Any, schema: Schema) -> bool:
    if "enum" in schema:
        return value in schema["enum"]
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in _KINDS:
        return False
    return isinstance(value, _KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))
