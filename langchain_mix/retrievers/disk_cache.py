"""The index of a session on disk, between processes.

Owns: the file, its format, and its repair. Refuses to know: what is current on the server.

One SQLite file for each server, session and way of reading. Every row carries a checksum; a row or a file that does not
hold what was written is dropped and read again. It stores text and numbers: nothing of it is ever executed.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from langchain_mix.errors import MixConfigurationError
from langchain_mix.retrievers.indexing import Chunk, IndexedFile, search_terms
from langchain_mix.retrievers.parsing.parsed import Place
from langchain_mix.retrievers.ranking import Vector

T = TypeVar("T")

FORMAT: Final = 2
"""Incremented when the stored format, or its meaning, changes. Older files are then left alone."""

_OWN: Final = 0o600
"""Mode of the files, in a directory that others can read too."""

_BUSY: Final = 10.0
"""Seconds to wait for another process that writes."""

_MACHINE: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS files (
    name TEXT PRIMARY KEY, listed_size INTEGER, modified REAL, checked_at REAL, body BLOB, proof BLOB
);
CREATE TABLE IF NOT EXISTS vectors (
    model TEXT, digest TEXT, numbers BLOB, proof BLOB, PRIMARY KEY (model, digest)
);
"""
_SAVE_FILE: Final = """
INSERT INTO files VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET listed_size = excluded.listed_size,
modified = excluded.modified, checked_at = excluded.checked_at, body = excluded.body, proof = excluded.proof
WHERE excluded.checked_at >= files.checked_at
"""


