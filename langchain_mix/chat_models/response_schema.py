"""Checks replies against a schema: a pydantic class, a dataclass, a TypedDict, or JSON Schema.

Owns: reading values out of replies and checking them: those of classes by pydantic, those of JSON Schema by the package
`jsonschema`, which is closed to the network here, gives problems short enough for a model, and cannot run away with a
pattern. Schemas that can never be checked are refused before anything is sent; formats are not checked.
Refuses to know: prompts, and what is done about a reply that does not fit.

A TypedDict is copied before pydantic reads it: pydantic takes only those of `typing_extensions` before Python 3.12, and
LangChain writes defaults and descriptions into `Annotated[type, default, "description"]`. Its values are checked
against the type and returned as the agent wrote them, a plain dict of JSON data, as LangChain documents.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from enum import Enum
from fractions import Fraction
from functools import cache, cached_property, lru_cache
from importlib import import_module
from itertools import islice
from math import inf
from types import EllipsisType, NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import pydantic
import pydantic.v1
import typing_extensions
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser
from langchain_core.outputs import ChatGeneration
from langchain_core.utils.function_calling import convert_to_json_schema
from langchain_core.utils.json import parse_partial_json
from pydantic import StringConstraints, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import SchemaError as PatternError

from langchain_mix import process_fork
from langchain_mix.chat_models.json_text import FoundJson, locate_json

_SHOWN_PROBLEMS: Final = 5
_PROBLEM_CHARS: Final = 300
_VALUE_CHARS: Final = 60
_INFINITE: Final = (inf, -inf)
_NOT_CLOSED: Final = frozenset({"additionalProperties", "unevaluatedProperties", "allOf"})
_SCHEMA: Final = ("items", "additionalProperties", "contains", "then", "else")
_SCHEMA_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems", "items")
_SCHEMA_MAPS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")


@process_fork.renew_cached_properties
class SchemaChecker:
    """Checks values against one JSON Schema."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Starts with a schema of the draft that its `$schema` names, else of 2020-12.

        Nothing is loaded before the first check.
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
        """Returns why JSON data do not fit: the first five problems, each with its place."""
        try:
            return [_described(one) for one in islice(self._validator.iter_errors(value), _SHOWN_PROBLEMS)]
        except RecursionError:
            return ["$: is nested too deeply to be checked"]

    @cached_property
    def _validator(self) -> Any:
        return _dialect(str(self._schema.get("$schema", "")))(self._schema, registry=_registry())


def closed(schema: Any) -> Any:
    """Returns a copy of a JSON Schema whose objects have no properties but the named ones, unless it says otherwise.

    Schemas that name no properties, and the parts of an `allOf`, stay open: their properties are named elsewhere.
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
    message = f"{problem.json_path}: {_short_message(problem)}"
    nearest = problem
    while nearest.context:
        nearest = _nearest(nearest.context)
    return message if nearest is problem else f"{message} (nearest: {nearest.json_path}: {_short_message(nearest)})"


def _nearest(context: Iterable[Any]) -> Any:
    """Returns a problem of the alternative that was most likely meant: the one in which the value fails deepest."""
    alternatives: dict[Any, list[Any]] = {}
    for problem in context:
        alternatives.setdefault(problem.relative_schema_path[0], []).append(problem)
    return min(alternatives.values(), key=lambda found: (-min(len(one.relative_path) for one in found), len(found)))[0]


def _short_message(problem: Any) -> str:
    """Shortens a message of `jsonschema`, which quotes the whole value and the keyword's."""
    message = str(problem.message)
    for quoted in (problem.instance, problem.validator_value):
        written = repr(quoted)
        if len(written) > _VALUE_CHARS:
            message = message.replace(written, f"{written[:_VALUE_CHARS]}…")
    return message if len(message) <= _PROBLEM_CHARS else f"{message[:_PROBLEM_CHARS]}…"


_UNNAMED = "response"
_QUOTED_CHARS = 2000
_PROBLEMS_CHARS = 2000
_KEYWORDS: Final = frozenset({"type", "properties", "anyOf", "oneOf", "allOf", "$ref", "enum", "const"})
_WRAPPED: Final = "value"
"""The parameter of a tool that holds a value which is no object: the arguments of a call are always one."""


