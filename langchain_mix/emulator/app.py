"""The ASGI app of an emulated server: what is common to all requests.

Owns: the log of requests, CORS, OPTIONS, and turning the state's errors into answers.
Refuses to know: single routes, sockets and threads.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from langchain_mix.emulator.activity import Activity, RequestRecord
from langchain_mix.emulator.faults import NoAnswer
from langchain_mix.emulator.go_http import Mux, empty, json_reply, text_error
from langchain_mix.emulator.state import ApiError, PlainError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Api:
    """Answers requests by the routes of a generation.

    Attributes:
        mux: The routes.
        cors: The headers that every answer has unless its handler sets them.
    """

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
            return json_reply(error.envelope(), error.status)
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
    """An ASGI app that notes all requests of another.

    Attributes:
        app: The other.
        activity: Where they are noted.
    """

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


class _Exchange:
    """One request and its answer, as they pass."""

    def __init__(self, activity: Activity, record: RequestRecord, receive: Receive, send: Send) -> None:
        self._activity = activity
        self._record = record
        self._receive = receive
        self._send = send
        self._complete = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._activity.received(self._record, message.get("body", b""))
            self._complete = not message.get("more_body", False)
        else:
            self._complete = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            # Whoever still sends its body must be heard out: it reads no answer before.
            while not self._complete:
                await self.receive()
            self._activity.answered(self._record, message["status"])
        await self._send(message)
