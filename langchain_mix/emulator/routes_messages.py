"""Messages, event streams and what answers them: their routes.

Owns: the order of the server's checks on a message, its synchronous and asynchronous answers, the refusals of streams,
the turns that a stream of Mix 0.5 runs itself, and the answers to permissions and notifications.
Refuses to know: how a turn runs, and how events are written (`streams.py`).
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from langchain_mix.emulator.app import AppContext, number, only
from langchain_mix.emulator.events import Event, failure
from langchain_mix.emulator.faults import NoAnswer
from langchain_mix.emulator.go_http import Body, GoType, Route, empty, first_value, json_reply, text_error
from langchain_mix.emulator.runner import RunningTurn
from langchain_mix.emulator.state import ApiError, PlainError
from langchain_mix.emulator.state.errors import internal, invalid, not_found
from langchain_mix.emulator.streams import HEAD, Connection, EventStream, Refusal, Subscribers
from langchain_mix.emulator.turns import Ending, TurnRequest
from langchain_mix.protocol.api import ApiVersion

_FIELDS: Final[dict[str, GoType]] = {
    "text": "string",
    "plan_mode": "bool",
    "thinking_level": "string",
    "max_steps": "int",
}
_NOBODY: Final = Subscribers(lambda _: None)
"""Mix 0.5: turns that POST messages started are not streamed."""
_LEVELS: Final = ("off", "basic", "medium", "maximum")


@dataclass(frozen=True, slots=True)
class MessageRoutes:
    """The handlers of messages."""

    context: AppContext

    def routes(self) -> list[Route]:
        """All generations have all of them."""
        return [
            Route("POST", "/api/sessions/{id}/messages", self.send),
            Route("GET", "/api/sessions/{id}/messages", self.list),
            Route("GET", "/api/messages/history", self.history),
        ]

    async def list(self, request: Request) -> Response:
        """A session's rows; none for an unknown one (Mix)."""
        self.context.runner.save()
        return json_reply(self.context.state.rows.messages(request.path_params["id"]))

    async def history(self, request: Request) -> Response:
        """The user rows of all sessions."""
        query = request.query_params
        limit, offset = number(query.get("limit"), 50, least=1), number(query.get("offset"), 0, least=0)
        return json_reply(self.context.state.rows.history(limit, offset))

    async def send(self, request: Request) -> ASGIApp:
        """Takes a message. The order of the checks is the server's: credentials come before commands and sessions."""
        state, session_id = self.context.state, request.path_params["id"]
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
        turn_request = TurnRequest(
            session_id=session_id,
            text=text,
            plan_mode=body.get("plan_mode", False),
            thinking_level=body.get("thinking_level"),
            max_steps=body.get("max_steps", 0),
        )
        running = self.context.runner.start(turn_request, None if state.caps.send_streams else _NOBODY)
        if state.caps.send_waits:
            return await self._outcome(request, running, text)
        return json_reply({"sessionId": session_id, "status": "processing"}, 202)

    def _command(self, text: str) -> dict[str, Any] | None:
        answer = self.context.state.commands.run(text)
        if answer is not None:
            broadcast_switch(self.context, str(answer["assistantResponse"]))
        return answer

    def _refused(self, session_id: str, text: str) -> Response:
        """No provider credential (Mix): from Mix 0.6.5 on a 401, before a 200 that looks like an answer."""
        state = self.context.state
        help_text = state.credentials.help_text()
        if state.caps.send_streams:
            self.context.broker.publish(session_id, failure(help_text))
        if state.caps.send_waits:
            return json_reply(_auth_prompt(text, help_text))
        raise ApiError(401, "unauthorized", help_text)

    async def _outcome(self, request: Request, running: RunningTurn, text: str) -> ASGIApp:
        """Waits for the turn (Mix 0.5 and 0.6). A client that leaves, or the server's own time limit, cancels it."""
        gone = asyncio.create_task(_disconnected(request))
        ended = asyncio.create_task(running.ended())
        try:
            done, _ = await asyncio.wait([gone, ended], timeout=self.context.limit, return_when=asyncio.FIRST_COMPLETED)
            if ended not in done:
                running.cancel()
                self.context.config.transports.abort(request.scope["client"])
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
    """The body of a synchronous answer: the user's role and no session (Mix)."""
    if ending.error is not None:
        if ending.is_auth:
            return json_reply(_auth_prompt(text, ending.error))
        raise internal("agent processing", ending.error)
    row = ending.row
    answer: dict[str, Any] = {"id": row.id if row else "", "sessionId": "", "role": "user", "userInput": text}
    if row is not None and row.text:
        answer["assistantResponse"] = row.text
    return json_reply(answer)


