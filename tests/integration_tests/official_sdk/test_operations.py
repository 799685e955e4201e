"""Every operation of `mix-python-sdk` 0.8.1 on an emulator of Mix 0.8, sync and async.

Where the SDK refuses what the server really sends, the test says so and names the section of the protocol notes
(`mix-protocol.md`) that has it.
"""

from __future__ import annotations

import asyncio
import io
import json
from datetime import timedelta

import pytest
from mix_python_sdk import errors, models
from PIL import Image
from pydantic import ValidationError

from langchain_mix.emulator import Script, say, think, turn, use
from langchain_mix.emulator.agents.base import Usage

UNKNOWN = "7b1c0000-0000-4000-8000-000000000000"
KEYS = {
    "anthropic": "sk-ant-" + "a" * 40,
    "openai": "sk-" + "o" * 40,
    "openrouter": "r" * 40,
    "gemini": "g" * 30,
    "brave": "b" * 30,
}
CALLBACKS = [
    models.Callback(tool_name="Write", type="bash_script", bash_command="make", name="build", bash_timeout=1000),
    models.Callback(tool_name="*", type="sub_agent", sub_agent_prompt="Look at it", include_full_history=True),
    models.Callback(tool_name="Glob", type="send_message", message_content="Seen."),
]


def told(failure: pytest.ExceptionInfo[errors.ErrorResponse]) -> tuple[int, str, str]:
    """Status, type and message of an error that the SDK understood."""
    error = failure.value.data.error
    assert error.code == failure.value.status_code
    return error.code, error.type, error.message


def test_no_operation_of_the_sdk_is_left_out(promises, surface):
    assert surface
    assert all(surface.values()), "an operation without async twin"
    assert promises(globals()) == set(surface)


# Sessions


@pytest.mark.operations("sessions.create", "sessions.get", "sessions.list", "sessions.delete")
async def test_sessions_are_created_read_listed_and_deleted(official):
    sdk = await official(utc_offset=timedelta(hours=5, minutes=30))
    created = await sdk("sessions.create", title="Plans", browser_mode="electron-embedded-browser")
    assert isinstance(created, models.SessionData)
    assert (created.title, created.session_type, created.browser_mode) == ("Plans", "main", "electron-embedded-browser")
    assert (created.user_message_count, created.prompt_tokens, created.cost) == (0, 0, 0)
    assert created.created_at.utcoffset() == timedelta(hours=5, minutes=30)
    assert created.callbacks is None
    assert await sdk("sessions.get", id=created.id) == created
    assert await sdk("sessions.list") == [created]
    assert await sdk("sessions.delete", id=created.id) is None
    assert await sdk("sessions.list") == []
    for operation in ("sessions.get", "sessions.delete"):
        with pytest.raises(errors.ErrorResponse) as failure:
            await sdk(operation, id=created.id)
        assert told(failure) == (404, "not_found", f"Session with ID '{created.id}' not found")


async def test_a_session_is_created_with_all_its_options(sdk):
    created = await sdk(
        "sessions.create",
        title="A title that is too long for this server",
        browser_mode="remote-cdp-websocket",
        cdp_url="wss://browser.invalid/1",
        custom_system_prompt="Answer in verse.",
        prompt_mode="append",
        session_type="main",
        callbacks=CALLBACKS,
    )
    assert created.title == "A title that is t..."
    assert created.cdp_url == "wss://browser.invalid/1"
    assert created.callbacks == CALLBACKS
    assert (await sdk("sessions.get", id=created.id)).callbacks == CALLBACKS
    (listed,) = await sdk("sessions.list", include_subagents=True)
    assert listed.callbacks is None
    assert sdk.server.state.sessions.facts(created.id).system_prompt == "Answer in verse."


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"title": ""}, "Validation error for field 'title'"),
        ({"custom_system_prompt": "x" * 60_000, "prompt_mode": "append"}, "append mode limit"),
        ({"subagent_type": "general-purpose"}, "Validation error for field"),
        ({"callbacks": [models.Callback(tool_name="Write", type="bash_script")]}, "callbacks[0]: "),
    ],
)
async def test_what_a_session_may_not_be_is_a_validation_error(sdk, options, text):
    with pytest.raises(errors.ErrorResponse) as failure:
        await sdk("sessions.create", **{"title": "t", "browser_mode": "local-browser-service", **options})
    status, kind, message = told(failure)
    assert (status, kind) == (400, "validation_error")
    assert text in message


