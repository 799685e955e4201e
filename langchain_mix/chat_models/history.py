"""Writes LangChain messages as the text that is sent to Mix, and hashes them to show whether they were changed.

Owns: what of a message counts, the hash that proves that nothing of it was changed, and the text that is sent: new
messages as they are, a history that the session does not hold as a transcript.
Refuses to know: sessions and pointers (`alignment.py`), how tool results are written (`tool_prompt.py`), uploads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import groupby
from typing import Any, Final, Literal, TypeAlias

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
)

from langchain_mix.errors import MixInputError

Kind = Literal["system", "human", "ai", "tool"]
"""Whose message it is: of the application, to the agent, of the agent, or of a tool of the application."""

INTRODUCTION: Final = "Below is the conversation so far, which took place elsewhere."
"""The beginning of a transcript of a whole conversation."""
CONTINUATION: Final = "Below is how the conversation went on elsewhere since your last message here."
"""The beginning of a transcript in a session that holds what came before."""
KEY: Final = 'A line in square brackets says who speaks; every line of what was said begins with "> ".'
"""The key to a transcript. No line of what was said can be taken for a line in brackets."""
QUESTION: Final = "[Message to answer]"
"""The line after which a transcript ends and the message to answer follows as it is."""
NO_QUESTION: Final = "[There is no newer message: go on from here]"
"""The last line of a transcript that ends with an answer."""
RENEWED: Final = "[Instructions from here on, in the place of all that were given before]"
"""The first line of a message that brings another setup than the session was given last."""
MESSAGE: Final = "[Message]"
"""The line between that setup and the message itself."""

_KIND_OF_ROLE: Final[Mapping[str, Kind]] = {
    "assistant": "ai",
    "ai": "ai",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}
_TEXT_TYPES: Final = frozenset({"text", "text-plain", "input_text", "output_text"})
_MEDIA_NAMES: Final[Mapping[str, str]] = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "audio": "audio",
    "input_audio": "audio",
    "video": "video",
    "file": "file",
    "document": "document",
    "text-plain": "file",
}
_UNSAID: Final = frozenset({"index", "extras", "annotations", "cache_control"})

WriteResults: TypeAlias = Callable[[list[ToolMessage], dict[str, ToolCall]], str]
"""Writes results of the application's tools that are to be answered, given the calls that they answer by id."""

_Part = str | Mapping[str, Any]
"""A piece of text, or a block that is none."""


def kind_of(message: BaseMessage) -> Kind:
    """Returns whose message it is. A `ChatMessage` with a role of its own is one to the agent.

    Raises:
        MixInputError: It is no message that a model can be given.
    """
    match message:
        case AIMessage():
            return "ai"
        case HumanMessage():
            return "human"
        case SystemMessage():
            return "system"
        case ToolMessage() | FunctionMessage():
            return "tool"
        case ChatMessage():
            return _KIND_OF_ROLE.get(message.role.lower(), "human")
        case _:
            raise MixInputError(
                f"A {type(message).__name__} cannot be sent.", hint="Send human, AI, system and tool messages."
            )


def calls_by_id(messages: Iterable[BaseMessage]) -> dict[str, ToolCall]:
    """All tool calls of a conversation, by their ids."""
    return {call["id"] or "": call for m in messages if isinstance(m, AIMessage) for call in m.tool_calls}


def system_text(messages: Iterable[BaseMessage]) -> str:
    """The system messages of a conversation as one prompt; empty if there are none."""
    return "\n\n".join(filter(None, (_joined(m, _refused) for m in messages if kind_of(m) == "system")))


def with_setup(setup: str, text: str) -> str:
    """Returns a message that gives a session another setup (empty for none) and then says `text`."""
    return f"{RENEWED}\n\n{setup or '(none)'}\n\n{MESSAGE}\n\n{text}"


def said(message: BaseMessage) -> str:
    """Returns the text of a message, without what its media, reasoning and tools hold."""
    return "".join(part for part in _parts(message) if isinstance(part, str))


def setup_digest(text: str) -> str:
    """Hash of the setup text that a session was given; empty for no text."""
    return _hash(text.encode("utf-8", "surrogatepass")) if text else ""


def digest(messages: Iterable[BaseMessage]) -> str:
    """Hash of a conversation, equal for conversations that say the same; empty if there is nothing to count.

    Counted are roles, names of users, text, media, and calls and results of the application's tools. Not counted are
    system messages, ids, usage, metadata, reasoning, and what tools of the server did. It does not change when
    messages are stored and loaded, or when text moves between a string and blocks.
    """
    last = ""
    for message in messages:
        last = extend(last, message)
    return last


