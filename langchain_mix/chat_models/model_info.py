"""Describes ChatMix without a request: its profile, and estimates of tokens.

Mix names no tokenizer, the model may be any, and nothing is downloaded to count: four bytes of UTF-8 count as a token.
For English that is what LangChain's own estimate gives; for scripts whose letters have two or three bytes it is nearer
to the truth than counting letters. Context windows are the server's business and in no profile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

from langchain_core.language_models import ModelProfile
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

_PROFILE: Final[dict[str, Any]] = {
    "text_inputs": True,
    # Files are uploaded and URLs named for the agent's own tools to read; which tools there are is up to the server.
    "image_inputs": True,
    "image_url_inputs": True,
    "pdf_inputs": True,
    "audio_inputs": True,
    "video_inputs": True,
    "attachment": True,
    "image_tool_message": True,
    "pdf_tool_message": True,
    "text_outputs": True,
    "image_outputs": False,
    "audio_outputs": False,
    "video_outputs": False,
    "reasoning_output": True,
    "reasoning_effort_levels": ["off", "basic", "medium", "maximum"],
    # Requested in the prompt: there is no native way, and this one works in agents.
    "tool_calling": True,
    "tool_choice": True,
    # LangChain's agents pass the schema as `response_format` then, which ChatMix answers; else as a tool.
    "structured_output": True,
    "mid_conversation_system_messages": False,
    "temperature": False,
}


def profile_of(model: str | None = None) -> ModelProfile:
    """Describes a ChatMix with this model. The limits of its context are unknown and not in the profile.

    Keys that this langchain-core does not know are left out.
    """
    found = {key: value for key, value in _PROFILE.items() if key in ModelProfile.__annotations__}
    if model:
        found["name"] = model
    return cast("ModelProfile", found)


BYTES_PER_TOKEN: Final = 4
TOKENS_PER_MESSAGE: Final = 3
"""Marks around a message that name its role."""
TOKENS_PER_FILE: Final = 20
"""A file is uploaded, and its name is in the message."""

_UNSENT: Final = frozenset({"reasoning", "thinking", "redacted_thinking"})


def approximate_tokens(text: str) -> int:
    """Estimates the tokens of a text."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def approximate_token_ids(text: str) -> list[int]:
    """Splits a text where the estimate does: as many numbers as it has tokens.

    The numbers are its bytes and mean nothing to any model.
    """
    data = text.encode("utf-8", "surrogatepass")
    return [int.from_bytes(data[i : i + BYTES_PER_TOKEN], "big") for i in range(0, len(data), BYTES_PER_TOKEN)]


def approximate_message_tokens(messages: Iterable[BaseMessage], tools: Sequence[Any] | None = None) -> int:
    """Estimates the tokens of messages and tools (in any form that LangChain takes).

    The estimate of several messages is the sum of theirs.
    """
    described = sum(approximate_tokens(_json(convert_to_openai_tool(tool))) for tool in tools or ())
    return described + sum(_of_message(message) for message in messages)


def _of_message(message: BaseMessage) -> int:
    from langchain_mix.chat_models.inputs import is_file  # noqa: PLC0415  # Every model has a profile; few count tokens.

    content = [message.content] if isinstance(message.content, str) else message.content
    said = [_text(block) for block in content if not is_file(block)]
    said.append(message.name or "")
    if isinstance(message, AIMessage):
        said += [_json([call["name"], call["args"]]) for call in message.tool_calls]
    elif isinstance(message, ToolMessage):
        said.append(message.tool_call_id)
    files = sum(TOKENS_PER_FILE for block in content if is_file(block))
    return approximate_tokens("".join(said)) + files + TOKENS_PER_MESSAGE


def _text(block: Any) -> str:
    """Returns what a block adds. Calls of the application's tools are in the message's `tool_calls` and count there."""
    if not isinstance(block, Mapping):
        return str(block)
    kind = block.get("type")
    if kind in _UNSENT or kind in {"tool_call", "tool_use", "tool_call_chunk"}:
        return ""
    if isinstance(text := block.get("text"), str):
        return text
    return _json({key: value for key, value in block.items() if key not in {"type", "index", "extras"}})


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