@process_fork.renew_cached_properties
@dataclass(frozen=True)
class ResponseSchema:
    """A schema that replies are read by, as the user gave it and as JSON Schema.

    A strict one converts no types and refuses unnamed properties.
    """

    source: Any
    json_schema: Mapping[str, Any]
    name: str
    strict: bool = False

    @classmethod
    def of(cls, source: Any, *, name: str = "", strict: bool | None = None) -> ResponseSchema:
        """Reads a schema, whose title may be replaced by a name.

        Args:
            source: A pydantic class (2 or 1), a dataclass, a TypedDict, JSON Schema, or an OpenAI function or tool.
            name: Replaces the schema's title.
            strict: See `strict`.

        Raises:
            ValueError: It is none of these, or no value could be checked against it.
        """
        schema = _json_schema(source)
        schema = closed(schema) if strict else schema
        made = cls(source, schema, str(name or schema.get("title") or _UNNAMED), strict is True)
        if isinstance(source, Mapping):
            made._checker.refuse_unusable()
        return made

    @property
    def traced(self) -> Any:
        """The schema for LangSmith, in a form that LangChain can convert."""
        return self.source if _is_model(self.source) else {**self.json_schema, "title": self.name}

    @property
    def tool(self) -> dict[str, Any]:
        """The schema as an OpenAI tool. A value that is no object is its only parameter."""
        parameters = {key: value for key, value in self.json_schema.items() if key not in ("title", "description")}
        if self._wrapped:
            inside = _moved(parameters, f"#/properties/{_WRAPPED}")
            parameters = {"type": "object", "properties": {_WRAPPED: inside}, "required": [_WRAPPED]}
        text = self.json_schema.get("description") or "Gives the reply."
        return {"type": "function", "function": {"name": self.name, "description": text, "parameters": parameters}}

    @property
    def response_format(self) -> dict[str, Any]:
        """The schema as OpenAI's `response_format`."""
        inner: dict[str, Any] = {"name": self.name, "schema": dict(self.json_schema)}
        return {"type": "json_schema", "json_schema": {**inner, "strict": True} if self.strict else inner}

    def from_text(self, text: str) -> Any:
        """Reads the value out of a reply: JSON, alone, in a code block or in prose.

        Raises:
            OutputParserException: There is none, or it does not fit.
        """
        try:
            value = locate_json(text, self._is_kind).value
        except ValueError as error:
            shown = text if len(text) <= _QUOTED_CHARS else f"{text[:_QUOTED_CHARS]}…"
            raise OutputParserException(f"{self.name}: {error}. The reply: {shown}", llm_output=text) from error
        return self._checked(value, text)

    def find(self, text: str) -> FoundJson | None:
        """Finds the value in a reply, if there is one: the last one that fits, else the last of its kind."""
        for wanted in (self._fits, self._is_kind):
            try:
                return locate_json(text, wanted)
            except ValueError:
                continue
        return None

    def from_calls(self, message: AIMessage) -> Any:
        """Reads the value out of the call of the schema's tool.

        Raises:
            OutputParserException: There is no such call, or its arguments do not fit.
        """
        parser = JsonOutputKeyToolsParser(key_name=self.name, first_tool_only=True)
        arguments = parser.parse_result([ChatGeneration(message=message)])
        if arguments is None:
            wrong = [f"{call['args']}: {call['error']}" for call in message.invalid_tool_calls]
            wrong += [f"a call of {call['name']}" for call in message.tool_calls]
            said = "; ".join(wrong) or message.text
            raise OutputParserException(f"The reply does not call {self.name}. The reply: {said}", llm_output=said)
        written = json.dumps(arguments, ensure_ascii=False)
        if not self._wrapped:
            return self._checked(arguments, written)
        if arguments.keys() != {_WRAPPED}:
            raise OutputParserException(f"{self.name}: has other arguments than {_WRAPPED!r}", llm_output=written)
        return self._checked(arguments[_WRAPPED], written)

    def from_part(self, text: str) -> Any:
        """Reads what there is of a value at the beginning of a reply, as far as it is valid so far.

        Returns None if there is none, or if the reply is not JSON from its beginning.
        """
        start = text.lstrip()
        if start.startswith("```"):
            start = start.partition("\n")[2].partition("```")[0].lstrip()
        if not start.startswith("{"):
            return None
        try:
            value = parse_partial_json(start)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict) or not self._is_kind(value):
            return None
        if self._is_plain:
            return value
        try:
            return self._checked(value, text)
        except OutputParserException:
            return None

    @cached_property
    def _checker(self) -> SchemaChecker:
        return SchemaChecker(self.json_schema)

    @property
    def _is_plain(self) -> bool:
        """True for JSON Schema and TypedDicts, whose values are returned as they were written."""
        return not (_is_model(self.source) or (isinstance(self.source, type) and is_dataclass(self.source)))

    @property
    def _wrapped(self) -> bool:
        return not _holds_objects(self.json_schema, self.json_schema)

    def _is_kind(self, value: Any) -> bool:
        """Returns whether a value may be the one that is meant, and not something that happens to be JSON."""
        schema: Any = _resolved(self.json_schema, self.json_schema)
        kind = {"object": dict, "array": list, "string": str}.get(str(schema.get("type")), object)
        return isinstance(value, kind)

    def _fits(self, value: Any) -> bool:
        if not self._is_kind(value):
            return False
        try:
            self._checked(value, "")
        except OutputParserException:
            return False
        return True

    def _checked(self, value: Any, text: str) -> Any:
        wrong = self._checker.problems(value) if self.strict or isinstance(self.source, Mapping) else []
        if wrong:
            raise OutputParserException(f"{self.name}: {'; '.join(wrong)}", llm_output=text)
        try:
            return self._converted(value)
        except (ValueError, pydantic.v1.ValidationError) as error:
            message = str(error)
            message = message if len(message) <= _PROBLEMS_CHARS else f"{message[:_PROBLEMS_CHARS]}…"
            raise OutputParserException(f"{self.name}: {message}", llm_output=text) from error

    def _converted(self, value: Any) -> Any:
        if isinstance(self.source, Mapping):
            return value
        if issubclass(self.source, pydantic.v1.BaseModel):
            return self.source.parse_obj(value)
        # JSON's own rules, in which a string may be a date even where types are not converted.
        written = json.dumps(value)
        if self._is_plain:
            _adapter(self.source).validate_json(written, strict=True)
            return value
        strict = True if self.strict else None
        if issubclass(self.source, pydantic.BaseModel):
            return self.source.model_validate_json(written, strict=strict)
        return _adapter(self.source).validate_json(written, strict=strict)


