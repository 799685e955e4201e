"""ChatMix in `create_agent`: its loop, its middleware, and how much of it is sent."""

from __future__ import annotations

import json

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    ClearToolUsesEdit,
    ContextEditingMiddleware,
    HumanInTheLoopMiddleware,
    ModelCallLimitMiddleware,
    ModelRetryMiddleware,
    SummarizationMiddleware,
    ToolRetryMiddleware,
)
from langchain.agents.structured_output import (
    AutoStrategy,
    ProviderStrategy,
    StructuredOutputValidationError,
    ToolStrategy,
)
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import ToolException, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import BaseModel

from langchain_mix import ChatMix, MixEmulator
from langchain_mix.emulator import CloseConnection, CutStream, DropEvent, Faults, HttpError, Script, say, turn, use
from langchain_mix.errors import MixError, MixInputError, MixToolCallMissing
from langchain_mix.pointer import read_pointer
from tests.in_turn import in_turn

APIS = ["0.7", "0.8"]


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    sunny: bool


@tool
def weather(city: str) -> str:
    """Tells the weather of a city."""
    return f"Sunny in {city}."


@tool
def broken(city: str) -> str:
    """Tells the weather, or fails."""
    raise ToolException(f"No weather in {city}.")


def calls(*entries, before=""):
    """A reply that asks for calls."""
    written = [{"name": name, "args": args} for name, args in entries]
    return say(f"{before}<tool_calls>\n{json.dumps(written)}\n</tool_calls>")


class InOrder(Script):
    """Says one thing after the other, whichever session asks."""

    def _reply(self, request):
        number = len(self.requests) - 1
        return self._turns[number][0] if number < len(self._turns) else self._default


def posts(server):
    return [r.json["text"] for r in server.requests if r.method == "POST" and r.path.endswith("/messages")]


def sessions(server):
    return [r for r in server.requests if r.path == "/api/sessions" and r.status == 201]


def pointers(messages):
    found = [read_pointer(m.response_metadata) for m in messages if isinstance(m, AIMessage)]
    return [pointer for pointer in found if pointer is not None]


def ask(text):
    return {"messages": [HumanMessage(text)]}


def thread(name="t"):
    return {"configurable": {"thread_id": name}}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
async def test_the_loop_calls_tools_and_answers_in_one_session(api, way):
    script = Script(calls(("weather", {"city": "Rome"}), before="I look. \n"), "It is sunny in Rome.")
    with MixEmulator(api=api, agent=script) as server:
        agent = create_agent(ChatMix(server_url=server.url, api=api), [weather], system_prompt="Be brief.")
        match way:
            case "invoke":
                state = agent.invoke(ask("Weather in Rome?"))
            case "ainvoke":
                state = await agent.ainvoke(ask("Weather in Rome?"))
            case "stream":
                *_, state = agent.stream(ask("Weather in Rome?"), stream_mode="values")
            case _:
                state = [s async for s in agent.astream(ask("Weather in Rome?"), stream_mode="values")][-1]
        first, second = posts(server)
        assert len(sessions(server)) == 1
    human, call, result, answer = state["messages"]
    assert (human.text, answer.text) == ("Weather in Rome?", "It is sunny in Rome.")
    assert "I look." in call.text
    assert "tool_calls" not in call.text
    assert [(c["name"], c["args"]) for c in call.tool_calls] == [("weather", {"city": "Rome"})]
    assert call.response_metadata["finish_reason"] == "tool_calls"
    assert result.content == "Sunny in Rome."
    assert first == "Weather in Rome?"
    assert "Sunny in Rome." in second
    assert "weather" in script.requests[0].system_prompt
    assert "Be brief." in script.requests[0].system_prompt


