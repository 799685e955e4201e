from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from langchain_mix.emulator.world import World, WorldError

ANTHROPIC = "sk-ant-" + "a" * 33
OPENAI = "sk-" + "o" * 37


def store(world: World, provider: str, key: str) -> dict[str, Any]:
    return world.store_api_key({"provider": provider, "api_key": key})


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
def test_keys_of_the_right_form_are_stored(world: World, provider: str, key: str) -> None:
    expected = {"message": "API key stored successfully", "provider": provider, "status": "success"}
    assert store(world, provider, key) == expected
    status = world.auth_status()["providers"]
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
def test_bad_keys_are_refused_without_showing_them(world: World, body: dict[str, Any], kind: str) -> None:
    with pytest.raises(WorldError) as caught:
        world.store_api_key(body)
    assert (caught.value.status, caught.value.type) == (400, kind)
    if len(str(body.get("api_key") or "")) > 10:
        assert body["api_key"] not in repr(caught.value) + caught.value.message


def test_the_key_itself_is_not_on_the_disk(make_world: Callable[..., World], tmp_path: Path) -> None:
    world = make_world()
    store(world, "anthropic", ANTHROPIC)
    every = list((tmp_path / "data").rglob("*"))
    assert any(path.name.endswith("-wal") for path in every)
    assert not any(ANTHROPIC.encode() in path.read_bytes() for path in every if path.is_file())
    world.close()
    assert not any(ANTHROPIC.encode() in path.read_bytes() for path in every if path.is_file())


def test_deleting_is_idempotent(world: World) -> None:
    store(world, "anthropic", ANTHROPIC)
    for _ in range(2):
        answer = world.delete_credentials("anthropic")
        assert (answer["provider"], answer["status"], set(answer)) == (
            "anthropic",
            "success",
            {"message", "provider", "status"},
        )
        assert not world.auth_status()["providers"]["anthropic"]["authenticated"]
    with pytest.raises(WorldError) as caught:
        world.delete_credentials("nobody")
    assert (caught.value.status, caught.value.type) == (400, "INVALID_PROVIDER")


def test_status_shows_methods_and_the_star(world: World) -> None:
    store(world, "openai", OPENAI)
    world.update_preferences({"preferred_provider": "openai"})
    assert world.auth_status() == {
        "providers": {
            "anthropic": {"auth_method": "none", "authenticated": False, "display_name": "Anthropic (Claude)"},
            "openai": {"auth_method": "api_key", "authenticated": True, "display_name": "OpenAI ⭐"},
            "openrouter": {"auth_method": "none", "authenticated": False, "display_name": "OpenRouter"},
        }
    }


def test_everything_runs_without_a_key_unless_one_is_required(world: World) -> None:
    assert world.has_provider_credential()
    world.auth_required = True
    assert not world.has_provider_credential()
    assert world.auth_help_text().startswith("⚠️ Not authenticated with Anthropic (Claude) (your preferred provider)")
    store(world, "gemini", "g" * 30)
    store(world, "openrouter", "r" * 40)
    assert not world.has_provider_credential(), "a fresh server prefers anthropic"
    store(world, "anthropic", ANTHROPIC)
    assert world.has_provider_credential()


def test_only_the_preferred_provider_counts(world: World) -> None:
    world.auth_required = True
    world.update_preferences({"preferred_provider": "openai"})
    store(world, "anthropic", ANTHROPIC)
    assert not world.has_provider_credential()
    assert world.auth_help_text().startswith("⚠️ Not authenticated with OpenAI (your preferred provider)")
    store(world, "openai", OPENAI)
    assert world.has_provider_credential()


def test_validation_of_the_preferred_provider(world: World) -> None:
    missing = world.validate_preferred()
    assert (missing["valid"], missing["provider"], missing["auth_method"]) == (False, "anthropic", "none")
    assert missing["message"] == "Please authenticate with anthropic first"
    store(world, "anthropic", ANTHROPIC)
    valid = world.validate_preferred()
    assert (valid["valid"], valid["provider"], valid["auth_method"]) == (True, "anthropic", "api_key")
    assert valid["message"] == "Ready to use anthropic"
    assert list(valid) == ["valid", "provider", "auth_method", "message"]


def test_a_sign_in_from_begin_to_end(world: World) -> None:
    begun = world.start_oauth("anthropic")
    assert set(begun) == {"auth_url", "message", "state"}
    assert parse_qs(urlsplit(begun["auth_url"]).query)["state"] == [begun["state"]]
    assert urlsplit(begun["auth_url"]).hostname.endswith(".invalid")
    answer = {"provider": "anthropic", "code": "c", "state": begun["state"]}
    ended = world.finish_oauth(answer)
    assert (ended["status"], ended["provider"], ended["expires_in"]) == ("success", "anthropic", 28800)
    assert world.auth_status()["providers"]["anthropic"]["auth_method"] == "oauth"
    with pytest.raises(WorldError) as caught:
        world.finish_oauth(answer)
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
def test_bad_sign_ins(world: World, answer: dict[str, Any], kind: str) -> None:
    with pytest.raises(WorldError) as caught:
        world.finish_oauth(answer)
    assert (caught.value.status, caught.value.type) == (400, kind)


def test_only_anthropic_has_a_sign_in(world: World) -> None:
    for provider in ("openai", "openrouter", "nobody"):
        with pytest.raises(WorldError) as caught:
            world.start_oauth(provider)
        assert (caught.value.status, caught.value.type) == (400, "OAUTH_NOT_SUPPORTED")


def test_tokens_expire_and_are_renewed(world: World, clock: Any) -> None:
    assert world.oauth_health() == {
        "status": "healthy",
        "timestamp": "2025-10-09T08:53:20Z",
        "providers": {"anthropic": {"provider": "anthropic", "status": "not_found"}},
    }
    state = world.start_oauth("anthropic")["state"]
    world.finish_oauth({"provider": "anthropic", "code": "c", "state": state})
    assert world.oauth_health()["providers"]["anthropic"] == {
        "provider": "anthropic",
        "status": "active",
        "expires_at": "2025-10-09T16:53:20Z",
        "expires_in": "28800s",
        "last_refresh": "2025-10-09T08:53:20Z",
    }
    clock.now += 28800
    expired = world.oauth_health()
    assert (expired["status"], expired["providers"]["anthropic"]["status"]) == ("degraded", "expired")
    assert set(world.refresh_tokens()) == {"message", "status"}
    assert world.oauth_health()["providers"]["anthropic"]["status"] == "active"


def test_credentials_survive_a_restart(make_world: Callable[..., World]) -> None:
    first = make_world()
    store(first, "anthropic", ANTHROPIC)
    state = first.start_oauth("anthropic")["state"]
    first.close()
    second = make_world()
    assert second.auth_status()["providers"]["anthropic"]["auth_method"] == "api_key"
    second.finish_oauth({"provider": "anthropic", "code": "c", "state": state})
    assert second.auth_status()["providers"]["anthropic"]["auth_method"] == "oauth"