async def test_a_wrong_browser_address_is_refused(sdk):
    with pytest.raises(errors.ErrorResponse) as failure:
        await sdk("sessions.create", title="t", browser_mode="remote-cdp-websocket")
    assert told(failure)[:2] == (400, "validation_error")


@pytest.mark.operations("sessions.update_session_callbacks")
async def test_callbacks_are_replaced_and_cleared(sdk):
    session = await sdk.session()
    updated = await sdk("sessions.update_session_callbacks", id=session, callbacks=CALLBACKS)
    assert updated.callbacks == CALLBACKS
    cleared = await sdk("sessions.update_session_callbacks", id=session, callbacks=[])
    assert cleared.callbacks is None
    with pytest.raises(errors.ErrorResponse) as failure:
        await sdk("sessions.update_session_callbacks", id=UNKNOWN, callbacks=CALLBACKS)
    assert told(failure)[:2] == (404, "not_found")
    broken = [models.Callback(tool_name="Write", type="sub_agent")]
    with pytest.raises(errors.ErrorResponse) as failure:
        await sdk("sessions.update_session_callbacks", id=session, callbacks=broken)
    assert told(failure)[:2] == (400, "validation_error")


@pytest.mark.operations("sessions.cancel_processing")
async def test_a_cancel_always_succeeds_and_never_says_what_the_documents_promise(sdk):
    # §16: the documented `cancelled` is never sent, and unknown sessions are no error.
    for session in (await sdk.session(), UNKNOWN):
        assert (await sdk("sessions.cancel_processing", id=session)).cancelled is None
        request = sdk.server.requests[-1]
        assert (request.path, request.status) == (f"/api/sessions/{session}/cancel", 200)


@pytest.mark.operations("sessions.export_session")
async def test_a_session_with_tools_and_reasoning_is_exported(official):
    script = Script(turn([think("Where?"), "I look. ", use("Glob", {"pattern": "*"}, id="T")], say("Nothing there.")))
    sdk = await official(script)
    session = await sdk.session()
    await sdk.turn(session, "look around")
    answer = await sdk("sessions.export_session", id=session)
    assert answer.headers["content-disposition"] == [f"attachment; filename=session_{session}_transcript.json"]
    exported = answer.result
    assert isinstance(exported, models.ExportSession)
    assert [message.role for message in exported.messages] == ["user", "assistant", "tool", "assistant"]
    asked, looked, found, said = exported.messages
    assert (asked.content, asked.finish_reason) == ("look around", "stop")
    assert (looked.content, looked.reasoning, looked.finish_reason) == ("I look. ", "Where?", "tool_use")
    (call,) = looked.tool_calls
    assert (call.id, call.name, call.input, call.finished) == ("T", "Glob", '{"pattern":"*"}', True)
    assert call.input_json is not None
    assert call.result is None  # §16: an export never has results.
    assert (found.content, said.content, said.model) == ("", "Nothing there.", "mix-emulator")
    assert exported.tool_call_count == 1
    assert exported.created_at.tzinfo is not None
    with pytest.raises(errors.ErrorResponse) as failure:
        await sdk("sessions.export_session", id=UNKNOWN)
    assert told(failure)[:2] == (404, "not_found")


