from __future__ import annotations

from dataclasses import replace

import pytest

from langchain_mix.emulator.agents import OfflineAgent

AGENT = OfflineAgent()


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What's the capital of France?", "The capital of France is **Paris**."),
        ("What is 2+2?", "2+2 = **4**"),
        ("yes\n\nWhat is 1 + 2?", "1 + 2 = **3**"),
        ("And what is 6 times 7?", "6 times 7 = **42**"),
        ("what is -3 - -4?", "-3 - -4 = **1**"),
        ("0.1+0.2=", "0.1+0.2 = **0.3**"),
        ("What’s 10 divided by 4?", "10 divided by 4 = **2.5**"),
        ("what's 5/0?", "`5/0` divides by zero."),
        ("Hello", "Hello! How can I help you?"),
    ],
)
async def test_the_questions_of_the_samples_are_answered_without_tools(desk, question: str, answer: str) -> None:
    assert await desk.say(AGENT, question) == answer
    assert desk.used == []


@pytest.mark.parametrize("text", ["We met on 2024-01-05.", "The years 2020-2024 were fine.", "call +49 30 1234"])
async def test_numbers_that_are_no_sums(desk, text: str) -> None:
    assert "=" not in await desk.say(AGENT, text)


async def test_remembers_what_the_rows_hold(desk) -> None:
    assert "Ada" in await desk.say(AGENT, "My name is Ada and I like graphs.")
    await desk.say(AGENT, "Please remember that the door code is 4711.")
    fork = replace(desk, lines=list(desk.lines))
    assert "**Ada**" in await desk.say(AGENT, "What's my name?")
    assert "4711" in await desk.say(AGENT, "What did I ask you to remember?")
    assert "What did I ask you to remember?" in await desk.say(AGENT, "What did I just say?")
    await fork.say(AGENT, "My name is Bob")
    assert "**Bob**" in await fork.say(AGENT, "what is my name?")
    assert "**Ada**" in await desk.say(AGENT, "what is my name?")
    assert "not told me" in await replace(desk, lines=[]).say(AGENT, "What is my name?")
    assert "first message" in await replace(desk, lines=[]).say(AGENT, "What did I just say?")


async def test_remembers_favourites_and_the_first_message(desk) -> None:
    await desk.say(AGENT, "My favourite colour is teal.")
    assert "**teal**" in await desk.say(AGENT, "What's my favorite colour?")
    assert "is teal" in await desk.say(AGENT, "What was my first message?")


async def test_replayed_history_in_the_prompt_counts(desk) -> None:
    prompt = "Earlier conversation:\nUser: My name is Ada.\nAssistant: Hi."
    assert "Ada" in await desk.say(AGENT, "What is my name?", system_prompt=prompt, prompt_mode="append")


async def test_writes_after_permission(desk) -> None:
    answer = await desk.say(AGENT, 'Please write "hello world" to greeting.txt')
    assert (desk.request.workspace / "greeting.txt").read_text() == "hello world"
    assert len(desk.asked) == 1
    assert "wrote `greeting.txt`" in answer
    await desk.say(AGENT, "What is the capital of Italy?")
    await desk.say(AGENT, "save your answer to rome.md")
    assert "Rome" in (desk.request.workspace / "rome.md").read_text()


async def test_reports_a_denied_permission(desk) -> None:
    desk.allow = False
    assert "denied" in await desk.say(AGENT, "Write hello to greeting.txt")
    assert not (desk.request.workspace / "greeting.txt").exists()


async def test_writes_nothing_in_plan_mode(desk) -> None:
    text = "Write hello to a.txt\n\n<system-reminder>Plan mode is active. Do not write.</system-reminder>"
    assert "may not write" in await desk.say(AGENT, text, plan_mode=True)
    assert desk.used == []


async def test_a_name_outside_of_the_workspace_is_refused_and_reported(desk) -> None:
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


async def test_keeps_todos(desk) -> None:
    answer = await desk.say(AGENT, "Make a todo list: buy milk, call Bob, and write report")
    assert [todo["content"] for todo in desk.used[0].input["todos"]] == ["buy milk", "call Bob", "write report"]
    assert "- [ ] call Bob" in answer
