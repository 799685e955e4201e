from __future__ import annotations

import json
from datetime import timedelta

import pytest

from langchain_mix.emulator.state import Row, SessionFacts, ToolCallRecord
from langchain_mix.emulator.state.serializers import Serializers, go_json, number, raw_parts, rfc3339, well_formed
from langchain_mix.emulator.state.store import RowCounts
from langchain_mix.protocol.api import CAPABILITIES, ApiVersion


def serializers(api: str) -> Serializers:
    return Serializers(ApiVersion(api), CAPABILITIES[ApiVersion(api)], timedelta(0))


FACTS = SessionFacts(
    id="I",
    title="T",
    parent_id="P",
    parent_tool_call="C",
    type="subagent",
    subagent_type="general-purpose",
    callbacks=[{"toolName": "Bash", "type": "send_message", "messageContent": "m"}],
    browser_mode="remote-cdp-websocket",
    cdp_url="ws://x",
    model_id="m",
    provider="p",
)


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (timedelta(0), "2025-10-09T08:53:20Z"),
        (timedelta(hours=5, minutes=30), "2025-10-09T14:23:20+05:30"),
        (timedelta(hours=-8), "2025-10-09T00:53:20-08:00"),
    ],
)
def test_q38_times_carry_the_servers_offset(offset: timedelta, expected: str) -> None:
    assert rfc3339(1_760_000_000, offset) == expected


def test_numbers_are_written_as_go_writes_them() -> None:
    assert json.dumps([number(0.0), number(3.0), number(0.25)]) == "[0, 3, 0.25]"


def test_json_is_written_as_go_writes_it() -> None:
    assert go_json({"a": "<b>&\u2028\u2029é😀", "b": [1, 2]}) == (
        '{"a":"\\u003cb\\u003e\\u0026\\u2028\\u2029é😀","b":[1,2]}'
    )


def test_lone_surrogates_never_leave() -> None:
    assert well_formed("a\ud800b\udfff😀") == "a\ufffdb\ufffd😀"
    assert go_json("\ud83d") == '"\ufffd"'


@pytest.mark.parametrize(
    ("api", "keys"),
    [
        (
            "0.6",
            "id title userMessageCount assistantMessageCount toolCallCount promptTokens completionTokens cost createdAt",
        ),
        (
            "0.7",
            (
                "id title userMessageCount assistantMessageCount toolCallCount promptTokens completionTokens cost createdAt"
                " parentSessionId parentToolCallId sessionType subagentType callbacks"
            ),
        ),
        (
            "0.8",
            (
                "id parentSessionId parentToolCallId title sessionType subagentType browserMode cdpUrl userMessageCount"
                " assistantMessageCount toolCallCount promptTokens completionTokens cost createdAt callbacks"
            ),
        ),
        (
            "next",
            (
                "id parentSessionId parentToolCallId title sessionType subagentType browserMode cdpUrl userMessageCount"
                " assistantMessageCount toolCallCount promptTokens completionTokens cost createdAt callbacks modelId provider"
            ),
        ),
    ],
)
def test_session_keys_of_each_generation(api: str, keys: str) -> None:
    assert list(serializers(api).session(FACTS, RowCounts())) == keys.split()


def test_empty_session_fields_are_omitted_and_counters_are_not() -> None:
    body = serializers("0.8").session(
        SessionFacts(id="I", title="T", browser_mode="local-browser-service"), RowCounts()
    )
    assert list(body) == [
        "id",
        "title",
        "sessionType",
        "browserMode",
        "userMessageCount",
        "assistantMessageCount",
        "toolCallCount",
        "promptTokens",
        "completionTokens",
        "cost",
        "createdAt",
    ]
    assert (body["cost"], body["toolCallCount"]) == (0, 0)


def test_a_session_of_an_older_data_directory_has_a_browser_mode() -> None:
    assert (
        serializers("0.8").session(SessionFacts(id="I", title="T"), RowCounts())["browserMode"]
        == "local-browser-service"
    )


CALL = ToolCallRecord("c", "Bash", '{"b":1,"a":2}', finished=True, screenshot_urls=["u"])
ASSISTANT = Row(
    "assistant",
    "text",
    id="m",
    session_id="s",
    tool_calls=[CALL],
    reasoning="why",
    reasoning_duration=2,
    model="claude",
    input_tokens=1,
    output_tokens=2,
    cache_creation_tokens=3,
    cache_read_tokens=4,
    cost=0.5,
    finish_reason="tool_use",
    thinking_blocks=["t"],
    redacted_thinking_blocks=["r"],
)
RESULTS = {"c": {"call_id": "c", "output": "done", "is_error": True}}


def test_message_keys_in_the_newest_generation() -> None:
    body = serializers("0.8").message(ASSISTANT, RESULTS)
    assert list(body) == [
        "id",
        "sessionId",
        "role",
        "userInput",
        "assistantResponse",
        "toolCalls",
        "reasoning",
        "reasoningDuration",
        "inputTokens",
        "outputTokens",
        "cacheCreationTokens",
        "cacheReadTokens",
        "cost",
        "model",
    ]
    assert list(body["toolCalls"][0]) == [
        "id",
        "name",
        "input",
        "type",
        "finished",
        "result",
        "isError",
        "screenshotUrls",
    ]
    assert (body["userInput"], body["assistantResponse"], body["toolCalls"][0]["result"]) == ("text", "text", "done")


