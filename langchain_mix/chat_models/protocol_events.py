"""Converts the chunks of a reply to content-block events of LangChain (`stream_events(version="v3")`).

Owns: when a block starts and is finished. LangChain's own bridge finishes all blocks when the message ends and holds
arguments and results of server tools back until then; here a block is finished as soon as it is complete.
Refuses to know: what the chunks say (`content_blocks.py`) and who listens.

Chunks are read as `content_blocks`: standard blocks, each with an index that no other block ever has.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal, cast
from uuid import UUID

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.utils.json import parse_partial_json

if TYPE_CHECKING:
    from langchain_protocol.protocol import MessagesData

_Block = dict[str, Any]

_RUNNING: Final = {
    "text": "text",
    "reasoning": "reasoning",
    "tool_call_chunk": "args",
    "server_tool_call_chunk": "args",
}
"""The blocks that come in pieces, and the field that grows."""

_HEAVY: Final[dict[str, dict[str, Any]]] = {
    "tool_call": {"args": {}},
    "server_tool_call": {"args": {}},
    "non_standard": {"value": {}},
}
"""Placeholders in a block's start for the required fields that only its finish has."""

_LATE: Final = frozenset({"args", "value", "output", "base64", "data"})
"""Fields that may be large and are sent once, with a block's finish."""


class _Open:
    """A block that has started and may get more."""

    __slots__ = ("block", "index", "pieces")

    def __init__(self, index: int, block: _Block) -> None:
        self.index = index
        self.block: _Block = {"type": block["type"]}
        self.pieces: list[str] = []

    @property
    def kind(self) -> str:
        return str(self.block["type"])

    def goes_on(self, block: _Block) -> bool:
        """True when a piece with the same key is one of this block."""
        ids = {self.block.get("id"), block.get("id")} - {None, ""}
        return self.kind == block["type"] and len(ids) <= 1

    def add(self, block: _Block) -> str:
        """Takes a piece: the part of it that grows the block."""
        growing = _RUNNING.get(self.kind)
        piece = ""
        for key, value in block.items():
            if key == growing:
                piece = value or ""
                self.pieces.append(piece)
            elif key == "extras" and key in self.block:
                self.block[key] = {**self.block[key], **value}
            elif key not in {"type", "index"} and value is not None:
                self.block[key] = value
        return piece

    def is_over(self) -> bool:
        """True when the block is complete as soon as another one begins."""
        if self.kind in {"text", "reasoning"}:
            return True
        if self.kind == "server_tool_result":
            return False  # Mix 0.8: what a tool gave is emitted at the end of the turn.
        return isinstance(_json("".join(self.pieces)), dict)

    def finished(self) -> _Block:
        """The whole block, as a message has it."""
        growing = _RUNNING.get(self.kind)
        if growing == "args":
            return self._tool_call("".join(self.pieces))
        whole = {**self.block, "index": self.index}
        if growing is not None:
            whole[growing] = "".join(self.pieces)
        return whole

    def _tool_call(self, text: str) -> _Block:
        rest = {k: v for k, v in self.block.items() if k not in {"type", "id", "name"}}
        called = {"id": self.block.get("id"), "name": self.block.get("name") or "", **rest}
        if self.kind == "server_tool_call_chunk":
            args = _json(text or "{}")
            if isinstance(args, dict):
                return {**called, "type": "server_tool_call", "args": args, "index": self.index}
            extras = {**rest.get("extras", {}), "input": text}
            return {**called, "type": "server_tool_call", "args": {}, "extras": extras, "index": self.index}
        # A client's tool call has no index in a message, so that nothing merges into its arguments any more. They are
        # read as leniently as a merged message reads them.
        try:
            args = parse_partial_json(text) if text else {}
        except ValueError:
            args = None
        if isinstance(args, dict):
            return {**called, "type": "tool_call", "args": args}
        return {**called, "type": "invalid_tool_call", "args": text, "error": "The arguments are no JSON object."}


