"""Routing by the rules of Go's `http.ServeMux`, which differ from those of Python's frameworks.

Owns: path patterns, 404, 405 and the redirect to a cleaned path.
Refuses to know: what the handlers do.
"""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from langchain_mix.emulator.replies import text_error

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
        """Whether the method is served. Go serves HEAD wherever it serves GET."""
        return self.method in {"", method} or (self.method == "GET" and method == "HEAD")

    def match(self, segments: Sequence[str]) -> dict[str, str] | None:
        """Compares a path with the pattern.

        Args:
            segments: The segments of the path, still percent-encoded.

        Returns:
            The decoded wildcards, or None if the path is another.
        """
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
        """Finds and runs the handler of a request.

        Args:
            request: The request; its `path_params` are set here.

        Returns:
            The answer, Go's 404, 405 or 301 included.
        """
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
