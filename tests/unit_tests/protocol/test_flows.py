"""Procedures of several calls, played against scripted servers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from langchain_mix import errors
from langchain_mix.protocol import calls, flows
from langchain_mix.protocol.api import (
    ALL,
    CAPABILITIES,
    UNKNOWN,
    ApiKnowledge,
    ApiVersion,
    ServerApi,
    before,
    having,
    since,
)
from langchain_mix.protocol.call import Call, Reply

V = ApiVersion


class Server:
    """Answers calls like a server of one generation, and learns from its replies as a client does."""

    def __init__(
        self, version: ApiVersion, answer: Callable[[Call[Any]], Reply], detected: ApiKnowledge = UNKNOWN
    ) -> None:
        self.version, self.answer, self.server_api = version, answer, ServerApi(detected)
        self.seen: list[Call[Any]] = []

    def run(self, flow: Any) -> Any:
        try:
            call = next(flow)
            while True:
                call = self._step(flow, call)
        except StopIteration as end:
            return end.value

    def _step(self, flow: Any, call: Call[Any]) -> Call[Any]:
        self.seen.append(call)
        try:
            result = call.result(self.answer(call))
        except errors.MixError as error:
            if call.refusal_shows is not None:
                self.server_api.detected = self.server_api.detected.narrow(call.refusal_shows(error))
            return flow.throw(error)
        if call.shows is not None:
            self.server_api.detected = self.server_api.detected.narrow(call.shows(result))
        return flow.send(result)

    @property
    def paths(self) -> list[str]:
        return [str(c) for c in self.seen]


def json_reply(status: int, body: str) -> Reply:
    return Reply(status, {"content-type": "application/json"}, body.encode())


def refusal(status: int, message: str) -> Reply:
    return json_reply(status, json.dumps({"error": {"code": status, "message": message, "type": "t"}}))


REQUIRED = [
    refusal(
        400,
        "Validation error for field 'browserMode': browserMode is required (must be 'electron-embedded-browser', "
        "'local-browser-service', or 'remote-cdp-websocket')",
    ),
    refusal(500, "Internal error during creating session: browserMode is required"),
]
"""Mix 0.8: the first is what the real server says; the others mean the same."""


def session_of(version: ApiVersion) -> str:
    kind = {"sessionType": "main"} if version in since(V.V0_7) else {}
    browser = {"browserMode": "local-browser-service"} if version in since(V.V0_8) else {}
    return json.dumps({"id": "S", "title": "t"} | kind | browser)


def mix(version: ApiVersion) -> Callable[[Call[Any]], Reply]:
    """A server that refuses what this generation refuses."""

    def answer(call: Call[Any]) -> Reply:  # noqa: PLR0911  # One case per route.
        able = CAPABILITIES[version]
        match call.method, call.segments:
            case "POST", ("api", "sessions"):
                unknown = set(call.body or {}) - able.session_fields
                if unknown:
                    return refusal(400, f"Validation error for field 'body': json: unknown field \"{unknown.pop()}\"")
                if able.browser_mode and "browserMode" not in (call.body or {}):
                    return REQUIRED[0]
                return json_reply(201, session_of(version))
            case "GET", ("api", "sessions"):
                return json_reply(200, f"[{session_of(version)}]")
            case "GET", ("api", "sessions", "S"):
                return json_reply(200, session_of(version))
            case "GET", ("stream", _, "message"):
                return Reply(405 if able.stream_write else 404, {"content-type": "text/plain"}, b"x")
            case "POST", ("api", "sessions", "S", "fork") if able.fork:
                return json_reply(201, session_of(version))
            case _:
                return Reply(404, {"content-type": "text/plain"}, b"404 page not found\n")

    return answer


@pytest.mark.parametrize("version", ALL)
def test_a_session_is_created_on_every_generation_without_knowing_which(version: ApiVersion) -> None:
    server = Server(version, mix(version))
    assert server.run(flows.create_session(server.server_api, title="t")).id == "S"
    assert len(server.seen) == (2 if version in since(V.V0_8) else 1)
    assert server.server_api.detected <= set(since(V.V0_8) if version in since(V.V0_8) else before(V.V0_8))


@pytest.mark.parametrize("version", ALL)
def test_a_known_generation_needs_one_request(version: ApiVersion) -> None:
    server = Server(version, mix(version), ApiKnowledge([version]))
    server.run(flows.create_session(server.server_api, title="t"))
    assert len(server.seen) == 1


@pytest.mark.parametrize("words", REQUIRED)
def test_a_required_browser_mode_is_recognised_by_the_words(words: Reply) -> None:
    def answer(call: Call[Any]) -> Reply:
        return json_reply(201, session_of(V.V0_8)) if "browserMode" in (call.body or {}) else words

    server = Server(V.V0_8, answer)
    assert server.run(flows.create_session(server.server_api, title="t")).id == "S"
    assert [c.body.get("browserMode") for c in server.seen] == [None, "local-browser-service"]


@pytest.mark.parametrize(("old", "new"), [(V.V0_7, V.V0_8), (V.V0_8, V.V0_7), (V.NEXT, V.V0_5)])
def test_a_session_is_created_on_a_server_that_took_the_place_of_another_generation(
    old: ApiVersion, new: ApiVersion
) -> None:
    server = Server(new, mix(new), ApiKnowledge([old]))
    assert server.run(flows.create_session(server.server_api, title="t")).id == "S"
    assert len(server.seen) == 2
    assert new in server.server_api.detected
    assert old not in server.server_api.detected


@pytest.mark.parametrize(("said", "real"), [(V.V0_7, V.V0_8), (V.V0_8, V.V0_7)])
def test_a_generation_that_the_user_named_is_not_replaced(said: ApiVersion, real: ApiVersion) -> None:
    server = Server(real, mix(real))
    with pytest.raises(errors.MixBadRequestError, match="api="):
        server.run(flows.create_session(ServerApi(ApiKnowledge([said])), title="t"))
    assert len(server.seen) == 1


def test_a_browser_mode_that_an_older_server_refuses_shows_its_age() -> None:
    server = Server(V.V0_7, mix(V.V0_7))
    with pytest.raises(errors.MixUnsupportedError, match="browser_mode"):
        server.run(flows.start_session(server.server_api, title="t", browser_mode="local-browser-service"))
    assert len(server.seen) == 1
    assert server.server_api.detected == set(before(V.V0_8))


def test_another_failure_is_not_answered_by_creating_again() -> None:
    server = Server(V.V0_8, lambda _: refusal(500, "Internal error during creating session: disk full"))
    with pytest.raises(errors.MixInternalError):
        server.run(flows.create_session(server.server_api, title="t"))
    assert len(server.seen) == 1


def test_a_refused_browser_mode_of_the_users_own_is_told() -> None:
    server = Server(V.V0_8, lambda _: refusal(500, "Internal error during creating session: browserMode is bad"))
    with pytest.raises(errors.MixInternalError):
        server.run(flows.create_session(server.server_api, title="t", browser_mode="local-browser-service"))
    assert len(server.seen) == 1


@pytest.mark.parametrize("version", ALL)
def test_turns_are_learned_in_at_most_two_harmless_calls(version: ApiVersion) -> None:
    server = Server(version, mix(version))
    server.run(flows.learn_turns(server.server_api, "S"))
    assert len(server.seen) <= 2
    assert {c.method for c in server.seen} == {"GET"}
    assert server.server_api.detected.supports("user_message_created") is CAPABILITIES[version].user_message_created
    assert server.server_api.detected.supports("stream_write") is CAPABILITIES[version].stream_write
    before_again = len(server.seen)
    try:
        next(flows.learn_turns(server.server_api, "S"))
    except StopIteration:
        assert len(server.seen) == before_again
    else:
        pytest.fail("It asked again.")


def test_an_unknown_session_is_told_while_turns_are_learned() -> None:
    server = Server(V.V0_8, lambda _: refusal(404, "Session with ID 'S' not found"))
    with pytest.raises(errors.MixNotFoundError):
        server.run(flows.learn_turns(server.server_api, "S"))


def test_a_field_that_the_server_does_not_know_names_the_generations_that_do() -> None:
    server = Server(V.V0_6, mix(V.V0_6))
    with pytest.raises(errors.MixUnsupportedError, match="callbacks") as caught:
        server.run(flows.start_session(server.server_api, title="t", callbacks=[]))
    assert "0.7, 0.8, next" in caught.value.hint
    assert caught.value.acted == "no"


def test_a_missing_route_is_told_as_a_missing_feature() -> None:
    server = Server(V.V0_8, mix(V.V0_8))
    with pytest.raises(errors.MixUnsupportedError) as caught:
        server.run(flows.offered(server.server_api, calls.fork_session, "S", 1, None))
    assert "0.5, 0.6, 0.6.5, 0.7" in caught.value.hint
    assert server.paths == ["POST /api/sessions/S/fork", "GET /api/sessions"]


def test_a_missing_route_of_something_that_is_no_mix_server_stays_what_it_is() -> None:
    server = Server(V.V0_8, lambda _: Reply(404, {"content-type": "text/plain"}, b"404 page not found\n"))
    with pytest.raises(errors.MixDefaultError):
        server.run(flows.offered(server.server_api, calls.fork_session, "S", 1, None))


def test_a_missing_thing_is_no_missing_feature() -> None:
    server = Server(V.V0_7, lambda _: refusal(500, "Internal error during forking: sql: no rows in result set"))
    with pytest.raises(errors.MixNotFoundError):
        server.run(flows.offered(server.server_api, calls.fork_session, "S", 1, None))
    assert len(server.seen) == 1


def test_what_others_learn_meanwhile_does_not_keep_a_session_from_being_created():
    server_api = ServerApi()
    flow = flows.create_session(server_api, title="T")
    first = next(flow)
    assert "browserMode" not in first.body
    server_api.detected = ApiKnowledge(having("browser_mode"))  # Another thread has created a session.
    with pytest.raises(errors.MixBadRequestError) as caught:
        first.result(REQUIRED[0])
    second = flow.throw(caught.value)
    assert second.body["browserMode"] == "local-browser-service"
