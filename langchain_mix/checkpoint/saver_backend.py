"""Checkpoints kept by another saver of LangGraph: PostgreSQL, SQLite, Redis, memory.

Owns: uses of a saver as steps of a procedure, and what such a saver may lack, built of what it has.
Refuses to know: any particular saver, and what is done to sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from uuid import uuid4

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)

from langchain_mix.checkpoint.backend import (
    Address,
    CheckpointInfo,
    Keep,
    ListQuery,
    PendingWrite,
    Snapshot,
    read_address,
    thread_exists,
)
from langchain_mix.checkpoint.positions import (
    Renew,
    distinct,
    marked,
    newest_positions,
    positions_in,
    read_mark,
    unmarked,
    with_pointers,
)
from langchain_mix.checkpoint.runtime import SaverCall, Steps
from langchain_mix.errors import MixStoreError

T = TypeVar("T")

Saver = BaseCheckpointSaver[Any]


@dataclass(frozen=True, slots=True)
class SaverBackend:
    """Another saver.

    Attributes:
        saver: The saver. What it stores is what it would store by itself, and a mark in the metadata.
    """

    saver: Saver

    def get(self, address: Address) -> Steps[CheckpointTuple | None]:
        """Finds a checkpoint, or the newest of its namespace."""
        found = yield self._saver_call("get_tuple", _config(address))
        return None if found is None else without_mark(found)

    def put(
        self, address: Address, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> Steps[None]:
        """Keeps a checkpoint. The address is that of its parent."""
        channels = checkpoint.get("channel_values") or {}
        noted = marked(cast("Mapping[str, Any]", metadata), newest_positions(channels))
        yield self._saver_call("put", _config(address), checkpoint, noted, new_versions)

    def put_writes(
        self, address: Address, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
    ) -> Steps[None]:
        """Keeps writes of a task at a checkpoint."""
        yield self._saver_call("put_writes", _config(address), writes, task_id, task_path)

    def history(self, address: Address, channels: Sequence[str]) -> Steps[Mapping[str, DeltaChannelHistory]]:
        """Gathers what the ancestors of a checkpoint wrote to channels; the saver knows its shortest way."""
        found: Mapping[str, DeltaChannelHistory] = yield self._saver_call(
            "get_delta_channel_history", config=_config(address), channels=channels
        )
        return found

    def item(self, address: Address) -> Steps[CheckpointInfo | None]:
        """Finds a checkpoint, or the newest of its namespace, without its values."""
        found = yield self._saver_call("get_tuple", _config(address))
        return None if found is None else _item(found)

    def snapshot(self, thread_id: str) -> Steps[Snapshot]:
        """Reads a whole thread."""
        tuples: list[CheckpointTuple] = yield self._listed({"configurable": {"thread_id": thread_id}}, list)
        pairs = sorted(((_item(one), one) for one in tuples), key=lambda p: (p[0].checkpoint_id, p[0].ns))
        return Snapshot(tuple(item for item, _ in pairs), [one for _, one in pairs])

    def revise(self, thread_id: str, decide: Callable[[Sequence[CheckpointInfo]], Keep]) -> Steps[None]:
        """Removes from a thread what is not to stay.

        Savers of LangGraph delete whole threads only. So what stays is first stored a second time, under another
        thread id, then the thread is deleted and stored again: at any moment the state exists, though until the end
        others may see the thread without it. No graph should run on it meanwhile.
        """
        snapshot = yield from self.snapshot(thread_id)
        keep = decide(snapshot.items)
        stays = [_trimmed(one, keep) for one in snapshot.held if _item(one).key in keep.checkpoints]
        if len(stays) == len(snapshot.items) and not keep.writes:
            return
        if not stays:
            yield from self.delete(thread_id)
            return
        spare = f"{thread_id}~spare~{uuid4()}"
        yield from self._store(spare, stays)
        try:
            yield from self.delete(thread_id)
            yield from self._store(thread_id, stays)
        except Exception as problem:
            raise MixStoreError(
                f"Thread {thread_id!r} could not be stored again; what it is to hold is in thread {spare!r}.",
                acted="unknown",
                hint="Delete what there is of the thread, then copy that one back with `copy_thread`.",
            ) from problem
        yield from self.delete(spare)

    def create(self, thread_id: str, source: Snapshot, renew: Renew) -> Steps[None]:
        """Makes a thread of another's snapshot, with other pointers."""
        existing = yield self._listed({"configurable": {"thread_id": thread_id}}, lambda found: next(found, None))
        if existing is not None:
            raise thread_exists(thread_id)
        try:
            yield from self._store(thread_id, [_with_other(one, renew) for one in source.held])
        except GeneratorExit:
            raise
        except BaseException as problem:  # Cancelled, too: half of a thread is none.
            try:
                yield from self.delete(thread_id)
            except Exception as failure:  # noqa: BLE001  # Of whatever saver; the first problem counts.
                problem.add_note(f"Thread {thread_id!r} may hold a part of the copy: {failure}")
            raise

    def may_arrive(self, thread_id: str) -> bool:  # noqa: ARG002  # The interface's.
        """False: what was stored before a deletion is gone with it, and what could not be deleted can be read."""
        return False

    def delete(self, thread_id: str) -> Steps[Any]:
        """Deletes a thread with all its namespaces."""
        yield self._saver_call("delete_thread", thread_id)

    def thread_ids(self) -> Steps[list[str]]:
        """Lists all threads."""
        names: list[str] = yield self._listed(None, _threads_of)
        return names

    def threads_of_runs(self, run_ids: Collection[str]) -> Steps[list[str]]:
        """Lists the threads in which runs have stored checkpoints."""
        names: dict[str, None] = {}
        for run_id in run_ids:
            found = yield self._listed(None, _threads_of, filter={"run_id": run_id})
            names.update(dict.fromkeys(found))
        return list(names)

    def _store(self, thread_id: str, tuples: Sequence[CheckpointTuple]) -> Steps[None]:
        """Stores checkpoints with their ids and writes, oldest first."""
        for one in tuples:
            here = read_address(one.config)
            parent = read_address(one.parent_config).checkpoint_id if one.parent_config else None
            target = Address(thread_id, here.ns, parent)
            versions = one.checkpoint.get("channel_versions") or {}
            yield self._saver_call("put", _config(target), one.checkpoint, one.metadata, versions)
            for number, (task_id, writes) in enumerate(_by_task(one.pending_writes or ())):
                # The task's path is not known, only the order it makes: a number replaces it.
                path = f"{number:08}"
                yield self._saver_call("put_writes", _config(target.at(here.checkpoint_id)), writes, task_id, path)

    def _saver_call(self, method: str, *args: Any, **kwargs: Any) -> SaverCall:
        saver = self.saver
        return SaverCall(
            method,
            lambda: getattr(saver, method)(*args, **kwargs),
            lambda: getattr(saver, f"a{method}")(*args, **kwargs),
        )

    def _listed(
        self, config: RunnableConfig | None, read: Callable[[Iterator[CheckpointTuple]], Any], **kwargs: Any
    ) -> SaverCall:
        saver = self.saver

        async def later() -> Any:
            return read(iter([one async for one in saver.alist(config, **kwargs)]))

        return SaverCall("list", lambda: read(iter(saver.list(config, **kwargs))), later)


