from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tools import tool

from langchain_mix import ChatMix
from langchain_mix.chat_models.process_state import THREAD_SESSIONS
from langchain_mix.chat_models.request import FIELDS, ChatRequest, parse_request
from langchain_mix.chat_models.structured_output import response_prompt
from langchain_mix.chat_models.tool_prompt import tools_prompt
from langchain_mix.errors import MixInputError

SERVER = "http://localhost:1"
ADD = {
    "type": "function",
    "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {}}},
}


@tool
def rain(city: str) -> str:
    """Tells the rain."""
    return city


def read(model: ChatMix | None = None, messages: Any = None, **given: Any) -> ChatRequest:
    model = model or ChatMix(server_url=SERVER)
    return parse_request(model, SERVER, messages or [HumanMessage("Hi")], given.pop("stop", None), given)


def test_the_prompt_is_made_of_all_that_the_session_must_know() -> None:
    model = ChatMix(server_url=SERVER, system_prompt="P")
    asked = read(model, [SystemMessage("S"), HumanMessage("Hi")], tools=[ADD], response_format={"type": "json_object"})
    parts = ["P", "S", tools_prompt([ADD]), response_prompt({"type": "json_object"})]
    assert asked.session.setup == "\n\n".join(parts)
    assert read().session.setup == ""


def test_a_call_stands_before_the_object_and_none_for_it() -> None:
    model = ChatMix(server_url=SERVER, thinking_level="basic", title="T")
    assert read(model, thinking_level="maximum").options.thinking_level == "maximum"
    assert read(model, thinking_level=None).options.thinking_level == "basic"
    assert read(model, title="U").session.title == "U"
    assert set(ChatMix.model_fields) >= FIELDS


@pytest.mark.parametrize(
    ("choice", "told", "callable_tools"),
    [
        (None, "auto", ("add",)),
        ("required", "any", ("add",)),
        (True, "any", ("add",)),
        ("none", "none", ()),
        ({"type": "function", "function": {"name": "add"}}, "add", ("add",)),
    ],
)
def test_choices_of_those_who_bind_tools_themselves_are_read(choice: Any, told: str, callable_tools: Any) -> None:
    asked = read(tools=[ADD], tool_choice=choice)
    assert f'choice="{told}"' in asked.session.setup
    assert asked.tools.names == callable_tools


def test_tools_may_be_given_in_any_form() -> None:
    asked = read(tools=[rain, ADD])
    assert asked.tools.names == ("rain", "add")
    assert "Tells the rain." in asked.session.setup


def test_a_choice_without_tools_is_refused() -> None:
    with pytest.raises(MixInputError, match="no tools"):
        read(tool_choice="any")
    assert read(tool_choice="auto").tools.names == ()


@pytest.mark.parametrize(
    ("name", "value"), [("retention", "dele"), ("on_divergence", "forkk"), ("max_steps", 0), ("title", 3)]
)
def test_values_of_a_call_are_checked(name: str, value: Any) -> None:
    with pytest.raises(MixInputError, match=f"`{name}` is {value!r}"):
        read(**{name: value})


def test_the_session_is_named_by_the_call_then_by_what_runs_around_it_then_by_the_object() -> None:
    model = ChatMix(server_url=SERVER, session_id="object")
    assert read(model).session.pinned == "object"
    token = var_child_runnable_config.set({"configurable": {"mix_session_id": "around"}})
    try:
        assert read(model).session.pinned == "around"
        assert read(model, mix_session_id="call").session.pinned == "call"
    finally:
        var_child_runnable_config.reset(token)


def test_a_thread_has_its_session_only_where_that_was_asked_for() -> None:
    THREAD_SESSIONS.put((SERVER, "t"), "s")
    try:
        asked = read(ChatMix(server_url=SERVER, session_per_thread=True), thread_id="t")
        assert (asked.session.pinned, asked.thread) == ("s", (SERVER, "t"))
        asked = read(ChatMix(server_url=SERVER), thread_id="t")
        assert (asked.session.pinned, asked.thread) == (None, None)
        own = ChatMix(server_url=SERVER, session_per_thread=True, session_id="x")
        assert read(own, thread_id="t").session.pinned == "x"
    finally:
        THREAD_SESSIONS.forget((SERVER, "t"))


def test_options_of_the_turn_are_only_those_that_were_asked_for() -> None:
    asked = read(timeout=3, max_steps=2)
    assert (asked.timeout, asked.options.max_steps) == (3.0, 2)
    assert (asked.options.plan_mode, asked.options.thinking_level) == (False, None)


def test_what_nobody_knows_is_refused() -> None:
    with pytest.raises(MixInputError, match="temprature"):
        read(temprature=1)


def answer(text: str = "Sunny.", *called: str, server: str = SERVER) -> AIMessage:
    calls = [{"name": name, "args": {}, "id": f"c-{name}", "type": "tool_call"} for name in called]
    metadata = {"mix": {"server": server, "session_id": "s", "message_id": "m"}} if server else {}
    return AIMessage(text, tool_calls=calls, response_metadata=metadata)


@pytest.mark.parametrize(
    ("choice", "told"), [("any", "`rain`, `add`"), ("add", "`add`"), ("auto", ""), (None, ""), ("none", "")]
)
def test_an_answer_that_lacks_its_call_is_reminded_of_it(choice: Any, told: str) -> None:
    asked = read(None, [HumanMessage("Hi"), answer()], tools=[rain, ADD], tool_choice=choice).session
    assert bool(asked.reminder) is bool(told)
    assert told in asked.reminder
    assert asked.messages == [HumanMessage("Hi"), answer()], "it is no part of the conversation"


@pytest.mark.parametrize(
    "messages",
    [
        [HumanMessage("Hi")],
        [answer(), HumanMessage("Hi")],
        [HumanMessage("Hi"), answer("", "add")],
        [HumanMessage("Hi"), answer(server="")],
        [HumanMessage("Hi"), answer(server="http://elsewhere")],
        [HumanMessage("Hi"), answer("", "add"), ToolMessage("1", tool_call_id="c-add")],
    ],
)
def test_nobody_else_is_reminded(messages: Any) -> None:
    assert read(None, messages, tools=[ADD], tool_choice="any").session.reminder == ""


def test_only_what_is_bound_for_agents_is_data_alone() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "W", "schema": {"type": "object"}}}
    assert read(response_format=wanted).tools.data is None
    found = read(response_format=wanted, text_is_data=True).tools.data
    assert found is not None
    assert (found.name, found.json_schema) == ("W", {"type": "object"})
    assert read(response_format={"type": "text"}, text_is_data=True).tools.data is None
