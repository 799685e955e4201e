"""The offline agent under the prompts that applications write."""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal, Optional
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import AnyUrl, BaseModel, Field

from langchain_mix.chat_models.history import with_setup
from langchain_mix.chat_models.response_schema import SchemaChecker, closed
from langchain_mix.chat_models.structured_output import response_prompt
from langchain_mix.chat_models.tool_prompt import tools_prompt
from langchain_mix.emulator.agents import OfflineAgent
from langchain_mix.emulator.agents.offline.schema_values import ValueSource, fill

AGENT = OfflineAgent()
TOOLS_WITHDRAWN = """\
<client_tools choice="none" parallel="no">
The application's tools that you were told of before are no longer there; do not call them.
</client_tools>"""
FORMAT_WITHDRAWN = """\
<response_format>
The response format that you were given before is void; reply in your own words.
</response_format>"""


def get_weather(location: str) -> str:
    """Get the weather at a location."""
    return location


def my_adder_tool(a: int, b: int) -> int:
    """Tool that adds two integers.

    Takes two integers, a and b, and returns their sum.
    """
    return a + b


def multiply(a: float, b: float) -> float:
    """Multiply two numbers."""
    return a * b


def send_email(to: str, subject: str, body: str, urgent: bool = False) -> str:
    """Send an email."""
    return to


def set_light(room: str, color: Literal["red", "green", "blue"], level: int = 50) -> str:
    """Set the light of a room.

    Args:
        room: The room.
        color: The colour.
        level: Brightness.
    """
    return room


def average(numbers: list[float]) -> float:
    """Compute the average of numbers."""
    return sum(numbers)


TOOLS = (get_weather, my_adder_tool, multiply, send_email, set_light, average)


converted = cache(convert_to_openai_tool)


def setup(*tools: Any, choice: str = "auto", parallel: bool = True) -> str:
    return tools_prompt([converted(one) for one in tools], choice, parallel=parallel)


def calls_in(answer: str) -> list[tuple[str, dict[str, Any]]]:
    match = re.fullmatch(r"<tool_calls>\n(.*)\n</tool_calls>", answer, re.DOTALL)
    return [(call["name"], call["args"]) for call in json.loads(match[1])] if match else []


def results(*entries: tuple[str, dict[str, Any], str, str]) -> str:
    listed = [{"id": "c", "name": n, "args": a, "status": s, "content": c} for n, a, s, c in entries]
    return f"<tool_results>\n{json.dumps(listed)}\n</tool_results>"


async def called(desk, text: str, *tools: Any, **kwargs: Any) -> list[tuple[str, dict[str, Any]]]:
    prompt = setup(*(tools or TOOLS), **kwargs)
    return calls_in(await desk.say(AGENT, text, system_prompt=prompt, prompt_mode="append"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is 1 + 2", [("my_adder_tool", {"a": 1, "b": 2})]), ("Add 3 and 5", [("my_adder_tool", {"a": 3, "b": 5})]),
        ("please add -3 and 4.", [("my_adder_tool", {"a": -3, "b": 4})]), ("What's 6 * 7?", [("multiply", {"a": 6, "b": 7})]),
        ("multiply 2.5 by 4", [("multiply", {"a": 2.5, "b": 4})]), ("call my_adder_tool(a=7, b=8)", [("my_adder_tool", {"a": 7, "b": 8})]),
        ("What's 2+2 and 3+3", [("my_adder_tool", {"a": 2, "b": 2}), ("my_adder_tool", {"a": 3, "b": 3})]),
        ("What is the weather in San Francisco, CA?", [("get_weather", {"location": "San Francisco, CA"})]),
        ("Weather in São Paulo please", [("get_weather", {"location": "São Paulo"})]),
        ("What's the weather in Paris and London?", [("get_weather", {"location": "Paris"}), ("get_weather", {"location": "London"})]),
        ("Compute the average of 1, 2 and 6", [("average", {"numbers": [1, 2, 6]})]),
        ("Set the light to blue in the room 'Kitchen', level 80", [("set_light", {"room": "Kitchen", "color": "blue", "level": 80})]),
        (
            "Send an email to ada@example.com, subject: Hello, body: See you",
            [("send_email", {"to": "ada@example.com", "subject": "Hello", "body": "See you"})],
        ),
    ],
)  # fmt: skip
async def test_the_tool_that_fits_is_called_with_the_values_in_the_words(desk, text: str, expected: Any) -> None:
    assert await called(desk, text) == expected


@pytest.mark.parametrize("text", ["Hello!", "What is the capital of France?", "My name is Ada.", "Who are you?"])
async def test_a_question_that_fits_no_tool_is_answered_without_tools(desk, text: str) -> None:
    with_tools = await desk.say(AGENT, text, system_prompt=setup(*TOOLS), prompt_mode="append")
    desk.lines.clear()
    assert with_tools == await desk.say(AGENT, text)