def test_tokens_of_an_agent_stream_hold_the_answer_once():
    script = Script(calls(("weather", {"city": "Rome"})), "It is sunny in Rome.")
    with MixEmulator(agent=script) as server:
        agent = create_agent(ChatMix(server_url=server.url), [weather])
        streamed = list(agent.stream(ask("Weather in Rome?"), stream_mode="messages"))
    said = [chunk for chunk, about in streamed if about["langgraph_node"] == "model"]
    assert "".join(chunk.text for chunk in said) == "It is sunny in Rome."
    told = [part for chunk in said for part in chunk.tool_call_chunks]
    assert "".join(part["args"] or "" for part in told) == '{"city": "Rome"}'


@pytest.mark.parametrize("api", APIS)
def test_a_thread_has_one_session_and_is_told_of_the_tools_once(api):
    script = Script(calls(("weather", {"city": "Rome"})), "Sunny.", calls(("weather", {"city": "Oslo"})), "Sunny too.")
    with MixEmulator(api=api, agent=script) as server:
        agent = create_agent(ChatMix(server_url=server.url), [weather], checkpointer=InMemorySaver())
        agent.invoke(ask("Rome?"), thread())
        state = agent.invoke(ask("And Oslo?"), thread())
        assert len(sessions(server)) == 1
        texts = posts(server)
        (session,) = {p.session_id for p in pointers(state["messages"])}
        assert sum(row.role == "user" for row in server.state.rows.of(session)) == 4
    assert state["messages"][-1].text == "Sunny too."
    assert len(texts) == 4
    assert texts[2] == "And Oslo?"
    assert not [text for text in texts if "<client_tools" in text or "<tools>" in text]
    assert "Rome" not in texts[3]


def test_two_threads_have_two_sessions():
    with MixEmulator(agent=Script(default="Hello.")) as server:
        agent = create_agent(ChatMix(server_url=server.url), [weather], checkpointer=InMemorySaver())
        states = [agent.invoke(ask("Hi"), thread(name)) for name in ("a", "b")]
    first, second = (pointers(state["messages"])[0].session_id for state in states)
    assert first != second


def test_parallel_calls_are_answered_in_one_message():
    script = Script(calls(("weather", {"city": "Rome"}), ("weather", {"city": "Oslo"})), "Both are sunny.")
    with MixEmulator(agent=script) as server:
        state = create_agent(ChatMix(server_url=server.url), [weather]).invoke(ask("Rome and Oslo?"))
        assert len(posts(server)) == 2
        assert "Sunny in Rome." in posts(server)[1]
        assert "Sunny in Oslo." in posts(server)[1]
    assert len(state["messages"][1].tool_calls) == 2
    assert len({call["id"] for call in state["messages"][1].tool_calls}) == 2
    assert state["messages"][-1].text == "Both are sunny."


def test_a_tool_that_does_not_exist_is_answered_and_does_not_end_the_loop():
    script = Script(calls(("wether", {"city": "Rome"})), calls(("weather", {"city": "Rome"})), "Sunny.")
    with MixEmulator(agent=script) as server:
        state = create_agent(ChatMix(server_url=server.url), [weather]).invoke(ask("Rome?"))
        assert "wether is not a valid tool" in posts(server)[1]
        assert len(sessions(server)) == 1
    assert state["messages"][-1].text == "Sunny."
    assert [m.status for m in state["messages"] if isinstance(m, ToolMessage)] == ["error", "success"]


def test_wrong_arguments_are_answered_and_do_not_end_the_loop():
    script = Script(calls(("weather", {"town": "Rome"})), calls(("weather", {"city": "Rome"})), "Sunny.")
    with MixEmulator(agent=script) as server:
        state = create_agent(ChatMix(server_url=server.url), [weather]).invoke(ask("Rome?"))
        assert "city" in posts(server)[1]
    assert state["messages"][-1].text == "Sunny."


def test_a_block_that_is_no_json_is_shown_as_what_was_written():
    script = Script(say('<tool_calls>\n[{"name": "weather", "args": {"city": }]\n</tool_calls>'))
    with MixEmulator(agent=script) as server:
        state = create_agent(ChatMix(server_url=server.url), [weather]).invoke(ask("Rome?"))
    last = state["messages"][-1]
    assert last.tool_calls == []
    (invalid,) = last.invalid_tool_calls
    assert '"city": }' in json.loads(invalid["args"])


