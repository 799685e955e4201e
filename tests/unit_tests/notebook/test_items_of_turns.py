"""Updates of a turn, read into a view."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from langchain_mix.client import updates as u
from langchain_mix.notebook.items import read_event, read_interrupts, read_result, read_update
from langchain_mix.notebook.view import Media, Notice, Tool, View, Words
from langchain_mix.protocol.events import SSENotificationEventData, SSEPermissionEventData


def read(*updates):
    view = View()
    for update in updates:
        read_update(view, update)
    return view


def parts(view):
    return view.sections["turn"].parts


def test_texts_and_thoughts():
    view = read(u.Accepted("1"), u.ThinkingDelta("m", "h"), u.ThinkingDelta("m", "m"), u.TextDelta("m", "a"))
    assert [(p.thinking, p.text) for p in parts(view)] == [(True, "hm"), (False, "a")]


def test_messages_are_told_apart():
    view = read(u.TextDelta("1", "a"), u.TextDelta("1", "b"), u.TextDelta("2", "c"))
    assert [p.text for p in parts(view)] == ["ab", "c"]


def test_a_text_with_a_gap_is_replaced():
    view = read(u.TextDelta("1", "a"), u.TextDelta("2", "b"), u.TextDelta("2", "d"), u.TextRestated("2", "bcd"))
    first, second = parts(view)
    assert (first.text, second.text, second.restated) == ("a", "bcd", True)


def test_a_text_with_a_gap_that_a_tool_divides():
    view = read(
        u.TextDelta("1", "a"), u.ToolCallStarted("t", "Bash", "1"), u.TextDelta("1", "c"), u.TextRestated("1", "abc")
    )
    assert [p.text for p in parts(view) if isinstance(p, Words)] == ["", "abc"]


def test_a_text_nobody_saw_anything_of():
    assert [p.text for p in parts(read(u.TextRestated("1", "abc")))] == ["abc"]


def test_the_life_of_a_tool():
    view = read(u.ToolCallStarted("t", "Bash", "m"), u.ToolCallDelta("t", '{"a"'))
    [tool] = parts(view)
    assert (tool.name, tool.input, tool.status) == ("Bash", '{"a"', "writing")
    read_update(view, u.ToolCalled("t", "Bash", '{"a":1}', "m"))
    assert (tool.input, tool.status) == ('{"a":1}', "called")
    read_update(view, u.ToolRunning("t", "Bash", "runs"))
    assert (tool.status, tool.progress) == ("running", "runs")
    read_update(view, u.ToolFinished("t", "Bash", success=True, progress="ran"))
    assert (tool.status, tool.progress) == ("succeeded", "ran")
    read_update(view, u.ToolOutput("t", "out", is_error=False))
    assert tool.output == "out"
    assert parts(view) == [tool]


def test_failed_tools():
    failed = parts(read(u.ToolFinished("t", "Bash", success=False, progress="no")))[0]
    wrong = parts(read(u.ToolOutput("t", "out", is_error=True)))[0]
    assert failed.status == wrong.status == "failed"


def test_a_sub_agent_is_inside_of_its_task():
    def inner(update):
        return u.SubagentUpdate("task", update)

    view = read(
        u.ToolCalled("task", "Task", "{}", "m"),
        inner(u.TextDelta("s", "sub")),
        inner(u.ToolCalled("t", "Grep", "{}", "s")),
        u.TextDelta("m", "own"),
    )
    task, own = parts(view)
    assert [type(part) for part in task.parts] == [Words, Tool]
    assert task.parts[0].text == "sub"
    assert (task.parts[1].depth, own.text) == (1, "own")


def test_what_a_tool_shows():
    outputs = {"outputs": [{"type": "csv", "path": "a.csv", "title": "A"}, {"type": "gsap_animation", "title": "B"}]}
    called = u.ToolCalled("t", "ShowMedia", json.dumps(outputs), "m")
    assert len(parts(read(called))) == 1
    assert len(parts(read(called, u.ToolFinished("t", "ShowMedia", success=False, progress="")))) == 1
    _, table, other = parts(read(called, u.ToolFinished("t", "ShowMedia", success=True, progress="")))
    assert isinstance(table, Media)
    assert (table.kind, table.name, table.title, other.kind) == ("table", "a.csv", "A", "other")


def test_what_happens_beside():
    view = read(
        u.PermissionRequested(SSEPermissionEventData(tool_name="Bash", description="run ls")),
        u.NotificationReceived(SSENotificationEventData(title="Q", message="Which?", choices=["a", "b"])),
        u.Progress("rate_limit", {"after": 3}),
        u.Progress("something_new"),
    )
    notices = parts(view)
    assert all(isinstance(part, Notice) for part in notices)
    assert [part.kind for part in notices] == ["permission asked", "notification", "rate limit", "something new"]
    assert notices[0].text == "Bash: run ls"
    assert notices[1].text == "Q: Which? (a / b)"
    assert "tries again" in notices[2].text
    assert '"after": 3' in notices[2].text


RESULT = u.TurnResult(
    session_id="s",
    model="claude",
    messages=[
        u.Message(
            thinking="hm",
            text="a",
            tool_calls=[u.ToolCall(id="t", name="Bash", input="{}", status="failed", output="no", progress="p")],
        )
    ],
    usage=u.Usage(input_tokens=1, output_tokens=2, cost=0.5),
)


def test_a_result_is_shown():
    view = View()
    read_result(view, RESULT)
    thought, words, tool = parts(view)
    assert (thought.text, words.text, tool.status, tool.output, tool.progress) == ("hm", "a", "failed", "no", "p")
    assert (view.tokens(), view.cost(), view.model, view.session_id) == ((1, 2), 0.5, "claude", "s")


def test_a_result_after_its_updates_adds_only_numbers():
    view = read(u.TextDelta("m", "a"))
    read_result(view, RESULT)
    assert [p.text for p in parts(view)] == ["a"]
    assert view.tokens() == (1, 2)


def notices(view):
    return [(part.kind, part.text) for section in view.sections.values() for part in section.parts]


def test_interrupts_without_ids_are_all_told():
    view = View()
    read_interrupts(view, (SimpleNamespace(value="a"), SimpleNamespace(value="b")))
    read_interrupts(view, "c")
    assert notices(view) == [("interrupt", "a"), ("interrupt", "b"), ("interrupt", "c")]


def test_an_event_nobody_foresaw():
    view = View()
    read_event(view, "weather", {"event": "weather", "rain": True})
    assert notices(view) == [("weather", '{\n  "rain": true\n}')]


def asked(value):
    view = View()
    read_interrupts(view, (SimpleNamespace(value=value, id="i"),))
    ((_, text),) = notices(view)
    return text


def test_a_question_is_read_as_lines():
    assert asked({"question": "Is that all?", "answer": "a\nb"}) == "question: Is that all?\nanswer:\na\nb"


def test_requests_tell_what_is_decided_and_how():
    value = {
        "action_requests": [
            {"name": "Write", "args": {"path": "a.md", "diff": "@@\n+<b>"}, "description": "Create file a.md"},
            {"name": "Bash", "args": {"command": "ls", "flags": ["-l"]}},
        ],
        "review_configs": [
            {"action_name": "Write", "allowed_decisions": ["approve", "reject"]},
            {"action_name": "Bash", "allowed_decisions": ["approve"]},
        ],
        "mix_asked": [["b132ee8ea4e65930d1649d6f3baf1726"]],
    }
    assert asked(value).splitlines() == [
        "Write: Create file a.md",
        "path: a.md",
        "diff:",
        "@@",
        "+<b>",
        "decisions: approve / reject",
        "Bash",
        "command: ls",
        "flags:",
        "[",
        '  "-l"',
        "]",
        "decisions: approve",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"action_requests": []}, "action_requests: []"),
        ({"action_requests": "Write"}, "action_requests: Write"),
        ({"action_requests": [{}], "review_configs": 1}, ""),
        ({"action_requests": [{"name": "W", "args": "all"}], "review_configs": [{"action_name": "W"}]}, "W\nall"),
        ({"action_requests": [{"name": "W"}], "review_configs": [{"allowed_decisions": 3}]}, "W"),
        ([1], "[\n  1\n]"),
        (None, "null"),
    ],
)
def test_what_only_resembles_a_request_is_told_all_the_same(value, text):
    assert asked(value) == text
