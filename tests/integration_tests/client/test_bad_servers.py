"""Servers that are none, or not whole: always a typed error that tells what was sent, and never one of the HTTP library."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import pytest

from langchain_mix import errors
from langchain_mix.client._config import CallOptions
from langchain_mix.emulator import Script
from langchain_mix.protocol import calls
from langchain_mix.protocol.api import ApiKnowledge
from langchain_mix.protocol.retry import NO_RETRIES

pytestmark = pytest.mark.timeout(60)

ONCE = CallOptions(NO_RETRIES)
KNOWN = ApiKnowledge(["0.8"])
HTML = b"<!DOCTYPE html><html><body>nginx</body></html>"

Act = Callable[[socket.socket], None]


@contextmanager
def server(act: Act) -> Iterator[str]:
    """A server that does this with every connection once a request's head has come; gives its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopping, open_ones = threading.Event(), []

    def serve() -> None:
        while not stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_ones.append(connection)
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    def one(connection: socket.socket) -> None:
        try:
            if getattr(act, "reads", True):
                head = b""
                while b"\r\n\r\n" not in head and (piece := connection.recv(65536)):
                    head += piece
            act(connection)
        except OSError:
            return  # The client has given up.

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stopping.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in open_ones:
            close(connection)
        thread.join(5)


def close(connection: socket.socket) -> None:
    with closing(connection):
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # It is closed.


def raw(data: bytes, *, then_close: bool = True) -> Act:
    def act(connection: socket.socket) -> None:
        connection.sendall(data)
        if then_close:
            close(connection)

    return act


def reply(status: str, body: bytes = b"", content_type: str = "application/json", extra: bytes = b"") -> Act:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    return raw(head.encode() + extra + b"\r\n" + body)


SILENT = raw(b"", then_close=False)
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

