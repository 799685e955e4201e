"""Writes the updates of a turn as LangChain content blocks, and its tokens as `usage_metadata`.

Owns: blocks, their indices, and the chunks of a reply. Refuses to know: how the turn is run, who listens, and how the
application's tool calls are written in text (`reply_parser.py`).

Streamed blocks merge by index, so an index belongs to one block of one type for ever, and every block that is sent
complete is sent once.

A reply has one of two forms (`output_version`). In "v1" its content is a list of standard blocks. In "v0" it is a `str`
as long as there is nothing but text; from the first other block on, pieces of text are blocks too. Calls of the
application's tools are no content of it: they are `tool_calls`. `content_blocks` gives the same blocks for both.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from copy import copy
from typing import Any, Final

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk

from langchain_mix.chat_models.parameters import PROVIDER, Version
from langchain_mix.chat_models.reply_parser import (
    CallArguments,
    CallStarted,
    InvalidCall,
    NonDataText,
    ReplyParser,
    Segment,
    Text,
)
from langchain_mix.protocol.tool_calls import outcome_of_result, same_tool
from langchain_mix.protocol.turn.updates import (
    TextDelta,
    TextRestated,
    ThinkingDelta,
    ToolCalled,
    ToolFinished,
    ToolOutput,
    TurnResult,
    Update,
    Usage,
)

_TYPES: Final = {"image": "image", "video": "video", "audio": "audio", "pdf": "file", "csv": "file"}
_MIME_TYPES: Final = {"pdf": "application/pdf", "csv": "text/csv"}


def is_show(name: str) -> bool:
    """True for the tool that shows media (`ShowMedia` up to Mix 0.7, `Show` since)."""
    return same_tool(name, "ShowMedia") or same_tool(name, "Show")


def shown_blocks(arguments: str) -> list[dict[str, Any]]:
    """Returns the blocks, without an index, for what a call of the tool shows; `arguments` are JSON text.

    A web address is in `url`, else `file_id` is the file's name at the server. What LangChain has no block for is
    `non_standard`.
    """
    try:
        outputs = json.loads(arguments).get("outputs", [])
    except (ValueError, AttributeError):
        return []
    return [_block(output) for output in outputs if isinstance(output, dict)] if isinstance(outputs, list) else []


def _block(output: dict[str, Any]) -> dict[str, Any]:
    kind, path = str(output.get("type", "")), output.get("path")
    if kind not in _TYPES or not isinstance(path, str) or not path:
        return {"type": "non_standard", "value": output}
    block: dict[str, Any] = {"type": _TYPES[kind]}
    block["url" if path.startswith(("http://", "https://")) else "file_id"] = path
    if kind in _MIME_TYPES:
        block["mime_type"] = _MIME_TYPES[kind]
    extras = {k: output[k] for k in ("title", "description", "startTime", "duration") if output.get(k) is not None}
    return {**block, "extras": extras} if extras else block


METADATA: Final[dict[Version, dict[str, str]]] = {
    "v0": {"model_provider": PROVIDER},
    "v1": {"output_version": "v1", "model_provider": PROVIDER},
}
"""The metadata of every chunk. LangChain takes content marked "v1" for standard blocks as it is."""

_CALLS: Final = frozenset({"tool_call", "tool_call_chunk", "invalid_tool_call"})


class ReplyWriter:
    """Writes one reply as chunks that merge to the whole."""

    def __init__(self, parser: ReplyParser | None = None, version: Version = "v1") -> None:
        """Starts an empty reply. A `parser` reads its text where it is more than prose."""
        self._parser = parser
        self._version: Version = version
        self._plain = version == "v0"  # The content is a `str` so far.
        self._id: str | None = None
        self._started = False
        self._blocks = 0
        self._open: tuple[str, str] | None = None
        self._index_of: dict[tuple[str, str], int] = {}
        self._message_id = ""
        self._shown: dict[str, str] = {}
        self._texts: defaultdict[int, list[str]] = defaultdict(list)
        self._media: dict[int, dict[str, Any]] = {}
        self._calls: list[dict[str, Any]] = []
        self._invalid: list[dict[str, Any]] = []
        self._pattern: ChatGenerationChunk | None = None
        self.gap = False

    @property
    def stopped(self) -> bool:
        """True when the reply has ended at a stop sequence, though the turn goes on."""
        return self._parser is not None and self._parser.stopped

    def write(self, update: Update) -> Iterator[ChatGenerationChunk]:
        """Yields the chunks of an update; none if it is no content of the reply."""
        if self.stopped:
            return
        if self._parser is None and type(update) is TextDelta:  # The way of nearly all updates, kept short.
            index = self._text_index(update.message_id)
            self._texts[index].append(update.text)
            yield self._text_chunk({"type": "text", "text": update.text, "index": index}, update.message_id)
            return
        for block in self._blocks_of(update):
            yield self._chunk(block, getattr(update, "message_id", ""))

    def _chunk(self, block: dict[str, Any], message_id: str) -> ChatGenerationChunk:
        if not self._started:
            # All chunks of a reply carry one id or none; the first message gives it.
            self._started, self._id = True, message_id or None
        number = block.pop("call", None)  # Blocks count all content, calls themselves alone.
        chunks = [] if number is None else [tool_call_chunk(**{**_fields_of(block), "index": number})]
        message = AIMessageChunk(
            content=self._content(block),
            id=self._id,
            response_metadata=METADATA[self._version],
            tool_call_chunks=chunks,
        )
        return ChatGenerationChunk(message=message)

    def _content(self, block: dict[str, Any] | None) -> str | list[str | dict[Any, Any]]:
        """Returns the content of a chunk for a block, or for none."""
        if block is not None and self._version == "v0" and block["type"] in _CALLS:
            block = None
        if self._plain:  # An empty list would swallow the text that LangChain adds to it.
            return "" if block is None else str(block["text"])
        return [] if block is None else [block]

    def _text_chunk(self, block: dict[str, Any], message_id: str) -> ChatGenerationChunk:
        """A chunk of text, like any other but for what it says.

        A reply has thousands of them. Making one costs more than reading its event; copying one costs half.
        """
        if self._pattern is None:
            self._pattern = self._chunk(dict(block), message_id)
        chunk, message = copy(self._pattern), copy(self._pattern.message)
        vars(message).update(
            content=self._content(block),
            response_metadata=dict(METADATA[self._version]),
            additional_kwargs={},
            tool_calls=[],
            invalid_tool_calls=[],
            tool_call_chunks=[],
        )
        vars(chunk).update(message=message, text=block["text"])
        return chunk

    def _blocks_of(self, update: Update) -> Iterator[dict[str, Any]]:
        match update:
            case TextDelta():
                yield from self._said(update)
            case ThinkingDelta():
                index = self._running("reasoning", update.message_id)
                yield {"type": "reasoning", "reasoning": update.text, "index": index}
            case ToolCalled():
                if not (update.message_id and update.message_id != self._message_id):
                    yield from self._rest()  # A call whose event was lost is emitted when later messages have been.
                yield self._tool_call(update)
            case ToolFinished():
                yield from self._tool_result(update)
            case ToolOutput():
                yield from self._tool_output(update)
            case TextRestated():
                self.gap = True
            case _:
                return

    def _said(self, update: TextDelta) -> Iterator[dict[str, Any]]:
        if self._parser is None:
            return  # Written by `write` itself.
        if update.message_id != self._message_id:
            yield from self._rest()
        self._message_id = update.message_id
        for piece in self._parser.feed(update.text):
            yield from self._piece(piece)

    def _rest(self, *, last: bool = False) -> Iterator[dict[str, Any]]:
        """Yields what was held back of a message that has ended."""
        if self._parser is not None:
            for piece in self._parser.end(last=last):
                yield from self._piece(piece)

    def _piece(self, piece: Segment) -> Iterator[dict[str, Any]]:
        match piece:
            case NonDataText():
                yield {"type": "reasoning", "reasoning": piece.text, "index": self._running("aside", self._message_id)}
            case Text():
                index = self._text_index(self._message_id)
                self._texts[index].append(piece.text)
                yield {"type": "text", "text": piece.text, "index": index}
            case CallStarted():
                self._open = None
                index = self._new(("client", str(piece.index)))
                self._calls.append({"type": "tool_call", "id": piece.id, "name": piece.name, "args": ""})
                yield self._call_chunk(piece.index, index, id=piece.id, name=piece.name, args="")
            case CallArguments():
                self._calls[-1]["args"] += piece.fragment
                index = self._index_of["client", str(piece.index)]
                yield self._call_chunk(piece.index, index, id=None, name=None, args=piece.fragment)
            case InvalidCall():
                self._open = None
                index = self._new(("client", str(piece.index)))
                call = {"type": "invalid_tool_call", "id": piece.id, "name": piece.name, "args": piece.chunk_args}
                self._invalid.append({**call, "error": None})
                yield self._call_chunk(piece.index, index, id=piece.id, name=piece.name, args=piece.chunk_args)

    @staticmethod
    def _call_chunk(number: int, index: int, **fields: Any) -> dict[str, Any]:
        return {"type": "tool_call_chunk", **fields, "index": index, "call": number}

    def _text_index(self, message_id: str) -> int:
        """Returns the index of the block of a piece of text; in a `str`, pieces are in the order of their arrival."""
        return self._running("text", "" if self._plain else message_id)

    def _running(self, kind: str, message_id: str) -> int:
        """The index of the block that pieces of this kind go on with; another kind in between ends it."""
        if self._open == (kind, ""):
            return self._index_of[kind, ""]  # Mix before 0.7 names messages only once they are stored.
        key = (kind, message_id)
        # A block goes on while pieces of another message are between its own; one without a name may be of the same.
        if self._open == key or (
            self._open is not None and self._open[1] not in {"", message_id} and key in self._index_of
        ):
            return self._index_of[key]
        self._open = key
        return self._new(key)

    def _new(self, key: tuple[str, str]) -> int:
        if self._plain and key[0] not in {"text", "client"}:
            self._plain = False
            self._index_of.pop(("text", ""), None)  # Nothing merges into a `str` that precedes blocks.
        index = self._index_of[key] = self._blocks
        self._blocks += 1
        return index

    def _tool_call(self, update: ToolCalled) -> dict[str, Any]:
        self._open = None
        if is_show(update.name):
            self._shown[update.id] = update.input
        block: dict[str, Any] = {"type": "server_tool_call", "id": update.id, "name": update.name, "args": {}}
        try:
            arguments = json.loads(update.input or "{}")
        except ValueError:
            arguments = None
        if isinstance(arguments, dict):
            block["args"] = arguments
        else:
            block["extras"] = {"input": update.input}  # The model wrote no JSON object; shown as it is.
        return {**block, "index": self._new(("call", update.id))}

    def _tool_result(self, update: ToolFinished) -> Iterator[dict[str, Any]]:
        self._open = None
        yield {
            "type": "server_tool_result",
            "tool_call_id": update.id,
            "status": "success" if update.success else "error",
            "extras": {"progress": update.progress},
            "index": self._new(("result", update.id)),
        }
        if update.success and update.id in self._shown:
            for number, block in enumerate(shown_blocks(self._shown[update.id])):
                index = self._new(("shown", f"{update.id}/{number}"))
                self._media[index] = block
                yield {**block, "index": index}

    def _tool_output(self, update: ToolOutput) -> Iterator[dict[str, Any]]:
        """Writes what the tool gave, which servers report when the turn is over: it joins the block of its result."""
        index = self._index_of.get(("result", update.id))
        outcome = outcome_of_result(update.output, is_error=update.is_error)
        if index is not None:
            yield {"type": "server_tool_result", "output": update.output, "index": index}
        elif outcome is not None:  # Else nobody knows how it ended, and it gave nothing that could be shown.
            self._open = None
            yield {
                "type": "server_tool_result",
                "tool_call_id": update.id,
                "status": "success" if outcome == "succeeded" else "error",
                "output": update.output,
                "index": self._new(("result", update.id)),
            }

    @property
    def called(self) -> list[str]:
        """The names of the application's tools that were called so far."""
        return [call["name"] for call in self._calls]

    def end_turn(self) -> Iterator[ChatGenerationChunk]:
        """Writes what was held back of a turn after which another one may go on with the same reply."""
        for block in self._rest():
            yield self._chunk(block, self._message_id)
        self._open, self._message_id = None, ""
        if self._parser is not None:
            self._parser.begin_again()

    def finish(self) -> Iterator[ChatGenerationChunk]:
        """Writes what was held back, now that the turn has ended."""
        for block in self._rest(last=True):
            yield self._chunk(block, self._message_id)

    def reply(self) -> AIMessage:
        """Returns what was said and shown so far, as the conversation will hold it: without tools of the server."""
        calls = [{**call, "args": json.loads(call["args"] or "{}")} for call in self._calls]
        blocks = self._media | {i: {"type": "text", "text": "".join(pieces)} for i, pieces in self._texts.items()}
        # Blocks are where their indices say, whenever their pieces came.
        said: list[str | dict[str, Any]] = [blocks[index] for index in sorted(blocks)]
        return AIMessage(content=said, tool_calls=calls, invalid_tool_calls=self._invalid)

    def last(self, metadata: dict[str, Any], usage: Usage | None) -> ChatGenerationChunk:
        """Writes the end of the reply: the only chunk with usage, model and the place in the session."""
        message = AIMessageChunk(
            content=self._content(None),
            id=self._id,
            response_metadata={**METADATA[self._version], **metadata},
            usage_metadata=usage_metadata(usage) if usage is not None else None,
            chunk_position="last",
        )
        return ChatGenerationChunk(message=message)