@pytest.mark.operations("sessions.rewind_session")
@pytest.mark.parametrize("cleanup", [True, False])
async def test_a_rewind_works_but_the_sdk_refuses_its_answer(sdk, cleanup):
    session = await sdk.session()
    await sdk.turn(session, "one")
    await sdk.turn(session, "two")
    first = (await sdk("messages.list_session", id=session))[0]
    # §15.4, Mix: the answer has `browserMode` "", which is no member of the SDK's closed set.
    with pytest.raises(errors.ResponseValidationError) as failure:
        await sdk("sessions.rewind_session", id=session, message_id=first.id, cleanup_media=cleanup)
    assert failure.value.status_code == 200
    assert [problem["loc"] for problem in _problems(failure.value)] == [("browserMode",)]
    assert json.loads(failure.value.body)["userMessageCount"] == 1
    assert await sdk("messages.list_session", id=session) == [first]
    assert (await sdk("sessions.get", id=session)).browser_mode == "local-browser-service"


async def test_a_rewind_to_nowhere_is_an_error_that_the_sdk_reads(sdk):
    session = await sdk.session()
    for where, message, status in ((session, "", 400), (session, UNKNOWN, 404), (UNKNOWN, UNKNOWN, 404)):
        with pytest.raises(errors.ErrorResponse) as failure:
            await sdk("sessions.rewind_session", id=where, message_id=message)
        assert told(failure)[0] == status


# Messages


@pytest.mark.operations("messages.send", "messages.list_session", "messages.get_history")
async def test_messages_are_sent_listed_and_remembered(official):
    usage = Usage(input_tokens=7, output_tokens=3, cache_read_tokens=2, cache_creation_tokens=1, cost=0.25, model="m-1")
    sdk = await official(Script(turn([use("TodoWrite", {"todos": []}, id="T", result="ok"), usage], say("Äé ✓ <b>"))))
    session = await sdk.session()
    async with sdk.stream(session) as events:
        sent = await sdk("messages.send", id=session, text="plan <it> & “go”", thinking_level="basic", max_steps=3)
        assert sent == models.SendMessageResponse(session_id=session, status="processing")
        await events.turn()
    await asyncio.to_thread(sdk.server.wait_idle)
    asked, called, results, said = await sdk("messages.list_session", id=session)
    assert (asked.role, asked.user_input, asked.assistant_response) == ("user", "plan <it> & “go”", None)
    (call,) = called.tool_calls
    assert (call.id, call.name, call.result, call.finished, call.is_error) == ("T", "TodoWrite", "ok", True, None)
    assert (called.input_tokens, called.output_tokens, called.cost, called.model) == (7, 3, 0.25, "m-1")
    assert (called.cache_read_tokens, called.cache_creation_tokens) == (2, 1)
    assert (results.role, results.user_input) == ("tool", "")
    assert said.assistant_response == "Äé ✓ <b>"
    facts = await sdk("sessions.get", id=session)
    assert (facts.user_message_count, facts.assistant_message_count, facts.tool_call_count) == (1, 2, 1)
    assert facts.cost == 0.25

    await sdk.turn(await sdk.session("other"), "second")
    assert [row.user_input for row in await sdk("messages.get_history")] == ["second", "plan <it> & “go”"]
    assert [row.user_input for row in await sdk("messages.get_history", limit=1)] == ["second"]
    assert await sdk("messages.get_history", limit=5, offset=2) == []


@pytest.mark.parametrize("level", ["off", "basic", "medium", "maximum", None])
async def test_all_options_of_a_message_are_accepted(official, level):
    script = Script("Fine.")
    sdk = await official(script)
    session = await sdk.session()
    await sdk.turn(session, "hm", plan_mode=True, thinking_level=level, max_steps=5)
    (request,) = script.requests
    assert (request.thinking_level, request.plan_mode) == (level, True)
    assert "<system-reminder>" in (await sdk("messages.list_session", id=session))[0].user_input


async def test_messages_that_are_refused(sdk):
    session = await sdk.session()
    with pytest.raises(errors.ErrorResponse) as failure:
        await sdk("messages.send", id=session, text="")
    status, kind, message = told(failure)
    assert (status, kind) == (400, "validation_error")
    assert message == "Validation error for field 'content': message content is required"
    # §16: an unknown session is a 500, and its messages are an empty list.
    with pytest.raises(errors.MixDefaultError) as unknown:
        await sdk("messages.send", id=UNKNOWN, text="hi")
    assert unknown.value.status_code == 500
    assert "sql: no rows in result set" in unknown.value.body
    assert await sdk("messages.list_session", id=UNKNOWN) == []


