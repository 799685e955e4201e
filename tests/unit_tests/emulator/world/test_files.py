from __future__ import annotations

import io
import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from langchain_mix.emulator.world import PlainError, World, WorldError
from langchain_mix.protocol.api import ALL

URL = "http://localhost:8088"


def put(world: World, session: str, name: str, content: bytes = b"x") -> dict[str, Any]:
    return world.upload(session, name, io.BytesIO(content), URL)


def refused(action: Callable[..., Any], *arguments: Any) -> WorldError:
    with pytest.raises(WorldError) as caught:
        action(*arguments)
    return caught.value


@pytest.mark.parametrize("api", ALL)
def test_an_upload_is_listed_and_found_byte_by_byte(
    make_world: Callable[..., World], new_session: Callable[..., str], api: str
) -> None:
    world = make_world(api)
    session = new_session(world)
    content = os.urandom(1_000_000)
    info = put(world, session, "my file.bin", content)
    assert info == {
        "name": "my_file.bin",
        "size": 1_000_000,
        "modified": 0,
        "isDir": False,
        "url": f"{URL}/api/sessions/{session}/files/my_file.bin",
    }
    assert list(info) == ["name", "size", "modified", "isDir", "url"]
    assert world.list_files(session, URL) == [info]
    path, where = world.find_file(session, "my_file.bin")
    assert (path.read_bytes(), where) == (content, "upload")


def test_q27_uploads_are_shared_by_all_sessions(world: World, new_session: Callable[..., str]) -> None:
    first, second = new_session(world), new_session(world)
    put(world, first, "a.txt", b"one")
    assert world.find_file(second, "a.txt")[0].read_bytes() == b"one"
    put(world, second, "a.txt", b"two!")
    assert world.find_file(first, "a.txt")[0].read_bytes() == b"two!"
    assert [f["size"] for f in world.list_files(first, URL)] == [4]
    world.delete_session(second)
    assert world.find_file(first, "a.txt")[0].read_bytes() == b"two!"
    world.delete_file(first, "a.txt")
    assert world.list_files(first, URL) == []


def test_private_files_come_first_and_only_to_their_own_session(world: World, new_session: Callable[..., str]) -> None:
    own, other = new_session(world), new_session(world)
    put(world, own, "a.txt", b"shared")
    (world.workspace(own) / "a.txt").write_bytes(b"private")
    (world.workspace(own) / "b.txt").write_bytes(b"private")
    assert [(p.read_bytes(), w) for p, w in [world.find_file(own, "a.txt")]] == [(b"private", "private")]
    assert world.find_file(other, "a.txt")[1] == "upload"
    assert refused(world.find_file, other, "b.txt").status == 404
    assert [f["name"] for f in world.list_files(own, URL)] == ["a.txt"]
    world.delete_file(own, "a.txt")
    assert world.find_file(own, "a.txt")[1] == "private"


def test_listings_are_recursive_with_hidden_files_and_without_links(
    world: World, new_session: Callable[..., str], tmp_path: Path
) -> None:
    session = new_session(world)
    (world.uploads / "sub" / "deep").mkdir(parents=True)
    (world.uploads / "sub" / "deep" / "c d.txt").write_text("cd")
    (world.uploads / ".hidden").write_text("h")
    (world.uploads / "link").symlink_to(tmp_path)
    (world.uploads / "sub" / "loop").symlink_to(world.uploads)
    listing = world.list_files(session, URL)
    assert [f["name"] for f in listing] == [".hidden", "sub/deep/c d.txt"]
    assert listing[1]["url"].endswith("/files/sub/deep/c d.txt"), "Q28: the URL is not encoded"
    assert world.find_file(session, "sub/deep/c d.txt")[0].read_text() == "cd"


@pytest.mark.parametrize("odd", ["x", "", "../..", "0" * 32, "{dcdf6322-0d99-46ac-b88a-b97dcbb4745a}"])
def test_ids_that_are_no_uuid_are_refused(world: World, odd: str) -> None:
    for error in (
        refused(put, world, odd, "a"),
        refused(world.list_files, odd, URL),
        refused(world.find_file, odd, "a"),
        refused(world.delete_file, odd, "a"),
        refused(world.workspace, odd),
    ):
        assert (error.status, error.type) == (400, "validation_error")
        assert error.message == "Validation error for field 'id': invalid session ID format"


def test_unknown_sessions_have_no_files(world: World) -> None:
    unknown = str(uuid.uuid4())
    for error in (
        refused(put, world, unknown, "a"),
        refused(world.list_files, unknown, URL),
        refused(world.find_file, unknown, "a"),
        refused(world.delete_file, unknown, "a"),
    ):
        assert error.message == f"Session with ID '{unknown}' not found"
    assert list(world.uploads.iterdir()) == []


