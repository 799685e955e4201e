from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from langchain_mix.emulator.state import ApiError, ServerState

ANTHROPIC = "sk-ant-" + "a" * 33
OPENAI = "sk-" + "o" * 37


def store(state: ServerState, provider: str, key: str) -> dict[str, Any]:
    return state.credentials.store_api_key({"provider": provider, "api_key": key})


@pytest.mark.parametrize(
    ("provider", "key"),
    [
        ("anthropic", ANTHROPIC),
        ("openai", OPENAI),
        ("openrouter", "r" * 40),
        ("gemini", "g" * 30),
        ("brave", "b" * 30),
    ],
)
def test_keys_of_the_right_form_are_stored(state: ServerState, provider: str, key: str) -> None:
    expected = {"message": "API key stored successfully", "provider": provider, "status": "success"}
    assert store(state, provider, key) == expected
    status = state.credentials.status()["providers"]
    assert [name for name in status if status[name]["authenticated"]] == ([provider] if provider in status else [])


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({}, "MISSING_PROVIDER"),
        ({"provider": "", "api_key": ANTHROPIC}, "MISSING_PROVIDER"),
        ({"provider": "anthropic"}, "MISSING_API_KEY"),
        ({"provider": "anthropic", "api_key": ""}, "MISSING_API_KEY"),
        ({"provider": "nobody", "api_key": "x" * 50}, "INVALID_PROVIDER"),
        ({"provider": "anthropic", "api_key": ANTHROPIC[:-1]}, "INVALID_API_KEY_FORMAT"),
        ({"provider": "anthropic", "api_key": "x" * 50}, "INVALID_API_KEY_FORMAT"),
        ({"provider": "openai", "api_key": "x" * 50}, "INVALID_API_KEY_FORMAT"),
        ({"provider": "openai", "api_key": OPENAI[:-1]}, "INVALID_API_KEY_FORMAT"),
        ({"provider": "openrouter", "api_key": "x" * 39}, "INVALID_API_KEY_FORMAT"),
        ({"provider": "gemini", "api_key": "x" * 29}, "INVALID_API_KEY_FORMAT"),
        ({"provider": "brave", "api_key": "x" * 29}, "INVALID_API_KEY_FORMAT"),
        ({"provider": 3, "api_key": ANTHROPIC}, "INVALID_JSON"),
        ({"provider": "anthropic", "api_key": 3}, "INVALID_JSON"),
    ],
)
def test_bad_keys_are_refused_without_showing_them(state: ServerState, body: dict[str, Any], kind: str) -> None:
    with pytest.raises(ApiError) as caught:
        state.credentials.store_api_key(body)
    assert (caught.value.status, caught.value.type) == (400, kind)
    if len(str(body.get("api_key") or "")) > 10:
        assert body["api_key"] not in repr(caught.value) + caught.value.message


def test_the_key_itself_is_not_on_the_disk(make_state: Callable[..., ServerState], tmp_path: Path) -> None:
    state = make_state(temporary=False)
    store(state, "anthropic", ANTHROPIC)
    every = list((tmp_path / "data").rglob("*"))
    assert any(path.name.endswith("-wal") for path in every)
    assert not any(ANTHROPIC.encode() in path.read_bytes() for path in every if path.is_file())
    state.close()
    assert not any(ANTHROPIC.encode() in path.read_bytes() for path in every if path.is_file())


def test_deleting_is_idempotent(state: ServerState) -> None:
    store(state, "anthropic", ANTHROPIC)
    for _ in range(2):
        answer = state.credentials.delete("anthropic")
        assert (answer["provider"], answer["status"], set(answer)) == (
            "anthropic",
            "success",
            {"message", "provider", "status"},
        )
        assert not state.credentials.status()["providers"]["anthropic"]["authenticated"]
    with pytest.raises(ApiError) as caught:
        state.credentials.delete("nobody")
    assert (caught.value.status, caught.value.type) == (400, "INVALID_PROVIDER")


def test_status_shows_methods_and_the_star(state: ServerState) -> None:
    store(state, "openai", OPENAI)
    state.preferences.update({"preferred_provider": "openai"})
    assert state.credentials.status() == {
        "providers": {
            "anthropic": {"auth_method": "none", "authenticated": False, "display_name": "Anthropic (Claude)"},
            "openai": {"auth_method": "api_key", "authenticated": True, "display_name": "OpenAI ⭐"},
            "openrouter": {"auth_method": "none", "authenticated": False, "display_name": "OpenRouter"},
        }
    }


def test_everything_runs_without_a_key_unless_one_is_required(state: ServerState) -> None:
    assert state.accepts_messages()
    state.auth_required = True
    assert not state.accepts_messages()
    assert state.credentials.help_text().startswith(
        "⚠️ Not authenticated with Anthropic (Claude) (your preferred provider)"
    )
    store(state, "gemini", "g" * 30)
    store(state, "openrouter", "r" * 40)
    assert not state.accepts_messages(), "a fresh server prefers anthropic"
    store(state, "anthropic", ANTHROPIC)
    assert state.accepts_messages()


