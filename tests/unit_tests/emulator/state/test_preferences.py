from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from langchain_mix.emulator.state import ApiError, ServerState

DEFAULTS = {
    "preferred_provider": "anthropic",
    "main_agent_model": "claude-sonnet-4-5",
    "main_agent_max_tokens": 4096,
    "main_agent_reasoning_effort": "",
    "sub_agent_model": "claude-sonnet-4-5",
    "sub_agent_max_tokens": 2048,
    "sub_agent_reasoning_effort": "",
    "created_at": 1_760_000_000,
    "updated_at": 1_760_000_000,
}


FRESH = DEFAULTS | {"main_agent_reasoning_effort": "medium", "sub_agent_reasoning_effort": "medium"}


def test_a_fresh_server_has_a_provider_and_medium_efforts(state: ServerState) -> None:
    body = state.preferences.get()
    assert body["preferences"] == FRESH
    assert list(body["preferences"]) == list(DEFAULTS)
    assert body["available_providers"] == state.preferences.providers()
    assert set(state.preferences.providers()) == {"anthropic", "openai", "openrouter"}
    assert set(state.preferences.providers()["openai"]) == {"display_name", "models"}


def test_early_servers_have_the_model_before(make_state: Callable[..., ServerState]) -> None:
    state = make_state("0.5")
    assert state.preferences.get()["preferences"]["main_agent_model"] == "claude-4-sonnet"
    assert state.preferences.reset()["sub_agent_model"] == "claude-4-sonnet"
    with pytest.raises(ApiError, match="Invalid provider: gemini"):
        state.preferences.update({"preferred_provider": "gemini"})


def test_a_provider_missing_from_older_data_is_filled_in(
    make_state: Callable[..., ServerState], tmp_path: Path
) -> None:
    first = make_state()
    first.preferences.update({"main_agent_model": "o3"})
    first.close()
    with closing(sqlite3.connect(tmp_path / "data" / "mix.sqlite3")) as database, database:
        database.execute("UPDATE preferences SET value = '' WHERE name = 'preferred_provider'")
    preferences = make_state().preferences.get()["preferences"]
    assert (preferences["preferred_provider"], preferences["main_agent_model"]) == ("anthropic", "o3")


def test_an_update_is_partial_and_echoed(state: ServerState, clock: Any) -> None:
    clock.now += 60
    changed = state.preferences.update({"preferred_provider": "openai"})
    assert changed == FRESH | {"preferred_provider": "openai", "updated_at": 1_760_000_060}
    assert state.preferences.get()["preferences"] == changed
    assert state.preferences.update({"unknown": 1, "main_agent_model": None}) == changed


def test_a_model_resets_tokens_and_effort_of_its_agent(state: ServerState) -> None:
    body = {"main_agent_model": "o3", "main_agent_max_tokens": 100, "main_agent_reasoning_effort": "high"}
    changed = state.preferences.update(body)
    assert {key: changed[key] for key in body} == body
    changed = state.preferences.update({"main_agent_model": "o4-mini"})
    assert (changed["main_agent_max_tokens"], changed["main_agent_reasoning_effort"]) == (4096, "")
    changed = state.preferences.update({"sub_agent_model": "o4-mini"})
    assert changed["sub_agent_max_tokens"] == 2048


def test_tokens_and_effort_without_a_model_are_ignored(state: ServerState) -> None:
    changed = state.preferences.update({"main_agent_max_tokens": 7, "sub_agent_reasoning_effort": "low"})
    assert (changed["main_agent_max_tokens"], changed["sub_agent_reasoning_effort"]) == (4096, "medium")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"preferred_provider": "nobody"}, "INVALID_PROVIDER"),
        ({"preferred_provider": ""}, "INVALID_PROVIDER"),
        ({"main_agent_model": "x"}, "INVALID_MODEL"),
        ({"sub_agent_model": ""}, "INVALID_MODEL"),
        ({"main_agent_max_tokens": 0}, "INVALID_TOKEN_COUNT"),
        ({"sub_agent_max_tokens": -1}, "INVALID_TOKEN_COUNT"),
        ({"main_agent_reasoning_effort": "extreme"}, "INVALID_REASONING_EFFORT"),
        ({"main_agent_max_tokens": "7"}, "INVALID_JSON"),
        ({"main_agent_max_tokens": 2**64}, "INVALID_JSON"),
        ({"main_agent_model": 7}, "INVALID_JSON"),
    ],
)
def test_bad_values_change_nothing(state: ServerState, body: dict[str, Any], kind: str) -> None:
    before = state.preferences.get()
    with pytest.raises(ApiError) as caught:
        state.preferences.update({"preferred_provider": "openai"} | body)
    assert (caught.value.status, caught.value.type) == (400, kind)
    assert state.preferences.get() == before


def test_reset_restores_the_defaults(state: ServerState, clock: Any) -> None:
    state.preferences.update({"preferred_provider": "openai", "main_agent_model": "o3"})
    assert state.preferences.reset() == DEFAULTS
    assert state.preferences.get()["preferences"] == DEFAULTS


def test_preferences_survive_a_restart(make_state: Callable[..., ServerState]) -> None:
    first = make_state()
    changed = first.preferences.update({"preferred_provider": "openrouter"})
    first.close()
    assert make_state().preferences.get()["preferences"] == changed
