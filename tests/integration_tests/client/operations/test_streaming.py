"""Event streams as they are, sync and async, on every generation."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from langchain_mix.client import (
    BackoffStrategy,
    RetryConfig,
    SSECompleteEvent,
    SSEContentEvent,
    SSEErrorEvent,
    errors,
)
from langchain_mix.emulator import (
    CloseConnection,
    CutStream,
    Gate,
    HttpError,
    Script,
    SlowReply,
)

pytestmark = pytest.mark.timeout(60)

ALL = ("0.5", "0.6", "0.6.5", "0.7", "0.8", "next")


@pytest.mark.parametrize("api", ALL[1:])
def test_a_stream(users: Any, api: str) -> None:
    user = users(api, Script("Hi there, whoever listens."))
    session = user.session()
    heard = user.events(session, SSECompleteEvent, lambda: user.mix.messages.send(id=session, text="Hello", wait=False))
    assert "".join(e.data.content for e in heard if isinstance(e, SSEContentEvent)) == "Hi there, whoever listens."


@pytest.mark.parametrize("content", ["Hello", '{"text": "Hello", "plan_mode": true}'])
@pytest.mark.parametrize("client_api", ["auto", ""])
@pytest.mark.parametrize("api", ALL)
def test_a_written_stream(users: Any, api: str, client_api: str, content: str) -> None:
    user = users(api, Script("Hi!"), client_api=client_api or api)
    session = user.session()
    heard = user.events(
        session, SSECompleteEvent, lambda: user.mix.streaming.send_streaming_message(id=session, content=content)
    )
    assert heard[-1].data.content == "Hi!"
    [said] = [m.user_input for m in user("messages.list_session", id=session) if m.role == "user"]
    assert said.startswith("Hello")
    assert ("<system-reminder>" in said) is ("plan_mode" in content)


@pytest.mark.parametrize("api", ["0.5", "0.8"])
def test_a_written_message_is_no_command_by_accident(users: Any, api: str) -> None:
    user = users(api, Script("Hi!"))
    session = user.session()
    user.events(
        session, SSECompleteEvent, lambda: user.mix.streaming.send_streaming_message(id=session, content="/help")
    )
    [said] = [m.user_input for m in user("messages.list_session", id=session) if m.role == "user"]
    assert said == "Message: /help"


def test_parts_that_a_later_server_does_not_take(users: Any) -> None:
    user = users("0.8")
    session = user.session()
    with pytest.raises(errors.MixInputError, match="`media`"):
        user("streaming.send_streaming_message", id=session, content='{"text": "Look", "media": ["a.png"]}')


def test_a_stream_takes_headers(users: Any) -> None:
    user = users("0.8")
    session = user.session()
    stream = user("streaming.stream_events", session_id=session, last_event_id="41", http_headers={"X-Trace": "7"})
    user.runner.run(stream.close()) if user.asynchronous else stream.close()
    asked = user.server.requests[-1].headers
    assert (asked["last-event-id"], asked["x-trace"]) == ("41", "7")


def test_a_stream_that_is_silent_for_too_long(users: Any) -> None:
    user = users("0.8")
    session = user.session()

    async def read() -> None:
        async with await user.mix.streaming.stream_events_async(session_id=session, timeout_ms=200) as stream:
            async for _ in stream:
                pass

    def read_now() -> None:
        with user.mix.streaming.stream_events(session_id=session, timeout_ms=200) as stream:
            list(stream)

    with pytest.raises(errors.MixStreamError):
        user.runner.run(read()) if user.asynchronous else read_now()


QUICK = RetryConfig("backoff", BackoffStrategy(5, 20, 1.5, 2_000), max_attempts=3)
ONCE = RetryConfig("none")


def opened(user: Any, session: str, **options: Any) -> None:
    stream = user("streaming.stream_events", session_id=session, **options)
    user.runner.run(stream.close()) if user.asynchronous else stream.close()


@pytest.mark.parametrize(
    "fault", [lambda: HttpError("/stream", 503, count=2), lambda: CloseConnection("/stream", count=2)]
)
def test_opening_is_tried_again(users: Any, fault: Any) -> None:
    for of_the_client, options in ((QUICK, {}), (ONCE, {"retries": QUICK})):
        user = users("0.8", mix={"retry_config": of_the_client})
        session = user.session()
        user.server.faults.add(fault())
        opened(user, session, **options)
        assert user.paths().count("GET /stream") == 3


@pytest.mark.parametrize(("of_the_client", "options"), [(QUICK, {"retries": ONCE}), (ONCE, {})])
def test_opening_is_not_tried_again_unless_wanted(users: Any, of_the_client: Any, options: Any) -> None:
    user = users("0.8", mix={"retry_config": of_the_client})
    session = user.session()
    user.server.faults.add(HttpError("/stream", 503))
    with pytest.raises(errors.MixDefaultError) as caught:
        opened(user, session, **options)
    assert caught.value.status_code == caught.value.raw_response.status_code == 503
    assert user.paths().count("GET /stream") == 1


def test_what_will_not_change_is_not_tried_again(users: Any) -> None:
    user = users("0.8", mix={"retry_config": QUICK})
    session = user.session()
    user.server.faults.add(HttpError("/stream", 200, "<html></html>", content_type="text/html", count=None))
    with pytest.raises(errors.MixNotAServerError, match="text/html"):
        opened(user, session)
    assert user.paths().count("GET /stream") == 1


def test_opening_takes_no_longer_than_told(users: Any) -> None:
    user = users("0.8", mix={"timeout_ms": 60_000})
    session, gate = user.session(), Gate()
    user.server.faults.add(SlowReply("/stream", gate=gate))
    try:
        with pytest.raises(errors.MixTimeoutError):
            opened(user, session, timeout_ms=200, retries=ONCE)
    finally:
        gate.open()


def heard(user: Any, session: str) -> list[Any]:
    async def read() -> list[Any]:
        async with await user.mix.streaming.stream_events_async(session_id=session) as stream:
            return [event async for event in stream]

    def read_now() -> list[Any]:
        with user.mix.streaming.stream_events(session_id=session) as stream:
            return list(stream)

    return user.runner.run(read()) if user.asynchronous else read_now()


def test_a_stream_that_the_server_ends_just_ends(users: Any) -> None:
    [only] = heard(users("0.8"), "00000000-0000-0000-0000-000000000000")
    assert isinstance(only, SSEErrorEvent)


@pytest.mark.parametrize("how", ["after ten minutes", "in the middle"])
def test_a_stream_that_is_cut_is_an_error(users: Any, how: str) -> None:
    user = users("0.8", **({"stream_limit": 0.2} if how == "after ten minutes" else {"heartbeat": 0.05}))
    session = user.session()
    if how == "in the middle":
        user.server.faults.add(CutStream(2, on="stream"))
    with pytest.raises(errors.MixStreamError) as caught:
        heard(user, session)
    assert isinstance(caught.value.original, httpx.RemoteProtocolError)
    assert caught.value.__cause__ is None
