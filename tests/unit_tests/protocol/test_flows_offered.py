"""Operations that some generations lack: which refusals mean that."""

from __future__ import annotations

from typing import Any

import pytest

from langchain_mix import errors
from langchain_mix.protocol import calls, flows
from langchain_mix.protocol.api import ApiKnowledge, ApiVersion, ServerApi

V0_8 = ApiKnowledge([ApiVersion.V0_8])

OFFERED = {
    "fork_session": ("S", 1, None),
    "get_screenshot": ("S", "x.png"),
    "update_session_callbacks": ("S", []),
    "respond_to_notification": ("N", "text", None),
    "get_oauth_health": (),
    "refresh_oauth_tokens": (),
    "get_preferences": (),
    "update_preferences": (),
    "get_available_providers": (),
    "reset_preferences": (),
    "list_llm_tools": (),
    "get_tool_credentials_status": (),
    "get_tools_status": (),
}


def unrouted(body: str = "404 page not found\n", kind: type[errors.MixDefaultError] = errors.MixDefaultError) -> Any:
    error = kind(body, sent="GET /x")
    error.status_code, error.body = 404, body
    return error


@pytest.mark.parametrize("name", OFFERED)
def test_a_missing_route_is_a_missing_operation(name: str) -> None:
    flow = flows.offered(ServerApi(), getattr(calls, name), *OFFERED[name])
    first = next(flow)
    assert first.path
    assert str(flow.throw(unrouted())) == "GET /api/sessions"
    with pytest.raises(errors.MixUnsupportedError, match="is not available on this Mix server") as caught:
        flow.send([])
    assert caught.value.sent == str(first)
    assert caught.value.hint.startswith("It exists on API ")


@pytest.mark.parametrize("name", OFFERED)
def test_a_result_is_passed_on(name: str) -> None:
    flow = flows.offered(ServerApi(), getattr(calls, name), *OFFERED[name])
    next(flow)
    with pytest.raises(StopIteration) as done:
        flow.send("result")
    assert done.value.value == "result"


@pytest.mark.parametrize(
    "refusal",
    [
        unrouted("Notification not found or already responded\n"),
        unrouted(kind=errors.MixNotAServerError),
        errors.MixConnectionError("gone"),
    ],
)
def test_other_refusals_stay_what_they_are(refusal: errors.MixError) -> None:
    flow = flows.offered(ServerApi(), calls.respond_to_notification, "N", "text", None)
    next(flow)
    with pytest.raises(type(refusal)) as caught:
        flow.throw(refusal)
    assert caught.value is refusal


def test_an_address_that_lists_no_sessions_is_wrong_from_the_start() -> None:
    refusal = unrouted()
    flow = flows.offered(ServerApi(), calls.list_llm_tools)
    next(flow)
    flow.throw(refusal)
    with pytest.raises(errors.MixDefaultError) as caught:
        flow.throw(unrouted())
    assert caught.value is refusal


def test_an_operation_that_must_be_there_is_not_called_missing() -> None:
    refusal = unrouted()
    flow = flows.offered(ServerApi(V0_8), calls.list_llm_tools)
    next(flow)
    flow.throw(refusal)
    with pytest.raises(errors.MixDefaultError) as caught:
        flow.send([])
    assert caught.value is refusal


def test_what_is_known_to_be_missing_is_not_asked_for() -> None:
    with pytest.raises(errors.MixUnsupportedError):
        next(flows.offered(ServerApi(V0_8), calls.fork_session, "S", 1, None))


def test_a_session_with_a_field_that_the_server_does_not_know() -> None:
    message = "Validation error for field 'body': json: unknown field \"callbacks\""
    data = errors.ErrorResponseData(errors.RESTError(400, message, "validation_error"))
    flow = flows.start_session(ServerApi(), title="T", callbacks=[])
    next(flow)
    with pytest.raises(errors.MixUnsupportedError, match="`callbacks`") as caught:
        flow.throw(errors.MixBadRequestError(message, sent="POST /api/sessions", data=data))
    assert caught.value.hint == "It exists on API 0.7, 0.8, next."
