"""Files of a session: list, upload, read, delete, thumbnails.

Owns: multipart bodies, ranges, media types and headers. Refuses to know: where files are kept (`state/`).
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

from langchain_mix.emulator.media_types import SNIFFED_BYTES, sniffed
from langchain_mix.emulator.multipart import file_part
from langchain_mix.emulator.mux import Route
from langchain_mix.emulator.replies import REST_HEADERS, empty, json_reply
from langchain_mix.emulator.service import Service, base_url, parameter
from langchain_mix.emulator.state import PlainError
from langchain_mix.emulator.thumbnails import is_media, make_thumbnail

_PRIVATE_HEADERS: Final = {
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Expires": "0",
}
_CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class FileRoutes:
    """The handlers.

    Attributes:
        service: The server's parts.
    """

    service: Service

    def routes(self) -> list[Route]:
        """Those that the generation has."""
        routes = [
            Route("GET", "/api/sessions/{id}/files", self.list),
            Route("POST", "/api/sessions/{id}/files/upload", self.upload),
            Route("GET", "/api/sessions/{id}/files/{filename}", self.get),
            Route("DELETE", "/api/sessions/{id}/files/{filename}", self.delete),
        ]
        if self.service.state.caps.screenshots:
            routes.append(Route("GET", "/api/sessions/{id}/screenshots/{filename}", self.screenshot))
        return routes

    async def list(self, request: Request) -> Response:
        """All uploads, whichever session they were sent to (Q27)."""
        return json_reply(self.service.state.files.listing(parameter(request, "id"), base_url(request)))

    async def upload(self, request: Request) -> Response:
        """Stores an upload; what is larger than memory allows is spooled to disk while it arrives."""
        state, session_id = self.service.state, parameter(request, "id")
        if not state.sessions.exists(session_id):
            # Tells a malformed id (400) from an unknown one (404).
            state.files.listing(session_id, "")
        async with file_part(request) as part:
            info = await asyncio.to_thread(
                state.files.upload, session_id, part.filename, part.content, base_url(request)
            )
        return json_reply(info, 201)

    async def get(self, request: Request) -> Response:
        """A file, or its thumbnail."""
        state = self.service.state
        path, kind = state.files.find(parameter(request, "id"), parameter(request, "filename"))
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
        path = self.service.state.files.screenshot(parameter(request, "id"), parameter(request, "filename"))
        headers = {**REST_HEADERS, "Cache-Control": "public, max-age=31536000"}
        return FileResponse(path, headers=headers, media_type="image/png")

    async def delete(self, request: Request) -> Response:
        """Deletes an upload for all sessions (Q27)."""
        self.service.state.files.delete(parameter(request, "id"), parameter(request, "filename"))
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
