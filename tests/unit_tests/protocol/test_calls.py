"""Every builder: what it puts on the wire, what it refuses before that, and what replies mean and show."""

import ast
import json
import re
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote

import pytest

import langchain_mix
from langchain_mix import errors
from langchain_mix.protocol import calls, models
from langchain_mix.protocol.api import ALL, CAPABILITIES, UNKNOWN, ApiKnowledge, ApiVersion, before, having, since
from langchain_mix.protocol.call import FilePart, Reply
from langchain_mix.protocol.calls import PROMPT_LIMITS
from langchain_mix.protocol.models import Callback, SendMessageResponse, SessionData

V05, V06, V065, V07, V08, NEXT = (ApiKnowledge([version]) for version in ALL)
PART = FilePart("a.txt", b"x")
SCRIPT = {"tool_name": "Bash", "type": "bash_script", "bash_command": "true"}


def reply(status, body=None, **headers):
    return Reply(status, headers, b"" if body is None else json.dumps(body).encode())


# name, call, method, path, query, body, idempotent, statuses
WIRE = [
    ("list_sessions", calls.list_sessions(UNKNOWN), "GET", "/api/sessions", (), None, True, (200,)),
    (
        "list_sessions",
        calls.list_sessions(UNKNOWN, include_subagents=True),
        "GET",
        "/api/sessions",
        (("includeSubagents", "true"),),
        None,
        True,
        (200,),
    ),
    (
        "list_sessions",
        calls.list_sessions(V07, include_subagents=False),
        "GET",
        "/api/sessions",
        (("includeSubagents", "false"),),
        None,
        True,
        (200,),
    ),
    (
        "create_session",
        calls.create_session(UNKNOWN, title="T"),
        "POST",
        "/api/sessions",
        (),
        {"title": "T"},
        False,
        (201,),
    ),
    (
        "create_session",
        calls.create_session(
            NEXT,
            title=" ",
            custom_system_prompt="p",
            prompt_mode=models.PromptMode.APPEND,
            callbacks=[Callback(tool_name="*", type="send_message", message_content="m"), SCRIPT],
            session_type="main",
            subagent_type="",
            browser_mode="remote-cdp-websocket",
            cdp_url="wss://x",
            model_id="m",
            provider=models.Provider.ANTHROPIC,
        ),
        "POST",
        "/api/sessions",
        (),
        {
            "title": " ",
            "customSystemPrompt": "p",
            "promptMode": "append",
            "callbacks": [
                {"toolName": "*", "type": "send_message", "messageContent": "m"},
                {"toolName": "Bash", "type": "bash_script", "bashCommand": "true"},
            ],
            "sessionType": "main",
            "subagentType": "",
            "browserMode": "remote-cdp-websocket",
            "cdpUrl": "wss://x",
            "modelId": "m",
            "provider": "anthropic",
        },
        False,
        (201,),
    ),
    ("get_session", calls.get_session("S"), "GET", "/api/sessions/S", (), None, True, (200,)),
    ("delete_session", calls.delete_session("S"), "DELETE", "/api/sessions/S", (), None, True, (204,)),
    (
        "update_session_callbacks",
        calls.update_session_callbacks(UNKNOWN, "S", []),
        "PATCH",
        "/api/sessions/S/callbacks",
        (),
        {"callbacks": []},
        True,
        (200,),
    ),
    ("cancel_session", calls.cancel_session("S"), "POST", "/api/sessions/S/cancel", (), None, True, (200,)),
    (
        "fork_session",
        calls.fork_session(UNKNOWN, "S", 0),
        "POST",
        "/api/sessions/S/fork",
        (),
        {"messageIndex": 0},
        False,
        (201,),
    ),
    (
        "fork_session",
        calls.fork_session(V05, "S", 2, "T"),
        "POST",
        "/api/sessions/S/fork",
        (),
        {"messageIndex": 2, "title": "T"},
        False,
        (201,),
    ),
    (
        "rewind_session",
        calls.rewind_session("S", "M"),
        "POST",
        "/api/sessions/S/rewind",
        (),
        {"messageId": "M", "cleanupMedia": False},
        False,
        (200,),
    ),
    (
        "rewind_session",
        calls.rewind_session("S", "M", cleanup_media=True),
        "POST",
        "/api/sessions/S/rewind",
        (),
        {"messageId": "M", "cleanupMedia": True},
        False,
        (200,),
    ),
    ("export_session", calls.export_session("S"), "GET", "/api/sessions/S/export", (), None, True, (200,)),
    ("list_messages", calls.list_messages("S"), "GET", "/api/sessions/S/messages", (), None, True, (200,)),
    (
        "send_message",
        calls.send_message(UNKNOWN, "S", text=" "),
        "POST",
        "/api/sessions/S/messages",
        (),
        {"text": " "},
        False,
        (200, 202),
    ),
    (
        "send_message",
        calls.send_message(V08, "S", text="t", plan_mode=False, thinking_level="off", max_steps=3),
        "POST",
        "/api/sessions/S/messages",
        (),
        {"text": "t", "plan_mode": False, "thinking_level": "off", "max_steps": 3},
        False,
        (200, 202),
    ),
    ("message_history", calls.message_history(), "GET", "/api/messages/history", (), None, True, (200,)),
    (
        "message_history",
        calls.message_history(limit=1, offset=0),
        "GET",
        "/api/messages/history",
        (("limit", "1"), ("offset", "0")),
        None,
        True,
        (200,),
    ),
    ("event_stream", calls.event_stream("S"), "GET", "/stream", (("sessionId", "S"),), None, True, (200,)),
    (
        "write_stream_message",
        calls.write_stream_message(V05, "S", 'é "q"'),
        "POST",
        "/stream/S/message",
        (),
        {"content": '{"text": "é \\"q\\""}'},
        False,
        (200,),
    ),
    (
        "write_stream_message",
        calls.write_stream_message(V05, "S", '{"text":"hi","plan_mode":true}'),
        "POST",
        "/stream/S/message",
        (),
        {"content": '{"text":"hi","plan_mode":true}'},
        False,
        (200,),
    ),
    ("list_files", calls.list_files("S"), "GET", "/api/sessions/S/files", (), None, True, (200,)),
    ("upload_file", calls.upload_file("S", PART), "POST", "/api/sessions/S/files/upload", (), None, False, (201,)),
    ("download_file", calls.download_file("S", "a b"), "GET", "/api/sessions/S/files/a%20b", (), None, True, (200,)),
    (
        "get_screenshot",
        calls.get_screenshot(UNKNOWN, "S", "a b.png"),
        "GET",
        "/api/sessions/S/screenshots/a%20b.png",
        (),
        None,
        True,
        (200,),
    ),
    (
        "download_file",
        calls.download_file("S", "v.mp4", thumb="w16", time=86_400),
        "GET",
        "/api/sessions/S/files/v.mp4",
        (("thumb", "w16"), ("time", "86400")),
        None,
        True,
        (200,),
    ),
    (
        "download_changed",
        calls.download_changed("S", "a", "Sat, 01 Jan 2022 00:00:00 GMT"),
        "GET",
        "/api/sessions/S/files/a",
        (),
        None,
        True,
        (200, 304),
    ),
    ("delete_file", calls.delete_file("S", "a"), "DELETE", "/api/sessions/S/files/a", (), None, True, (204,)),
    ("read_file", calls.read_file("S", "a"), "GET", "/api/sessions/S/files/a", (), None, True, (200,)),
    ("grant_permission", calls.grant_permission("P"), "POST", "/api/permissions/P/grant", (), None, True, (200,)),
    ("deny_permission", calls.deny_permission("P"), "POST", "/api/permissions/P/deny", (), None, True, (200,)),
    (
        "respond_to_notification",
        calls.respond_to_notification(UNKNOWN, "N", models.RespondToNotificationType.ACKNOWLEDGE),
        "POST",
        "/api/notifications/N/respond",
        (),
        {"type": "acknowledge"},
        False,
        (204,),
    ),
    (
        "respond_to_notification",
        calls.respond_to_notification(V08, "N", "text", ""),
        "POST",
        "/api/notifications/N/respond",
        (),
        {"type": "text", "value": ""},
        False,
        (204,),
    ),
    ("list_commands", calls.list_commands(), "GET", "/api/commands", (), None, True, (200,)),
    ("get_command", calls.get_command("help"), "GET", "/api/commands/help", (), None, True, (200,)),
    ("list_mcp_servers", calls.list_mcp_servers(), "GET", "/api/mcp", (), None, True, (200,)),
    ("list_llm_tools", calls.list_llm_tools(UNKNOWN), "GET", "/api/tools", (), None, True, (200,)),
    ("get_tools_status", calls.get_tools_status(UNKNOWN), "GET", "/api/tools/status", (), None, True, (200,)),
    (
        "get_tool_credentials_status",
        calls.get_tool_credentials_status(UNKNOWN),
        "GET",
        "/api/tools/credentials-status",
        (),
        None,
        True,
        (200,),
    ),
    ("get_preferences", calls.get_preferences(UNKNOWN), "GET", "/api/preferences", (), None, True, (200,)),
    ("update_preferences", calls.update_preferences(UNKNOWN), "POST", "/api/preferences", (), {}, True, (200,)),
    (
        "update_preferences",
        calls.update_preferences(
            V08,
            preferred_provider=models.Provider.OPENAI,
            main_agent_model="m",
            main_agent_max_tokens=1,
            main_agent_reasoning_effort="high",
            sub_agent_model="s",
            sub_agent_max_tokens=2,
            sub_agent_reasoning_effort="",
        ),
        "POST",
        "/api/preferences",
        (),
        {
            "preferred_provider": "openai",
            "main_agent_model": "m",
            "main_agent_max_tokens": 1,
            "main_agent_reasoning_effort": "high",
            "sub_agent_model": "s",
            "sub_agent_max_tokens": 2,
            "sub_agent_reasoning_effort": "",
        },
        True,
        (200,),
    ),
    (
        "get_available_providers",
        calls.get_available_providers(UNKNOWN),
        "GET",
        "/api/preferences/providers",
        (),
        None,
        True,
        (200,),
    ),
    ("reset_preferences", calls.reset_preferences(UNKNOWN), "POST", "/api/preferences/reset", (), None, True, (200,)),
    (
        "store_api_key",
        calls.store_api_key(models.Provider.BRAVE, "k"),
        "POST",
        "/api/auth/api-key",
        (),
        {"provider": "brave", "api_key": "k"},
        True,
        (200,),
    ),
    (
        "delete_credentials",
        calls.delete_credentials(models.Provider.BRAVE),
        "DELETE",
        "/api/auth/brave",
        (),
        None,
        True,
        (200,),
    ),
    ("get_auth_status", calls.get_auth_status(), "GET", "/api/auth/status", (), None, True, (200,)),
    (
        "validate_preferred_provider",
        calls.validate_preferred_provider(),
        "GET",
        "/api/auth/validate",
        (),
        None,
        True,
        (200,),
    ),
    (
        "start_oauth_flow",
        calls.start_oauth_flow("anthropic"),
        "POST",
        "/api/auth/oauth/anthropic",
        (),
        None,
        False,
        (200,),
    ),
    (
        "handle_oauth_callback",
        calls.handle_oauth_callback("anthropic", "c", "s"),
        "POST",
        "/api/auth/oauth-callback",
        (),
        {"provider": "anthropic", "code": "c", "state": "s"},
        False,
        (200,),
    ),
    ("get_oauth_health", calls.get_oauth_health(UNKNOWN), "GET", "/health/auth", (), None, True, (200,)),
    (
        "refresh_oauth_tokens",
        calls.refresh_oauth_tokens(UNKNOWN),
        "POST",
        "/internal/auth/refresh-tokens",
        (),
        None,
        False,
        (200,),
    ),
    (
        "probe_stream_write",
        calls.probe_stream_write("S"),
        "GET",
        "/stream/S/message",
        (),
        None,
        True,
        (200,),
    ),
    ("get_health", calls.get_health(), "GET", "/health", (), None, True, (200,)),
    ("get_system_info", calls.get_system_info(), "GET", "/api/system/info", (), None, True, (200,)),
]