def _is_model(source: Any) -> bool:
    return isinstance(source, type) and issubclass(source, pydantic.BaseModel | pydantic.v1.BaseModel)


def _json_schema(source: Any) -> Mapping[str, Any]:
    if isinstance(source, Mapping):
        if _is_function(source):
            return convert_to_json_schema(dict(source))
        if not set(source) & _KEYWORDS:
            raise ValueError(f"This is no JSON Schema: {str(dict(source))[:200]}")
        return dict(source)
    if isinstance(source, type) and issubclass(source, pydantic.v1.BaseModel):
        return source.schema()
    if isinstance(source, type) and issubclass(source, pydantic.BaseModel):
        return {"title": source.__name__, **source.model_json_schema()}
    if isinstance(source, type) and (is_dataclass(source) or typing_extensions.is_typeddict(source)):
        return {"title": source.__name__, **_adapter(source).json_schema(schema_generator=_Untitled)}
    raise ValueError(f"This is no schema: {source!r}")


def _is_function(source: Mapping[str, Any]) -> bool:
    return ("name" in source and ("parameters" in source or "input_schema" in source)) or "function" in source


def _resolved(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follows the reference of a class that refers to itself."""
    for keyword in ("$defs", "definitions"):
        reference = str(schema.get("$ref", ""))
        if reference.startswith(f"#/{keyword}/"):
            schema = root.get(keyword, {}).get(reference.removeprefix(f"#/{keyword}/"), {})
    return schema if isinstance(schema, Mapping) else {}


def _holds_objects(schema: Any, root: Mapping[str, Any]) -> bool:
    """Returns whether all values of a schema are objects, as far as it says of what type they are."""
    if not isinstance(schema, Mapping):
        return True
    schema = _resolved(schema, root)
    if "type" in schema:
        return bool(schema["type"] == "object")
    values = [schema["const"]] if "const" in schema else schema.get("enum", [])
    branches = [branch for keyword in ("anyOf", "oneOf", "allOf") for branch in schema.get(keyword, ())]
    return all(isinstance(v, Mapping) for v in values) and all(_holds_objects(b, root) for b in branches)


def _moved(schema: Any, place: str) -> Any:
    """Returns a schema as a part of another one, in which its references still point to the same."""
    if isinstance(schema, Mapping):
        return {
            key: place + value.removeprefix("#")
            if key == "$ref" and isinstance(value, str) and value.startswith("#")
            else _moved(value, place)
            for key, value in schema.items()
        }
    return [_moved(part, place) for part in schema] if isinstance(schema, list) else schema


class _Untitled(GenerateJsonSchema):
    """Leaves out titles that only repeat the name of a property, as LangChain does."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # pydantic's name.
        return False


_QUALIFIERS: Final[Mapping[Any, bool]] = {
    typing_extensions.Required: True,
    typing_extensions.NotRequired: False,
    typing_extensions.ReadOnly: False,
    Annotated: False,
}
"""Qualifiers around the type of an item, and whether they make the item required."""
_PLAIN: Final = (str, int, float, NoneType, list, dict, tuple, Enum)
"""Types of defaults; everything else in `Annotated` is left to pydantic."""


@lru_cache(maxsize=128)
def _adapter(source: Any) -> pydantic.TypeAdapter[Any]:
    """Returns what checks the values of a dataclass or a TypedDict.

    Raises:
        ValueError: pydantic has no rules for a type in it, or a type that is written as text cannot be found.
    """
    try:
        return pydantic.TypeAdapter(_readable(source, {}) if typing_extensions.is_typeddict(source) else source)
    except (pydantic.errors.PydanticUserError, NameError) as error:
        raise ValueError(f"The schema {source.__name__} cannot be read: {error}") from error


def _readable(given: Any, made: dict[Any, Any]) -> Any:
    """Returns a type with copies of all TypedDicts in it that pydantic can read.

    `made` has the copies made so far, for TypedDicts that refer to each other; entries are added.
    """
    if typing_extensions.is_typeddict(given):
        return made[given] if given in made else _copied(given, made)
    origin: Any = get_origin(given)
    parts: tuple[Any, ...] = get_args(given)
    if origin is None or origin is Literal or typing_extensions.is_typeddict(origin):
        return given
    if origin is Annotated:
        return _subscripted(Annotated, (_readable(parts[0], made), *parts[1:]))
    read = tuple(_readable(part, made) for part in parts)
    if read == parts:
        return given
    return _subscripted(Union if origin is UnionType else origin, read)


def _subscripted(form: Any, parts: tuple[Any, ...]) -> Any:
    return form[parts[0]] if len(parts) == 1 else form[parts]


def _copied(given: Any, made: dict[Any, Any]) -> Any:
    make: Any = typing_extensions.TypedDict
    copy = make(given.__name__, {})
    made[given] = copy
    hints = typing_extensions.get_type_hints(given, include_extras=True)
    fields = {name: _field(hint, made, needed=name in given.__required_keys__) for name, hint in hints.items()}
    copy.__doc__, copy.__module__, copy.__qualname__ = given.__doc__, given.__module__, given.__qualname__
    if hasattr(given, "__pydantic_config__"):
        copy.__pydantic_config__ = given.__pydantic_config__
    copy.__annotations__ = {name: hint for name, (hint, _) in fields.items()}
    copy.__required_keys__ = frozenset(name for name, (_, needed) in fields.items() if needed)
    copy.__optional_keys__ = frozenset(fields) - copy.__required_keys__
    return copy


def _field(hint: Any, made: dict[Any, Any], *, needed: bool) -> tuple[Any, bool]:
    """Returns the type of an item and whether there has to be one, in words of pydantic."""
    notes: list[Any] = []
    while (origin := get_origin(hint)) in _QUALIFIERS:
        hint, *more = get_args(hint)
        notes = [*more, *notes]
        # Annotations that are written as text hide these from `__required_keys__`.
        needed = _QUALIFIERS[origin] or (needed and origin is not typing_extensions.NotRequired)
    kept = list(notes)
    extra: dict[str, Any] = {}
    if notes and isinstance(notes[0], _PLAIN):
        needed, hint = False, hint | None if notes[0] is None else hint
        extra["json_schema_extra"] = {"default": pydantic.TypeAdapter(Any).dump_python(notes[0], mode="json")}
        kept = notes[1:]
    elif notes and isinstance(notes[0], EllipsisType):
        kept = notes[1:]
    if len(kept) < len(notes) and kept and isinstance(kept[0], str):
        extra["description"] = kept.pop(0)
    details = [pydantic.Field(**extra)] if extra else []
    read = _readable(hint, made)
    return (_subscripted(Annotated, (read, *kept, *details)) if kept or details else read), needed
