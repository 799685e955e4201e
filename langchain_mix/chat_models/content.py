"""What a turn tells, as LangChain content blocks.

Owns: blocks, their indices, usage and metadata of a reply. Refuses to know: how the turn is run and who listens.

Streamed blocks merge by index, so an index belongs to one block of one type for ever, and every block that is sent
complete is sent once.
"""

from __future__ import annotations

import json
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.outputs import ChatGenerationChunk

from langchain_mix.errors import MixTextGap
from langchain_mix.pointer import KEY, Pointer
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

PROVIDER = "mix"
_METADATA = {"output_version": "v1", "model_provider": PROVIDER}


class ReplyWriter:
    """Writes one reply as chunks that merge to the whole."""

    def __init__(self, *, shown: bool = False) -> None:
        """Starts an empty reply.

        Args:
            shown: Somebody sees the chunks as they are written, so that text once written cannot be mended.
        """
        self._shown = shown
        self._id: str | None = None
        self._started = False
        self._blocks = 0
        self._open: tuple[str, str] | None = None
        self._index_of: dict[tuple[str, str], int] = {}
        self._restated: dict[int, str] = {}

    def write(self, update: Update) -> ChatGenerationChunk | None:
        """Writes an update.

        Args:
            update: What the turn tells.

        Returns:
            The chunk, or None if the update is no content of the reply.
        """
        block = self._block(update)
        if block is None:
            return None
        if not self._started:
            # All chunks of a reply carry one id or none; the first message that is told gives it.
            self._started = True
            self._id = getattr(update, "message_id", "") or None
        message = AIMessageChunk(content=[block], id=self._id, response_metadata=_METADATA)
        return ChatGenerationChunk(message=message)

    def _block(self, update: Update) -> dict[str, Any] | None:  # noqa: PLR0911  # One case per update.
        match update:
            case TextDelta():
                return {"type": "text", "text": update.text, "index": self._running("text", update.message_id)}
            case ThinkingDelta():
                index = self._running("reasoning", update.message_id)
                return {"type": "reasoning", "reasoning": update.text, "index": index}
            case ToolCalled():
                return self._tool_call(update)
            case ToolFinished():
                return self._tool_result(update)
            case ToolOutput():
                return self._tool_output(update)
            case TextRestated():
                return self._restate(update)
            case _:
                return None

    def _restate(self, update: TextRestated) -> dict[str, Any] | None:
        index = self._index_of.get(("text", update.message_id))
        if index is None and self._open is not None and self._open[0] == "text":
            index = self._index_of[self._open]
        if index is None:
            return {"type": "text", "text": update.text, "index": self._running("text", update.message_id)}
        self._restated[index] = update.text
        return None

    def _running(self, kind: str, message_id: str) -> int:
        """The index of the block that pieces of this kind go on with; another kind in between ends it."""
        if self._open == (kind, ""):
            return self._index_of[self._open]  # Mix before 0.7 names messages only once they are stored.
        key = (kind, message_id)
        if self._open == key or (self._open is not None and self._open[1] != message_id and key in self._index_of):
            return self._index_of[key]
        self._open = key
        return self._new(key)

    def _new(self, key: tuple[str, str]) -> int:
        index = self._index_of[key] = self._blocks
        self._blocks += 1
        return index

    def _tool_call(self, update: ToolCalled) -> dict[str, Any]:
        self._open = None
        block = {"type": "server_tool_call", "id": update.id, "name": update.name, "args": {}}
        try:
            arguments = json.loads(update.input or "{}")
        except ValueError:
            arguments = None
        if isinstance(arguments, dict):
            block["args"] = arguments
        else:
            block["extras"] = {"input": update.input}  # The model wrote no JSON object; shown as it is.
        return {**block, "index": self._new(("call", update.id))}

    def _tool_result(self, update: ToolFinished) -> dict[str, Any]:
        self._open = None
        return {
            "type": "server_tool_result",
            "tool_call_id": update.id,
            "status": "success" if update.success else "error",
            "extras": {"progress": update.progress},
            "index": self._new(("result", update.id)),
        }

    def _tool_output(self, update: ToolOutput) -> dict[str, Any]:
        """What the tool gave, which servers tell when the turn is over: it joins the block of its result."""
        index = self._index_of.get(("result", update.id))
        if index is not None:
            return {"type": "server_tool_result", "output": update.output, "index": index}
        self._open = None
        return {
            "type": "server_tool_result",
            "tool_call_id": update.id,
            "status": "error" if update.is_error else "success",
            "output": update.output,
            "index": self._new(("result", update.id)),
        }

    def last(self, result: TurnResult, pointer: Pointer) -> ChatGenerationChunk:
        """Writes the end of the reply: the only chunk with usage, model and the place in the session.

        Args:
            result: The turn.
            pointer: Where in its session the reply stands.

        Returns:
            The last chunk.

        Raises:
            MixTextGap: Text that was shown lacks a part. The whole reply is in the error's `turn`.
        """
        if self._restated and self._shown:
            gap = MixTextGap(
                "The turn is complete, but events were lost on the way: the text streamed so far lacks a part.",
                acted="yes",
                hint="Do not send the message again; the complete reply is in `.turn.text`. Read streams faster.",
            )
            gap.turn = result
            raise gap
        metadata: dict[str, Any] = {**_METADATA, "finish_reason": "stop", KEY: pointer.as_metadata()}
        if result.model:
            metadata["model_name"] = result.model
        if result.usage is not None and result.usage.cost is not None:
            metadata[KEY]["cost"] = result.usage.cost
        message = AIMessageChunk(
            content=[],
            id=self._id,
            response_metadata=metadata,
            usage_metadata=usage_metadata(result.usage) if result.usage is not None else None,
            chunk_position="last",
        )
        return ChatGenerationChunk(message=message)

    def mend(self, message: AIMessage) -> None:
        """Puts whole texts in the place of those that lack a part. Only a message that nobody has seen yet can be."""
        for block in message.content:
            if isinstance(block, dict) and block.get("index") in self._restated:
                block["text"] = self._restated[block["index"]]


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