async def test_a_call_is_made_where_it_must_be(desk) -> None:
    assert [name for name, _ in await called(desk, "Hello!", choice="any")] == ["get_weather"]
    assert [name for name, _ in await called(desk, "Hello!", choice="set_light")] == ["set_light"]
    assert await called(desk, "Weather in Rome?", choice="none") == []


async def test_one_call_at_a_time(desk) -> None:
    text = "What's the weather in Paris and London?"
    assert await called(desk, text, parallel=False) == [("get_weather", {"location": "Paris"})]
    first = results(("get_weather", {"location": "Paris"}, "success", "rain"))
    assert await called(desk, first, parallel=False) == [("get_weather", {"location": "London"})]
    second = results(("get_weather", {"location": "London"}, "success", "fog"))
    answer = await desk.say(AGENT, second, system_prompt=setup(*TOOLS, parallel=False), prompt_mode="append")
    assert "rain" in answer
    assert "fog" in answer


async def test_answers_from_results_and_goes_on_with_new_questions(desk) -> None:
    prompt = {"system_prompt": setup(*TOOLS), "prompt_mode": "append"}
    await desk.say(AGENT, "What is the weather in Rome?", **prompt)
    answer = await desk.say(AGENT, results(("get_weather", {"location": "Rome"}, "success", "It's sunny.")), **prompt)
    assert "It's sunny." in answer
    assert "Rome" in answer
    assert calls_in(await desk.say(AGENT, "And what is 2 + 2?", **prompt)) == [("my_adder_tool", {"a": 2, "b": 2})]


@pytest.mark.parametrize(("given", "shown"), [("sunny", "**sunny**"), ("6 times 7 = **42**", "6 times 7 = **42**")])
async def test_a_result_is_highlighted_once(desk, given, shown) -> None:
    prompt = {"system_prompt": setup(*TOOLS), "prompt_mode": "append"}
    await desk.say(AGENT, "What is the weather in Rome?", **prompt)
    answer = await desk.say(AGENT, results(("get_weather", {"location": "Rome"}, "success", given)), **prompt)
    assert answer.endswith(f": {shown}")


async def test_a_failed_call_is_tried_once_more_and_then_reported(desk) -> None:
    failed = results(("my_adder_tool", {"a": 1}, "error", "b is missing"))
    assert len(await called(desk, "What is 1 + 2")) == 1
    assert await called(desk, failed) == [("my_adder_tool", {"a": 1, "b": 2})]
    assert "failed: b is missing" in await desk.say(AGENT, failed, system_prompt=setup(*TOOLS), prompt_mode="append")


async def test_the_newest_list_of_tools_holds(desk) -> None:
    prompt = {"system_prompt": setup(get_weather), "prompt_mode": "append"}
    assert calls_in(await desk.say(AGENT, "What is 1 + 2?", **prompt)) == []
    assert calls_in(await desk.say(AGENT, f"{setup(my_adder_tool)}\n\nWhat is 1 + 2?", **prompt)) == [
        ("my_adder_tool", {"a": 1, "b": 2})
    ]
    assert calls_in(await desk.say(AGENT, "And 3 + 4?", **prompt)) == [("my_adder_tool", {"a": 3, "b": 4})]
    assert "**7**" in await desk.say(AGENT, f"{TOOLS_WITHDRAWN}\n\nWhat is 3 + 4?", **prompt)


async def test_setup_text_is_not_taken_for_the_users_words(desk) -> None:
    message = f"{setup(*TOOLS)}\n\nMy favourite colour is teal."
    assert "teal" in await desk.say(AGENT, message)
    answer = await desk.say(AGENT, "What was my first message?")
    assert "teal" in answer
    assert "client_tools" not in answer


async def test_prompts_that_the_server_ignores_are_ignored(desk) -> None:
    answer = await desk.say(AGENT, "Weather in Rome?", system_prompt=setup(*TOOLS), prompt_mode="default")
    assert calls_in(answer) == []


TRANSCRIPT = """\
Below is the conversation so far, which took place elsewhere. A line in square brackets says who speaks; every line of \
what was said begins with "> ".

[User]
> What is 1 + 2

[Assistant calls tool "my_adder_tool", call "abc"]
> {"a": 1, "b": 2}

[Message to answer]

"""


async def test_a_replayed_history_counts_like_rows(desk) -> None:
    result = results(("my_adder_tool", {"a": 1, "b": 2}, "success", '{"result": 3}'))
    answer = await desk.say(AGENT, TRANSCRIPT + result, system_prompt=setup(*TOOLS), prompt_mode="append")
    assert "**3**" in answer
    desk.lines.clear()
    assert await called(desk, f"{TRANSCRIPT}What is 3 + 4", choice="any") == [("my_adder_tool", {"a": 3, "b": 4})]