def test_a_failing_tool_is_told_to_the_agent():
    script = Script(calls(("broken", {"city": "Rome"})), "I cannot tell.")
    broken.handle_tool_error = True
    with MixEmulator(agent=script) as server:
        state = create_agent(ChatMix(server_url=server.url), [broken]).invoke(ask("Rome?"))
        assert '"status": "error"' in posts(server)[1]
        assert "No weather in Rome." in posts(server)[1]
    assert state["messages"][-1].text == "I cannot tell."


def test_tool_retry_middleware_does_not_send_the_message_again():
    script = Script(calls(("broken", {"city": "Rome"})), "I cannot tell.")
    broken.handle_tool_error = False
    retry = ToolRetryMiddleware(max_retries=1, initial_delay=0, jitter=False, on_failure="continue")
    with MixEmulator(agent=script) as server:
        agent = create_agent(ChatMix(server_url=server.url), [broken], middleware=[retry])
        assert agent.invoke(ask("Rome?"))["messages"][-1].text == "I cannot tell."
        assert len(posts(server)) == 2


# Choices


# Every form of a choice is read in tests/unit_tests/chat_models/test_tool_prompt.py.
@pytest.mark.parametrize(
    ("choice", "told"),
    [(None, 'choice="auto"'), ("required", 'choice="any"'), ("weather", 'choice="weather"'), ("none", 'choice="none"')],
)
def test_choices_are_told(choice, told):
    script = Script(calls(("weather", {"city": "Rome"})))
    with MixEmulator(agent=script) as server:
        reply = ChatMix(server_url=server.url).bind_tools([weather], tool_choice=choice).invoke("Rome?")
    assert told in script.requests[0].system_prompt
    # Nobody would run the calls of one who may call none: what was written stays what was said.
    assert bool(reply.tool_calls) is (choice != "none")
    assert ("<tool_calls>" in reply.text) is (choice == "none")


@pytest.mark.parametrize("choice", ["rain", {"type": "function", "function": {"name": "rain"}}, 3])
def test_a_choice_of_no_tool_is_refused(choice):
    with pytest.raises(MixInputError, match="neither a tool nor a mode"):
        ChatMix(server_url="http://localhost:1").bind_tools([weather], tool_choice=choice)


@pytest.mark.parametrize("written", [{"city": "Rome"}, {"input": {"city": "Rome"}}, {"args": '{"city": "Rome"}'}])
def test_arguments_reach_the_tool_wherever_they_were_written(written):
    asked = say(f"<tool_calls>\n{json.dumps([{'name': 'weather', **written}])}\n</tool_calls>")
    with MixEmulator(agent=Script(asked, "Done.")) as server:
        talk = create_agent(ChatMix(server_url=server.url), [weather]).invoke({"messages": "Rome?"})["messages"]
    assert talk[1].tool_calls[0]["args"] == {"city": "Rome"}
    assert talk[2].content == "Sunny in Rome."


def test_no_tools_are_no_prompt():
    script = Script("Hello.")
    with MixEmulator(agent=script) as server:
        assert ChatMix(server_url=server.url).bind_tools([]).invoke("Hi").text == "Hello."
    assert script.requests[0].system_prompt == ""


def test_one_call_at_a_time_is_told():
    script = Script(calls(("weather", {"city": "Rome"})))
    with MixEmulator(agent=script) as server:
        ChatMix(server_url=server.url).bind_tools([weather], parallel_tool_calls=False).invoke("Rome?")
    assert 'parallel="no"' in script.requests[0].system_prompt


