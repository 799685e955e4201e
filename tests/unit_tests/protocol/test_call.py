"""Requests, path segments, replies and refusals."""

from __future__ import annotations

import json
import posixpath
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from langchain_mix import errors
from langchain_mix.protocol.call import (
    Call,
    Reply,
    Together,
    ask,
    content,
    encode_segment,
    error_from,
    is_refusal,
    is_unrouted,
    json_as,
    nothing,
    together,
)

SEGMENT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def call(**fields: Any) -> Call[Any]:
    return Call(**{"method": "GET", "segments": ("api", "x"), "decode": nothing} | fields)


def reply(status: int, body: str = "", kind: str = "application/json", **headers: str) -> Reply:
    return Reply(status, {"content-type": kind, **headers}, body.encode())


def envelope(status: int, message: str, kind: str = "t") -> Reply:
    return reply(status, json.dumps({"error": {"code": status, "message": message, "type": kind}}) + "\n")


@given(segment=SEGMENT)
@example(".")
@example("..")
@example("...")
@example("a/../b")
@example("%2e%2e")
@example("\\..\\")
@example("?q#f;")
def test_a_segment_comes_back_and_leads_nowhere_else(segment: str) -> None:
    encoded = encode_segment(segment)
    assert unquote(encoded) == segment
    assert encoded.isascii()
    assert not set(encoded) & set("/?#;\\ ")
    assert encoded not in {"", ".", ".."}
    assert posixpath.normpath(f"/a/{encoded}/b") == f"/a/{encoded}/b"


@pytest.mark.parametrize("segment", ["", "\ud800"])
def test_what_addresses_nothing_is_no_segment(segment: str) -> None:
    with pytest.raises(errors.MixInputError):
        encode_segment(segment)


def test_a_path_is_made_of_its_segments() -> None:
    made = call(method="DELETE", segments=("api", "sessions", "a b", "..", "ä/ö"))
    assert str(made) == "DELETE /api/sessions/a%20b/%2E%2E/%C3%A4%2F%C3%B6"


def test_a_step_of_a_flow_gives_its_result() -> None:
    flow = ask(call())
    assert next(flow).path == "/api/x"
    with pytest.raises(StopIteration) as end:
        flow.send("result")
    assert end.value.value == "result"


def test_calls_that_go_together_are_one_step_with_their_results_in_order() -> None:
    flow = together([call(), call(segments=("api", "y"))])
    step = next(flow)
    assert isinstance(step, Together)
    assert [one.path for one in step.calls] == ["/api/x", "/api/y"]
    with pytest.raises(StopIteration) as end:
        flow.send(["x", "y"])
    assert end.value.value == ["x", "y"]


def test_no_calls_are_no_step() -> None:
    with pytest.raises(StopIteration) as end:
        next(together([]))
    assert end.value.value == []


def test_a_reply_is_read_by_the_calls_decoder() -> None:
    read = call(decode=json_as(TypeAdapter(list[int])), statuses=(200, 201))
    assert read.result(reply(201, "[1]\n")) == [1]
    assert call(decode=content).result(Reply(200, {}, b"\xff")) == b"\xff"
    with pytest.raises(errors.MixDefaultError):
        read.result(reply(202, "[1]"))


def test_one_odd_byte_does_not_cost_the_reply() -> None:
    assert call(decode=json_as(TypeAdapter(list[str]))).result(Reply(200, {}, b'["a\xff"]')) == ["a\ufffd"]


def test_a_success_that_cannot_be_read_says_where_and_keeps_the_body() -> None:
    with pytest.raises(errors.ResponseValidationError, match=r"200.*0\.x") as caught:
        call(decode=json_as(TypeAdapter(list[dict[str, int]]))).result(reply(200, '[{"x":"secretish"}]'))
    assert caught.value.acted == "yes"
    assert caught.value.body == '[{"x":"secretish"}]'
    assert "secretish" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "message", "kind", "acted"),
    [
        (400, "Validation error for field 'body': x", errors.MixBadRequestError, "no"),
        (401, "⚠️ Authentication required.", errors.MixAuthenticationError, "no"),
        (404, "Session with ID 'x' not found", errors.MixNotFoundError, "no"),
        (
            500,
            "Internal error during sending message to agent: sql: no rows in result set",
            errors.MixNotFoundError,
            "no",
        ),
        (500, "Internal error during creating session: browserMode is required", errors.MixInternalError, "no"),
        (500, "Internal error during x: y", errors.MixInternalError, "unknown"),
        (418, "teapot", errors.MixBadRequestError, "no"),
    ],
)
def test_the_servers_own_errors_are_told_apart(status: int, message: str, kind: type, acted: str) -> None:
    error = error_from(call(method="POST"), envelope(status, message, "UPPER_CASE"))
    assert type(error) is kind
    assert (error.acted, error.status_code, error.sent) == (acted, status, "POST /api/x")
    assert (error.error.message, error.error.type, error.error.code) == (message, "UPPER_CASE", status)
    assert error.data.error is error.error


