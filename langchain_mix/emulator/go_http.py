"""HTTP by the rules of Go's net/http, which differ from those of Python's frameworks.

Owns: path patterns, 404, 405 and the redirect to a cleaned path; JSON, error and text answers; the CORS headers.
Refuses to know: what the handlers do, and event streams.
"""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from langchain_mix.emulator.state import ApiError
from langchain_mix.emulator.state.serializers import go_json
from langchain_mix.protocol.api import Capabilities

REST_HEADERS: Final = {"Access-Control-Allow-Headers": "Content-Type, Authorization"}
"""Mix: REST handlers narrow the header that the outer wrapper sets."""


def json_reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer; its body ends with a newline, as Go's encoder writes it."""
    body = go_json(value) + "\n"
    return Response(body.encode(), status, {**REST_HEADERS, **(headers or {})}, "application/json")


def error_reply(error: ApiError) -> Response:
    """The server's JSON error envelope, keys in its order."""
    return json_reply({"error": {"code": error.status, "message": error.message, "type": error.type}}, error.status)


def text_error(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    """A plain-text error as Go's `http.Error` writes it."""
    head = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
    return Response(f"{text}\n".encode(), status, {**head, **(headers or {})})


def empty(status: int, headers: dict[str, str] | None = None) -> Response:
    """An answer without a body."""
    return Response(b"", status, {**REST_HEADERS, **(headers or {})})


def cors_headers(caps: Capabilities) -> tuple[tuple[bytes, bytes], ...]:
    """The headers that the outer wrapper puts on all answers. Mix 0.8 added PATCH, a generation after it was routed."""
    methods = b"GET, POST, PUT, PATCH, DELETE, OPTIONS" if caps.browser_mode else b"GET, POST, PUT, DELETE, OPTIONS"
    return (
        (b"access-control-allow-origin", b"*"),
        (b"access-control-allow-methods", methods),
        (b"access-control-allow-headers", b"Content-Type, Authorization, X-Requested-With"),
        (b"access-control-max-age", b"86400"),
    )


Handler = Callable[[Request], Awaitable[ASGIApp]]


@dataclass(frozen=True, slots=True)
class Route:
    """A pattern and what answers there.

    Attributes:
        method: The method, or `""` for every method.
        pattern: The path; a segment in braces takes one percent-encoded segment.
        handler: Gives the answer. Its request has the decoded segments in `path_params`.
    """

    method: str
    pattern: str
    handler: Handler

    def takes(self, method: str) -> bool:
        """True when the method is served. Go serves HEAD wherever it serves GET."""
        return self.method in {"", method} or (self.method == "GET" and method == "HEAD")

    def match(self, segments: Sequence[str]) -> dict[str, str] | None:
        """Returns the decoded wildcards, or None if the percent-encoded segments are those of another path."""
        wanted = self.pattern.split("/")
        if len(wanted) != len(segments):
            return None
        found: dict[str, str] = {}
        for pattern, segment in zip(wanted, segments, strict=True):
            if pattern.startswith("{"):
                if not segment:
                    return None
                found[pattern.strip("{}")] = unquote(segment, errors="replace")
            elif pattern != unquote(segment, errors="replace"):
                return None
        return found


@dataclass(frozen=True, slots=True)
class Mux:
    """A set of routes; patterns without wildcards win over those with."""

    routes: Sequence[Route]

    async def answer(self, request: Request) -> ASGIApp:
        """Finds and runs the handler of a request, whose `path_params` are set here; else Go's 404, 405 or 301."""
        path: str = request.scope["raw_path"].decode("latin-1")
        if (clean := clean_path(path)) != path:
            return _redirect(request, clean)
        segments = path.split("/")
        fitting = [(route, found) for route in self.routes if (found := route.match(segments)) is not None]
        fitting.sort(key=lambda pair: len(pair[1]))
        for route, found in fitting:
            if route.takes(request.method):
                request.scope["path_params"] = found
                return await route.handler(request)
        if not fitting:
            return text_error(404, "404 page not found")
        allowed = {
            name
            for route, _ in fitting
            for name in ([route.method, "HEAD"] if route.method == "GET" else [route.method])
        }
        return text_error(405, "Method Not Allowed", {"Allow": ", ".join(sorted(allowed))})


def clean_path(path: str) -> str:
    """The path without `.` and `..` segments and without doubled slashes; a final slash stays. Escapes are kept."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    clean = "/" + "/".join(kept)
    return clean + "/" if kept and path.endswith("/") else clean


def _redirect(request: Request, path: str) -> Response:
    query = request.url.query
    target = f"{path}?{query}" if query else path
    headers = {"Location": target}
    if request.method not in {"GET", "HEAD"}:
        return Response(b"", 301, headers)
    body = f'<a href="{html.escape(target)}">Moved Permanently</a>.\n\n'
    return Response(body.encode(), 301, headers, "text/html; charset=utf-8")