def extend(before: str, message: BaseMessage) -> str:
    """Returns the digest of a conversation with one more message; the same if that is a system message."""
    kind = kind_of(message)
    if kind == "system":
        return before
    said: list[Any] = [before, kind, _name(message) if kind == "human" else "", _digest_parts(message)]
    if isinstance(message, AIMessage):
        said.append([[c["id"] or "", c["name"], c["args"]] for c in message.tool_calls])
        said.append([[c["id"] or "", c["name"] or "", c["args"] or ""] for c in message.invalid_tool_calls])
    elif isinstance(message, ToolMessage):
        said += [message.tool_call_id, message.status]
    return _hash(_canonical(said))


def _digest_parts(message: BaseMessage) -> list[Any]:
    found: list[Any] = []
    for is_text, group in groupby(_parts(message), key=lambda part: isinstance(part, str)):
        if is_text:
            found.append("".join(str(part) for part in group))
        else:
            found += [[_media_name(b), _hash(_canonical(_content_of(b)))] for b in group if isinstance(b, Mapping)]
    return found


def _content_of(block: Mapping[str, Any]) -> dict[str, Any]:
    unsaid = _UNSAID if block.get("source_type") == "id" else _UNSAID | {"id"}
    return {key: value for key, value in block.items() if key not in unsaid}