@pytest.mark.parametrize("row", WIRE, ids=[f"{row[0]}-{i}" for i, row in enumerate(WIRE)])
def test_what_goes_on_the_wire(row):
    name, call, *expected = row
    assert [call.method, call.path, call.query, call.body, call.idempotent, call.statuses] == expected
    assert json.loads(json.dumps(call.body)) == call.body
    assert not any(isinstance(value, StrEnum) for value in (call.body or {}).values())
    assert (call.upload is PART) is (name == "upload_file")
    assert call.secret is (name in {"store_api_key", "handle_oauth_callback"})
    if name != "send_message":
        assert call.long_poll is False


@pytest.mark.parametrize(
    ("status", "words", "written"),
    [
        (405, "x", True),
        (404, "x", False),
        (404, "404 page not found\n", False),
        (500, "404 page not found\n", False),
        (500, "Method Not Allowed\n", True),
        (400, "Only POST method allowed\n", True),
        (404, '{"detail":"Not Found"}', None),
        (404, "<html>blocked</html>", None),
        (200, "<html>the app</html>", None),
    ],
)
def test_the_probe_of_the_stream_write_tells_the_generation_by_its_words(status, words, written):
    call = calls.probe_stream_write("S")
    assert call.result(Reply(status, {}, words.encode())) is written
    shown = frozenset(call.shows(written))
    assert shown == (frozenset(ALL) if written is None else frozenset(having("stream_write", value=written)))