def broadcast_switch(context: AppContext, response: str) -> None:
    """Announces the session that the command `clear` has made on all streams."""
    try:
        answer = json.loads(response)
    except ValueError:
        return
    if isinstance(answer, dict) and answer.get("type") == "session_switch":
        context.broadcast_created(str(answer["sessionId"]))


SHELL_REFUSED: Final = (
    "The emulator never executes commands. A Mix server of this generation would have run this text in a shell, "
    "without asking for permission."
)


def _completed(content: str) -> Event:
    payload: dict[str, Any] = {"type": "complete"}
    if content:
        payload["content"] = content
    return Event("complete", payload | {"done": True})


_RESPOND: Final = Body("RespondRequest", {"type": "string", "value": "string"})


@dataclass(frozen=True, slots=True)
class StreamRoutes:
    """The handlers of event streams; `queue_size` events wait for a slow reader."""

    context: AppContext
    queue_size: int

    def routes(self) -> list[Route]:
        """Those that the generation has. Mix registers /stream for every method."""
        caps = self.context.state.caps
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
        if not self.context.state.sessions.exists(session_id):
            return Refusal(session_id)
        caps, config = self.context.state.caps, self.context.config
        # Mix 0.5: a turn is written by the stream's own loop, so nothing is queued and nothing dropped.
        connection = Connection(session_id, None if caps.stream_write else self.queue_size, config.faults)
        return EventStream(connection, config, self._attend if caps.stream_write else None)

    async def _attend(self, connection: Connection) -> None:
        """Runs message after message of one stream as a turn, until the stream ends (Mix 0.5)."""
        while True:
            content = await connection.inbound.get()
            connection.busy = True
            try:
                await self._message(connection, content)
            finally:
                connection.busy = False

    async def _message(self, connection: Connection, content: str) -> None:
        try:
            said = first_value(content.encode())
        except ApiError:
            said = None
        if not isinstance(said, dict):
            # Mix: the stream ends without a word.
            connection.end()
            return
        text = said.get("text")
        text = text if isinstance(text, str) else ""
        if not self.context.state.accepts_messages():
            connection.offer(failure(self.context.state.credentials.help_text(), kind="authentication_error"))
        elif text.startswith("/"):
            connection.offer(self._command(text))
        elif text.startswith("!"):
            # Mix: the server hands the rest to a shell.
            connection.offer(_completed(SHELL_REFUSED if text[1:].strip() else "No command specified"))
        else:
            await self._turn(connection, text, said)

    def _command(self, text: str) -> Event:
        try:
            answer = self.context.state.commands.run(text)
        except ApiError as error:
            return failure(f"Command execution failed: {error.message}")
        response = str(answer["assistantResponse"]) if answer is not None else ""
        broadcast_switch(self.context, response)
        return _completed(response)

    async def _turn(self, connection: Connection, text: str, said: dict[str, Any]) -> None:
        turn_request = TurnRequest(session_id=connection.session_id, text=text, plan_mode=said.get("plan_mode") is True)
        try:
            # Nothing is dropped: turn and stream share one loop.
            running = self.context.runner.start(turn_request, Subscribers(connection.offer))
        except ApiError:
            connection.offer(failure("Failed to start agent: sql: no rows in result set"))
            return
        await running.ended()

    async def write(self, request: Request) -> Response:
        """Puts a message on every open stream of a session (Mix); with none it is lost, and the answer is the same."""
        if request.method != "POST":
            return text_error(405, "Only POST method allowed")
        session_id = request.path_params["id"]
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
        for connection in self.context.broker.of(session_id):
            connection.say(content)
        return json_reply({"sessionId": session_id, "status": "broadcasted"})

    async def grant(self, request: Request) -> Response:
        """Grants a permission; unknown and answered ones get the same answer."""
        return self._answered(request.path_params["id"], granted=True)

    async def deny(self, request: Request) -> Response:
        """Denies a permission; unknown and answered ones get the same answer."""
        return self._answered(request.path_params["id"], granted=False)

    def _answered(self, question: str, *, granted: bool) -> Response:
        self.context.prompts.answer(question, granted=granted)
        message = "Permission granted successfully" if granted else "Permission denied successfully"
        status = "granted" if granted else "denied"
        if self.context.state.caps.browser_mode:
            # Mix 0.8: a struct; before, a map, whose keys Go sorts.
            return json_reply({"status": status, "id": question, "message": message})
        return json_reply({"id": question, "message": message, "status": status})

    async def respond(self, request: Request) -> Response:
        """Responds to a notification (Mix 0.8)."""
        response = _RESPOND.decode(await request.body())
        if not self.context.prompts.respond(request.path_params["id"], response):
            raise PlainError(404, "Notification not found or already responded")
        return empty(204)
