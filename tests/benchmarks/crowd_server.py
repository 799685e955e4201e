"""A Mix server for a crowd: a thousand open streams and what belongs to them, on one event loop.

Owns: the wire of one benchmark, in a process of its own: `python -m tests.benchmarks.crowd_server 20`, the pieces of
each answer. Refuses to know: who reads and what is measured.

Each answer has a text of its own, so that one that went to another reader would be seen. `GET /count` tells how many
requests there were.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from tests.benchmarks.hosting import allow_open_files, tell
from tests.benchmarks.server import chunk, event, shown

_BACKLOG: Final = 4096
_LENGTH: Final = b"content-length:"
_STREAM: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def answer(session_id: str, turn: int, pieces: int) -> list[str]:
    """What a session is told in a turn.

    Args:
        session_id: The session.
        turn: Counted from one.
        pieces: How many pieces.

    Returns:
        The pieces.
    """
    return [f"{session_id}/{turn}/{piece} " for piece in range(pieces)]


@dataclass(slots=True)
class Session:
    """A session: its rows, and where its open stream is."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    stream: asyncio.Transport | None = None
    number: int = 1

    def write(self, name: str, data: dict[str, Any]) -> None:
        """Writes an event to the open stream, if there is one."""
        if self.stream is not None and not self.stream.is_closing():
            self.number += 1
            self.stream.write(chunk(event(self.number, name, data)))


class Crowd:
    """The server's sessions and how it talks."""

    def __init__(self, pieces: int) -> None:
        self.pieces = pieces
        self.sessions: defaultdict[str, Session] = defaultdict(Session)
        self.created = 0
        self.requests = 0

    def open(self, session_id: str, stream: asyncio.Transport) -> None:
        """Opens the stream of a session."""
        session = self.sessions[session_id]
        session.stream, session.number = stream, 1
        stream.write(_STREAM + chunk(event(1, "connected", {"sessionId": session_id})))

    def hear(self, session_id: str, text: str) -> None:
        """Takes a message and answers it, piece by piece."""
        session = self.sessions[session_id]
        turn = len(session.rows) // 2 + 1
        user_id, message_id = f"user-{session_id}-{turn}", f"reply-{session_id}-{turn}"
        told = answer(session_id, turn, self.pieces)
        row = {"sessionId": session_id, "inputTokens": 10, "outputTokens": 20, "model": "none"}
        session.rows.append({"id": user_id, "sessionId": session_id, "role": "user", "userInput": text})
        session.rows.append({"id": message_id, "role": "assistant", "assistantResponse": "".join(told), **row})
        opening = {"type": "user_message_created", "messageId": user_id, "content": text}
        session.write("user_message_created", opening)
        self._tell(session, message_id, told, 0)

    def _tell(self, session: Session, message_id: str, told: list[str], number: int) -> None:
        if number == len(told):
            done = {"type": "complete", "content": "".join(told), "messageId": message_id, "done": True}
            session.write("complete", done)
            return
        session.write("content", {"type": "content", "content": told[number], "assistantMessageId": message_id})
        # Turns take their turns: a server with a thousand of them does not finish one before it begins the next.
        asyncio.get_running_loop().call_soon(self._tell, session, message_id, told, number + 1)


class Connection(asyncio.Protocol):
    """One connection and its requests."""

    transport: asyncio.Transport

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the connection."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("TCP has transports that are read and written.")
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers every request that is whole."""
        self._rest += data
        while (end := self._rest.find(b"\r\n\r\n")) >= 0:
            head = self._rest[:end]
            lower = head.lower()
            length = int(lower.partition(_LENGTH)[2].split(maxsplit=1)[0]) if _LENGTH in lower else 0
            if len(self._rest) < end + 4 + length:
                return
            body, self._rest = self._rest[end + 4 : end + 4 + length], self._rest[end + 4 + length :]
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split()
            self._answer(method, target, body)

    def _answer(self, method: str, target: str, body: bytes) -> None:
        crowd, url = self._crowd, urlsplit(target)
        if url.path == "/count":
            self._reply("200 OK", crowd.requests)
            return
        crowd.requests += 1
        parts = url.path.strip("/").split("/")
        if url.path == "/stream":
            crowd.open(url.query.partition("sessionId=")[2], self.transport)
        elif parts == ["api", "sessions"] and method == "POST":
            crowd.created += 1
            self._reply("201 Created", shown(str(crowd.created)))
        elif len(parts) == 3 and method == "GET":
            self._reply("200 OK", shown(parts[2]))
        elif parts[-1] == "messages" and method == "POST":
            self._reply("202 Accepted", {"sessionId": parts[2], "status": "processing"})
            crowd.hear(parts[2], json.loads(body)["text"])
        elif parts[-1] == "messages":
            self._reply("200 OK", crowd.sessions[parts[2]].rows)
        else:
            self._reply("404 Not Found", {"error": {"code": 404, "message": target, "type": "not_found"}})

    def _reply(self, status: str, value: Any) -> None:
        body = json.dumps(value).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)


async def serve(pieces: int) -> None:
    """Serves until standard input ends.

    Args:
        pieces: Pieces of each answer.
    """
    crowd = Crowd(pieces)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(crowd), "127.0.0.1", 0, backlog=_BACKLOG)
    async with server:
        tell(server.sockets[0].getsockname()[1])
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    allow_open_files()
    asyncio.run(serve(int(sys.argv[1])))
