"""One client of one server: its options, its parts, what it shows of itself."""

from __future__ import annotations

import inspect
import logging

import httpx
import pytest

from langchain_mix.client import ApiVersion, Mix, errors


def test_the_documented_order_of_arguments() -> None:
    parameters = list(inspect.signature(Mix).parameters.values())
    assert [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY] == [
        "server_idx", "server_url", "url_params", "client", "async_client", "retry_config", "timeout_ms", "debug_logger",
    ]  # fmt: skip
    assert all(p.default is not p.empty for p in parameters)
    Mix(None, "http://host:1", {}, httpx.Client(), None, None, 5, logging.getLogger("x"))


def test_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIX_SERVER_URL", raising=False)
    assert Mix().server_url == "http://localhost:8088"
    monkeypatch.setenv("MIX_SERVER_URL", "http://elsewhere:1/")
    assert Mix().server_url == "http://elsewhere:1"
    assert Mix(server_url="https://{name}.test/base/", url_params={"name": "mix"}).server_url == "https://mix.test/base"
    for wrong in ("ftp://x", "nonsense", "http://"):
        with pytest.raises(errors.MixConfigurationError):
            Mix(server_url=wrong)


def test_no_secret_is_shown() -> None:
    mix = Mix(server_url="http://user:hunter2@host:1", headers={"Authorization": "Bearer hunter2"})
    assert repr(mix) == "Mix('http://host:1')"
    assert "hunter2" not in repr(mix) + str(vars(mix)) + repr(mix.sessions) + repr(mix._core.settings)


def test_the_generation() -> None:
    assert Mix().api is None
    assert Mix().known == set(ApiVersion)
    assert Mix(api="0.8").api is ApiVersion.V0_8
    assert Mix(api="0.8").known == {ApiVersion.V0_8}
    with pytest.raises(errors.MixConfigurationError, match="not a Mix API generation"):
        Mix(api="0.9")


def test_parts_are_made_once() -> None:
    mix = Mix()
    for name in (
        "authentication", "sessions", "messages", "files", "streaming", "permissions", "notifications", "preferences",
        "system", "health", "internal", "tools",
    ):  # fmt: skip
        assert getattr(mix, name) is getattr(mix, name)
        assert type(getattr(mix, name)).__name__ == name.capitalize()
        assert "localhost:8088" in repr(getattr(mix, name))


def test_nothing_is_opened_before_it_is_needed() -> None:
    with Mix() as mix:
        assert vars(mix._sync.connections)["_calls"] is None
    mix.close()


async def test_both_kinds_of_block() -> None:
    async with Mix() as mix:
        assert mix.server_url
    await mix.aclose()


def test_a_client_of_the_users_is_left_open() -> None:
    own = httpx.Client()
    with Mix(client=own):
        pass
    assert not own.is_closed
    own.close()


@pytest.mark.parametrize("turn", ["turn", "turn_async"])
def test_a_turn_checks_its_arguments_first(turn: str) -> None:
    start = getattr(Mix(), turn)
    for wrong in ({"timeout": 0}, {"permissions": "perhaps"}, {"multitask_strategy": "interrupt"}):
        with pytest.raises(errors.MixInputError):
            start("S", "text", **wrong)
    assert not inspect.iscoroutine(start("S", "text"))


def test_the_policy_of_a_sent_message_is_checked_too() -> None:
    with pytest.raises(errors.MixInputError):
        Mix().messages.send(id="S", text="text", permissions="perhaps")  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["ftp://me:hush@host", "http://me:hush@host:port", "http://me:hush@host/?q=1"])
def test_a_url_that_is_refused_is_shown_without_its_password(url):
    with pytest.raises(errors.MixConfigurationError) as caught:
        Mix(server_url=url)
    assert "host" in str(caught.value)
    assert "hush" not in str(caught.value)
