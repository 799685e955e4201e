"""What the official examples do that is in no sample of the documentation."""

from __future__ import annotations

import json

import pytest

from langchain_mix.client import Mix, SSECompleteEvent, SSEContentEvent
from langchain_mix.client.models import SendMessageRequestBody
from langchain_mix.emulator import MixEmulator, Script

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("api", ["0.5", "0.6", "0.8"])
@pytest.mark.parametrize("as_json", ["model_dump_json", "model_dump"])
def test_a_request_body_is_the_content_of_a_streamed_message(api: str, as_json: str) -> None:
    body = SendMessageRequestBody(text="Hello", plan_mode=False)
    content = body.model_dump_json() if as_json == "model_dump_json" else json.dumps(body.model_dump())
    with MixEmulator(api, Script("Every word.")) as server, Mix(server_url=server.url) as mix:
        session = mix.sessions.create(title="t")
        with mix.streaming.stream_events(session_id=session.id).result as events:
            assert next(events).event == "connected"
            mix.streaming.send_streaming_message(id=session.id, content=content)
            said = ""
            for event in events:
                if isinstance(event, SSEContentEvent):
                    said += event.data.content
                if isinstance(event, SSECompleteEvent):
                    break
        assert said == "Every word."
        server.wait_idle()
        assert mix.messages.list_session(id=session.id)[0].user_input == "Hello"


@pytest.mark.parametrize("api", ["0.5", "0.6", "0.7", "0.8"])
@pytest.mark.parametrize("model", ["claude-4-sonnet", "claude-3.7-sonnet"])
def test_the_models_that_the_examples_prefer(api: str, model: str) -> None:
    with MixEmulator(api) as server, Mix(server_url=server.url) as mix:
        changed = mix.preferences.update_preferences(
            preferred_provider="anthropic", main_agent_model=model, sub_agent_model=model
        )
        assert (changed.main_agent_model, changed.sub_agent_model) == (model, model)
        stored = mix.preferences.get_preferences().preferences
        assert stored is not None
        assert stored.model_dump() == changed.model_dump()


@pytest.mark.parametrize("api", ["0.5", "0.6.5", "0.8"])
def test_answers_to_permission_requests_that_nobody_made(api: str) -> None:
    with MixEmulator(api) as server, Mix() as mix:
        options = {"server_url": server.url, "timeout_ms": 5_000, "http_headers": {"X-Example": "1"}}
        for answer in (mix.permissions.grant, mix.permissions.deny):
            assert answer(id="test_permission_001", **options).id == "test_permission_001"
        assert [r.headers["x-example"] for r in server.requests] == ["1", "1"]