def test_other_tools_in_the_middle_of_a_talk_are_told_with_the_message():
    script = Script("Hello.", calls(("weather", {"city": "Rome"})), "Bye.")
    with MixEmulator(agent=script) as server:
        model = ChatMix(server_url=server.url)
        talk = [HumanMessage("Hi")]
        talk += [model.invoke(talk), HumanMessage("Rome?")]
        talk += [model.bind_tools([weather]).invoke(talk)]
        (call,) = talk[-1].tool_calls
        talk += [ToolMessage("Sunny.", tool_call_id=call["id"]), HumanMessage("Thanks")]
        talk += [model.invoke(talk)]
        first, second, third = posts(server)
        assert len(sessions(server)) == 1
    assert first == "Hi"
    assert "<client_tools" in second
    assert "Instructions from here on" in third  # The tools are gone, and the agent has to know.
    assert "(none)" in third
    assert talk[-1].text == "Bye."


# Forms


def by_itself(schema):
    return schema


@pytest.mark.parametrize(
    "scenario", in_turn([ToolStrategy, ProviderStrategy, AutoStrategy, by_itself], APIS, [False, True, True])
)
async def test_every_strategy_gives_the_form(scenario):
    strategy, api, asynchronous = scenario
    with MixEmulator(api=api) as server:
        agent = create_agent(ChatMix(server_url=server.url), [], response_format=strategy(Weather))
        asked = ask("Weather in Rome?")
        state = await agent.ainvoke(asked) if asynchronous else agent.invoke(asked)
        assert len(posts(server)) == 1
    assert state["structured_response"].city == "Rome"


@pytest.mark.parametrize("strategy", [ToolStrategy, ProviderStrategy])
def test_tools_and_a_form_work_together(strategy):
    told = {"city": "Rome", "sunny": True}
    last = calls(("Weather", told)) if strategy is ToolStrategy else json.dumps(told)
    script = Script(calls(("weather", {"city": "Rome"})), last)
    with MixEmulator(agent=script) as server:
        agent = create_agent(ChatMix(server_url=server.url), [weather], response_format=strategy(Weather))
        state = agent.invoke(ask("Rome?"))
        assert len(sessions(server)) == 1
    assert state["structured_response"] == Weather(**told)


def test_tool_strategy_tells_the_agent_what_is_wrong_in_the_same_session():
    script = Script(calls(("Weather", {"city": "Rome"})), calls(("Weather", {"city": "Rome", "sunny": True})))
    with MixEmulator(agent=script) as server:
        agent = create_agent(ChatMix(server_url=server.url), [], response_format=ToolStrategy(Weather))
        state = agent.invoke(ask("Rome?"))
        assert len(sessions(server)) == 1
        assert "sunny" in posts(server)[1]
    assert state["structured_response"] == Weather(city="Rome", sunny=True)


def test_a_form_is_given_again_in_the_next_turn():
    script = Script(*(calls(("Weather", {"city": city, "sunny": True})) for city in ("Rome", "Oslo")))
    with MixEmulator(agent=script) as server:
        model = ChatMix(server_url=server.url)
        agent = create_agent(model, [], response_format=ToolStrategy(Weather), checkpointer=InMemorySaver())
        agent.invoke(ask("Rome?"), thread())
        state = agent.invoke(ask("Oslo?"), thread())
        assert len(sessions(server)) == 1
        assert "Oslo?" in posts(server)[1]
        assert "<response_format>" not in posts(server)[1]
    assert state["structured_response"].city == "Oslo"


DATA = '{"city": "Rome", "sunny": true}'
LOOKED = turn([*say("Let me look."), use("Grep", {"pattern": "x"}, result="a")], DATA)


AROUND = {
    "looked": (LOOKED, ["Let me look."]),
    "fenced": (f"```json\n{DATA}\n```", []),
    "introduced": (f"Here it is:\n\n```json\n{DATA}\n```\nIt may rain.", ["Here it is:\n\n", "\nIt may rain."]),
    "other before": (
        f'Of {{"city": "Oslo"}} I know nothing, but {DATA}.',
        ['Of {"city": "Oslo"} I know nothing, but ', "."],
    ),
    "other behind": (f'{DATA} as told by {{"source": "radio"}}', [' as told by {"source": "radio"}']),
}


