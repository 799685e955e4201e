"""Payloads in the shape of every generation, and in shapes that no generation sends yet."""

import inspect
import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from langchain_mix.protocol import models
from langchain_mix.protocol.api import ApiVersion, before, seen_in_session, since
from langchain_mix.protocol.models.base import Payload, SnakePayload

SESSION_0_5 = {
    "id": "S",
    "title": "T",
    "userMessageCount": 2,
    "assistantMessageCount": 3,
    "toolCallCount": 1,
    "promptTokens": 10,
    "completionTokens": 20,
    "cost": 0,
    "createdAt": "2025-10-10T12:00:00+05:30",
    "firstUserMessage": '[{"type":"text","data":{"text":"hi"}}]',
}
SESSION_0_7 = {
    **SESSION_0_5,
    "parentSessionId": "P",
    "parentToolCallId": "C",
    "sessionType": "subagent",
    "subagentType": "general-purpose",
    "callbacks": [{"toolName": "*", "type": "bash_script", "bashCommand": "true", "bashTimeout": 5}],
}
SESSION_0_8 = {**SESSION_0_7, "sessionType": "main", "browserMode": "remote-cdp-websocket", "cdpUrl": "ws://x"}
SESSION_NEXT = {**SESSION_0_8, "modelId": "m", "provider": "anthropic"}
SESSIONS = {"0.5": SESSION_0_5, "0.7": SESSION_0_7, "0.8": SESSION_0_8, "next": SESSION_NEXT}

CALL_0_5 = {"id": "C", "name": "bash", "input": "{}", "type": "tool_use", "finished": True}
CALL_0_8 = {**CALL_0_5, "name": "Bash", "type": "", "result": "ok", "isError": False, "screenshotUrls": ["u"]}
CALLBACK_RESULT = {
    "tool_call_id": "C",
    "tool_name": "Bash",
    "callback_name": "n",
    "callback_type": "bash_script",
    "stdout": "o",
    "stderr": "e",
    "exit_code": 0,
    "subagent_id": "s",
    "subagent_result": "r",
    "success": True,
    "error": "x",
    "exclude_from_context": True,
}
MESSAGE_0_5 = {
    "id": "M",
    "sessionId": "S",
    "role": "assistant",
    "userInput": "hi",
    "assistantResponse": "hi",
    "toolCalls": [CALL_0_5],
    "reasoning": "r",
    "reasoningDuration": 3,
}
MESSAGE_0_7 = {**MESSAGE_0_5, "role": "tool", "callbackResults": [CALLBACK_RESULT]}
MESSAGE_0_8 = {
    **MESSAGE_0_5,
    "toolCalls": [CALL_0_8],
    "inputTokens": 1,
    "outputTokens": 2,
    "cacheCreationTokens": 3,
    "cacheReadTokens": 4,
    "cost": 0.5,
    "model": "m",
}
EXPORT = {
    "id": "S",
    "title": "T",
    "userMessageCount": 1,
    "assistantMessageCount": 1,
    "toolCallCount": 1,
    "promptTokens": 10,
    "completionTokens": 20,
    "cost": 0.25,
    "createdAt": "2025-10-10T12:00:00Z",
    "updatedAt": "2025-10-10T12:00:01Z",
    "messages": [
        {
            "id": "M1",
            "role": "user",
            "content": "hi",
            "finishReason": "stop",
            "createdAt": "2025-10-10T12:00:00Z",
            "updatedAt": "2025-10-10T12:00:00Z",
        },
        {
            "id": "M2",
            "role": "assistant",
            "content": "hello",
            "toolCalls": [
                {**CALL_0_5, "inputJson": {"a": 1}, "result": "x", "metadata": "{}", "isError": False},
                {**CALL_0_5, "id": "C2", "inputJson": [1], "screenshotUrls": ["u"]},
            ],
            "reasoning": "r",
            "reasoningDuration": 3,
            "thinkingBlocks": ["t"],
            "redactedThinkingBlocks": ["x"],
            "model": "m",
            "finishReason": "tool_use",
            "createdAt": "2025-10-10T12:00:00Z",
            "updatedAt": "2025-10-10T12:00:01Z",
        },
        {
            "id": "M3",
            "role": "tool",
            "content": "",
            "createdAt": "2025-10-10T12:00:00Z",
            "updatedAt": "2025-10-10T12:00:01Z",
        },
    ],
}
PREFERENCES = {
    "preferred_provider": "anthropic",
    "main_agent_model": "claude-sonnet-4-5",
    "main_agent_max_tokens": 4096,
    "main_agent_reasoning_effort": "",
    "sub_agent_model": "claude-sonnet-4-5",
    "sub_agent_max_tokens": 2048,
    "sub_agent_reasoning_effort": "",
    "created_at": 1,
    "updated_at": 2,
}
DONE = {"message": "ok", "provider": "anthropic", "status": "success"}
TOOL = {"provider": "brave", "display_name": "B", "description": "d", "authenticated": True, "api_key_required": True}