class ProtocolWriter:
    """Turns the chunks of one reply to events. Every chunk may start, grow and finish blocks."""

    def __init__(self, run_id: UUID | None = None) -> None:
        """Starts before the first event. `run_id` names a reply that the server does not name (Mix before 0.7)."""
        self._fallback_id = f"lc_run--{run_id}" if run_id is not None else ""
        self._started = False
        self._blocks = 0
        self._open: dict[Any, _Open] = {}
        self._usage: UsageMetadata | None = None
        self._metadata: dict[str, Any] = {}
        self._extra: dict[str, Any] = {}

    def write(self, chunk: ChatGenerationChunk) -> list[MessagesData]:
        """Returns the events of the next chunk, in order.

        The chunk whose `chunk_position` is `"last"` ends the message, and nothing is left open after it.
        """
        message = chunk.message
        if not isinstance(message, AIMessageChunk):
            return []
        if chunk.generation_info:
            self._metadata |= chunk.generation_info
        self._metadata |= message.response_metadata
        self._extra |= message.additional_kwargs
        if message.usage_metadata:
            self._usage = add_usage(self._usage, message.usage_metadata) if self._usage else message.usage_metadata
        events: list[_Block] = []
        if not self._started:
            self._started = True
            events.append(self._message_start(message.id))
        for key, block in _blocks_of(message):
            self._block(key, block, events)
        if message.chunk_position == "last":
            events.extend([self._finish(key) for key in list(self._open)])
            events.append(self._message_finish())
        return cast("list[MessagesData]", events)

    def _message_start(self, message_id: str | None) -> _Block:
        start: _Block = {"event": "message-start", "role": "ai", "id": message_id or self._fallback_id}
        known = {"provider": self._metadata.get("model_provider"), "model": self._metadata.get("model_name")}
        if metadata := {k: v for k, v in known.items() if v}:
            start["metadata"] = metadata
        return start

    def _message_finish(self) -> _Block:
        finish: _Block = {"event": "message-finish", "metadata": dict(self._metadata)}
        if self._usage is not None:
            # Listeners get their own, so that none can change the chunk's.
            finish["usage"] = {k: dict(v) if isinstance(v, dict) else v for k, v in self._usage.items()}
        if self._extra:
            finish["additional_kwargs"] = dict(self._extra)
        return finish

    def _block(self, key: Any, block: _Block, events: list[_Block]) -> None:
        state = self._open.get(key)
        if state is None or not state.goes_on(block):
            # A new block, or the late rest of one that is finished: what was finished cannot grow.
            state = self._start(key, block, events)
        piece = state.add(block)
        if piece:
            events.append({"event": "content-block-delta", "index": state.index, "delta": _delta(state.kind, piece)})
        if _is_whole(block):
            events.append(self._finish(key))

    def _start(self, key: Any, block: _Block, events: list[_Block]) -> _Open:
        for other, state in list(self._open.items()):
            if other == key or state.is_over():
                events.append(self._finish(other))
        state = self._open[key] = _Open(self._blocks, block)
        self._blocks += 1
        events.append({"event": "content-block-start", "index": state.index, "content": _skeleton(block, state.index)})
        return state

    def _finish(self, key: Any) -> _Block:
        state = self._open.pop(key)
        return {"event": "content-block-finish", "index": state.index, "content": state.finished()}


def _blocks_of(message: AIMessageChunk) -> list[tuple[Any, _Block]]:
    """Returns the blocks of a chunk and what distinguishes them: the index, or the type for pieces that have none."""
    blocks = [cast("_Block", block) for block in message.content_blocks]
    if not any(block["type"] == "tool_call_chunk" for block in blocks):
        blocks += [{**call, "type": "tool_call_chunk"} for call in message.tool_call_chunks]
    return [(_key(block), block) for block in blocks]


def _key(block: _Block) -> tuple[Literal["call", "block"], Any]:
    index = block.get("index")
    # The indices of client tool calls are their own in `tool_call_chunks`.
    return ("call" if block["type"] == "tool_call_chunk" else "block"), block["type"] if index is None else index


def _is_whole(block: _Block) -> bool:
    """True when nothing more will come of a block after this piece."""
    if block["type"] == "server_tool_result":
        return "output" in block
    return block["type"] not in _RUNNING


def _delta(kind: str, piece: str) -> _Block:
    if kind in {"text", "reasoning"}:
        return {"type": f"{kind}-delta", kind: piece}
    return {"type": "tool-call-delta", "args": piece}


def _skeleton(block: _Block, index: int) -> _Block:
    """A block's start: what names and places it, without what follows in deltas or with its finish."""
    kind = block["type"]
    growing = _RUNNING.get(kind)
    light = {k: v for k, v in block.items() if k not in _LATE}
    if kind in {"text", "reasoning"}:
        light = {k: v for k, v in light.items() if k not in {growing, "annotations", "index"}}
    elif kind != "tool_call_chunk":
        light["index"] = index
    if growing is not None:
        light[growing] = ""
    return {**light, **_HEAVY.get(kind, {})}


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
