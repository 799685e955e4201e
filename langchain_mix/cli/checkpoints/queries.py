"""Reads what the commands show: threads, checkpoints and their values, and no more than that."""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final

from langgraph.checkpoint.serde.types import SendProtocol
from pydantic import BaseModel
from rich.progress import Progress, track
from rich.text import Text

from langchain_mix.checkpoint import MixSerdeWarning
from langchain_mix.checkpoint.backend import thread_name
from langchain_mix.checkpoint.branches import Preview, Tree, previews_of, tree_of
from langchain_mix.checkpoint.file_backend import FileBackend
from langchain_mix.checkpoint.garbage import Report
from langchain_mix.checkpoint.positions import Position, distinct, read_mark
from langchain_mix.checkpoint.records import CheckpointRecord, Stored, pending
from langchain_mix.cli.checkpoints.access import Store, no_thread
from langchain_mix.cli.failures import report_error
from langchain_mix.cli.terminal import errors_console, visible
from langchain_mix.errors import MixCheckpointDamaged, MixInputError, MixStoreError


@dataclass(frozen=True, slots=True)
class Found:
    """The checkpoints of a list, newest first, and how many threads could not be read; these are reported already."""

    summaries: list[Summary]
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """A checkpoint with its metadata, its state by channel, and the writes that wait at it: task, channel, value."""

    summary: Summary
    metadata: Mapping[str, Any]
    values: Mapping[str, Any]
    writes: list[tuple[str, str, Any]]

    def data(self) -> dict[str, Any]:
        """The same as JSON."""
        writes = [
            {"task_id": task, "channel": channel, "value": as_data(value)} for task, channel, value in self.writes
        ]
        found = {"metadata": as_data(self.metadata), "values": as_data(self.values), "writes": writes}
        return {**self.summary.data(), **found}


def threads_of(store: Store, limit: int | None) -> Found:
    """Finds the threads with their newest checkpoints. One that is damaged does not hide the others.

    Raises:
        MixError: The server could not be read.
    """
    thread_ids, unreadable = _thread_ids(store)
    found: list[Summary] = []
    for thread_id in track(thread_ids, "Reading", console=errors_console(), transient=True):
        try:
            newest, _ = store.run(store.threads.page(thread_id, ns="", limit=1))
            if not newest:  # Only subgraphs have stored something.
                newest, _ = store.run(store.threads.page(thread_id, ns=None, limit=1))
        except MixCheckpointDamaged as problem:
            report_error(problem)
            unreadable += 1
            continue
        found += [summary(store.backend, thread_id, one) for one in newest]
    found.sort(key=lambda one: one.checkpoint_id, reverse=True)
    return Found(found[:limit], unreadable)


def _thread_ids(store: Store) -> tuple[list[str], int]:
    try:
        return store.run(store.threads.thread_ids()), 0
    except MixCheckpointDamaged:
        pass  # The report shows which threads are damaged.
    with waiting("Looking for damage"):
        reports = store.run(store.threads.report()).threads
    damaged = [one for one in reports if one.problem]
    for one in damaged:
        named = f"Thread {one.thread_id!r}" if one.thread_id else f"A thread, {one.key},"
        report_error(
            MixStoreError(
                f"{named} cannot be read: {one.problem}.", hint="`langchain-mix checkpoints repair` may help."
            )
        )
    return [one.thread_id for one in reports if not one.problem and one.checkpoints], len(damaged)


def checkpoints_of(store: Store, thread_id: str, limit: int | None) -> Found:
    """Finds the checkpoints of a thread, in all namespaces.

    Raises:
        MixInputError: There is no such thread.
        MixError: It could not be read.
    """
    name = thread_name(thread_id)
    with waiting("Reading"):
        page, _ = store.run(store.threads.page(name, ns=None, limit=limit))
    if not page:
        raise no_thread(thread_id)
    return Found([summary(store.backend, name, one) for one in page])


def tree_of_thread(store: Store, thread_id: str, ns: str) -> tuple[Tree, dict[str, Preview]]:
    """Reads the checkpoints of a namespace as a tree, and a preview of each.

    Raises:
        MixInputError: There are none.
        MixError: The thread could not be read.
    """
    with waiting("Reading"):
        name = thread_name(thread_id)
        tree = store.run(tree_of(store.backend, name, ns))
        if not tree.nodes:
            raise _no_namespace(thread_id, ns) if ns else no_thread(thread_id)
        page, _ = store.run(store.threads.page(name, ns=ns, limit=None))
    return tree, previews_of(store.backend.as_tuple(name, one) for one in page)


def checkpoint_of(store: Store, thread_id: str, named: str, ns: str) -> Shown:
    """Reads a checkpoint with its values.

    Raises:
        MixInputError: There is no such checkpoint.
        MixError: It could not be read.
    """
    name = thread_name(thread_id)
    wanted = None if named == "last" else find_checkpoint(store, thread_id, named, ns)
    stored = store.run(store.threads.find(name, ns, wanted))
    if stored is None:
        if wanted is not None:
            raise MixInputError(
                f"Thread {thread_id!r} has no checkpoint {wanted!r} here.",
                hint="`langchain-mix checkpoints list THREAD` shows all, with their namespaces.",
            )
        raise _no_namespace(thread_id, ns) if ns else no_thread(thread_id)
    found = store.backend.as_tuple(name, stored)
    return Shown(
        summary(store.backend, name, stored),
        metadata=dict(found.metadata),
        values=found.checkpoint["channel_values"],
        writes=list(found.pending_writes or ()),
    )


