"""Every other operation, sync and async, on every generation: what it gives where it exists, what it says where not."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from langchain_mix.client import (
    BrowserMode,
    Callback,
    Mix,
    RetryConfig,
    errors,
)
from langchain_mix.emulator import (
    Gate,
    HttpError,
    Script,
    SlowReply,
)
from langchain_mix.protocol.api import CAPABILITIES, ApiVersion

pytestmark = pytest.mark.timeout(60)

ALL = ("0.5", "0.6", "0.6.5", "0.7", "0.8", "next")
ANTHROPIC = "sk-ant-" + "a" * 40


def caps(api: str) -> Any:
    return CAPABILITIES[ApiVersion(api)]


@pytest.mark.parametrize("api", ALL)
def test_authentication(users: Any, api: str) -> None:
    user = users(api)
    assert user("authentication.store_api_key", api_key=ANTHROPIC, provider="anthropic").status == "success"
    assert user("authentication.get_auth_status").providers["anthropic"].authenticated
    checked = user("authentication.validate_preferred_provider")
    assert isinstance(checked.valid, bool)
    started = user("authentication.start_o_auth_flow", provider="anthropic")
    assert started.state
    with pytest.raises(errors.MixBadRequestError):
        user("authentication.handle_o_auth_callback", code="x", provider="anthropic", state="another")
    assert user("authentication.delete_credentials", provider="anthropic").status == "success"
    assert not user("authentication.get_auth_status").providers["anthropic"].authenticated
    with pytest.raises(errors.MixBadRequestError) as caught:
        user("authentication.store_api_key", api_key="short-secret", provider="anthropic")
    assert "short-secret" not in repr(caught.value) + str(caught.value)


@pytest.mark.parametrize("operation", ["authentication", "health"])
@pytest.mark.parametrize("api", ALL)
def test_oauth_health(users: Any, api: str, operation: str) -> None:
    user = users(api)
    if not caps(api).oauth_health:
        user.unsupported(f"{operation}.get_o_auth_health")
        return
    assert user(f"{operation}.get_o_auth_health").status in {"healthy", "degraded", "unhealthy"}


@pytest.mark.parametrize("operation", ["authentication", "internal"])
@pytest.mark.parametrize("api", ALL)
def test_refreshing_oauth_tokens(users: Any, api: str, operation: str) -> None:
    user = users(api)
    if not caps(api).oauth_health:
        user.unsupported(f"{operation}.refresh_o_auth_tokens")
        return
    assert user(f"{operation}.refresh_o_auth_tokens").status


@pytest.mark.parametrize("api", ALL)
def test_sessions(users: Any, api: str) -> None:
    user = users(api)
    made = user("sessions.create", title="Demo")
    assert made.title == "Demo"
    assert [s.id for s in user("sessions.list")] == [made.id]
    assert [s.id for s in user("sessions.list", include_subagents=True)] == [made.id]
    assert user("sessions.get", id=made.id).id == made.id
    assert user("sessions.cancel_processing", id=made.id).cancelled
    user("messages.send", id=made.id, text="Hello")
    first = user("messages.list_session", id=made.id)[0]
    assert user("sessions.rewind_session", id=made.id, message_id=first.id).id == made.id
    assert [m.id for m in user("sessions.export_session", id=made.id).messages] == [first.id]
    assert user("sessions.delete", id=made.id) is None
    with pytest.raises(errors.MixNotFoundError):
        user("sessions.get", id=made.id)


@pytest.mark.parametrize("api", ALL)
def test_fork(users: Any, api: str) -> None:
    user = users(api)
    session = user.session()
    user("messages.send", id=session, text="Hello")
    if not caps(api).fork:
        user.unsupported("sessions.fork", id=session, message_index=1)
        return
    forked = user("sessions.fork", id=session, message_index=1, title="Branch")
    assert forked.title == "Branch"
    assert [m.user_input for m in user("messages.list_session", id=forked.id)] == ["Hello"]


@pytest.mark.parametrize("api", ALL)
def test_callbacks(users: Any, api: str) -> None:
    user = users(api)
    session = user.session()
    wanted = [
        Callback(tool_name="*", type="send_message", message_content="Go on"),
        {"toolName": "Bash", "type": "bash_script", "bashCommand": "ls"},
    ]
    if not caps(api).callbacks:
        user.unsupported("sessions.update_session_callbacks", id=session, callbacks=wanted)
        user.unsupported("sessions.create", title="Demo", callbacks=wanted)
        return
    kept = user("sessions.update_session_callbacks", id=session, callbacks=wanted).callbacks
    assert [(c.tool_name, c.type) for c in kept] == [("*", "send_message"), ("Bash", "bash_script")]
    made = user("sessions.create", title="Demo", callbacks=wanted)
    assert [c.type for c in user("sessions.get", id=made.id).callbacks] == ["send_message", "bash_script"]


@pytest.mark.parametrize("browser_mode", [BrowserMode.ELECTRON_EMBEDDED_BROWSER, "electron-embedded-browser"])
@pytest.mark.parametrize("api", ALL)
def test_browser_mode(users: Any, api: str, browser_mode: Any) -> None:
    user = users(api)
    if not caps(api).browser_mode:
        user.unsupported("sessions.create", title="Demo", browser_mode=browser_mode)
        return
    created = user("sessions.create", title="Demo", browser_mode=browser_mode)
    assert created.browser_mode == "electron-embedded-browser"
    assert user("sessions.create", title="Demo").browser_mode == "local-browser-service"


def test_a_session_is_created_once(users: Any) -> None:
    user = users("0.8")
    user.session()
    user.session()
    assert [r.status for r in user.server.requests] == [400, 201, 201], "the browser mode is learnt once"
    assert len(user("sessions.list")) == 2


@pytest.mark.parametrize("api", ALL)
def test_preferences(users: Any, api: str) -> None:
    user = users(api)
    operations = ("get_preferences", "get_available_providers", "reset_preferences")
    if not caps(api).preferences:
        for operation in operations:
            user.unsupported(f"preferences.{operation}")
        user.unsupported("preferences.update_preferences", preferred_provider="anthropic")
        return
    providers = user("preferences.get_available_providers")
    model = providers["openai"].models[0]
    changed = user(
        "preferences.update_preferences", preferred_provider="openai", main_agent_model=model, main_agent_max_tokens=99
    )
    assert (changed.preferred_provider, changed.main_agent_model, changed.main_agent_max_tokens) == (
        "openai",
        model,
        99,
    )
    assert user("preferences.get_preferences").preferences.main_agent_max_tokens == 99
    assert user("preferences.reset_preferences").preferred_provider == "anthropic"
    with pytest.raises(errors.MixInputError):
        user("preferences.update_preferences", main_agent_max_tokens=5)


@pytest.mark.parametrize("api", ALL)
def test_system(users: Any, api: str) -> None:
    user = users(api)
    assert user("system.get_health").status == "ok"
    assert user("system.get_system_info").storage_base_path
    commands = user("system.list_commands")
    assert "help" in [c.name for c in commands]
    assert user("system.get_command", name="help").name == "help"
    with pytest.raises(errors.MixNotFoundError):
        user("system.get_command", name="no such one")
    assert isinstance(user("system.list_mcp_servers"), list)


@pytest.mark.parametrize("api", ALL)
def test_tools(users: Any, api: str) -> None:
    user = users(api)
    if caps(api).llm_tools:
        assert "Bash" in [t.name for t in user("tools.list_llm_tools").tools]
        assert user("tools.get_tool_credentials_status").categories
    else:
        user.unsupported("tools.list_llm_tools")
        user.unsupported("tools.get_tool_credentials_status")
    if caps(api).tools_status:
        categories = user("tools.get_tools_status").categories
        assert all(tool.display_name for c in categories.values() for tool in c.tools)
    else:
        user.unsupported("tools.get_tools_status")


@pytest.mark.parametrize("known", [True, False])
def test_an_operation_that_is_not_there_sends_nothing_once_that_is_known(users: Any, known: bool) -> None:
    user = users("0.8", client_api="0.8" if known else "auto")
    user.unsupported("sessions.fork", id="x", message_index=0)
    assert len(user.server.requests) == (0 if known else 2)


def test_a_wrong_base_url_is_not_taken_for_an_old_server(users: Any) -> None:
    user = users("0.8")
    with Mix(server_url=user.server.url + "/elsewhere") as mix, pytest.raises(errors.MixDefaultError) as caught:
        mix.tools.list_llm_tools()
    assert caught.value.status_code == 404


def test_a_proxy_is_not_taken_for_an_old_server(users: Any) -> None:
    user = users("0.8", mix={"retry_config": RetryConfig("none")})
    user.server.faults.add(HttpError("GET /api/tools", status=404, body="<html>nginx</html>", content_type="text/html"))
    with pytest.raises(errors.MixNotAServerError):
        user("tools.list_llm_tools")


def test_options_of_one_call(users: Any) -> None:
    user = users("0.8")
    gate = Gate()
    user.server.faults.add(SlowReply("GET /health", gate=gate))
    with pytest.raises(errors.MixTimeoutError):
        user("system.get_health", timeout_ms=200, retries=RetryConfig("none"), http_headers={"X-Trace": "7"})
    gate.open()
    assert user.server.requests[-1].headers["x-trace"] == "7"
    assert len(user.server.requests) == 1


def test_both_ways_at_once(users: Any) -> None:
    user = users("0.8", Script("Hi!", "Hi!"))

    async def main() -> list[str]:
        async with user.mix as mix:
            made = await mix.sessions.create_async(title="Demo")
            return [s.id for s in mix.sessions.list()] + [made.id]

    assert len(set(user.runner.run(main()))) == 1


def test_every_operation_is_exercised_here() -> None:
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("*.py"))
    groups = (n for n, v in vars(Mix).items() if not n.startswith("_") and hasattr(v, "func"))
    with Mix() as mix:
        operations = [
            f"{group}.{name}"
            for group in groups
            for name, function in inspect.getmembers(getattr(mix, group), inspect.ismethod)
            if not name.startswith("_") and not name.endswith("_async") and name != "known"
        ]
    assert len(operations) >= 44
    missing = [o for o in operations if f'"{o}"' not in text and not re.search(rf'[.}}"]{o.split(".")[1]}\b', text)]
    assert missing == []