@pytest.mark.parametrize("scenario", in_turn(list(AROUND), ["0.6", *APIS], ["stream", "invoke", "ainvoke"]))
async def test_data_with_words_around_it_are_the_form(scenario):
    name, api, way = scenario
    reply, aside = AROUND[name]
    with MixEmulator(api=api, agent=Script(reply)) as server:
        agent = create_agent(ChatMix(server_url=server.url), [], response_format=Weather)
        streamed = []
        if way == "stream":
            for mode, told in agent.stream(ask("Rome?"), stream_mode=["messages", "values"]):
                if mode == "messages":
                    streamed.append(told[0])
                else:
                    state = told
            assert "".join(chunk.text for chunk in streamed) == DATA
        else:
            state = agent.invoke(ask("Rome?")) if way == "invoke" else await agent.ainvoke(ask("Rome?"))
    assert state["structured_response"] == Weather(city="Rome", sunny=True)
    last = state["messages"][-1]
    assert last.text == DATA
    assert [block["reasoning"] for block in last.content_blocks if block["type"] == "reasoning"] == aside


@pytest.mark.parametrize(
    "scenario", in_turn(["0.6", *APIS], ["tool", "tool_use_start", "tool_use_parameter_streaming_complete"])
)
def test_data_is_found_where_events_were_lost(scenario):
    """The call is emitted when the turn is over, though it belongs before the data."""
    api, lost = scenario
    faults = Faults(DropEvent(lost, count=None), DropEvent("tool_execution_start", count=None))
    with MixEmulator(api=api, agent=Script(LOOKED), faults=faults) as server:
        agent = create_agent(ChatMix(server_url=server.url), [], response_format=Weather)
        state = agent.invoke(ask("Rome?"))
    assert state["structured_response"] == Weather(city="Rome", sunny=True)
    assert state["messages"][-1].text == DATA


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_what_is_bound_for_agents_holds_the_text_back_and_what_is_bound_for_streams_does_not(way):
    response_format = {"type": "json_schema", "json_schema": {"name": "w", "schema": Weather.model_json_schema()}}
    with MixEmulator(agent=Script(default=f"Well: {DATA}")) as server:
        model = ChatMix(server_url=server.url)
        for bound, whole in (
            (model.bind_tools([], response_format=response_format), DATA),
            (model.bind_tools([], response_format={"type": "text"}), f"Well: {DATA}"),
            (model.bind_tools([]), f"Well: {DATA}"),
            (model.bind(response_format=response_format), f"Well: {DATA}"),
        ):
            said = [bound.invoke("Go").text] if way == "invoke" else [chunk.text for chunk in bound.stream("Go")]
            assert "".join(said) == whole
            assert way == "invoke" or len([text for text in said if text]) == (1 if whole == DATA else 4)


def test_a_talk_goes_on_after_data_with_words_around_it():
    looks = calls(("weather", {"city": "Rome"}), before="I look. \n")
    with MixEmulator(agent=Script(f"Well: {DATA}", DATA, looks, DATA)) as server:
        model = ChatMix(server_url=server.url)
        agent = create_agent(
            model,
            [weather],
            response_format=ProviderStrategy({"title": "W", "type": "object"}),
            checkpointer=InMemorySaver(),
        )
        agent.invoke(ask("Rome?"), thread())
        agent.invoke(ask("Again?"), thread())
        state = agent.invoke(ask("And now?"), thread())
        assert len(sessions(server)) == 1
        assert posts(server)[1] == "Again?"
    called = next(m for m in state["messages"] if isinstance(m, AIMessage) and m.tool_calls)
    assert "I look." in called.text, "a reply that calls tools is no data"
    assert state["structured_response"] == json.loads(DATA)


def test_a_reply_without_data_is_told_as_it_was_written():
    with MixEmulator(agent=Script("It is sunny.")) as server:
        agent = create_agent(ChatMix(server_url=server.url), [], response_format=Weather)
        with pytest.raises(StructuredOutputValidationError) as caught:
            agent.invoke(ask("Rome?"))
    assert caught.value.ai_message.text == "It is sunny."


