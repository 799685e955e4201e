"""One call carried out: what its turn is given, how its reply is read, and what is said of a gap."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import HumanMessage

from langchain_mix import ChatMix
from langchain_mix.chat_models.alignment import New
from langchain_mix.chat_models.execution import TurnExecution, gap
from langchain_mix.chat_models.request import ChatRequest, parse_request
from langchain_mix.chat_models.session_lifecycle import PreparedTurn
from langchain_mix.protocol.turn.updates import TurnResult

SERVER = "http://localhost:1"


def asked(stop: list[str] | None = None, **given: Any) -> ChatRequest:
    return parse_request(ChatMix(server_url=SERVER), SERVER, [HumanMessage("Q")], stop, given)


PREPARED = PreparedTurn(
    request=asked().session, plan=New(messages=(), calls={}), session_id="S", text="Q", created=True
)


def test_options_of_a_turn_that_nobody_set_are_not_sent() -> None:
    mix: Any = None
    for given, expected in (
        ({}, {}),
        ({"plan_mode": True, "thinking_level": "off"}, {"plan_mode": True, "thinking_level": "off"}),
    ):
        options = TurnExecution(mix, asked(**given), streaming=True)._turn_options(PREPARED)
        told = {name: options[name] for name in ("plan_mode", "thinking_level", "max_steps", "timeout")}
        assert {name: value for name, value in told.items() if value is not None} == expected
        assert (options["permissions"], options["on_notification"]) == ("deny", None)


def test_text_is_read_as_more_than_prose_only_where_it_may_be() -> None:
    mix: Any = None
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
    for given, reads in (({}, False), ({"stop": ["x"]}, True), ({"tools": [tool]}, True)):
        stop = given.pop("stop", None)
        execution = TurnExecution(mix, asked(stop, **given), streaming=True)
        assert (execution._writer._parser is not None) == reads


def test_a_gap_has_the_whole_reply() -> None:
    error = gap(turn := TurnResult(session_id="S"))
    assert error.turn is turn
    assert error.acted == "yes"
    assert ".turn.text" in error.hint
