"""Checking JSON values against JSON Schema, by the package `jsonschema`.

Owns: what differs from its defaults: schemas are closed to the network, problems are short enough to be sent to a
model, patterns cannot run away, and schemas that can never be checked are refused before anything is sent.
Refuses to know: where values and schemas come from. Formats are not checked, as JSON Schema leaves them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import cache, cached_property, lru_cache
from importlib import import_module
from itertools import islice
from math import inf
from typing import Annotated, Any, Final

from pydantic import StringConstraints, TypeAdapter, ValidationError
from pydantic_core import SchemaError as PatternError

_SHOWN_PROBLEMS: Final = 5
_PROBLEM_CHARS: Final = 300
_VALUE_CHARS: Final = 60
_INFINITE: Final = (inf, -inf)
_NOT_CLOSED: Final = frozenset({"additionalProperties", "unevaluatedProperties", "allOf"})
_SCHEMA: Final = ("items", "additionalProperties", "contains", "then", "else")
_SCHEMA_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems", "items")
_SCHEMA_MAPS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")


class SchemaChecker:
    """Checks values against one JSON Schema."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Starts with a schema; nothing is loaded before the first check.

        Args:
            schema: JSON Schema of the draft that its `$schema` names, else of 2020-12.
        """
        self._schema = dict(schema)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles as the schema."""
        return type(self), (self._schema,)

    def refuse_unusable(self) -> None:
        """Refuses a schema that no value could be checked against.

        Raises:
            ValueError: It is no valid JSON Schema, refers to a schema that it does not hold (nothing is fetched), or
                has a pattern that is no regular expression.
        """
        validator = self._validator
        try:
            type(validator).check_schema(self._schema, format_checker=None)
            resource = _resource(self._schema)
            _check_references(resource, _registry().resolver_with_root(resource))
        except _jsonschema().SchemaError as error:
            raise ValueError(f"This is no valid JSON Schema: {_described(error)}") from error

    def problems(self, value: Any) -> list[str]:
        """Returns why a value does not fit: the first five problems, each with its place; empty if it fits.

        Args:
            value: Plain JSON data.
        """
        try:
            return [_described(one) for one in islice(self._validator.iter_errors(value), _SHOWN_PROBLEMS)]
        except RecursionError:
            return ["$: is nested too deeply to be checked"]

    @cached_property
    def _validator(self) -> Any:
        return _dialect(str(self._schema.get("$schema", "")))(self._schema, registry=_registry())


def closed(schema: Any) -> Any:
    """Returns a copy of a schema whose objects have no properties but the named ones, unless it says otherwise.

    Args:
        schema: JSON Schema. Schemas that name no properties, and the parts of an `allOf`, stay open: their properties
            are named elsewhere.
    """
    return _closed(schema, itself=True)


def _closed(schema: Any, *, itself: bool) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    made = dict(schema)
    for key in _SCHEMA:
        if isinstance(made.get(key), Mapping):
            made[key] = _closed(made[key], itself=key not in ("then", "else"))
    for key in _SCHEMA_LISTS:
        if isinstance(made.get(key), list):
            made[key] = [_closed(part, itself=key != "allOf") for part in made[key]]
    for key in _SCHEMA_MAPS:
        if isinstance(made.get(key), Mapping):
            made[key] = {name: _closed(part, itself=key != "dependentSchemas") for name, part in schema[key].items()}
    if itself and "properties" in made and not made.keys() & _NOT_CLOSED:
        made["additionalProperties"] = False
    return made


def _check_references(resource: Any, resolver: Any) -> None:
    from referencing.exceptions import Unresolvable  # noqa: PLC0415  # As above.

    schema = resource.contents
    if isinstance(schema, Mapping):
        for key in ("$ref", "$dynamicRef"):
            if isinstance(schema.get(key), str):
                try:
                    resolver.lookup(schema[key])
                except Unresolvable as error:
                    raise ValueError(
                        f"The JSON Schema refers to {schema[key]!r}, which it does not hold. Schemas are never "
                        "fetched; put it under $defs."
                    ) from error
        _check_patterns(schema)
    for part in resource.subresources():
        _check_references(part, resolver.in_subresource(part))