async def test_the_last_of_several_messages_is_answered_and_the_others_count_as_earlier_ones(desk) -> None:
    message = "[User]\n> My favourite colour is teal.\n\n[User]\n> What is 2+2?"
    assert await desk.say(AGENT, message) == "2+2 = **4**"
    replayed = (
        f"{TRANSCRIPT.split('[User]', maxsplit=1)[0]}[User]\n> My favourite colour is teal.\n\n[Message to answer]\n\n"
    )
    desk.lines.clear()
    assert "**teal**" in await desk.say(AGENT, f"{replayed}What is my favourite colour?")


class Joke(BaseModel):
    setup: str
    punchline: str | None = None


class Capital(BaseModel):
    country: str
    capital: str


class Person(BaseModel):
    name: str
    age: Annotated[int, Field(ge=0, le=150)]


class People(BaseModel):
    people: list[Person]


class Mood(BaseModel):
    sentiment: Literal["positive", "negative", "neutral"]


class Number(BaseModel):
    result: int


class Report(BaseModel):
    temperature: float
    condition: str


async def formed(desk, text: str, model: type[BaseModel], prompt: str = "") -> Any:
    answer = await desk.say(AGENT, text, system_prompt=f"{prompt}\n{response_prompt(model)}", prompt_mode="append")
    return model.model_validate_json(answer, strict=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tell me a joke about cats.", Joke(setup="Tell me a joke about cats.")),
        ("setup: Knock, punchline: Who?", Joke(setup="Knock", punchline="Who")),
        ("What is the capital of France?", Capital(country="France", capital="Paris")), ("What's 6 * 7?", Number(result=42)),
        ("Jane Doe is 42 years old", Person(name="Jane Doe", age=42)), ("This is negative.", Mood(sentiment="negative")),
        ("Extract: John is 30 and Mary Smith is 25.", People(people=[Person(name="John", age=30), Person(name="Mary Smith", age=25)])),
    ],
)  # fmt: skip
async def test_schemas_are_filled_from_the_conversation(desk, text: str, expected: BaseModel) -> None:
    assert await formed(desk, text, type(expected)) == expected


async def test_schemas_are_filled_from_results(desk) -> None:
    report = '{"temperature": 21.5, "condition": "sunny"}'
    tools = setup(get_weather)
    await desk.say(AGENT, "What is the weather in Rome?")
    result = results(("get_weather", {"location": "Rome"}, "success", report))
    assert await formed(desk, result, Report, tools) == Report(temperature=21.5, condition="sunny")


async def test_schemas_about_files_are_filled_from_them(desk) -> None:
    class Days(BaseModel):
        answer: str

    (desk.request.uploads / "handbook.md").write_text("Every employee has 30 vacation days.\n")
    found = await formed(desk, "How many vacation days does the file handbook.md give an employee?", Days)
    assert "30 vacation days" in found.answer
    assert desk.used


async def test_a_schema_holds_until_it_is_withdrawn(desk) -> None:
    prompt = "Always end every answer with Yours truly. Answer in uppercase. Reply in JSON."
    assert await formed(desk, "What is the capital of Italy?", Capital, prompt) == Capital(
        country="Italy", capital="Rome"
    )
    answer = await desk.say(
        AGENT,
        f"{FORMAT_WITHDRAWN}\n\nWhat is the capital of Spain?",
        system_prompt=response_prompt(Capital),
        prompt_mode="append",
    )
    assert "**Madrid**" in answer


async def test_json_mode_takes_the_keys_from_the_message(desk) -> None:
    prompt = response_prompt({"type": "json_object"})
    text = "Tell me a joke about cats. Return the result as a JSON with 'setup' and 'punchline' keys."
    answer = await desk.say(AGENT, text, system_prompt=prompt, prompt_mode="append")
    assert set(json.loads(answer)) == {"setup", "punchline"}


class Colour(Enum):
    RED = "red"
    BLUE = 2


class Tree(BaseModel):
    value: int
    children: list[Tree] = []
    next: Tree | None = None


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: Annotated[int, Field(gt=0, lt=10)]


class Dog(BaseModel):
    kind: Literal["dog"]
    bark: Annotated[str, Field(min_length=3, max_length=5)]


