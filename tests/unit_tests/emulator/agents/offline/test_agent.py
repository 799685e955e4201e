from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_mix.emulator.agents import Line, OfflineAgent, Request, Text, Thinking, ToolUse, Usage
from langchain_mix.emulator.agents.offline.prose import pieces

AGENT = OfflineAgent()


async def test_thinks_first_and_streams_words(desk) -> None:
    answer = await desk.say(AGENT, "What's the capital of France?")
    kinds = [type(piece) for piece in desk.pieces]
    assert kinds.count(Thinking) > 3
    assert kinds.count(Text) > 3
    assert kinds == sorted(kinds, key=[Thinking, Text, Usage].index)
    usage = desk.pieces[-1]
    assert usage.output_tokens == -(-(len(answer) + len("".join(desk.thinking))) // 4)
    assert usage.input_tokens > 0
    assert usage.model == "offline"


async def test_thinking_can_be_off(desk) -> None:
    await desk.say(AGENT, "hello", thinking_level="off")
    assert desk.thinking == []


async def test_the_samples_of_the_documentation(desk) -> None:
    assert "Paris" in await desk.say(AGENT, "What's the capital of France?")
    assert "Rome" in await desk.say(AGENT, "What about Italy?")
    larger = await desk.say(AGENT, "Which has a larger population?")
    assert larger.startswith("France has the larger population")
    assert "Italy" in larger
    assert "programming language" in await desk.say(AGENT, "Tell me about Python")
    assert "Rust" in await desk.say(AGENT, "Tell me about Rust instead")
    assert "**4**" in await desk.say(AGENT, "What's 2+2?")
    assert "Hello" in await desk.say(AGENT, "Hello")
    assert str(desk.request.workspace) in await desk.say(AGENT, "What's your working directory?")
    assert desk.used == []


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("what's 15% of 80?", "**12**"), ("What is 7 times 6?", "**42**"), ("calculate (1+2)*3-4/2", "**7**"), ("2^10", "**1024**"), ("0.1+0.2=", "**0.3**"),
        ("What’s 10 divided by 4?", "**2.5**"), ("what is 1/3?", "≈ 0.3333333333"), ("what's 5/0?", "divides by zero"), ("what is 9^9^9?", "too large"),
        ("What is the square root of 144?", "**12**"), ("what is -3 - -4?", "**1**"), ("how much is 1,000 + 1?", "**1001**"), ("What is 12 x 12?", "**144**"),
    ],
)  # fmt: skip
async def test_arithmetic(desk, question: str, answer: str) -> None:
    assert answer in await desk.say(AGENT, question)


@pytest.mark.parametrize(
    "text", ["We met on 2024-01-05.", "See chapter 3.", "The years 2020-2024 were fine.", "call +49 30 1234"]
)
async def test_numbers_that_are_no_sums(desk, text: str) -> None:
    assert "=" not in await desk.say(AGENT, text)


async def test_remembers_and_forgets_with_the_rows(desk) -> None:
    assert "Ada" in await desk.say(AGENT, "My name is Ada and I like graphs.")
    await desk.say(AGENT, "Please remember that the door code is 4711.")
    fork = replace(desk, lines=list(desk.lines))
    assert "**Ada**" in await desk.say(AGENT, "What's my name?")
    assert "4711" in await desk.say(AGENT, "What did I ask you to remember?")
    assert "What did I ask you to remember?" in await desk.say(AGENT, "What did I just say?")
    await fork.say(AGENT, "My name is Bob")
    assert "**Bob**" in await fork.say(AGENT, "what is my name?")
    assert "**Ada**" in await desk.say(AGENT, "what is my name?")
    rewound = replace(desk, lines=[])
    assert "not told me" in await rewound.say(AGENT, "What is my name?")
    assert "first message" in await rewound.say(AGENT, "What did I say before?") or len(rewound.lines) > 2


async def test_remembers_favourites_and_the_first_message(desk) -> None:
    await desk.say(AGENT, "My favourite colour is teal.")
    await desk.say(AGENT, "Mein Name ist Jürgen")
    assert "**teal**" in await desk.say(AGENT, "What's my favorite colour?")
    assert "teal" in await desk.say(AGENT, "What was my first message?")
    assert "Jürgen" in await desk.say(AGENT, "What have we talked about?")


async def test_replayed_history_in_the_prompt_counts(desk) -> None:
    prompt = "Earlier conversation:\nUser: My name is Ada.\nAssistant: Hi."
    assert "Ada" in await desk.say(AGENT, "What is my name?", system_prompt=prompt, prompt_mode="append")


