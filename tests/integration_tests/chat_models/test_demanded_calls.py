"""A call that `tool_choice` demands comes, after one reminder at most, or there is a typed error."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from langchain_core.exceptions import ModelError
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_openai_tool

from langchain_mix import ChatMix, MixEmulator
from langchain_mix.chat_models.process_state import SESSION_HEADS
from langchain_mix.emulator import DropEvent, Faults, HttpError, Script, say
from langchain_mix.errors import MixError, MixInputError, MixTextGap, MixToolCallMissing
from langchain_mix.pointer import read_pointer

MODES = ["invoke", "ainvoke", "stream", "astream"]
WORDS = "It is sunny."


@tool
def weather(city: str) -> str:
    """Tells the weather."""
    return f"Sunny in {city}."


@tool
def clock() -> str:
    """Tells the time."""
    return "Noon."


def calls(*entries):
    return say(f"<tool_calls>\n{json.dumps([{'name': n, 'args': a} for n, a in entries])}\n</tool_calls>")


ROME = calls(("weather", {"city": "Rome"}))


def posts(server):
    return [r.json["text"] for r in server.requests if r.method == "POST" and r.path.endswith("/messages")]


async def called(runnable, mode, messages):
    got = getattr(runnable, mode)(messages)
    if isinstance(got, AsyncIterator):
        chunks = [chunk async for chunk in got]
    elif mode == "stream":
        chunks = list(got)
    else:
        return got if isinstance(got, AIMessage) else await got
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    return whole


@pytest.mark.parametrize(
    ("api", "mode"),
    [*zip(["0.5", "0.6", "0.6.5", "0.7", "0.8", "next"], [*MODES, "invoke", "ainvoke"], strict=True), ("0.8", "invoke"), ("0.5", "stream"), ("0.7", "astream")],
)  # fmt: skip
async def test_one_reminder_brings_the_call(api, mode):
    script = Script(WORDS, ROME, "Sunny indeed.", "Yes.")
    with MixEmulator(api=api, agent=script) as server:
        model = ChatMix(server_url=server.url, api=api).bind_tools([weather, clock], tool_choice="any")
        talk = [HumanMessage("Rome?")]
        message = await called(model, mode, talk)
        (call,) = message.tool_calls
        assert (call["name"], call["args"]) == ("weather", {"city": "Rome"})
        first, reminder = [[line.text for line in r.lines if line.role == "user"][-1] for r in script.requests]
        assert "Rome?" in first
        assert "`weather`, `clock`" in reminder
        assert "Rome?" not in reminder
        assert message.text.strip() == WORDS, "what was said before is kept"
        assert [b["type"] for b in message.content_blocks if b["type"] in ("text", "tool_call")] == [
            "text",
            "tool_call",
        ]
        assert message.response_metadata["finish_reason"] == "tool_calls"
        pointer = read_pointer(message.response_metadata)
        rows = server.state.rows.messages(pointer.session_id)
        assert pointer.digest, "the reply is proven as any other"
        assert pointer.user_message_id == rows[0]["id"], "that of the question"
        talk += [message, ToolMessage("Sunny.", tool_call_id=call["id"])]
        free = ChatMix(server_url=server.url, api=api).bind_tools([weather, clock])
        talk.append(free.invoke(talk))
        SESSION_HEADS.clear()  # Another process goes by the session's rows.
        talk.append(HumanMessage("Really?"))
        free.invoke(talk)
        assert len(server.state.sessions.listing(include_subagents=False)) == 1
        assert script.requests[-1].lines[-1].text.endswith("Really?")


@pytest.mark.parametrize(
    ("choice", "reminded"), [("any", True), ("weather", True), ("auto", False), (None, False), ("none", False)]
)
def test_every_way_to_demand_a_call(choice, reminded):
    with MixEmulator(agent=Script(WORDS, ROME)) as server:
        model = ChatMix(server_url=server.url)
        message = model.bind_tools([weather], tool_choice=choice).invoke("Rome?")
        assert bool(message.tool_calls) is reminded
        assert len(posts(server)) == 1 + reminded


@pytest.mark.parametrize(
    "reply",
    [
        WORDS, "", '<tool_calls>\n[{"name": "weather", "args": \n</tool_calls>', f'{WORDS}\n<tool_calls>\n[{{"name": "weather"',
        calls(("clock", {})), calls(("unknown", {})), calls(("weather", ["Rome"])),
    ],
)  # fmt: skip
def test_what_is_not_the_call_is_reminded_of(reply):
    with MixEmulator(agent=Script(reply, ROME)) as server:
        message = ChatMix(server_url=server.url).bind_tools([weather, clock], tool_choice="weather").invoke("Rome?")
        assert [c["args"] for c in message.tool_calls if c["name"] == "weather"] == [{"city": "Rome"}]
        assert "`weather`" in posts(server)[1]
        assert "`clock`" not in posts(server)[1]
        assert len({c["id"] for c in message.tool_calls}) == len(message.tool_calls)


@pytest.mark.parametrize("mode", MODES)
async def test_a_call_that_never_comes_is_a_typed_error(mode):
    with MixEmulator(agent=Script("One.", "Two.", loop=True)) as server:
        model = ChatMix(server_url=server.url).bind_tools([weather], tool_choice="any")
        with pytest.raises(MixToolCallMissing, match=r"weather.*Two\.") as caught:
            await called(model.with_retry(stop_after_attempt=3, wait_exponential_jitter=False), mode, "Rome?")
        assert len(posts(server)) == 2, "nothing is sent again, and there is one reminder"
    error = caught.value
    assert isinstance(error, ModelError)
    assert (error.acted, error.is_retryable) == ("yes", False)
    assert error.turn.full_text == "One.Two."
    assert error.turn.usage.output_tokens > 0


def test_a_conversation_that_ends_with_such_an_answer_gets_the_reminder_and_no_other():
    with MixEmulator(agent=Script(WORDS, WORDS, loop=True)) as server:
        model = ChatMix(server_url=server.url)
        talk = [HumanMessage("Rome?")]
        talk.append(model.invoke(talk))
        with pytest.raises(MixToolCallMissing):
            model.bind_tools([weather], tool_choice="any").invoke(talk)
        assert len(posts(server)) == 2


@pytest.mark.parametrize("mode", ["invoke", "astream"])
async def test_a_reminder_that_fails_has_nothing_sent_again(mode):
    class Failing(Script):
        def _reply(self, request):
            server.faults.add(HttpError(match="POST /api/sessions/[^/]+/messages"))
            return super()._reply(request)

    with MixEmulator(agent=Failing(WORDS, ROME), heartbeat=0.2) as server:  # Two prove that the message is not stored.
        model = ChatMix(server_url=server.url, max_retries=0).bind_tools([weather], tool_choice="any")
        with pytest.raises(MixError) as caught:
            await called(model.with_retry(stop_after_attempt=3, wait_exponential_jitter=False), mode, "Rome?")
        assert ["Rome?" in text for text in posts(server)] == [True, False]
    assert not caught.value.is_retryable
    assert WORDS in caught.value.turn.full_text


def test_a_stop_text_ends_the_reply_and_the_missing_call_is_an_error():
    with MixEmulator(agent=Script(f"{WORDS} END and more", loop=True)) as server:
        model = ChatMix(server_url=server.url).bind_tools([weather], tool_choice="any")
        with pytest.raises(MixToolCallMissing):
            model.invoke("Rome?", stop=["END"])
        assert len(posts(server)) == 1


@pytest.mark.parametrize("mode", MODES)
async def test_text_that_was_lost_on_the_way_is_whole_or_an_error(mode):
    with MixEmulator(
        agent=Script("It is sunny there today.", ROME), faults=Faults(DropEvent("content", nth=2))
    ) as server:
        model = ChatMix(server_url=server.url).bind_tools([weather], tool_choice="any")
        if "stream" in mode:
            with pytest.raises(MixTextGap):
                await called(model, mode, "Rome?")
        else:
            message = await called(model, mode, "Rome?")
            assert message.text.strip() == "It is sunny there today."
            assert len(message.tool_calls) == 1


def test_usage_and_cost_are_those_of_both_turns():
    def usage(*replies, **options):
        with MixEmulator(agent=Script(*replies)) as server:
            model = ChatMix(server_url=server.url)
            message = model.bind_tools([weather], **options).invoke("Rome?")
            (session,) = server.state.sessions.listing(include_subagents=False)
            return message.usage_metadata, message.response_metadata["mix"].get("cost"), session["cost"]

    alone, both = usage(ROME), usage(WORDS, ROME, tool_choice="any")
    assert both[0]["total_tokens"] == both[0]["input_tokens"] + both[0]["output_tokens"]
    assert both[0]["output_tokens"] > alone[0]["output_tokens"]
    assert both[1] == pytest.approx(both[2])


async def test_errors_of_reading_a_call_are_model_errors_and_nothing_is_sent():
    image = {"type": "image", "url": "https://example.com/a.png"}
    cases = [
        ([SystemMessage([image]), HumanMessage("Hi")], {}), ([HumanMessage("Hi"), RemoveMessage(id="x")], {}), ([HumanMessage("Hi")], {"temprature": 1}),
        ([HumanMessage("Hi")], {"response_format": {"type": "json_schema"}}), ([HumanMessage("Hi")], {"response_format": 5}), ([HumanMessage("Hi")], {"tools": [5]}),
        ([HumanMessage("Hi")], {"tools": [weather], "tool_choice": "clock"}), ([HumanMessage("Hi")], {"response_format": {"type": "object", "$ref": "https://a.b/c"}}),
    ]  # fmt: skip
    with MixEmulator() as server:
        model = ChatMix(server_url=server.url)
        for messages, options in cases:
            for mode in MODES:
                with pytest.raises(MixInputError) as caught:
                    await called(model.bind(**options), mode, messages)
                assert isinstance(caught.value, ModelError)
                assert isinstance(caught.value, ValueError)
                assert not caught.value.is_retryable
        assert posts(server) == []


@pytest.mark.parametrize("strict", [True, False, None])
def test_strict_is_accepted_wherever_tools_are(strict):
    script = Script("Hi.", loop=True)
    definition = convert_to_openai_tool(weather)
    with MixEmulator(agent=script) as server:
        model = ChatMix(server_url=server.url)
        model.bind_tools([definition], strict=strict).invoke("Hi")
        model.bind_tools([weather], strict=strict).invoke("Hi")
        model.bind(tools=[weather], strict=strict).invoke("Hi")
        model.invoke("Hi", tools=[weather], strict=strict)
    for request in script.requests:
        assert ('"additionalProperties": false' in request.system_prompt) is bool(strict)
