"""Deadlines hold whatever a server sends: a byte now and then, interim answers without end, comments, endless heads."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from langchain_mix import errors
from langchain_mix.client import Mix, _async_turn, _sync_turn, _timeouts
from langchain_mix.client._config import CallOptions
from langchain_mix.protocol import calls, flows, retry
from langchain_mix.protocol.retry import NO_RETRIES

pytestmark = pytest.mark.timeout(60)

SID = "11111111-1111-4111-8111-111111111111"
SESSION = {"id": SID, "title": "t", "createdAt": "2026-01-01T00:00:00Z", "browserMode": "local-browser-service"}
STEP = 0.02
"""Seconds between two bytes of a trickle; far below every timeout of one read."""


@dataclass
class Hostile:
    """A server whose answers trickle where the test says so, until it is stopped.

    Attributes:
        trickles: For a request such as `"POST /messages"`, with what its answer begins; then one byte follows another.
        rows: The stored messages once a message was posted.
        cut: Seconds after which a stream ends, or None.
        events: What a stream begins with after `connected`, once a message was posted.
        requests: What was asked.
    """

    trickles: dict[str, bytes] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    cut: float | None = None
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    unit: bytes = b" "
    requests: list[str] = field(default_factory=list)
    posted: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def count(self, request: str) -> int:
        return sum(r.startswith(request.split(maxsplit=1)[0]) and r.endswith(request.split()[1]) for r in self.requests)

    def serve(self, connection: socket.socket) -> None:
        buffer = b""
        while not self.stopping.is_set():
            while b"\r\n\r\n" not in buffer:
                piece = connection.recv(65536)
                if not piece:
                    return
                buffer += piece
            head, buffer = buffer.split(b"\r\n\r\n", 1)
            lines = head.decode().split("\r\n")
            length = next((int(x.split(":")[1]) for x in lines if x.lower().startswith("content-length:")), 0)
            while len(buffer) < length:
                buffer += connection.recv(65536)
            buffer = buffer[length:]
            method, target, _ = lines[0].split(" ")
            request = f"{method} /{target.split('?')[0].rsplit('/', 1)[-1]}"
            self.requests.append(request)
            if not self.answer(connection, request):
                return

    def answer(self, connection: socket.socket, request: str) -> bool:
        if request == "POST /messages":
            self.posted.set()
        if request in self.trickles:
            connection.sendall(self.trickles[request])
            self.trickle(connection, self.unit)
            return False
        if request == "GET /stream":
            self.stream(connection)
            return False
        rows = self.rows if self.posted.is_set() else []
        stamps = {"createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z"}
        exported = [{"id": r["id"], "role": r["role"], "content": r["userInput"], **stamps} for r in rows]
        body: Any = {
            "POST /messages": {"sessionId": SID, "status": "processing"},
            "POST /cancel": {"sessionId": SID, "status": "cancelled"},
            "GET /messages": rows,
            "GET /export": {"id": SID, "title": "t", "messages": exported},
            "GET /sessions": [],
        }.get(request, SESSION)
        data = json.dumps(body).encode()
        status = 202 if request == "POST /messages" else 200
        connection.sendall(
            f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            + data
        )
        return True

    def stream(self, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        self.tell(connection, "connected", {"sessionId": SID})
        if self.cut is not None:
            self.stopping.wait(self.cut)
            return
        self.posted.wait(10)
        for name, data in self.events:
            self.tell(connection, name, data)
        if "after events" in self.trickles:
            connection.sendall(self.trickles["after events"])
            self.trickle(connection, self.unit)
        self.wait_for_its_end(connection)

    def tell(self, connection: socket.socket, name: str, data: dict[str, Any]) -> None:
        connection.sendall(f"id: 1\nevent: {name}\ndata: {json.dumps(data)}\nretry: 30000\n\n".encode())

    def trickle(self, connection: socket.socket, unit: bytes) -> None:
        while not self.stopping.wait(STEP):
            connection.sendall(unit)

    def wait_for_its_end(self, connection: socket.socket) -> None:
        while not self.stopping.is_set():
            if select.select([connection], [], [], 0.05)[0] and not connection.recv(65536):
                return


@contextmanager
def serving(server: Hostile) -> Iterator[Hostile]:
    listener = socket.create_server(("127.0.0.1", 0))
    server.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with closing(connection):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                server.serve(connection)
            except OSError:
                return  # The client has given up.

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=one, args=(connection,), daemon=True))
            threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.posted.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(5)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits of the way out and between two streams, in fractions of a second."""
    monkeypatch.setattr(_timeouts, "_LAST_REQUEST", 0.15)
    for module in (_sync_turn, _async_turn):
        monkeypatch.setattr(module, "reopen_wait", lambda attempt, chance: retry.reopen_wait(attempt, chance) / 10)


