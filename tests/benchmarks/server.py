"""A Mix server that only benchmarks can love: it sends prepared bytes and does nothing else.

Owns: the wire of one benchmark, in a process of its own so that its work is not measured.
Refuses to know: who reads and what is measured.

Sessions are named after what they send: `alone.5000.0` is 5,000 events, each in a write and an HTTP chunk of its own,
`alone.2000.200` the same with 200 µs from event to event, `bulk.5000.0` the same events in pieces of 64 KiB,
`big.2097152.0` one event of 2 MiB, and `turn.1000.0` a turn that is told in 1,000 pieces once its message was posted;
`turn.5.5000` waits for 5 ms before, and a piece that tells the server's clock comes first.
"""

from __future__ import annotations

import json
import queue
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from itertools import cycle, islice
from typing import Any, Final, NamedTuple, cast
from urllib.parse import parse_qs, unquote, urlsplit

from tests.benchmarks.hosting import tell

MESSAGE_ID: Final = "5b3a4cef-19d6-4347-9599-d1e19533d01d"
USER_ID: Final = "1860e0fa-c88d-44d2-a6d3-3d0d5941d718"
_PIECE: Final = 64 * 1024
_WORDS: Final = ("Hello ", "there, ", "world ", "of 1 ", "agent. ")
_BROWSER: Final = "local-browser-service"


class Plan(NamedTuple):
    """What a session sends.

    Attributes:
        kind: `alone`, `bulk`, `big` or `turn`.
        size: Events; for `big`, bytes of text.
        pause: Microseconds from one event to the next; for `turn`, from the message's answer to the first event.
    """

    kind: str
    size: int
    pause: int

    @classmethod
    def of(cls, session_id: str) -> Plan:
        """Reads a session's name; what follows the third dot only tells sessions apart."""
        kind, size, pause, *_ = session_id.split(".")
        return cls(kind, int(size), int(pause))


@dataclass(slots=True)
class Session:
    """A session: its open stream and its stored text."""

    plan: Plan
    messages: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    user_text: str = ""
    text: str = ""


def words(count: int) -> Iterator[str]:
    """The text that is told in so many pieces, the same by every server of the benchmarks."""
    return islice(cycle(_WORDS), count)


def event(number: int, name: str, data: dict[str, Any]) -> bytes:
    """An event as Mix writes it: four lines, JSON without blanks."""
    told = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"id: {number}\nevent: {name}\ndata: {told}\nretry: 30000\n\n".encode()


def content(number: int, text: str) -> bytes:
    """An event of one piece of text: 140 bytes, of which the id of the message takes a third."""
    return event(number, "content", {"type": "content", "content": text, "assistantMessageId": MESSAGE_ID})


def chunk(payload: bytes) -> bytes:
    """An HTTP chunk, which is what Go makes of every flushed event."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


@lru_cache(maxsize=8)
def prepared(kind: str, size: int) -> tuple[bytes, ...]:
    """The writes after `connected`, in HTTP chunks."""
    if kind == "big":
        whole = content(2, "x" * size)
        return tuple(chunk(whole[i : i + _PIECE]) for i in range(0, len(whole), _PIECE))
    events = [content(i + 2, word) for i, word in enumerate(words(size))]
    if kind != "bulk":
        return tuple(chunk(e) for e in events)
    joined = b"".join(events)
    return tuple(chunk(joined[i : i + _PIECE]) for i in range(0, len(joined), _PIECE))


class Wire(socketserver.ThreadingTCPServer):
    """The server: a thread for each connection."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.sessions: dict[str, Session] = {}
        self.created = 0

    def session(self, session_id: str) -> Session:
        """The session of this name; every name that can be read is one."""
        return self.sessions.setdefault(session_id, Session(Plan.of(session_id)))


