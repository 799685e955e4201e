"""Whether a JSON value fits a JSON Schema.

Owns: the part of JSON Schema that Python types turn into: types, objects, arrays, enums, unions, limits, references.
Refuses to know: formats and remote references; keywords that it does not know are not checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from itertools import islice
from typing import Any, cast

Schema = Mapping[str, Any]

_SHOWN = 5
_DEEPEST = 100
_TINY = 1e-9


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "integer": lambda v: _is_number(v) and float(v).is_integer(),
    "number": _is_number,
}
_LIMITS: tuple[tuple[str, str, Callable[[Any, Any], bool]], ...] = (
    ("minimum", "is less than", lambda v, limit: bool(v >= limit)),
    ("maximum", "is more than", lambda v, limit: bool(v <= limit)),
    ("exclusiveMinimum", "is not more than", lambda v, limit: bool(v > limit)),
    ("exclusiveMaximum", "is not less than", lambda v, limit: bool(v < limit)),
    ("multipleOf", "is not a multiple of", lambda v, unit: abs(v / unit - round(v / unit)) < _TINY),
)
_SIZES: tuple[tuple[str, type, str, Callable[[int, int], bool]], ...] = (
    ("minLength", str, "is shorter than", lambda size, limit: size >= limit),
    ("maxLength", str, "is longer than", lambda size, limit: size <= limit),
    ("minItems", list, "has fewer items than", lambda size, limit: size >= limit),
    ("maxItems", list, "has more items than", lambda size, limit: size <= limit),
    ("minProperties", dict, "has fewer properties than", lambda size, limit: size >= limit),
    ("maxProperties", dict, "has more properties than", lambda size, limit: size <= limit),
)


def problems(value: Any, schema: Schema, *, closed: bool = False) -> list[str]:
    """Tells why a value does not fit a schema.

    Args:
        value: Plain JSON data.
        schema: JSON Schema; `$ref` may point anywhere into itself.
        closed: Whether properties that an object's schema does not name are wrong even where it does not forbid them.

    Returns:
        The first five problems, each with its place; empty if the value fits.
    """
    return list(islice(_Check(schema, closed=closed).of(value, schema, "$", 0), _SHOWN))


class _Check:
    def __init__(self, root: Schema, *, closed: bool) -> None:
        self._root = root
        self._closed = closed

    def of(self, value: Any, schema: Any, at: str, depth: int) -> Iterator[str]:
        if schema is False:
            yield f"{at}: nothing is allowed here"
        if not isinstance(schema, Mapping):
            return
        if depth > _DEEPEST:
            yield f"{at}: nested too deeply"
            return
        if isinstance(reference := schema.get("$ref"), str):
            yield from self.of(value, self._at(reference), at, depth + 1)
        wrong = list(_of_itself(value, schema, at))
        yield from wrong
        if not wrong:
            yield from self._unions(value, schema, at, depth)
            if isinstance(value, dict):
                yield from self._object(value, schema, at, depth)
            elif isinstance(value, list):
                yield from self._array(value, schema, at, depth)

    def _at(self, reference: str) -> Any:
        node: Any = self._root
        for part in reference.removeprefix("#").split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, Mapping) and name in node:
                node = node[name]
            elif isinstance(node, list) and name.isdigit() and int(name) < len(node):
                node = node[int(name)]
            else:
                return True
        return node if reference.startswith("#") else True

    def _unions(self, value: Any, schema: Schema, at: str, depth: int) -> Iterator[str]:
        for part in schema.get("allOf", ()):
            yield from self.of(value, part, at, depth + 1)
        for keyword in ("anyOf", "oneOf"):
            branches = schema.get(keyword)
            if not branches:
                continue
            found = [list(islice(self.of(value, branch, at, depth + 1), _SHOWN)) for branch in branches]
            if all(found):
                nearest = min(found, key=lambda wrong: (wrong[0].count(": is not of type"), len(wrong)))
                yield f"{at}: fits none of the {len(found)} alternatives; of one it fails: {'; '.join(nearest)}"

    def _object(self, value: dict[str, Any], schema: Schema, at: str, depth: int) -> Iterator[str]:
        named: Mapping[str, Any] = schema.get("properties") or {}
        for name in schema.get("required", ()):
            if name not in value:
                yield f"{at}: lacks the property {name!r}"
        for name, part in value.items():
            if name in named and part is None and name not in schema.get("required", ()):
                continue  # As good as left out; LangChain's schemas of TypedDicts do not tell that None is allowed.
            if name in named:
                yield from self.of(part, named[name], f"{at}.{name}", depth + 1)
            elif not any(re.search(pattern, name) for pattern in schema.get("patternProperties", ())):
                yield from self._other(name, part, schema, at, depth)

    def _other(self, name: str, value: Any, schema: Schema, at: str, depth: int) -> Iterator[str]:
        # Schemas of unions and references name their properties elsewhere; only a list of properties can be closed.
        rest = schema.get("additionalProperties", not (self._closed and "properties" in schema))
        if rest is False:
            yield f"{at}: has the property {name!r}, which the schema does not name"
        else:
            yield from self.of(value, rest, f"{at}.{name}", depth + 1)

    def _array(self, value: list[Any], schema: Schema, at: str, depth: int) -> Iterator[str]:
        first: Sequence[Any] = schema.get("prefixItems") or ()
        rest = schema.get("items", True)
        for index, part in enumerate(value):
            yield from self.of(part, first[index] if index < len(first) else rest, f"{at}[{index}]", depth + 1)
        if schema.get("uniqueItems") and any(part in value[:index] for index, part in enumerate(value)):
            yield f"{at}: has an item twice"


def _of_itself(value: Any, schema: Schema, at: str) -> Iterator[str]:
    """Checks the keywords that look at nothing but the value."""
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_TYPES.get(kind, lambda _: True)(value) for kind in kinds):
        yield f"{at}: is not of type {' or '.join(kinds)}"
    if "enum" in schema and not any(_same(value, one) for one in schema["enum"]):
        yield f"{at}: is none of {schema['enum']!r}"
    if "const" in schema and not _same(value, schema["const"]):
        yield f"{at}: is not {schema['const']!r}"
    if _is_number(value):
        yield from (
            f"{at}: {words} {schema[k]}" for k, words, fits in _LIMITS if k in schema and not fits(value, schema[k])
        )
    for keyword, kind, words, fits in _SIZES:
        if keyword in schema and isinstance(value, kind) and not fits(len(cast("Sized", value)), schema[keyword]):
            yield f"{at}: {words} {schema[keyword]}"
    pattern = schema.get("pattern")
    if isinstance(value, str) and isinstance(pattern, str) and _differs(pattern, value):
        yield f"{at}: does not match the pattern {pattern!r}"


def _differs(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is None
    except re.error:  # A dialect of regular expressions that Python does not read; pydantic's own check decides.
        return False


def _same(left: Any, right: Any) -> bool:
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)
