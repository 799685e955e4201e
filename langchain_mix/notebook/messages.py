"""Messages and their chunks, read into a view.

Owns: which block of a message is which part, and that no text is shown twice when a message comes in chunks and again
as a whole. Refuses to know: the position of messages in a stream (`items.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage

from langchain_mix.notebook.media import shown_part
from langchain_mix.notebook.view import Part, Section, Tool, View, Words, as_text
from langchain_mix.pointer import KEY, read_pointer

_ROLES: Final[dict[str, Literal["assistant", "user", "system", "tool"]]] = {
    "human": "user",
    "system": "system",
    "ai": "assistant",
    "tool": "tool",
}


def read_message(view: View, message: BaseMessage, *, label: str = "", depth: int = 0) -> None:
    """Shows a message or a chunk of one. `label` names its part of a graph, which has `depth` graphs around it."""
    if isinstance(message, ToolMessage):
        _read_tool_message(view, message, label)
        return
    key = message.id or _unnamed(view, message, label)
    known = view.sections.get(key)
    role = _ROLES.get(message.type.removesuffix("MessageChunk").lower(), "assistant")
    section = view.section(key, role=role, label=label, depth=depth)
    section.depth = min(section.depth, depth)  # A graph gives on what a graph inside of it said.
    if isinstance(message, AIMessageChunk):
        section.chunks.append(message)
        _read_blocks(view, section, message)
        section.complete = message.chunk_position == "last"
    else:
        section.message = message
        if known is None or not (section.complete or _same_words(section, message)):
            _restart(view, section)
            _read_blocks(view, section, message)
        section.complete = True
    if isinstance(message, AIMessage):
        _read_metadata(view, section, message)
    if section.complete:
        _called(view, section)


def _unnamed(view: View, message: BaseMessage, label: str) -> str:
    """The section of a message without an id: a chunk goes on with the last one, if it may be of the same message."""
    last = next(reversed(view.sections), "")
    if isinstance(message, AIMessageChunk) and last.startswith("unnamed-"):
        section = view.sections[last]
        if section.chunks and not section.complete and section.label == label:
            return last
    return view.fresh_key()


def _same_words(section: Section, message: BaseMessage) -> bool:
    """True when the chunks contained all of a message that is now here as a whole."""
    shown = "".join(part.text for part in section.parts if isinstance(part, Words) and not part.thinking)
    return bool(section.chunks) and shown == message.text


def _restart(view: View, section: Section) -> None:
    """Drops the chunks of a message that is now here as a whole, but keeps what its tools did meanwhile."""
    for part in section.parts:
        if isinstance(part, Tool) and not part.over:
            view.tools.pop(part.id, None)
    done = {part.id for part in section.parts if isinstance(part, Tool) and part.over}
    section.parts[:] = [part for part in section.parts if isinstance(part, Tool) and part.id in done]
    section.places.clear()


def _called(view: View, section: Section) -> None:
    """Notes that no more arguments will come."""
    for part in section.parts:
        if isinstance(part, Tool) and part.status == "writing":
            part.status = "called"
            view.touch(part)


def _read_tool_message(view: View, message: ToolMessage, label: str) -> None:
    tool = view.tools.get(message.tool_call_id)
    if tool is None:
        section = view.section(message.id or view.fresh_key(), role="tool", label=label)
        tool = view.tool(section.parts, message.tool_call_id)
        tool.name = message.name or "tool"
    tool.status = "failed" if message.status == "error" else "succeeded"
    tool.output = message.text or as_text(message.content)
    view.touch(tool)


def _read_metadata(view: View, section: Section, message: AIMessage) -> None:
    if message.usage_metadata is not None:
        section.tokens = (message.usage_metadata["input_tokens"], message.usage_metadata["output_tokens"])
    metadata = message.response_metadata
    view.model = str(metadata.get("model_name") or view.model)
    pointer = read_pointer(metadata)
    if pointer is None:
        return
    view.session_id, view.server = pointer.session_id, pointer.server
    cost = metadata[KEY].get("cost")
    if isinstance(cost, int | float):
        section.cost = float(cost)


def _read_blocks(view: View, section: Section, message: BaseMessage) -> None:
    blocks: list[Mapping[str, Any]] = [dict(block) for block in message.content_blocks]
    if isinstance(message, AIMessageChunk) and not any(block["type"] == "tool_call_chunk" for block in blocks):
        blocks += [
            {**call, "type": "tool_call_chunk", "index": ("call", call["index"])} for call in message.tool_call_chunks
        ]
    for block in blocks:
        _read_block(view, section, block)


def _read_block(view: View, section: Section, block: Mapping[str, Any]) -> None:
    match block["type"]:
        case "text" | "reasoning" | "refusal" | "text-plain":
            _read_words(view, section, block)
        case "server_tool_call" | "tool_call" | "invalid_tool_call":
            _read_call(view, section, block, whole=True)
        case "server_tool_call_chunk" | "tool_call_chunk":
            _read_call(view, section, block, whole=False)
        case "server_tool_result":
            _read_result(view, section, block)
        case _:
            view.add(section.parts, shown_part(block))


def _read_words(view: View, section: Section, block: Mapping[str, Any]) -> None:
    thinking = block["type"] == "reasoning"
    piece = str(block.get("reasoning" if thinking else "refusal" if block["type"] == "refusal" else "text") or "")
    if not piece:
        return
    index = block.get("index")
    part = section.places.get(index) if index is not None else _last(section, thinking=thinking)
    if not isinstance(part, Words) or part.thinking is not thinking:
        part = Words(thinking=thinking)
        view.add(section.parts, part)
        if index is not None:
            section.places[index] = part
    view.say(part, piece)


def _last(section: Section, *, thinking: bool) -> Part | None:
    part = section.parts[-1] if section.parts else None
    return part if isinstance(part, Words) and part.thinking is thinking and section.chunks else None


def _read_call(view: View, section: Section, block: Mapping[str, Any], *, whole: bool) -> None:
    index, call_id = block.get("index"), block.get("id")
    known = section.places.get(index) if index is not None and not whole else None
    tool = known if isinstance(known, Tool) else view.tool(section.parts, str(call_id or view.fresh_key()))
    if index is not None:
        section.places[index] = tool
    tool.name = str(block.get("name") or "") or tool.name
    arguments = block.get("args")
    if whole:
        given = block.get("extras", {}).get("input") or ("" if arguments in ({}, None) else as_text(arguments))
        tool.arguments[:] = [given] if given else []
        tool.status = "called" if tool.status == "writing" else tool.status
    elif arguments:
        tool.arguments.append(str(arguments))
    view.touch(tool)


def _read_result(view: View, section: Section, block: Mapping[str, Any]) -> None:
    index, call_id = block.get("index"), block.get("tool_call_id")
    known = section.places.get(("result", index))
    tool = (
        known if isinstance(known, Tool) and not call_id else view.tool(section.parts, str(call_id or view.fresh_key()))
    )
    if index is not None:
        section.places["result", index] = tool
    if status := block.get("status"):
        tool.status = "failed" if status == "error" else "succeeded"
    tool.progress = str(block.get("extras", {}).get("progress") or "") or tool.progress
    if block.get("output") is not None:
        tool.output = as_text(block["output"])
    view.touch(tool)