def client(clients: Any, shell: str, server: Hostile, api: str = "0.8", *, stall: float = 660.0, **options: Any) -> Any:
    made = clients(shell, server.url, api, **options)
    made.mix._core.settings = replace(made.mix._core.settings, stall=stall)
    return made


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BODY = HEAD + b"Content-Length: 100000\r\n\r\n"
CHUNK = HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;"
"""The size of a chunk, followed by an extension that never ends: no byte of it reaches who reads the body."""
USER = ("user_message_created", {"type": "user_message_created", "messageId": "u", "content": "hello"})
COMPLETE = ("complete", {"type": "complete", "content": "hi", "messageId": "a", "done": True})
USER_ROW = {"id": "u", "sessionId": SID, "role": "user", "userInput": "hello"}

TRICKLES: dict[str, Callable[[], Hostile]] = {
    "the head of the stream": lambda: Hostile({"GET /stream": HEAD + b"X-A: "}, unit=b"a"),
    "interim answers for the stream": lambda: Hostile({"GET /stream": b""}, unit=b"HTTP/1.1 102 Processing\r\n\r\n"),
    "the refusal of the stream": lambda: Hostile({"GET /stream": BODY.replace(b"200 OK", b"503 No")}),
    "the head of the message's answer": lambda: Hostile({"POST /messages": HEAD + b"X-A: "}, unit=b"a"),
    "the body of the message's answer": lambda: Hostile({"POST /messages": BODY.replace(b"200", b"202")}),
    "interim answers for the message": lambda: Hostile(
        {"POST /messages": b""}, unit=b"HTTP/1.1 102 Processing\r\n\r\n"
    ),
    "chunks of the message's answer": lambda: Hostile({"POST /messages": CHUNK}, unit=b"a"),
    "a comment that never ends": lambda: Hostile({"after events": b":"}, unit=b"a", events=[USER]),
    "comments that never end": lambda: Hostile({"after events": b""}, unit=b": keep-alive\n\n", events=[USER]),
    "an event that never ends": lambda: Hostile({"after events": b"data: "}, unit=b"a", events=[USER]),
    "the cancel": lambda: Hostile({"POST /cancel": BODY}, events=[USER]),
    "the last reads": lambda: Hostile({"GET /messages": BODY, "GET /export": BODY}, events=[USER]),
    "everything after the message": lambda: Hostile(
        {"POST /cancel": BODY, "GET /messages": CHUNK, "GET /export": HEAD + b"X: "}, unit=b"a", events=[USER]
    ),
}


@pytest.mark.parametrize("name", TRICKLES)
def test_a_deadline_ends_a_turn(clients: Any, shell: str, name: str) -> None:
    with serving(TRICKLES[name]()) as server:
        outcome = client(clients, shell, server).turn(SID, "hello", timeout=0.4)
        late = [r for r in server.requests if r in {"POST /cancel", "GET /messages", "GET /export"}]
    assert isinstance(outcome.error, errors.MixTurnTimeout), repr(outcome.error)
    unsent = "stream" in name
    assert server.count("POST /messages") == (0 if unsent else 1)
    proven = bool(server.events)
    assert outcome.error.acted == ("no" if unsent else "yes" if proven else "unknown")
    assert (late == []) is unsent


@pytest.mark.parametrize("shape", [BODY, CHUNK, HEAD + b"X: "])
def test_a_reply_that_came_in_time_is_kept_though_its_last_read_trickles(
    clients: Any, shell: str, shape: bytes
) -> None:
    with serving(Hostile({"GET /messages": shape, "GET /export": shape}, unit=b"a", events=[USER, COMPLETE])) as server:
        outcome = client(clients, shell, server).turn(SID, "hello", timeout=0.6)
    assert outcome.well().told == "hi"
    assert not outcome.result.verified


