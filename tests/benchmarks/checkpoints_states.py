"""States of conversations to be stored, and threads that have many of them.

Owns: what a realistic state is, and how a long thread is made fast. Refuses to know: what is measured.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, NamedTuple, cast

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata
from langgraph.checkpoint.base.id import uuid6

from langchain_mix.checkpoint import runtime
from langchain_mix.checkpoint.files import SessionFiles
from langchain_mix.checkpoint.positions import marked, newest_positions
from langchain_mix.checkpoint.records import CheckpointRecord, Entry, Value, Write, WritesRecord
from langchain_mix.checkpoint.serde import Codec, StrictSerializer
from langchain_mix.checkpoint.store import ThreadStore
from langchain_mix.client import Mix
from langchain_mix.pointer import KEY, Pointer

METADATA: Final[CheckpointMetadata] = {"source": "loop", "step": 7, "parents": {}}
_SERVER: Final = "http://localhost:8088"
_SESSION: Final = "5b3a4cef-19d6-4347-9599-d1e19533d01d"
_ANSWER: Final = "The report covers three quarters; sales rose in the second and fell in the third, by region. " * 5
_QUESTION: Final = "What does the report say about the regions, and where do the numbers come from?"
_AT_ONCE: Final = 2000
"""Entries that are stored at once."""


class Step(NamedTuple):
    """A checkpoint to be put.

    Attributes:
        thread_id: Its thread.
        parent_id: The id of the checkpoint before it, or None.
        checkpoint: The checkpoint.
        versions: Versions of the channels that changed.
        written: The message that is new in it.
    """

    thread_id: str
    parent_id: str | None
    checkpoint: Checkpoint
    versions: dict[str, Any]
    written: BaseMessage

    @property
    def config(self) -> RunnableConfig:
        """The config of this checkpoint."""
        return _config(self.thread_id, self.checkpoint["id"])

    @property
    def parent(self) -> RunnableConfig:
        """The config that it is put with: that of the checkpoint before it."""
        return _config(self.thread_id, self.parent_id)


class Conversation:
    """A thread whose state always holds the same number of messages, the last of which each step replaces.

    So every size that is measured stays what it is called. A step changes as much as one that adds a message.
    """

    def __init__(self, messages: int) -> None:
        """Makes the messages.

        Args:
            messages: How many a state holds.
        """
        self.thread_id = str(uuid.uuid4())
        self.serde = StrictSerializer()
        self._count = 0
        self._last_id: str | None = None
        self._base = [_answer(place) if place % 2 else _question(place) for place in range(messages - 1)]

    @property
    def config(self) -> RunnableConfig:
        """The config of the thread, which stands for its newest checkpoint."""
        return _config(self.thread_id, None)

    def step(self) -> Step:
        """Makes the next checkpoint."""
        parent_id, self._count = self._last_id, self._count + 1
        self._last_id = str(uuid6(clock_seq=self._count))
        message, version = _answer(self._count), f"{self._count:032}.0123456789012345"
        checkpoint = _checkpoint(self._last_id, version, [*self._base, message])
        return Step(self.thread_id, parent_id, checkpoint, {"messages": version}, message)

    def entries(self) -> Iterator[Entry]:
        """Makes checkpoints as `MixSaver` stores them, each with a write, without serialising all messages each time."""
        codec = Codec.of(self.serde)
        first = self.step()
        whole = codec.store(first.checkpoint["channel_values"]["messages"])
        own = codec.store(first.written).data
        if not whole.data.endswith(own):
            raise AssertionError("A list of messages is serialised one by one.")
        base = whole.data[: -len(own)]
        noted = codec.store(
            marked(cast("dict[str, Any]", METADATA), newest_positions(first.checkpoint["channel_values"]))
        )
        while True:
            step = self.step()
            rest = {key: value for key, value in step.checkpoint.items() if key != "channel_values"}
            written = codec.store([step.written])
            message = codec.store(step.written).data
            checkpoint_id = step.checkpoint["id"]
            values = {"messages": Value(whole.tag, base + message)}
            yield CheckpointRecord("", checkpoint_id, step.parent_id, codec.store(rest), noted, values)
            yield WritesRecord("", checkpoint_id, str(uuid.uuid4()), "", (Write(0, "messages", written),))


def fill(mix: Mix, session_id: str, conversation: Conversation, checkpoints: int) -> None:
    """Stores many checkpoints of a thread in few requests.

    Args:
        mix: A client.
        session_id: A session.
        conversation: The thread, which has none yet.
        checkpoints: How many.
    """
    threads = ThreadStore(session_files=SessionFiles(mix.server_api, session_id))
    left = islice(conversation.entries(), 2 * checkpoints)
    while some := list(islice(left, _AT_ONCE)):
        runtime.run(mix, threads.append(conversation.thread_id, some))


def _config(thread_id: str, checkpoint_id: str | None) -> RunnableConfig:
    chosen = {} if checkpoint_id is None else {"checkpoint_id": checkpoint_id}
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": "", **chosen}}


def _checkpoint(checkpoint_id: str, version: str, messages: list[BaseMessage]) -> Checkpoint:
    start: dict[str, str | int | float] = {"__start__": f"{1:032}.0123456789012345"}
    seen: dict[str, str | int | float] = {"messages": version}
    return {
        "v": 4,
        "id": checkpoint_id,
        "ts": "2026-02-12T12:00:00.000000+00:00",
        "channel_values": {"messages": messages},
        "channel_versions": {**start, **seen},
        "versions_seen": {"__input__": {}, "__start__": start, "model": seen},
        "updated_channels": ["messages"],
    }


def _question(place: int) -> HumanMessage:
    return HumanMessage(f"{place}: {_QUESTION}", id=str(uuid.uuid4()))


def _answer(place: int) -> AIMessage:
    message_id = str(uuid.uuid4())
    pointer = Pointer(
        server=_SERVER,
        session_id=_SESSION,
        message_id=message_id,
        user_message_id=str(uuid.uuid4()),
        row_count=place + 1,
        digest=uuid.uuid4().hex,
    )
    return AIMessage(
        content=[
            {"type": "reasoning", "reasoning": f"{place}: the user asks about the report.", "index": 0},
            {"type": "text", "text": _ANSWER, "index": 1},
        ],
        id=message_id,
        response_metadata={
            "output_version": "v1",
            "model_provider": "mix",
            "finish_reason": "stop",
            "model_name": "claude-sonnet-4",
            KEY: pointer.as_metadata(),
        },
        usage_metadata={"input_tokens": 1200 + place, "output_tokens": 110, "total_tokens": 1310 + place},
    )