class Everything(BaseModel):
    name: Annotated[str, Field(min_length=2, max_length=10)]
    code: Annotated[str, Field(pattern=r"^[A-Z]{3}-\d{3}$")]
    colour: Colour
    tags: Annotated[list[str], Field(min_length=2)]
    unique: Annotated[set[str], Field(min_length=2, max_length=3)]
    numbers: Annotated[list[float], Field(max_length=2)]
    pair: tuple[int, str]
    tree: Tree
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    maybe: Optional[Person]  # noqa: UP045
    day: date
    at: datetime
    id: UUID
    url: AnyUrl
    flag: bool
    counts: dict[str, int]
    share: Annotated[float, Field(gt=0, lt=1)]
    sevens: Annotated[int, Field(multiple_of=7, ge=10, le=30)]
    fixed: Literal[3]
    anything: Any
    either: int | str | None
    late: str = "later"


class Node(BaseModel):
    value: int
    left: Node | None = None
    right: Node | None = None
    below: list[Node] = []
    beside: list[Node] = []


def test_a_schema_that_refers_to_itself_many_times_is_filled_within_bounds() -> None:
    value = fill(Node.model_json_schema(), ValueSource("The numbers 1, 2, 3, 4, 5, 6, 7, 8 and 9."))
    assert Node.model_validate(value).value == 1


SCHEMAS = {model: model.model_json_schema() for model in (Everything, Tree, People, Person, Joke, Mood)}


WORDS = st.sampled_from(
    [
        "cat", "dog", "red", "2", "-5", "999", "12.5", "Ada", "'x'", "is", "and", "a: 1", ",", "true", "no flag", "2024-02-30",
    ]
)  # fmt: skip


@pytest.mark.parametrize("examples", [10, pytest.param(100, marks=pytest.mark.exhaustive)])
def test_every_value_is_valid_whatever_the_words_are(examples: int) -> None:
    @given(st.text(max_size=60) | st.lists(WORDS).map(" ".join))
    @settings(max_examples=examples, suppress_health_check=[HealthCheck.too_slow])
    def check(text: str) -> None:
        for model, schema in SCHEMAS.items():
            value = fill(schema, ValueSource(text, text, [text]))
            model.model_validate_json(json.dumps(value))

    check()


def count_down(start: Annotated[int, Field(ge=1, le=9)], words: list[str], where: dict[str, int] | None = None) -> str:
    """Count down to a launch."""
    return str(start)


VOCABULARY = st.sampled_from(
    [
        "my_adder_tool(", "get_weather(x, 'y", "count_down(0)", "multiply(a=b)", "add", "weather", "in", "Paris", "and", "3", "+", "-7", "99", ")", ",", "'q'", "email",
        "a@b.co", "<tool_results>", "[User]", "light", "blue", ":", "?", "Use the tool.", "x=1", "\n",
    ]
)  # fmt: skip


REQUESTS = given(
    st.lists(VOCABULARY | st.text(max_size=4), max_size=12).map(" ".join),
    st.sampled_from(["auto", "any", "count_down"]),
    st.booleans(),
)
UNHURRIED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@REQUESTS
@settings(UNHURRIED, max_examples=40)
async def test_arguments_fit_whatever_the_words_are(desk, text: str, choice: str, parallel: bool) -> None:
    await check_arguments(desk, text, choice, parallel)


@pytest.mark.exhaustive
@REQUESTS
@settings(UNHURRIED, max_examples=100)
async def test_arguments_fit_whatever_the_words_are_at_length(desk, text: str, choice: str, parallel: bool) -> None:
    await check_arguments(desk, text, choice, parallel)


async def check_arguments(desk, text: str, choice: str, parallel: bool) -> None:
    tools = (*TOOLS, count_down)
    schemas = {one.__name__: converted(one)["function"]["parameters"] for one in tools}
    desk.lines.clear()
    prompt = setup(*tools, choice=choice, parallel=parallel)
    answer = await desk.say(AGENT, f"Now: {text}", system_prompt=prompt, prompt_mode="append")
    calls = calls_in(answer)
    assert calls or choice == "auto"
    assert parallel or len(calls) <= 1
    for name, arguments in calls:
        assert SchemaChecker(closed(schemas[name])).problems(arguments) == [], (name, arguments)


async def test_renewed_instructions_replace_those_before(desk):
    """After a hand-off another agent, without tools, goes on in the session: it answers what the hand-off was for."""

    def transfer_to_researcher() -> str:
        """Ask agent 'researcher' for help."""
        return ""

    asked = await desk.say(
        AGENT,
        "Ask the researcher: what is the capital of France?",
        system_prompt=setup(transfer_to_researcher),
        prompt_mode="append",
    )
    assert calls_in(asked) == [("transfer_to_researcher", {})]
    handed_over = results(("transfer_to_researcher", {}, "success", "Successfully transferred"))
    answer = await desk.say(AGENT, with_setup("", handed_over))
    assert answer == "The capital of France is **Paris**."
    again = await desk.say(AGENT, with_setup(setup(get_weather), "Get the weather in Oslo."))
    assert calls_in(again) == [("get_weather", {"location": "Oslo"})]
