"""Makes replies values of a schema (`with_structured_output`): requested in the prompt, checked, repaired once.

Owns: requesting it in the prompt (Mix has no response formats), reading the reply, checking it, and one repair.
Refuses to know: how a model is called; any chat model that takes `response_format` and `bind_tools` will do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Literal, cast

from langchain_core.exceptions import OutputParserException
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, convert_to_messages
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.utils import AddableDict

from langchain_mix.chat_models.json_text import write_json
from langchain_mix.chat_models.response_schema import ResponseSchema
from langchain_mix.chat_models.tool_prompt import CALLS_CHECKED
from langchain_mix.errors import MixInputError

Method = Literal["json_schema", "function_calling", "json_mode"]

_METHODS = ("json_schema", "function_calling", "json_mode")
_ANY_OBJECT: Mapping[str, Any] = {"title": "response", "type": "object"}
_PROMPT = """\
<response_format>
Give your reply as data: one JSON value that is valid against this JSON Schema, with no text before or after it and no \
code fence. Use your own tools first where you need them. Any response format that you were given before is void.

<schema>
{schema}
</schema>
</response_format>"""
_REPAIR = """\
Your reply is not what was asked for:
{error}

Give the whole reply again as it was asked for, and nothing else."""


def response_prompt(response_format: Any) -> str:
    """Returns the text that asks the agent for structured output; empty if any reply will do.

    Args:
        response_format: OpenAI's `{"type": "json_schema", "json_schema": {"schema": …}}`, which LangChain's agents
            send, `{"type": "json_object"}`, `{"type": "text"}` or None; or a schema itself: a pydantic class, a
            TypedDict, a dataclass, or JSON Schema.

    Raises:
        MixInputError: It is none of these. It is a `ValueError`.
    """
    form = response_schema(response_format)
    return _PROMPT.format(schema=write_json(form.json_schema)) if form is not None else ""


def response_schema(response_format: Any) -> ResponseSchema | None:
    """Reads the schema of a response format, as `response_prompt` takes it; None if any reply will do.

    Raises:
        MixInputError: It is none of these. It is a `ValueError`.
    """
    if response_format is None or (isinstance(response_format, Mapping) and response_format.get("type") == "text"):
        return None
    try:
        return _format_schema(response_format)
    except ValueError as error:
        raise MixInputError(f"The response_format cannot be used: {error}") from error


def _format_schema(response_format: Any) -> ResponseSchema:
    kind = response_format.get("type") if isinstance(response_format, Mapping) else None
    if kind == "json_object":
        return ResponseSchema.of({"type": "object"})
    if kind == "json_schema":
        inner = response_format.get("json_schema", response_format)
        if not isinstance(inner, Mapping) or not isinstance(schema := inner.get("schema"), Mapping):
            raise ValueError("one of type json_schema has its schema in json_schema.schema.")
        return ResponseSchema.of(schema, name=str(inner.get("name") or ""), strict=inner.get("strict"))
    return ResponseSchema.of(response_format)


def structured(
    model: BaseChatModel,
    schema: Any = None,
    *,
    method: Method = "json_schema",
    include_raw: bool = False,
    strict: bool | None = None,
    **kwargs: Any,
) -> Runnable[LanguageModelInput, Any]:
    """Makes a runnable with structured output: values of a schema.

    A reply that cannot be read or does not fit is reported to the model with the error, once; `invoke`, `ainvoke` and
    `batch` give what it says then. Streams give the value as it grows, whenever it is valid so far, and are not
    repaired: they end with the complete value or the error. With `function_calling` they give the value at the end.

    Args:
        model: The chat model.
        schema: A pydantic class (2 or 1), a dataclass, a TypedDict, JSON Schema, or an OpenAI function. Pydantic
            classes and dataclasses give instances, the others JSON data as the agent wrote them, checked against the
            schema. None with `json_mode` takes any object.
        method: `json_schema` puts the schema into the prompt; `json_mode` requests any JSON object, and the message has
            to say which; `function_calling` makes the reply the call of a tool. All of them are requests in words: Mix
            itself enforces none. With `function_calling`, a value that is no object is the call's argument `value`.
        include_raw: Whether the output is `{"raw": message, "parsed": value or None, "parsing_error": error or None}`.
        strict: True takes no type for another (`"1"` for 1) and no properties that the schema does not name; else the
            schema's own rules hold.
        **kwargs: None is known.

    Returns:
        The runnable. Without `include_raw` it raises `OutputParserException` when the repair fails too.

    Raises:
        ValueError: An argument is unknown, or the schema is missing or of no known kind.
    """
    if kwargs:
        raise ValueError(f"Received unsupported arguments {kwargs}")
    if method not in _METHODS:
        raise ValueError(f"Unknown method {method!r}; there are {', '.join(_METHODS)}.")
    if schema is None and method != "json_mode":
        raise ValueError(f"The method {method!r} needs a schema.")
    form = ResponseSchema.of(schema if schema is not None else _ANY_OBJECT, strict=strict)
    tracing = {"kwargs": {"method": method}, "schema": form.traced}
    bound: Runnable[LanguageModelInput, AIMessage]
    if method == "function_calling":
        checked = {CALLS_CHECKED: True}  # What is missing is requested once, whether it is the call or what is in it.
        bound = model.bind_tools([form.tool], tool_choice=form.name, ls_structured_output_format=tracing, **checked)
    else:
        wanted = {"type": "json_object"} if method == "json_mode" else form.response_format
        bound = model.bind(response_format=wanted, ls_structured_output_format=tracing)
    return StructuredOutput(bound, form, called=method == "function_calling", include_raw=include_raw)


class StructuredOutput(Runnable[LanguageModelInput, Any]):
    """A chat model whose replies are read as values of a schema. Made by `structured`."""

    def __init__(
        self, bound: Runnable[LanguageModelInput, AIMessage], form: ResponseSchema, *, called: bool, include_raw: bool
    ) -> None:
        """Joins a model and a schema. The value is in a tool call if `called`, else it is JSON in the text."""
        self.bound = bound
        self.form = form
        self.called = called
        self.include_raw = include_raw

    def invoke(self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Asks, and asks once more if the reply does not fit.

        Raises:
            OutputParserException: The second reply does not fit either.
        """
        return self._call_with_config(self._ask, input, config, **kwargs)

    async def ainvoke(self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Does what `invoke` does, natively asynchronous."""
        return await self._acall_with_config(self._aask, input, config, **kwargs)

    def stream(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Iterator[Any]:
        """Yields values that are valid so far, the last of them complete; with `include_raw` dictionaries that add up.

        Raises:
            OutputParserException: The complete reply does not fit.
        """
        yield from self._transform_stream_with_config(iter([input]), self._grow, config, **kwargs)

    async def astream(
        self,
        input: LanguageModelInput,  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        """Does what `stream` does, natively asynchronous."""

        async def once() -> AsyncIterator[LanguageModelInput]:
            yield input

        async for value in self._atransform_stream_with_config(once(), self._agrow, config, **kwargs):
            yield value

    def _ask(self, conversation: LanguageModelInput, run_manager: Any, config: RunnableConfig, **kwargs: Any) -> Any:  # noqa: ARG002
        message = self.bound.invoke(conversation, config, **kwargs)
        parsed, error = self._read(message)
        if error is not None:
            message = self.bound.invoke(_repair(conversation, message, error), config, **kwargs)
            parsed, error = self._read(message)
        return self._output(message, parsed, error)

    async def _aask(
        self,
        conversation: LanguageModelInput,
        run_manager: Any,  # noqa: ARG002  # LangChain's helpers pass it by name.
        config: RunnableConfig,
        **kwargs: Any,
    ) -> Any:
        message = await self.bound.ainvoke(conversation, config, **kwargs)
        parsed, error = self._read(message)
        if error is not None:
            message = await self.bound.ainvoke(_repair(conversation, message, error), config, **kwargs)
            parsed, error = self._read(message)
        return self._output(message, parsed, error)

    def _grow(
        self,
        inputs: Iterator[LanguageModelInput],
        run_manager: Any,  # noqa: ARG002  # LangChain's helpers pass it by name.
        config: RunnableConfig,
        **kwargs: Any,
    ) -> Iterator[Any]:
        reader = _Growing(self)
        for conversation in inputs:
            for chunk in self.bound.stream(conversation, config, **kwargs):
                yield from reader.feed(chunk)
        yield from reader.finish()

    async def _agrow(
        self,
        inputs: AsyncIterator[LanguageModelInput],
        run_manager: Any,  # noqa: ARG002  # The same.
        config: RunnableConfig,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        reader = _Growing(self)
        async for conversation in inputs:
            async for chunk in self.bound.astream(conversation, config, **kwargs):
                for value in reader.feed(chunk):
                    yield value
        for value in reader.finish():
            yield value

    def _read(self, message: AIMessage) -> tuple[Any, OutputParserException | None]:
        try:
            return (self.form.from_calls(message) if self.called else self.form.from_text(message.text)), None
        except OutputParserException as error:
            return None, error

    def _output(self, message: AIMessage, parsed: Any, error: OutputParserException | None) -> Any:
        if self.include_raw:
            return {"raw": message, "parsed": parsed, "parsing_error": error}
        if error is not None:
            raise error
        return parsed


class _Growing:
    """A streamed reply, read while it grows."""

    def __init__(self, output: StructuredOutput) -> None:
        self._output = output
        self._chunks: list[AIMessageChunk] = []
        self._text = ""
        self._read_at = 0
        self._last: Any = None

    def feed(self, chunk: AIMessage) -> Iterator[Any]:
        if self._output.include_raw:
            yield AddableDict(raw=chunk)
        if self._output.called:
            self._chunks.append(cast("AIMessageChunk", chunk))
            return
        self._text += chunk.text
        # A long value is read again only when it has grown by a share, so that the whole costs little.
        if self._output.include_raw or len(self._text) - self._read_at <= len(self._text) // 64:
            return
        self._read_at = len(self._text)
        value = self._output.form.from_part(self._text)
        if value is not None and value != self._last:
            self._last = value
            yield value

    def finish(self) -> Iterator[Any]:
        whole = self._whole()
        parsed, error = self._output._read(whole)  # noqa: SLF001  # One class in two halves.
        if self._output.include_raw:
            yield AddableDict(parsed=parsed, parsing_error=error)
        elif error is not None:
            raise error
        elif parsed != self._last or self._last is None:
            yield parsed

    def _whole(self) -> AIMessage:
        if not self._output.called:
            return AIMessage(content=self._text)
        first, *others = self._chunks or [AIMessageChunk(content="")]
        return add_ai_message_chunks(first, *others)


def _repair(conversation: LanguageModelInput, reply: AIMessage, error: OutputParserException) -> Sequence[BaseMessage]:
    asked = [HumanMessage(conversation)] if isinstance(conversation, str) else convert_to_messages(conversation)
    return [*asked, reply, HumanMessage(content=_REPAIR.format(error=error))]
