from __future__ import annotations

import io
import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from langchain_mix.emulator.state import ApiError, PlainError, ServerState
from langchain_mix.protocol.api import ALL

URL = "http://localhost:8088"


def put(state: ServerState, session: str, name: str, content: bytes = b"x") -> dict[str, Any]:
    return state.files.upload(session, name, io.BytesIO(content), URL)


def refused(action: Callable[..., Any], *arguments: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        action(*arguments)
    return caught.value


@pytest.mark.parametrize("api", ALL)
def test_an_upload_is_listed_and_found_byte_by_byte(
    make_state: Callable[..., ServerState], new_session: Callable[..., str], api: str
) -> None:
    state = make_state(api)
    session = new_session(state)
    content = os.urandom(1_000_000)
    info = put(state, session, "my file.bin", content)
    assert info == {
        "name": "my_file.bin",
        "size": 1_000_000,
        "modified": 0,
        "isDir": False,
        "url": f"{URL}/api/sessions/{session}/files/my_file.bin",
    }
    assert list(info) == ["name", "size", "modified", "isDir", "url"]
    assert state.files.listing(session, URL) == [info]
    path, where = state.files.find(session, "my_file.bin")
    assert (path.read_bytes(), where) == (content, "upload")


def test_q27_uploads_are_shared_by_all_sessions(state: ServerState, new_session: Callable[..., str]) -> None:
    first, second = new_session(state), new_session(state)
    put(state, first, "a.txt", b"one")
    assert state.files.find(second, "a.txt")[0].read_bytes() == b"one"
    put(state, second, "a.txt", b"two!")
    assert state.files.find(first, "a.txt")[0].read_bytes() == b"two!"
    assert [f["size"] for f in state.files.listing(first, URL)] == [4]
    state.delete_session(second)
    assert state.files.find(first, "a.txt")[0].read_bytes() == b"two!"
    state.files.delete(first, "a.txt")
    assert state.files.listing(first, URL) == []


def test_private_files_come_first_and_only_to_their_own_session(
    state: ServerState, new_session: Callable[..., str]
) -> None:
    own, other = new_session(state), new_session(state)
    put(state, own, "a.txt", b"shared")
    (state.files.workspace(own) / "a.txt").write_bytes(b"private")
    (state.files.workspace(own) / "b.txt").write_bytes(b"private")
    assert [(p.read_bytes(), w) for p, w in [state.files.find(own, "a.txt")]] == [(b"private", "private")]
    assert state.files.find(other, "a.txt")[1] == "upload"
    assert refused(state.files.find, other, "b.txt").status == 404
    assert [f["name"] for f in state.files.listing(own, URL)] == ["a.txt"]
    state.files.delete(own, "a.txt")
    assert state.files.find(own, "a.txt")[1] == "private"


def test_listings_are_recursive_with_hidden_files_and_without_links(
    state: ServerState, new_session: Callable[..., str], tmp_path: Path
) -> None:
    session = new_session(state)
    (state.files.uploads / "sub" / "deep").mkdir(parents=True)
    (state.files.uploads / "sub" / "deep" / "c d.txt").write_text("cd")
    (state.files.uploads / ".hidden").write_text("h")
    (state.files.uploads / "link").symlink_to(tmp_path)
    (state.files.uploads / "sub" / "loop").symlink_to(state.files.uploads)
    listing = state.files.listing(session, URL)
    assert [f["name"] for f in listing] == [".hidden", "sub/deep/c d.txt"]
    assert listing[1]["url"].endswith("/files/sub/deep/c d.txt"), "Mix: the URL is not encoded"
    assert state.files.find(session, "sub/deep/c d.txt")[0].read_text() == "cd"


@pytest.mark.parametrize("odd", ["x", "", "../..", "0" * 32, "{dcdf6322-0d99-46ac-b88a-b97dcbb4745a}"])
def test_ids_that_are_no_uuid_are_refused(state: ServerState, odd: str) -> None:
    for error in (
        refused(put, state, odd, "a"),
        refused(state.files.listing, odd, URL),
        refused(state.files.find, odd, "a"),
        refused(state.files.delete, odd, "a"),
        refused(state.files.workspace, odd),
    ):
        assert (error.status, error.type) == (400, "validation_error")
        assert error.message == "Validation error for field 'id': invalid session ID format"


def test_unknown_sessions_have_no_files(state: ServerState) -> None:
    unknown = str(uuid.uuid4())
    for error in (
        refused(put, state, unknown, "a"),
        refused(state.files.listing, unknown, URL),
        refused(state.files.find, unknown, "a"),
        refused(state.files.delete, unknown, "a"),
    ):
        assert error.message == f"Session with ID '{unknown}' not found"
    assert list(state.files.uploads.iterdir()) == []


def test_missing_files_are_not_found(state: ServerState, new_session: Callable[..., str]) -> None:
    session = new_session(state)
    put(state, session, "a.txt")
    state.files.delete(session, "a.txt")
    for action in (state.files.find, state.files.delete):
        for name in ("a.txt", "a.txt/b", "sub/a.txt"):
            error = refused(action, session, name)
            assert (error.status, error.message) == (404, f"File with ID '{name}' not found")


@pytest.mark.parametrize("name", ["..", "../x", "a/../../x", "/etc/passwd", "../uploads/a.txt"])
def test_nothing_leads_out_of_the_directory(state: ServerState, new_session: Callable[..., str], name: str) -> None:
    session = new_session(state)
    put(state, session, "a.txt")
    for action in (state.files.find, state.files.delete):
        error = refused(action, session, name)
        assert (error.status, error.type) == (500, "internal_error")
    assert state.files.find(session, "a.txt")


def test_links_do_not_lead_out_either(state: ServerState, new_session: Callable[..., str], tmp_path: Path) -> None:
    session = new_session(state)
    (tmp_path / "secret").write_text("secret")
    private = state.files.workspace(session)
    (private / "out").symlink_to(tmp_path / "secret")
    (private / "dir").symlink_to(tmp_path)
    (private / "loop").symlink_to(private / "loop")
    (private / "real").write_text("r")
    (private / "in").symlink_to(private / "real")
    for name in ("out", "dir/secret", "loop"):
        assert refused(state.files.find, session, name).status == 500
    assert state.files.find(session, "in")[0].read_text() == "r"


@pytest.mark.parametrize("name", ["sub", ".", "", "sub/.."])
def test_directories_are_not_served(state: ServerState, new_session: Callable[..., str], name: str) -> None:
    session = new_session(state)
    (state.files.workspace(session) / "sub").mkdir()
    with pytest.raises(PlainError) as caught:
        state.files.find(session, name)
    assert (caught.value.status, caught.value.text) == (400, "Cannot serve directory")


@pytest.mark.parametrize(("name", "status"), [("nul\0", 400), ("x" * 300, 500), ("a\ud800", 404)])
def test_odd_names_are_refused(state: ServerState, new_session: Callable[..., str], name: str, status: int) -> None:
    session = new_session(state)
    assert refused(state.files.find, session, name).status == status
    assert refused(state.files.delete, session, name).status == status


def test_what_is_no_file_is_not_served(state: ServerState, new_session: Callable[..., str]) -> None:
    session = new_session(state)
    os.mkfifo(state.files.workspace(session) / "pipe")
    assert refused(state.files.find, session, "pipe").status == 404


def test_an_upload_that_cannot_be_stored_leaves_nothing(state: ServerState, new_session: Callable[..., str]) -> None:
    session = new_session(state)
    (state.files.uploads / "taken").mkdir()
    assert refused(put, state, session, "taken").status == 500
    assert refused(put, state, session, "x" * 300).status == 500
    assert refused(put, state, session, "nul\0").status == 400
    assert list((state.files.uploads.parent / "incoming").iterdir()) == []


def test_an_upload_that_breaks_off_changes_nothing(state: ServerState, new_session: Callable[..., str]) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            chunk = super().read(2)
            if not chunk:
                raise ConnectionResetError("gone")
            return chunk

    session = new_session(state)
    put(state, session, "a.txt", b"whole")
    assert refused(state.files.upload, session, "a.txt", Broken(b"part"), URL).status == 500
    assert state.files.find(session, "a.txt")[0].read_bytes() == b"whole"
    assert list((state.files.uploads.parent / "incoming").iterdir()) == []


def test_who_reads_while_a_file_is_replaced_reads_the_old_one(
    state: ServerState, new_session: Callable[..., str]
) -> None:
    session = new_session(state)
    put(state, session, "a.txt", b"old content")
    with state.files.find(session, "a.txt")[0].open("rb") as reader:
        put(state, session, "a.txt", b"new")
        assert reader.read() == b"old content"
    assert state.files.find(session, "a.txt")[0].read_bytes() == b"new"


def test_parallel_uploads_of_one_name_leave_one_whole_file(state: ServerState, new_session: Callable[..., str]) -> None:
    sessions = [new_session(state) for _ in range(4)]
    contents = [bytes([n]) * 200_000 for n in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: put(state, sessions[n % 4], "same.bin", contents[n]), range(16)))
    assert state.files.find(sessions[0], "same.bin")[0].read_bytes() in contents


def test_deleting_a_session_removes_its_private_files_alone(
    state: ServerState, new_session: Callable[..., str]
) -> None:
    session, other = new_session(state), new_session(state)
    gone, kept = state.files.workspace(session), state.files.workspace(other)
    (gone / "sub").mkdir()
    (gone / "sub" / "a").write_text("a")
    state.delete_session(session)
    assert not gone.exists()
    assert kept.exists()
    state.delete_session(other)
