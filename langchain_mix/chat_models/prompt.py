"""LangChain messages to what a Mix session is sent.

Owns: which part of a conversation is the system prompt and which the message. Refuses to know: sessions and turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_mix.errors import MixInputError

_INTRODUCTION = "This is the conversation so far; answer its last message."


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a new session gets.

    Attributes:
        system: For the session's own prompt; empty if there is none.
        text: The message.
    """

    system: str
    text: str


def prompt_of(messages: Sequence[BaseMessage]) -> Prompt:
    """Makes the prompt for a new session.

    A single user message is sent as it is. A longer conversation, which the new session knows nothing of, is sent as a
    transcript.

    Args:
        messages: The conversation, oldest first.

    Returns:
        The prompt.

    Raises:
        MixInputError: There is no text to send, or a part that cannot be sent.
    """
    system = "\n\n".join(text_of(m) for m in messages if isinstance(m, SystemMessage))
    spoken = [m for m in messages if not isinstance(m, SystemMessage)]
    if not spoken:
        raise MixInputError("There is no message to send but system messages.", hint="Add a HumanMessage.")
    if len(spoken) == 1 and isinstance(spoken[0], HumanMessage):
        text = text_of(spoken[0])
    else:
        text = "\n\n".join([_INTRODUCTION, *(f"{_speaker(m)}: {text_of(m)}" for m in spoken)])
    if not text.strip():
        raise MixInputError("The message to send is empty.", hint="Mix takes no empty messages.")
    return Prompt(system, text)


def text_of(message: BaseMessage) -> str:
    """The text of a message.

    Raises:
        MixInputError: It holds something else than text that was meant for the model.
    """
    if isinstance(message.content, str):
        return message.content
    return "".join(_text_of_part(part, message) for part in message.content)


def _text_of_part(part: str | dict[Any, Any], message: BaseMessage) -> str:
    if isinstance(part, str):
        return part
    if part.get("type") in {"text", "text-plain"}:
        return str(part.get("text", ""))
    if isinstance(message, AIMessage):
        return ""  # Reasoning and tools of earlier turns are no part of what was said.
    raise MixInputError(
        f"A {part.get('type')!r} block cannot be sent to Mix as part of a message.",
        hint="Upload files with `Mix.files.upload_session_file` and name them in the text.",
    )


def _speaker(message: BaseMessage) -> str:
    if isinstance(message, AIMessage):
        return "Assistant"
    if isinstance(message, ToolMessage):
        return f"Result of tool {message.name}" if message.name else "Result of a tool"
    if isinstance(message, ChatMessage):
        return message.role.capitalize()
    return f"User {message.name}" if message.name else "User"