async def test_a_slash_command_is_answered_with_200_which_the_sdk_takes_for_a_failure(sdk):
    # §15.7.
    session = await sdk.session()
    with pytest.raises(errors.MixDefaultError, match="Unexpected response received") as failure:
        await sdk("messages.send", id=session, text="/help")
    assert failure.value.status_code == 200
    answer = json.loads(failure.value.body)
    assert (answer["id"], answer["sessionId"]) == ("cmd-help", "")
    with pytest.raises(errors.ErrorResponse) as unknown:
        await sdk("messages.send", id=session, text="/notes/a.txt please")
    status, kind, message = told(unknown)
    assert (status, kind) == (404, "not_found")
    assert message.startswith("Command 'notes/a.txt' not found. Available commands: [")


async def test_without_a_credential_a_message_is_a_401_that_the_sdk_knows_no_body_of(official):
    # §16: 401 is not in the documents of this operation.
    sdk = await official(auth_required=True)
    session = await sdk.session()
    with pytest.raises(errors.MixDefaultError) as failure:
        await sdk("messages.send", id=session, text="hi")
    assert failure.value.status_code == 401
    assert json.loads(failure.value.body)["error"]["type"] == "unauthorized"
    await sdk("authentication.store_api_key", provider="anthropic", api_key=KEYS["anthropic"])
    assert (await sdk("messages.send", id=session, text="hi")).status == "processing"


# Files


@pytest.mark.operations(
    "files.upload_session_file", "files.list_session_files", "files.get_session_file", "files.delete_session_file"
)
async def test_files_go_up_and_down(sdk):
    session = await sdk.session()
    content = bytes(range(256)) * 5000
    for name in ("data.bin", "süß und neu.txt", "../../etc/passwd"):
        info = await sdk("files.upload_session_file", id=session, file={"file_name": name, "content": content})
        assert isinstance(info, models.FileInfo)
        assert (info.size, info.modified, info.is_dir) == (len(content), 0, False)
        assert info.url == f"{sdk.server.url}/api/sessions/{session}/files/{info.name}"
        response = await sdk("files.get_session_file", id=session, filename=info.name)
        assert await _body(response) == content
    listed = await sdk("files.list_session_files", id=session)
    assert sorted(info.name for info in listed) == ["data.bin", "passwd", "süß_und_neu.txt"]
    for info in listed:
        assert await sdk("files.delete_session_file", id=session, filename=info.name) is None
        for operation in ("files.get_session_file", "files.delete_session_file"):
            with pytest.raises(errors.ErrorResponse) as failure:
                await sdk(operation, id=session, filename=info.name)
            assert told(failure)[:2] == (404, "not_found")
    assert await sdk("files.list_session_files", id=session) == []


async def test_an_open_file_is_uploaded_and_a_private_one_is_read(official, tmp_path):
    (tmp_path / "notes.txt").write_text("öpen")
    script = Script(turn(use("Write", {"file_path": "a.txt", "content": "made"}, ask=False), say("Written.")))
    sdk = await official(script)
    session = await sdk.session()
    with (tmp_path / "notes.txt").open("rb") as file:
        upload = models.File(file_name="notes.txt", content=file, content_type="text/plain")
        info = await sdk("files.upload_session_file", id=session, file=upload)
    response = await sdk("files.get_session_file", id=session, filename=info.name)
    assert (await _body(response)).decode() == "öpen"
    await sdk.turn(session, "write")
    response = await sdk("files.get_session_file", id=session, filename="a.txt")
    assert await _body(response) == b"made"
    assert response.headers["cache-control"] == "no-cache, no-store, must-revalidate"


