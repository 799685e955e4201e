"""The bodies and headers of plain HTTP answers, as Go's net/http and Mix's handlers write them.

Owns: JSON, error and text answers, and the CORS headers.
Refuses to know: which request gets which answer, and event streams.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from langchain_mix.emulator.state.serializers import go_json
from langchain_mix.protocol.api import Capabilities

REST_HEADERS: Final = {"Access-Control-Allow-Headers": "Content-Type, Authorization"}
"""Mix: REST handlers narrow the header that the outer wrapper sets."""


def json_reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer; its body ends with a newline, as Go's encoder writes it."""
    body = go_json(value) + "\n"
    return Response(body.encode(), status, {**REST_HEADERS, **(headers or {})}, "application/json")


def error_reply(status: int, kind: str, message: str) -> Response:
    """The server's JSON error envelope."""
    return json_reply({"error": {"code": status, "message": message, "type": kind}}, status)


def text_error(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    """A plain-text error as Go's `http.Error` writes it."""
    head = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
    return Response(f"{text}\n".encode(), status, {**head, **(headers or {})})


def empty(status: int, headers: dict[str, str] | None = None) -> Response:
    """An answer without a body."""
    return Response(b"", status, {**REST_HEADERS, **(headers or {})})


def cors_headers(caps: Capabilities) -> tuple[tuple[bytes, bytes], ...]:
    """The headers that the outer wrapper puts on every answer.

    Args:
        caps: What the generation can do. Mix 0.8 added PATCH, a generation after it was routed.
    """
    methods = b"GET, POST, PUT, PATCH, DELETE, OPTIONS" if caps.browser_mode else b"GET, POST, PUT, DELETE, OPTIONS"
    return (
        (b"access-control-allow-origin", b"*"),
        (b"access-control-allow-methods", methods),
        (b"access-control-allow-headers", b"Content-Type, Authorization, X-Requested-With"),
        (b"access-control-max-age", b"86400"),
    )
