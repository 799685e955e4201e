"""Checkpoints in files of the Mix server.

Owns: LangGraph's checkpoints as records of the store and back; listings, page by page; and the history of channels that
store no value of their own (LangGraph's `DeltaChannel`). Refuses to know: files (`store.py`), and what is done to
sessions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.base import PendingWrite as WriteTuple

from langchain_mix.checkpoint.backend import (
    Address,
    CheckpointInfo,
    Keep,
    Key,
    ListQuery,
    PendingWrite,
    Snapshot,
    listed_namespace,
    read_address,
    thread_exists,
)
from langchain_mix.checkpoint.positions import Renew, distinct, marked, newest_positions, read_mark, unmarked
from langchain_mix.checkpoint.reader import Cursor
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
from langchain_mix.checkpoint.runtime import Steps
from langchain_mix.checkpoint.serde import Codec
from langchain_mix.checkpoint.store import ThreadStore
from langchain_mix.errors import MixInputError, MixStoreError


@dataclass(frozen=True, slots=True)
class FileBackend:
    """The store of a Mix server.

    Attributes:
        threads: The store, shared by all copies of a saver.
    """

    threads: ThreadStore
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
            metadata=self.codec.store(marked(cast("Mapping[str, Any]", metadata), newest_positions(channels))),
            values={name: known[name] or self.codec.store(value) for name, value in channels.items()},
            versions=versions,
        )
        return self.threads.append(address.thread_id, [record])

    def _recall(
        self, address: Address, channel: str, versions: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Value | None:
        """Returns the parent's value of an unchanged channel, if known here, to save serialising it again."""
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
        return channel_history(self.threads, self.codec, address, channels)

    def item(self, address: Address) -> Steps[CheckpointInfo | None]:
        """Finds a checkpoint, or the newest of its namespace, without its values."""
        stored = yield from self.threads.find(address.thread_id, address.ns, address.checkpoint_id)
        return None if stored is None else self._item(stored.record, stored.writes)

    def snapshot(self, thread_id: str) -> Steps[Snapshot]:
        """Reads a whole thread."""
        entries = yield from self.threads.entries(thread_id)
        return Snapshot(tuple(self._items(entries)), list(entries))

    def revise(self, thread_id: str, decide: Callable[[Sequence[CheckpointInfo]], Keep]) -> Steps[None]:
        """Removes from a thread what is not to stay. Writes whose checkpoint is not stored yet stay."""

        def change(entries: list[Entry]) -> Sequence[Entry]:
            items = self._items(entries)
            keep = decide(items)
            gone = {item.key for item in items} - keep.checkpoints
            return [kept for entry in entries if (kept := _kept(entry, keep, gone)) is not None]

        _check_left(thread_id, (yield from self.threads.rewrite(thread_id, change)))

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
                raise thread_exists(thread_id)
            return copied

        yield from self.threads.rewrite(thread_id, change)

    def may_arrive(self, thread_id: str) -> bool:
        """True if an upload of this process that holds the thread has an unknown outcome."""
        return self.threads.is_uncertain(thread_id)

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
        """Returns a stored checkpoint in LangGraph's form."""
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

    def _items(self, entries: Sequence[Entry]) -> list[CheckpointInfo]:
        records: dict[Key, CheckpointRecord] = {}
        writes: dict[Key, list[WritesRecord]] = {}
        for entry in entries:
            if isinstance(entry, CheckpointRecord):
                records[entry.ns, entry.checkpoint_id] = entry
            else:
                writes.setdefault((entry.ns, entry.checkpoint_id), []).append(entry)
        items = [self._item(record, writes.get(key, [])) for key, record in records.items()]
        return sorted(items, key=lambda item: (item.checkpoint_id, item.ns))

    def _item(self, record: CheckpointRecord, writes: Sequence[WritesRecord]) -> CheckpointInfo:
        metadata = self.codec.load(record.metadata)
        positions = read_mark(metadata)
        if positions is None:  # Stored without a mark: its messages may hold pointers all the same.
            ordered = sorted(record.values, key=lambda name: (name != "messages", name))
            found = [p for name in ordered for p in reversed(self.codec.positions(record.values[name]))]
            positions = distinct(found)
        return CheckpointInfo(
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
            hint="Delete them with `repair(orphans=True, dry_run=False)` while nothing writes.",
        )


def _kept(entry: Entry, keep: Keep, gone: set[Key]) -> Entry | None:
    """Returns the part of an entry that stays, or None."""
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


_LIST_PAGE: Final = 64
_LIST_PAGE_OF_MANY: Final = 16


