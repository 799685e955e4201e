from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from langchain_mix.emulator.state.store import Row, Store, ToolCallRecord


def add(store: Store, name: str) -> None:
    with store.transaction() as db:
        db.execute("INSERT INTO preferences (name, value) VALUES (?, 1)", (name,))


def names(store: Store) -> list[str]:
    with store.transaction() as db:
        return [record["name"] for record in db.execute("SELECT name FROM preferences ORDER BY name")]


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")

    def fail() -> None:
        with store.transaction():
            add(store, "inner")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    add(store, "after")
    assert names(store) == ["after"]
    store.close()


def test_an_inner_failure_that_is_handled_keeps_the_outer_work(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    add(store, "a")
    with store.transaction():
        add(store, "b")
        with pytest.raises(sqlite3.IntegrityError):
            add(store, "a")
        add(store, "c")
    assert names(store) == ["a", "b", "c"]
    store.close()


def test_a_commit_that_is_refused_is_rolled_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    with store.transaction() as db:
        db.execute("CREATE TABLE child (id TEXT REFERENCES sessions (id) DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(sqlite3.IntegrityError), store.transaction() as db:
        db.execute("INSERT INTO child VALUES ('nobody')")
    add(store, "works")
    assert names(store) == ["works"]
    store.close()


def test_another_thread_sees_no_half_of_a_transaction(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    seen: list[list[str]] = []
    reader = threading.Thread(target=lambda: seen.append(names(store)))
    with store.transaction():
        add(store, "a")
        reader.start()
        add(store, "b")
    reader.join()
    assert seen == [["a", "b"]]
    store.close()


def test_what_was_stored_is_there_again(tmp_path: Path) -> None:
    first = Store(tmp_path / "db")
    add(first, "kept")
    first.close()
    first.close()
    second = Store(tmp_path / "db")
    assert names(second) == ["kept"]
    second.close()


def test_the_file_of_another_version_is_refused(tmp_path: Path) -> None:
    Store(tmp_path / "db").close()
    raw = sqlite3.connect(tmp_path / "db")
    raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(RuntimeError, match="format 99"):
        Store(tmp_path / "db")


def test_a_temporary_database_has_the_same_tables(tmp_path: Path) -> None:
    def tables(store: Store) -> list[str]:
        with store.transaction() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            return [version, *(record["sql"] for record in db.execute("SELECT sql FROM sqlite_master ORDER BY name"))]

    lasting, temporary = Store(tmp_path / "lasting"), Store(tmp_path / "temporary", temporary=True)
    assert tables(lasting) == tables(temporary)
    lasting.close()
    temporary.close()


def test_only_a_lasting_database_waits_for_the_disk(tmp_path: Path) -> None:
    def settings(store: Store) -> list[str | int]:
        with store.transaction() as db:
            return [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]

    lasting, temporary = Store(tmp_path / "lasting"), Store(tmp_path / "temporary", temporary=True)
    assert (settings(lasting), settings(temporary)) == (["wal", 1], ["memory", 0])
    lasting.close()
    temporary.close()


def test_rows_share_nothing() -> None:
    first, second = Row("assistant"), Row("assistant")
    first.tool_calls.append(ToolCallRecord("c", "Bash"))
    first.tool_results.append({})
    assert (second.tool_calls, second.tool_results) == ([], [])
    assert (second.role, second.text, second.finish_reason) == ("assistant", "", "")
