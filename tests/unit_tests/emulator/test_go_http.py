from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from langchain_mix.emulator.go_http import Mux, Route, clean_path


def route(method, pattern, name):
    async def handler(request):
        return PlainTextResponse(f"{name} {request.path_params}")

    return Route(method, pattern, handler)


MUX = Mux(
    [
        route("GET", "/things/{id}", "thing"),
        route("DELETE", "/things/{id}", "delete"),
        route("GET", "/things/special", "special"),
        route("", "/any", "any"),
        route("POST", "/things/{id}/parts/{name}", "part"),
    ]
)


async def ask(method, path):
    scope = {
        "type": "http",
        "method": method,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
        "path": path,
    }
    scope["server"] = ("x", 80)
    return await MUX.answer(Request(scope))


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "/things/a", "thing {'id': 'a'}"),
        ("HEAD", "/things/a", "thing {'id': 'a'}"),
        ("GET", "/things/special", "special {}"),
        ("DELETE", "/things/special", "delete {'id': 'special'}"),
        ("PROPFIND", "/any", "any {}"),
        ("POST", "/things/a%2Fb/parts/%2e%2e", "part {'id': 'a/b', 'name': '..'}"),
        ("GET", "/things/%C3%BC", "thing {'id': 'ü'}"),
        ("GET", "/things/%FF", "thing {'id': '\ufffd'}"),
        ("GET", "/thing%73/a", "thing {'id': 'a'}"),
    ],
)
async def test_routes(method, path, said):
    assert (await ask(method, path)).body.decode() == said


@pytest.mark.parametrize("path", ["/", "/things", "/things/", "/things/a/", "/things/a/parts", "/ANY"])
async def test_404(path):
    reply = await ask("GET", path)
    assert (reply.status_code, reply.body) == (404, b"404 page not found\n")


async def test_405_names_what_is_allowed():
    reply = await ask("PUT", "/things/a")
    assert (reply.status_code, reply.headers["allow"]) == (405, "DELETE, GET, HEAD")


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("//a///b", "/a/b"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/../../a", "/a"),
        ("/a/..", "/"),
        ("/a/%2e%2e/b", "/a/%2e%2e/b"),
        ("//", "/"),
    ],
)
def test_clean_path(path, clean):
    assert clean_path(path) == clean
    assert clean_path(clean) == clean


async def test_redirects_have_a_body_only_for_get():
    reply = await ask("GET", "/x/../things/a")
    assert (reply.status_code, reply.headers["location"]) == (301, "/things/a")
    assert reply.body == b'<a href="/things/a">Moved Permanently</a>.\n\n'
    assert (await ask("POST", "//any")).body == b""
