"""Any LangChain chat model as the agent, and the server's tools as it sees them.

Owns: the descriptions and JSON schemas of the tools, and the way from a conversation to messages and back.
Refuses to know: how the tools work, and which model answers.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
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
from langchain_mix.generators import Owned

Schema = Mapping[str, Any]


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _integer(description: str) -> Schema:
    return {"type": "integer", "description": description}


def _choice(description: str, *values: str) -> Schema:
    return {"type": "string", "enum": list(values), "description": description}


def _list_of(description: str, item: Schema) -> Schema:
    return {"type": "array", "items": item, "description": description}


def _object(required: tuple[str, ...], **properties: Schema) -> Schema:
    return {"type": "object", "properties": dict(properties), "required": list(required)}


@dataclass(frozen=True, slots=True)
class Declaration:
    """One tool, in the form that every LangChain model can bind.

    Attributes:
        name: PascalCase.
        description: For the model.
        parameters: JSON schema of the input.
    """

    name: str
    description: str
    parameters: Schema

    def as_function(self) -> dict[str, Any]:
        """Writes it in the OpenAI function format, which `bind_tools` of every provider takes."""
        function = {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}
        return {"type": "function", "function": function}


_TODO = _object(
    ("id", "content", "status", "priority"),
    id=_text("Unique identifier"),
    content=_text("Task description"),
    status=_choice("Current status", "pending", "in_progress", "completed"),
    priority=_choice("Priority", "low", "medium", "high"),
)
_OUTPUT = _object(
    ("type", "title"),
    path=_text("Absolute path of the media file"),
    type=_choice("Type of media", "image", "video", "audio", "gsap_animation", "pdf", "csv"),
    title=_text("Title of the output"),
    description=_text("What it is"),
    config={"type": "object", "description": "Configuration, for gsap_animation only"},
    startTime=_integer("Start in seconds, for video and audio"),
    duration=_integer("Length in seconds, for video and audio"),
)
_DIRECTORY = _text("Directory to search; by default all files of the session")

DECLARATIONS: Mapping[str, Declaration] = {
    declaration.name: declaration
    for declaration in (
        Declaration(
            "Bash",
            "Runs a command. This server is an emulator and refuses every command.",
            _object(("command",), command=_text("The command"), timeout=_integer("Timeout in milliseconds")),
        ),
        Declaration(
            "ReadText",
            "Reads a text file with line numbers.",
            _object(
                ("file_path",),
                file_path=_text("Absolute path, or the name of a file of the session"),
                offset=_integer("Line to start at, 0-based"),
                limit=_integer("Number of lines, 2000 by default"),
            ),
        ),
        Declaration(
            "Glob",
            "Finds files by name.",
            _object(("pattern",), pattern=_text("Such as **/*.csv"), path=_DIRECTORY),
        ),
        Declaration(
            "Grep",
            "Finds lines by a regular expression (RE2 syntax).",
            _object(
                ("pattern",),
                pattern=_text("The expression"),
                path=_DIRECTORY,
                include=_text("File pattern, such as *.py"),
                literal_text={"type": "boolean", "description": "Take the pattern literally"},
            ),
        ),
        Declaration(
            "ReadMedia",
            "Tells format and size of an image, audio, video or PDF file.",
            _object(
                ("file_path", "media_type", "prompt"),
                file_path=_text("Path of the file"),
                media_type=_choice("What it is", "image", "audio", "video", "pdf"),
                prompt=_text("What to find out"),
                pdf_pages=_text("Pages, such as 1-3,7"),
                video_interval=_text("Such as 00:20:50-00:26:10"),
            ),
        ),
        Declaration(
            "Write",
            "Writes a file. The user is asked for permission.",
            _object(("file_path", "content"), file_path=_text("Where"), content=_text("The whole content")),
        ),
        Declaration(
            "Edit",
            "Replaces one occurrence of a text in a file. The user is asked for permission.",
            _object(
                ("file_path", "old_string", "new_string"),
                file_path=_text("Which file"),
                old_string=_text("Text that occurs exactly once"),
                new_string=_text("What to put there"),
            ),
        ),
        Declaration(
            "Search",
            "Searches the web. This server is an emulator without a network.",
            _object(
                ("query",),
                query=_text("What to search"),
                search_type=_choice("What to find", "web", "images", "videos"),
            ),
        ),
        Declaration(
            "WebFetch",
            "Reads a web page. This server is an emulator without a network.",
            _object(("url",), url=_text("The address")),
        ),
        Declaration("TodoWrite", "Keeps a list of tasks.", _object(("todos",), todos=_list_of("All tasks", _TODO))),
        Declaration(
            "ExitPlanMode",
            "Presents a plan to the user and leaves plan mode.",
            _object(("plan",), plan=_text("The plan, in Markdown")),
        ),
        Declaration(
            "Show",
            "Shows media to the user.",
            _object(("outputs",), outputs=_list_of("What to show", _OUTPUT)),
        ),
        Declaration(
            "Task",
            "Gives a task to a sub-agent and returns its answer.",
            _object(
                ("description", "prompt", "subagent_type"),
                description=_text("3 to 5 words"),
                prompt=_text("The whole task"),
                subagent_type=_choice("Kind of agent", "general-purpose"),
            ),
        ),
        Declaration(
            "Notify",
            "Tells or asks the user something and waits for the answer.",
            _object(
                ("notification_type", "title", "message", "response_type"),
                notification_type=_choice("Kind", "info", "warning", "error", "question"),
                title=_text("Title"),
                message=_text("Message"),
                response_type=_choice("What is expected", "acknowledge", "text", "choice"),
                choices=_list_of("For response_type choice", _text("A choice")),
                timeout=_integer("Seconds to wait, 1 to 300"),
            ),
        ),
    )
}


BASE_PROMPT = (
    "You are the agent of a Mix server. You work for the user with the tools you are given; the session's files can be "
    "found with Glob, searched with Grep and read with ReadText. Tell the truth about what you did."
)
NO_ANSWER = "(no result: the tool was interrupted)"


class ModelAgent:
    """Lets a chat model answer, with the server's tools bound to it."""

    def __init__(self, model: BaseChatModel) -> None:
        """Takes any LangChain chat model.

        Args:
            model: If it cannot bind tools, it answers without them.
        """
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
        declared = [DECLARATIONS[name].as_function() for name in request.tools if name in DECLARATIONS]
        if not declared:
            return self._model
        try:
            return self._model.bind_tools(declared)
        except NotImplementedError:
            return self._model


def messages_of(request: Request) -> Iterator[BaseMessage]:
    """Writes a conversation as LangChain messages, with every tool call answered, as providers demand.

    Args:
        request: The conversation and its prompt.

    Yields:
        The system prompt and the rows.
    """
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


ModelBrain = ModelAgent
"""The earlier name."""