WITHOUT = [pytest.param("It is sunny.", id="words"), pytest.param(calls(("rain", {})), id="another call")]


@pytest.mark.parametrize("scenario", in_turn(["0.6", *APIS], WITHOUT))
async def test_an_answer_without_its_call_is_asked_for_again_and_the_question_is_not(scenario):
    api, reply = scenario
    told = {"city": "Rome", "sunny": True}
    script = Script("Hi.", reply, calls(("Weather", told)), calls(("Weather", told)))
    with MixEmulator(api=api, agent=script) as server:
        model, seen = ChatMix(server_url=server.url), [HumanMessage("Hello")]
        seen.append(model.invoke(seen))
        agent = create_agent(model, [], response_format=ToolStrategy(Weather))
        state = await agent.ainvoke({"messages": [*seen, HumanMessage("Rome?")]})
        assert state["structured_response"] == Weather(**told)
        assert [("Rome?" in text, "`Weather`" in text) for text in posts(server)[2:]] == [(False, True)]
        assert len(sessions(server)) == 1
        assert sum("Rome?" in row["userInput"] for row in rows(server)) == 1
        agent.invoke({"messages": [*state["messages"], HumanMessage("Oslo?")]})
        assert len(sessions(server)) == 1, "what the agent was told in between does not part the session from the talk"


def rows(server):
    return [
        row
        for s in server.state.sessions.listing(include_subagents=False)
        for row in server.state.rows.messages(s["id"])
    ]


TOOLS = [pytest.param([], id="no tools"), pytest.param([weather], id="a tool")]


@pytest.mark.parametrize("scenario", in_turn(WITHOUT, TOOLS))
def test_structured_output_that_is_never_given_is_an_error_and_no_silent_end(scenario):
    reply, tools = scenario
    with MixEmulator(agent=Script(reply, loop=True)) as server:
        agent = create_agent(ChatMix(server_url=server.url), tools, response_format=ToolStrategy(Weather))
        with pytest.raises(MixToolCallMissing, match="Weather"):
            agent.invoke(ask("Rome?"))
        assert ["Rome?" in text for text in posts(server)] == [True, False]


# Middleware

MESSAGES = "POST /api/sessions/[^/]+/messages"


@pytest.mark.parametrize(
    ("api", "fault", "stored"),
    [
        ("0.8", HttpError(match="POST /api/sessions", count=1), 1),
        ("0.8", HttpError(match=MESSAGES, count=1, before=False), 1),
        ("0.8", CloseConnection(match=MESSAGES, count=1, before=False), 1),
        ("0.8", CutStream(after=2, count=1), 1),
        ("0.6", CutStream(after=2, count=1), 1),
    ],
)
def test_the_retry_middleware_never_has_a_message_answered_twice(api, fault, stored):
    retry = ModelRetryMiddleware(max_retries=2, initial_delay=0, jitter=False, on_failure="error")
    with MixEmulator(api=api, agent=Script(default="Hello there, Ada."), faults=Faults(fault)) as server:
        agent = create_agent(ChatMix(server_url=server.url, api=api, max_retries=0), [], middleware=[retry])
        outcome = _outcome(lambda: agent.invoke(ask("Hi")))
        rows = [
            row for s in server.state.sessions.listing(include_subagents=False) for row in server.state.rows.of(s["id"])
        ]
    assert sum(row.role == "user" for row in rows) <= stored
    assert isinstance(outcome, MixError) or outcome["messages"][-1].text == "Hello there, Ada."
    if isinstance(outcome, MixError):
        assert not (outcome.acted == "no" and outcome.is_retryable)  # What was certainly not done was tried again.


def _outcome(act):
    try:
        return act()
    except MixError as error:
        return error