async def test_bytes_in_memory_are_refused_by_the_sdk_before_anything_is_sent(sdk):
    # §15.7: a bare `io.BytesIO` is no member of the SDK's union.
    session = await sdk.session()
    sdk.server.forget_requests()
    with pytest.raises(ValidationError):
        await sdk("files.upload_session_file", id=session, file={"file_name": "a", "content": io.BytesIO(b"x")})
    assert not sdk.server.requests


async def test_thumbnails_are_made_of_images_only(sdk):
    session = await sdk.session()
    picture = io.BytesIO()
    Image.new("RGB", (200, 100), "red").save(picture, "PNG")
    upload = {"file_name": "red.png", "content": picture.getvalue(), "content_type": "image/png"}
    await sdk("files.upload_session_file", id=session, file=upload)
    for thumb, size in (("w50", (50, 25)), ("h50", (100, 50)), ("100", (100, 50))):
        response = await sdk("files.get_session_file", id=session, filename="red.png", thumb=thumb, time=1.5)
        assert response.headers["content-type"] == "image/jpeg"
        assert Image.open(io.BytesIO(await _body(response))).size == size
    await sdk("files.upload_session_file", id=session, file={"file_name": "a.txt", "content": b"a"})
    # §2.5: these two are plain text, which the SDK hands on as it is.
    for name, thumb, status in (("a.txt", "w50", 400), ("red.png", "w5", 500)):
        with pytest.raises(errors.MixDefaultError) as failure:
            await sdk("files.get_session_file", id=session, filename=name, thumb=thumb)
        assert failure.value.status_code == status


async def test_files_of_sessions_that_are_none(sdk):
    for session, status, kind in (("nonsense", 400, "validation_error"), (UNKNOWN, 404, "not_found")):
        with pytest.raises(errors.ErrorResponse) as failure:
            await sdk("files.upload_session_file", id=session, file={"file_name": "a", "content": b"a"})
        assert told(failure)[:2] == (status, kind)


# Authentication and health


@pytest.mark.operations(
    "authentication.store_api_key",
    "authentication.get_auth_status",
    "authentication.validate_preferred_provider",
    "authentication.delete_credentials",
)
async def test_keys_are_stored_shown_and_deleted(sdk):
    unset = await sdk("authentication.validate_preferred_provider")
    assert (unset.valid, unset.provider) == (False, "anthropic")
    for provider, key in KEYS.items():
        stored = await sdk("authentication.store_api_key", provider=provider, api_key=key)
        assert (stored.status, stored.provider) == ("success", provider)
    status = await sdk("authentication.get_auth_status")
    assert set(status.providers) == {"anthropic", "openai", "openrouter"}
    assert all(entry.authenticated and entry.auth_method == "api_key" for entry in status.providers.values())
    await sdk("preferences.update_preferences", preferred_provider="openai")
    valid = await sdk("authentication.validate_preferred_provider")
    assert (valid.valid, valid.provider, valid.auth_method) == (True, "openai", "api_key")
    for _ in range(2):
        deleted = await sdk("authentication.delete_credentials", provider="openai")
        assert (deleted.status, deleted.provider) == ("success", "openai")
    status = await sdk("authentication.get_auth_status")
    assert (status.providers["openai"].authenticated, status.providers["openai"].auth_method) == (False, "none")
    assert status.providers["openai"].display_name.endswith(" ⭐")
    assert (await sdk("authentication.validate_preferred_provider")).valid is False