def test_a_probe_that_fails_tells_nothing():
    with pytest.raises(errors.MixDefaultError):
        calls.probe_stream_write("S").result(Reply(500, {}, b"boom"))


def test_a_prompt_without_a_mode_is_appended_not_lost():
    call = calls.create_session(UNKNOWN, title="T", custom_system_prompt="p")
    assert call.body == {"title": "T", "customSystemPrompt": "p", "promptMode": "append"}


def test_every_builder_is_on_the_wire_above():
    builders = {name for name in calls.__all__ if callable(getattr(calls, name))}
    assert builders == {row[0] for row in WIRE}
    assert set(calls.__all__) - builders == {"PROMPT_LIMITS"}


def test_no_call_is_idempotent_by_accident():
    """The rule: GET, DELETE, and the POSTs and the PATCH that the server lets one repeat."""
    repeatable = {
        "update_session_callbacks",
        "cancel_session",
        "grant_permission",
        "deny_permission",
        "update_preferences",
        "reset_preferences",
        "store_api_key",
    }
    for name, call, *_ in WIRE:
        assert call.idempotent is (call.method in {"GET", "DELETE"} or name in repeatable), name


def test_building_the_same_call_twice_gives_equal_values():
    for first, again in (
        (calls.get_session("S"), calls.get_session("S")),
        (calls.create_session(V08, title="T"), calls.create_session(V08, title="T")),
        (calls.list_messages("S"), calls.list_messages("S")),
    ):
        assert first == again


# Hostile ids ---------------------------------------------------------------------------------------------------------

BY_ID = {
    "get_session": calls.get_session,
    "delete_session": calls.delete_session,
    "update_session_callbacks": lambda i: calls.update_session_callbacks(UNKNOWN, i, []),
    "cancel_session": calls.cancel_session,
    "fork_session": lambda i: calls.fork_session(UNKNOWN, i, 1),
    "rewind_session": lambda i: calls.rewind_session(i, "M"),
    "export_session": calls.export_session,
    "list_messages": calls.list_messages,
    "send_message": lambda i: calls.send_message(UNKNOWN, i, text="t"),
    "write_stream_message": lambda i: calls.write_stream_message(UNKNOWN, i, "t"),
    "list_files": calls.list_files,
    "upload_file": lambda i: calls.upload_file(i, PART),
    "download_file": lambda i: calls.download_file(i, "f"),
    "download_file-name": lambda i: calls.download_file("S", i),
    "download_changed": lambda i: calls.download_changed(i, "f", ""),
    "download_changed-name": lambda i: calls.download_changed("S", i, ""),
    "get_screenshot": lambda i: calls.get_screenshot(UNKNOWN, i, "f"),
    "delete_file": lambda i: calls.delete_file(i, "f"),
    "delete_file-name": lambda i: calls.delete_file("S", i),
    "read_file": lambda i: calls.read_file(i, "f"),
    "read_file-name": lambda i: calls.read_file("S", i),
    "grant_permission": calls.grant_permission,
    "deny_permission": calls.deny_permission,
    "respond_to_notification": lambda i: calls.respond_to_notification(UNKNOWN, i, "text"),
    "get_command": calls.get_command,
    "delete_credentials": calls.delete_credentials,
    "start_oauth_flow": calls.start_oauth_flow,
}
HOSTILE = ["../x", "..", ".", "...", "a/b", "a\\b", "#?%", "a?b=c", "%2e%2e", "ünï 文", "\0", "a\nb", ";", "a b", "/"]


