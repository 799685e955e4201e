"""Sessions and files: their routes and request bodies.

Owns: what is called on sessions and their callbacks, multipart uploads, ranges, media types and headers of files.
Refuses to know: the rules behind them, and where files are kept (`state/`).
"""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from langchain_mix.emulator.app import AppContext, base_url, only
from langchain_mix.emulator.events import session_deleted
from langchain_mix.emulator.go_http import REST_HEADERS, Body, GoType, Route, empty, file_part, json_reply
from langchain_mix.emulator.media import SNIFFED_BYTES, is_media, make_thumbnail, sniffed
from langchain_mix.emulator.state import ApiError, PlainError

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
    """The handlers of sessions."""

    context: AppContext

    def routes(self) -> list[Route]:
        """Those that the generation has."""
        caps = self.context.state.caps
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
        """Makes a session. What is announced is announced even if its callbacks are refused (Mix)."""
        state = self.context.state
        body = Body("CreateSessionRequest", only(_CREATE, state.caps.session_fields)).decode(await request.body())
        before = self._ids() if body.get("callbacks") else None
        try:
            session = state.sessions.create(body)
        except ApiError:
            for orphan in self._ids() - before if before is not None else ():
                self.context.broadcast_created(orphan)
            raise
        self.context.broadcast_created(session["id"])
        return json_reply(session, 201)

    def _ids(self) -> set[str]:
        return {session["id"] for session in self.context.state.sessions.listing(include_subagents=True)}

    async def list(self, request: Request) -> Response:
        """All sessions."""
        state = self.context.state
        subagents = not state.caps.subagents or request.query_params.get("includeSubagents") == "true"
        return json_reply(state.sessions.listing(include_subagents=subagents))

    async def get(self, request: Request) -> Response:
        """One session."""
        return json_reply(self.context.state.sessions.get(request.path_params["id"]))

    async def delete(self, request: Request) -> Response:
        """Deletes a session. Mix 0.8 waits a while for its turns."""
        context, session_id = self.context, request.path_params["id"]
        context.state.sessions.facts(session_id)
        if context.state.caps.browser_mode:
            await context.runner.idle(session_id, context.delete_wait)
        context.state.delete_session(session_id)
        context.broker.broadcast(session_deleted(session_id))
        return empty(204)

    async def cancel(self, request: Request) -> Response:
        """Cancels a session's latest turn; unknown and idle ones get the same answer."""
        session_id = request.path_params["id"]
        self.context.runner.cancel(session_id)
        return json_reply({"sessionId": session_id, "status": "cancelled"})

    async def fork(self, request: Request) -> Response:
        """Copies the beginning of a session to a new one (up to Mix 0.7)."""
        body = _FORK.decode(await request.body())
        self.context.runner.save()
        title = body.get("title") or None
        session = self.context.state.sessions.fork(request.path_params["id"], body.get("messageIndex", 0), title)
        self.context.broadcast_created(session["id"])
        return json_reply(session, 201)

    async def rewind(self, request: Request) -> Response:
        """Deletes the end of a session, whether a turn runs or not (Mix)."""
        body = _REWIND.decode(await request.body())
        self.context.runner.save()
        message_id, cleanup = body.get("messageId", ""), body.get("cleanupMedia", False)
        return json_reply(self.context.state.rewind(request.path_params["id"], message_id, cleanup_media=cleanup))

    async def export(self, request: Request) -> Response:
        """A session as a file."""
        session_id = request.path_params["id"]
        self.context.runner.save()
        exported = self.context.state.sessions.export(session_id)
        name = f"attachment; filename=session_{session_id}_transcript.json"
        return json_reply(exported, headers={"Content-Disposition": name})

    async def set_callbacks(self, request: Request) -> Response:
        """Replaces a session's callbacks."""
        body = _CALLBACKS.decode(await request.body())
        return json_reply(
            self.context.state.sessions.set_callbacks(request.path_params["id"], body.get("callbacks", []))
        )


