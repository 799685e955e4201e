"""Sessions: create, list, read, delete, fork, rewind, export, cancel, callbacks.

Owns: their routes and request bodies. Refuses to know: the rules behind them (`state/`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from langchain_mix.emulator.mux import Route
from langchain_mix.emulator.replies import empty, json_reply
from langchain_mix.emulator.service import Service, only, parameter
from langchain_mix.emulator.state import ApiError
from langchain_mix.emulator.strict import Body, GoType
from langchain_mix.emulator.vocabulary import session_deleted

_CREATE: Final[dict[str, GoType]] = {
    "title": "string",
    "customSystemPrompt": "string",
    "promptMode": "string",
    "callbacks": "slice",
    "sessionType": "string",
    "subagentType": "string",
    "browserMode": "string",
    "cdpUrl": "string",
    "modelId": "string",
    "provider": "string",
}
_FORK: Final = Body("ForkSessionRequest", {"messageIndex": "int", "title": "string"})
_REWIND: Final = Body("RewindSessionRequest", {"messageId": "string", "cleanupMedia": "bool"})
_CALLBACKS: Final = Body("UpdateCallbacksRequest", {"callbacks": "slice"}, strict=False)


@dataclass(frozen=True, slots=True)
class SessionRoutes:
    """The handlers.

    Attributes:
        service: The server's parts.
    """

    service: Service

    def routes(self) -> list[Route]:
        """Those that the generation has."""
        caps = self.service.state.caps
        routes = [
            Route("GET", "/api/sessions", self.list),
            Route("POST", "/api/sessions", self.create),
            Route("GET", "/api/sessions/{id}", self.get),
            Route("DELETE", "/api/sessions/{id}", self.delete),
            Route("POST", "/api/sessions/{id}/cancel", self.cancel),
            Route("POST", "/api/sessions/{id}/rewind", self.rewind),
            Route("GET", "/api/sessions/{id}/export", self.export),
        ]
        if caps.fork:
            routes.append(Route("POST", "/api/sessions/{id}/fork", self.fork))
        if caps.callbacks:
            routes.append(Route("PATCH", "/api/sessions/{id}/callbacks", self.set_callbacks))
        return routes

    async def create(self, request: Request) -> Response:
        """Makes a session. What is announced is announced even if its callbacks are refused (Q21)."""
        state = self.service.state
        body = Body("CreateSessionRequest", only(_CREATE, state.caps.session_fields)).decode(await request.body())
        before = self._ids() if body.get("callbacks") else None
        try:
            session = state.sessions.create(body)
        except ApiError:
            for orphan in self._ids() - before if before is not None else ():
                self.service.announce(orphan)
            raise
        self.service.announce(session["id"])
        return json_reply(session, 201)

    def _ids(self) -> set[str]:
        return {session["id"] for session in self.service.state.sessions.listing(include_subagents=True)}

    async def list(self, request: Request) -> Response:
        """All sessions."""
        state = self.service.state
        subagents = not state.caps.subagents or request.query_params.get("includeSubagents") == "true"
        return json_reply(state.sessions.listing(include_subagents=subagents))

    async def get(self, request: Request) -> Response:
        """One session."""
        return json_reply(self.service.state.sessions.get(parameter(request, "id")))

    async def delete(self, request: Request) -> Response:
        """Deletes a session. Mix 0.8 waits a while for its turns."""
        service, session_id = self.service, parameter(request, "id")
        service.state.sessions.facts(session_id)
        if service.state.caps.browser_mode:
            await service.runner.idle(session_id, service.delete_wait)
        service.state.delete_session(session_id)
        service.hub.broadcast(session_deleted(session_id))
        return empty(204)

    async def cancel(self, request: Request) -> Response:
        """Cancels a session's latest turn; unknown and idle ones get the same answer."""
        session_id = parameter(request, "id")
        self.service.runner.cancel(session_id)
        return json_reply({"sessionId": session_id, "status": "cancelled"})

    async def fork(self, request: Request) -> Response:
        """Copies the beginning of a session to a new one (up to Mix 0.7)."""
        body = _FORK.decode(await request.body())
        self.service.runner.save()
        title = body.get("title") or None
        session = self.service.state.history.fork(parameter(request, "id"), body.get("messageIndex", 0), title)
        self.service.announce(session["id"])
        return json_reply(session, 201)

    async def rewind(self, request: Request) -> Response:
        """Deletes the end of a session, whether a turn runs or not (Q25)."""
        body = _REWIND.decode(await request.body())
        self.service.runner.save()
        message_id, cleanup = body.get("messageId", ""), body.get("cleanupMedia", False)
        return json_reply(
            self.service.state.history.rewind(parameter(request, "id"), message_id, cleanup_media=cleanup)
        )

    async def export(self, request: Request) -> Response:
        """A session as a file."""
        session_id = parameter(request, "id")
        self.service.runner.save()
        exported = self.service.state.history.export(session_id)
        name = f"attachment; filename=session_{session_id}_transcript.json"
        return json_reply(exported, headers={"Content-Disposition": name})

    async def set_callbacks(self, request: Request) -> Response:
        """Replaces a session's callbacks."""
        body = _CALLBACKS.decode(await request.body())
        return json_reply(
            self.service.state.sessions.set_callbacks(parameter(request, "id"), body.get("callbacks", []))
        )