def test_only_the_preferred_provider_counts(state: ServerState) -> None:
    state.auth_required = True
    state.preferences.update({"preferred_provider": "openai"})
    store(state, "anthropic", ANTHROPIC)
    assert not state.accepts_messages()
    assert state.credentials.help_text().startswith("⚠️ Not authenticated with OpenAI (your preferred provider)")
    store(state, "openai", OPENAI)
    assert state.accepts_messages()


def test_validation_of_the_preferred_provider(state: ServerState) -> None:
    missing = state.credentials.validate_preferred()
    assert (missing["valid"], missing["provider"], missing["auth_method"]) == (False, "anthropic", "none")
    assert missing["message"] == "Please authenticate with anthropic first"
    store(state, "anthropic", ANTHROPIC)
    valid = state.credentials.validate_preferred()
    assert (valid["valid"], valid["provider"], valid["auth_method"]) == (True, "anthropic", "api_key")
    assert valid["message"] == "Ready to use anthropic"
    assert list(valid) == ["valid", "provider", "auth_method", "message"]


def test_a_sign_in_from_begin_to_end(state: ServerState) -> None:
    begun = state.credentials.start_oauth("anthropic")
    assert set(begun) == {"auth_url", "message", "state"}
    assert parse_qs(urlsplit(begun["auth_url"]).query)["state"] == [begun["state"]]
    assert urlsplit(begun["auth_url"]).hostname.endswith(".invalid")
    answer = {"provider": "anthropic", "code": "c", "state": begun["state"]}
    ended = state.credentials.finish_oauth(answer)
    assert (ended["status"], ended["provider"], ended["expires_in"]) == ("success", "anthropic", 28800)
    assert state.credentials.status()["providers"]["anthropic"]["auth_method"] == "oauth"
    with pytest.raises(ApiError) as caught:
        state.credentials.finish_oauth(answer)
    assert caught.value.type == "INVALID_STATE", "a state works once"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"provider": "anthropic", "state": "s"}, "MISSING_CODE"),
        ({"provider": "anthropic", "code": "c"}, "INVALID_STATE"),
        ({"provider": "anthropic", "code": "c", "state": "made up"}, "INVALID_STATE"),
        ({"provider": "openai", "code": "c", "state": "s"}, "OAUTH_NOT_SUPPORTED"),
        ({"code": "c", "state": "s"}, "OAUTH_NOT_SUPPORTED"),
    ],
)
def test_bad_sign_ins(state: ServerState, answer: dict[str, Any], kind: str) -> None:
    with pytest.raises(ApiError) as caught:
        state.credentials.finish_oauth(answer)
    assert (caught.value.status, caught.value.type) == (400, kind)


def test_only_anthropic_has_a_sign_in(state: ServerState) -> None:
    for provider in ("openai", "openrouter", "nobody"):
        with pytest.raises(ApiError) as caught:
            state.credentials.start_oauth(provider)
        assert (caught.value.status, caught.value.type) == (400, "OAUTH_NOT_SUPPORTED")


def test_tokens_expire_and_are_renewed(state: ServerState, clock: Any) -> None:
    assert state.credentials.health() == {
        "status": "healthy",
        "timestamp": "2025-10-09T08:53:20Z",
        "providers": {"anthropic": {"provider": "anthropic", "status": "not_found"}},
    }
    begun = state.credentials.start_oauth("anthropic")["state"]
    state.credentials.finish_oauth({"provider": "anthropic", "code": "c", "state": begun})
    assert state.credentials.health()["providers"]["anthropic"] == {
        "provider": "anthropic",
        "status": "active",
        "expires_at": "2025-10-09T16:53:20Z",
        "expires_in": "28800s",
        "last_refresh": "2025-10-09T08:53:20Z",
    }
    clock.now += 28800
    expired = state.credentials.health()
    assert (expired["status"], expired["providers"]["anthropic"]["status"]) == ("degraded", "expired")
    assert set(state.credentials.refresh()) == {"message", "status"}
    assert state.credentials.health()["providers"]["anthropic"]["status"] == "active"


def test_credentials_survive_a_restart(make_state: Callable[..., ServerState]) -> None:
    first = make_state()
    store(first, "anthropic", ANTHROPIC)
    state = first.credentials.start_oauth("anthropic")["state"]
    first.close()
    second = make_state()
    assert second.credentials.status()["providers"]["anthropic"]["auth_method"] == "api_key"
    second.credentials.finish_oauth({"provider": "anthropic", "code": "c", "state": state})
    assert second.credentials.status()["providers"]["anthropic"]["auth_method"] == "oauth"
