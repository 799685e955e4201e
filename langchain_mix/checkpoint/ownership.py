"""Checks that a session to which a thread points holds the thread's conversation.

Owns: the check before a session is copied, taken back or deleted for a thread. A pointer is a claim: it may have come
into the state with messages from outside. It is followed only where the words of the session's rows up to it are those
of messages in the thread (`chat_models/agreement.py`); else the session is left alone.
Refuses to know: what is done with the session.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, BaseMessage
from langgraph.checkpoint.base import CheckpointTuple

from langchain_mix.checkpoint.backend import Address, CheckpointBackend, CheckpointInfo
from langchain_mix.checkpoint.positions import messages_in, read_position
from langchain_mix.checkpoint.runtime import Steps
from langchain_mix.pointer import KEY, read_pointer

if TYPE_CHECKING:
    from langchain_mix.protocol.models import BackendMessage


@dataclass(frozen=True, slots=True)
class Ownership:
    """The evidence of a thread for the sessions that it points to.

    Attributes:
        backend: Where the thread is.
        server: The base URL of the Mix server.
        thread_id: The thread.
        items: Its checkpoints that count.
    """

    backend: CheckpointBackend
    server: str
    thread_id: str
    items: Sequence[CheckpointInfo]

    def proven(self, session_id: str, rows: Sequence[BackendMessage]) -> Steps[set[str]]:
        """Finds the rows of a session up to which it says what the thread says.

        Args:
            session_id: The session. Checkpoints that point to it are read with their values.
            rows: Its rows, oldest first.

        Returns:
            The ids of answers that the thread points to, all of them proven.
        """
        listed = {row.id for row in rows}
        proven: set[str] = set()
        for item in sorted(self.items, key=lambda one: one.checkpoint_id, reverse=True):
            positions = (*item.positions, *(p for write in item.writes for p in write.positions))
            pointed = {p.message_id for p in positions if (p.server, p.session_id) == (self.server, session_id)}
            if (pointed & listed) - proven:
                stored = yield from self.backend.get(Address(self.thread_id, item.ns, item.checkpoint_id))
                for messages in _conversations(stored) if stored is not None else ():
                    proven |= _proven_in(messages, self.server, session_id, rows)
        return proven


def _proven_in(
    messages: Sequence[BaseMessage], server: str, session_id: str, rows: Sequence[BackendMessage]
) -> set[str]:
    # Models of the wire, and what conversations say, are loaded when sessions are touched.
    from langchain_mix.chat_models.agreement import agrees  # noqa: PLC0415
    from langchain_mix.chat_models.alignment import Base  # noqa: PLC0415
    from langchain_mix.protocol.turn.stored_rows import from_messages  # noqa: PLC0415

    stored, proven, known = from_messages(rows).rows, set[str](), {row.id for row in rows}
    for index in reversed(range(len(messages))):
        message = messages[index]
        position = read_position(message.response_metadata.get(KEY)) if isinstance(message, AIMessage) else None
        if position is None or (position.server, position.session_id) != (server, session_id):
            continue
        pointer = read_pointer(message.response_metadata)
        if pointer is None or pointer.message_id not in known:
            continue
        if proven or agrees(stored, messages, Base(index, pointer), server):
            proven.add(pointer.message_id)  # What is proven up to an answer is proven up to those before it.
    return proven


def _conversations(stored: CheckpointTuple) -> Iterator[list[BaseMessage]]:
    """Yields the lists of messages in a state, each also with what tasks have written to its channel since."""
    written: dict[str, list[Any]] = {}
    for _, channel, value in stored.pending_writes or ():
        written.setdefault(channel, []).append(value)
    values = stored.checkpoint["channel_values"]
    for channel in {*values, *written}:
        for messages in messages_in(values.get(channel)) or [[]]:
            later = [message for value in written.get(channel, ()) for found in messages_in(value) for message in found]
            yield messages
            if later:
                yield [*messages, *later]
