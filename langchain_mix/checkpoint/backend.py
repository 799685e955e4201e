"""The interface of any place that keeps checkpoints, and the values that it is called with.

Owns: reading the address in a LangGraph config, a checkpoint without its values, and the operations of a backend.
Refuses to know: whether checkpoints are kept in files of the Mix server (`file_backend.py`) or by another saver
(`saver_backend.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)

from langchain_mix.checkpoint.positions import Position, Renew
from langchain_mix.checkpoint.runtime import Steps
from langchain_mix.errors import MixInputError


@dataclass(frozen=True, slots=True)
class Address:
    """A thread, a namespace in it, and perhaps one checkpoint.

    Attributes:
        ns: The namespace; the root graph's is empty.
        checkpoint_id: The checkpoint, or None for the newest.
    """

    thread_id: str
    ns: str = ""
    checkpoint_id: str | None = None

    def at(self, checkpoint_id: str | None) -> Address:
        """The same namespace, another checkpoint."""
        return Address(self.thread_id, self.ns, checkpoint_id)

    def config(self) -> RunnableConfig:
        """The config that LangGraph is given for it."""
        return {
            "configurable": {
                "thread_id": self.thread_id,
                "checkpoint_ns": self.ns,
                "checkpoint_id": self.checkpoint_id,
            }
        }

    def parent_config(self, parent_id: str | None) -> RunnableConfig | None:
        """The config of the parent, or None if there is none."""
        return self.at(parent_id).config() if parent_id else None


def read_address(config: RunnableConfig) -> Address:
    """Reads the address in a config. A namespace or a checkpoint may lack or be None, as LangGraph itself leaves them.

    Raises:
        MixInputError: There is no thread id, or an id that is no valid text.
    """
    given: dict[str, Any] = config.get("configurable") or {}
    thread_id = given.get("thread_id")
    if thread_id is None or thread_id == "":
        raise MixInputError(
            "The config names no thread.", hint='Pass {"configurable": {"thread_id": "..."}}; any text will do.'
        )
    checkpoint_id = given.get("checkpoint_id") or None
    return Address(
        thread_id=thread_name(thread_id),
        ns=_text("checkpoint_ns", given.get("checkpoint_ns") or ""),
        checkpoint_id=None if checkpoint_id is None else _text("checkpoint_id", checkpoint_id),
    )


def listed_namespace(config: RunnableConfig) -> str | None:
    """The namespace that a listing is about; None for all of them."""
    ns = (config.get("configurable") or {}).get("checkpoint_ns")
    return None if ns is None else _text("checkpoint_ns", ns)


def thread_name(thread_id: Any) -> str:
    """The text of a thread id; LangGraph's users also pass numbers and UUIDs.

    Raises:
        MixInputError: It is no valid text.
    """
    return _text("thread_id", thread_id)


def _text(name: str, value: Any) -> str:
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise MixInputError(f"`{name}` is no valid text (lone surrogate): {text!r}.") from None
    return text


T = TypeVar("T")

Key: TypeAlias = tuple[str, str]
"""Namespace and id of a checkpoint."""


@dataclass(frozen=True, slots=True)
class PendingWrite:
    """A write of a task, without its value.

    Attributes:
        positions: The places of the messages in its value.
    """

    task_id: str
    channel: str
    positions: tuple[Position, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """A kept checkpoint, without its values.

    Attributes:
        ts: When it was made, as the checkpoint says.
        channels: The channels whose value it holds.
        positions: The newest place in each session it points to; the first is its own.
        writes: Its pending writes, in LangGraph's order.
    """

    ns: str
    checkpoint_id: str
    parent_id: str | None
    ts: str
    metadata: Mapping[str, Any]
    channels: frozenset[str]
    positions: tuple[Position, ...] = ()
    writes: tuple[PendingWrite, ...] = ()

    @property
    def key(self) -> Key:
        """Namespace and id."""
        return self.ns, self.checkpoint_id

    @property
    def all_positions(self) -> tuple[Position, ...]:
        """Its positions, and those in the writes that wait at it."""
        return (*self.positions, *(position for write in self.writes for position in write.positions))


@dataclass(frozen=True, slots=True)
class Keep:
    """The part of a thread that is to stay.

    Attributes:
        writes: For some of them, which of their pending writes stay; the others keep all of theirs.
    """

    checkpoints: frozenset[Key]
    writes: Mapping[Key, frozenset[PendingWrite]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole thread at one moment.

    Attributes:
        items: Its checkpoints, oldest id first.
        held: The same as the backend keeps them.
    """

    items: tuple[CheckpointInfo, ...]
    held: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The conditions of a listing, of which those that are None do not matter. `wanted` is metadata."""

    thread_id: str | None = None
    ns: str | None = None
    checkpoint_id: str | None = None
    wanted: Mapping[str, Any] = field(default_factory=dict)
    before: str | None = None
    limit: int | None = None


class CheckpointBackend(Protocol):
    """A place that keeps checkpoints. Every method gives a procedure."""

    def get(self, address: Address) -> Steps[CheckpointTuple | None]:
        """Finds a checkpoint, or the newest of its namespace."""
        ...

    def put(
        self, address: Address, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> Steps[None]:
        """Keeps a checkpoint. The address is that of its parent."""
        ...

    def put_writes(
        self, address: Address, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
    ) -> Steps[None]:
        """Keeps writes of a task at a checkpoint."""
        ...

    def history(self, address: Address, channels: Sequence[str]) -> Steps[Mapping[str, DeltaChannelHistory]]:
        """Gathers what the ancestors of a checkpoint wrote to channels, back to a stored value of each."""
        ...

    def item(self, address: Address) -> Steps[CheckpointInfo | None]:
        """Finds a checkpoint, or the newest of its namespace, without its values."""
        ...

    def snapshot(self, thread_id: str) -> Steps[Snapshot]:
        """Reads a whole thread."""
        ...

    def revise(self, thread_id: str, decide: Callable[[Sequence[CheckpointInfo]], Keep]) -> Steps[None]:
        """Removes from a thread what is not to stay.

        `decide` gets the checkpoints, oldest id first, and returns which stay. It may be called again with more.
        """
        ...

    def create(self, thread_id: str, source: Snapshot, renew: Renew) -> Steps[None]:
        """Makes a thread of another's snapshot, with other pointers.

        When it fails, the thread is not there, as far as that can be known; see `may_arrive`.

        Raises:
            MixInputError: The thread holds something already; nothing is changed.
        """
        ...

    def may_arrive(self, thread_id: str) -> bool:
        """True if a thread that could not be created may still appear: storing it was cut off, and goes on somewhere.

        False says nothing of what is there already.
        """
        ...

    def delete(self, thread_id: str) -> Steps[Any]:
        """Deletes a thread with all its namespaces. A thread that does not exist is no error."""
        ...

    def thread_ids(self) -> Steps[list[str]]:
        """Lists all threads."""
        ...

    def threads_of_runs(self, run_ids: Collection[str]) -> Steps[list[str]]:
        """Lists the threads in which runs have stored checkpoints."""
        ...


def thread_exists(thread_id: str) -> MixInputError:
    """The error for a thread that is to be made and exists."""
    return MixInputError(
        f"Thread {thread_id!r} holds checkpoints already; nothing was copied into it.",
        hint="Copy to a new thread id, or delete that thread first.",
    )
