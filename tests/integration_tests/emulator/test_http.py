"""Routing, headers, bodies and errors: what every route has in common."""

from __future__ import annotations

import json
import socket

import httpx
import pytest

ALL = ("0.5", "0.6", "0.6.5", "0.7", "0.8", "next")
NOBODY = "00000000-0000-4000-8000-000000000000"


def raw(wire, request: bytes) -> bytes:
    """Sends bytes and reads the answer to its end; the request must ask for `Connection: close`."""
    host, port = wire.server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as sock:
        sock.sendall(request)
        answer = b""
        while chunk := sock.recv(65536):
            answer += chunk
    return answer


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/sessions/", "/api/sessions/a/b", "/api/sessions/a/nothing", "/favicon.ico"]
)
def test_unknown_paths_are_gos_404(wire, path):
    reply = wire.http.get(path)
    assert (reply.status_code, reply.text) == (404, "404 page not found\n")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/api/sessions", "GET, HEAD, POST"),
        ("POST", "/api/sessions/x", "DELETE, GET, HEAD"),
        ("GET", "/api/sessions/x/cancel", "POST"),
        ("DELETE", "/health", "GET, HEAD"),
    ],
)
def test_wrong_methods_are_gos_405(wire, method, path, allow):
    reply = wire.http.request(method, path)
    assert (reply.status_code, reply.text, reply.headers["allow"]) == (405, "Method Not Allowed\n", allow)


@pytest.mark.parametrize(
    ("sent", "clean"),
    [
        ("//api//sessions", "/api/sessions"),
        ("/api/x/../sessions?includeSubagents=true", "/api/sessions?includeSubagents=true"),
        ("/api/./sessions", "/api/sessions"),
        ("/../../etc/passwd", "/etc/passwd"),
    ],
)
def test_paths_are_cleaned_by_a_redirect(wire, sent, clean):
    answer = raw(wire, f"GET {sent} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()).decode()
    assert answer.startswith("HTTP/1.1 301 ")
    assert f"location: {clean}\r\n" in answer.lower().replace("includesubagents", "includeSubagents")
    assert answer.endswith(">Moved Permanently</a>.\n\n")


def test_head_is_served_where_get_is(wire):
    reply = wire.http.head("/health")
    assert reply.status_code == 200
    assert reply.content == b""


@pytest.mark.parametrize("wire", ["0.7", "0.8"], indirect=True)
@pytest.mark.parametrize("path", ["/stream", "/nothing", "/api/sessions"])
def test_options_are_200_and_empty_everywhere(wire, path):
    reply = wire.http.options(path)
    assert (reply.status_code, reply.content) == (200, b"")
    methods = "GET, POST, PUT, PATCH, DELETE, OPTIONS" if wire.api == "0.8" else "GET, POST, PUT, DELETE, OPTIONS"
    assert reply.headers["access-control-allow-methods"] == methods


def test_cors_headers_are_on_every_answer(wire):
    for reply in (wire.http.get("/health"), wire.http.get("/nothing"), wire.http.put("/health")):
        assert reply.headers["access-control-allow-origin"] == "*"
        assert reply.headers["access-control-max-age"] == "86400"
    allowed = "access-control-allow-headers"
    assert wire.http.get("/health").headers[allowed] == "Content-Type, Authorization"
    assert wire.http.get("/nothing").headers[allowed] == "Content-Type, Authorization, X-Requested-With"
    assert wire.http.get("/stream").headers[allowed] == "Cache-Control"


@pytest.mark.parametrize("wire", ["0.7"], indirect=True)
def test_json_is_escaped_as_go_does(wire):
    session = wire.session("<b>&\u2028 ü 漢")
    text = wire.http.get(f"/api/sessions/{session}").text
    assert '"title":"\\u003cb\\u003e\\u0026\\u2028 ü 漢"' in text
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "EOF"),
        (b"  ", "EOF"),
        (b'{"title"', "unexpected EOF"),
        (b"{title:1}", "invalid character 't' looking for beginning of object key string"),
        (b'{"title":"a" "b"}', "invalid character '\"' after object key:value pair"),
        (b'{"title": NaN}', "invalid character 'N' looking for beginning of value"),
        (
            b'{"title": 7}',
            "json: cannot unmarshal number into Go struct field CreateSessionRequest.title of type string",
        ),
        (b"[1]", "json: cannot unmarshal array into Go value of type api.CreateSessionRequest"),
        (b'{"title":"a","color":"red"}', 'json: unknown field "color"'),
        (b"[" * 100_000, ""),
    ],
)
def test_q20_bodies_are_decoded_strictly(wire, body, words):
    status, kind, message = wire.error(wire.http.post("/api/sessions", content=body))
    assert (status, kind) == (400, "validation_error")
    assert message.startswith("Validation error for field 'body': ")
    assert words in message


