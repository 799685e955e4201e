"""What streams of models, graphs and turns give, told apart."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langgraph.types import Interrupt

from langchain_mix.client.updates import TextDelta, TurnResult
from langchain_mix.notebook.items import read_item
from langchain_mix.notebook.view import Notice, Tool, View, Words

MESSAGE = AIMessage("hello", id="m")
AT = {"langgraph_node": "agent", "langgraph_checkpoint_ns": "agent:1"}


def read(*items):
    view = View()
    for item in items:
        read_item(view, item)
    return view


def parts(view):
    return [part for section in view.sections.values() for part in section.parts]


def texts(view):
    return [part.text for part in parts(view) if isinstance(part, Words)]


@pytest.mark.parametrize(
    "item",
    [
        MESSAGE,
        "hello",
        TextDelta("m", "hello"),
        TurnResult(session_id="s", messages=[]),
        [MESSAGE],
        {"messages": [MESSAGE]},
        {"agent": {"messages": [MESSAGE]}},
        {"agent": {"messages": MESSAGE}},
        {"agent": [{"messages": [MESSAGE]}]},
        (MESSAGE, AT),
        ("messages", (MESSAGE, AT)),
        ("updates", {"agent": {"messages": [MESSAGE]}, "other": None}),
        ("values", {"messages": [MESSAGE]}),
        (("sub:1",), (MESSAGE, AT)),
        (("sub:1",), {"agent": {"messages": [MESSAGE]}}),
        (("sub:1",), "messages", (MESSAGE, AT)),
        ((), "values", {"messages": [MESSAGE]}),
        {"type": "messages", "ns": (), "data": (MESSAGE, AT)},
        {"type": "updates", "ns": ("sub:1",), "data": {"agent": {"messages": [MESSAGE]}}},
        {"type": "values", "ns": (), "data": {"messages": [MESSAGE]}, "interrupts": ()},
    ],
)
def test_shapes(item):
    expected = [] if isinstance(item, TurnResult) else ["hello"]
    assert texts(read(item)) == expected


def test_modes_together_tell_text_once():
    chunks = [AIMessageChunk(content="hel", id="m"), AIMessageChunk(content="lo", id="m", chunk_position="last")]
    view = read(
        ("values", {"messages": []}),
        *(("messages", (chunk, AT)) for chunk in chunks),
        ("updates", {"agent": {"messages": [MESSAGE]}}),
        ("values", {"messages": [MESSAGE]}),
    )
    assert texts(view) == ["hello"]
    assert view.final_message() is MESSAGE


@pytest.mark.parametrize(
    ("item", "label", "depth"),
    [
        ((MESSAGE, AT), "agent", 0),
        ((MESSAGE, {**AT, "langgraph_checkpoint_ns": "team:1|agent:2"}), "team / agent", 1),
        ((("team:1",), "messages", (MESSAGE, AT)), "team / agent", 1),
        ((("team:1",), {"agent": {"messages": [MESSAGE]}}), "team / agent", 1),
        (("updates", {"agent": {"messages": [MESSAGE]}}), "agent", 0),
        ((MESSAGE, {}), "", 0),
    ],
)
def test_where_a_message_comes_from(item, label, depth):
    section = read(item).sections["m"]
    assert (section.label, section.depth) == (label, depth)


def test_what_was_there_before_the_run_is_not_counted():
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    call = {"name": "x", "args": {}, "id": "c"}
    before = [HumanMessage("1", id="1"), AIMessage("a", id="2", usage_metadata=usage, tool_calls=[call])]
    begin = {"messages": [*before, HumanMessage("2", id="3")]}
    view = read(begin)
    assert view.final_message() is None
    assert (view.tokens(), view.calls()) == (None, [])
    answer = AIMessage("b", id="4", usage_metadata=usage)
    read_item(view, {"messages": [*begin["messages"], answer]})
    assert view.final_message() is answer
    assert view.tokens() == (1, 1)


def test_a_final_state_counts():
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    assert read({"messages": [HumanMessage("1"), AIMessage("a", usage_metadata=usage)]}).tokens() == (1, 1)


def test_an_interrupt_pauses_and_is_told_once():
    interrupt = Interrupt(value={"ask": "may I?"}, id="i")
    view = read(
        ("updates", {"__interrupt__": (interrupt,)}),
        {"type": "values", "ns": (), "data": {"messages": []}, "interrupts": (interrupt,)},
        ("values", {"messages": [], "__interrupt__": [interrupt]}),
    )
    [notice] = parts(view)
    assert notice.kind == "interrupt"
    assert "may I?" in notice.text
    assert view.status == "paused"
    view.end("done")
    assert view.status == "paused"


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: ("custom", data), lambda data: ((), "custom", data)])
def test_custom_events_of_the_model(wrap):
    view = read(wrap({"mix": {"event": "progress", "kind": "reopened", "detail": {}}}))
    [notice] = parts(view)
    assert notice.kind == "reopened"


def test_an_event_of_a_sub_agent_is_in_its_task():
    task = AIMessage("", id="m", tool_calls=[{"name": "Task", "args": {}, "id": "t"}])
    event = {"event": "permission", "tool_name": "Bash", "parent_tool_call_id": "t"}
    view = read(task, ("custom", {"mix": event}))
    [tool] = parts(view)
    assert [part.kind for part in tool.parts] == ["permission asked"]


def test_tools_as_a_graph_tells_them():
    view = read(
        ("tools", {"event": "tool-started", "tool_call_id": "t", "tool_name": "add", "input": {"a": 1}}),
        ("tools", {"event": "tool-finished", "tool_call_id": "t", "output": ToolMessage("2", tool_call_id="t")}),
    )
    [tool] = parts(view)
    assert isinstance(tool, Tool)
    assert (tool.name, tool.status, tool.output) == ("add", "succeeded", "2")
    assert '"a": 1' in tool.input
    read_item(view, {"event": "tool-error", "tool_call_id": "u", "tool_name": "x", "message": "boom"})
    assert view.tools["u"].status == "failed"
    assert view.tools["u"].output == "boom"


def test_the_machinery_of_a_graph_is_not_shown():
    assert parts(read(("debug", {"step": 1}), ("tasks", {"id": "x"}), ("checkpoints", {"values": {}}))) == []


@pytest.mark.parametrize("item", [3, {"a": 1}, ("x", "y", "z"), object()])
def test_what_nobody_foresaw_is_shown_as_it_is(item):
    [notice] = parts(read(item))
    assert isinstance(notice, Notice)
    assert notice.text