WIRE = [
    *[(models.SessionData, body) for body in SESSIONS.values()],
    (models.BackendMessage, MESSAGE_0_5),
    (models.BackendMessage, MESSAGE_0_7),
    (models.BackendMessage, MESSAGE_0_8),
    (models.SendMessageResponse, MESSAGE_0_8),
    (models.SendMessageResponse, {"sessionId": "S", "status": "processing"}),
    (models.StreamMessageResponse, {"sessionId": "S", "status": "broadcasted"}),
    (models.ExportSession, EXPORT),
    (models.FileInfo, {"name": "a", "size": 1, "modified": 2, "isDir": False}),
    (
        models.FileInfo,
        {"name": "a", "originalName": "b", "size": 1, "modified": 0, "isDir": False, "url": "http://h/a b"},
    ),
    (models.StoreAPIKeyResponse, DONE),
    (models.DeleteCredentialsResponse, DONE),
    (
        models.GetAuthStatusResponse,
        {"providers": {"openai": {"auth_method": "none", "authenticated": False, "display_name": "OpenAI ⭐"}}},
    ),
    (
        models.ValidatePreferredProviderResponse,
        {"valid": True, "provider": "a", "auth_method": "oauth", "message": "m"},
    ),
    (models.ValidatePreferredProviderResponse, {"valid": False, "error": "No preferred provider set", "message": "m"}),
    (models.StartOAuthFlowResponse, {"auth_url": "https://x", "message": "m", "state": "s"}),
    (models.HandleOAuthCallbackResponse, {"expires_in": 1, **DONE}),
    (
        models.GetOAuthHealthResponse,
        {
            "status": "degraded",
            "timestamp": "2025-10-10T12:00:00Z",
            "providers": {
                "anthropic": {
                    "provider": "anthropic",
                    "status": "expired_no_refresh",
                    "expires_at": "2025-10-10T12:00:00Z",
                    "expires_in": "-2h0m0s",
                    "last_refresh": "2025-10-10T12:00:00Z",
                    "error": "e",
                }
            },
        },
    ),
    (models.RefreshOAuthTokensResponse, {"message": "m", "status": "s"}),
    (models.UserPreferencesResponse, PREFERENCES),
    (models.UpdatePreferencesResponse, PREFERENCES),
    (models.ResetPreferencesResponse, PREFERENCES),
    (models.GetAvailableProvidersResponse, {"display_name": "A", "models": ["m"]}),
    (models.GetAvailableProvidersResponse, {"display_name": "A", "models": {"m": {"context": 1}}}),
    (
        models.GetPreferencesResponse,
        {"preferences": PREFERENCES, "available_providers": {"a": {"display_name": "A", "models": ["m"]}}},
    ),
    (models.HealthCheckResponse, {"status": "ok", "timestamp": "2025-10-10T12:00:00Z", "version": "1"}),
    (
        models.HealthCheckResponse,
        {
            "status": "ok",
            "timestamp": "t",
            "version": "1",
            "environment": "dev",
            "services": {"backend": "healthy", "database": "connected"},
        },
    ),
    (models.GetSystemInfoResponse, {"storageBasePath": "/data"}),
    (models.ListCommandsResponse, {"name": "help", "description": "d", "type": "builtin"}),
    (models.GetCommandResponse, {"name": "help", "description": "d", "usage": "/help"}),
    (
        models.ListMcpServersResponse,
        {"name": "m", "connected": True, "status": "connected", "tools": [{"name": "t", "description": "d"}]},
    ),
    (models.GetToolsStatusResponse, {"categories": {"search": {"display_name": "S", "tools": [TOOL]}}}),
    (
        models.GetToolCredentialsStatusResponse,
        {
            "categories": {
                "search": {
                    "display_name": "S",
                    "description": "d",
                    "icon": "i",
                    "tools": [{**TOOL, "api_key_format": "BSA…"}],
                }
            }
        },
    ),
    (
        models.ListLLMToolsResponse,
        {
            "tools": [
                {
                    "name": "Bash",
                    "description": "d",
                    "parameters": {"command": {"type": "string"}},
                    "required": ["command"],
                }
            ]
        },
    ),
    (models.GrantPermissionResponse, {"id": "P", "message": "m", "status": "granted", "granted": True}),
    (models.DenyPermissionResponse, {"id": "P", "message": "m", "status": "denied", "denied": True}),
    (models.CancelSessionProcessingResponse, {"sessionId": "S", "status": "cancelled", "cancelled": True}),
]


