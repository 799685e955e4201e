"""The ASGI app of an emulated server: what is common to all requests.

Owns: the parts of a running server that the routes work on, the log of requests, CORS, OPTIONS, and turning errors
into answers.
Refuses to know: single routes, sockets and threads.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from langchain_mix.emulator.activity import Activity, RequestRecord
from langchain_mix.emulator.events import session_created
from langchain_mix.emulator.faults import NoAnswer
from langchain_mix.emulator.go_http import Mux, empty, error_reply, text_error
from langchain_mix.emulator.permissions import Prompts
from langchain_mix.emulator.runner import TurnRunner
from langchain_mix.emulator.state import ApiError, PlainError, ServerState
from langchain_mix.emulator.streams import EventBroker, StreamConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class AppContext:
    """The parts of a server.

    Attributes:
        limit: Seconds after which an answer that is not complete is cut (Mix).
        delete_wait: Seconds that deleting a session waits for its turns (Mix 0.8).
    """

    state: ServerState
    broker: EventBroker
    config: StreamConfig
    runner: TurnRunner
    prompts: Prompts
    limit: float
    delete_wait: float

    def broadcast_created(self, session_id: str) -> None:
        """Announces a new session on all streams."""
        facts = self.state.sessions.facts(session_id)
        self.broker.broadcast(session_created(facts.id, facts.title, facts.created_at))


def base_url(request: Request) -> str:
    """Returns the server's own address as it sees it: the Host header (Mix)."""
    forwarded = request.headers.get("x-forwarded-proto", "").lower() == "https"
    return f"{'https' if forwarded else 'http'}://{request.headers.get('host', '')}"


def number(text: str | None, default: int, *, least: int) -> int:
    """A query parameter as number; the default if it is none, or too small."""
    try:
        value = int(text or "")
    except ValueError:
        return default
    return value if least <= value < 2**63 else default


def only(fields: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """The entries whose key the generation knows."""
    return {key: value for key, value in fields.items() if key in known}


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Api:
    """Answers requests by the routes of a generation."""

    mux: Mux
    cors: Sequence[tuple[bytes, bytes]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        answer = await self._answer(Request(scope, receive))
        await answer(scope, receive, self._with_cors(send))

    async def _answer(self, request: Request) -> ASGIApp:
        if request.method == "OPTIONS":
            return empty(200)
        try:
            return await self.mux.answer(request)
        except ApiError as error:
            return error_reply(error)
        except PlainError as error:
            return text_error(error.status, error.text)
        except ClientDisconnect:
            return NoAnswer()
        except Exception:  # noqa: BLE001  Whatever breaks in a handler is logged and answered.
            _log.exception("%s %s broke.", request.method, request.url.path)
            return text_error(500, "The emulator broke; its log has the traceback.")

    def _with_cors(self, send: Send) -> Send:
        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message["headers"])
                given = {name for name, _ in headers}
                headers += [pair for pair in self.cors if pair[0] not in given]
                headers.append((b"date", formatdate(usegmt=True).encode()))
                message = {**message, "headers": headers}
            await send(message)

        return wrapped


@dataclass(frozen=True, slots=True)
class Recorder:
    """An ASGI app that notes all requests of another."""

    app: ASGIApp
    activity: Activity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Notes a request and lets it be answered."""
        record = RequestRecord(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        )
        self.activity.record(record)
        exchange = _Exchange(self.activity, record, receive, send)
        await self.app(scope, exchange.receive, exchange.send)


@dataclass(slots=True)
class _Exchange:
    """One request and its answer, as they pass."""

    activity: Activity
    record: RequestRecord
    receive_message: Receive
    send_message: Send
    complete: bool = False

    async def receive(self) -> Message:
        message = await self.receive_message()
        if message["type"] == "http.request":
            self.activity.received(self.record, message.get("body", b""))
            self.complete = not message.get("more_body", False)
        else:
            self.complete = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            # A client that still sends its body must be read to the end: it reads no answer before.
            while not self.complete:
                await self.receive()
            self.activity.answered(self.record, message["status"])
        await self.send_message(message)