@pytest.mark.parametrize("build", BY_ID.values(), ids=BY_ID)
def test_a_hostile_id_stays_one_segment(build):
    plain = build("PLAIN").path.split("/")
    where = plain.index("PLAIN")
    for hostile in HOSTILE:
        parts = build(hostile).path.split("/")
        assert len(parts) == len(plain), hostile
        assert parts[:where] + parts[where + 1 :] == plain[:where] + plain[where + 1 :]
        assert unquote(parts[where]) == hostile
        assert parts[where].isascii()
        assert not set(parts[where]) & set("/?#\\ \0\n")
        assert parts[where].strip("."), hostile


@pytest.mark.parametrize("build", BY_ID.values(), ids=BY_ID)
def test_an_id_that_cannot_be_sent_is_refused(build):
    for bad in ("", "\ud800"):
        with pytest.raises(errors.MixInputError):
            build(bad)


def test_a_hostile_session_id_of_a_stream_is_left_to_the_query():
    assert calls.event_stream("a&b=c#d").query == (("sessionId", "a&b=c#d"),)


# Inputs --------------------------------------------------------------------------------------------------------------

REFUSED = {
    "empty title": lambda: calls.create_session(UNKNOWN, title=""),
    "title with surrogate": lambda: calls.create_session(UNKNOWN, title="\ud800"),
    "prompt with surrogate": lambda: calls.create_session(UNKNOWN, title="T", custom_system_prompt="\ud800"),
    "unknown prompt mode": lambda: calls.create_session(UNKNOWN, title="T", prompt_mode="prepend"),
    "empty prompt mode": lambda: calls.create_session(UNKNOWN, title="T", prompt_mode=""),
    "session type": lambda: calls.create_session(UNKNOWN, title="T", session_type="forked"),
    "subagent type": lambda: calls.create_session(UNKNOWN, title="T", subagent_type="general-purpose"),
    "model without provider": lambda: calls.create_session(UNKNOWN, title="T", model_id="m"),
    "empty browser mode": lambda: calls.create_session(UNKNOWN, title="T", browser_mode=""),
    "remote without url": lambda: calls.create_session(UNKNOWN, title="T", browser_mode="remote-cdp-websocket"),
    "remote with http": lambda: calls.create_session(
        UNKNOWN, title="T", browser_mode="remote-cdp-websocket", cdp_url="http://x"
    ),
    "url without remote": lambda: calls.create_session(
        UNKNOWN, title="T", browser_mode="local-browser-service", cdp_url="ws://x"
    ),
    "url without mode": lambda: calls.create_session(V08, title="T", cdp_url="ws://x"),
    "callback that sends a message past the context": lambda: calls.create_session(
        UNKNOWN,
        title="T",
        callbacks=[{"toolName": "*", "type": "send_message", "messageContent": "m", "excludeFromContext": True}],
    ),
    "callback without tool": lambda: calls.create_session(UNKNOWN, title="T", callbacks=[{"type": "send_message"}]),
    "callback with empty tool": lambda: calls.create_session(
        UNKNOWN, title="T", callbacks=[{"toolName": "", "type": "send_message", "messageContent": "m"}]
    ),
    "callback of unknown type": lambda: calls.create_session(
        UNKNOWN, title="T", callbacks=[{"toolName": "x", "type": "pigeon"}]
    ),
    "script without command": lambda: calls.create_session(
        UNKNOWN, title="T", callbacks=[{"toolName": "x", "type": "bash_script"}]
    ),
    "sub-agent without prompt": lambda: calls.create_session(
        UNKNOWN, title="T", callbacks=[{"toolName": "x", "type": "sub_agent", "bashCommand": "b"}]
    ),
    "message without content": lambda: calls.update_session_callbacks(
        UNKNOWN, "S", [SCRIPT, {"toolName": "x", "type": "send_message", "messageContent": ""}]
    ),
    "callback with surrogate": lambda: calls.update_session_callbacks(UNKNOWN, "S", [{**SCRIPT, "name": "\ud800"}]),
    "negative index": lambda: calls.fork_session(UNKNOWN, "S", -1),
    "fork title with surrogate": lambda: calls.fork_session(UNKNOWN, "S", 0, "\ud800"),
    "rewind to nothing": lambda: calls.rewind_session("S", ""),
    "empty text": lambda: calls.send_message(UNKNOWN, "S", text=""),
    "text with surrogate": lambda: calls.send_message(UNKNOWN, "S", text="\ud800"),
    "unknown thinking level": lambda: calls.send_message(UNKNOWN, "S", text="t", thinking_level="ultra"),
    "limit 0": lambda: calls.message_history(limit=0),
    "negative offset": lambda: calls.message_history(offset=-1),
    "stream without session": lambda: calls.event_stream(""),
    "empty stream message": lambda: calls.write_stream_message(V05, "S", ""),
    "upload without name": lambda: calls.upload_file("S", FilePart("", b"")),
    **{
        f"thumb {thumb!r}": lambda thumb=thumb: calls.download_file("S", "f", thumb=thumb)
        for thumb in ["", "15", "1025", "w15", "h1025", "x100", "w", "-16", "100 ", "1e2", "wh100", "١٦", "100x100"]
    },
    **{
        f"time {time}": lambda time=time: calls.download_file("S", "f", time=time)
        for time in [-0.1, 86_400.1, float("nan"), float("inf")]
    },
    "empty notification type": lambda: calls.respond_to_notification(UNKNOWN, "N", ""),
    "value with surrogate": lambda: calls.respond_to_notification(UNKNOWN, "N", "text", "\ud800"),
    "empty provider": lambda: calls.store_api_key("", "k"),
    "empty key": lambda: calls.store_api_key("openai", ""),
    "empty code": lambda: calls.handle_oauth_callback("anthropic", "", "s"),
    "empty state": lambda: calls.handle_oauth_callback("anthropic", "c", ""),
    "empty preferred provider": lambda: calls.update_preferences(UNKNOWN, preferred_provider=""),
    "empty model": lambda: calls.update_preferences(UNKNOWN, main_agent_model=""),
    "no tokens": lambda: calls.update_preferences(UNKNOWN, main_agent_model="m", main_agent_max_tokens=0),
    "effort": lambda: calls.update_preferences(UNKNOWN, sub_agent_model="m", sub_agent_reasoning_effort="max"),
    "tokens alone": lambda: calls.update_preferences(UNKNOWN, main_agent_max_tokens=5),
    "effort alone": lambda: calls.update_preferences(UNKNOWN, sub_agent_reasoning_effort="low"),
}