def _threads_of(found: Iterable[CheckpointTuple]) -> list[str]:
    return list(dict.fromkeys(read_address(one.config).thread_id for one in found))


def listing_arguments(query: ListQuery) -> dict[str, Any]:
    """Returns the arguments of a saver's `list`: no key whose value some of them would take for an id."""
    keys = {"thread_id": query.thread_id, "checkpoint_ns": query.ns, "checkpoint_id": query.checkpoint_id}
    given = {key: value for key, value in keys.items() if value is not None}
    return {
        "config": None if query.thread_id is None else {"configurable": given},
        "filter": dict(query.wanted) or None,
        "before": None if query.before is None else {"configurable": {**given, "checkpoint_id": query.before}},
        "limit": query.limit,
    }


def without_mark(found: CheckpointTuple) -> CheckpointTuple:
    """A checkpoint as LangGraph is given it: with canonical configs, without the mark."""
    here = read_address(found.config)
    parent = read_address(found.parent_config).checkpoint_id if found.parent_config else None
    return found._replace(
        config=here.config(),
        metadata=cast("CheckpointMetadata", unmarked(cast("Mapping[str, Any]", found.metadata or {}))),
        parent_config=here.parent_config(parent),
        pending_writes=found.pending_writes or [],
    )


def _config(address: Address) -> RunnableConfig:
    """A config for a saver: some take a `checkpoint_id` of None for an id."""
    keys = {"thread_id": address.thread_id, "checkpoint_ns": address.ns, "checkpoint_id": address.checkpoint_id}
    return {"configurable": {key: value for key, value in keys.items() if value is not None}}


def _item(one: CheckpointTuple) -> CheckpointInfo:
    address = read_address(one.config)
    channels: Mapping[str, Any] = one.checkpoint.get("channel_values") or {}
    metadata = cast("Mapping[str, Any]", one.metadata or {})
    positions = read_mark(metadata)
    return CheckpointInfo(
        ns=address.ns,
        checkpoint_id=str(address.checkpoint_id),
        parent_id=read_address(one.parent_config).checkpoint_id if one.parent_config else None,
        ts=str(one.checkpoint.get("ts", "")),
        metadata=unmarked(metadata),
        channels=frozenset(channels),
        positions=distinct(newest_positions(channels)) if positions is None else positions,
        writes=tuple(_pending(write) for write in one.pending_writes or ()),
    )


def _pending(write: tuple[str, str, Any]) -> PendingWrite:
    return PendingWrite(write[0], write[1], tuple(positions_in(write[2])))


def _trimmed(one: CheckpointTuple, keep: Keep) -> CheckpointTuple:
    key = _item(one).key
    if key not in keep.writes:
        return one
    return one._replace(pending_writes=[w for w in one.pending_writes or () if _pending(w) in keep.writes[key]])


def _by_task(writes: Sequence[tuple[str, str, Any]]) -> list[tuple[str, list[tuple[str, Any]]]]:
    """The writes of each task; ordinary ones first, so that they keep their places."""
    tasks: dict[str, list[tuple[str, Any]]] = {}
    for task_id, channel, value in writes:
        tasks.setdefault(task_id, []).append((channel, value))
    return [(task, sorted(given, key=lambda write: write[0] in WRITES_IDX_MAP)) for task, given in tasks.items()]


def _with_other(one: CheckpointTuple, renew: Renew) -> CheckpointTuple:
    """A checkpoint with other pointers, in its values, its writes and its mark."""
    checkpoint = cast("Checkpoint", dict(one.checkpoint))
    checkpoint["channel_values"] = with_pointers(dict(one.checkpoint.get("channel_values") or {}), renew)
    metadata = {**(one.metadata or {})}
    noted = read_mark(metadata)
    if noted is not None:
        metadata = marked(unmarked(metadata), newest_positions(checkpoint["channel_values"]))
    writes = [(task, channel, with_pointers(value, renew)) for task, channel, value in one.pending_writes or ()]
    return one._replace(checkpoint=checkpoint, metadata=cast("CheckpointMetadata", metadata), pending_writes=writes)