@dataclass(slots=True)
class CheckpointLister:
    """One listing, begun and read on as far as anybody wants."""

    backend: FileBackend
    query: ListQuery
    _threads: list[_Thread] | None = None
    _given: int = 0

    def more(self) -> Steps[list[CheckpointTuple]]:
        """Reads on; returns the next checkpoints, an empty list at the end."""
        left = None if self.query.limit is None else self.query.limit - self._given
        if left is not None and left <= 0:
            return []
        if self._threads is None:
            self._threads = yield from self._begin()
        found: list[CheckpointTuple] = []
        while left is None or len(found) < left:
            newest = yield from self._newest(left)
            if newest is None:
                break
            found.append(self.backend.as_tuple(newest.thread_id, newest.read.popleft()))
            if not newest.read:
                break  # What was read is given before more is read.
        self._given += len(found)
        return found

    def _begin(self) -> Steps[list[_Thread]]:
        if self.query.thread_id is not None:
            return [_Thread(self.query.thread_id)]
        names = yield from self.backend.thread_ids()
        return [_Thread(name) for name in names]

    def _newest(self, left: int | None) -> Steps[_Thread | None]:
        threads = self._threads or []
        page = _LIST_PAGE if len(threads) == 1 else _LIST_PAGE_OF_MANY
        for thread in threads:
            while not thread.read and not thread.over:
                yield from self._read_on(thread, page if left is None else min(left, page))
        full = [thread for thread in threads if thread.read]
        return max(full, key=lambda thread: thread.read[0].record.checkpoint_id, default=None)

    def _read_on(self, thread: _Thread, limit: int) -> Steps[None]:
        query = self.query
        if query.checkpoint_id is not None and query.ns is not None:
            stored = yield from self.backend.threads.find(thread.thread_id, query.ns, query.checkpoint_id)
            if stored is not None and self._wants(stored.record):
                thread.read.append(stored)
            thread.over = True
            return
        page, thread.cursor = yield from self.backend.threads.page(
            thread.thread_id,
            ns=query.ns,
            before=query.before if thread.cursor is None else None,
            start=thread.cursor,
            limit=limit,
            wanted=self._wants,
        )
        thread.read.extend(page)
        thread.over = thread.cursor is None

    def _wants(self, record: CheckpointRecord) -> bool:
        query = self.query
        if query.checkpoint_id is not None and record.checkpoint_id != query.checkpoint_id:
            return False
        if query.before is not None and record.checkpoint_id >= query.before:
            return False
        return not query.wanted or _has(self.backend.metadata(record), query.wanted)


@dataclass(slots=True)
class _Thread:
    """A thread of a listing, and how far it was read."""

    thread_id: str
    read: deque[Stored] = field(default_factory=deque)
    cursor: Cursor | None = None
    over: bool = False


def _has(metadata: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(metadata.get(key) == value for key, value in wanted.items())


def read_listing(
    config: RunnableConfig | None, wanted: Mapping[str, Any] | None, before: RunnableConfig | None, limit: int | None
) -> ListQuery:
    """Reads the arguments of `list`; see there."""
    older = None if not before else (before.get("configurable") or {}).get("checkpoint_id") or None
    if config is None:
        return ListQuery(wanted=wanted or {}, before=older, limit=limit)
    address = read_address(config)
    return ListQuery(
        thread_id=address.thread_id,
        ns=listed_namespace(config),
        checkpoint_id=address.checkpoint_id,
        wanted=wanted or {},
        before=older,
        limit=limit,
    )


_HISTORY_PAGE: Final = 128


@dataclass(slots=True)
class AncestorReader:
    """Reads the ancestors of a checkpoint, newest first.

    Parents have smaller ids than their children unless the clocks of two machines disagree; such a parent is looked
    for by itself.
    """

    threads: ThreadStore
    address: Address
    _page: dict[str, Stored] = field(default_factory=dict)
    _last: str | None = None
    _cursor: Cursor | None = None
    _over: bool = False

    def find(self, checkpoint_id: str, child_id: str) -> Steps[Stored | None]:
        """Finds the parent of a checkpoint."""
        while not self._over and (self._last is None or checkpoint_id < self._last):
            yield from self._read_on(child_id)
        if checkpoint_id in self._page:
            return self._page[checkpoint_id]
        return (yield from self.threads.find(self.address.thread_id, self.address.ns, checkpoint_id))

    def _read_on(self, child_id: str) -> Steps[None]:
        page, self._cursor = yield from self.threads.page(
            self.address.thread_id,
            ns=self.address.ns,
            before=child_id if self._last is None else None,
            start=self._cursor,
            limit=_HISTORY_PAGE,
        )
        self._page = {stored.record.checkpoint_id: stored for stored in page}
        self._last = page[-1].record.checkpoint_id if page else ""
        self._over = self._cursor is None


def channel_history(
    threads: ThreadStore, codec: Codec, address: Address, channels: Sequence[str]
) -> Steps[Mapping[str, DeltaChannelHistory]]:
    """Gathers the history of channels; see `BaseCheckpointSaver.get_delta_channel_history`.

    The writes of the checkpoint itself do not count.

    Returns:
        For each channel the writes of the ancestors, oldest first, and the newest stored value before them, if any.
    """
    if not channels:
        return {}
    wanted = dict.fromkeys(channels)
    collected: dict[str, list[WriteTuple]] = {channel: [] for channel in wanted}
    seeds: dict[str, Any] = {}
    target = yield from threads.find(address.thread_id, address.ns, address.checkpoint_id)
    ancestors = AncestorReader(threads, address)
    child = target
    seen: set[str] = set()
    while (
        child is not None and child.record.parent_id and child.record.parent_id not in seen and len(seeds) < len(wanted)
    ):
        stored = yield from ancestors.find(child.record.parent_id, child.record.checkpoint_id)
        if stored is None:
            break
        seen.add(stored.record.checkpoint_id)
        for task_id, channel, value in reversed(pending(stored)):
            if channel in wanted and channel not in seeds:
                collected[channel].append((task_id, channel, codec.load(value)))
        for channel in wanted:
            if channel in stored.record.values and channel not in seeds:
                seeds[channel] = codec.load(stored.record.values[channel])
        child = stored
    return {channel: _entry(collected[channel], channel, seeds) for channel in wanted}


def _entry(collected: list[WriteTuple], channel: str, seeds: Mapping[str, Any]) -> DeltaChannelHistory:
    entry: DeltaChannelHistory = {"writes": collected[::-1]}
    if channel in seeds:
        entry["seed"] = seeds[channel]
    return entry