@pytest.mark.parametrize("build", REFUSED.values(), ids=REFUSED)
def test_what_the_server_would_refuse_is_refused_before_sending(build):
    with pytest.raises(errors.MixInputError) as caught:
        build()
    assert caught.value.acted == "no"


@pytest.mark.parametrize("secret", ["sk-ant-\ud800", ""])
def test_a_refused_key_is_not_shown(secret):
    with pytest.raises(errors.MixInputError) as caught:
        calls.store_api_key("anthropic", secret)
    assert "sk-ant" not in str(caught.value)


@pytest.mark.parametrize(("prompt_mode", "limit"), [("append", 51_200), ("replace", 102_400)])
def test_prompts_are_measured_in_bytes(prompt_mode, limit):
    assert PROMPT_LIMITS[prompt_mode] == limit
    fits = "é" * (limit // 2)
    assert calls.create_session(UNKNOWN, title="T", custom_system_prompt=fits, prompt_mode=prompt_mode).body
    with pytest.raises(errors.MixInputError, match=f"{limit + 1:,} bytes"):
        calls.create_session(UNKNOWN, title="T", custom_system_prompt=fits + "x", prompt_mode=prompt_mode)


@pytest.mark.parametrize("prompt_mode", ["default"])
def test_the_default_mode_has_no_prompt_limit(prompt_mode):
    call = calls.create_session(UNKNOWN, title="T", custom_system_prompt="x" * 102_401, prompt_mode=prompt_mode)
    assert len(call.body["customSystemPrompt"]) == 102_401


@pytest.mark.parametrize("thumb", ["16", "1024", "w200", "h1024", "0016"])
def test_thumbnail_sizes_that_the_server_takes(thumb):
    assert calls.download_file("S", "f", thumb=thumb).query == (("thumb", thumb),)


@pytest.mark.parametrize("time", [0, 0.5, 1, 86_400])
def test_times_that_the_server_takes(time):
    assert calls.download_file("S", "f", time=time).query == (("time", str(time)),)


@pytest.mark.parametrize("content", ["3", "[1]", "null", '"s"', '{"a":1}', '{"text":3}', "{", "[" * 100_000, "hi"])
def test_stream_content_that_is_no_message_is_wrapped(content):
    """A JSON object without text would be an empty message to the server, so it is text too."""
    assert json.loads(calls.write_stream_message(V05, "S", content).body["content"]) == {"text": content}


# Generations ---------------------------------------------------------------------------------------------------------

SESSION_ARGUMENTS = {
    "customSystemPrompt": {"custom_system_prompt": "p"},
    "promptMode": {"prompt_mode": "default"},
    "callbacks": {"callbacks": []},
    "sessionType": {"session_type": "main"},
    "subagentType": {"subagent_type": ""},
    "browserMode": {"browser_mode": "local-browser-service"},
    "cdpUrl": {"browser_mode": "remote-cdp-websocket", "cdp_url": "ws://x"},
    "modelId": {"model_id": "m", "provider": "p"},
    "provider": {"provider": "p"},
}
MESSAGE_ARGUMENTS = {
    "plan_mode": {"plan_mode": True},
    "thinking_level": {"thinking_level": "basic"},
    "max_steps": {"max_steps": 1},
}


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("key", SESSION_ARGUMENTS)
def test_sessions_send_a_field_exactly_where_it_exists(version, key):
    fields = CAPABILITIES[version].session_fields
    detected = ApiKnowledge([version])
    if key in fields:
        body = calls.create_session(detected, title="T", **SESSION_ARGUMENTS[key]).body
        assert key in body
        assert body.keys() <= fields
    else:
        with pytest.raises(errors.MixUnsupportedError) as caught:
            calls.create_session(detected, title="T", **SESSION_ARGUMENTS[key])
        for able in ALL:
            first_missing = "browserMode" if key == "cdpUrl" else key
            assert (f"{able}" in caught.value.hint.split("API ")[1].rstrip(".").split(", ")) is (
                first_missing in CAPABILITIES[able].session_fields
            )


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("key", MESSAGE_ARGUMENTS)
def test_messages_send_a_field_exactly_where_it_exists(version, key):
    detected = ApiKnowledge([version])
    if key in CAPABILITIES[version].message_fields:
        assert calls.send_message(detected, "S", text="t", **MESSAGE_ARGUMENTS[key]).body.keys() == {"text", key}
    else:
        with pytest.raises(errors.MixUnsupportedError, match=f"`{key}`") as caught:
            calls.send_message(detected, "S", text="t", **MESSAGE_ARGUMENTS[key])
        assert "0.8" in caught.value.hint


@pytest.mark.parametrize("version", ALL)
def test_what_nobody_asked_for_is_not_sent(version):
    detected = ApiKnowledge([version])
    demanded = {"browserMode": "local-browser-service"} if version in since(ApiVersion.V0_8) else {}
    assert calls.create_session(detected, title="T").body == {"title": "T", **demanded}
    assert calls.send_message(detected, "S", text="t").body == {"text": "t"}
    assert calls.list_sessions(detected).query == ()


def test_the_browser_mode_is_filled_only_when_certainly_demanded():
    assert "browserMode" not in calls.create_session(ApiKnowledge(V07 | V08), title="T").body
    assert calls.create_session(ApiKnowledge(V08 | NEXT), title="T").body["browserMode"] == "local-browser-service"
    mode = "electron-embedded-browser"
    assert calls.create_session(V08, title="T", browser_mode=mode).body["browserMode"] == mode


def test_a_field_that_one_possible_generation_knows_is_sent():
    body = calls.create_session(ApiKnowledge(V05 | NEXT), title="T", model_id="m", provider="p").body
    assert body["modelId"] == "m"
    assert calls.send_message(UNKNOWN, "S", text="t", max_steps=1).body["max_steps"] == 1


@pytest.mark.parametrize("version", ALL)
def test_subagents_are_asked_for_only_where_they_may_exist(version):
    query = calls.list_sessions(ApiKnowledge([version]), include_subagents=True).query
    assert bool(query) is (version in since(ApiVersion.V0_7))


FEATURES = {
    "fork": lambda detected: calls.fork_session(detected, "S", 0),
    "callbacks": lambda detected: calls.update_session_callbacks(detected, "S", []),
    "stream_write": lambda detected: calls.write_stream_message(detected, "S", "t"),
    "notifications": lambda detected: calls.respond_to_notification(detected, "N", "text"),
    "screenshots": lambda detected: calls.get_screenshot(detected, "S", "1.png"),
    "llm_tools": calls.list_llm_tools,
    "llm_tools ": calls.get_tool_credentials_status,
    "tools_status": calls.get_tools_status,
    "oauth_health": calls.get_oauth_health,
    "oauth_health ": calls.refresh_oauth_tokens,
    "preferences": calls.get_preferences,
    "preferences  ": calls.update_preferences,
    "preferences ": calls.get_available_providers,
    "preferences   ": calls.reset_preferences,
}


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("feature", FEATURES)
def test_an_endpoint_is_called_exactly_where_it_exists(version, feature):
    build = FEATURES[feature]
    if version in having(feature.strip()):
        assert build(ApiKnowledge([version])).method
    else:
        with pytest.raises(errors.MixUnsupportedError) as caught:
            build(ApiKnowledge([version]))
        assert all(able in caught.value.hint for able in having(feature.strip()))


@pytest.mark.parametrize("version", ALL)
def test_sending_is_a_long_poll_where_the_server_may_wait(version):
    waits = CAPABILITIES[version].send_waits
    assert calls.send_message(ApiKnowledge([version]), "S", text="t").long_poll is waits


def test_sending_is_a_long_poll_while_the_generation_is_unknown():
    assert calls.send_message(UNKNOWN, "S", text="t").long_poll
    assert not calls.send_message(ApiKnowledge(V065 | V08), "S", text="t").long_poll


# Replies -------------------------------------------------------------------------------------------------------------

SEND = calls.send_message(UNKNOWN, "S", text="hi")


def test_a_reply_that_is_the_answer():
    """Mix 0.5 and 0.6."""
    sent = SEND.result(
        reply(200, {"id": "M", "sessionId": "", "role": "user", "userInput": "hi", "assistantResponse": "hello"})
    )
    assert (sent.status, sent.accepted, sent.assistant_response) == ("complete", False, "hello")
    assert set(SEND.shows(sent)) == {*V05, *V06}


@pytest.mark.parametrize("body", [{"sessionId": "S", "status": "processing"}, {"sessionId": "S"}, {}])
def test_a_reply_that_the_turn_runs(body):
    """Mix 0.6.5 and later."""
    sent = SEND.result(reply(202, body))
    assert (sent.status, sent.accepted, sent.assistant_response) == ("processing", True, None)
    assert set(SEND.shows(sent)) == set(since(ApiVersion.V0_6_5))


def test_a_reply_to_a_slash_command_shows_no_generation():
    """As Mix answers."""
    sent = SEND.result(
        reply(
            200,
            {"id": "cmd-help", "sessionId": "", "role": "assistant", "userInput": "/help", "assistantResponse": "{}"},
        )
    )
    assert (sent.status, sent.is_command, sent.assistant_response) == ("complete", True, "{}")
    assert set(SEND.shows(sent)) == set(ALL)


def test_a_missing_credential_is_an_error_also_with_a_200():
    """What Mix 0.6.5 says with a 401, older ones say with a 200."""
    with pytest.raises(errors.MixAuthenticationError) as caught:
        SEND.result(
            reply(
                200,
                {
                    "id": "system-auth-prompt",
                    "sessionId": "",
                    "role": "assistant",
                    "userInput": "hi",
                    "assistantResponse": "⚠️ Authentication required.",
                },
            )
        )
    error = caught.value
    assert "Authentication required" in error.message
    assert (error.status_code, error.acted, error.error.code, error.error.type) == (200, "unknown", 401, "unauthorized")
    assert "system-auth-prompt" in error.body


def test_a_reply_of_another_status_or_form_is_an_error():
    with pytest.raises(errors.MixAuthenticationError):
        SEND.result(reply(401, {"error": {"code": 401, "message": "m", "type": "unauthorized"}}))
    with pytest.raises(errors.MixDefaultError):
        SEND.result(reply(204))
    with pytest.raises(errors.ResponseValidationError):
        SEND.result(Reply(202, {}, b""))
    with pytest.raises(errors.ResponseValidationError):
        calls.get_session("S").result(reply(200, {"title": "no id"}))


SESSION = {"id": "S", "title": "T"}


@pytest.mark.parametrize(
    "call",
    [
        calls.get_session("S"),
        calls.create_session(UNKNOWN, title="T"),
        calls.fork_session(UNKNOWN, "S", 0),
        calls.rewind_session("S", "M"),
        calls.update_session_callbacks(UNKNOWN, "S", []),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("extra", "shown"),
    [
        ({}, before(ApiVersion.V0_7)),
        ({"sessionType": "main"}, (ApiVersion.V0_7,)),
        ({"sessionType": "main", "browserMode": ""}, since(ApiVersion.V0_8)),
        ({"sessionType": "main", "browserMode": "x", "provider": "p"}, (ApiVersion.NEXT,)),
    ],
)
def test_sessions_show_the_generation(call, extra, shown):
    session = call.result(reply(call.statuses[0], {**SESSION, **extra}))
    assert isinstance(session, SessionData)
    assert set(call.shows(session)) == set(shown)


def test_listings_show_what_all_their_sessions_show():
    call = calls.list_sessions(UNKNOWN)
    assert set(call.shows(call.result(reply(200, [])))) == set(ALL)
    new = {**SESSION, "sessionType": "main", "browserMode": "x"}
    assert set(call.shows(call.result(reply(200, [new, {**new, "modelId": "m"}])))) == set(NEXT)
    assert set(call.shows(call.result(reply(200, [new, new])))) == set(since(ApiVersion.V0_8))


@pytest.mark.parametrize(
    ("call", "answer", "shown"),
    [
        (calls.write_stream_message(UNKNOWN, "S", "t"), reply(200, {"sessionId": "S"}), V05),
        (calls.get_oauth_health(UNKNOWN), reply(200, {}), since(ApiVersion.V0_6_5)),
        (calls.refresh_oauth_tokens(UNKNOWN), reply(200, {}), since(ApiVersion.V0_6_5)),
        (calls.list_llm_tools(UNKNOWN), reply(200, {}), since(ApiVersion.V0_7)),
        (calls.get_tool_credentials_status(UNKNOWN), reply(200, {}), since(ApiVersion.V0_7)),
        (calls.respond_to_notification(UNKNOWN, "N", "text"), reply(204), since(ApiVersion.V0_8)),
    ],
    ids=lambda value: str(value) if hasattr(value, "path") else "",
)
def test_success_shows_the_generations_that_have_the_endpoint(call, answer, shown):
    assert set(call.shows(call.result(answer))) == set(shown)


def test_no_call_shows_a_generation_that_its_reply_does_not():
    """Whether the next generation still routes preferences and the tools status is not known."""
    quiet = {
        "get_preferences",
        "update_preferences",
        "get_available_providers",
        "reset_preferences",
        "get_tools_status",
    }
    for name, call, *_ in WIRE:
        if name in quiet:
            assert call.shows is None


MISSING = "File with ID 'a' not found"
SESSION_MISSING = "Session with ID 'S' not found"


def said(status, message, kind):
    return reply(status, {"error": {"code": status, "message": message, "type": kind}})


@pytest.mark.parametrize("answer", [said(404, MISSING, "not_found"), said(500, MISSING, "x"), said(400, MISSING, "x")])
def test_a_file_that_is_missing_is_recognised_by_the_words(answer):
    assert calls.delete_file("S", "a").result(answer) is None
    assert calls.read_file("S", "a").result(answer) is None
    with pytest.raises(errors.MixNotFoundError):
        calls.download_file("S", "a").result(answer)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (said(404, SESSION_MISSING, "not_found"), errors.MixNotFoundError),
        (said(500, SESSION_MISSING, "not_found"), errors.MixNotFoundError),
        (Reply(404, {}, b"404 page not found\n"), errors.MixDefaultError),
        (said(400, "Validation error", "validation_error"), errors.MixBadRequestError),
        (said(404, "Internal error during reading file: disk", "internal_error"), errors.MixInternalError),
        (reply(202, {}), errors.MixDefaultError),
    ],
)
def test_a_file_call_fails_for_every_other_reason(answer, kind):
    for call in (calls.delete_file("S", "a"), calls.read_file("S", "a")):
        with pytest.raises(kind) as caught:
            call.result(answer)
        assert caught.value.sent == str(call)


