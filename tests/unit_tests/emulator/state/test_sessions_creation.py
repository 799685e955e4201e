from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from langchain_mix.emulator.state import ApiError, ServerState
from langchain_mix.emulator.state.sessions import cut_title
from langchain_mix.protocol.api import ALL

BROWSER = {"browserMode": "local-browser-service"}


def refused(state: ServerState, body: dict[str, Any]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        state.sessions.create(body)
    return caught.value


@pytest.mark.parametrize("api", ALL)
@pytest.mark.parametrize("body", [{}, {"title": ""}, {"title": None}])
def test_a_title_is_needed(make_state: Callable[..., ServerState], api: str, body: dict[str, Any]) -> None:
    state = make_state(api)
    error = refused(state, body | BROWSER)
    assert (error.status, error.type) == (400, "validation_error")
    assert error.message.startswith("Validation error for field 'title':")
    assert state.sessions.listing(include_subagents=True) == []


@pytest.mark.parametrize("api", ["0.5", "0.7"])
def test_blanks_are_a_title(make_state: Callable[..., ServerState], api: str) -> None:
    assert make_state(api).sessions.create({"title": "  "})["title"] == "  "


@pytest.mark.parametrize(
    ("title", "cut"),
    [("x" * 20, "x" * 20), ("x" * 21, "x" * 17 + "..."), ("ü😀" * 11, ("ü😀" * 11)[:17] + "...")],
)
def test_q30_titles_are_cut_to_twenty_characters(title: str, cut: str) -> None:
    assert cut_title(title, 20) == cut
    assert cut_title(title, None) == title


def test_q30_only_the_newer_generations_cut(make_state: Callable[..., ServerState], tmp_path: Any) -> None:
    long = "A title of more than twenty characters"
    assert make_state("0.7", tmp_path / "old").sessions.create({"title": long})["title"] == long
    assert (
        make_state("0.8", tmp_path / "new").sessions.create({"title": long} | BROWSER)["title"]
        == "A title of more t..."
    )


def test_prompt_modes(state: ServerState) -> None:
    error = refused(state, {"title": "t", "promptMode": "prepend"} | BROWSER)
    assert (error.status, error.type) == (400, "validation_error")
    assert error.message.endswith("promptMode must be 'default', 'append', or 'replace'")
    for mode, kept in [("default", ""), ("", ""), ("append", "p"), ("replace", "p")]:
        made = state.sessions.create({"title": "t", "promptMode": mode, "customSystemPrompt": "p"} | BROWSER)
        facts = state.sessions.facts(made["id"])
        assert (facts.prompt_mode, facts.system_prompt) == (mode or "default", kept)


@pytest.mark.parametrize(("prompt_mode", "limit"), [("append", 51200), ("replace", 102400)])
def test_prompts_are_limited_in_bytes(state: ServerState, prompt_mode: str, limit: int) -> None:
    fits = "é" * (limit // 2)
    made = state.sessions.create({"title": "t", "promptMode": prompt_mode, "customSystemPrompt": fits} | BROWSER)
    assert state.sessions.facts(made["id"]).system_prompt == fits
    error = refused(state, {"title": "t", "promptMode": prompt_mode, "customSystemPrompt": fits + "x" * 1024} | BROWSER)
    size, limit_kb = limit // 1024 + 1, limit // 1024
    assert error.message.endswith(f"Custom prompt size ({size}KB) exceeds {prompt_mode} mode limit of {limit_kb}KB")
    assert error.status == 400


def test_the_default_mode_ignores_the_size(state: ServerState) -> None:
    made = state.sessions.create({"title": "t", "customSystemPrompt": "x" * 200_000} | BROWSER)
    assert state.sessions.facts(made["id"]).system_prompt == ""


@pytest.mark.parametrize("extra", [{"sessionType": "subagent"}, {"sessionType": "forked"}, {"subagentType": "x"}])
def test_only_main_sessions_are_created(state: ServerState, extra: dict[str, Any]) -> None:
    error = refused(state, {"title": "t"} | BROWSER | extra)
    assert (error.status, error.type) == (400, "validation_error")
    assert state.sessions.create({"title": "t", "sessionType": "main", "subagentType": ""} | BROWSER)


@pytest.mark.parametrize("api", ["0.8", "next"])
@pytest.mark.parametrize(
    ("extra", "field", "words"),
    [
        (
            {},
            "browserMode",
            (
                "browserMode is required (must be 'electron-embedded-browser', 'local-browser-service', "
                "or 'remote-cdp-websocket')"
            ),
        ),
        (
            {"browserMode": "netscape"},
            "browserMode",
            "browserMode must be one of: [electron-embedded-browser local-browser-service remote-cdp-websocket]",
        ),
        (
            {"browserMode": "remote-cdp-websocket"},
            "cdpUrl",
            "cdpUrl is required when browserMode is 'remote-cdp-websocket'",
        ),
        (
            {"browserMode": "remote-cdp-websocket", "cdpUrl": "http://x"},
            "cdpUrl",
            "cdpUrl must start with 'ws://' or 'wss://'",
        ),
        (
            {"browserMode": "local-browser-service", "cdpUrl": "ws://x"},
            "cdpUrl",
            "cdpUrl can only be set when browserMode is 'remote-cdp-websocket'",
        ),
    ],
)
def test_browser_problems_are_validation_errors(
    make_state: Callable[..., ServerState], api: str, extra: dict[str, Any], field: str, words: str
) -> None:
    state = make_state(api)
    error = refused(state, {"title": "t"} | extra)
    assert (error.status, error.type) == (400, "validation_error")
    assert error.message == f"Validation error for field '{field}': {words}"
    assert state.sessions.listing(include_subagents=True) == []


@pytest.mark.parametrize("url", ["ws://h/1", "wss://h/1"])
def test_a_remote_browser_keeps_its_address(state: ServerState, url: str) -> None:
    made = state.sessions.create({"title": "t", "browserMode": "remote-cdp-websocket", "cdpUrl": url})
    assert made["cdpUrl"] == url
    assert state.sessions.facts(made["id"]).browser_mode == "remote-cdp-websocket"


@pytest.mark.parametrize(
    ("extra", "accepted"),
    [
        ({}, True),
        ({"provider": "openai"}, True),
        ({"modelId": "o3", "provider": "openai"}, True),
        ({"modelId": "brand-new", "provider": "openai"}, True),
        ({"modelId": "o3"}, False),
        ({"modelId": "o3", "provider": "anthropic"}, False),
        ({"provider": "nobody"}, False),
    ],
)
def test_models_go_with_their_provider(
    make_state: Callable[..., ServerState], extra: dict[str, Any], accepted: bool
) -> None:
    state = make_state("next")
    body = {"title": "t"} | BROWSER | extra
    if accepted:
        made = state.sessions.create(body)
        assert {key: made[key] for key in extra} == extra
    else:
        assert refused(state, body).status == 400