def _canonical(value: Any) -> bytes:
    """JSON that does not depend on the order of keys or on what a store made of tuples and sets."""
    return json.dumps(_plain(value), separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {k: _plain(v) for k, v in sorted((str(k), v) for k, v in value.items())}
        case set() | frozenset():
            return sorted(json.dumps(_plain(v)) for v in value)
        case bytes() | bytearray():
            return _hash(bytes(value))
        case Iterable():
            return [_plain(v) for v in value]
        case _:
            return str(value)


def _hash(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()


def text_to_send(
    messages: Sequence[BaseMessage],
    write_results: WriteResults,
    *,
    calls: Mapping[str, ToolCall] | None = None,
    continued: bool = False,
) -> str:
    """Returns the text that gives a session what it does not hold yet.

    Messages to the agent are sent as they are, joined by a blank line; each with a line that says who speaks if any
    has a name or a role of its own. If answers that the session did not give are between them, all up to the last one
    becomes a transcript, which ends with the message to answer. Nothing is cut, whatever the size.

    Args:
        messages: What the session does not hold, oldest first. System messages are left out.
        write_results: How to write results of the application's tools.
        calls: The tool calls of the whole conversation by their ids.
        continued: The session holds what came before.

    Raises:
        MixInputError: There is nothing to answer, or something that cannot be sent.
    """
    spoken = [m for m in messages if kind_of(m) != "system"]
    known = {**(calls or {}), **calls_by_id(spoken)}
    answered = max((i + 1 for i, m in enumerate(spoken) if kind_of(m) == "ai"), default=0)
    question = _question(spoken[answered:], known, write_results)
    if not answered:
        if not question.strip():
            raise MixInputError("The message to send is empty.", hint="Mix takes no empty messages.")
        return question
    if spoken[answered:] and not question.strip():
        raise MixInputError("The message to answer is empty.", hint="Mix takes no empty messages.")
    parts = [f"{CONTINUATION if continued else INTRODUCTION} {KEY}"]
    parts += [_part(m, known) for m in spoken[:answered]]
    parts.append(f"{QUESTION}\n\n{question}" if spoken[answered:] else NO_QUESTION)
    return "\n\n".join(parts)


def _question(messages: Sequence[BaseMessage], calls: dict[str, ToolCall], write_results: WriteResults) -> str:
    named = any(kind_of(m) == "human" and _name(m) for m in messages)
    texts: list[str] = []
    for kind, group in groupby(messages, key=kind_of):
        if kind == "tool":
            texts.append(write_results([_tool_message(m) for m in group], calls))
        elif named:
            texts += [_quoted(_speaker(m), _joined(m, _refused)) for m in group]
        else:
            texts += [_joined(m, _refused) for m in group]
    return "\n\n".join(filter(None, texts))


def _part(message: BaseMessage, calls: Mapping[str, ToolCall]) -> str:
    """One message of a transcript, with the calls it makes."""
    # Files have been taken out of results (`inputs.py`): what is no text is data, whatever its type is called.
    write = (lambda block: _json(dict(block))) if kind_of(message) == "tool" else _named
    text = _joined(message, write)
    if kind_of(message) == "tool":
        result = _tool_message(message)
        name = result.name or calls.get(result.tool_call_id, {"name": ""})["name"]
        what = "Error" if result.status == "error" else "Result"
        return _quoted(f"{what} of {_tool(name, result.tool_call_id)}", text)
    if not isinstance(message, AIMessage):
        return _quoted(_speaker(message), text)
    speaker = _speaker(message)
    parts = [_quoted(f"{speaker} calls {_tool(c['name'], c['id'])}", _json(c["args"])) for c in message.tool_calls]
    parts += [
        _quoted(f"{speaker} calls {_tool(c['name'], c['id'])} with malformed arguments", c["args"] or "")
        for c in message.invalid_tool_calls
    ]
    if text or not parts:
        parts.insert(0, _quoted(speaker, text))
    return "\n\n".join(parts)


def _speaker(message: BaseMessage) -> str:
    who = {"ai": "Assistant", "human": "User"}.get(kind_of(message), "User")
    if isinstance(message, ChatMessage) and kind_of(message) == "human" and not _is_user(message):
        who = f"Role {_json(message.role)}"
    return f"{who} {_json(message.name)}" if message.name else who


def _name(message: BaseMessage) -> str:
    """Returns what distinguishes this speaker from the plain user; empty for the plain user."""
    speaker = _speaker(message)
    return "" if speaker == "User" else speaker


def _is_user(message: ChatMessage) -> bool:
    return message.role.lower() in {"user", "human"}


def _tool(name: str | None, call_id: str | None) -> str:
    tool = f"tool {_json(name)}" if name else "a tool"
    return f"{tool}, call {_json(call_id)}" if call_id else tool


def _quoted(speaker: str, text: str) -> str:
    """A part of a transcript. Every line break there is in Unicode starts a new marked line, so none can be faked."""
    lines = text.splitlines(keepends=True)
    if not lines or lines[-1].splitlines()[0] != lines[-1]:
        lines.append("")
    return f"[{speaker}]\n" + "".join(f"> {line}" for line in lines)


def _json(value: Any) -> str:
    """JSON on one line, readable in any script."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text.splitlines()) == 1 else json.dumps(value, default=str)


def _tool_message(message: BaseMessage) -> ToolMessage:
    if isinstance(message, ToolMessage):
        return message
    return ToolMessage(content=message.content, name=message.name, tool_call_id="")


def _joined(message: BaseMessage, write: Callable[[Mapping[str, Any]], str]) -> str:
    return "\n\n".join(part if isinstance(part, str) else write(part) for part in _parts(message))


def _parts(message: BaseMessage) -> list[_Part]:
    """Returns what a message says, without empty texts. Adjacent texts are one, unless unsaid blocks are in between."""
    if isinstance(message.content, str):
        return [message.content] if message.content else []
    is_ai = kind_of(message) == "ai"
    parts: list[_Part] = []
    side_by_side = False
    for block in message.content:
        text = _text(block)
        if text is None:
            side_by_side = False
            if not is_ai or _is_media(block):
                parts.append(block if isinstance(block, Mapping) else str(block))
        elif text:
            last = parts[-1] if parts and side_by_side else None
            if isinstance(last, str):
                parts[-1] = last + text
            else:
                parts.append(text)
            side_by_side = True
    return parts


def _text(block: str | Mapping[str, Any]) -> str | None:
    if isinstance(block, str):
        return block
    kind = str(block.get("type"))
    found = block.get("text") if kind in _TEXT_TYPES else block.get("refusal") if kind == "refusal" else None
    return found if isinstance(found, str) else None


def _is_media(block: str | Mapping[str, Any]) -> bool:
    return isinstance(block, Mapping) and str(block.get("type")) in _MEDIA_NAMES


def _media_name(block: Mapping[str, Any]) -> str:
    kind = str(block.get("type", "block"))
    return _MEDIA_NAMES.get(kind, kind)


def _named(block: Mapping[str, Any]) -> str:
    """A word for a file that could not be taken out of an answer; data of a tool as it is."""
    return f"[{_media_name(block)}]" if _is_media(block) else _json(dict(block))


def _refused(block: Mapping[str, Any]) -> str:
    raise MixInputError(
        f"A {block.get('type')!r} block cannot be sent to Mix as part of a message.",
        hint="Upload files with `Mix.files.upload_session_file` and name them in the text.",
    )
