from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from langchain_mix.emulator.state import ApiError, ServerState
from langchain_mix.protocol.api import ALL

NAMES = ["auth-code", "clear", "help", "login", "logout", "mcp", "sessions", "status"]


def run(state: ServerState, text: str) -> dict[str, Any]:
    answer = state.commands.run(text)
    assert answer is not None
    return json.loads(answer["assistantResponse"])  # type: ignore[no-any-return]


def test_the_listing_is_sorted_and_says_what_kind(state: ServerState) -> None:
    commands = state.commands.listing()
    assert [c["name"] for c in commands] == NAMES
    assert all(list(c) == ["name", "description", "type"] for c in commands)
    builtin = {"clear", "help", "mcp", "sessions"}
    assert {c["name"] for c in commands if c["type"] == "builtin"} == builtin
    assert {c["name"] for c in commands if c["type"] == "file"} == set(NAMES) - builtin
    assert state.commands.get("help") == commands[2]
    with pytest.raises(ApiError) as caught:
        state.commands.get("nope")
    assert (caught.value.status, caught.value.message) == (404, "Command with ID 'nope' not found")


@pytest.mark.parametrize("text", ["hello", "", " ", "!ls", "\n/help", "\t/help", "a /help"])
def test_other_texts_are_no_commands(state: ServerState, text: str) -> None:
    assert state.commands.run(text) is None


@pytest.mark.parametrize("text", ["/help", "   /help", "/help with words"])
def test_q16_the_answer_of_a_command(state: ServerState, text: str) -> None:
    answer = state.commands.run(text)
    assert answer is not None
    assert list(answer) == ["id", "sessionId", "role", "userInput", "assistantResponse"]
    assert {k: answer[k] for k in ("id", "sessionId", "role", "userInput")} == {
        "id": "cmd-help",
        "sessionId": "",
        "role": "assistant",
        "userInput": text,
    }
    body = json.loads(answer["assistantResponse"])
    assert body["type"] == "help"
    assert [c["name"] for c in body["commands"]] == NAMES
    assert all(set(c) == {"name", "description", "usage"} for c in body["commands"])


@pytest.mark.parametrize(
    ("text", "name"), [("/", ""), ("/ help", ""), ("/home/x.txt please", "home/x.txt"), ("/Help", "Help")]
)
def test_q15_paths_are_unknown_commands(state: ServerState, text: str, name: str) -> None:
    with pytest.raises(ApiError) as caught:
        state.commands.run(text)
    assert (caught.value.status, caught.value.type) == (404, "not_found")
    assert caught.value.message == f"Command '{name}' not found. Available commands: [{' '.join(NAMES)}]"


@pytest.mark.parametrize("api", ALL)
def test_clear_makes_a_session(make_state: Callable[..., ServerState], api: str) -> None:
    state = make_state(api)
    body = run(state, "/clear")
    (session,) = state.sessions.listing(include_subagents=False)
    assert list(body) == ["type", "action", "message", "command", "sessionId", "sessionTitle"]
    assert (body["type"], body["action"], body["sessionId"], body["sessionTitle"]) == (
        "session_switch",
        "switch",
        session["id"],
        "New Session",
    )
    assert session.get("browserMode") == ("local-browser-service" if state.caps.browser_mode else None)


def test_sessions_and_mcp(state: ServerState, new_session: Callable[..., str]) -> None:
    session = new_session(state, "<one>")
    assert run(state, "/sessions")["sessions"][0]["id"] == session
    answer = state.commands.run("/sessions")
    assert answer is not None
    assert "\\u003cone\\u003e" in answer["assistantResponse"]
    assert run(state, "/mcp")["servers"] == state.commands.mcp() == []


def test_signing_in_and_out(state: ServerState) -> None:
    with pytest.raises(ApiError) as caught:
        state.commands.run("/auth-code abc")
    assert (caught.value.status, caught.value.type) == (500, "internal_error")
    assert caught.value.message.startswith("Internal error during executing command: ")
    assert run(state, "/login")["auth_url"].startswith("https://")
    with pytest.raises(ApiError):
        state.commands.run("/auth-code")
    assert run(state, "/auth-code abc")["status"] == "success"
    assert run(state, "/status")["providers"]["anthropic"]["authenticated"] is True
    run(state, "/logout")
    assert run(state, "/status")["providers"]["anthropic"]["authenticated"] is False
