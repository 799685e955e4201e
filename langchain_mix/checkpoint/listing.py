"""Listings of checkpoints, newest first, a page at a time.

Owns: filters, limits, and the order across threads. Refuses to know: how pages are read (`store.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple

from langchain_mix.checkpoint.addresses import listed_namespace, read_address
from langchain_mix.checkpoint.mix_shelf import MixShelf
from langchain_mix.checkpoint.paging import Cursor
from langchain_mix.checkpoint.records import CheckpointRecord, Stored
from langchain_mix.checkpoint.shelf import Listing, Steps

_PAGE: Final = 64
_PAGE_OF_MANY: Final = 16


@dataclass(slots=True)
class Lister:
    """One listing, begun and read on as far as anybody wants.

    Attributes:
        shelf: Where the checkpoints are.
        asked: What is asked for.
    """

    shelf: MixShelf
    asked: Listing
    _threads: list[_Thread] | None = None
    _given: int = 0

    def more(self) -> Steps[list[CheckpointTuple]]:
        """Reads on.

        Returns:
            The next checkpoints; an empty list at the end.
        """
        left = None if self.asked.limit is None else self.asked.limit - self._given
        if left is not None and left <= 0:
            return []
        if self._threads is None:
            self._threads = yield from self._begin()
        found: list[CheckpointTuple] = []
        while left is None or len(found) < left:
            newest = yield from self._newest(left)
            if newest is None:
                break
            found.append(self.shelf.as_tuple(newest.thread_id, newest.read.popleft()))
            if not newest.read:
                break  # What was read is given before more is read.
        self._given += len(found)
        return found

    def _begin(self) -> Steps[list[_Thread]]:
        if self.asked.thread_id is not None:
            return [_Thread(self.asked.thread_id)]
        names = yield from self.shelf.thread_ids()
        return [_Thread(name) for name in names]

    def _newest(self, left: int | None) -> Steps[_Thread | None]:
        threads = self._threads or []
        page = _PAGE if len(threads) == 1 else _PAGE_OF_MANY
        for thread in threads:
            while not thread.read and not thread.over:
                yield from self._read_on(thread, page if left is None else min(left, page))
        full = [thread for thread in threads if thread.read]
        return max(full, key=lambda thread: thread.read[0].record.checkpoint_id, default=None)

    def _read_on(self, thread: _Thread, limit: int) -> Steps[None]:
        asked = self.asked
        if asked.checkpoint_id is not None and asked.ns is not None:
            stored = yield from self.shelf.threads.find(thread.thread_id, asked.ns, asked.checkpoint_id)
            if stored is not None and self._wants(stored.record):
                thread.read.append(stored)
            thread.over = True
            return
        page, thread.cursor = yield from self.shelf.threads.page(
            thread.thread_id,
            ns=asked.ns,
            before=asked.before if thread.cursor is None else None,
            start=thread.cursor,
            limit=limit,
            wanted=self._wants,
        )
        thread.read.extend(page)
        thread.over = thread.cursor is None

    def _wants(self, record: CheckpointRecord) -> bool:
        asked = self.asked
        if asked.checkpoint_id is not None and record.checkpoint_id != asked.checkpoint_id:
            return False
        if asked.before is not None and record.checkpoint_id >= asked.before:
            return False
        return not asked.wanted or _has(self.shelf.metadata(record), asked.wanted)


@dataclass(slots=True)
class _Thread:
    """How far a thread was read."""

    thread_id: str
    read: deque[Stored] = field(default_factory=deque)
    cursor: Cursor | None = None
    over: bool = False


def _has(metadata: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(metadata.get(key) == value for key, value in wanted.items())


def read_listing(
    config: RunnableConfig | None, wanted: Mapping[str, Any] | None, before: RunnableConfig | None, limit: int | None
) -> Listing:
    """Reads the arguments of `list`; see there."""
    older = None if not before else (before.get("configurable") or {}).get("checkpoint_id") or None
    if config is None:
        return Listing(wanted=wanted or {}, before=older, limit=limit)
    address = read_address(config)
    return Listing(
        thread_id=address.thread_id,
        ns=listed_namespace(config),
        checkpoint_id=address.checkpoint_id,
        wanted=wanted or {},
        before=older,
        limit=limit,
    )
