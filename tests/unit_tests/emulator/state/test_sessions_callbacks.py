from __future__ import annotations

from typing import Any

import pytest

from langchain_mix.emulator.state import ApiError
from langchain_mix.emulator.state.sessions import check_callbacks, read_callbacks


def test_keys_come_in_the_wires_order_and_empty_ones_are_left_out() -> None:
    (callback,) = read_callbacks(
        [
            {
                "excludeFromContext": True,
                "includeFullHistory": False,
                "bashTimeout": 5,
                "bashCommand": "lint",
                "type": "bash_script",
                "toolName": "Write",
                "name": "n",
                "unknown": 1,
                "messageContent": None,
            }
        ]
    )
    assert list(callback) == ["name", "toolName", "type", "bashCommand", "bashTimeout", "excludeFromContext"]


def test_what_the_newest_official_client_sends_is_accepted() -> None:
    sent = {
        "toolName": "*",
        "type": "send_message",
        "messageContent": "m",
        "bashTimeout": 120000,
        "excludeFromContext": False,
        "subAgentType": "general-purpose",
    }
    callbacks = read_callbacks([sent])
    check_callbacks(callbacks)
    assert callbacks[0]["subAgentType"] == "general-purpose"
    assert "excludeFromContext" not in callbacks[0]


def test_null_is_no_callbacks() -> None:
    assert read_callbacks(None) == []


@pytest.mark.parametrize(
    "value",
    [
        {},
        "x",
        [None],
        [[]],
        [{"toolName": 1}],
        [{"bashTimeout": "5"}],
        [{"includeFullHistory": 1}],
        [{"bashTimeout": True}],
    ],
)
def test_wrong_types_are_refused(value: Any) -> None:
    with pytest.raises(ApiError, match="cannot unmarshal") as caught:
        read_callbacks(value)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("callback", "words"),
    [
        ({}, "missing required field 'toolName'"),
        ({"toolName": "*"}, "type must be one of"),
        ({"toolName": "*", "type": "python"}, "type must be one of"),
        ({"toolName": "*", "type": "bash_script"}, "bashCommand is required"),
        ({"toolName": "*", "type": "sub_agent"}, "subAgentPrompt is required"),
        ({"toolName": "*", "type": "send_message", "messageContent": ""}, "messageContent is required"),
    ],
)
def test_the_first_bad_callback_is_named(callback: dict[str, Any], words: str) -> None:
    good = {"toolName": "*", "type": "sub_agent", "subAgentPrompt": "p"}
    check_callbacks(read_callbacks([good]))
    with pytest.raises(ApiError) as caught:
        check_callbacks(read_callbacks([good, callback]))
    assert caught.value.message.startswith("Validation error for field 'callbacks': callbacks[1]: ")
    assert words in caught.value.message
