"""`structured` over a chat model that is the protocol's text, the offline agent and the parser, without a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import OutputParserException
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.messages.utils import message_chunk_to_message
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_tests.integration_tests import ChatModelIntegrationTests
from pydantic import BaseModel, Field
from pydantic.v1 import BaseModel as BaseModelV1

from langchain_mix.chat_models.json_text import write_json
from langchain_mix.chat_models.reply_parser import CallArguments, CallStarted, InvalidCall, Piece, Text, ToolCallParser
from langchain_mix.chat_models.structured_output import response_prompt, structured
from langchain_mix.chat_models.tool_prompt import (
    normalise_choice,
    render_tool_results,
    tools_prompt,
)
from langchain_mix.emulator.agents import Line, OfflineAgent, Request
from langchain_mix.emulator.agents import Text as Said

V1 = {"output_version": "v1", "model_provider": "mix"}


class OfflineChat(BaseChatModel):
    """The wiring of a chat model: setup text into the prompt, the reply through the parser, results as the next message.

    `script` holds replies that come first, before the agent's own.
    """

    script: list[str] = Field(default_factory=list)
    asked: list[Any] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "offline"

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: Any = None, parallel_tool_calls: bool = True, **kwargs: Any
    ) -> Any:
        converted = [convert_to_openai_tool(one) for one in tools]
        choice = normalise_choice(tool_choice, converted)
        return self.bind(tools=converted, tool_choice=choice, parallel=parallel_tool_calls, **kwargs)

    def with_structured_output(self, schema: Any = None, **kwargs: Any) -> Any:
        return structured(self, schema, **kwargs)

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        chunks = [chunk.message for chunk in self._stream(messages, stop, run_manager, **kwargs)]
        message = message_chunk_to_message(add_ai_message_chunks(chunks[0], *chunks[1:]))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        tools = kwargs.get("tools", [])
        setup = tools_prompt(tools, kwargs.get("tool_choice", "auto"), parallel=kwargs.get("parallel", True))
        setup = f"{setup}\n\n{response_prompt(kwargs.get('response_format'))}"
        self.asked.append(messages)
        parser = ToolCallParser([one["function"]["name"] for one in tools])
        for text in [self.script.pop(0)] if self.script else self._reply(messages, setup):
            yield from (chunk_of(piece) for piece in parser.feed(text))
        yield from (chunk_of(piece) for piece in parser.finish())
        yield ChatGenerationChunk(message=AIMessageChunk(content=[], response_metadata=V1, chunk_position="last"))

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in await asyncio.to_thread(lambda: list(self._stream(*args, **kwargs))):
            yield chunk

    def _reply(self, messages: list[BaseMessage], setup: str) -> list[str]:
        calls: dict[str, Any] = {}
        lines: list[Line] = []
        for message in messages:
            if isinstance(message, AIMessage):
                calls |= {call["id"]: call for call in message.tool_calls}
                written = write_json([{"name": call["name"], "args": call["args"]} for call in message.tool_calls])
                block = f"<tool_calls>\n{written}\n</tool_calls>" if message.tool_calls else ""
                lines.append(Line("assistant", message.text + block))
            elif isinstance(message, ToolMessage):
                lines.append(Line("user", render_tool_results([message], calls)))
            else:
                lines.append(Line("user", message.text))
        here = Path(__file__).parent / "nowhere"
        request = Request(
            session_id="s",
            lines=tuple(lines),
            tools=(),
            system_prompt=setup,
            prompt_mode="append",
            workspace=here,
            uploads=here,
        )

        async def spoken() -> list[str]:
            return [piece.text async for piece in OfflineAgent().reply(request) if isinstance(piece, Said)]

        with asyncio.Runner() as runner:
            return runner.run(spoken())


def chunk_of(piece: Piece) -> ChatGenerationChunk:
    if isinstance(piece, Text):
        return _chunk({"type": "text", "text": piece.text, "index": 0})
    index = piece.index
    if isinstance(piece, CallStarted):
        return _chunk_of_call({"index": index, "id": piece.id, "name": piece.name, "args": ""})
    if isinstance(piece, CallArguments):
        return _chunk_of_call({"index": index, "id": None, "name": None, "args": piece.fragment})
    assert isinstance(piece, InvalidCall)
    block = {
        "type": "invalid_tool_call",
        "id": piece.id,
        "name": piece.name,
        "args": piece.raw,
        "error": piece.error,
        "index": index + 1,
    }
    call = {"index": index, "id": piece.id, "name": piece.name, "args": piece.chunk_args, "type": "tool_call_chunk"}
    return _chunk(block, tool_call_chunks=[call])


def _chunk_of_call(call: dict[str, Any]) -> ChatGenerationChunk:
    call["type"] = "tool_call_chunk"
    return _chunk({**call, "index": call["index"] + 1}, tool_call_chunks=[call])


def _chunk(block: dict[str, Any], **kwargs: Any) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(content=[block], response_metadata=V1, **kwargs))


class Suite(ChatModelIntegrationTests):
    __test__ = False

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return OfflineChat


@tool
def my_adder_tool(a: int, b: int) -> int:
    """Tool that adds two integers.

    Takes two integers, a and b, and returns their sum.
    """
    return a + b


@pytest.mark.parametrize(
    "name",
    [
        "tool_calling", "bind_runnables_as_tools", "tool_choice", "tool_calling_with_no_arguments", "structured_output_pydantic_2_v1",
        "structured_output_optional_param", "json_mode", "message_with_name", "agent_loop", "unicode_tool_call_integration",
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
def test_langchains_standard_tests(name: str) -> None:
    getattr(Suite(), f"test_{name}")(OfflineChat())


@pytest.mark.parametrize(
    "name",
    [
        "tool_message_histories_string_content",
        "tool_message_histories_list_content",
        "tool_message_error_status",
        "structured_few_shot_examples",
    ],
)
@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
def test_langchains_standard_tests_of_histories(name: str) -> None:
    getattr(Suite(), f"test_{name}")(OfflineChat(), my_adder_tool)


@pytest.mark.parametrize("kind", ["pydantic", "typeddict", "json_schema"])
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_langchains_standard_tests_of_structured_output(kind: Any, method: str) -> None:
    class Methodical(Suite):
        @property
        def structured_output_kwargs(self) -> dict[str, Any]:
            return {"method": method}

    Methodical().test_structured_output(OfflineChat(), kind)


class Person(BaseModel):
    """A person."""

    name: str
    age: int


class PersonV1(BaseModelV1):
    name: str
    age: int


class PersonDict(TypedDict):
    """A person."""

    name: Annotated[str, ..., "the name"]
    age: Annotated[int, ..., "the age"]


@dataclass
class PersonData:
    name: str
    age: int


GOOD = '{"name": "Ada", "age": 36}'
CALL = f'<tool_calls>\n[{{"name": "Person", "args": {GOOD}}}]\n</tool_calls>'


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (Person, Person(name="Ada", age=36)), (PersonV1, PersonV1(name="Ada", age=36)), (PersonData, PersonData("Ada", 36)),
        (PersonDict, {"name": "Ada", "age": 36}), (Person.model_json_schema(), {"name": "Ada", "age": 36}),
        ({"name": "p", "description": "d", "parameters": Person.model_json_schema()}, {"name": "Ada", "age": 36}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("reply", [GOOD, f"```json\n{GOOD}\n```", f"Here [1] it is:\n{GOOD}\nDone {{so}} [2]."])
def test_every_kind_of_schema_and_of_reply(schema: Any, expected: Any, reply: str) -> None:
    assert structured(OfflineChat(script=[reply]), schema).invoke("Who?") == expected


@pytest.mark.parametrize(
    "bad", ["I do not know.", '{"name": "Ada"}', '{"name": "Ada", "age": "old"}', '{"name": "Ada", "age": 36', "[1]"]
)
@pytest.mark.parametrize("schema", [Person, PersonV1, PersonData, PersonDict, Person.model_json_schema()])
async def test_one_repair_that_tells_the_error(bad: str, schema: Any) -> None:
    for ask in ("invoke", "ainvoke"):
        model = OfflineChat(script=[bad, GOOD])
        runnable = structured(model, schema)
        found = await runnable.ainvoke("Who?") if ask == "ainvoke" else runnable.invoke("Who?")
        assert (found if isinstance(found, dict) else vars(found)) == {"name": "Ada", "age": 36}
        first, second = model.asked
        assert second[: len(first)] == first
        reply, complaint = second[len(first) :]
        assert reply.text == bad
        assert isinstance(complaint, HumanMessage)
        assert "age" in complaint.text or "JSON" in complaint.text


def test_there_is_no_second_repair() -> None:
    model = OfflineChat(script=["no", "no again", GOOD])
    with pytest.raises(OutputParserException) as caught:
        structured(model, Person).invoke("Who?")
    assert caught.value.llm_output == "no again"
    assert len(model.asked) == 2


def test_include_raw() -> None:
    found = structured(OfflineChat(script=["no", GOOD]), Person, include_raw=True).invoke("Who?")
    assert found["raw"].text == GOOD
    assert (found["parsed"], found["parsing_error"]) == (Person(name="Ada", age=36), None)
    found = structured(OfflineChat(script=["no", "no"]), Person, include_raw=True).invoke("Who?")
    assert (found["raw"].text, found["parsed"]) == ("no", None)
    assert isinstance(found["parsing_error"], OutputParserException)


def test_include_raw_streams_dictionaries_that_add_up() -> None:
    chunks = list(structured(OfflineChat(script=[GOOD]), Person, include_raw=True).stream("Who?"))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    assert whole["raw"].text == GOOD
    assert (whole["parsed"], whole["parsing_error"]) == (Person(name="Ada", age=36), None)


def test_function_calling() -> None:
    for schema, expected in (
        (Person, Person(name="Ada", age=36)),
        ({**Person.model_json_schema()}, {"name": "Ada", "age": 36}),
    ):
        assert structured(OfflineChat(script=[CALL]), schema, method="function_calling").invoke("Who?") == expected
        assert list(structured(OfflineChat(script=[CALL]), schema, method="function_calling").stream("Who?")) == [
            expected
        ]
    model = OfflineChat(script=["I'd rather talk.", CALL])
    assert structured(model, Person, method="function_calling").invoke("Who?") == Person(name="Ada", age=36)
    assert "does not call Person" in model.asked[1][-1].text
    with pytest.raises(OutputParserException, match="does not call Person"):
        list(structured(OfflineChat(script=["Talk."]), Person, method="function_calling").stream("Who?"))


async def test_streams_grow_and_end_with_the_whole() -> None:
    class Sliced(OfflineChat):
        def _reply(self, messages: list[BaseMessage], setup: str) -> list[str]:
            return list(f"```json\n{GOOD}\n```")

    found = list(structured(Sliced(), PersonDict).stream("Who?"))
    assert found[0] == {}
    assert {"name": "A"} in found
    assert found[-1] == {"name": "Ada", "age": 36}
    assert found == [value async for value in structured(Sliced(), PersonDict).astream("Who?")]
    people = list(structured(Sliced(), Person).stream("Who?"))
    assert people == [Person(name="Ada", age=3), Person(name="Ada", age=36)]


async def test_a_stream_that_does_not_fit_ends_with_the_error() -> None:
    for reply in ("no", '{"name": "Ada"', '{"name": "Ada"}'):
        with pytest.raises(OutputParserException):
            list(structured(OfflineChat(script=[reply]), PersonDict).stream("Who?"))
        with pytest.raises(OutputParserException):
            [value async for value in structured(OfflineChat(script=[reply]), Person).astream("Who?")]


def test_strict_takes_no_type_for_another_and_no_more_than_is_named() -> None:
    loose, more = '{"name": "Ada", "age": "36"}', '{"name": "Ada", "age": 36, "x": 1}'
    for reply in (loose, more):
        assert structured(OfflineChat(script=[reply]), Person).invoke("Who?") == Person(name="Ada", age=36)
        for schema in (Person, PersonData, PersonDict, Person.model_json_schema()):
            with pytest.raises(OutputParserException):
                structured(OfflineChat(script=[reply, reply]), schema, strict=True).invoke("Who?")


def test_strict_holds_for_what_json_schema_lets_pass() -> None:
    reply = '{"name": "Ada", "age": 36.0}'
    for schema in (Person, PersonData):
        with pytest.raises(OutputParserException, match="valid integer"):
            structured(OfflineChat(script=[reply, reply]), schema, strict=True).invoke("Who?")


def test_wrong_arguments_are_refused() -> None:
    for kwargs in ({"colour": "red"}, {"method": "magic"}):
        with pytest.raises(ValueError, match=r"colour|magic"):
            structured(OfflineChat(), Person, **kwargs)
    for schema in (None, 3, {"x": 1}, {"a": {"type": "string"}}):
        with pytest.raises(ValueError, match=r"schema|Schema"):
            structured(OfflineChat(), schema)


def test_json_mode_without_a_schema_takes_any_object() -> None:
    assert structured(OfflineChat(script=['[1] {"a": [1]}']), method="json_mode").invoke("Any.") == {"a": [1]}


def test_the_model_is_told_the_format_and_traces_the_schema() -> None:
    class Watcher(BaseCallbackHandler):
        seen: list[Any] = []  # noqa: RUF012

        def on_chat_model_start(self, *args: Any, options: Any = None, **kwargs: Any) -> None:
            self.seen.append(options)

    watcher = Watcher()
    structured(OfflineChat(script=[GOOD]), PersonData).invoke("Who?", {"callbacks": [watcher]})
    assert watcher.seen[0]["ls_structured_output_format"]["schema"]["title"] == "PersonData"
    assert watcher.seen[0]["ls_structured_output_format"]["kwargs"] == {"method": "json_schema"}


def test_batches_prompts_and_chains() -> None:
    prompt = ChatPromptTemplate.from_messages([("human", "{name} is {age} years old")])
    chain = prompt | OfflineChat().with_structured_output(Person)
    asked = [{"name": "Ada Lovelace", "age": 36}, {"name": "Alan", "age": 41}]
    assert chain.batch(asked) == [Person(name="Ada Lovelace", age=36), Person(name="Alan", age=41)]
    assert list(chain.stream(asked[1]))[-1] == Person(name="Alan", age=41)


@pytest.mark.parametrize(
    "response_format",
    [
        Person,
        PersonDict,
        Person.model_json_schema(),
        {"type": "json_schema", "json_schema": {"name": "p", "schema": Person.model_json_schema()}},
    ],
)
def test_the_prompt_holds_the_schema(response_format: Any) -> None:
    prompt = response_prompt(response_format)
    schema = json.loads(prompt.partition("<schema>\n")[2].partition("\n</schema>")[0])
    assert set(schema["properties"]) == {"name", "age"}


def test_no_format_needs_no_prompt() -> None:
    assert response_prompt(None) == response_prompt({"type": "text"}) == ""
    assert '{"type": "object"}' in response_prompt({"type": "json_object"})
    with pytest.raises(ValueError, match=r"json_schema\.schema"):
        response_prompt({"type": "json_schema", "json_schema": {}})


@tool
def get_weather(location: str) -> dict[str, Any]:
    """Get the weather at a location."""
    return {"temperature": 21.5, "condition": f"sunny in {location}"}


class Weather(BaseModel):
    """A weather report."""

    temperature: float
    condition: str


@pytest.mark.parametrize("strategy", [ToolStrategy, ProviderStrategy])
def test_agents_with_tools_and_a_response_format(strategy: Any) -> None:
    agent = create_agent(OfflineChat(), [get_weather], response_format=strategy(Weather))
    state = agent.invoke({"messages": [("user", "What is the weather in Rome?")]})
    assert state["structured_response"] == Weather(temperature=21.5, condition="sunny in Rome")


def test_agents_with_parallel_calls() -> None:
    agent = create_agent(OfflineChat(), [get_weather, my_adder_tool])
    messages = agent.invoke({"messages": [("user", "What's the weather in Paris and London, and what is 3 + 5?")]})[
        "messages"
    ]
    results = [message for message in messages if isinstance(message, ToolMessage)]
    assert [message.name for message in results] == ["get_weather", "get_weather", "my_adder_tool"]
    assert "**8**" in messages[-1].text
    assert "sunny in London" in messages[-1].text
