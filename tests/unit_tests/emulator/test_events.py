from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_mix.emulator.events import Call, Event, EventEncoder, failure, fragments, go_duration, heartbeat
from langchain_mix.protocol.api import ApiVersion

CALL = Call("T", "Bash", '{"command":"make it so, please"}', ready=True)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (2e-9, "2ns"),
        (1.5e-6, "1.5µs"),
        (0.0123, "12.3ms"),
        (1.2, "1.2s"),
        (1, "1s"),
        (62.5, "1m2.5s"),
        (60, "1m0s"),
        (3723, "1h2m3s"),
        (-1, "0s"),
    ],
)
def test_durations_are_written_as_go_does(seconds, text):
    assert go_duration(seconds) == text


@given(st.text())
def test_fragments_are_at_most_20_bytes_and_lose_nothing(text):
    pieces = fragments(text)
    assert "".join(pieces) == text
    assert all(0 < len(piece.encode()) <= 20 for piece in pieces)


def test_retry_values():
    assert Event("content", {}).retry == 30000
    assert heartbeat().retry == 45000
    assert failure("x").retry == 750
    assert Event("error", {"error": "x", "retryAfter": 60}).retry == 60
    assert EventEncoder(ApiVersion.V0_8).rate_limit()[0].retry == 30000


def test_payloads_are_compact_go_json():
    assert Event("content", {"type": "content", "content": "<ü>\n"}).text == (
        '{"type":"content","content":"\\u003cü\\u003e\\n"}'
    )


@pytest.mark.parametrize("api", ApiVersion)
def test_each_generation_names_tool_calls_its_own_way(api):
    encoder = EventEncoder(api)
    running = Call(CALL.id, CALL.name, CALL.input)
    seen = [e.name for e in (*encoder.tool_declared([running], "M"), *encoder.tool_input(CALL, "M"))]
    seen += [e.name for e in encoder.tool_ready([CALL], "M")]
    if api in {"0.8", "next"}:
        assert seen == ["tool_use_start", *["tool_use_parameter_delta"] * 2, "tool_use_parameter_streaming_complete"]
    elif api in {"0.6.5", "0.7"}:
        assert seen == ["tool", *["tool_parameter_delta"] * 2, "tool"]
    else:
        assert seen == ["tool", "tool"]


@pytest.mark.parametrize("api", ["0.6.5", "0.7"])
def test_q8_deltas_are_quoted(api):
    deltas = EventEncoder(ApiVersion(api)).tool_input(CALL, "M")
    assert "".join(json.loads(e.data["input"]) for e in deltas) == CALL.input


def test_origin_and_parent():
    assert list(EventEncoder(ApiVersion.V0_8, "P").content("a", "M")[0].data) == [
        "type",
        "content",
        "parentToolCallId",
        "assistantMessageId",
    ]
    assert list(EventEncoder(ApiVersion.V0_6_5).content("a", "M")[0].data) == ["type", "content"]


def test_a_sub_agents_turn_never_completes_on_the_wire():
    assert EventEncoder(ApiVersion.V0_8, "P").complete("a", "M") == []
    assert EventEncoder(ApiVersion.V0_8).complete("a", "M")[0].data["done"] is True


def test_on_0_5_success_is_the_truth_and_later_a_matter_of_words_q4():
    call = Call("T", "error_log", "{}")
    assert EventEncoder(ApiVersion.V0_5).execution_complete(call, 1, None)[0].data["success"] is True
    assert EventEncoder(ApiVersion.V0_6).execution_complete(call, 1, None)[0].data["success"] is False