SERVERS: dict[str, tuple[Act, type[errors.MixError]]] = {
    "speaks garbage": (raw(b"SSH-2.0-OpenSSH_9.6\r\n"), errors.MixNetworkError),
    "closes at once": (raw(b""), errors.MixConnectionError),
    "sends half a head": (raw(b"HTTP/1.1 200 OK\r\nContent-Ty"), errors.MixConnectionError),
    "sends half a head and waits": (raw(b"HTTP/1.1 200 OK\r\nContent-Ty", then_close=False), errors.MixTimeoutError),
    "never answers": (SILENT, errors.MixTimeoutError),
    "closes after the head": (
        raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"),
        errors.MixConnectionError,
    ),
    "waits after the head": (
        raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n[", then_close=False),
        errors.MixTimeoutError,
    ),
    "sends a giant header": (
        raw(b"HTTP/1.1 200 OK\r\nX-Big: " + b"x" * 2_000_000 + b"\r\n\r\n"),
        errors.MixNetworkError,
    ),
    "is a proxy: 200": (reply("200 OK", HTML, "text/html"), errors.MixNotAServerError),
    "is a proxy: 502": (reply("502 Bad Gateway", HTML, "text/html"), errors.MixNotAServerError),
    "is a proxy: 407": (
        reply("407 Proxy Authentication Required", b"who are you?", "text/plain"),
        errors.MixDefaultError,
    ),
    "redirects": (reply("302 Found", b"", extra=b"Location: http://127.0.0.1:9/elsewhere\r\n"), errors.MixDefaultError),
    "redirects to itself": (reply("301 Moved Permanently", b"", extra=b"Location: /\r\n"), errors.MixDefaultError),
    "answers 204": (reply("204 No Content"), errors.MixDefaultError),
    "answers nothing": (reply("200 OK"), errors.ResponseValidationError),
    "answers invalid UTF-8": (reply("200 OK", b'{"id": "\xff\xfe'), errors.ResponseValidationError),
    "answers a JSON list": (reply("200 OK", b"[1, 2]"), errors.ResponseValidationError),
    "answers a JSON number": (reply("200 OK", b"7"), errors.ResponseValidationError),
    "answers JSON null": (reply("200 OK", b"null"), errors.ResponseValidationError),
    "answers deeply nested JSON": (reply("200 OK", b"[" * 100_000), errors.ResponseValidationError),
    "fails with deeply nested JSON": (reply("500 Oops", b"[" * 100_000), errors.MixDefaultError),
    "fails with an odd envelope": (reply("500 Oops", b'{"error": "text"}'), errors.MixDefaultError),
    "fails with a code of another kind": (
        reply("418 Teapot", b'{"error": {"code": "x", "message": "tea", "type": ["?"]}}'),
        errors.ErrorResponse,
    ),
    "compresses wrongly": (reply("200 OK", b"no gzip", extra=b"Content-Encoding: gzip\r\n"), errors.MixNotAServerError),
    "speaks an unknown encoding": (
        reply("200 OK", b"\x01\x02", extra=b"Content-Encoding: zopfli\r\n"),
        errors.ResponseValidationError,
    ),
}


def told(error: BaseException, sent: str) -> None:
    """What every error says."""
    assert isinstance(error, errors.MixError), f"raw {type(error).__mro__}: {error}"
    assert error.message
    assert error.sent == sent
    assert error.acted in {"no", "yes", "unknown"}
    assert str(error).startswith(error.message)
    assert not type(error).__module__.startswith(("httpx", "httpcore", "pydantic"))


def caught(run: Callable[[], object]) -> BaseException:
    with pytest.raises(Exception) as info:
        run()
    return info.value


@pytest.mark.parametrize("name", SERVERS)
def test_a_read(clients: Any, shell: str, name: str) -> None:
    act, kind = SERVERS[name]
    with server(act) as url:
        client = clients(shell, url, timeout=0.2)
        error = caught(lambda: client.send(calls.get_session("s"), ONCE))
    told(error, "GET /api/sessions/s")
    assert isinstance(error, kind), repr(error)
    if isinstance(error, errors.MixResponseError) and name != "compresses wrongly":
        assert error.status_code > 0
        assert error.raw_response is not None
    if isinstance(error, errors.MixTimeoutError):
        assert isinstance(error, TimeoutError | httpx.TimeoutException)


@pytest.mark.parametrize("name", SERVERS)
def test_a_write(clients: Any, shell: str, name: str) -> None:
    act, _ = SERVERS[name]
    seen: list[int] = []

    def counted(connection: socket.socket) -> None:
        seen.append(1)
        act(connection)

    with server(counted) as url:
        client = clients(shell, url, timeout=0.2)
        error = caught(lambda: client.send(calls.send_message(KNOWN, "s", text="hi")))
    told(error, "POST /api/sessions/s/messages")
    assert len(seen) == 1, "a message is sent once"
    assert error.acted != "no" or name in {
        "is a proxy: 407",
        "redirects",
        "redirects to itself",
        "fails with a code of another kind",
    }, "who got the message may have acted on it"


@pytest.mark.parametrize("name", SERVERS)
def test_a_stream(clients: Any, shell: str, name: str) -> None:
    act, _ = SERVERS[name]
    with server(act) as url:
        client = clients(shell, url, timeout=0.2, liveness=0.2)
        error = caught(lambda: client.events(calls.event_stream("s"), -1))
    told(error, "GET /stream")


@pytest.mark.parametrize("name", ["speaks garbage", "never answers", "is a proxy: 502", "is a proxy: 200", "redirects"])
def test_a_turn(clients: Any, shell: str, name: str) -> None:
    act, _ = SERVERS[name]
    with server(act) as url:
        client = clients(shell, url, timeout=0.2)
        outcome = client.turn("s", "hi", timeout=0.5)
    assert isinstance(outcome.error, errors.MixError), repr(outcome.error)
    assert outcome.error.acted == "no"
    assert outcome.updates == []


@pytest.mark.parametrize(
    ("after", "kind"),
    [
        (b"", errors.MixStreamError),
        (b"5\r\nid: 1", errors.MixStreamError),
        (b"zz\r\n", errors.MixStreamError),
        (b'26\r\nevent: connected\ndata: {"sessionId":"s"\r\n', errors.MixStreamError),
    ],
)
def test_a_stream_that_breaks(clients: Any, shell: str, after: bytes, kind: type[errors.MixError]) -> None:
    with server(raw(CHUNKED + after)) as url:
        client = clients(shell, url)
        error = caught(lambda: client.events(calls.event_stream("s"), -1))
    told(error, "GET /stream")
    assert isinstance(error, kind)
    assert isinstance(error, httpx.TransportError)


def test_a_stream_that_falls_silent(clients: Any, shell: str) -> None:
    with server(raw(CHUNKED, then_close=False)) as url:
        client = clients(shell, url, liveness=0.1)
        error = caught(lambda: client.events(calls.event_stream("s"), -1))
    assert isinstance(error, errors.MixStreamError)
    assert "heartbeat" in error.message


def test_a_stream_whose_server_drips_bytes_is_alive(clients: Any, shell: str) -> None:
    event = b'event: connected\ndata: {"sessionId":"s"}\n\n'
    body = b"".join(b"1\r\n" + bytes([b]) + b"\r\n" for b in event) + b"0\r\n\r\n"
    with server(raw(CHUNKED + body)) as url:
        (connected,) = clients(shell, url, liveness=1).events(calls.event_stream("s"), -1)
    assert connected.data.session_id == "s"


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    "make", [lambda: calls.get_session("s"), lambda: calls.send_message(KNOWN, "s", text="hi")], ids=["read", "write"]
)
def test_nobody_listens(clients: Any, shell: str, make: Any) -> None:
    url = closed_port()
    error = caught(lambda: clients(shell, url).send(make()))
    assert isinstance(error, errors.MixConnectionError)
    assert isinstance(error, httpx.ConnectError)
    assert isinstance(error, httpx.RequestError)
    assert isinstance(error, ConnectionError)
    assert error.acted == "no"
    assert url in error.message
    assert "langchain-mix serve" in error.hint


