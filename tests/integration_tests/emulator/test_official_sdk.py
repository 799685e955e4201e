"""The vendor's own Python SDK 0.8.1 against the emulator: what it can parse, it must be given."""

from __future__ import annotations

import httpx
import pytest
from mix_python_sdk import Mix
from mix_python_sdk.errors import ErrorResponse, ResponseValidationError

from langchain_mix.emulator import Script, say, think, turn, use


@pytest.fixture
def sdk(make, plain):
    script = Script(turn((*think("Hm."), use("Glob", {"pattern": "*"}, result="a.txt")), say("There is a.txt.")))
    wire = make("0.8", script)
    unused = httpx.AsyncClient(verify=plain)
    with httpx.Client(verify=plain) as client, Mix(wire.server.url, client=client, async_client=unused) as mix:
        yield mix


def test_a_session_a_turn_and_its_rows(sdk):
    session = sdk.sessions.create(title="official", browser_mode="local-browser-service")
    assert [one.id for one in sdk.sessions.list()] == [session.id]
    names = []
    with sdk.streaming.stream_events(session_id=session.id).result as events:
        for event in events:
            names.append(event.event)
            if event.event == "connected":
                assert sdk.messages.send(id=session.id, text="What is there?").status == "processing"
            if event.event == "complete":
                assert event.data.content == "There is a.txt."
                break
    assert [name for i, name in enumerate(names) if name not in names[:i]] == [
        "connected",
        "user_message_created",
        "thinking",
        "tool_use_start",
        "tool_use_parameter_delta",
        "tool_use_parameter_streaming_complete",
        "tool_execution_start",
        "tool_execution_complete",
        "content",
        "complete",
    ]
    rows = sdk.messages.list_session(id=session.id)
    assert [row.role for row in rows] == ["user", "assistant", "tool", "assistant"]
    assert rows[1].tool_calls[0].result == "a.txt"
    with pytest.raises(ResponseValidationError):  # Mix: its closed enum refuses the server's `browserMode:""`.
        sdk.sessions.rewind_session(id=session.id, message_id=rows[0].id)
    assert len(sdk.messages.list_session(id=session.id)) == 1
    sdk.sessions.delete(id=session.id)
    with pytest.raises(ErrorResponse):
        sdk.sessions.get(id=session.id)


def test_the_rest_of_its_surface(sdk):
    session = sdk.sessions.create(title="official", browser_mode="local-browser-service")
    file = {"file_name": "a b.csv", "content": b"a,b\n1,2\n"}
    assert sdk.files.upload_session_file(id=session.id, file=file).name == "a_b.csv"
    assert [one.size for one in sdk.files.list_session_files(id=session.id)] == [8]
    assert sdk.files.get_session_file(id=session.id, filename="a_b.csv").read() == b"a,b\n1,2\n"
    assert sdk.system.get_health().status == "ok"
    assert sdk.system.list_mcp_servers() == []
    assert "help" in [command.name for command in sdk.system.list_commands()]
    assert "anthropic" in sdk.preferences.get_preferences().available_providers
    assert "Bash" in [tool.name for tool in sdk.tools.list_llm_tools().tools]
    assert sdk.tools.get_tool_credentials_status().categories
    assert sdk.authentication.get_auth_status().providers
