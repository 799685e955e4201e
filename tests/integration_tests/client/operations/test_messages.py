"""Sending and reading messages, sync and async, on every generation."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from langchain_mix.client import (
    SSEConnectedEvent,
    errors,
)
from langchain_mix.emulator import (
    Gate,
    Script,
    think,
    turn,
    use,
)
from langchain_mix.emulator.agents.base import Fail
from langchain_mix.protocol.api import CAPABILITIES, ApiVersion

pytestmark = pytest.mark.timeout(60)

ALL = ("0.5", "0.6", "0.6.5", "0.7", "0.8", "next")
ASK = use("Write", {"file_path": "a.txt", "content": "x"}, result="written", ask=True)


def caps(api: str) -> Any:
    return CAPABILITIES[ApiVersion(api)]


@pytest.mark.parametrize("api", ALL)
def test_sending_waits_for_the_answer(users: Any, api: str) -> None:
    script = Script(
        turn(
            [think("Hm."), "Let me look. ", use("Glob", {"pattern": "*"}, result="a.txt")],
            [think("Ah."), "There is a.txt."],
        )
    )
    user = users(api, script)
    session = user.session()
    answer = user("messages.send", id=session, text="What is there?", plan_mode=False)
    assert answer.assistant_response == "There is a.txt."
    assert (answer.role, answer.session_id, answer.status) == ("assistant", session, "complete")
    assert answer.user_input == "What is there?"
    assert answer.id == user("messages.list_session", id=session)[-1].id
    assert answer.reasoning == "Hm.\n\nAh."
    [call] = answer.tool_calls
    assert (call.name.casefold(), json.loads(call.input)) == ("glob", {"pattern": "*"})
    assert call.result == ("a.txt" if caps(api).tool_results else None)
    if caps(api).message_usage:
        assert answer.input_tokens > 0
        assert answer.output_tokens > 0
        assert answer.model
    assert len([p for p in user.paths() if p.startswith("POST") and p.endswith(("/messages", "/message"))]) == 1


@pytest.mark.parametrize("api", ALL)
def test_sending_without_waiting(users: Any, api: str) -> None:
    user = users(api, Script("Hi!"))
    session = user.session()
    answer = user("messages.send", id=session, text="/opt is what?", wait=False)
    if caps(api).send_waits:
        assert answer.assistant_response == "Hi!"
    else:
        assert (answer.status, answer.accepted, answer.session_id) == ("processing", True, session)
    user.server.wait_idle()
    assert [m.user_input for m in user("messages.list_session", id=session) if m.role == "user"] == [
        "Message: /opt is what?"
    ]


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize("api", ALL)
def test_sending_a_command(users: Any, api: str, wait: bool) -> None:
    user = users(api)
    session = user.session()
    answer = user("messages.send", id=session, text="/help", command=True, wait=wait)
    assert answer.id == "cmd-help"
    assert "help" in [c["name"] for c in json.loads(answer.assistant_response)["commands"]]
    assert user("messages.list_session", id=session) == []


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize("api", ALL)
def test_options_that_a_generation_lacks(users: Any, api: str, wait: bool) -> None:
    user = users(api, Script("Hi!", "Hi!"))
    session = user.session()
    for field, value in (("thinking_level", "basic"), ("max_steps", 3)):
        if field in caps(api).message_fields:
            assert user("messages.send", id=session, text="Hello", wait=wait, **{field: value}).status
            user.server.wait_idle()
        else:
            user.unsupported("messages.send", id=session, text="Hello", wait=wait, **{field: value})


@pytest.mark.parametrize("api", ALL)
def test_sending_to_nobody(users: Any, api: str) -> None:
    user = users(api)
    user.session()
    missing = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(errors.MixNotFoundError):
        user("messages.send", id=missing, text="Hello")


@pytest.mark.parametrize("api", ALL)
def test_sending_without_a_credential(users: Any, api: str) -> None:
    user = users(api, auth_required=True)
    session = user.session()
    with pytest.raises(errors.MixAuthenticationError, match="Not authenticated with"):
        user("messages.send", id=session, text="Hello")


@pytest.mark.parametrize("api", ALL)
def test_sending_to_an_agent_that_fails(users: Any, api: str) -> None:
    user = users(api, Script(turn(["So far ", Fail("out of luck")])))
    session = user.session()
    with pytest.raises(errors.MixAgentError, match="out of luck"):
        user("messages.send", id=session, text="Hello")


@pytest.mark.parametrize("api", ALL)
def test_sending_with_a_time_limit(users: Any, api: str) -> None:
    gate = Gate()
    user = users(api, Script(turn([use("Glob", {"pattern": "*"}, result="x", until=gate)], "late")))
    session = user.session()
    try:
        with pytest.raises(errors.MixTurnTimeout):
            user("messages.send", id=session, text="Hello", timeout=0.3)
    finally:
        gate.open()
    user.server.wait_idle()


@pytest.mark.parametrize("api", ALL)
def test_permissions_of_a_sent_message(users: Any, api: str) -> None:
    user = users(api, Script(turn([ASK], "Done."), turn([ASK], "Done.")))
    session = user.session()
    granted = user("messages.send", id=session, text="Write", permissions="allow")
    assert granted.assistant_response == "Done."
    user("messages.send", id=session, text="Write", permissions="deny")
    assert [p.rsplit("/", 1)[1] for p in user.paths() if "/permissions/" in p] == ["grant", "deny"]


@pytest.mark.parametrize("api", ALL)
def test_options_reach_every_request_of_a_turn(users: Any, api: str) -> None:
    user = users(api, Script("Hi!"))
    session = user.session()
    user.server.forget_requests()
    user("messages.send", id=session, text="Hello", http_headers={"X-Trace": "7"})
    assert len(user.server.requests) >= 2
    assert {r.headers.get("x-trace") for r in user.server.requests} == {"7"}


@pytest.mark.parametrize("api", ["0.5", "0.8"])
def test_a_session_runs_one_turn_at_a_time(users: Any, api: str, asynchronous: bool) -> None:
    gate = Gate()
    user = users(api, Script(turn([use("Glob", {"pattern": "*"}, result="x", until=gate)], "first"), "second"))
    session = user.session()

    async def both() -> str:
        sending = asyncio.create_task(user.mix.messages.send_async(id=session, text="one"))
        await asyncio.to_thread(user.server.wait_until, lambda: user.server.turns == 1)
        with pytest.raises(errors.MixSessionBusy):
            await user.mix.messages.send_async(id=session, text="two")
        with pytest.raises(errors.MixSessionBusy):
            await asyncio.to_thread(user.mix.messages.send, id=session, text="two")
        gate.open()
        return str((await sending).assistant_response)

    assert user.runner.run(both()) == "first"


def test_on_mix_0_5_a_message_runs_once_whoever_listens(users: Any) -> None:
    script = Script("Hi!")
    user = users("0.5", script)
    session = user.session()
    with user.mix.streaming.stream_events(session_id=session) as stream:
        assert isinstance(next(stream), SSEConnectedEvent)
        assert user("messages.send", id=session, text="Hello").assistant_response == "Hi!"
    user.server.wait_idle()
    assert len(script.requests) == 1


@pytest.mark.parametrize("api", ALL)
def test_reading_messages(users: Any, api: str) -> None:
    user = users(api, Script("Hi!", "Hi again!"))
    session = user.session()
    user("messages.send", id=session, text="one")
    user("messages.send", id=session, text="two")
    assert [m.role for m in user("messages.list_session", id=session)] == ["user", "assistant"] * 2
    assert {m.user_input for m in user("messages.get_history", limit=10)} == {"one", "two"}
    assert len(user("messages.get_history", limit=1, offset=1)) == 1
    with pytest.raises(errors.MixInputError):
        user("messages.get_history", limit=0)
