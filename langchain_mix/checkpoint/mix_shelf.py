"""Checkpoints in files of the Mix server.

Owns: turning LangGraph's checkpoints into records of the store and back. Refuses to know: files (`store.py`), listings
(`listing.py`), and what is done to sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)

from langchain_mix.checkpoint.addresses import Address
from langchain_mix.checkpoint.history import gather
from langchain_mix.checkpoint.positions import Renew, distinct, marked, newest_first, read_mark, unmarked
from langchain_mix.checkpoint.records import (
    CheckpointRecord,
    Entry,
    Stored,
    Value,
    Write,
    WritesRecord,
    effective,
    pending,
)
from langchain_mix.checkpoint.serde import Codec
from langchain_mix.checkpoint.shelf import Item, Keep, Key, PendingWrite, Snapshot, Steps, not_empty
from langchain_mix.checkpoint.store import Threads
from langchain_mix.errors import MixInputError, MixStoreError


@dataclass(frozen=True, slots=True)
class MixShelf:
    """The store of a Mix server.

    Attributes:
        threads: The store, shared by all copies of a saver.
        codec: How values are serialised.
    """

    threads: Threads
    codec: Codec

    def get(self, address: Address) -> Steps[CheckpointTuple | None]:
        """Finds a checkpoint, or the newest of its namespace."""
        stored = yield from self.threads.find(address.thread_id, address.ns, address.checkpoint_id)
        return None if stored is None else self.as_tuple(address.thread_id, stored)

    def put(
        self, address: Address, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> Steps[None]:
        """Keeps a checkpoint. The address is that of its parent."""
        rest: dict[str, Any] = dict(checkpoint)
        channels: Mapping[str, Any] = rest.pop("channel_values", None) or {}
        versions: Mapping[str, Any] = rest.get("channel_versions") or {}
        known = {name: self._recall(address, name, versions, new_versions) for name in channels}
        record = CheckpointRecord(
            ns=address.ns,
            checkpoint_id=checkpoint["id"],
            parent_id=address.checkpoint_id,
            skeleton=self.codec.store(rest),
            metadata=self.codec.store(marked(cast("Mapping[str, Any]", metadata), newest_first(channels))),
            values={name: known[name] or self.codec.store(value) for name, value in channels.items()},
            versions=versions,
        )
        yield from self.threads.append(address.thread_id, [record])

    def _recall(
        self, address: Address, channel: str, versions: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Value | None:
        """What the parent holds of a channel that did not change, if this process knows it: no need to serialise it."""
        if address.checkpoint_id is None or channel in new or channel not in versions:
            return None
        return self.threads.recall(address.thread_id, address.ns, address.checkpoint_id, channel, versions[channel])

    def put_writes(
        self, address: Address, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
    ) -> Steps[None]:
        """Keeps writes of a task at a checkpoint."""
        if address.checkpoint_id is None:
            raise MixInputError(
                "Writes belong to a checkpoint, and the config names none.", hint="Pass its `checkpoint_id`."
            )
        if not writes:
            return
        record = WritesRecord(
            ns=address.ns,
            checkpoint_id=address.checkpoint_id,
            task_id=task_id,
            task_path=task_path,
            writes=tuple(
                Write(WRITES_IDX_MAP.get(channel, index), channel, self.codec.store(value))
                for index, (channel, value) in enumerate(writes)
            ),
        )
        yield from self.threads.append(address.thread_id, [record])

    def history(self, address: Address, channels: Sequence[str]) -> Steps[Mapping[str, DeltaChannelHistory]]:
        """Gathers what the ancestors of a checkpoint wrote to channels, back to a stored value of each."""
        return gather(self.threads, self.codec, address, channels)

    def item(self, address: Address) -> Steps[Item | None]:
        """Finds a checkpoint, or the newest of its namespace, without its values."""
        stored = yield from self.threads.find(address.thread_id, address.ns, address.checkpoint_id)
        return None if stored is None else self._item(stored.record, stored.writes)

    def snapshot(self, thread_id: str) -> Steps[Snapshot]:
        """Reads a whole thread."""
        entries = yield from self.threads.entries(thread_id)
        return Snapshot(tuple(self._items(entries)), list(entries))

    def revise(self, thread_id: str, decide: Callable[[Sequence[Item]], Keep]) -> Steps[None]:
        """Removes from a thread what is not to stay. Writes whose checkpoint is not stored yet stay."""

        def change(entries: list[Entry]) -> Sequence[Entry]:
            items = self._items(entries)
            keep = decide(items)
            gone = {item.key for item in items} - keep.checkpoints
            return [kept for entry in entries if (kept := _kept(entry, keep, gone)) is not None]

        rewritten = yield from self.threads.rewrite(thread_id, change)
        _check_left(thread_id, rewritten.left)

    def create(self, thread_id: str, source: Snapshot, renew: Renew) -> Steps[None]:
        """Makes a thread of another's snapshot, with other pointers."""
        renewed: dict[Value, Value] = {}

        def other(value: Value) -> Value:
            if value not in renewed:
                renewed[value] = self.codec.renewed(value, renew)
            return renewed[value]

        copied = [_with_values(entry, other) for entry in source.held]

        def change(entries: list[Entry]) -> Sequence[Entry]:
            if entries:
                raise not_empty(thread_id)
            return copied

        yield from self.threads.rewrite(thread_id, change)

    def delete(self, thread_id: str) -> Steps[Any]:
        """Deletes a thread with all its namespaces."""
        deleted = yield from self.threads.delete(thread_id)
        _check_left(thread_id, deleted.left)

    def thread_ids(self) -> Steps[list[str]]:
        """Lists all threads."""
        return self.threads.thread_ids()

    def threads_of_runs(self, run_ids: Collection[str]) -> Steps[list[str]]:
        """Lists the threads in which runs have stored checkpoints."""
        found: list[str] = []
        for thread_id in (yield from self.threads.thread_ids()):
            snapshot = yield from self.snapshot(thread_id)
            if any(item.metadata.get("run_id") in run_ids for item in snapshot.items):
                found.append(thread_id)
        return found

    def metadata(self, record: CheckpointRecord) -> dict[str, Any]:
        """The metadata of a record, as its author gave it."""
        return unmarked(self.codec.load(record.metadata))

    def as_tuple(self, thread_id: str, stored: Stored) -> CheckpointTuple:
        """What LangGraph gets for a stored checkpoint."""
        record = stored.record
        address = Address(thread_id, record.ns, record.checkpoint_id)
        values = {name: self.codec.load(value) for name, value in record.values.items()}
        return CheckpointTuple(
            config=address.config(),
            checkpoint=cast("Checkpoint", {**self.codec.load(record.skeleton), "channel_values": values}),
            metadata=cast("CheckpointMetadata", self.metadata(record)),
            parent_config=address.parent_config(record.parent_id),
            pending_writes=[(task, channel, self.codec.load(value)) for task, channel, value in pending(stored)],
        )

    def _items(self, entries: Sequence[Entry]) -> list[Item]:
        records: dict[Key, CheckpointRecord] = {}
        writes: dict[Key, list[WritesRecord]] = {}
        for entry in entries:
            if isinstance(entry, CheckpointRecord):
                records[entry.ns, entry.checkpoint_id] = entry
            else:
                writes.setdefault((entry.ns, entry.checkpoint_id), []).append(entry)
        items = [self._item(record, writes.get(key, [])) for key, record in records.items()]
        return sorted(items, key=lambda item: (item.checkpoint_id, item.ns))

    def _item(self, record: CheckpointRecord, writes: Sequence[WritesRecord]) -> Item:
        metadata = self.codec.load(record.metadata)
        positions = read_mark(metadata)
        if positions is None:  # Nobody noted any: messages that hold pointers may have come in another way.
            ordered = sorted(record.values, key=lambda name: (name != "messages", name))
            found = [p for name in ordered for p in reversed(self.codec.positions(record.values[name]))]
            positions = distinct(found)
        return Item(
            ns=record.ns,
            checkpoint_id=record.checkpoint_id,
            parent_id=record.parent_id,
            ts=str(self.codec.load(record.skeleton).get("ts", "")),
            metadata=unmarked(metadata),
            channels=frozenset(record.values),
            positions=positions,
            writes=tuple(self._pending(w.task_id, one) for w, one in effective(writes)),
        )

    def _pending(self, task_id: str, write: Write) -> PendingWrite:
        return PendingWrite(task_id, write.channel, tuple(self.codec.positions(write.value)))


def _check_left(thread_id: str, left: Sequence[str]) -> None:
    if left:
        raise MixStoreError(
            f"What was to go of thread {thread_id!r} is gone from it, but {len(left)} files that held it could not be "
            f"deleted: {', '.join(left)}.",
            acted="yes",
            hint="Delete them with `repair(orphans=True, dry_run=False)` when nobody writes.",
        )


def _kept(entry: Entry, keep: Keep, gone: set[Key]) -> Entry | None:
    """What of an entry stays."""
    key = entry.ns, entry.checkpoint_id
    if key in gone:
        return None
    if isinstance(entry, CheckpointRecord) or key not in keep.writes:
        return entry
    places = {(write.task_id, write.channel) for write in keep.writes[key]}
    stay = tuple(write for write in entry.writes if (entry.task_id, write.channel) in places)
    return replace(entry, writes=stay) if stay else None


def _with_values(entry: Entry, other: Callable[[Value], Value]) -> Entry:
    if isinstance(entry, WritesRecord):
        return replace(entry, writes=tuple(replace(write, value=other(write.value)) for write in entry.writes))
    values = {name: other(value) for name, value in entry.values.items()}
    return replace(entry, metadata=other(entry.metadata), values=values)