@pytest.mark.parametrize(("kind", "body"), WIRE, ids=[f"{kind.__name__}-{i}" for i, (kind, _) in enumerate(WIRE)])
def test_every_key_of_the_wire_is_a_field_and_comes_back_unchanged(kind, body):
    """No key of the documented shapes lands among the unknown ones, and nothing is lost or renamed."""
    payload = kind.model_validate_json(json.dumps(body))
    unknown = []

    def look(value):
        if isinstance(value, Payload):
            unknown.extend((value.model_extra or {}).keys())
            for name in type(value).model_fields:
                look(getattr(value, name))
        elif isinstance(value, dict):
            for item in value.values():
                look(item)
        elif isinstance(value, list):
            for item in value:
                look(item)

    look(payload)
    assert unknown == []
    assert payload.model_dump(mode="json", by_alias=True, exclude_unset=True) == body


PAYLOADS = [
    kind
    for _, kind in inspect.getmembers(models, inspect.isclass)
    if issubclass(kind, Payload) and kind not in (Payload, SnakePayload)
]
ESSENTIAL = {
    models.SessionData: {"id": "x"},
    models.BackendMessage: {"id": "x"},
    models.ToolCallData: {"id": "x"},
    models.ExportSession: {"id": "x"},
    models.ExportMessage: {"id": "x"},
    models.ExportToolCall: {"id": "x"},
    models.FileInfo: {"name": "x"},
    models.Callback: {"toolName": "x", "type": "y"},
}


@pytest.mark.parametrize("kind", PAYLOADS)
def test_only_ids_are_essential(kind):
    essential = ESSENTIAL.get(kind, {})
    assert kind.model_validate(essential)
    for key in essential:
        with pytest.raises(ValidationError):
            kind.model_validate({k: v for k, v in essential.items() if k != key})


@pytest.mark.parametrize("kind", PAYLOADS)
def test_what_is_absent_claims_nothing(kind):
    """No count, no flag and no text is made up for a key that the server did not send."""
    essential = ESSENTIAL.get(kind, {})
    payload = kind.model_validate(essential)
    made_up = {name: getattr(payload, name) for name in kind.model_fields if getattr(payload, name)}
    assert sorted(made_up.values()) == sorted(essential.values())


@pytest.mark.parametrize("kind", PAYLOADS)
def test_unknown_fields_are_kept(kind):
    payload = kind.model_validate({**ESSENTIAL.get(kind, {}), "newKey": [1], "new_null": None})
    assert payload.newKey == [1]
    assert payload.new_null is None
    assert payload.model_dump(by_alias=True)["newKey"] == [1]


@pytest.mark.parametrize("kind", PAYLOADS)
def test_null_reads_as_absent(kind):
    """Go sends null for lists and maps that are nil."""
    essential = ESSENTIAL.get(kind, {})
    absent = kind.model_validate(essential)
    own = [field.alias or name for name, field in kind.model_fields.items()]
    null = kind.model_validate({**dict.fromkeys(own), **essential})
    assert null == absent
    assert null.wire_keys() == absent.wire_keys()