class DiskCache:
    """Stores the index of one session. Each operation opens the file and closes it; processes and threads may share it.

    No operation fails: where the disk does not do, it returns less, and says so in `notes`.

    Attributes:
        notes: What went wrong, a sentence each.
    """

    def __init__(self, directory: Path, key: str, stemming: str | None = None) -> None:
        """Makes the directory, for its owner alone if it is new; the files hold the text of the server's files.

        Args:
            directory: Where such files are.
            key: All that the content depends on apart from the server's files.
            stemming: With which the search terms of files are made.

        Raises:
            MixConfigurationError: The directory cannot be made.
        """
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as problem:
            raise MixConfigurationError(
                f"`cache_dir` {str(directory)!r} cannot be used: {problem.strerror or problem}."
            ) from problem
        name = blake2b(f"{FORMAT}\n{key}".encode(errors="surrogatepass"), digest_size=16).hexdigest()
        self.path = directory / f"langchain-mix-index-{name}.sqlite"
        self.notes: list[str] = []
        self._stemming = stemming

    def load_files(self) -> dict[str, IndexedFile]:
        """Reads the files that are kept, by name."""
        rows: list[Any] = self._with(lambda db: db.execute("SELECT * FROM files ORDER BY name").fetchall(), [])
        found = (_file_of(row, self._stemming) for row in rows)
        whole = {file.name: file for file in found if file is not None}
        self._note_damaged(len(rows) - len(whole), "files")
        return whole

    def load_vectors(self, model: str) -> dict[str, Vector]:
        """Reads the vectors of a model that are kept, by the digest of their text."""
        rows: list[Any] = self._with(
            lambda db: db.execute("SELECT * FROM vectors WHERE model = ?", (model,)).fetchall(), []
        )
        whole = {
            row[1]: np.frombuffer(row[2], dtype="<f4").astype(np.float32)
            for row in rows
            if row[3] == _proof(row[:3]) and len(row[2]) % 4 == 0
        }
        self._note_damaged(len(rows) - len(whole), "vectors")
        return whole

    def save_files(self, changed: Iterable[IndexedFile], gone: Iterable[str]) -> None:
        """Keeps files as they are now, and forgets names that are gone. What another process has read later stays."""
        rows = [_row_of(file) for file in changed]
        names = [(name,) for name in gone]

        def save(db: sqlite3.Connection) -> None:
            db.executemany(_SAVE_FILE, rows)
            db.executemany("DELETE FROM files WHERE name = ?", names)

        if rows or names:
            self._with(save, None)

    def save_vectors(self, model: str, vectors: Mapping[str, Vector]) -> None:
        """Keeps vectors of a model by the digest of their text."""
        rows = [(model, digest, vector.astype("<f4").tobytes()) for digest, vector in vectors.items()]
        proven = [(*row, _proof(row)) for row in rows]
        if proven:
            self._with(lambda db: db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)", proven), None)

    def keep_only_vectors(self, digests: Iterable[str]) -> None:
        """Forgets the vectors of texts that no file has any more; takes the digests of those that there are."""
        rows = [(digest,) for digest in digests]

        def forget(db: sqlite3.Connection) -> None:
            db.execute("CREATE TEMP TABLE present (digest TEXT PRIMARY KEY)")
            db.executemany("INSERT OR IGNORE INTO present VALUES (?)", rows)
            db.execute("DELETE FROM vectors WHERE digest NOT IN (SELECT digest FROM present)")

        self._with(forget, None)

    def _with(self, do: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """Runs a function in one transaction; creates the file again if it is damaged."""
        for attempt in range(2):
            try:
                # The text of files is its owner's alone. SQLite gives its journals the mode of the database.
                self.path.touch(mode=_OWN)
                self.path.chmod(_OWN)
                with closing(sqlite3.connect(self.path, timeout=_BUSY)) as db, db:
                    db.executescript(_TABLES)
                    return do(db)
            except (sqlite3.DatabaseError, UnicodeError, OSError) as problem:
                if _is_of_the_machine(problem):
                    self.notes.append(f"The index at {str(self.path)!r} could not be used: {problem}.")
                    break
                if attempt == 0:
                    self.notes.append(f"The index at {str(self.path)!r} was damaged and is built again: {problem}.")
                self._remove()
        return otherwise

    def _remove(self) -> None:
        for path in (self.path, self.path.with_name(f"{self.path.name}-journal")):
            try:
                path.unlink(missing_ok=True)
            except OSError as problem:
                self.notes.append(f"{str(path)!r} could not be removed: {problem.strerror or problem}.")

    def _note_damaged(self, count: int, what: str) -> None:
        if count:
            self.notes.append(f"{count} {what} kept at {str(self.path)!r} were damaged and are read again.")


def _is_of_the_machine(problem: Exception) -> bool:
    """True when a failure says nothing of the file: a full disk, a lock that is never given up."""
    code = getattr(problem, "sqlite_errorcode", None)
    # The lower byte is the kind. Damage has many: what cannot be decoded has no code at all.
    return isinstance(problem, OSError) or (code is not None and code & 0xFF in _MACHINE)


def _row_of(file: IndexedFile) -> tuple[Any, ...]:
    body = {
        "checksum": file.checksum,
        "kind": file.kind,
        "chunks": [[c.text, c.start_index, c.end_index, c.context, _known(c.place), c.shown] for c in file.chunks],
        "problems": file.problems,
        "partial": file.partial,
        "skipped": file.skipped,
    }
    packed = zlib.compress(json.dumps(body).encode(), 1)
    row = (file.name, file.listed_size, file.modified, file.checked_at, packed)
    return (*row, _proof(row))


def _file_of(row: tuple[Any, ...], stemming: str | None) -> IndexedFile | None:
    *values, proof = row
    if proof != _proof(values):
        return None
    body = json.loads(zlib.decompress(values[4]))
    chunks = tuple(
        Chunk(text, start, end, _place(place), context, shown)
        for text, start, end, context, place, shown in body["chunks"]
    )
    return IndexedFile(
        name=values[0],
        listed_size=values[1],
        modified=values[2],
        checked_at=values[3],
        checksum=body["checksum"],
        kind=body["kind"],
        chunks=chunks,
        terms=search_terms(values[0], chunks, stemming),
        problems=tuple(body["problems"]),
        partial=tuple(body["partial"]),
        skipped=body["skipped"],
    )


def _known(place: Place) -> dict[str, Any]:
    return {name: value for name, value in asdict(place).items() if value is not None and value != ()}


def _place(known: dict[str, Any]) -> Place:
    return Place(**{**known, "headings": tuple(known.get("headings", ()))})


def _proof(parts: Iterable[Any]) -> bytes:
    """Returns a checksum of a row; each part with its length, so that no two rows look the same."""
    total = blake2b(digest_size=16)
    for part in _bytes_of(parts):
        total.update(len(part).to_bytes(8, "big") + part)
    return total.digest()


def _bytes_of(parts: Iterable[Any]) -> Iterator[bytes]:
    for part in parts:
        yield part if isinstance(part, bytes) else repr(part).encode(errors="surrogatepass")