def test_nobody_listens_to_a_turn(clients: Any, shell: str) -> None:
    outcome = clients(shell, closed_port()).turn("s", "hi", timeout=0.5)
    assert isinstance(outcome.error, errors.MixConnectionError | errors.MixTurnTimeout)
    assert outcome.error.acted == "no"


def test_a_name_that_does_not_resolve(clients: Any, shell: str) -> None:
    error = caught(lambda: clients(shell, "http://no-such-host.invalid").send(calls.get_session("s"), ONCE))
    assert isinstance(error, errors.MixConnectionError)
    assert isinstance(error, httpx.ConnectError)


def test_tls_to_a_server_without(clients: Any, shell: str) -> None:
    with server(raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as url:
        client = clients(shell, url.replace("http:", "https:"), timeout=0.5)
        error = caught(lambda: client.send(calls.get_session("s"), ONCE))
    assert isinstance(error, errors.MixConnectionError), repr(error)
    assert error.acted == "no"


def test_a_timeout_can_be_caught_in_every_documented_way(clients: Any, shell: str) -> None:
    with server(SILENT) as url:
        error = caught(lambda: clients(shell, url).send(calls.get_session("s"), CallOptions(NO_RETRIES, timeout_ms=50)))
    for kind in (
        errors.MixTimeoutError,
        errors.MixNetworkError,
        httpx.TimeoutException,
        httpx.RequestError,
        TimeoutError,
    ):
        assert isinstance(error, kind)
    assert error.request.url.path == "/api/sessions/s"  # type: ignore[union-attr]


def test_a_redirect_is_never_followed(clients: Any, shell: str) -> None:
    visits: list[int] = []

    def visited(connection: socket.socket) -> None:
        visits.append(1)
        reply("200 OK", b"{}")(connection)

    with server(visited) as elsewhere, server(reply("307 Away", extra=f"Location: {elsewhere}/\r\n".encode())) as url:
        for call in (calls.get_session("s"), calls.send_message(KNOWN, "s", text="hi")):
            error = caught(lambda call=call: clients(shell, url).send(call, ONCE))
            assert isinstance(error, errors.MixDefaultError)
            assert error.status_code == 307
    assert visits == []


@pytest.mark.parametrize("target", ["http://[::1", "javascript:1", "mailto:hunter2@x", "http://ann:pa/hunter2@host"])
def test_a_redirect_that_cannot_be_read_is_named_and_sent_once(clients: Any, shell: str, target: str) -> None:
    visits: list[int] = []

    def away(connection: socket.socket) -> None:
        visits.append(1)
        reply("307 Away", extra=f"Location: {target}\r\n".encode())(connection)

    with server(away) as url:
        error = caught(lambda: clients(shell, url).send(calls.get_session("s")))
    assert isinstance(error, errors.MixDefaultError)
    assert "(Location) that cannot be read" in str(error)
    assert "hunter2" not in str(error)
    assert error.acted == "no"
    assert len(visits) == 1


# Hostile ids and names


IDS = [
    "../x",
    "..",
    ".",
    "%2e%2e",
    "a/b",
    "a?b=c",
    "a#b",
    "a\0b",
    "a\r\nX-Evil: 1",
    "日本語",
    "🎈",
    "a b",
    "%",
    "\\..\\",
]


@pytest.mark.parametrize("hostile", IDS, ids=ascii)
def test_a_hostile_id_stays_one_segment(labs: Any, shell: str, hostile: str) -> None:
    lab = labs(shell, "0.8", Script())
    error = caught(lambda: lab.shell.send(calls.get_session(hostile), ONCE))
    assert isinstance(error, errors.MixNotFoundError), repr(error)
    (request,) = lab.asked()
    assert "x-evil" not in request.headers
    outcome = lab.turn(session=hostile)
    assert isinstance(outcome.error, errors.MixNotFoundError), repr(outcome.error)
    assert lab.messages() == []


@pytest.mark.parametrize("hostile", ["", "\ud800"], ids=ascii)
def test_an_id_that_is_none_is_refused_before_anything_is_sent(labs: Any, shell: str, hostile: str) -> None:
    lab = labs(shell, "0.8", Script())
    assert isinstance(caught(lambda: lab.shell.send(calls.get_session(hostile))), errors.MixInputError)
    outcome = lab.turn(session=hostile or None) if hostile else lab.shell.turn("", "hi")
    assert isinstance(outcome.error, errors.MixInputError), repr(outcome.error)
    assert lab.asked() == []


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "..", "a/b.txt", "a\0b.txt", 'a"b.txt', "a\r\nb.txt", "日本語.txt", "🎈.txt", "%2e%2e%2f.txt"],
    ids=ascii,
)
def test_a_hostile_file_name(labs: Any, shell: str, name: str) -> None:
    from langchain_mix.protocol.call import FilePart

    lab = labs(shell, "0.8", Script())
    session = lab.session()
    error: BaseException | None = None
    stored = None
    try:
        stored = lab.shell.send(calls.upload_file(session, FilePart(name, b"content")))
    except errors.MixError as refusal:
        error = refusal
    if stored is None:
        assert isinstance(error, errors.MixUsageError | errors.MixBadRequestError | errors.MixInternalError), repr(
            error
        )
    else:
        assert "/" not in stored.name
        assert stored.name not in {"..", "."}
        assert lab.shell.send(calls.download_file(session, stored.name)) == b"content"
    missing = caught(lambda: lab.shell.send(calls.download_file(session, name + "-not-there"), ONCE))
    assert isinstance(missing, errors.MixResponseError)


@pytest.mark.parametrize(("body", "attempts"), [(b"half", 1), (b"", 3)], ids=["half a file", "nothing of it"])
def test_a_download_is_begun_again_only_if_nothing_was_written(
    clients: Any, shell: str, body: bytes, attempts: int
) -> None:
    seen: list[int] = []
    file = io.BytesIO()

    def counted(connection: socket.socket) -> None:
        seen.append(1)
        raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n" + body)(connection)

    with server(counted) as url:
        client = clients(shell, url)
        files = client.mix.files
        error = caught(
            lambda: (
                client.awaited(files.download_async(id="s", filename="x", to=file))
                if shell == "async"
                else files.download(id="s", filename="x", to=file)
            )
        )
    told(error, "GET /api/sessions/s/files/x")
    assert isinstance(error, errors.MixConnectionError)
    assert file.getvalue() == body
    assert len(seen) == attempts
