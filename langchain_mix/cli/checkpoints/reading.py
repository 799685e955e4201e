"""What the commands that look at checkpoints read.

Owns: the steps of each, and reading no more than it shows. Refuses to know: options, and how anything is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.progress import Progress

from langchain_mix.checkpoint.addresses import thread_name
from langchain_mix.checkpoint.overview import tree_of
from langchain_mix.checkpoint.report import Report
from langchain_mix.checkpoint.tree import Tree
from langchain_mix.cli.checkpoints.choice import find_checkpoint
from langchain_mix.cli.checkpoints.opening import Store, no_thread
from langchain_mix.cli.checkpoints.summaries import Summary, summary
from langchain_mix.cli.checkpoints.values import as_data
from langchain_mix.cli.checkpoints.waiting import waiting
from langchain_mix.cli.failures import tell
from langchain_mix.cli.terminal import errors_console
from langchain_mix.errors import MixCheckpointDamaged, MixInputError, MixStoreError


@dataclass(frozen=True, slots=True)
class Found:
    """What a list shows.

    Attributes:
        summaries: The checkpoints, newest first.
        unreadable: How many threads could not be read; that was told already.
    """

    summaries: list[Summary]
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """A checkpoint with its values.

    Attributes:
        summary: What it is.
        metadata: Its metadata.
        values: Its state, by channel.
        writes: Task, channel and value of each write that waits at it.
    """

    summary: Summary
    metadata: Mapping[str, Any]
    values: Mapping[str, Any]
    writes: list[tuple[str, str, Any]]

    def data(self) -> dict[str, Any]:
        """The same as JSON."""
        writes = [
            {"task_id": task, "channel": channel, "value": as_data(value)} for task, channel, value in self.writes
        ]
        told = {"metadata": as_data(self.metadata), "values": as_data(self.values), "writes": writes}
        return {**self.summary.data(), **told}


def threads_of(store: Store, limit: int | None) -> Found:
    """Finds the threads with their newest checkpoints. One that is damaged does not hide the others.

    Raises:
        MixError: The server could not be read.
    """
    thread_ids, unreadable = _thread_ids(store)
    found: list[Summary] = []
    with Progress(console=errors_console(), transient=True) as progress:
        for thread_id in progress.track(thread_ids, description="Reading"):
            try:
                newest, _ = store.run(store.threads.page(thread_id, ns="", limit=1))
                if not newest:  # Only subgraphs have stored something.
                    newest, _ = store.run(store.threads.page(thread_id, ns=None, limit=1))
            except MixCheckpointDamaged as problem:
                tell(problem)
                unreadable += 1
                continue
            found += [summary(store.shelf, thread_id, one) for one in newest]
    found.sort(key=lambda one: one.checkpoint_id, reverse=True)
    return Found(found[:limit], unreadable)


def _thread_ids(store: Store) -> tuple[list[str], int]:
    try:
        return store.run(store.threads.thread_ids()), 0
    except MixCheckpointDamaged:
        pass  # The report tells which threads are damaged.
    with waiting("Looking for damage"):
        reports = store.run(store.threads.report()).threads
    damaged = [one for one in reports if one.problem]
    for one in damaged:
        named = f"Thread {one.thread_id!r}" if one.thread_id else f"A thread, {one.key},"
        tell(
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
    return Found([summary(store.shelf, name, one) for one in page])


def tree_of_thread(store: Store, thread_id: str, ns: str) -> Tree:
    """Reads the checkpoints of a namespace as a tree.

    Raises:
        MixInputError: There are none.
        MixError: The thread could not be read.
    """
    with waiting("Reading"):
        tree = store.run(tree_of(store.shelf, thread_name(thread_id), ns))
    if not tree.nodes:
        raise _no_namespace(thread_id, ns) if ns else no_thread(thread_id)
    return tree


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
    told = store.shelf.as_tuple(name, stored)
    return Shown(
        summary(store.shelf, name, stored),
        metadata=dict(told.metadata),
        values=told.checkpoint["channel_values"],
        writes=list(told.pending_writes or ()),
    )


def report_of(store: Store, thread_id: str | None) -> Report:
    """Counts what is stored.

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