def test_go_ignores_the_case_of_keys_data_after_the_body_and_the_content_type(wire):
    body = b'{"TITLE":"a","browsermode":"local-browser-service","cdpUrl":null} trailing {'
    reply = wire.http.post("/api/sessions", content=body, headers={"content-type": "text/plain"})
    assert reply.status_code == 201
    assert reply.json()["title"] == "a"


FIELDS = {
    "callbacks": ([], ("0.7", "0.8", "next")),
    "sessionType": ("main", ("0.7", "0.8", "next")),
    "browserMode": ("local-browser-service", ("0.8", "next")),
    "modelId": ("", ("next",)),
}
MESSAGE_FIELDS = {
    "thinking_level": ("off", ("0.7", "0.8", "next")),
    "max_steps": (3, ("0.8", "next")),
    "media": ([], ()),
}


@pytest.mark.parametrize("wire", ALL, indirect=True)
def test_q20_fields_of_newer_generations_are_refused(wire):
    for field, (value, known) in FIELDS.items():
        body = {"title": "a", field: value}
        if wire.api in {"0.8", "next"}:
            body.setdefault("browserMode", "local-browser-service")
        reply = wire.http.post("/api/sessions", json=body)
        if wire.api in known:
            assert reply.status_code == 201, field
        else:
            assert f'json: unknown field "{field}"' in wire.error(reply)[2]
    for field, (value, known) in MESSAGE_FIELDS.items():
        words = "no rows in result set" if wire.api != "0.7" else "Session with ID"
        message = wire.error(wire.post(NOBODY, "hi", **{field: value}))[2]
        assert (words if wire.api in known else f'unknown field "{field}"') in message


CATALOGUE = {
    ("POST", "/api/sessions/x/fork"): ("0.5", "0.6", "0.6.5", "0.7"),
    ("PATCH", "/api/sessions/x/callbacks"): ("0.7", "0.8", "next"),
    ("POST", "/stream/x/message"): ("0.5",),
    ("POST", "/api/notifications/x/respond"): ("0.8", "next"),
    ("GET", "/api/tools"): ("0.7", "0.8", "next"),
    ("GET", "/api/tools/credentials-status"): ("0.7", "0.8", "next"),
    ("GET", "/api/tools/status"): ("0.5", "0.6", "0.6.5", "0.7"),
    ("GET", "/api/preferences"): ("0.5", "0.6", "0.6.5", "0.7", "0.8"),
    ("GET", "/health/auth"): ("0.6.5", "0.7", "0.8", "next"),
    ("POST", "/internal/auth/refresh-tokens"): ("0.6.5", "0.7", "0.8", "next"),
    ("GET", "/api/system/info"): ALL,
    ("GET", "/doc"): ("0.8", "next"),
    ("GET", "/api/v1/tunnel/active"): ("0.8", "next"),
}


@pytest.mark.parametrize("wire", ALL, indirect=True)
def test_each_generation_routes_what_it_has(wire):
    for (method, path), known in CATALOGUE.items():
        reply = wire.http.request(method, path)
        unrouted = (reply.status_code, reply.text) == (404, "404 page not found\n")
        assert unrouted != (wire.api in known), (method, path)


def test_a_body_that_nobody_reads_does_not_spoil_the_connection(make):
    wire = make("0.8")
    for _ in range(3):
        assert wire.http.post("/nothing", content=b"x" * 2_000_000).status_code == 404
    assert wire.http.get("/health").status_code == 200
    assert wire.server.connections == 1
    assert [record.size for record in wire.server.requests if record.path == "/nothing"] == [2_000_000] * 3


def test_requests_are_recorded(wire):
    session = wire.session("seen")
    wire.http.get("/nothing", params={"a": "b c"})
    first, second = wire.server.requests[-2:]
    assert (first.method, first.path, first.status, first.json["title"]) == ("POST", "/api/sessions", 201, "seen")
    assert (second.path, second.query, second.status) == ("/nothing", "a=b+c", 404)
    assert json.loads(first.body)["title"] == "seen"
    assert session
    wire.server.forget_requests()
    assert wire.server.requests == []


def test_nothing_is_compressed_or_named_after_another_server(wire):
    reply = wire.http.get("/health", headers={"accept-encoding": "gzip"})
    assert "server" not in reply.headers
    assert "content-encoding" not in reply.headers
    assert httpx.codes.is_success(reply.status_code)
