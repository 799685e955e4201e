"""Custom events: their data, and that callbacks and graphs get them."""

from __future__ import annotations

import json
from typing import Any, TypedDict

import pytest
from langchain_core.callbacks import AsyncCallbackManager, BaseCallbackHandler, CallbackManager
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, StateGraph

from langchain_mix.chat_models.callbacks import AsyncTurnCallbacks, TurnCallbacks, custom_event_of
from langchain_mix.protocol.events import SSENotificationEventData, SSEPermissionEventData
from langchain_mix.protocol.turn.updates import (
    NotificationReceived,
    PermissionRequested,
    Progress,
    SubagentUpdate,
    TextDelta,
    ToolRunning,
)

PERMISSION = PermissionRequested(
    SSEPermissionEventData.model_validate(
        {
            "type": "permission",
            "id": "P1",
            "sessionId": "S",
            "toolName": "Bash",
            "description": "Execute command: make",
            "action": "execute",
            "path": "/src",
            "params": {"command": "make", "timeout": 0},
            "newField": 1,
        }
    )
)
NOTIFICATION = NotificationReceived(
    SSENotificationEventData(
        type="notification",
        id="N1",
        session_id="S",
        notification_type="question",
        title="Which?",
        message="Choose one.",
        response_type="choice",
        choices=["a", "b"],
        timeout=300,
        created_at=1,
    )
)
RATE_LIMIT = Progress("rate_limit", {"error": "slow down", "retryAfter": 3})
UPDATES = [TextDelta("M", "Hi"), PERMISSION, ToolRunning("T", "Bash", ""), NOTIFICATION, RATE_LIMIT]
EVENTS = [
    (
        "mix_permission",
        {
            "id": "P1",
            "session_id": "S",
            "tool_name": "Bash",
            "description": "Execute command: make",
            "action": "execute",
            "path": "/src",
            "params": {"command": "make", "timeout": 0},
            "newField": 1,
        },
    ),
    (
        "mix_notification",
        {
            "id": "N1",
            "session_id": "S",
            "notification_type": "question",
            "title": "Which?",
            "message": "Choose one.",
            "response_type": "choice",
            "choices": ["a", "b"],
            "timeout": 300.0,
            "created_at": 1,
        },
    ),
    ("mix_progress", {"kind": "rate_limit", "detail": {"error": "slow down", "retryAfter": 3}}),
]
WRITTEN = [{"mix": {"event": name[4:], **data}} for name, data in EVENTS]


class Recorder(BaseCallbackHandler):
    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.runs: dict[Any, Any] = {}

    def on_chain_start(self, serialized, inputs, *, run_id, parent_run_id=None, **kwargs):
        self.runs[run_id] = kwargs.get("name")

    def on_custom_event(self, name, data, *, run_id, **kwargs):
        self.seen.append((name, data))
        self.where = self.runs.get(run_id, run_id)


def tell(run_manager=None):
    events = TurnCallbacks(run_manager)
    for update in UPDATES:
        events.handle(update)


async def atell(run_manager=None):
    events = AsyncTurnCallbacks(run_manager)
    for update in UPDATES:
        await events.handle(update)


def test_events_say_what_happened():
    told = [custom_event_of(u) for u in UPDATES]
    assert [(e.name, e.data) for e in told if e] == EVENTS
    assert [e.written() for e in told if e] == WRITTEN


@pytest.mark.parametrize(
    "update",
    [
        Progress("reopened"),
        Progress("foreign_turn", {"messageId": "M9", "content": "someone else's"}),
        Progress("new_event", {"data": None, "raw": "{not json", "reason": ""}),
        Progress("odd", {"value": {1, 2}}),
    ],
)
def test_all_progress_is_told_in_json(update):
    event = custom_event_of(update)
    assert event.data["kind"] == update.kind
    assert json.loads(json.dumps(event.data)) == event.data
    assert event.data["detail"].keys() == update.detail.keys()


def test_a_subagents_event_names_its_task():
    event = custom_event_of(SubagentUpdate("T", PERMISSION))
    assert event.name == "mix_permission"
    assert event.data == {**EVENTS[0][1], "parent_tool_call_id": "T"}
    assert custom_event_of(SubagentUpdate("T", TextDelta("M", "Hi"))) is None


async def test_handlers_of_the_models_run_are_told():
    log, alog = Recorder(), Recorder()
    run = CallbackManager.configure([log]).on_chat_model_start({}, [[HumanMessage("hi")]])[0]
    tell(run)
    arun = (await AsyncCallbackManager.configure([alog]).on_chat_model_start({}, [[HumanMessage("hi")]]))[0]
    await atell(arun)
    assert log.seen == alog.seen == EVENTS
    assert (log.where, alog.where) == (run.run_id, arun.run_id)


async def test_without_the_models_run_those_of_the_run_around_it_are_told():
    log, alog = Recorder(), Recorder()
    RunnableLambda(lambda _: tell()).with_config(run_name="node").invoke(1, {"callbacks": [log]})

    async def anode(_):
        await atell()

    await RunnableLambda(anode).with_config(run_name="node").ainvoke(1, {"callbacks": [alog]})
    assert log.seen == alog.seen == EVENTS
    assert log.where == alog.where == "node"


async def test_without_any_run_nobody_is_told_and_nothing_fails():
    log = Recorder()
    RunnableLambda(lambda _: None).with_config(run_name="over").invoke(1, {"callbacks": [log]})
    tell()
    await atell()
    assert (list(log.runs.values()), log.seen) == (["over"], []), "the run that is over hears of nothing"


class State(TypedDict):
    said: str


def sync_node(_):
    tell()
    return {"said": "yes"}


async def async_node(_):
    await atell()
    return {"said": "yes"}


def graph_of(node):
    return StateGraph(State).add_node("node", node).add_edge(START, "node").compile()


async def test_a_graph_gets_them_on_its_stream_writer():
    assert list(graph_of(sync_node).stream({"said": ""}, stream_mode="custom")) == WRITTEN
    assert [e async for e in graph_of(async_node).astream({"said": ""}, stream_mode="custom")] == WRITTEN


async def test_a_runnable_inside_a_node_reaches_the_graph():
    """As a model in a chain does."""
    node = RunnableLambda(lambda _: "in") | RunnableLambda(lambda _: tell()) | RunnableLambda(lambda _: {"said": "yes"})
    assert list(graph_of(node).stream({"said": ""}, stream_mode="custom")) == WRITTEN


async def test_astream_events_shows_them():
    events = [e async for e in graph_of(async_node).astream_events({"said": ""}, version="v2")]
    assert [(e["name"], e["data"]) for e in events if e["event"] == "on_custom_event"] == EVENTS