def test_the_call_limit_ends_a_loop_and_the_talk_goes_on():
    script = Script(*(calls(("weather", {"city": "Rome"})) for _ in range(4)), default="Sunny.")
    limit = ModelCallLimitMiddleware(run_limit=2, exit_behavior="end")
    with MixEmulator(agent=script) as server:
        agent = create_agent(
            ChatMix(server_url=server.url), [weather], middleware=[limit], checkpointer=InMemorySaver()
        )
        state = agent.invoke(ask("Rome?"), thread())
        assert len(posts(server)) == 2
        assert "limit" in state["messages"][-1].text
        agent.invoke(ask("Go on"), thread())
        # The words of the middleware are none of the session's; they are sent, and nothing else is sent again.
        assert "limit" in posts(server)[2]
        assert "Go on" in posts(server)[2]
        assert "Rome?" not in posts(server)[2]
        assert len(sessions(server)) == 1


@pytest.mark.parametrize("scenario", in_turn(["approve", "edit", "reject"], APIS))
def test_a_human_decides_over_a_call(scenario):
    decision, api = scenario
    script = Script(calls(("weather", {"city": "Rome"})), "So be it.", default="So be it.")
    human = HumanInTheLoopMiddleware(interrupt_on={"weather": True})
    decisions = {
        "approve": {"type": "approve"},
        "edit": {"type": "edit", "edited_action": {"name": "weather", "args": {"city": "Oslo"}}},
        "reject": {"type": "reject", "message": "Not now."},
    }
    with MixEmulator(api=api, agent=script) as server:
        agent = create_agent(
            ChatMix(server_url=server.url), [weather], middleware=[human], checkpointer=InMemorySaver()
        )
        paused = agent.invoke(ask("Rome?"), thread())
        assert paused["__interrupt__"]
        assert len(posts(server)) == 1
        state = agent.invoke(Command(resume={"decisions": [decisions[decision]]}), thread())
        assert len(posts(server)) == 2
        sent = posts(server)[1]
        assert len(sessions(server)) == 1
    assert state["messages"][-1].text == "So be it."
    told = {"approve": "Sunny in Rome.", "edit": "Sunny in Oslo.", "reject": "Not now."}
    assert told[decision] in sent
    if decision == "edit":
        assert "Oslo" in sent.replace(told["edit"], "")  # The agent must know that another call was made.


def test_a_summary_of_the_talk_goes_on_in_a_session_of_its_own():
    script = Script(default="Words.")
    with MixEmulator(agent=script) as server:
        model = ChatMix(server_url=server.url)
        summing = SummarizationMiddleware(ChatMix(server_url=server.url), trigger=("messages", 4), keep=("messages", 1))
        agent = create_agent(model, [], middleware=[summing], checkpointer=InMemorySaver())
        for text in ("One", "Two"):
            agent.invoke(ask(text), thread())
        state = agent.invoke(ask("Three"), thread())
        sent = posts(server)[-1]
        last = pointers(state["messages"])[-1]
        assert sum(row.role == "user" for row in server.state.rows.of(last.session_id)) == 1
    assert "summary" in sent.lower()
    assert "Three" in sent
    assert "> Two" not in sent


def test_edited_context_is_what_the_agent_is_given():
    script = InOrder(calls(("weather", {"city": "Rome"})), calls(("weather", {"city": "Oslo"})), "Sunny.")
    edit = ContextEditingMiddleware(edits=[ClearToolUsesEdit(trigger=1, keep=1, placeholder="[cleared]")])
    with MixEmulator(agent=script) as server:
        agent = create_agent(ChatMix(server_url=server.url), [weather], middleware=[edit])
        state = agent.invoke(ask("Rome and Oslo?"))
        texts = posts(server)
    assert "[cleared]" in texts[-1]
    assert "Sunny in Rome." not in texts[-1]
    assert "Sunny in Oslo." in texts[-1]
    assert [m.content for m in state["messages"] if isinstance(m, ToolMessage)] == ["Sunny in Rome.", "Sunny in Oslo."]
