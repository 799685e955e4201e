"""Replies in the form of a schema, through ChatMix and a server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypedDict

import pytest
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate
from pydantic import BaseModel

from langchain_mix import ChatMix, MixEmulator
from langchain_mix.emulator import Script, say, turn, use
from langchain_mix.errors import MixAuthenticationError, MixInputError
from langchain_mix.protocol.api import ALL
from tests.in_turn import in_turn

APIS = [str(v) for v in ALL]
METHODS = ["json_schema", "function_calling", "json_mode"]
ADA = {"name": "Ada", "age": 36}


class Person(BaseModel):
    """A person."""

    name: str
    age: int


class PersonDict(TypedDict):
    """A person."""

    name: str
    age: int


@dataclass
class PersonData:
    """A person."""

    name: str
    age: int


SCHEMA = {"title": "Person", **Person.model_json_schema()}
FUNCTION = {"name": "Person", "description": "A person.", "parameters": Person.model_json_schema()}
KINDS = {
    "pydantic": (Person, Person(**ADA)),
    "dataclass": (PersonData, PersonData(**ADA)),
    "typed-dict": (PersonDict, ADA),
    "json-schema": (SCHEMA, ADA),
    "function": (FUNCTION, ADA),
}


def written(method, value, name="Person"):
    """The reply that gives a value, as the method wants it."""
    if method == "function_calling":
        return say(f"<tool_calls>\n{json.dumps([{'name': name, 'args': value}])}\n</tool_calls>")
    return say(json.dumps(value))


def posts(server):
    return [r.json["text"] for r in server.requests if r.method == "POST" and r.path.endswith("/messages")]


def made(server):
    return [r for r in server.requests if r.path == "/api/sessions" and r.status == 201]


def name_of(schema):
    return schema.get("title") or schema.get("name") if isinstance(schema, dict) else schema.__name__


@pytest.mark.parametrize("scenario", in_turn(list(KINDS), METHODS, [False, True]))
async def test_every_way_gives_the_value(scenario):
    kind, method, include_raw = scenario
    schema, expected = KINDS[kind]
    script = Script(written(method, ADA, name_of(schema)), loop=True)
    with MixEmulator(agent=script) as server:
        runnable = ChatMix(server_url=server.url).with_structured_output(schema, method=method, include_raw=include_raw)
        got = [runnable.invoke("Ada is 36."), await runnable.ainvoke("Ada is 36.")]
        got += runnable.batch(["Ada is 36.", "Who?"]) + await runnable.abatch(["Ada is 36."])
        got += [_last(list(runnable.stream("Ada is 36."))), _last([v async for v in runnable.astream("Ada is 36.")])]
        assert len(posts(server)) == len(got)
        assert len(made(server)) == len(got)
    for value in got:
        if include_raw:
            assert value["parsing_error"] is None
            assert isinstance(value["raw"], AIMessage)
            assert value["raw"].response_metadata["model_provider"] == "mix"
        assert (value["parsed"] if include_raw else value) == expected


def _last(values):
    if not isinstance(values[0], dict) or "raw" not in values[0]:
        return values[-1]
    whole = values[0]
    for value in values[1:]:
        whole = whole + value
    return whole


@pytest.mark.parametrize("scenario", in_turn(APIS, METHODS, [False, True]))
async def test_a_reply_that_does_not_fit_is_repaired_once_in_the_same_session(scenario):
    api, method, asynchronous = scenario
    script = Script(written(method, {"name": "Ada"}), written(method, ADA))
    with MixEmulator(api=api, agent=script) as server:
        runnable = ChatMix(server_url=server.url).with_structured_output(Person, method=method)
        value = await runnable.ainvoke("Ada is 36.") if asynchronous else runnable.invoke("Ada is 36.")
        assert len(made(server)) == 1
        (session,) = server.state.sessions.listing(include_subagents=False)
        users = [row for row in server.state.rows.of(session["id"]) if row.role == "user"]
    assert value == Person(**ADA)
    assert len(users) == 2
    repair = script.requests[-1].lines[-1].text
    assert "age" in repair
    assert "Ada is 36." not in repair


@pytest.mark.parametrize("scenario", in_turn(METHODS, [False, True]))
def test_there_is_no_second_repair(scenario):
    method, include_raw = scenario
    script = Script(written(method, {"name": "Ada"}), loop=True)
    with MixEmulator(agent=script) as server:
        runnable = ChatMix(server_url=server.url).with_structured_output(Person, method=method, include_raw=include_raw)
        if include_raw:
            value = runnable.invoke("Ada is 36.")
            assert value["parsed"] is None
            assert isinstance(value["parsing_error"], OutputParserException)
        else:
            with pytest.raises(OutputParserException, match="age"):
                runnable.invoke("Ada is 36.")
        assert len(posts(server)) == 2


@pytest.mark.parametrize("method", METHODS)
async def test_streams_are_not_repaired_and_end_with_the_error(method):
    script = Script(written(method, {"name": "Ada"}), loop=True)
    with MixEmulator(agent=script) as server:
        runnable = ChatMix(server_url=server.url).with_structured_output(Person, method=method)
        with pytest.raises(OutputParserException, match="age"):
            list(runnable.stream("Ada is 36."))
        with pytest.raises(OutputParserException, match="age"):
            [value async for value in runnable.astream("Ada is 36.")]
        assert len(posts(server)) == 2


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_values_grow_as_they_are_streamed(asynchronous):
    script = Script(say(json.dumps({"name": "Ada Lovelace of Ockham", "age": 36}), chunk=4))
    with MixEmulator(agent=script) as server:
        runnable = ChatMix(server_url=server.url).with_structured_output(PersonDict)
        values = [v async for v in runnable.astream("Ada?")] if asynchronous else list(runnable.stream("Ada?"))
    names = [value.get("name", "") for value in values]
    assert len(values) > 3
    assert all("Ada Lovelace of Ockham".startswith(name) for name in names)
    assert values[-1] == {"name": "Ada Lovelace of Ockham", "age": 36}


def test_what_is_said_while_the_servers_tools_run_is_no_part_of_the_value():
    script = Script(turn([*say("Let me look: {}. "), use("Grep", {"pattern": "x"}, result="a")], json.dumps(ADA)))
    with MixEmulator(agent=script) as server:
        assert ChatMix(server_url=server.url).with_structured_output(Person).invoke("Ada?") == Person(**ADA)
        assert len(posts(server)) == 1


def test_the_schema_is_part_of_the_sessions_prompt_and_not_of_the_message():
    script = Script(written("json_schema", ADA))
    with MixEmulator(agent=script) as server:
        model = ChatMix(server_url=server.url, system_prompt="Be kind.")
        chain = ChatPromptTemplate([("system", "Be brief."), ("human", "{who}?")]) | model.with_structured_output(
            Person
        )
        assert chain.invoke({"who": "Ada"}) == Person(**ADA)
        assert posts(server) == ["Ada?"]
    prompt = script.requests[0].system_prompt
    assert [part in prompt for part in ("Be kind.", "Be brief.", '"age"')] == [True] * 3


def test_a_repair_keeps_the_talk_with_its_system_messages():
    script = Script("Hello.", "no form", written("json_schema", ADA))
    with MixEmulator(agent=script) as server:
        model = ChatMix(server_url=server.url)
        talk = [SystemMessage("Be brief."), HumanMessage("Hi")]
        talk += [model.invoke(talk), HumanMessage("Who is 36?")]
        assert model.with_structured_output(Person).invoke(talk) == Person(**ADA)
        assert len(made(server)) == 1
        assert "<response_format>" in posts(server)[1]
        assert "<response_format>" not in posts(server)[2]
        assert "Who is 36?" not in posts(server)[2]


def test_failures_of_the_server_are_told_as_they_are():
    with MixEmulator(auth_required=True) as server:
        runnable = ChatMix(server_url=server.url).with_structured_output(Person, include_raw=True)
        with pytest.raises(MixAuthenticationError):
            runnable.invoke("Ada?")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"schema": Person, "method": "magic"}, "magic"),
        ({"schema": None}, "needs a schema"),
        ({"schema": Person, "tools": []}, "tools"),
        ({"schema": 3}, "no schema"),
        ({"schema": {"no": "schema"}}, "no JSON Schema"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(arguments, error):
    with pytest.raises(ValueError, match=error):
        ChatMix(server_url="http://localhost:1").with_structured_output(**arguments)


def test_a_wrong_response_format_is_refused_before_anything_is_sent():
    with MixEmulator() as server:
        with pytest.raises((ValueError, MixInputError), match="json_schema"):
            ChatMix(server_url=server.url).invoke("Hi", response_format={"type": "json_schema"})
        assert not server.requests


@pytest.mark.parametrize("include_raw", [False, True])
def test_a_call_that_is_missing_is_asked_for_by_the_repair_alone(include_raw):
    with MixEmulator(agent=Script("Words.", loop=True)) as server:
        model = ChatMix(server_url=server.url)
        runnable = model.with_structured_output(Person, method="function_calling", include_raw=include_raw)
        if include_raw:
            assert isinstance(runnable.invoke("Ada?")["parsing_error"], OutputParserException)
        else:
            with pytest.raises(OutputParserException, match="does not call Person"):
                runnable.invoke("Ada?")
        assert len(posts(server)) == 2
