"""Any LangChain chat model as the agent.

Owns: the way from a conversation to messages and back, and the tools as a model sees them.
Refuses to know: how the tools work, and which model answers.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
)
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.runnables import Runnable

from langchain_mix.emulator.agents.base import Fail, Line, Piece, Request, Text, Thinking, ToolUse, Usage
from langchain_mix.emulator.state.catalogue import TOOLS
from langchain_mix.generators import Owned

_REFUSED = {
    "Bash": " This server is an emulator and refuses every command.",
    "Search": " This server is an emulator without a network.",
}
BASE_PROMPT = (
    "You are the agent of a Mix server. You work for the user with the tools you are given; the session's files can be "
    "found with Glob, searched with Grep and read with ReadText. Tell the truth about what you did."
)
NO_ANSWER = "(no result: the tool was interrupted)"


class ModelAgent:
    """Lets a chat model answer, with the server's tools bound to it."""

    def __init__(self, model: BaseChatModel) -> None:
        """Takes any LangChain chat model; one that cannot bind tools answers without them."""
        self._model = model

    async def reply(self, request: Request) -> AsyncIterator[Piece]:
        """Streams one answer of the model. A failing provider becomes `Fail`."""
        whole: AIMessageChunk | None = None
        stream = self._runnable(request).astream(list(messages_of(request)))
        try:
            async with Owned(stream) as chunks:
                async for chunk in chunks:
                    part = _as_chunk(chunk)
                    whole = part if whole is None else whole + part
                    for piece in _shown(part, thinking=request.thinking_level != "off"):
                        yield piece
        except Exception as error:  # noqa: BLE001  Providers raise anything, and all of it ends the turn.
            yield _failure(error)
            return
        if whole is not None:
            for piece in _closing(whole):
                yield piece

    def _runnable(self, request: Request) -> Runnable[LanguageModelInput, Any]:
        functions = [_as_function(tool) for tool in TOOLS if tool["name"] in request.tools]
        if not functions:
            return self._model
        try:
            return self._model.bind_tools(functions)
        except NotImplementedError:
            return self._model


def messages_of(request: Request) -> Iterator[BaseMessage]:
    """Writes a conversation as LangChain messages, with every tool call answered, as providers demand."""
    yield SystemMessage(_system_prompt(request))
    for index, line in enumerate(request.lines):
        if line.role == "user":
            yield HumanMessage(line.text)
        elif line.role == "assistant":
            yield from _assistant(line, request.lines[index + 1 :])


def _assistant(line: Line, later: tuple[Line, ...]) -> Iterator[BaseMessage]:
    calls = [ToolCall(name=call.name, args=dict(call.input), id=call.id, type="tool_call") for call in line.calls]
    if not line.text and not calls:
        return  # A turn that failed before its first word left an empty row, which no provider accepts.
    yield AIMessage(line.text, tool_calls=calls)
    answers = {result.call_id: result for row in later[:1] if row.role == "tool" for result in row.results}
    for call in line.calls:
        result = answers.get(call.id)
        failed = result is None or result.is_error
        output = NO_ANSWER if result is None else result.output
        yield ToolMessage(output, tool_call_id=call.id, name=call.name, status="error" if failed else "success")


def _system_prompt(request: Request) -> str:
    if request.prompt_mode == "replace" and request.system_prompt:
        return request.system_prompt
    if request.prompt_mode == "append" and request.system_prompt:
        return f"{BASE_PROMPT}\n\n{request.system_prompt}"
    return BASE_PROMPT


def _as_chunk(message: Any) -> AIMessageChunk:
    """Takes the whole messages that some models stream for chunks, and what callers wrapped around a model."""
    if isinstance(message, AIMessageChunk):
        return message
    fields = {"content": message.content, "usage_metadata": getattr(message, "usage_metadata", None), "id": message.id}
    calls = [
        tool_call_chunk(name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=index)
        for index, call in enumerate(getattr(message, "tool_calls", ()))
    ]
    return AIMessageChunk(**fields, tool_call_chunks=calls, response_metadata=message.response_metadata)


def _shown(chunk: AIMessageChunk, *, thinking: bool) -> Iterator[Piece]:
    for block in chunk.content_blocks:
        if block["type"] == "text" and (text := block.get("text")):
            yield Text(text)
        elif block["type"] == "reasoning" and thinking and (reasoning := block.get("reasoning")):
            yield Thinking(reasoning)


def _closing(whole: AIMessageChunk) -> Iterator[Piece]:
    for call in whole.tool_calls:
        yield ToolUse(name=call["name"], input=call["args"], id=call["id"] or "")
    for broken in whole.invalid_tool_calls:
        yield ToolUse(name=broken["name"] or "", id=broken["id"] or "", raw_input=broken["args"] or "")
    usage = whole.usage_metadata
    if usage is not None:
        details = usage.get("input_token_details", {})
        yield Usage(
            input_tokens=usage["input_tokens"],
            output_tokens=usage["output_tokens"],
            cache_creation_tokens=details.get("cache_creation", 0) or 0,
            cache_read_tokens=details.get("cache_read", 0) or 0,
            model=str(whole.response_metadata.get("model_name", "")),
        )


def _failure(error: Exception) -> Fail:
    status = getattr(error, "status_code", None)
    text = str(error) or type(error).__name__
    kind: Literal["provider", "rate_limit", "auth"] = "provider"
    if status == HTTPStatus.TOO_MANY_REQUESTS or "rate_limit" in text or "RateLimit" in type(error).__name__:
        kind = "rate_limit"
    elif status == HTTPStatus.UNAUTHORIZED or "Authentication" in type(error).__name__:
        kind = "auth"
    return Fail(f"failed to process events: {text}", kind)


def _as_function(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a tool in the OpenAI function format, which `bind_tools` of every provider takes."""
    schema = {"type": "object", "properties": tool["parameters"], "required": tool["required"]}
    description = tool["description"] + _REFUSED.get(tool["name"], "")
    return {"type": "function", "function": {"name": tool["name"], "description": description, "parameters": schema}}


ModelBrain = ModelAgent
"""The earlier name."""
