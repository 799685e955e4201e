from __future__ import annotations

import pytest

from langchain_mix.emulator.agents.base import Line, Result, ToolUse
from langchain_mix.emulator.state import Row, ToolCallRecord
from langchain_mix.emulator.turns import arguments, conversation


def test_rows_become_lines_with_canonical_tool_names():
    rows = [
        Row(role="user", text="hi"),
        Row(role="assistant", text="ok", tool_calls=[ToolCallRecord(id="T", name="todo_write", input='{"todos":[]}')]),
        Row(role="tool", tool_results=[{"call_id": "T", "name": "todo_write", "output": "done", "is_error": True}]),
    ]
    assert conversation(rows) == (
        Line("user", "hi"),
        Line("assistant", "ok", calls=(ToolUse(name="TodoWrite", input={"todos": []}, id="T"),)),
        Line("tool", results=(Result("T", "TodoWrite", "done", is_error=True),)),
    )


def test_what_callbacks_gave_is_the_text_of_their_row():
    row = Row(role="tool", callback_results=[{"stderr": "no"}, {"subagent_result": "yes"}, {}])
    assert conversation([row])[0].text == "no\nyes"


@pytest.mark.parametrize("text", ["", "{", "[1]", "7", "[" * 100_000])
def test_broken_arguments_are_none(text):
    assert arguments(text) == {}