@pytest.mark.parametrize("kind", PAYLOADS)
def test_fields_are_snake_case_and_wire_names_are_of_one_style(kind):
    snake = issubclass(kind, SnakePayload)
    kind.model_validate(ESSENTIAL.get(kind, {}))  # Aliases exist once the class is built.
    for name, field in kind.model_fields.items():
        assert name == name.lower()
        assert "_" not in (field.alias or name) or snake


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        (models.SessionData, "sessionType", "hologram"),
        (models.SessionData, "browserMode", ""),
        (models.SessionData, "subagentType", "poet"),
        (models.BackendMessage, "role", "oracle"),
        (models.ToolCallData, "name", "server_tool"),
        (models.ExportMessage, "finishReason", "bored"),
        (models.CallbackResultData, "callback_type", "carrier_pigeon"),
        (models.GetAuthStatusProviders, "auth_method", "passkey"),
        (models.GetOAuthHealthProviders, "status", "sleepy"),
        (models.ListMcpServersResponse, "status", "connecting"),
        (models.StreamMessageResponse, "status", "queued"),
    ],
)
def test_unknown_choices_pass_through(kind, key, value):
    payload = kind.model_validate({**ESSENTIAL.get(kind, {}), key: value})
    assert payload.model_dump(by_alias=True)[key] == value


def test_options_compare_equal_to_the_wire_and_print_as_it():
    session = models.SessionData.model_validate(SESSION_0_8)
    assert session.session_type == models.SessionType.MAIN
    assert session.browser_mode == models.BrowserMode.REMOTE_CDP_WEBSOCKET
    assert f"{models.Provider.OPENROUTER}" == "openrouter"
    assert json.dumps({"provider": models.Provider.BRAVE}) == '{"provider": "brave"}'


def test_times_keep_the_offset_of_the_server():
    session = models.SessionData.model_validate(SESSION_0_5)
    assert session.created_at == datetime(2025, 10, 10, 6, 30, tzinfo=UTC)
    assert session.created_at.utcoffset() == timedelta(hours=5, minutes=30)


@pytest.mark.parametrize(
    ("name", "shows"),
    [
        ("0.5", before(ApiVersion.V0_7)),
        ("0.7", (ApiVersion.V0_7,)),
        ("0.8", since(ApiVersion.V0_8)),
        ("next", (ApiVersion.NEXT,)),
    ],
)
def test_wire_keys_tell_what_the_server_sent(name, shows):
    session = models.SessionData.model_validate({**SESSIONS[name], "shinyNew": 1})
    assert session.wire_keys() == {*SESSIONS[name], "shinyNew"}
    assert seen_in_session(dict.fromkeys(session.wire_keys())) == shows


def test_the_reply_to_a_rewind_still_shows_its_generation():
    """Mix: browserMode is empty there, but it is there."""
    session = models.SessionData.model_validate({**SESSION_0_7, "browserMode": ""})
    assert session.browser_mode == ""
    assert "browserMode" in session.wire_keys()


@pytest.mark.parametrize(
    ("body", "cancelled", "status"),
    [
        ({"cancelled": True}, True, "cancelled"),
        ({"cancelled": False}, False, ""),
        ({"cancelled": True, "status": "other"}, True, "other"),
        ({"sessionId": "S", "status": "cancelled"}, True, "cancelled"),
        ({"sessionId": "S", "status": "idle"}, False, "idle"),
    ],
)
def test_cancel_reads_as_documented_and_as_sent(body, cancelled, status):
    answer = models.CancelSessionProcessingResponse.model_validate(body)
    assert (answer.cancelled, answer.status) == (cancelled, status)


