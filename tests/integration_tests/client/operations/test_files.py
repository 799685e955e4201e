"""Uploads and downloads, sync and async, on every generation."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from langchain_mix.client import (
    BackoffStrategy,
    File,
    RetryConfig,
    errors,
)
from langchain_mix.emulator import (
    CloseConnection,
    Gate,
    HttpError,
    Script,
    SlowReply,
    turn,
    use,
)

pytestmark = pytest.mark.timeout(60)

QUICK = RetryConfig("backoff", BackoffStrategy(5, 20, 1.5, 2_000), max_attempts=3)
ONCE = RetryConfig("none")
READ = "GET /api/sessions/[^/]+/files/.*"

ALL = ("0.5", "0.6", "0.6.5", "0.7", "0.8", "next")


@pytest.mark.parametrize("api", ALL)
def test_files(users: Any, api: str, tmp_path: Path) -> None:
    user = users(api)
    session = user.session()
    (tmp_path / "of a path.txt").write_bytes(b"path")
    sources: list[dict[str, Any]] = [
        {"file": {"file_name": "mapping.txt", "content": b"mapping", "content_type": "text/plain"}},
        {"file": File("value.txt", io.BytesIO(b"value"))},
        {"file": io.BytesIO(b"memory"), "file_name": "memory.txt"},
        {"file": b"bytes", "file_name": "bytes.txt"},
        {"file": str(tmp_path / "of a path.txt")},
        {"file": tmp_path / "of a path.txt", "file_name": "renamed.txt"},
    ]
    sent = [user("files.upload_session_file", id=session, **source) for source in sources]
    contents = [b"mapping", b"value", b"memory", b"bytes", b"path", b"path"]
    names = [file.name for file in sent]
    assert names[4] != "of a path.txt", "the server's own name is the one to use"
    for name, content in zip(names, contents, strict=True):
        got = user("files.get_session_file", id=session, filename=name)
        assert isinstance(got, httpx.Response)
        assert (got.status_code, got.content) == (200, content)
        got.raise_for_status()
    assert sorted(f.name for f in user("files.list_session_files", id=session)) == sorted(names)
    user("files.delete_session_file", id=session, filename="bytes.txt")
    user("files.delete_session_file", id=session, filename="bytes.txt")
    with pytest.raises(errors.MixNotFoundError):
        user("files.get_session_file", id=session, filename="bytes.txt")


def test_an_upload_tells_its_progress(users: Any) -> None:
    user = users("0.8")
    session, told = user.session(), []
    content = b"x" * 200_000
    user("files.upload_session_file", id=session, file=content, file_name="x.bin", progress=lambda *p: told.append(p))
    assert told[-1] == (200_000, 200_000)
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert len(told) > 1
    assert user("files.get_session_file", id=session, filename="x.bin").content == content


def test_a_thumbnail(users: Any) -> None:
    user = users("0.8")
    session, picture = user.session(), io.BytesIO()
    Image.new("RGB", (400, 200), "blue").save(picture, "PNG")
    user("files.upload_session_file", id=session, file=picture, file_name="p.png")
    small = user("files.get_session_file", id=session, filename="p.png", thumb="w100")
    assert small.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(small.content)) as opened:
        assert opened.width == 100
    with pytest.raises(errors.MixInputError):
        user("files.get_session_file", id=session, filename="p.png", thumb="huge")


@pytest.mark.parametrize("api", ALL)
def test_a_download(users: Any, api: str, tmp_path: Path) -> None:
    user = users(api)
    session, content = user.session(), bytes(range(256)) * 2_000
    user("files.upload_session_file", id=session, file=content, file_name="x.bin")
    told: list[Any] = []
    path = tmp_path / "x.bin"
    assert user("files.download", id=session, filename="x.bin", to=path, progress=lambda *p: told.append(p)) == len(
        content
    )
    assert path.read_bytes() == content
    assert told[-1][0] == len(content)
    memory = io.BytesIO()
    user("files.download", id=session, filename="x.bin", to=memory)
    assert memory.getvalue() == content
    with pytest.raises(errors.MixInputError, match="exists"):
        user("files.download", id=session, filename="x.bin", to=path, overwrite=False)
    assert [p.name for p in tmp_path.iterdir()] == ["x.bin"]


def test_a_broken_download_leaves_nothing(users: Any, tmp_path: Path) -> None:
    user = users("0.8")
    session = user.session()
    user("files.upload_session_file", id=session, file=b"new", file_name="x.bin")
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")
    user.server.faults.add(CloseConnection("GET /api/sessions/[^/]+/files/.*"))
    with pytest.raises(errors.MixConnectionError):
        user("files.download", id=session, filename="x.bin", to=path, retries=ONCE)
    with pytest.raises(errors.MixNotFoundError):
        user("files.download", id=session, filename="missing.bin", to=path)

    def interrupted(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        user("files.download", id=session, filename="x.bin", to=path, progress=interrupted)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"x.bin": b"old"}


def stored(user: Any, content: bytes = b"new") -> str:
    session = str(user.session())
    user("files.upload_session_file", id=session, file=content, file_name="x.bin")
    user.server.forget_requests()
    return session


@pytest.mark.parametrize("fault", [HttpError, CloseConnection])
def test_a_download_is_tried_again(users: Any, fault: Any) -> None:
    for of_the_client, options in ((QUICK, {}), (ONCE, {"retries": QUICK})):
        user = users("0.8", mix={"retry_config": of_the_client})
        session, memory = stored(user), io.BytesIO()
        user.server.faults.add(fault(READ, count=2))
        assert user("files.download", id=session, filename="x.bin", to=memory, **options) == 3
        assert memory.getvalue() == b"new"
        assert len(user.server.requests) == 3


@pytest.mark.parametrize(("of_the_client", "options"), [(QUICK, {"retries": ONCE}), (ONCE, {})])
def test_a_download_is_not_tried_again_unless_wanted(users: Any, of_the_client: Any, options: Any) -> None:
    user = users("0.8", mix={"retry_config": of_the_client})
    session, memory = stored(user), io.BytesIO()
    user.server.faults.add(HttpError(READ, 503))
    with pytest.raises(errors.MixDefaultError) as caught:
        user("files.download", id=session, filename="x.bin", to=memory, **options)
    assert caught.value.raw_response.status_code == 503
    assert (memory.getvalue(), len(user.server.requests)) == (b"", 1)


def test_a_download_takes_headers_and_a_timeout(users: Any) -> None:
    user = users("0.8", mix={"timeout_ms": 60_000})
    session, gate = stored(user), Gate()
    user("files.download", id=session, filename="x.bin", to=io.BytesIO(), http_headers={"X-Trace": "7"})
    assert user.server.requests[-1].headers["x-trace"] == "7"
    user.server.faults.add(SlowReply(READ, gate=gate))
    try:
        with pytest.raises(errors.MixTimeoutError):
            user("files.download", id=session, filename="missing", to=io.BytesIO(), timeout_ms=200, retries=ONCE)
    finally:
        gate.open()


def test_a_name_cannot_lead_elsewhere(users: Any) -> None:
    user = users("0.8")
    session = user.session()
    user.server.forget_requests()
    with pytest.raises(errors.MixError):
        user("files.get_session_file", id=session, filename="../../../health", retries=RetryConfig("none"))
    [asked] = user.server.requests
    assert asked.path.startswith(f"/api/sessions/{session}/files/")


PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("api", ["0.8", "next"])
def test_screenshots_are_read_by_their_name_or_address(users: Any, api: str) -> None:
    look = use("Bash", {"command": "look"}, result="ok", ask=False, screenshots=[PNG + b"1", PNG + b"2"])
    user = users(api, Script(turn([look], "Done.")))
    session = user.session()
    user("messages.send", id=session, text="Look.")
    user.server.wait_idle()
    (call,) = user("messages.list_session", id=session)[1].tool_calls
    first, second = call.screenshot_urls
    assert user("files.get_screenshot", id=session, filename=first) == PNG + b"1"
    assert user("files.get_screenshot", id=session, filename=second.rpartition("/")[2]) == PNG + b"2"
    elsewhere = f"http://other.example/{second.rpartition('/')[2]}?size=1"
    assert user("files.get_screenshot", id=session, filename=elsewhere) == PNG + b"2", "the request goes to this server"
    for known, name in ((session, "1.png"), ("00000000-0000-4000-8000-000000000000", first)):
        with pytest.raises(errors.MixDefaultError) as refused:
            user("files.get_screenshot", id=known, filename=name)
        assert refused.value.status_code == 404
    with pytest.raises(errors.MixInputError):
        user("files.get_screenshot", id=session, filename="http://other.example/")


@pytest.mark.parametrize("api", ["0.5", "0.7"])
def test_older_servers_have_no_screenshots(users: Any, api: str) -> None:
    user = users(api)
    with pytest.raises(errors.MixUnsupportedError, match="screenshot"):
        user("files.get_screenshot", id=user.session(), filename="1.png")