class Connection(socketserver.StreamRequestHandler):
    """One connection and its requests."""

    disable_nagle_algorithm = True  # An event that waits for another one would be measured as latency.

    @property
    def wire(self) -> Wire:
        """The server of this connection."""
        return cast("Wire", self.server)

    def handle(self) -> None:
        """Answers requests until the client goes away."""
        try:
            while line := self.rfile.readline():
                method, target, _ = line.decode().split()
                length = 0
                while header := self.rfile.readline().strip():
                    name, _, value = header.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                body = self.rfile.read(length)
                if not self._answer(method, target, body):
                    return
        except (ConnectionError, TimeoutError):
            return  # The client has left, as it may at any time.

    def _answer(self, method: str, target: str, body: bytes) -> bool:
        url = urlsplit(target)
        if url.path == "/stream":
            return self._stream(parse_qs(url.query)["sessionId"][0])
        parts = [unquote(p) for p in url.path.strip("/").split("/")]
        if parts == ["api", "sessions"] and method == "POST":
            self.wire.created += 1
            session_id = f"{json.loads(body)['title']}.{self.wire.created}"
            self.wire.session(session_id)
            self._reply(HTTPStatus.CREATED, shown(session_id))
        elif len(parts) == 3 and method == "GET":
            self._reply(HTTPStatus.OK, shown(parts[2]))
        elif parts[-1:] == ["messages"] and method == "POST":
            self._reply(HTTPStatus.ACCEPTED, {"sessionId": parts[2], "status": "processing"})
            self.wire.session(parts[2]).messages.put(json.loads(body)["text"])
        elif parts[-1:] == ["messages"]:
            self._reply(HTTPStatus.OK, _rows(parts[2], self.wire.session(parts[2])))
        else:
            self._reply(HTTPStatus.NOT_FOUND, {"error": {"code": 404, "message": target, "type": "not_found"}})
        return True

    def _reply(self, status: HTTPStatus, value: Any) -> None:
        body = json.dumps(value).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        )
        self.wfile.write(head.encode() + b"\r\n\r\n" + body)

    def _stream(self, session_id: str) -> bool:
        session = self.wire.session(session_id)
        session.messages = queue.SimpleQueue()
        write = self.wfile.write
        write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        write(chunk(event(1, "connected", {"sessionId": session_id})))
        if session.plan.kind == "turn":
            self._turn(session)
            self.connection.recv(1)  # Mix keeps the stream open; the client closes it.
            return False
        _write_all(write, prepared(session.plan.kind, session.plan.size), session.plan.pause)
        write(b"0\r\n\r\n")
        return True

    def _turn(self, session: Session) -> None:
        session.user_text = text = session.messages.get()
        write = self.wfile.write
        opening = {"type": "user_message_created", "messageId": USER_ID, "content": text}
        write(chunk(event(2, "user_message_created", opening)))
        session.text = "".join(words(session.plan.size))
        if session.plan.pause:
            # A model thinks before it speaks: by then the client listens and nothing is on its way.
            threading.Event().wait(session.plan.pause / 1e6)
            clock = f"{time.monotonic_ns()} "
            write(chunk(content(3, clock)))
            session.text = clock + session.text
        _write_all(write, prepared("turn", session.plan.size), 0)
        done = {"type": "complete", "content": session.text, "messageId": MESSAGE_ID, "done": True}
        write(chunk(event(session.plan.size + 4, "complete", done)))


def _write_all(write: Any, pieces: tuple[bytes, ...], pause: int) -> None:
    due = time.perf_counter_ns()
    for piece in pieces:
        if pause:
            due += pause * 1000
            while time.perf_counter_ns() < due:
                pass  # Shorter than any timer of the system; the other processor is the client's.
        write(piece)


def shown(session_id: str) -> dict[str, Any]:
    """A session as Mix 0.8 shows it."""
    counters = dict.fromkeys(("userMessageCount", "assistantMessageCount", "toolCallCount"), 0)
    tokens = {"promptTokens": 0, "completionTokens": 0, "cost": 0}
    created = {"createdAt": "2026-02-12T12:00:00Z"}
    return {
        "id": session_id,
        "title": "",
        "sessionType": "main",
        "browserMode": _BROWSER,
        **counters,
        **tokens,
        **created,
    }


def _rows(session_id: str, session: Session) -> list[dict[str, Any]]:
    user = {"id": USER_ID, "sessionId": session_id, "role": "user", "userInput": session.user_text}
    reply = {"id": MESSAGE_ID, "sessionId": session_id, "role": "assistant", "assistantResponse": session.text}
    return [user, {**reply, "inputTokens": 10, "outputTokens": 20, "model": "none"}]


def main() -> None:
    """Serves until standard input ends."""
    with Wire() as wire:
        thread = threading.Thread(target=wire.serve_forever, daemon=True)
        thread.start()
        tell(wire.server_address[1])
        sys.stdin.read()
        wire.shutdown()


if __name__ == "__main__":
    main()
