"""The database, and the records in it: one connection, one lock, one transaction per operation.

Owns: the schema, the fields of sessions, rows and tool calls, transactions, and that what was committed survives a
killed process.
Refuses to know: who reads and writes the records, and their wire format (`serializers.py`).
"""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from langchain_mix import process_fork

_VERSION: Final = 1

_SCHEMA: Final = """
CREATE TABLE sessions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    parent_id TEXT NOT NULL,
    parent_tool_call TEXT NOT NULL,
    type TEXT NOT NULL,
    subagent_type TEXT NOT NULL,
    system_prompt TEXT NOT NULL,
    prompt_mode TEXT NOT NULL,
    callbacks TEXT NOT NULL,
    browser_mode TEXT NOT NULL,
    cdp_url TEXT NOT NULL,
    model_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cost REAL NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE TABLE rows (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    parts TEXT NOT NULL
);
CREATE INDEX rows_by_session ON rows (session_id, sequence);
CREATE INDEX rows_by_role ON rows (role, created_at);
CREATE TABLE credentials (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    provider TEXT NOT NULL UNIQUE,
    method TEXT NOT NULL,
    stored_at INTEGER NOT NULL,
    expires_at INTEGER
);
CREATE TABLE oauth_states (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    state TEXT NOT NULL UNIQUE,
    provider TEXT NOT NULL
);
CREATE TABLE preferences (
    name TEXT PRIMARY KEY,
    value NOT NULL
);
"""


Role = Literal["user", "assistant", "tool"]


@dataclass(slots=True)
class ToolCallRecord:
    """A tool call on an assistant row.

    Attributes:
        name: The tool, spelled as the generation spells it.
        input: The arguments as JSON text.
        result: A result known without a tool row. Listings prefer what the tool row holds.
        screenshot_urls: Pictures the tool took (Mix 0.8).
    """

    id: str
    name: str
    input: str = ""
    type: str = "tool_use"
    finished: bool = False
    result: str | None = None
    is_error: bool = False
    screenshot_urls: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Row:
    """One stored row of a conversation: a user's message, one model reply, or one batch of tool results.

    Attributes:
        role: Callback results are `tool` rows.
        created_at: Unix seconds, given when the row is appended.
        sequence: Position among all rows ever appended; ascends with time.
        tool_results: The results of a tool row in call order: `call_id`, `name`, `output`, `is_error`.
        callback_results: The results of callbacks, in the wire's snake_case keys (Mix 0.7).
        reasoning_duration: In seconds.
        redacted_thinking_blocks: Those the provider encrypted.
        finish_reason: Why the reply ended; empty while it grows.
        cost: In US dollars.
    """

    role: Role
    text: str = ""
    id: str = ""
    session_id: str = ""
    created_at: int = 0
    updated_at: int = 0
    sequence: int = 0
    tool_calls: list[ToolCallRecord] = field(default_factory=list)
    tool_results: list[dict[str, Any]] = field(default_factory=list)
    callback_results: list[dict[str, Any]] = field(default_factory=list)
    reasoning: str = ""
    reasoning_duration: int = 0
    thinking_blocks: list[str] = field(default_factory=list)
    redacted_thinking_blocks: list[str] = field(default_factory=list)
    finish_reason: str = ""
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_tokens: int = 0
    cache_read_tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """The stored fields of a session, apart from its rows.

    Attributes:
        parent_id: The session it was forked from or works for, or empty.
        parent_tool_call: The Task call that a sub-agent works for, or empty.
        type: `main`, `forked` or `subagent`.
        system_prompt: The custom prompt; empty in mode `default`, which ignores it.
        prompt_mode: The relation of the custom prompt to the built-in one.
        callbacks: The callbacks, in the wire's camelCase keys.
        browser_mode: Which browser its tools drive (Mix 0.8), or empty.
        cdp_url: The address of a remote browser (Mix 0.8), or empty.
        model_id: The model (next), or empty.
        prompt_tokens: Tokens the last model call read.
        completion_tokens: Tokens the last model call wrote.
        cost: In US dollars, of all model calls.
        created_at: Unix seconds.
    """

    id: str
    title: str
    parent_id: str = ""
    parent_tool_call: str = ""
    type: str = "main"
    subagent_type: str = ""
    system_prompt: str = ""
    prompt_mode: str = "default"
    callbacks: list[dict[str, Any]] = field(default_factory=list)
    browser_mode: str = ""
    cdp_url: str = ""
    model_id: str = ""
    provider: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    created_at: int = 0
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class RowCounts:
    """The number of rows of each role in a session."""

    user: int = 0
    assistant: int = 0
    tool: int = 0


@cache
def _empty_database() -> bytes:
    """Returns the file of a database without records, which is quicker to copy than to make again."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "empty"
        with closing(sqlite3.connect(path)) as db:
            db.executescript(f"{_SCHEMA} PRAGMA user_version = {_VERSION};")
        return path.read_bytes()


class Store:
    """A SQLite database that several threads may use at once."""

    def __init__(self, path: Path, *, temporary: bool = False) -> None:
        """Opens the database and creates it if it is not there; its directory exists.

        Args:
            path: The database's file.
            temporary: True if nobody opens it after this process: nothing waits for the disk.

        Raises:
            RuntimeError: Another version of this package wrote the file.
        """
        self._renew()
        process_fork.renew_in_child(self._renew)
        self._depth = 0
        # SQLite gives its journals the mode of the database.
        path.touch(mode=0o600)
        path.chmod(0o600)
        if temporary and not path.stat().st_size:
            # Not for a lasting one: a process that is killed while it writes would leave half a database.
            path.write_bytes(_empty_database())
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        self._connection.row_factory = sqlite3.Row
        # In WAL mode a commit is in the file when it returns, so a killed process loses none.
        self._connection.execute(f"PRAGMA journal_mode = {'MEMORY' if temporary else 'WAL'}")
        self._connection.execute(f"PRAGMA synchronous = {'OFF' if temporary else 'NORMAL'}")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._prepare(path)

    def _renew(self) -> None:
        self._lock = threading.RLock()

    def _prepare(self, path: Path) -> None:
        with self.transaction() as db:
            version: int = db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {_VERSION}")
        if version not in {0, _VERSION}:
            self.close()
            raise RuntimeError(f"{path} has format {version}; this version of langchain-mix reads format {_VERSION}.")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Runs what is inside alone and all or nothing. An inner transaction is part of the outer one."""
        with self._lock:
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self._connection
                if self._depth == 1:
                    self._connection.execute("COMMIT")
            finally:
                self._depth -= 1
                # After an error, a refused commit included. SQLite itself has rolled back if the disk is full.
                if self._depth == 0 and self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Closes the database. May be called twice."""
        with self._lock:
            self._connection.close()