@pytest.mark.operations(
    "authentication.start_o_auth_flow",
    "authentication.handle_o_auth_callback",
    "authentication.get_o_auth_health",
    "authentication.refresh_o_auth_tokens",
    "health.get_o_auth_health",
    "internal.refresh_o_auth_tokens",
)
async def test_a_sign_in_goes_all_the_way(sdk):
    assert (await sdk("authentication.get_o_auth_health")).providers["anthropic"].status == "not_found"
    begun = await sdk("authentication.start_o_auth_flow", provider="anthropic")
    assert begun.auth_url.startswith("https://")
    assert begun.state in begun.auth_url
    ended = await sdk("authentication.handle_o_auth_callback", provider="anthropic", code="c", state=begun.state)
    assert (ended.status, ended.provider) == ("success", "anthropic")
    assert ended.expires_in > 0
    for operation in ("authentication.get_o_auth_health", "health.get_o_auth_health"):
        health = await sdk(operation)
        entry = health.providers["anthropic"]
        assert (health.status, entry.status, entry.provider) == ("healthy", "active", "anthropic")
        assert entry.expires_at > health.timestamp
        assert entry.expires_in
    for operation in ("authentication.refresh_o_auth_tokens", "internal.refresh_o_auth_tokens"):
        assert (await sdk(operation)).status == "success"
    assert (await sdk("authentication.get_auth_status")).providers["anthropic"].auth_method == "oauth"


@pytest.mark.parametrize(
    ("operation", "arguments", "kind"),
    [
        ("authentication.store_api_key", {"provider": "openai", "api_key": "short"}, "INVALID_API_KEY_FORMAT"),
        ("authentication.store_api_key", {"provider": "openai", "api_key": ""}, "MISSING_API_KEY"),
        ("authentication.delete_credentials", {"provider": "nobody"}, "INVALID_PROVIDER"),
        ("authentication.start_o_auth_flow", {"provider": "openai"}, "OAUTH_NOT_SUPPORTED"),
        (
            "authentication.handle_o_auth_callback",
            {"provider": "anthropic", "code": "", "state": "s"},
            "MISSING_CODE",
        ),
        (
            "authentication.handle_o_auth_callback",
            {"provider": "anthropic", "code": "c", "state": "s"},
            "INVALID_STATE",
        ),
        ("preferences.update_preferences", {"preferred_provider": "nobody"}, "INVALID_PROVIDER"),
        ("preferences.update_preferences", {"main_agent_model": "nothing"}, "INVALID_MODEL"),
        ("preferences.update_preferences", {"sub_agent_max_tokens": -1}, "INVALID_TOKEN_COUNT"),
        ("preferences.update_preferences", {"main_agent_reasoning_effort": "huge"}, "INVALID_REASONING_EFFORT"),
    ],
)
async def test_error_types_in_capitals_are_more_than_the_sdk_can_read(sdk, operation, arguments, kind):
    # §2.5, §15.4: the documents close the set of types, the server does not keep to it.
    with pytest.raises(errors.ResponseValidationError) as failure:
        await sdk(operation, **arguments)
    assert failure.value.status_code == 400
    error = json.loads(failure.value.body)["error"]
    assert (error["code"], error["type"]) == (400, kind)
    assert [problem["loc"] for problem in _problems(failure.value)] == [("error", "type")]


# Preferences, tools, system


@pytest.mark.operations(
    "preferences.get_preferences",
    "preferences.update_preferences",
    "preferences.get_available_providers",
    "preferences.reset_preferences",
)
async def test_preferences_are_read_changed_and_reset(sdk):
    found = await sdk("preferences.get_preferences")
    assert found.preferences.main_agent_max_tokens == 4096
    providers = await sdk("preferences.get_available_providers")
    assert providers.keys() == found.available_providers.keys() == {"anthropic", "openai", "openrouter"}
    assert all(entry.display_name and entry.models for entry in providers.values())
    model = providers["openai"].models[0]
    changed = await sdk(
        "preferences.update_preferences",
        preferred_provider="openai",
        main_agent_model=model,
        main_agent_max_tokens=999,
        main_agent_reasoning_effort="high",
        sub_agent_model=model,
        sub_agent_max_tokens=555,
        sub_agent_reasoning_effort="low",
    )
    assert (changed.preferred_provider, changed.main_agent_model, changed.main_agent_max_tokens) == (
        "openai",
        model,
        999,
    )
    again = await sdk("preferences.get_preferences")
    assert again.preferences.model_dump() == changed.model_dump()
    reset = await sdk("preferences.reset_preferences")
    assert (reset.preferred_provider, reset.main_agent_model) == ("anthropic", "claude-sonnet-4-5")
    assert (reset.sub_agent_max_tokens, reset.sub_agent_reasoning_effort) == (2048, "")
    assert reset.created_at > 0


