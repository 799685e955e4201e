"""One schema in all the forms that it takes: JSON Schema, a tool, and Python values.

Owns: reading values out of replies and checking them against the schema.
Refuses to know: prompts, and what is done about a reply that does not fit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any

import pydantic
import pydantic.v1
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser
from langchain_core.outputs import ChatGeneration
from langchain_core.utils.function_calling import convert_to_json_schema
from langchain_core.utils.json import parse_partial_json

from langchain_mix.chat_models.json_text import FoundJson, find_json, locate_json
from langchain_mix.chat_models.schema_check import problems

_UNNAMED = "response"
_QUOTED_CHARS = 2000


@dataclass(frozen=True, slots=True)
class ResponseSchema:
    """A schema that replies are read by.

    Attributes:
        source: As the user gave it.
        json_schema: As JSON Schema.
        name: Its title.
        strict: Whether types are not converted and unnamed properties refused.
    """

    source: Any
    json_schema: Mapping[str, Any]
    name: str
    strict: bool = False

    @classmethod
    def of(cls, source: Any, *, strict: bool | None = None) -> ResponseSchema:
        """Reads a schema.

        Args:
            source: A pydantic class (2 or 1), a dataclass, a TypedDict, JSON Schema, or an OpenAI function or tool.
            strict: See `strict`.

        Returns:
            The schema.

        Raises:
            ValueError: It is none of these.
        """
        schema = _json_schema(source)
        return cls(source, schema, str(schema.get("title") or _UNNAMED), strict is True)

    @property
    def traced(self) -> Any:
        """The schema for LangSmith, in a form that LangChain can convert."""
        return {**self.json_schema, "title": self.name} if is_dataclass(self.source) else self.source

    @property
    def tool(self) -> dict[str, Any]:
        """The schema as an OpenAI tool."""
        parameters = {key: value for key, value in self.json_schema.items() if key not in ("title", "description")}
        text = self.json_schema.get("description") or "Gives the reply."
        return {"type": "function", "function": {"name": self.name, "description": text, "parameters": parameters}}

    @property
    def response_format(self) -> dict[str, Any]:
        """The schema as OpenAI's `response_format`."""
        inner: dict[str, Any] = {"name": self.name, "schema": dict(self.json_schema)}
        return {"type": "json_schema", "json_schema": {**inner, "strict": True} if self.strict else inner}

    def from_text(self, text: str) -> Any:
        """Reads the value out of a reply.

        Args:
            text: JSON, alone, in a code block or in prose.

        Returns:
            The value.

        Raises:
            OutputParserException: There is none, or it does not fit.
        """
        try:
            value = find_json(text, self._is_kind)
        except ValueError as error:
            shown = text if len(text) <= _QUOTED_CHARS else f"{text[:_QUOTED_CHARS]}…"
            raise OutputParserException(f"{self.name}: {error}. The reply: {shown}", llm_output=text) from error
        return self._checked(value, text)

    def find(self, text: str) -> FoundJson | None:
        """Finds where in a reply its value stands: the last one that fits, else the last of its kind.

        Args:
            text: The reply.

        Returns:
            The value and what stands around it, or None if there is none.
        """
        for wanted in (self._fits, self._is_kind):
            try:
                return locate_json(text, wanted)
            except ValueError:
                continue
        return None

    def from_calls(self, message: AIMessage) -> Any:
        """Reads the value out of the call of the schema's tool.

        Args:
            message: The reply.

        Returns:
            The value.

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
        return self._checked(arguments, json.dumps(arguments, ensure_ascii=False))

    def from_part(self, text: str) -> Any:
        """Reads what there is of a value.

        Args:
            text: The beginning of a reply.

        Returns:
            A value that is valid so far, or None if there is none, or if the reply is not JSON from its beginning.
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

    @property
    def _is_plain(self) -> bool:
        return not (isinstance(self.source, type) and (_is_model(self.source) or is_dataclass(self.source)))

    def _is_kind(self, value: Any) -> bool:
        """Tells whether a value may be the one that is meant, and not something that happens to be JSON."""
        schema: Any = self.json_schema
        if (reference := str(schema.get("$ref", ""))).startswith("#/$defs/"):  # A class that refers to itself.
            schema = schema["$defs"].get(reference.removeprefix("#/$defs/"), {})
        kind = {"object": dict, "array": list, "string": str}.get(str(schema.get("type")), object)
        return isinstance(value, kind)

    def _fits(self, value: Any) -> bool:
        return self._is_kind(value) and not problems(value, self.json_schema, closed=self.strict)

    def _checked(self, value: Any, text: str) -> Any:
        wrong = problems(value, self.json_schema, closed=self.strict) if self._is_plain or self.strict else []
        if wrong:
            raise OutputParserException(f"{self.name}: {'; '.join(wrong)}", llm_output=text)
        try:
            return self._converted(value)
        except (ValueError, pydantic.v1.ValidationError) as error:
            raise OutputParserException(f"{self.name}: {error}", llm_output=text) from error

    def _converted(self, value: Any) -> Any:
        if self._is_plain:
            return value
        if issubclass(self.source, pydantic.v1.BaseModel):
            return self.source.parse_obj(value)
        # JSON's own rules, in which a string may be a date even where types are not converted.
        written = json.dumps(value)
        strict = True if self.strict else None
        if issubclass(self.source, pydantic.BaseModel):
            return self.source.model_validate_json(written, strict=strict)
        return pydantic.TypeAdapter(self.source).validate_json(written, strict=strict)


def _is_model(source: type) -> bool:
    return issubclass(source, pydantic.BaseModel | pydantic.v1.BaseModel)


def _json_schema(source: Any) -> Mapping[str, Any]:
    if isinstance(source, type) and issubclass(source, pydantic.BaseModel):
        return {"title": source.__name__, **source.model_json_schema()}
    if isinstance(source, type) and issubclass(source, pydantic.v1.BaseModel):
        return source.schema()
    if isinstance(source, type) and is_dataclass(source):
        return {"title": source.__name__, **pydantic.TypeAdapter(source).json_schema()}
    if isinstance(source, Mapping) and not _is_function(source):
        if not set(source) & {"type", "properties", "anyOf", "oneOf", "allOf", "$ref", "enum", "const"}:
            raise ValueError(f"This is no JSON Schema: {str(dict(source))[:200]}")
        return source
    if not isinstance(source, Mapping) and not isinstance(source, type):
        raise ValueError(f"This is no schema: {source!r}")  # noqa: TRY004  # One error for all of them.
    return convert_to_json_schema(source if isinstance(source, type) else dict(source))


def _is_function(source: Mapping[str, Any]) -> bool:
    return ("name" in source and ("parameters" in source or "input_schema" in source)) or "function" in source