def test_missing_files_are_not_found(world: World, new_session: Callable[..., str]) -> None:
    session = new_session(world)
    put(world, session, "a.txt")
    world.delete_file(session, "a.txt")
    for action in (world.find_file, world.delete_file):
        for name in ("a.txt", "a.txt/b", "sub/a.txt"):
            error = refused(action, session, name)
            assert (error.status, error.message) == (404, f"File with ID '{name}' not found")


@pytest.mark.parametrize("name", ["..", "../x", "a/../../x", "/etc/passwd", "../uploads/a.txt"])
def test_nothing_leads_out_of_the_directory(world: World, new_session: Callable[..., str], name: str) -> None:
    session = new_session(world)
    put(world, session, "a.txt")
    for action in (world.find_file, world.delete_file):
        error = refused(action, session, name)
        assert (error.status, error.type) == (500, "internal_error")
    assert world.find_file(session, "a.txt")


def test_links_do_not_lead_out_either(world: World, new_session: Callable[..., str], tmp_path: Path) -> None:
    session = new_session(world)
    (tmp_path / "secret").write_text("secret")
    private = world.workspace(session)
    (private / "out").symlink_to(tmp_path / "secret")
    (private / "dir").symlink_to(tmp_path)
    (private / "loop").symlink_to(private / "loop")
    (private / "real").write_text("r")
    (private / "in").symlink_to(private / "real")
    for name in ("out", "dir/secret", "loop"):
        assert refused(world.find_file, session, name).status == 500
    assert world.find_file(session, "in")[0].read_text() == "r"


@pytest.mark.parametrize("name", ["sub", ".", "", "sub/.."])
def test_directories_are_not_served(world: World, new_session: Callable[..., str], name: str) -> None:
    session = new_session(world)
    (world.workspace(session) / "sub").mkdir()
    with pytest.raises(PlainError) as caught:
        world.find_file(session, name)
    assert (caught.value.status, caught.value.text) == (400, "Cannot serve directory")


@pytest.mark.parametrize(("name", "status"), [("nul\0", 400), ("x" * 300, 500), ("a\ud800", 404)])
def test_odd_names_are_refused(world: World, new_session: Callable[..., str], name: str, status: int) -> None:
    session = new_session(world)
    assert refused(world.find_file, session, name).status == status
    assert refused(world.delete_file, session, name).status == status


def test_what_is_no_file_is_not_served(world: World, new_session: Callable[..., str]) -> None:
    session = new_session(world)
    os.mkfifo(world.workspace(session) / "pipe")
    assert refused(world.find_file, session, "pipe").status == 404


def test_an_upload_that_cannot_be_stored_leaves_nothing(world: World, new_session: Callable[..., str]) -> None:
    session = new_session(world)
    (world.uploads / "taken").mkdir()
    assert refused(put, world, session, "taken").status == 500
    assert refused(put, world, session, "x" * 300).status == 500
    assert refused(put, world, session, "nul\0").status == 400
    assert list((world.uploads.parent / "incoming").iterdir()) == []


def test_an_upload_that_breaks_off_changes_nothing(world: World, new_session: Callable[..., str]) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            chunk = super().read(2)
            if not chunk:
                raise ConnectionResetError("gone")
            return chunk

    session = new_session(world)
    put(world, session, "a.txt", b"whole")
    assert refused(world.upload, session, "a.txt", Broken(b"part"), URL).status == 500
    assert world.find_file(session, "a.txt")[0].read_bytes() == b"whole"
    assert list((world.uploads.parent / "incoming").iterdir()) == []


def test_who_reads_while_a_file_is_replaced_reads_the_old_one(world: World, new_session: Callable[..., str]) -> None:
    session = new_session(world)
    put(world, session, "a.txt", b"old content")
    with world.find_file(session, "a.txt")[0].open("rb") as reader:
        put(world, session, "a.txt", b"new")
        assert reader.read() == b"old content"
    assert world.find_file(session, "a.txt")[0].read_bytes() == b"new"


def test_parallel_uploads_of_one_name_leave_one_whole_file(world: World, new_session: Callable[..., str]) -> None:
    sessions = [new_session(world) for _ in range(4)]
    contents = [bytes([n]) * 200_000 for n in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: put(world, sessions[n % 4], "same.bin", contents[n]), range(16)))
    assert world.find_file(sessions[0], "same.bin")[0].read_bytes() in contents


def test_deleting_a_session_removes_its_private_files_alone(world: World, new_session: Callable[..., str]) -> None:
    session, other = new_session(world), new_session(world)
    gone, kept = world.workspace(session), world.workspace(other)
    (gone / "sub").mkdir()
    (gone / "sub" / "a").write_text("a")
    world.delete_session(session)
    assert not gone.exists()
    assert kept.exists()
    world.delete_session(other)
