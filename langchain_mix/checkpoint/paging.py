"""Lists checkpoints, newest first, a page at a time.

Owns: which documents a page needs, and in which order checkpoints come. Refuses to know: where the content comes from.

However long a thread is, a page holds no more segments in memory than those that can hold its checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from langchain_mix.checkpoint import search
from langchain_mix.checkpoint.content import Content
from langchain_mix.checkpoint.documents import Documents
from langchain_mix.checkpoint.effects import Steps
from langchain_mix.checkpoint.records import CheckpointRecord, Stored
from langchain_mix.checkpoint.refs import Ref
from langchain_mix.checkpoint.rows import Row
from langchain_mix.checkpoint.table import Table

_AT_ONCE = 8

_Order: TypeAlias = tuple[int, ...]
"""Where a document stands among all, oldest first."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended.

    Attributes:
        checkpoint_id: The id of its last checkpoint.
        ns: The namespace of that.
        content: What the thread held when the first page was read.
    """

    checkpoint_id: str
    ns: str
    content: Content = field(repr=False)


@dataclass(frozen=True, slots=True)
class Question:
    """What is listed; see `Threads.page`."""

    ns: str | None
    before: str | None
    limit: int | None
    wanted: Callable[[CheckpointRecord], bool] | None


def page(
    documents: Documents, content: Content, question: Question, start: Cursor | None
) -> Steps[tuple[list[Stored], Cursor | None]]:
    """Lists checkpoints.

    Args:
        documents: Reads what is not in memory.
        content: What the thread holds.
        question: What is listed.
        start: Where the page before ended.

    Returns:
        The checkpoints, and where the next page starts.
    """
    pool = _Pool(documents, question, start)
    pool.admit((len(content.refs),), content.window)
    pool.expect((), content.refs)
    found: list[Stored] = []
    while True:
        if question.limit is not None and len(found) >= question.limit:
            rest = yield from pool.next_place()
            last = found[-1].record if found else None
            return found, None if rest is None or last is None else Cursor(last.checkpoint_id, last.ns, content)
        place = yield from pool.next_place()
        if place is None:
            return found, None
        stored = yield from search.assembled(documents, pool.take(place))
        if stored is not None and (question.wanted is None or question.wanted(stored.record)):
            found.append(stored)


class _Pool:
    """Rows of documents that have been read, and references to those that have not."""

    def __init__(self, documents: Documents, question: Question, start: Cursor | None) -> None:
        self._documents = documents
        self._ns = question.ns
        self._before = question.before
        self._start = start
        self._short = question.limit is not None
        self._rows: dict[tuple[str, str], list[tuple[_Order, Table, Row]]] = {}
        self._waiting: list[tuple[str, _Order, Ref]] = []

    def admit(self, order: _Order, table: Table) -> None:
        """Takes in the rows of a document."""
        for row in table.rows:
            ns, checkpoint_id = row.place
            if (self._ns is None or ns == self._ns) and self._is_due(checkpoint_id, ns):
                self._rows.setdefault((checkpoint_id, ns), []).append((order, table, row))

    def expect(self, order: _Order, refs: tuple[Ref, ...]) -> None:
        """Takes in references of a document."""
        for place, ref in enumerate(refs):
            span = ref.coverage.span(self._ns)
            if span is not None and self._can_hold(span.low):
                self._waiting.append((span.high, (*order, place), ref))

    def next_place(self) -> Steps[tuple[str, str] | None]:
        """The id and namespace that come next, once all documents are read that can speak of them."""
        while True:
            top = self._top()
            due = [one for one in self._waiting if top is None or one[0] >= top[0]]
            if not due:
                return top
            due.sort(key=lambda one: one[0], reverse=True)
            # With nothing in the pool it is open how far back the page will reach.
            yield from self._open(due[: 1 if top is None and self._short else _AT_ONCE])

    def _top(self) -> tuple[str, str] | None:
        if not self._rows:
            return None
        greatest = max(self._rows)[0]
        return min(place for place in self._rows if place[0] == greatest)

    def take(self, place: tuple[str, str]) -> list[tuple[Table, Row]]:
        """All rows of a place, in the order in which they were stored; they are no longer in the pool."""
        rows = sorted(self._rows.pop(place), key=lambda one: one[0])
        return [(table, row) for _, table, row in rows]

    def _open(self, due: list[tuple[str, _Order, Ref]]) -> Steps[None]:
        loaded = yield from self._documents.load([ref for _, _, ref in due])
        for one, document in zip(due, loaded, strict=True):
            self._waiting.remove(one)
            if isinstance(document, Table):
                self.admit(one[1], document)
            else:
                self.expect(one[1], document)

    def _can_hold(self, low: str) -> bool:
        if self._before is not None and low >= self._before:
            return False
        return self._start is None or low <= self._start.checkpoint_id

    def _is_due(self, checkpoint_id: str, ns: str) -> bool:
        if self._before is not None and checkpoint_id >= self._before:
            return False
        start = self._start
        if start is None or checkpoint_id < start.checkpoint_id:
            return True
        return checkpoint_id == start.checkpoint_id and ns > start.ns