def test_bytes_come_back_as_they_are():
    assert calls.download_file("S", "f").result(Reply(200, {}, b"\xff\x00")) == b"\xff\x00"
    assert calls.event_stream("S").result(Reply(200, {}, b"")) is None
    assert calls.delete_session("S").result(Reply(204, {}, b"")) is None


@pytest.mark.parametrize(
    ("call", "body", "kind"),
    [
        (calls.list_sessions(UNKNOWN), [SESSION], [SessionData]),
        (calls.list_messages("S"), [{"id": "M"}], [models.BackendMessage]),
        (calls.message_history(), [{"id": "M"}], [models.BackendMessage]),
        (calls.list_files("S"), [{"name": "a"}], [models.FileInfo]),
        (calls.list_commands(), [{}], [models.ListCommandsResponse]),
        (calls.list_mcp_servers(), [{"tools": None}], [models.ListMcpServersResponse]),
        (calls.get_available_providers(UNKNOWN), {"a": {}}, {"a": models.GetAvailableProvidersResponse}),
        (calls.export_session("S"), {"id": "S"}, models.ExportSession),
        (calls.cancel_session("S"), {}, models.CancelSessionProcessingResponse),
        (calls.grant_permission("P"), {}, models.GrantPermissionResponse),
        (calls.deny_permission("P"), {}, models.DenyPermissionResponse),
        (calls.upload_file("S", PART), {"name": "a"}, models.FileInfo),
        (calls.get_command("c"), {}, models.GetCommandResponse),
        (calls.list_llm_tools(UNKNOWN), {}, models.ListLLMToolsResponse),
        (calls.get_tools_status(UNKNOWN), {}, models.GetToolsStatusResponse),
        (calls.get_tool_credentials_status(UNKNOWN), {}, models.GetToolCredentialsStatusResponse),
        (calls.get_preferences(UNKNOWN), {}, models.GetPreferencesResponse),
        (calls.update_preferences(UNKNOWN), {}, models.UpdatePreferencesResponse),
        (calls.reset_preferences(UNKNOWN), {}, models.ResetPreferencesResponse),
        (calls.store_api_key("a", "k"), {}, models.StoreAPIKeyResponse),
        (calls.delete_credentials("a"), {}, models.DeleteCredentialsResponse),
        (calls.get_auth_status(), {}, models.GetAuthStatusResponse),
        (calls.validate_preferred_provider(), {}, models.ValidatePreferredProviderResponse),
        (calls.start_oauth_flow("a"), {}, models.StartOAuthFlowResponse),
        (calls.handle_oauth_callback("a", "c", "s"), {}, models.HandleOAuthCallbackResponse),
        (calls.get_oauth_health(UNKNOWN), {}, models.GetOAuthHealthResponse),
        (calls.refresh_oauth_tokens(UNKNOWN), {}, models.RefreshOAuthTokensResponse),
        (calls.get_health(), {}, models.HealthCheckResponse),
        (calls.get_system_info(), {}, models.GetSystemInfoResponse),
        (calls.write_stream_message(UNKNOWN, "S", "t"), {}, models.StreamMessageResponse),
        (SEND, {}, SendMessageResponse),
    ],
    ids=lambda value: str(value) if hasattr(value, "path") else "",
)
def test_results_have_their_type(call, body, kind):
    result = call.result(reply(call.statuses[-1], body))
    if isinstance(kind, list):
        assert [type(item) for item in result] == kind
    elif isinstance(kind, dict):
        assert {key: type(item) for key, item in result.items()} == kind
    else:
        assert type(result) is kind


