"""Event streams as they are, sync and async, on every generation."""

from __future__ import annotations

from typing import Any

import pytest

from langchain_mix.client import (
    SSECompleteEvent,
    SSEContentEvent,
    errors,
)
from langchain_mix.emulator import (
    Script,
)

pytestmark = pytest.mark.timeout(20)

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
    user.runner.run(stream.close()) if user.is_async else stream.close()
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
        user.runner.run(read()) if user.is_async else read_now()
