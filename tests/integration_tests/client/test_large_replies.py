"""An answer that is kept in memory is bounded after decompression, and a redirect says where it leads."""

from __future__ import annotations

import functools
import gzip
import threading
import tracemalloc
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from langchain_mix import ChatMix, MixRetriever, MixSaver, errors
from langchain_mix.client import Mix
from langchain_mix.client._config import MAX_REPLY_BYTES
from langchain_mix.protocol.retry import NO_RETRIES
from tests.in_turn import in_turn


@functools.cache
def bomb() -> bytes:
    """Returns an answer of 1 MB that grows two hundredfold; made when it is first sent, not when tests are collected."""
    return gzip.compress(b'[{"id":"a","title":"' + b"x" * 200_000_000 + b'"}]', 1)


MIB = 1024 * 1024


class Server(ThreadingHTTPServer):
    """Answers every request alike."""

    daemon_threads = True
    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"[]")
    asked: list[dict[str, str]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.asked.append(dict(self.headers))
        status, headers, body = self.server.answer
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # The client has read enough.

    do_GET = do_POST = _answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def failure(server: Server, *, asynchronous: bool, **options: Any) -> errors.MixError:
    async with Mix(server_url=server.url, api="0.8", retry_config=NO_RETRIES, **options) as mix:
        with pytest.raises(errors.MixError) as caught:
            if asynchronous:
                await mix.sessions.list_async()
            else:
                mix.sessions.list()
    return caught.value


@pytest.mark.parametrize(
    ("asynchronous", "status"),
    [
        (False, 200),
        (True, 500),
        pytest.param(False, 500, marks=pytest.mark.exhaustive),
        pytest.param(True, 200, marks=pytest.mark.exhaustive),
    ],
)
async def test_a_bomb_costs_no_more_than_the_bound(server, asynchronous, status) -> None:
    server.answer = (status, {"Content-Encoding": "gzip"}, bomb())
    await failure(server, asynchronous=asynchronous, max_reply_bytes=MIB)  # Loads what is loaded once.
    tracemalloc.start()
    try:
        error = await failure(server, asynchronous=asynchronous)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(error, errors.MixReplyTooLarge)
    assert f"{MAX_REPLY_BYTES:,} bytes" in error.message
    assert "max_reply_bytes" in error.hint
    assert error.acted == "no"
    assert peak < 2.5 * MAX_REPLY_BYTES
    assert len(server.asked) == 2


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_large_answer_is_not_even_begun(server, asynchronous) -> None:
    server.answer = (200, {"Content-Length": str(MAX_REPLY_BYTES + 1)}, b"[")
    error = await failure(server, asynchronous=asynchronous)
    assert isinstance(error, errors.MixReplyTooLarge)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("encoding", ["", "gzip", "deflate", "raw deflate"])
async def test_the_bound_is_exact_and_may_be_set(server, asynchronous, encoding) -> None:
    text = b"[" + b" " * 998 + b"]"
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    body = {
        "": text,
        "gzip": gzip.compress(text, mtime=0),
        "deflate": zlib.compress(text),
        "raw deflate": raw.compress(text) + raw.flush(),
    }[encoding]
    server.answer = (200, {"Content-Encoding": encoding.split()[-1]} if encoding else {}, body)
    error = await failure(server, asynchronous=asynchronous, max_reply_bytes=999)
    assert isinstance(error, errors.MixReplyTooLarge)
    async with Mix(server_url=server.url, api="0.8", max_reply_bytes=1000) as mix:
        assert (await mix.sessions.list_async() if asynchronous else mix.sessions.list()) == []
    assert {asked["Accept-Encoding"] for asked in server.asked} == {"gzip, deflate"}


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"[]"),
        ("deflate", b"\xff\xff"),
        ("gzip", gzip.compress(b"[]", mtime=0)[:-9]),
    ],
    ids=["no gzip", "no deflate", "gzip cut off"],
)
async def test_what_cannot_be_decompressed_is_a_typed_error(server, asynchronous, encoding, body) -> None:
    server.answer = (200, {"Content-Encoding": encoding}, body)
    error = await failure(server, asynchronous=asynchronous)
    assert isinstance(error, errors.MixNotAServerError)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_files_may_be_larger(server, asynchronous) -> None:
    server.answer = (200, {"Content-Encoding": "gzip", "Content-Type": "text/plain"}, gzip.compress(b"x" * 5000))
    async with Mix(server_url=server.url, api="0.8", max_reply_bytes=100) as mix:
        if asynchronous:
            content = await mix.files.get_session_file_async(id="s", filename="f")
        else:
            content = mix.files.get_session_file(id="s", filename="f")
    assert len(content.content) == 5000


async def test_an_answer_in_place_of_a_stream_is_bounded_too(server) -> None:
    server.answer = (500, {"Content-Encoding": "gzip"}, bomb())
    async with Mix(server_url=server.url, api="0.8", retry_config=NO_RETRIES) as mix:
        with pytest.raises(errors.MixReplyTooLarge):
            mix.turn("s", "Hi").run()
        with pytest.raises(errors.MixReplyTooLarge):
            await mix.turn_async("s", "Hi").run()


async def test_users_get_the_answer_as_it_was_read(server) -> None:
    server.answer = (404, {"Content-Encoding": "gzip", "X-Request-Id": "r1"}, gzip.compress(b"nothing here"))
    for asynchronous in (False, True):
        error = await failure(server, asynchronous=asynchronous)
        assert isinstance(error.raw_response, httpx.Response)
        assert error.raw_response.text == error.body == "nothing here"
        assert error.raw_response.headers["x-request-id"] == "r1"
        assert error.raw_response.request.url.path == "/api/sessions"


@pytest.mark.parametrize("kind", [ChatMix, MixSaver, MixRetriever])
def test_everything_with_a_client_has_the_option(server, kind) -> None:
    server.answer = (200, {}, b"[" + b" " * 998 + b"]")
    made = kind(server_url=server.url, api="0.8", max_reply_bytes=999)
    mix = {
        ChatMix: lambda: made.client,
        MixSaver: lambda: made._connection.mix,
        MixRetriever: lambda: made.client,
    }
    with mix[kind]() as client, pytest.raises(errors.MixReplyTooLarge):
        client.sessions.list()
    with pytest.raises(ValueError, match="max_reply_bytes"):
        kind(server_url=server.url, max_reply_bytes=0)
        Mix(max_reply_bytes=0)


REDIRECTS = {
    "https://login.example/sso": "a redirect to https://login.example/sso",
    "/auth/start?state=s3cret": "a redirect to /auth/start?…",
    "https://login.example:8443?token=s3cret": "a redirect to https://login.example:8443?…",
    "//other.example/x#s3cret": "a redirect to //other.example/x?…",
    "https://ann:s3cret@login.example/": "a redirect to an address that cannot be read",
    "ftp://login.example/s3cret?x": "a redirect to an address that cannot be read",
}


@pytest.mark.parametrize("scenario", in_turn([301, 302, 303, 307, 308], list(REDIRECTS), [False, True]))
async def test_a_redirect_names_where_it_leads(server, scenario) -> None:
    status, location, asynchronous = scenario
    server.answer = (status, {"Location": location}, b"moved <a href='s3cret'>")
    error = await failure(server, asynchronous=asynchronous)
    assert f"{status}: {REDIRECTS[location]}" in error.message
    assert "s3cret" not in str(error)
    assert len(server.asked) == 1