_PRIVATE_HEADERS: Final = {
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Expires": "0",
}
_CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class FileRoutes:
    """The handlers of files."""

    context: AppContext

    def routes(self) -> list[Route]:
        """Those that the generation has."""
        routes = [
            Route("GET", "/api/sessions/{id}/files", self.list),
            Route("POST", "/api/sessions/{id}/files/upload", self.upload),
            Route("GET", "/api/sessions/{id}/files/{filename}", self.get),
            Route("DELETE", "/api/sessions/{id}/files/{filename}", self.delete),
        ]
        if self.context.state.caps.screenshots:
            routes.append(Route("GET", "/api/sessions/{id}/screenshots/{filename}", self.screenshot))
        return routes

    async def list(self, request: Request) -> Response:
        """All uploads, whichever session they were sent to (Mix)."""
        return json_reply(self.context.state.files.listing(request.path_params["id"], base_url(request)))

    async def upload(self, request: Request) -> Response:
        """Stores an upload; what is larger than memory allows is spooled to disk while it arrives."""
        state, session_id = self.context.state, request.path_params["id"]
        if not state.sessions.exists(session_id):
            # Distinguishes a malformed id (400) from an unknown one (404).
            state.files.listing(session_id, "")
        async with file_part(request) as part:
            info = await asyncio.to_thread(
                state.files.upload, session_id, part.filename, part.content, base_url(request)
            )
        return json_reply(info, 201)

    async def get(self, request: Request) -> Response:
        """A file, or its thumbnail."""
        state = self.context.state
        path, kind = state.files.find(request.path_params["id"], request.path_params["filename"])
        if thumb := request.query_params.get("thumb"):
            return await _thumbnail(path, thumb, request.query_params.get("time"))
        if kind == "private":
            media = mimetypes.guess_type(path.name)[0] or sniffed(await asyncio.to_thread(_beginning, path))
            found = await asyncio.to_thread(path.stat)
            if _is_unchanged(request, found.st_mtime):
                modified = {"Last-Modified": formatdate(found.st_mtime, usegmt=True)}
                return empty(304, {**_PRIVATE_HEADERS, **modified})
            headers = {**REST_HEADERS, **_PRIVATE_HEADERS}
            return FileResponse(path, headers=headers, media_type=media, stat_result=found)
        name = path.name.replace("\\", "\\\\").replace('"', '\\"')
        disposition = f'inline; filename="{name}"'.encode().decode("latin-1")
        headers = {**REST_HEADERS, "Content-Disposition": disposition}
        beginning = await asyncio.to_thread(_beginning, path, _CHUNK)
        media = sniffed(beginning[:SNIFFED_BYTES])
        # A small file was read whole with its beginning: one visit to a thread instead of four.
        copied = _copied(path) if len(beginning) == _CHUNK else _at_once(beginning)
        return StreamingResponse(copied, headers=headers, media_type=media)

    async def screenshot(self, request: Request) -> Response:
        """A picture that a tool took (Mix 0.8)."""
        path = self.context.state.files.screenshot(request.path_params["id"], request.path_params["filename"])
        headers = {**REST_HEADERS, "Cache-Control": "public, max-age=31536000"}
        return FileResponse(path, headers=headers, media_type="image/png")

    async def delete(self, request: Request) -> Response:
        """Deletes an upload for all sessions (Mix)."""
        self.context.state.files.delete(request.path_params["id"], request.path_params["filename"])
        return empty(204)


async def _thumbnail(path: Path, spec: str, at: str | None) -> Response:
    if not is_media(path):
        raise PlainError(400, "Thumbnails only supported for video and image files")
    try:
        image = await asyncio.to_thread(make_thumbnail, path, spec, float(at or 1.0))
    except ValueError as error:
        raise PlainError(500, f"Thumbnail generation failed: {error}") from error
    return Response(image, headers={**REST_HEADERS, "Cache-Control": "public, max-age=86400"}, media_type="image/jpeg")


def _is_unchanged(request: Request, modified: float) -> bool:
    """True when a request is conditional and the file is no newer, by whole seconds as Go's `ServeContent` compares."""
    since = request.headers.get("if-modified-since")
    if since is None or "if-none-match" in request.headers:
        return False
    try:
        return int(modified) <= parsedate_to_datetime(since).timestamp()
    except ValueError:
        return False


def _beginning(path: Path, length: int = SNIFFED_BYTES) -> bytes:
    with path.open("rb") as file:
        return file.read(length)


async def _at_once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _copied(path: Path) -> Iterator[bytes]:
    """The bytes of a file, read beside the event loop. Starlette does that, and never leaves it while it reads."""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