async def test_finds_reads_and_quotes_files(desk) -> None:
    (desk.request.uploads / "handbook.md").write_text(
        "# Holidays\n\nEvery employee has 30 vacation days.\n\n# Pay\n\nPaid on the 25th.\n"
    )
    (desk.request.uploads / "other.txt").write_text("Nothing of interest.\n")
    answer = await desk.say(AGENT, "How many vacation days does an employee have?")
    assert [call.name for call in desk.used] == ["Glob", "Grep", "ReadText"]
    assert "30 vacation days" in answer
    assert "`handbook.md:3`" in answer
    assert desk.asked == []


@pytest.mark.parametrize(
    ("content", "question", "expected"),
    [
        ("東京の人口は約1400万人です。\n大阪は別の町です。\n", "東京の人口は？", "`t.txt:1`"),
        ("Die Straße heißt Lindenallee.\nSonst nichts.\n", "Wie heißt die Straße?", "Lindenallee"),
        ("Столица — Москва.\nДругое.\n", "Какая столица?", "Москва"),
        ("Café ÉCLAIR costs 3 euros\n", "what does an éclair cost?", "3 euros"),
    ],
)
async def test_searches_in_every_script(desk, content: str, question: str, expected: str) -> None:
    (desk.request.uploads / "t.txt").write_text(content)
    assert expected in await desk.say(AGENT, question)


async def test_says_when_the_files_hold_nothing(desk) -> None:
    (desk.request.uploads / "a.txt").write_text("apples\n")
    answer = await desk.say(AGENT, "What do the files say about zebras?")
    assert "found nothing" in answer
    assert "zebra" in answer


async def test_without_files_it_says_so(desk) -> None:
    assert "no files" in await desk.say(AGENT, "What files are there?")
    assert "no files" in await desk.say(AGENT, "What does the uploaded document say about zebras?")


async def test_lists_and_shows_files(desk) -> None:
    (desk.request.uploads / "a.txt").write_text("apples\npears\n")
    (desk.request.workspace / "b.md").write_text("x")
    listed = await desk.say(AGENT, "Which files are there?")
    assert "`a.txt`" in listed
    assert "`b.md`" in listed
    assert "apples\npears" in await desk.say(AGENT, "Show me a.txt")
    assert "not a text file" in await desk.say(replace_with_png(desk), "What is in p.png?")


def replace_with_png(desk) -> OfflineAgent:
    (desk.request.uploads / "p.png").write_bytes(b"\x89PNG\0")
    return AGENT


async def test_summarises(desk) -> None:
    (desk.request.uploads / "notes.md").write_text(
        "# Plan\n\nThe rocket flies on Monday. The rocket is red.\n\n# Cost\n\nThe rocket costs money.\n"
    )
    answer = await desk.say(AGENT, "Summarise notes.md")
    assert "*Plan*, *Cost*" in answer
    assert "`notes.md:3`" in answer
    (desk.request.uploads / "t.csv").write_text("a,b\n1,x\n5,y\n")
    assert "from 1 to 5" in await desk.say(AGENT, "give me a summary of t.csv")


async def test_writes_after_asking(desk) -> None:
    answer = await desk.say(AGENT, 'Please write "hello world" to greeting.txt')
    assert (desk.request.workspace / "greeting.txt").read_text() == "hello world"
    assert len(desk.asked) == 1
    assert "wrote `greeting.txt`" in answer
    assert "Rome" in await desk.say(AGENT, "What is the capital of Italy?")
    await desk.say(AGENT, "save your answer to rome.md")
    assert "Rome" in (desk.request.workspace / "rome.md").read_text()
    await desk.say(AGENT, "Create a file list.txt with the content: a\nb")
    assert (desk.request.workspace / "list.txt").read_text() == "a\nb"
    await desk.say(AGENT, "Replace 'world' with 'moon' in greeting.txt")
    assert (desk.request.workspace / "greeting.txt").read_text() == "hello moon"


async def test_says_that_permission_was_denied(desk) -> None:
    desk.allow = False
    assert "denied" in await desk.say(AGENT, "Write hello to greeting.txt")
    assert not (desk.request.workspace / "greeting.txt").exists()
    assert "denied" in await desk.say(AGENT, "run `make all`")


async def test_writes_a_summary(desk) -> None:
    (desk.request.uploads / "notes.md").write_text("# Plan\n\nThe rocket flies on Monday.\n")
    await desk.say(AGENT, "Write a summary of notes.md to summary.md")
    assert [call.name for call in desk.used] == ["Glob", "ReadText", "Write"]
    assert "rocket flies" in (desk.request.workspace / "summary.md").read_text()


async def test_hostile_names_are_refused_and_told(desk) -> None:
    answer = await desk.say(AGENT, "write x to ../../evil.txt")
    assert not (desk.request.workspace.parent.parent / "evil.txt").exists()
    assert "wrote" not in answer or "evil" not in answer