@pytest.mark.operations("tools.list_llm_tools", "tools.get_tool_credentials_status", "tools.get_tools_status")
async def test_tools_are_listed(sdk):
    tools = {tool.name: tool for tool in (await sdk("tools.list_llm_tools")).tools}
    assert set(models.CoreToolName.__args__) <= tools.keys()
    assert tools["Bash"].required == ["command"]
    await sdk("authentication.store_api_key", provider="brave", api_key=KEYS["brave"])
    categories = (await sdk("tools.get_tool_credentials_status")).categories
    found = {tool.provider: tool for category in categories.values() for tool in category.tools}
    assert (found["brave"].authenticated, found["brave"].api_key_required) == (True, True)
    assert found["gemini"].authenticated is False
    # §2.2, §15.7: the route is gone, the SDK still has the operation.
    with pytest.raises(errors.MixDefaultError) as failure:
        await sdk("tools.get_tools_status")
    assert (failure.value.status_code, failure.value.body) == (404, "404 page not found\n")


@pytest.mark.operations(
    "system.get_health",
    "system.get_system_info",
    "system.list_commands",
    "system.get_command",
    "system.list_mcp_servers",
)
async def test_the_system_describes_itself(sdk):
    health = await sdk("system.get_health")
    assert health.status == "ok"
    assert health.version
    assert (await sdk("system.get_system_info")).storage_base_path == str(sdk.server.data_dir)
    commands = await sdk("system.list_commands")
    names = [command.name for command in commands]
    assert names == sorted(names)
    assert {"help", "clear"} <= set(names)
    helped = await sdk("system.get_command", name="help")
    assert (helped.name, helped.usage) == ("help", None)  # §16: `usage` is never filled.
    with pytest.raises(errors.ErrorResponse) as failure:
        await sdk("system.get_command", name="nothing")
    assert told(failure)[:2] == (404, "not_found")
    assert await sdk("system.list_mcp_servers") == []


# Questions and streams; more of them in test_streams.py


@pytest.mark.operations("permissions.grant", "permissions.deny", "notifications.respond_to_notification")
async def test_answers_to_questions_that_nobody_asked(sdk):
    # §16: the documented `granted` and `denied` are never sent, and unknown questions are no error.
    assert (await sdk("permissions.grant", id=UNKNOWN)).granted is None
    assert (await sdk("permissions.deny", id=UNKNOWN)).denied is None
    assert [request.status for request in sdk.server.requests] == [200, 200]
    # §2.5: plain text where the documents have JSON.
    with pytest.raises(errors.MixDefaultError) as failure:
        await sdk("notifications.respond_to_notification", id=UNKNOWN, type_="text", value="yes")
    assert (failure.value.status_code, failure.value.body) == (
        404,
        "Notification not found or already responded\n",
    )


@pytest.mark.operations("streaming.stream_events")
async def test_a_stream_tells_a_turn(sdk):
    heard = await sdk.turn(await sdk.session(), "What is 2 + 3?")
    assert heard[0].event == "user_message_created"
    assert heard[-1].event == "complete"
    assert "".join(event.data.content for event in heard if event.event == "content") == heard[-1].data.content


def _problems(failure: errors.ResponseValidationError) -> list[dict[str, object]]:
    cause = failure.__cause__
    assert isinstance(cause, ValidationError)
    # The SDK wraps the model it expects, so that places begin with the name of its own field.
    return [{**problem, "loc": problem["loc"][1:]} for problem in cause.errors()]


async def _body(response) -> bytes:
    """The whole of a response that the SDK leaves open."""
    if hasattr(response.stream, "__aiter__") and not hasattr(response.stream, "__iter__"):
        content = await response.aread()
        await response.aclose()
        return content
    content = response.read()
    response.close()
    return content