# The house -----------------------------------------------------------------------------------------------------------


PIECES = ("/api/", "/internal/auth", "/stream?", "/health/")
LIKE_A_PATH = re.compile("|".join([*map(re.escape, PIECES), "[\"'](api|internal)[\"']"]))
"""What a module that has a path of the server has in its text."""


def paths_in(source):
    """The string literals of a module that look like a path of the server; docstrings are prose."""
    tree = ast.parse(source)
    prose = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in prose:
            if any(piece in node.value for piece in PIECES):
                yield node.value
        elif isinstance(node, ast.Tuple | ast.List) and node.elts:
            first = node.elts[0]
            if isinstance(first, ast.Constant) and first.value in {"api", "internal"} and len(node.elts) > 1:
                yield ast.unparse(node)


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('"""GET /api/sessions"""\nx = "api"', 0),
        ('x = "/api/sessions"', 1),
        ('f"{base}/api/{x}"', 1),
        ('c(segments=("api", "mcp"))', 1),
        ('x = ["api", y]', 1),
    ],
)
def test_the_search_for_paths_can_find_some(source, count):
    # An f-string that stands alone is an expression statement, but its pieces are not.
    assert len(list(paths_in(source))) == count
    assert LIKE_A_PATH.search(source)


def test_nobody_else_knows_a_path():
    root = Path(langchain_mix.__file__).parent
    own = [root / "emulator", root / "protocol" / "calls"]
    found = {}
    for file in root.rglob("*.py"):
        source = file.read_text()
        if any(folder in file.parents for folder in own) or not LIKE_A_PATH.search(source):
            continue  # Parsing every module takes seconds.
        if paths := list(paths_in(source)):
            found[str(file.relative_to(root))] = paths
    assert found == {}
    assert list(paths_in((root / "protocol" / "calls" / "sessions.py").read_text()))