def _check_patterns(schema: Mapping[str, Any]) -> None:
    pattern = schema.get("pattern")
    try:
        if isinstance(pattern, str):
            _searcher(pattern)
        for pattern in schema.get("patternProperties") or ():
            re.compile(pattern)
    except re.error as error:
        raise ValueError(f"The JSON Schema has the pattern {pattern!r}, which cannot be read: {error}") from None


def _resource(schema: Mapping[str, Any]) -> Any:
    from referencing.jsonschema import DRAFT202012, specification_with  # noqa: PLC0415  # As above.

    return specification_with(str(schema.get("$schema", "")), default=DRAFT202012).create_resource(schema)


@cache
def _registry() -> Any:
    """The schemas of JSON Schema itself, and no way to retrieve others."""
    return import_module("jsonschema_specifications").REGISTRY


@cache
def _dialect(uri: str) -> Any:
    library = _jsonschema()
    draft = library.validators.validator_for({"$schema": uri}, default=library.Draft202012Validator)
    return library.validators.extend(draft, {"multipleOf": _multiple_of, "pattern": _pattern})


@cache
def _jsonschema() -> Any:
    return import_module("jsonschema")  # Without types; loaded when it is first used.


def _multiple_of(validator: Any, unit: Any, value: Any, _schema: Any) -> Iterator[Any]:
    """Checks in decimal, in which 0.3 is a multiple of 0.1."""
    if not validator.is_type(value, "number"):
        return
    if value in _INFINITE or (_exact(value) / _exact(unit)).denominator != 1:
        yield _jsonschema().ValidationError(f"{value!r} is not a multiple of {unit!r}")


def _exact(number: Any) -> Fraction:
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))


def _pattern(validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[Any]:
    if validator.is_type(value, "string") and not _searcher(pattern)(value):
        yield _jsonschema().ValidationError(f"{value!r} does not match {pattern!r}")


@lru_cache(maxsize=256)
def _searcher(pattern: str) -> Callable[[str], bool]:
    """Reads a pattern: in linear time where it can be (pydantic's engine has neither look-around nor backreferences).

    Raises:
        re.error: It is no regular expression.
    """
    try:
        adapter = TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])
    except PatternError:
        found = re.compile(pattern)
        return lambda text: found.search(text) is not None

    def matches(text: str) -> bool:
        try:
            adapter.validate_python(text)
        except ValidationError:
            return False
        return True

    return matches


def _described(problem: Any) -> str:
    told = f"{problem.json_path}: {_short_message(problem)}"
    nearest = problem
    while nearest.context:
        nearest = _nearest(nearest.context)
    return told if nearest is problem else f"{told} (nearest: {nearest.json_path}: {_short_message(nearest)})"


def _nearest(context: Iterable[Any]) -> Any:
    """Returns a problem of the alternative that was most likely meant: the one in which the value fails deepest."""
    alternatives: dict[Any, list[Any]] = {}
    for problem in context:
        alternatives.setdefault(problem.relative_schema_path[0], []).append(problem)
    return min(alternatives.values(), key=lambda found: (-min(len(one.relative_path) for one in found), len(found)))[0]


def _short_message(problem: Any) -> str:
    """Shortens a message of `jsonschema`, which quotes the whole value and the keyword's."""
    told = str(problem.message)
    for quoted in (problem.instance, problem.validator_value):
        written = repr(quoted)
        if len(written) > _VALUE_CHARS:
            told = told.replace(written, f"{written[:_VALUE_CHARS]}…")
    return told if len(told) <= _PROBLEM_CHARS else f"{told[:_PROBLEM_CHARS]}…"