def report_of(store: Store, thread_id: str | None) -> Report:
    """Counts what is stored. A thread that holds nothing any more is none.

    Raises:
        MixInputError: There is no such thread.
        MixError: The server could not be read.
    """
    with waiting("Counting"):
        report = store.run(store.threads.report(None if thread_id is None else thread_name(thread_id)))
    if thread_id is not None and not report.threads:
        raise no_thread(thread_id)
    return report


def _no_namespace(thread_id: str, ns: str) -> MixInputError:
    return MixInputError(
        f"Thread {thread_id!r} has no namespace {ns!r}.",
        hint="`langchain-mix checkpoints list THREAD` shows all of them.",
    )


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
        step: LangGraph's number of the step, or None if none was stored.
        source: Why it was made; empty if that was not stored.
        next: The nodes that run next, those that wait for several others apart.
        size: Bytes of its values.
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


def summary(backend: FileBackend, thread_id: str, stored: Stored) -> Summary:
    """Summarises a stored checkpoint. No value of the state is constructed for it."""
    record = stored.record
    metadata: Mapping[str, Any] = backend.codec.load(record.metadata)
    step = metadata.get("step")
    return Summary(
        thread_id=thread_id,
        ns=record.ns,
        checkpoint_id=record.checkpoint_id,
        parent_id=record.parent_id,
        step=step if isinstance(step, int) else None,
        source=str(metadata.get("source") or ""),
        created_at=str(backend.codec.load(record.skeleton).get("ts", "")),
        next=tuple(_next(backend, record)),
        size=sum(len(value.data) for value in record.values.values()),
        pending_writes=len(pending(stored)),
        position=_position(backend, record, metadata),
    )


def _position(backend: FileBackend, record: CheckpointRecord, metadata: Mapping[str, Any]) -> Position | None:
    positions = read_mark(metadata)
    if positions is None:  # None was stored: as `FileBackend` does it.
        ordered = sorted(record.values, key=lambda name: (name != "messages", name))
        positions = distinct(p for name in ordered for p in reversed(backend.codec.positions(record.values[name])))
    return positions[0] if positions else None


def _next(backend: FileBackend, record: CheckpointRecord) -> Iterator[str]:
    for channel in sorted(record.values):
        if channel == _START:
            yield channel
        elif channel.startswith(_GOES_TO):
            yield channel.removeprefix(_GOES_TO)
    sends = record.values.get(_SENDS)
    if sends is not None and len(sends.data) > _EMPTY:
        yield from dict.fromkeys(one.node for one in backend.codec.load(sends) if isinstance(one, SendProtocol))


LAST: Final = "last"
"""The newest checkpoint."""

_WHOLE_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def find_checkpoint(store: Store, thread_id: str, named: str, ns: str = "") -> str:
    """Finds a checkpoint by what people type for it: its id, the beginning or end of it, or `last`.

    A whole id is not looked up.

    Raises:
        MixInputError: No checkpoint is meant by this, or several are.
        MixError: The thread could not be read.
    """
    wanted = named.strip()
    if _WHOLE_ID.fullmatch(wanted):
        return wanted
    tree = store.run(tree_of(store.backend, thread_name(thread_id), ns))
    if tree.latest is None:
        raise no_thread(thread_id)
    if wanted == LAST:
        return tree.latest.checkpoint_id
    ids = [node.checkpoint_id for node in tree.nodes]
    part = wanted.removeprefix("…").removeprefix("...")  # As notebooks show the end of an id.
    found = [one for one in ids if one == wanted] or [one for one in ids if part and one.endswith(part)]
    found = found if len(found) == 1 else [one for one in ids if one.startswith(wanted)] or found
    if len(found) != 1:
        said = "No checkpoint's id begins or ends" if not found else f"The ids of {len(found)} checkpoints begin or end"
        raise MixInputError(f"{said} with {named!r}.", hint="`langchain-mix checkpoints list THREAD` shows all.")
    return found[0]


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Shows a progress bar of unknown length in a terminal."""
    console = errors_console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        progress.add_task(what, total=None)
        yield


@contextmanager
def reported_types() -> Iterator[None]:
    """Reports once in a sentence which types were not constructed. Other warnings stay what they are."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MixSerdeWarning)
        try:
            yield
        finally:
            refused = [one for one in caught if issubclass(one.category, MixSerdeWarning)]
            for said in dict.fromkeys(str(one.message) for one in refused):
                errors_console().print(Text(visible(said), style="dim"), soft_wrap=True)
    for one in caught:
        if one not in refused:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def as_data(value: Any) -> Any:
    """Returns a value as JSON; what JSON cannot express becomes text."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, bytes | bytearray):
        return f"<{len(value)} bytes>"
    if isinstance(value, list | tuple | set | frozenset | deque):
        return [as_data(part) for part in value]
    fields = _fields(value)
    return str(value) if fields is None else {str(name): as_data(part) for name, part in fields.items()}


def _fields(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, BaseModel):
        return value.model_dump()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    return None