def test_cleaning_up_after_a_deadline_has_a_deadline_of_its_own(clients: Any, shell: str) -> None:
    """Counted on the clock that the code has, not measured."""
    deadline = _timeouts.Deadline(0.001)
    first = deadline.options_for_cleanup()
    assert first.until is not None
    assert first.until <= deadline.cleanup_until() <= time.monotonic() + _timeouts.CLEANUP
    assert (deadline.options_for_reading().until or 0.0) <= deadline.cleanup_until()
    assert 0.0 <= deadline.cleanup_left() <= _timeouts.CLEANUP


def test_a_turn_may_be_part_of_something_longer(clients: Any, shell: str) -> None:
    with serving(Hostile()) as server:
        made = client(clients, shell, server)
        outcome = made.turn(SID, "hello", timeout=5.0, began=time.monotonic() - 5.0)
        with pytest.raises(errors.MixTimeoutError):
            if shell == "sync":
                made.mix.run(flows.offered(made.mix.server_api, calls.get_preferences), until=time.monotonic())
            else:
                made.awaited(
                    made.mix.run_async(
                        flows.offered(made.mix.server_api, calls.get_preferences), until=time.monotonic()
                    )
                )
    assert isinstance(outcome.error, errors.MixTurnTimeout), repr(outcome.error)
    assert "5 s" in outcome.error.message
    assert outcome.error.acted == "no"
    assert server.requests == []


@pytest.mark.parametrize("sign", ["cut", "comments", "keep-alive", "heartbeat"])
def test_an_orphaned_turn_ends_whatever_its_stream_does(clients: Any, shell: str, sign: str) -> None:
    """A server that was restarted: the message is stored and looks as if it ran; nobody works on it."""
    server = Hostile(rows=[USER_ROW])
    if sign == "cut":
        server.cut = 0.005
    else:
        beat = {
            "comments": b": x\n\n",
            "keep-alive": b"event: ping\ndata: {}\n\n",
            "heartbeat": b'event: heartbeat\ndata: {"type":"ping"}\n\n',
        }
        server.trickles, server.unit = {"after events": b""}, beat[sign]
    with serving(server):
        outcome = client(clients, shell, server, stall=0.6).turn(SID, "hello")
    assert isinstance(outcome.error, errors.MixTurnTimeout), repr(outcome.error)
    assert "Nothing happened in the turn for 0.6 s" in outcome.error.message
    assert (server.count("POST /messages"), server.count("POST /cancel")) == (1, 1)
    if sign == "cut":
        assert 2 <= server.count("GET /stream") <= 15, "streams that bring nothing new are paced"


def test_a_turn_that_nobody_proves_ends_though_its_stream_is_cut_again_and_again(clients: Any, shell: str) -> None:
    with serving(Hostile(cut=0.01)) as server:
        outcome = client(clients, shell, server).turn(SID, "hello")
    assert isinstance(outcome.error, errors.MixOutcomeUnknown), repr(outcome.error)
    assert outcome.error.acted == "unknown"
    assert server.count("POST /messages") == 1
    assert server.count("GET /stream") <= 8


@pytest.mark.parametrize("unit", [b" ", b'event: heartbeat\ndata: {"type":"ping"}\n\n'], ids=["bytes", "heartbeats"])
def test_a_stream_that_says_something_but_not_connected_is_opened_again(clients: Any, shell: str, unit: bytes) -> None:
    start = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n:" + (b"\n\n" if unit.strip() else b"")
    with serving(Hostile({"GET /stream": start}, unit=unit)) as server:
        outcome = client(clients, shell, server, liveness=0.1).turn(SID, "hello", timeout=20.0)
        opened = server.count("GET /stream")
    assert isinstance(outcome.error, errors.MixStreamError), repr(outcome.error)
    assert opened == 6
    assert server.count("POST /messages") == 0


@pytest.mark.parametrize("unit", [b"a", b"HTTP/1.1 102 Processing\r\n\r\n"])
def test_a_head_is_there_within_the_timeout_of_a_read(clients: Any, shell: str, unit: bytes) -> None:
    start = b"HTTP/1.1 200 OK\r\nX: " if unit == b"a" else b""
    with serving(Hostile({"GET /sessions": start}, unit=unit)) as server:
        made = client(clients, shell, server, timeout=0.2)
        with pytest.raises(errors.MixTimeoutError) as caught:
            made.send(calls.list_sessions(made.mix.known, include_subagents=False), CallOptions(NO_RETRIES))
    assert isinstance(caught.value, httpx.TimeoutException)
    assert caught.value.sent == "GET /api/sessions"


