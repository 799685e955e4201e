"""Event streams and what answers them: GET /stream, POST /stream/{id}/message, permissions, notifications.

Owns: their routes and refusals. Refuses to know: how events are written (`streams.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from langchain_mix.emulator.hub import Connection
from langchain_mix.emulator.mux import Route
from langchain_mix.emulator.replies import empty, json_reply, text_error
from langchain_mix.emulator.service import Service, parameter
from langchain_mix.emulator.state import ApiError, PlainError
from langchain_mix.emulator.stream_turns import StreamTurns
from langchain_mix.emulator.streams import HEAD, EventStream, Refusal
from langchain_mix.emulator.strict import Body, first_value

_RESPOND: Final = Body("RespondRequest", {"type": "string", "value": "string"})


@dataclass(frozen=True, slots=True)
class StreamRoutes:
    """The handlers.

    Attributes:
        service: The server's parts.
        queue_size: Events that wait for a slow reader.
    """

    service: Service
    queue_size: int

    def routes(self) -> list[Route]:
        """Those that the generation has. Mix registers /stream for every method."""
        caps = self.service.state.caps
        routes = [
            Route("", "/stream", self.stream),
            Route("POST", "/api/permissions/{id}/grant", self.grant),
            Route("POST", "/api/permissions/{id}/deny", self.deny),
        ]
        if caps.stream_write:
            routes.append(Route("", "/stream/{id}/message", self.write))
        if caps.notifications:
            routes.append(Route("POST", "/api/notifications/{id}/respond", self.respond))
        return routes

    async def stream(self, request: Request) -> ASGIApp:
        """Opens an event stream. `Last-Event-ID` is ignored: nothing is ever replayed."""
        session_id = request.query_params.get("sessionId", "")
        if not session_id:
            response = Response(b"", 400)
            response.raw_headers.extend(HEAD)
            return response
        if not self.service.state.sessions.exists(session_id):
            return Refusal(session_id)
        caps, stage = self.service.state.caps, self.service.stage
        # Mix 0.5: a turn is written by the stream's own loop, so nothing is queued and nothing dropped.
        connection = Connection(session_id, None if caps.stream_write else self.queue_size, stage.faults)
        return EventStream(connection, stage, StreamTurns(self.service).attend if caps.stream_write else None)

    async def write(self, request: Request) -> Response:
        """Puts a message on every open stream of a session (Q12); with none it is lost, and the answer is the same."""
        if request.method != "POST":
            return text_error(405, "Only POST method allowed")
        session_id = parameter(request, "id")
        raw = await request.body()
        try:
            body = first_value(raw)
        except ApiError as error:
            raise PlainError(400, "Invalid JSON in request body") from error
        content = body.get("content", "") if isinstance(body, dict) else None
        if not isinstance(content, str):
            raise PlainError(400, "Invalid JSON in request body")
        if not content:
            raise PlainError(400, "Missing content parameter")
        for connection in self.service.hub.of(session_id):
            connection.say(content)
        return json_reply({"sessionId": session_id, "status": "broadcasted"})

    async def grant(self, request: Request) -> Response:
        """Grants a permission; unknown and answered ones get the same answer."""
        return self._answered(parameter(request, "id"), granted=True)

    async def deny(self, request: Request) -> Response:
        """Denies a permission; unknown and answered ones get the same answer."""
        return self._answered(parameter(request, "id"), granted=False)

    def _answered(self, question: str, *, granted: bool) -> Response:
        self.service.questions.answer(question, granted=granted)
        message = "Permission granted successfully" if granted else "Permission denied successfully"
        status = "granted" if granted else "denied"
        if self.service.state.caps.browser_mode:
            # Mix 0.8: a struct; before, a map, whose keys Go sorts.
            return json_reply({"status": status, "id": question, "message": message})
        return json_reply({"id": question, "message": message, "status": status})

    async def respond(self, request: Request) -> Response:
        """Responds to a notification (Mix 0.8)."""
        response = _RESPOND.decode(await request.body())
        if not self.service.questions.respond(parameter(request, "id"), response):
            raise PlainError(404, "Notification not found or already responded")
        return empty(204)
