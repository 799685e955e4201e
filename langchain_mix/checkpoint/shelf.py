"""Where checkpoints are kept, seen from above: what can be asked of any place that keeps them.

Owns: what is known of a kept checkpoint without its values, and the operations. Refuses to know: whether they are kept
in files of the Mix server (`mix_shelf.py`) or by another saver (`storage.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)

from langchain_mix.checkpoint.addresses import Address
from langchain_mix.checkpoint.positions import Position, Renew
from langchain_mix.errors import MixInputError

T = TypeVar("T")

Steps: TypeAlias = Generator[Any, Any, T]
"""A procedure of several steps, each of which a driver carries out: calls, turns and pauses, or uses of a saver."""

Key: TypeAlias = tuple[str, str]
"""Namespace and id of a checkpoint."""


@dataclass(frozen=True, slots=True)
class PendingWrite:
    """A write of a task, without its value.

    Attributes:
        task_id: The task.
        channel: The channel.
        positions: Where the messages in its value stand.
    """

    task_id: str
    channel: str
    positions: tuple[Position, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """A kept checkpoint, without its values.

    Attributes:
        ns: Its namespace.
        checkpoint_id: Its id.
        parent_id: The checkpoint it follows, or None.
        ts: When it was made, as the checkpoint says.
        metadata: Its metadata, as its author gave it.
        channels: The channels whose value stands in it.
        positions: The newest place in each session it points to; the first is where it stands.
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


@dataclass(frozen=True, slots=True)
class Keep:
    """What of a thread is to stay.

    Attributes:
        checkpoints: The checkpoints.
        writes: For some of them, which of their pending writes stay; the others keep all of theirs.
    """

    checkpoints: frozenset[Key]
    writes: Mapping[Key, frozenset[PendingWrite]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole thread at one moment.

    Attributes:
        items: Its checkpoints, oldest id first.
        held: The same as they are kept, for who made the snapshot.
    """

    items: tuple[Item, ...]
    held: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a listing asks for.

    Attributes:
        thread_id: The thread, or None for all.
        ns: Exactly this namespace, or None for all.
        checkpoint_id: Exactly this checkpoint, or None for all.
        wanted: Metadata that a checkpoint must have.
        before: Only ids smaller than this.
        limit: How many at most; None for all.
    """

    thread_id: str | None = None
    ns: str | None = None
    checkpoint_id: str | None = None
    wanted: Mapping[str, Any] = field(default_factory=dict)
    before: str | None = None
    limit: int | None = None


class Shelf(Protocol):
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

    def item(self, address: Address) -> Steps[Item | None]:
        """Finds a checkpoint, or the newest of its namespace, without its values."""
        ...

    def snapshot(self, thread_id: str) -> Steps[Snapshot]:
        """Reads a whole thread."""
        ...

    def revise(self, thread_id: str, decide: Callable[[Sequence[Item]], Keep]) -> Steps[None]:
        """Removes from a thread what is not to stay.

        Args:
            thread_id: The thread.
            decide: Gets the checkpoints, oldest id first, and tells which stay. It may be called again with more.
        """
        ...

    def create(self, thread_id: str, source: Snapshot, renew: Renew) -> Steps[None]:
        """Makes a thread of another's snapshot, with other pointers.

        Raises:
            MixInputError: The thread holds something already; nothing is changed.
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


def not_empty(thread_id: str) -> MixInputError:
    """The error for a thread that is to be made and exists."""
    return MixInputError(
        f"Thread {thread_id!r} holds checkpoints already; nothing was copied into it.",
        hint="Copy to a new thread id, or delete that thread first.",
    )
