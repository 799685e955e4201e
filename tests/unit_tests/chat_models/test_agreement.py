"""Compares rows with what a conversation says. The rows are written here as a server stores them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from langchain_mix.chat_models.agreement import agrees
from langchain_mix.chat_models.alignment import Base
from langchain_mix.chat_models.history import with_setup
from langchain_mix.chat_models.tool_prompt import reminder
from langchain_mix.pointer import Pointer

SERVER = "http://localhost:1"


@dataclass
class Row:
    id: str
    role: str
    text: str


def rows(*texts: str) -> list[Row]:
    """Rows `role: text`; the role is the first letter: user, assistant, tool, or something else."""
    roles = {"u": "user", "a": "assistant", "t": "tool", "x": "system"}
    return [Row(str(i), roles[text[0]], text[2:]) for i, text in enumerate(texts)]


def agree(stored: list[Row], *messages: BaseMessage, place: int = -1) -> bool:
    pointer = Pointer(server=SERVER, session_id="S", message_id=stored[place].id)
    return agrees(stored, messages, Base(len(messages) - 1, pointer), SERVER)


Q, R = HumanMessage("What now?"), AIMessage("Go on.")


@pytest.mark.parametrize(
    "stored",
    [
        ["u What now?", "a Go on."],
        ["u  What\r\n now? ", "a Go on.\n", "t "],
        ["u What now?", "a Go ", "t ", "a on."],
        ["u What now?\n\n<system-reminder>\nPlan.\n</system-reminder>", "a Go on."],
        [f"u {with_setup('Be brief.', 'What now?')}", "a Go on."],
        [f"u {with_setup('', 'What now?')}\n\n<system-reminder>\nPlan.\n</system-reminder>", "a Go on."],
    ],
)
def test_rows_that_say_the_same(stored: list[str]) -> None:
    found = rows(*stored)
    assert agree(found, Q, R, place=max(i for i, row in enumerate(found) if row.role == "assistant"))
    assert agree([*found, Row("9", "user", "Later."), Row("10", "assistant", "Yes.")], SystemMessage("S"), Q, R,
                 place=max(i for i, row in enumerate(found) if row.role == "assistant"))  # fmt: skip


@pytest.mark.parametrize(
    "stored",
    [
        ["u What", "a Go on."],
        ["u And what now?", "a Go on."],
        ["u What now? Secret.", "a Go on."],
        ["u What now?", "a Go on. Secret."],
        ["u What now?", "a Secret. ", "a Go on."],
        ["u ", "a Go on."],
        ["u What now?", "a "],
        ["a Go on."],
        ["u What now?"],
        ["u What now?", "x Secret.", "a Go on."],
        ["a Secret.", "u What now?", "a Go on."],
        ["u Secret.", "u What now?", "a Go on."],
        ["u Secret.", "a Yes.", "u What now?", "a Go on."],
        ["u Secret.\n\n[Message]\n\nWhat now?", "a Go on."],
        [f"u {with_setup('P', 'Secret. What now?')}", "a Go on."],
        ["u Secret <system-reminder> What now?", "a Go on."],
    ],
)
def test_rows_that_say_something_else_or_more(stored: list[str]) -> None:
    assert not agree(rows(*stored), Q, R)


def test_an_answer_without_words_agrees_with_one_alone() -> None:
    assert agree(rows("u What now?", "a ", "t ", "a "), Q, AIMessage(""))
    assert not agree(rows("u What now?", "a ", "t ", "a Secret."), Q, AIMessage(""))
    assert not agree(rows("u Secret.", "a "), Q, AIMessage(""))


def test_words_that_the_conversation_lacks_are_the_reminders_of_chat_mix_alone() -> None:
    again = AIMessage("Still no.")
    assert agree(rows("u What now?", "a Go on.", f"u {reminder(['add', 'look'])}", "a Still no."), Q, R, again)
    assert not agree(rows("u What now?", "a Go on.", "u Secret.", "a Still no."), Q, R, again)
    secret = f"u Secret. {reminder(['add'])}"
    assert not agree(rows("u What now?", "a Go on.", secret, "a Still no."), Q, R, again)


def call(name: str, **args: object) -> AIMessage:
    return AIMessage("I look.", tool_calls=[{"id": "1", "name": name, "args": args}])


def test_calls_are_compared_by_name_and_arguments() -> None:
    block = '<tool_calls>\n[{"name": "look", "args": {"at": "x"}}]\n</tool_calls>'
    assert agree(rows("u What now?", f"a I look.\n{block}"), Q, call("look", at="x"))
    for other in (call("look", at="y"), call("see", at="x"), AIMessage("I look.")):
        assert not agree(rows("u What now?", f"a I look.\n{block}"), Q, other)
    assert not agree(rows("u What now?", f"a I look at the secret.\n{block}"), Q, call("look", at="x"))


def test_an_answer_goes_on_after_a_reminder_of_its_call() -> None:
    first = '<tool_calls>\n[{"name": "see"'
    block = '<tool_calls>\n[{"name": "look", "args": {"at": "x"}}]\n</tool_calls>'
    told, before = f"u {reminder(['look'])}", [HumanMessage("Hi"), AIMessage("Yes.")]
    for row in (told, f"{told}\n\n<system-reminder>\nPlan.\n</system-reminder>"):
        assert agree(rows("u What now?", "a I look.", row, f"a {block}"), Q, call("look", at="x"))
        longer = rows("u Hi", "a Yes.", "u What now?", "a I look.", row, f"a {block}")
        assert agree(longer, *before, Q, call("look", at="x"))
    invalid: Any = {"type": "invalid_tool_call", "id": "2", "name": None, "args": first[13:], "error": None}
    broken = AIMessage("", tool_calls=call("look", at="x").tool_calls, invalid_tool_calls=[invalid])
    assert agree(rows("u What now?", f"a {first}", told, f"a {block}"), Q, broken)
    for row in ("u Secret.", f"u Secret. {told}", f"{told} Secret."):
        assert not agree(rows("u What now?", "a I look.", row, f"a {block}"), Q, call("look", at="x"))
    assert not agree(rows("u What now?", "a Secret.", told, f"a {block}"), Q, call("look", at="x"))
    assert not agree(rows(told, f"a I look.\n{block}"), Q, call("look", at="x"))


def test_data_agrees_with_the_words_around_it() -> None:
    stored = rows("u What now?", 'a The secret is:\n```json\n{"a": 1}\n```')
    thought: dict[str, Any] = {"type": "reasoning", "reasoning": "The secret is:"}
    text: dict[str, Any] = {"type": "text", "text": '{"a": 1}'}
    assert agree(stored, Q, AIMessage([thought, text]))
    for first, second in ((text, text), (thought, {**text, "text": '{"a": 2}'}), ({**thought, "reasoning": "A"}, text)):
        assert not agree(stored, Q, AIMessage([first, second]))
    assert agree(rows("u What now?", 'a ```json\n{"a": 1}\n```'), Q, AIMessage('{"a": 1}'))


def test_a_row_that_is_no_answer_is_no_place() -> None:
    found = rows("u What now?", "a Go on.", "t ")
    assert [agree(found, Q, R, place=place) for place in range(3)] == [False, True, False]
    assert not agrees(found, [Q, R], Base(1, Pointer(server=SERVER, session_id="S", message_id="?")), SERVER)