STATUSES = [400, 401, 404, 409, 500, 503]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(
    ("message", "type_", "kind", "acted"),
    [
        ("Validation error for field 'text': x", "validation_error", errors.MixBadRequestError, "no"),
        ("Validation error for field 'text': x", "new_in_this_release", errors.MixBadRequestError, "no"),
        ("x", "bad_request", errors.MixBadRequestError, "no"),
        ("Session with ID 'x' not found", "not_found", errors.MixNotFoundError, "no"),
        ("Message with ID 'a\nb' not found", "", errors.MixNotFoundError, "no"),
        ("Command 'x' not found. Available commands: [a b]", "", errors.MixNotFoundError, "no"),
        ("Internal error during sending: sql: no rows in result set", "internal_error", errors.MixNotFoundError, "no"),
        ("⚠️ Authentication required.", "unauthorized", errors.MixAuthenticationError, "no"),
        ("x", "INVALID_MODEL", errors.MixBadRequestError, "no"),
        ("x", "MISSING_CODE", errors.MixBadRequestError, "no"),
        ("x", "OAUTH_NOT_SUPPORTED", errors.MixBadRequestError, "no"),
        ("x", "STORAGE_ERROR", errors.MixInternalError, "unknown"),
        ("x", "PREFERENCES_UNAVAILABLE", errors.MixInternalError, "unknown"),
        ("Internal error during forking session: x", "internal_error", errors.MixInternalError, "unknown"),
        ("Internal error during forking session: x", "", errors.MixInternalError, "unknown"),
        (
            # The turn ran and has stored its message; its session was deleted meanwhile.
            "Internal error during agent processing: failed to get session: sql: no rows in result set",
            "internal_error",
            errors.MixInternalError,
            "unknown",
        ),
    ],
)
def test_the_words_of_a_refusal_count_and_not_its_status(
    status: int, message: str, type_: str, kind: type, acted: str
) -> None:
    answer = envelope(status, message, type_)
    error = error_from(call(method="POST"), answer)
    assert type(error) is kind
    assert error.acted == acted
    assert is_refusal(answer) is (acted == "no")


@pytest.mark.parametrize("status", STATUSES)
def test_refusals_in_plain_text_are_recognised_whatever_their_status(status: int) -> None:
    for words in ("404 page not found\n", "Notification not found or already responded\n"):
        answer = reply(status, words, "text/plain")
        assert is_refusal(answer)
        assert is_unrouted(answer) is words.startswith("404")
        error = error_from(call(method="POST"), answer)
        assert type(error) is errors.MixDefaultError
        assert error.acted == "no"
        assert is_unrouted(error) is words.startswith("404")
    other = reply(status, "upstream says 404 page not found", "text/plain")
    assert not is_refusal(other)
    assert not is_unrouted(other)


def test_a_failed_idempotent_call_did_nothing_that_a_second_one_would_not() -> None:
    assert error_from(call(idempotent=True), envelope(500, "x")).acted == "no"
    assert error_from(call(), reply(502, "bad gateway", "text/plain")).acted == "unknown"


@pytest.mark.parametrize(
    "body",
    [
        "404 page not found\n",
        "",
        "{",
        '{"error":"x"}',
        '{"error":{"message":5}}',
        "[1]",
        "null",
        "[" * 100_000,
        "\ufffd",
    ],
)
def test_other_refusals_are_default_errors(body: str) -> None:
    error = error_from(call(), reply(404, body, "text/plain"))
    assert type(error) is errors.MixDefaultError
    assert error.body == body
    assert "404" in error.message
    assert len(error.message) < 300


@pytest.mark.parametrize(("kind", "body"), [("text/html", "x"), ("text/plain", "<!DOCTYPE html>x"), ("", " <html>")])
def test_a_web_page_is_no_mix_server(kind: str, body: str) -> None:
    assert type(error_from(call(), reply(200, body, kind))) is errors.MixNotAServerError


def test_a_missing_route_hints_at_the_generation_and_a_missing_thing_does_not() -> None:
    assert "generation" in error_from(call(), reply(404, "404 page not found\n", "text/plain")).hint
    assert "generation" not in error_from(call(), envelope(404, "Session with ID 'x' not found")).hint


def test_an_unknown_field_hints_at_the_generation() -> None:
    assert "api=" in error_from(call(), envelope(400, 'json: unknown field "max_steps"')).hint


def test_cookies_are_hidden() -> None:
    error = error_from(call(), reply(404, "x", "text/plain", **{"set-cookie": "token", "x-other": "kept"}))
    assert error.headers["set-cookie"] == "<hidden>"
    assert error.headers["x-other"] == "kept"