@pytest.mark.parametrize(
    ("kind", "flag", "word"),
    [(models.GrantPermissionResponse, "granted", "granted"), (models.DenyPermissionResponse, "denied", "denied")],
)
def test_permission_answers_read_as_documented_and_as_sent(kind, flag, word):
    documented = kind.model_validate({flag: True})
    sent = kind.model_validate({"id": "P", "message": "m", "status": word})
    assert getattr(documented, flag) is getattr(sent, flag) is True
    assert documented.status == sent.status == word
    assert getattr(kind.model_validate({flag: False, "status": word}), flag) is False
    assert kind.model_validate({flag: False}).status == ""
    assert kind.model_validate({flag: True, "status": "other"}).status == "other"
    assert getattr(kind.model_validate({"status": "other"}), flag) is False


def test_tools_status_reads_as_documented_and_as_sent():
    documented = models.GetToolsStatusResponse.model_validate({"categories": {"s": {"tools": [TOOL]}}})
    entry = {key: value for key, value in TOOL.items() if key not in ("provider", "api_key_required")}
    sent = models.GetToolsStatusResponse.model_validate(
        {"categories": {"s": {"tools": {"brave": {**entry, "requires_key": True}}}}}
    )
    assert [t.model_dump() for t in sent.categories["s"].tools] == [TOOL]
    assert documented.categories["s"].tools == sent.categories["s"].tools


@pytest.mark.parametrize("broken", [{"tools": {"brave": 3}}, {"tools": "none"}, []])
def test_a_broken_tools_status_is_refused_not_guessed(broken):
    with pytest.raises(ValidationError):
        models.GetToolsStatusResponse.model_validate({"categories": {"s": broken}})


def test_the_documented_export_sample_runs():
    export = models.ExportSession.model_validate(EXPORT)
    lines = []
    for msg in export.messages:
        lines.append(f"{msg.role}: {msg.user_input or msg.assistant_response}")
        if msg.reasoning:
            lines.append(f"{msg.reasoning_duration}")
        lines += [f"{call.name} {call.input} {call.result}" for call in msg.tool_calls]
    assert lines == ["user: hi", "assistant: hello", "3", "bash {} x", "bash {} None", "tool: "]
    assert export.messages[0].assistant_response == ""
    assert export.messages[1].user_input == ""


def test_a_sent_message_tells_answers_from_running_turns():
    answer = models.SendMessageResponse.model_validate(
        {"id": "M", "sessionId": "", "role": "user", "userInput": "hi", "assistantResponse": "hello"}
    )
    assert (answer.accepted, answer.is_command, answer.lacks_credential) == (False, False, False)
    assert (answer.assistant_response, answer.role, answer.session_id) == ("hello", "user", "")
    running = models.SendMessageResponse.model_validate({"sessionId": "S", "status": "processing"})
    assert running.accepted
    assert running.tool_calls == []
    assert models.SendMessageResponse.model_validate({"sessionId": "S", "status": "queued"}).accepted
    assert models.SendMessageResponse(id="cmd-help").is_command
    assert models.SendMessageResponse(id="system-auth-prompt").lacks_credential


def test_all_names_every_payload_and_nothing_twice():
    assert len(models.__all__) == len(set(models.__all__))
    for name in models.__all__:
        assert hasattr(models, name)
    modules = {module for _, module in inspect.getmembers(models, inspect.ismodule)}
    defined = {
        name
        for module in modules
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if kind.__module__ == module.__name__
    }
    assert defined - set(models.__all__) == set()
    assert {module.__name__.rpartition(".")[2] for module in modules} == {
        "base",
        "messages",
        "server",
        "sessions",
    }


def test_models_are_built_when_first_used():
    """Building them all would cost more than the rest of the import."""
    import subprocess
    import sys

    code = (
        "from langchain_mix.protocol import models, calls, tools\n"
        "kinds = [k for m in (models, tools) for k in vars(m).values() if hasattr(k, '__pydantic_complete__')]\n"
        "assert len(kinds) > 60, len(kinds)\n"
        "assert not [k for k in kinds if k.__pydantic_complete__], [k for k in kinds if k.__pydantic_complete__]\n"
        "models.SessionData(id='x')\n"
        "assert models.SessionData.__pydantic_complete__\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_lists_and_maps_of_payloads_validate():
    listed = TypeAdapter(list[models.SessionData]).validate_json(json.dumps(list(SESSIONS.values())))
    assert [s.model_id for s in listed] == [None, None, None, "m"]