def finished(message: AIMessage, version: Version) -> AIMessage:
    """Returns a message as it is kept: without what only served to merge its chunks, in the form that is wanted.

    A block's `index` would make `merge_message_runs` melt two answers into one. With "v0", content that is nothing but
    text is a `str`; else it is a list of blocks.
    """
    content = message.content
    if isinstance(content, str):
        return message
    blocks = [_finished_block(block, message) for block in content if block != ""]
    if version == "v1":
        return message.model_copy(update={"content": blocks})
    blocks = [block for block in blocks if block.get("type") not in _CALLS]
    only_text = all(block.keys() == {"type", "text"} for block in blocks)
    metadata = {k: v for k, v in message.response_metadata.items() if k != "output_version"}
    merged: Any = "".join(block["text"] for block in blocks) if only_text else blocks
    return message.model_copy(update={"content": merged, "response_metadata": metadata})


def _finished_block(block: str | dict[str, Any], message: AIMessage) -> dict[str, Any]:
    if isinstance(block, str):
        return {"type": "text", "text": block}
    if block.get("type") == "tool_call_chunk":
        # LangChain puts the calls that it can read into the place of their pieces.
        invalid = next((call for call in message.invalid_tool_calls if call["id"] == block.get("id")), None)
        return dict(invalid) if invalid is not None else block
    return {key: value for key, value in block.items() if key != "index"}


def _fields_of(block: dict[str, Any]) -> dict[str, Any]:
    return {name: block[name] for name in ("id", "name", "args")}


def replay_updates(result: TurnResult) -> Iterator[Update]:
    """Yields a finished turn's updates from its result, complete and in order."""
    for message in result.messages:
        if message.thinking:
            yield ThinkingDelta(message.id, message.thinking)
        if message.text:
            yield TextDelta(message.id, message.text)
        for call in message.tool_calls:
            yield ToolCalled(call.id, call.name, call.input, message.id)
            if call.status in {"succeeded", "failed"}:
                yield ToolFinished(call.id, call.name, call.status == "succeeded", call.progress)
            if call.output is not None:
                yield ToolOutput(call.id, call.output, call.is_error)


def usage_metadata(usage: Usage) -> UsageMetadata:
    """Tokens in LangChain's form: the parts that came from or went to a cache are part of the input tokens."""
    counted = UsageMetadata(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
    )
    cached = usage.cache_creation_tokens + usage.cache_read_tokens
    if 0 < cached <= usage.input_tokens:
        counted["input_token_details"] = InputTokenDetails(
            cache_creation=usage.cache_creation_tokens, cache_read=usage.cache_read_tokens
        )
    return counted
