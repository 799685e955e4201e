"""What was shown against what is stored, case by case; the laws are in `test_properties.py`."""

import pytest

from langchain_mix.protocol.turn.accumulator import SeenMessage, reconcile
from langchain_mix.protocol.turn.stored_rows import StoredRow
from langchain_mix.protocol.turn.updates import (
    TextDelta,
    TextRestated,
    ThinkingDelta,
    ToolCall,
    ToolCalled,
    ToolFinished,
    ToolOutput,
)


def stored(name, text, thinking="", calls=()):
    return StoredRow(name, "assistant", text, thinking, list(calls), None, None, "")


def texts(seen):
    return [(m.id, "".join(m.text)) for m in seen]


@pytest.mark.parametrize(
    ("seen", "rows", "told"),
    [
        ([("A", "ab")], [("A", "ab")], []),
        ([("A", "a")], [("A", "ab")], [TextDelta("A", "b")]),
        ([("", "ab")], [("A", "a"), ("B", "bcd")], [TextDelta("B", "cd")]),
        ([], [("A", "a"), ("B", ""), ("C", "c")], [TextDelta("A", "a"), TextDelta("C", "c")]),
        ([("A", "a"), ("C", "c")], [("A", "a"), ("B", "b"), ("C", "c")], [TextRestated("B", "b")]),
        ([("A", "ac")], [("A", "abc")], [TextRestated("A", "abc")]),
        ([("A", "abc")], [("A", "ab")], []),
        ([("A", " a\n")], [("A", "a")], []),
        ([("A", "a\nb")], [("A", "a\n\nb")], [TextRestated("A", "a\n\nb")]),
        ([("A", "a")], [], []),
    ],
)
def test_exactly_what_is_missing_is_told(seen, rows, told):
    updates, _ = reconcile([SeenMessage(i, [t]) for i, t in seen], [stored(*r) for r in rows])
    assert updates == told


def test_a_cancelled_reply_keeps_what_was_shown_of_it():
    for name in ("A", ""):
        _, merged = reconcile([SeenMessage(name, ["Hello wor"])], [stored("A", "Hello")])
        assert texts(merged) == [("A", "Hello wor")]


def test_a_message_that_is_not_stored_is_kept():
    _, merged = reconcile([SeenMessage("A", ["a"]), SeenMessage("X", ["x"])], [stored("A", "a")])
    assert texts(merged) == [("A", "a"), ("X", "x")]


def test_what_was_shown_of_the_next_message_does_not_stay_with_the_one_before():
    _, partly = reconcile([SeenMessage("", ["A"]), SeenMessage("", ["ab"])], [stored("1", "A")])
    updates, whole = reconcile(partly, [stored("1", "A"), stored("2", "abcd")])
    assert updates == [TextDelta("2", "cd")]
    assert texts(whole) == [("1", "A"), ("2", "abcd")]


def test_less_reasoning_is_stored_than_was_shown():
    updates, merged = reconcile([SeenMessage("A", ["a"], ["one two"])], [stored("A", "a", "one")])
    assert updates == []
    assert "".join(merged[0].thinking) == "one two"
    updates, _ = reconcile([SeenMessage("A", ["a"], ["one"])], [stored("A", "a", "one two")])
    assert updates == [ThinkingDelta("A", " two")]


def test_tools_are_called_and_answered_once():
    seen = [SeenMessage("A", ["a"], [], {"T": ToolCall(id="T", name="Bash", input="{}", status="running")})]
    rows = [
        stored("A", "a", calls=[ToolCall(id="T", name="Bash", input="{}", output="o"), ToolCall(id="U", name="Grep")])
    ]
    updates, merged = reconcile(seen, rows)
    assert updates == [
        ToolFinished("T", "Bash", True, ""),
        ToolOutput("T", "o", False),
        ToolCalled("U", "Grep", "", "A"),
    ]
    assert merged[0].calls["T"].status == "succeeded"
    assert reconcile(merged, rows)[0] == []


def test_a_row_that_names_a_call_twice_is_read():
    call = ToolCall(id="T", name="Bash", input="{}", output="o")
    updates, merged = reconcile([], [stored("A", "a", calls=[call, call]), stored("B", "", calls=[call])])
    assert updates.count(ToolOutput("T", "o", False)) == 1
    assert list(merged[0].calls) == ["T"]


def test_a_call_that_is_not_stored_is_kept():
    _, merged = reconcile([SeenMessage("A", ["a"], [], {"T": ToolCall(id="T")})], [stored("A", "a")])
    assert list(merged[0].calls) == ["T"]
