"""The database: one connection, one lock, one transaction per operation.

Owns: the schema, transactions, and that what was committed survives a killed process.
Refuses to know: what the rows of its tables mean.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

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