@pytest.mark.parametrize("api", ["0.5", "0.6", "0.6.5", "0.7"])
def test_older_generations_show_neither_results_nor_usage(api: str) -> None:
    body = serializers(api).message(ASSISTANT, RESULTS)
    assert list(body) == [
        "id",
        "sessionId",
        "role",
        "userInput",
        "assistantResponse",
        "toolCalls",
        "reasoning",
        "reasoningDuration",
    ]
    assert list(body["toolCalls"][0]) == ["id", "name", "input", "type", "finished"]


def test_a_result_on_the_call_itself_shows_only_where_results_show() -> None:
    row = Row("assistant", tool_calls=[ToolCallRecord("c", "Bash", result="own", is_error=True)])
    shown = serializers("0.8").message(row, {})["toolCalls"][0]
    assert (shown["result"], shown["isError"]) == ("own", True)
    assert "result" not in serializers("0.7").message(row, {})["toolCalls"][0]


def test_q37_tool_rows_show_as_empty_user_input() -> None:
    row = Row("tool", id="m", session_id="s", tool_results=[{"call_id": "c", "output": "o"}])
    assert serializers("0.8").message(row, {}) == {"id": "m", "sessionId": "s", "role": "tool", "userInput": ""}


def test_callback_results_are_snake_case_and_leave_out_what_is_internal() -> None:
    result = {
        "success": False,
        "exclude_from_context": True,
        "exit_code": 2,
        "error": "boom",
        "stderr": "bad",
        "callback_type": "bash_script",
        "tool_name": "Write",
        "tool_call_id": "c",
        "callback_name": "lint",
    }
    row = Row("tool", callback_results=[result])
    (shown,) = serializers("0.7").message(row, {})["callbackResults"]
    assert list(shown) == [
        "tool_call_id",
        "tool_name",
        "callback_name",
        "callback_type",
        "stderr",
        "exit_code",
        "success",
        "error",
    ]
    assert "callbackResults" not in serializers("0.6.5").message(row, {})


def test_reasoning_falls_back_to_the_first_thinking_block() -> None:
    assert serializers("0.8").message(Row("assistant", thinking_blocks=["a", "b"]), {})["reasoning"] == "a"


def test_export_of_a_message_and_its_calls() -> None:
    body = serializers("0.8").export(
        FACTS, RowCounts(1, 2, 3), [ASSISTANT, Row("tool", id="t"), Row("user", "hi", id="u")]
    )
    assert list(body) == [
        "id",
        "title",
        "userMessageCount",
        "assistantMessageCount",
        "toolCallCount",
        "promptTokens",
        "completionTokens",
        "cost",
        "createdAt",
        "updatedAt",
        "messages",
    ]
    assistant, tool, user = body["messages"]
    assert list(assistant) == [
        "id",
        "role",
        "content",
        "toolCalls",
        "reasoning",
        "reasoningDuration",
        "thinkingBlocks",
        "redactedThinkingBlocks",
        "model",
        "finishReason",
        "createdAt",
        "updatedAt",
    ]
    call = assistant["toolCalls"][0]
    assert list(call) == ["id", "name", "input", "inputJson", "type", "finished", "screenshotUrls"]
    assert list(call["inputJson"]) == ["a", "b"], "a Go map comes back sorted"
    assert (tool["content"], tool["finishReason"], user["finishReason"]) == ("", "stop", "stop")


@pytest.mark.parametrize("api", ["0.5", "0.7", "0.8", "next"])
def test_export_never_joins_results(api: str) -> None:
    row = Row("assistant", tool_calls=[ToolCallRecord("c", "Bash", result="own", is_error=True)])
    call = serializers(api).export(FACTS, RowCounts(), [row])["messages"][0]["toolCalls"][0]
    assert "result" not in call
    assert "isError" not in call


@pytest.mark.parametrize("broken", ["", "{", "NaN", '{"a":Infinity}', "[" * 200_000, "null"])
def test_export_shows_parsed_input_only_if_it_is_json(broken: str) -> None:
    row = Row("assistant", tool_calls=[ToolCallRecord("c", "Bash", broken)])
    assert "inputJson" not in serializers("0.8").export(FACTS, RowCounts(), [row])["messages"][0]["toolCalls"][0]


def test_parsed_input_can_always_be_sent() -> None:
    row = Row("assistant", tool_calls=[ToolCallRecord("c", "Bash", '{"a":"\\ud800"}')])
    call = serializers("0.8").export(FACTS, RowCounts(), [row])["messages"][0]["toolCalls"][0]
    assert call["inputJson"] == {"a": "\ufffd"}


def test_q29_raw_parts_are_json_with_html_escaped() -> None:
    text = raw_parts(Row("user", "<hi>"))
    assert text.startswith('[{"type":"text","data":{"text":"\\u003chi\\u003e"}}')
    assert json.loads(text)[0]["data"]["text"] == "<hi>"
