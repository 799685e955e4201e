"""Looks for checkpoints in what a thread holds.

Owns: which documents must be read to find one. Refuses to know: where the content comes from, and lists
(`paging.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from langchain_mix.checkpoint.content import Content
from langchain_mix.checkpoint.documents import Documents
from langchain_mix.checkpoint.effects import Steps
from langchain_mix.checkpoint.records import CheckpointRecord, Entry, Stored, WritesRecord
from langchain_mix.checkpoint.refs import Ref
from langchain_mix.checkpoint.rows import Row
from langchain_mix.checkpoint.table import Table


def latest(documents: Documents, content: Content, ns: str) -> Steps[str | None]:
    """Finds the greatest checkpoint id of a namespace.

    Args:
        documents: Reads what is not in memory.
        content: What the thread holds.
        ns: The namespace.

    Returns:
        The id, or None if it has no checkpoint.
    """
    best = _greatest(content.window, ns)
    waiting = [(span.high, ref) for ref in content.refs if (span := ref.coverage.span(ns)) is not None]
    while waiting:
        high, ref = max(waiting, key=lambda one: one[0])
        if best is not None and high <= best:
            break
        waiting.remove((high, ref))
        (document,) = yield from documents.load([ref])
        if isinstance(document, Table):
            found = _greatest(document, ns)
            best = found if best is None or (found is not None and found > best) else best
        else:
            waiting += [(span.high, below) for below in document if (span := below.coverage.span(ns)) is not None]
    return best


def _greatest(table: Table, ns: str) -> str | None:
    return max((row.place[1] for row in table.rows if row.is_checkpoint and row.place[0] == ns), default=None)


def stored(documents: Documents, content: Content, ns: str, checkpoint_id: str) -> Steps[Stored | None]:
    """Finds a checkpoint with all writes to it.

    Args:
        documents: Reads what is not in memory.
        content: What the thread holds.
        ns: Its namespace.
        checkpoint_id: Its id.

    Returns:
        The checkpoint, or None if it was not stored.
    """

    def may_hold(ref: Ref) -> bool:
        span = ref.coverage.span(ns)
        return span is not None and span.low <= checkpoint_id <= span.high

    segments = yield from tables(documents, content.refs, may_hold)
    place = ns, checkpoint_id
    found = [(table, row) for table in (*segments, content.window) for row in table.rows if row.place == place]
    return (yield from assembled(documents, found))


def assembled(documents: Documents, found: Sequence[tuple[Table, Row]]) -> Steps[Stored | None]:
    """Makes a checkpoint of all rows that speak of it.

    Args:
        documents: Reads big values.
        found: The rows, in the order in which they were stored.

    Returns:
        The checkpoint, or None if there are only writes.
    """
    checkpoints = [(table, row) for table, row in found if row.is_checkpoint]
    if not checkpoints:
        return None
    writes = [(table, row) for table, row in found if not row.is_checkpoint]
    record, *written = yield from entries_of(documents, [checkpoints[-1], *writes])
    return Stored(cast("CheckpointRecord", record), tuple(cast("list[WritesRecord]", written)))


def entries_of(documents: Documents, found: Sequence[tuple[Table, Row]]) -> Steps[list[Entry]]:
    """Makes entries of rows, with their big values."""
    blobs = yield from documents.blobs([blob for table, row in found for blob in table.blobs_of(row)])
    return [table.entry(row, blobs) for table, row in found]


def entries(documents: Documents, content: Content) -> Steps[list[Entry]]:
    """Reads everything of a thread, in the order in which it was stored; replaced checkpoints only once."""
    found: dict[object, Entry] = {}
    count = 0
    for table in (*(yield from tables(documents, content.refs, lambda _: True)), content.window):
        for entry in (yield from entries_of(documents, [(table, row) for row in table.rows])):
            if isinstance(entry, CheckpointRecord):
                found.pop((entry.ns, entry.checkpoint_id), None)  # Replaced: it counts where it was stored last.
                found[entry.ns, entry.checkpoint_id] = entry
            else:
                found[count] = entry
                count += 1
    return list(found.values())


def tables(documents: Documents, refs: Sequence[Ref], wanted: Callable[[Ref], bool]) -> Steps[list[Table]]:
    """Reads segments, indexes on the way included.

    Args:
        documents: Reads what is not in memory.
        refs: References, oldest entries first.
        wanted: Whether what a reference leads to matters.

    Returns:
        The segments, in order.
    """
    level = [ref for ref in refs if wanted(ref)]
    while any(ref.level for ref in level):
        indexes = [ref for ref in level if ref.level]
        loaded = yield from documents.load(indexes)
        below = {ref.name: one for ref, one in zip(indexes, loaded, strict=True) if not isinstance(one, Table)}
        level = [
            inner
            for ref in level
            for inner in (below[ref.name] if ref.level else (ref,))
            if not ref.level or wanted(inner)
        ]
    return [one for one in (yield from documents.load(level)) if isinstance(one, Table)]