async def test_delegates_but_never_from_a_sub_agent(desk) -> None:
    answer = await desk.say(AGENT, "Ask a sub-agent to count the files")
    assert desk.used[0].input == {
        "description": "count the files",
        "prompt": "count the files",
        "subagent_type": "general-purpose",
    }
    assert "sub-agent did: count the files" in answer
    await desk.say(AGENT, "Delegate this: count", is_subagent=True)
    assert "Task" not in [call.name for call in desk.used]


async def test_plans_in_plan_mode(desk) -> None:
    text = "Refactor the parser\n\n<system-reminder>Plan mode is active. Do not write.</system-reminder>"
    answer = await desk.say(AGENT, text, plan_mode=True)
    assert [call.name for call in desk.used] == ["ExitPlanMode"]
    assert "Refactor the parser" in answer
    assert "system-reminder" not in answer
    await desk.say(AGENT, "Write hello to a.txt\n<system-reminder>Plan mode</system-reminder>", plan_mode=True)
    assert not (desk.request.workspace / "a.txt").exists()
    assert "**4**" in await desk.say(AGENT, "What's 2+2?", plan_mode=True)


async def test_keeps_todos(desk) -> None:
    answer = await desk.say(AGENT, "Make a todo list: buy milk, call Bob, and write report")
    assert [todo["content"] for todo in desk.used[0].input["todos"]] == ["buy milk", "call Bob", "write report"]
    assert "- [ ] call Bob" in answer


async def test_commands_are_never_run(desk) -> None:
    answer = await desk.say(AGENT, "run the command `ls -la`")
    assert desk.used[0].input == {"command": "ls -la"}
    assert "was not run" in answer


@pytest.mark.parametrize(
    ("prompt", "mode", "check"),
    [
        ('Answer only with "PONG".', "replace", lambda a: a == "PONG"),
        ('Always end with "-- Bot".', "append", lambda a: a.endswith(" -- Bot")),
        ("Always start with AHOY", "append", lambda a: a.startswith("AHOY ")),
        ("Reply in JSON", "append", lambda a: "Hello" in json.loads(a)["answer"]),
        ("Answer in upper case", "append", lambda a: a.startswith("HELLO")),
        ("You are brief. Only reply with PONG", "append", lambda a: a == "PONG"),
        ("Answer only questions about ships.", "append", lambda a: a.startswith("Hello")),
        ("Only answer with facts from the files.", "append", lambda a: a.startswith("Hello")),
        ("Always end with a question.", "append", lambda a: a.endswith("How can I help you?")),
        ('Answer only with "PONG".', "default", lambda a: a.startswith("Hello")),
    ],
)
async def test_simple_prompts_are_honoured(desk, prompt: str, mode: str, check) -> None:
    assert check(await desk.say(AGENT, "Hello", system_prompt=prompt, prompt_mode=mode))


async def test_only_answer_in_the_message(desk) -> None:
    assert await desk.say(AGENT, "Reply only with the word OK") == "OK"
    assert await desk.say(AGENT, "Reply with exactly: ready now") == "ready now"


async def test_honest_when_nothing_fits(desk) -> None:
    answer = await desk.say(AGENT, "Blorp the fnord sideways.")
    assert "> Blorp the fnord sideways." in answer
    assert "offline agent" in answer


async def test_no_tools_no_calls(desk) -> None:
    for text in (
        "What do the files say?",
        "Write a to b.txt",
        "total of sales",
        "todo: a",
        "run ls",
        "Ask a subagent to x",
    ):
        await desk.say(AGENT, text, tools=())
        assert desk.used == []


async def test_the_same_conversation_gets_the_same_answer(request_: Request) -> None:
    request = replace(request_, lines=(Line("user", "Tell me about Python"),))
    first = [p async for p in AGENT.reply(request)]
    assert first == [p async for p in OfflineAgent().reply(request)]


async def test_strategies_are_a_seam(desk) -> None:
    from langchain_mix.emulator.agents.offline.conversation import Say

    agent = OfflineAgent([lambda talk: Say("mine") if "me" in talk.ask else None])
    assert await desk.say(agent, "me") == "mine"
    assert "I have no answer" in await desk.say(agent, "other")


async def test_odd_requests_are_answered(request_: Request) -> None:
    hostile = [
        "",
        " ",
        "?",
        "\n\n",
        "(" * 3000,
        "9" * 3000 + "+1",
        "write " * 700 + "to a.txt",
        "<system-reminder>" * 3000,
        "my " * 1300 + "?",
        "\ud83d",
        "/x",
        "Q3 " * 900,
    ]
    for text in hostile:
        found = [p async for p in AGENT.reply(replace(request_, lines=(Line("user", text),)))]
        assert any(isinstance(p, Text | ToolUse) for p in found), text[:20]
    assert [p async for p in AGENT.reply(request_)]


@given(st.text())
def test_pieces_lose_nothing(text: str) -> None:
    assert "".join(pieces(text)) == text
    assert all(pieces(text))
