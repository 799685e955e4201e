"""Checkpoints in a line each, without their values.

Owns: what is told of a stored checkpoint in a list. Refuses to know: how it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from langgraph.checkpoint.serde.types import SendProtocol

from langchain_mix.checkpoint.mix_shelf import MixShelf
from langchain_mix.checkpoint.positions import Position, distinct, read_mark
from langchain_mix.checkpoint.records import CheckpointRecord, Stored, pending

_GOES_TO: Final = "branch:to:"
"""LangGraph: a channel of this name holds a value as long as the node named after it is to run."""
_START: Final = "__start__"
_SENDS: Final = "__pregel_tasks"
_EMPTY: Final = 1
"""Bytes of an empty list."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A checkpoint in a line.

    Attributes:
        thread_id: Its thread.
        ns: Its namespace; the graph's own is empty.
        checkpoint_id: Its id.
        parent_id: The checkpoint it follows, or None.
        step: LangGraph's number of the step, or None if none was stored.
        source: Why it was made; empty if that was not stored.
        created_at: When, as ISO 8601 text.
        next: The nodes that run next, those that wait for several others apart.
        size: Bytes of its values.
        pending_writes: How many writes wait at it.
        position: Where in which Mix session it stands, or None.
    """

    thread_id: str
    ns: str
    checkpoint_id: str
    parent_id: str | None
    step: int | None
    source: str
    created_at: str
    next: tuple[str, ...]
    size: int
    pending_writes: int
    position: Position | None

    def data(self) -> dict[str, Any]:
        """The same as JSON."""
        return asdict(self)


def summary(shelf: MixShelf, thread_id: str, stored: Stored) -> Summary:
    """Tells what a stored checkpoint is.

    Args:
        shelf: Reads metadata.
        thread_id: Its thread.
        stored: The checkpoint.

    Returns:
        The summary. No value of the state was constructed for it.
    """
    record = stored.record
    metadata: Mapping[str, Any] = shelf.codec.load(record.metadata)
    step = metadata.get("step")
    return Summary(
        thread_id=thread_id,
        ns=record.ns,
        checkpoint_id=record.checkpoint_id,
        parent_id=record.parent_id,
        step=step if isinstance(step, int) else None,
        source=str(metadata.get("source") or ""),
        created_at=str(shelf.codec.load(record.skeleton).get("ts", "")),
        next=tuple(_next(shelf, record)),
        size=sum(len(value.data) for value in record.values.values()),
        pending_writes=len(pending(stored)),
        position=_position(shelf, record, metadata),
    )


def _position(shelf: MixShelf, record: CheckpointRecord, metadata: Mapping[str, Any]) -> Position | None:
    positions = read_mark(metadata)
    if positions is None:  # Nobody noted any: as `MixShelf` does it.
        ordered = sorted(record.values, key=lambda name: (name != "messages", name))
        positions = distinct(p for name in ordered for p in reversed(shelf.codec.positions(record.values[name])))
    return positions[0] if positions else None


def _next(shelf: MixShelf, record: CheckpointRecord) -> Iterator[str]:
    for channel in sorted(record.values):
        if channel == _START:
            yield channel
        elif channel.startswith(_GOES_TO):
            yield channel.removeprefix(_GOES_TO)
    sends = record.values.get(_SENDS)
    if sends is not None and len(sends.data) > _EMPTY:
        yield from dict.fromkeys(one.node for one in shelf.codec.load(sends) if isinstance(one, SendProtocol))
