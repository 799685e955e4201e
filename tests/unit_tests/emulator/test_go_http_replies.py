from __future__ import annotations

from langchain_mix.emulator.go_http import cors_headers, empty, error_reply, json_reply, text_error
from langchain_mix.emulator.state import ApiError
from langchain_mix.protocol.api import CAPABILITIES, ApiVersion


def test_json_ends_with_a_newline_and_is_escaped():
    reply = json_reply({"b": "<&>\u2028", "a": "ü"}, 201)
    assert reply.body.decode() == '{"b":"\\u003c\\u0026\\u003e\\u2028","a":"ü"}\n'
    assert (reply.status_code, reply.headers["content-type"]) == (201, "application/json")
    assert reply.headers["access-control-allow-headers"] == "Content-Type, Authorization"


def test_errors():
    reply = error_reply(ApiError(404, "not_found", "x"))
    assert reply.status_code == 404
    assert reply.body == b'{"error":{"code":404,"message":"x","type":"not_found"}}\n'
    reply = text_error(400, "no")
    assert (reply.body, reply.headers["content-type"]) == (b"no\n", "text/plain; charset=utf-8")
    assert empty(204).body == b""


def test_patch_is_allowed_from_0_8_on():
    def methods(api):
        return dict(cors_headers(CAPABILITIES[ApiVersion(api)]))[b"access-control-allow-methods"]

    assert b"PATCH" not in methods("0.7")
    assert b"PATCH" in methods("0.8")
