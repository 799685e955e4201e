"""Messages: send, list, history.

Owns: the order of the server's checks on a message, and its synchronous and asynchronous answers.
Refuses to know: how a turn runs.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from langchain_mix.emulator.audience import Nobody
from langchain_mix.emulator.fault_gate import NoAnswer
from langchain_mix.emulator.mux import Route
from langchain_mix.emulator.replies import error_reply, json_reply
from langchain_mix.emulator.runner import Running
from langchain_mix.emulator.service import Service, number, only, parameter
from langchain_mix.emulator.state.errors import internal, invalid, not_found
from langchain_mix.emulator.strict import Body, GoType
from langchain_mix.emulator.turns import Ending, Order
from langchain_mix.emulator.vocabulary import failure
from langchain_mix.protocol.api import ApiVersion

_FIELDS: Final[dict[str, GoType]] = {
    "text": "string",
    "plan_mode": "bool",
    "thinking_level": "string",
    "max_steps": "int",
}
_LEVELS: Final = ("off", "basic", "medium", "maximum")


@dataclass(frozen=True, slots=True)
class MessageRoutes:
    """The handlers.

    Attributes:
        service: The server's parts.
    """

    service: Service

    def routes(self) -> list[Route]:
        """All generations have all of them."""
        return [
            Route("POST", "/api/sessions/{id}/messages", self.send),
            Route("GET", "/api/sessions/{id}/messages", self.list),
            Route("GET", "/api/messages/history", self.history),
        ]

    async def list(self, request: Request) -> Response:
        """A session's rows; none for an unknown one (Q40)."""
        self.service.runner.save()
        return json_reply(self.service.state.rows.messages(parameter(request, "id")))

    async def history(self, request: Request) -> Response:
        """The user rows of all sessions."""
        query = request.query_params
        limit, offset = number(query.get("limit"), 50, least=1), number(query.get("offset"), 0, least=0)
        return json_reply(self.service.state.rows.history(limit, offset))

    async def send(self, request: Request) -> ASGIApp:
        """Takes a message. The order of the checks is the server's: credentials come before commands and sessions."""
        state, session_id = self.service.state, parameter(request, "id")
        body = Body("SendMessageRequest", only(_FIELDS, state.caps.message_fields)).decode(await request.body())
        text: str = body.get("text", "")
        if not text:
            raise invalid("content", "message content is required")
        if body.get("thinking_level", "off") not in _LEVELS:
            raise invalid("thinking_level", f"thinking_level must be one of: {', '.join(_LEVELS)}")
        if not state.accepts_messages():
            return self._refused(session_id, text)
        if (answer := self._command(text)) is not None:
            return json_reply(answer)
        if not state.sessions.exists(session_id):
            if state.api is ApiVersion.V0_7:
                raise not_found("Session", session_id)
            raise internal("sending message to agent", "sql: no rows in result set")
        order = Order(
            session_id=session_id,
            text=text,
            plan_mode=body.get("plan_mode", False),
            thinking_level=body.get("thinking_level"),
            max_steps=body.get("max_steps", 0),
        )
        running = self.service.runner.start(order, None if state.caps.send_streams else Nobody())
        if state.caps.send_waits:
            return await self._outcome(request, running, text)
        return json_reply({"sessionId": session_id, "status": "processing"}, 202)

    def _command(self, text: str) -> dict[str, Any] | None:
        answer = self.service.state.commands.run(text)
        if answer is not None:
            announce_switch(self.service, str(answer["assistantResponse"]))
        return answer

    def _refused(self, session_id: str, text: str) -> Response:
        """No provider credential (Q18): from Mix 0.6.5 on a 401, before a 200 that looks like an answer."""
        state = self.service.state
        help_text = state.credentials.help_text()
        if state.caps.send_streams:
            self.service.hub.publish(session_id, failure(help_text))
        if state.caps.send_waits:
            return json_reply(_auth_prompt(text, help_text))
        return error_reply(401, "unauthorized", help_text)

    async def _outcome(self, request: Request, running: Running, text: str) -> ASGIApp:
        """Waits for the turn (Mix 0.5 and 0.6). A client that leaves, or the server's own time limit, cancels it."""
        gone = asyncio.create_task(_disconnected(request))
        ended = asyncio.create_task(running.ended())
        try:
            done, _ = await asyncio.wait([gone, ended], timeout=self.service.limit, return_when=asyncio.FIRST_COMPLETED)
            if ended not in done:
                running.cancel()
                self.service.stage.transports.abort(request.scope["client"])
                return NoAnswer()
            return _sync_answer(ended.result(), text)
        finally:
            gone.cancel()
            ended.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _auth_prompt(text: str, help_text: str) -> dict[str, Any]:
    return {
        "id": "system-auth-prompt",
        "sessionId": "",
        "role": "assistant",
        "userInput": text,
        "assistantResponse": help_text,
    }


def _sync_answer(ending: Ending, text: str) -> Response:
    """The body of a synchronous answer: the user's role and no session (Q17)."""
    if ending.error is not None:
        if ending.is_auth:
            return json_reply(_auth_prompt(text, ending.error))
        raise internal("agent processing", ending.error)
    row = ending.row
    answer: dict[str, Any] = {"id": row.id if row else "", "sessionId": "", "role": "user", "userInput": text}
    if row is not None and row.text:
        answer["assistantResponse"] = row.text
    return json_reply(answer)


def announce_switch(service: Service, response: str) -> None:
    """Tells all streams of the session that the command `clear` has made."""
    try:
        told = json.loads(response)
    except ValueError:
        return
    if isinstance(told, dict) and told.get("type") == "session_switch":
        service.announce(str(told["sessionId"]))
