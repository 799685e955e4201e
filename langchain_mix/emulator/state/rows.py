"""The rows of conversations.

Owns: appending, changing, copying and cutting off rows, and the two listings of messages.
Refuses to know: who writes the rows and whether a turn is running.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from langchain_mix.emulator.state.errors import internal
from langchain_mix.emulator.state.serializers import Serializers, well_formed
from langchain_mix.emulator.state.store import Row, RowCounts, Store, ToolCallRecord

_COLUMNS: Final = frozenset({"role", "id", "session_id", "created_at", "updated_at", "sequence"})
_PARTS: Final = tuple(f.name for f in fields(Row) if f.name not in _COLUMNS)


@dataclass(frozen=True, slots=True)
class RowLog:
    """All rows of all sessions, in the order in which they were appended."""

    store: Store
    serializers: Serializers
    now: Callable[[], int]

    def append(self, session_id: str, row: Row) -> Row:
        """Stores a new row at the end of a session, and sets its id, session, times and sequence.

        Raises:
            ApiError: The session does not exist (any more); nothing was stored.
        """
        new_id, now = str(uuid.uuid4()), self.now()
        with self.store.transaction() as db:
            try:
                cursor = db.execute(
                    "INSERT INTO rows (id, session_id, role, created_at, updated_at, parts) VALUES (?, ?, ?, ?, ?, ?)",
                    (new_id, session_id, row.role, now, now, _encode(row)),
                )
            except sqlite3.IntegrityError as problem:
                raise internal("creating message", str(problem)) from None
            db.execute("UPDATE sessions SET updated_at = ? WHERE id = ?", (now, session_id))
        row.id, row.session_id, row.created_at, row.updated_at = new_id, session_id, now, now
        row.sequence = cursor.lastrowid or 0
        return row

    def update(self, row: Row) -> None:
        """Stores what a row now says; one that was rewound or deleted meanwhile stays away (Mix)."""
        row.updated_at = self.now()
        with self.store.transaction() as db:
            db.execute("UPDATE rows SET parts = ?, updated_at = ? WHERE id = ?", (_encode(row), row.updated_at, row.id))

    def of(self, session_id: str) -> list[Row]:
        """The rows of a session in insertion order; none for an unknown one."""
        with self.store.transaction() as db:
            found = db.execute("SELECT * FROM rows WHERE session_id = ? ORDER BY sequence", (session_id,)).fetchall()
        return [_decode(record) for record in found]

    def copy(self, rows: Iterable[Row], session_id: str) -> None:
        """Appends copies with new ids and times to another session."""
        with self.store.transaction():
            for row in rows:
                self.append(session_id, replace(row))

    def cut_after(self, row: Row) -> None:
        """Deletes all later rows of the row's session."""
        with self.store.transaction() as db:
            db.execute("DELETE FROM rows WHERE session_id = ? AND sequence > ?", (row.session_id, row.sequence))

    def counts(self) -> dict[str, RowCounts]:
        """The rows of every session by role; sessions without rows are absent."""
        with self.store.transaction() as db:
            found = db.execute("SELECT session_id, role, COUNT(*) FROM rows GROUP BY session_id, role").fetchall()
        numbers: dict[str, dict[str, int]] = {}
        for session_id, role, count in found:
            numbers.setdefault(session_id, {})[role] = count
        return {session_id: RowCounts(**by_role) for session_id, by_role in numbers.items()}

    def counts_of(self, session_id: str) -> RowCounts:
        """The rows of one session by role."""
        with self.store.transaction() as db:
            found = db.execute(
                "SELECT role, COUNT(*) FROM rows WHERE session_id = ? GROUP BY role", (session_id,)
            ).fetchall()
        return RowCounts(**dict(found))

    def first_user_rows(self) -> dict[str, Row]:
        """The first user row of each session that has one."""
        with self.store.transaction() as db:
            found = db.execute(
                "SELECT * FROM rows WHERE sequence IN"
                " (SELECT MIN(sequence) FROM rows WHERE role = 'user' GROUP BY session_id)"
            ).fetchall()
        return {record["session_id"]: _decode(record) for record in found}

    def messages(self, session_id: str) -> list[dict[str, Any]]:
        """The listing of a session: a BackendMessage for each row, `[]` for an unknown session (Mix)."""
        listing: list[dict[str, Any]] = []
        results: dict[str, Mapping[str, Any]] = {}
        # Backwards, so that a call whose id occurs again later gets the result that is nearest after it.
        for row in reversed(self.of(session_id)):
            results |= {str(result.get("call_id", "")): result for result in row.tool_results}
            listing.append(self.serializers.message(row, results))
        return listing[::-1]

    def history(self, limit: int, offset: int) -> list[dict[str, Any]]:
        """Returns the user rows of all sessions, newest first."""
        with self.store.transaction() as db:
            found = db.execute(
                "SELECT * FROM rows WHERE role = 'user' ORDER BY created_at DESC, sequence DESC LIMIT ? OFFSET ?",
                (limit, offset),
            ).fetchall()
        return [self.serializers.message(_decode(record), {}) for record in found]


def _encode(row: Row) -> str:
    parts = {name: getattr(row, name) for name in _PARTS}
    parts["tool_calls"] = [{f.name: getattr(call, f.name) for f in fields(call)} for call in row.tool_calls]
    return well_formed(json.dumps(parts, ensure_ascii=False))


def _decode(record: sqlite3.Row) -> Row:
    parts = json.loads(record["parts"])
    parts["tool_calls"] = [ToolCallRecord(**call) for call in parts["tool_calls"]]
    return Row(**{name: record[name] for name in _COLUMNS}, **parts)
