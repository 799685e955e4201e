"""Where faults of requests are carried out: between the socket and the routes.

Owns: errors, lost answers, slow answers and restarts. Refuses to know: what the requests ask for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from langchain_mix.emulator.agents.base import Gate
from langchain_mix.emulator.faults import CloseConnection, Faults, HttpError, RequestFault, RestartAfter, SlowReply
from langchain_mix.emulator.transports import Transports


class NoAnswer:
    """The answer to a request whose connection is gone, or about to be."""

    async def __call__(self, _scope: Scope, receive: Receive, _send: Send) -> None:
        """Waits until the connection is lost."""
        while (await receive())["type"] != "http.disconnect":
            continue


@dataclass(frozen=True, slots=True)
class FaultGate:
    """An ASGI app that lets requests through to another, faults permitting.

    Attributes:
        app: The other.
        faults: What goes wrong.
        transports: The TCP connections.
        restart: Has the server restart.
    """

    app: ASGIApp
    faults: Faults
    transports: Transports
    restart: Callable[[], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or fails to."""
        due = [fault for fault in self.faults.of(RequestFault) if fault.matches(scope["method"], scope["path"])]
        for fault in due:
            if isinstance(fault, HttpError | CloseConnection) and self.faults.take(fault):
                await self._fail(fault, scope, receive, send)
                break
            if isinstance(fault, SlowReply) and self.faults.take(fault):
                await self.app(scope, receive, _held(send, fault.gate))
                break
        else:
            await self.app(scope, receive, send)
        for fault in due:
            if isinstance(fault, RestartAfter) and self.faults.tally(fault) == fault.n and self.faults.take(fault):
                self.restart()

    async def _fail(self, fault: HttpError | CloseConnection, scope: Scope, receive: Receive, send: Send) -> None:
        if not fault.before:
            await self.app(scope, receive, _swallow)
        if isinstance(fault, CloseConnection):
            if fault.before:
                await _heard_out(receive)
            self.transports.reset(scope["client"])
            await NoAnswer()(scope, receive, send)
            return
        extra = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fault.headers]
        headers = [(b"content-type", fault.content_type.encode("latin-1")), *extra]
        await send({"type": "http.response.start", "status": fault.status, "headers": headers})
        await send({"type": "http.response.body", "body": fault.body.encode()})


async def _heard_out(receive: Receive) -> None:
    """Reads a request to its end: it has arrived whole, and nothing comes of it."""
    while (message := await receive())["type"] == "http.request" and message.get("more_body"):
        continue


async def _swallow(_: Message) -> None:
    """Takes an answer that nobody gets."""


def _held(send: Send, gate: Gate) -> Send:
    async def held(message: Message) -> None:
        await gate.passed()
        await send(message)

    return held