@pytest.mark.parametrize("shape", [BODY, CHUNK])
def test_a_deadline_of_a_call_holds_for_all_its_attempts(clients: Any, shell: str, shape: bytes) -> None:
    with serving(Hostile({"GET /sessions": shape})) as server:
        made = client(clients, shell, server)
        with pytest.raises(errors.MixTimeoutError) as caught:
            made.send(
                calls.list_sessions(made.mix.known, include_subagents=False),
                CallOptions(until=time.monotonic() + 0.3),
            )
        assert caught.value.acted == "unknown"
        assert server.count("GET /sessions") == 1, "no attempt begins after the deadline"
        with pytest.raises(errors.MixTimeoutError) as caught:
            made.send(calls.get_session(SID), CallOptions(until=time.monotonic()))
    assert caught.value.acted == "no"
    assert len(server.requests) == 1


def test_a_body_has_a_bound_too(clients: Any, shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"langchain_mix.client._{shell}.ANSWER_LIMIT", 0.3)
    with serving(Hostile({"GET /sessions": BODY})) as server:
        made = client(clients, shell, server)
        with pytest.raises(errors.MixTimeoutError):
            made.send(calls.list_sessions(made.mix.known, include_subagents=False), CallOptions(NO_RETRIES))


def test_a_connection_that_a_users_own_client_opened_keeps_to_deadlines() -> None:
    with serving(Hostile({"POST /messages": BODY})) as server, httpx.Client() as own:
        own.get(server.url + "/api/sessions")
        mix = Mix(server_url=server.url, api="0.8", client=own)
        with pytest.raises(errors.MixTurnTimeout):
            mix.turn(SID, "hello", timeout=0.4).run()


def test_an_async_policy_that_never_decides_is_a_no(clients: Any) -> None:
    permission = {"type": "permission", "id": "p", "sessionId": SID, "toolName": "Bash", "params": {}, "path": "/"}

    async def never(_: object) -> bool:
        await asyncio.Event().wait()
        return True

    with serving(Hostile(events=[USER, ("permission", permission)])) as server:
        outcome = client(clients, "async", server).turn(SID, "hello", timeout=0.4, permissions=never)
    assert isinstance(outcome.error, errors.MixTurnTimeout), repr(outcome.error)
    assert server.count("POST /grant") == 0


@pytest.mark.parametrize("says", ["nothing", "connected"])
@pytest.mark.parametrize("reader", ["none", "another thread"])
@pytest.mark.parametrize("shell", ["sync", "async"])
def test_a_message_through_an_open_stream_that_trickles_ends(says, reader, shell) -> None:
    """Mix 0.5: the message is written to the stream that this client has open, and its end is waited for there."""
    stream = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    silent = Hostile({"GET /stream": stream}, unit=b": keep-alive\n\n")
    spoken = Hostile({"after events": b""}, unit=b": keep-alive\n\n")
    spoken.posted.set()
    with serving(silent if says == "nothing" else spoken) as server, Mix(server_url=server.url, api="0.5") as mix:
        mix._core.settings = replace(mix._core.settings, liveness=0.4, stall=0.4)

        def send_beside_a_reader() -> None:
            with ThreadPoolExecutor(1) as pool, mix.streaming.stream_events(session_id=SID) as events:
                reading = pool.submit(list, events) if reader != "none" else None
                try:
                    mix.messages.send(id=SID, text="hello")
                finally:
                    events.close()
                    if reading is not None:
                        reading.exception()

        async def send_beside_a_task() -> None:
            async with await mix.streaming.stream_events_async(session_id=SID) as events:
                reading = asyncio.create_task(anext(aiter(events))) if reader != "none" else None
                if reading is not None and says == "connected":
                    await reading
                    reading = asyncio.create_task(anext(aiter(events)))
                try:
                    await mix.messages.send_async(id=SID, text="hello")
                finally:
                    if reading is not None:
                        reading.cancel()
                        await asyncio.wait([reading])
                    await mix.aclose()

        with pytest.raises(errors.MixError) as caught:
            send_beside_a_reader() if shell == "sync" else asyncio.run(send_beside_a_task())
        assert server.count("POST /message") == (says == "connected")
        assert caught.value.acted == ("yes" if says == "connected" else "no")
