"""Sessions: made, listed, changed and deleted.

Owns: the table of sessions, their counters, and what sub-agents hand on to their parents.
Refuses to know: files, forks and rewinds, and whether a turn is running.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from langchain_mix.emulator.state import creation
from langchain_mix.emulator.state.callbacks import check_callbacks, read_callbacks
from langchain_mix.emulator.state.errors import not_found
from langchain_mix.emulator.state.records import RowCounts, SessionFacts
from langchain_mix.emulator.state.rows import RowLog
from langchain_mix.emulator.state.serializers import Serializers, raw_parts, well_formed
from langchain_mix.emulator.state.store import Store
from langchain_mix.protocol.api import Capabilities

_FIELDS: Final = tuple(SessionFacts.__dataclass_fields__)
_INSERT: Final = f"INSERT INTO sessions ({', '.join(_FIELDS)}) VALUES ({', '.join('?' * len(_FIELDS))})"  # noqa: S608 - our own column names


class Sessions:
    """The sessions of one server."""

    def __init__(
        self, store: Store, rows: RowLog, serializers: Serializers, caps: Capabilities, now: Callable[[], int]
    ) -> None:
        """Reads and writes `store`.

        Args:
            store: The database.
            rows: The sessions' rows; they make the counters.
            serializers: The generation's wire serializers.
            caps: What the generation can do.
            now: The time in unix seconds.
        """
        self._store = store
        self._rows = rows
        self._serializers = serializers
        self._caps = caps
        self._now = now

    def create(
        self,
        body: Mapping[str, Any],
        *,
        parent: str | None = None,
        parent_tool_call: str | None = None,
        subagent_type: str | None = None,
    ) -> dict[str, Any]:
        """Makes a session.

        Args:
            body: The decoded body of POST /api/sessions; keys that the generation does not know are ignored.
            parent: For a sub-agent, the session that it works for; its browser is taken over.
            parent_tool_call: For a sub-agent, the call of the Task tool.
            subagent_type: For a sub-agent, its kind; `general-purpose` by default.

        Returns:
            A SessionData.

        Raises:
            ApiError: 400. A session whose callbacks are refused exists all the same: it was stored before they were
                checked (Q21).
        """
        title = creation.read_title(body, self._caps)
        mode, prompt = creation.read_prompt(body)
        creation.check_type(body)
        callbacks = read_callbacks(body.get("callbacks"))
        model, provider = creation.read_model(body, self._caps)
        with self._store.transaction():
            if parent is None:
                browser, cdp = creation.read_browser(body, self._caps)
                kind = ""
            else:
                # A sub-agent works in the browser of the session that it works for.
                above = self.facts(parent)
                browser, cdp, kind = above.browser_mode, above.cdp_url, subagent_type or "general-purpose"
            facts = self.insert(
                SessionFacts(
                    id="",
                    title=title,
                    parent_id=parent or "",
                    parent_tool_call=parent_tool_call or "",
                    type="main" if parent is None else "subagent",
                    subagent_type=kind,
                    system_prompt=prompt,
                    prompt_mode=mode,
                    browser_mode=browser,
                    cdp_url=cdp,
                    model_id=model,
                    provider=provider,
                )
            )
        if callbacks:
            return self.set_callbacks(facts.id, callbacks)
        return self._serializers.session(facts, RowCounts())

    def insert(self, facts: SessionFacts) -> SessionFacts:
        """Stores a session under a new id and the present time, and gives it back with both."""
        now = self._now()
        stored = replace(facts, id=str(uuid.uuid4()), created_at=now, updated_at=now)
        values = asdict(stored) | {"callbacks": json.dumps(stored.callbacks)}
        with self._store.transaction() as db:
            db.execute(_INSERT, tuple(values[name] for name in _FIELDS))
        return stored

    def facts(self, id_: str) -> SessionFacts:
        """What is stored of a session.

        Raises:
            ApiError: 404, it does not exist.
        """
        with self._store.transaction() as db:
            record = db.execute("SELECT * FROM sessions WHERE id = ?", (well_formed(id_),)).fetchone()
        if record is None:
            raise not_found("Session", id_)
        return _decode(record)

    def exists(self, id_: str) -> bool:
        """Whether there is such a session."""
        with self._store.transaction() as db:
            found = db.execute("SELECT 1 FROM sessions WHERE id = ?", (well_formed(id_),)).fetchone()
        return found is not None

    def get(self, id_: str) -> dict[str, Any]:
        """The SessionData of one session, callbacks included."""
        with self._store.transaction():
            return self._serializers.session(self.facts(id_), self._rows.counts_of(id_))

    def listing(self, *, include_subagents: bool) -> list[dict[str, Any]]:
        """The SessionData of all sessions, newest first, without callbacks."""
        with self._store.transaction() as db:
            found = db.execute("SELECT * FROM sessions ORDER BY created_at DESC, sequence DESC").fetchall()
            counts = self._rows.counts()
            # Mix 0.8: lists never show the first message.
            first = {} if self._caps.browser_mode else self._rows.first_user_rows()
        return [
            self._serializers.session(
                facts,
                counts.get(facts.id, RowCounts()),
                first_user_message=raw_parts(first[facts.id]) if facts.id in first else "",
                listed=True,
            )
            for facts in map(_decode, found)
            if include_subagents or facts.type != "subagent"
        ]

    def delete(self, id_: str) -> None:
        """Deletes a session and its rows.

        Raises:
            ApiError: 404, it does not exist.
        """
        with self._store.transaction() as db:
            if not db.execute("DELETE FROM sessions WHERE id = ?", (well_formed(id_),)).rowcount:
                raise not_found("Session", id_)

    def set_callbacks(self, id_: str, callbacks: Any) -> dict[str, Any]:
        """Replaces all callbacks of a session and gives its SessionData."""
        with self._store.transaction() as db:
            self.facts(id_)
            values = read_callbacks(callbacks)
            check_callbacks(values)
            db.execute(
                "UPDATE sessions SET callbacks = ?, updated_at = ? WHERE id = ?", (json.dumps(values), self._now(), id_)
            )
            return self.get(id_)

    def set_title(self, id_: str, title: str) -> None:
        """Gives a session another title; nothing happens if it was deleted meanwhile."""
        cut = creation.cut_title(title, self._caps.title_limit)
        with self._store.transaction() as db:
            db.execute("UPDATE sessions SET title = ?, updated_at = ? WHERE id = ?", (cut, self._now(), id_))

    def add_usage(self, id_: str, *, prompt_tokens: int, completion_tokens: int, cost: float) -> None:
        """Counts one model call (Q35): tokens replace the last ones, cost is added, a sub-agent's also above it."""
        with self._store.transaction() as db:
            db.execute(
                "UPDATE sessions SET prompt_tokens = ?, completion_tokens = ?, cost = cost + ?, updated_at = ?"
                " WHERE id = ?",
                (prompt_tokens, completion_tokens, cost, self._now(), id_),
            )
            db.execute(
                "UPDATE sessions SET cost = cost + ?"
                " WHERE id = (SELECT parent_id FROM sessions WHERE id = ? AND type = 'subagent')",
                (cost, id_),
            )


def _decode(record: sqlite3.Row) -> SessionFacts:
    values = {name: record[name] for name in _FIELDS}
    return SessionFacts(**(values | {"callbacks": json.loads(values["callbacks"])}))
