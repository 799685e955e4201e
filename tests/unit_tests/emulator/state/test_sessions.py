from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from langchain_mix.emulator.state import ApiError, Row, ServerState
from langchain_mix.protocol.api import ALL

BROWSER = {"browserMode": "local-browser-service"}
SEND = {"toolName": "*", "type": "send_message", "messageContent": "next"}


@pytest.mark.parametrize("api", ALL)
def test_create_get_list_delete(
    make_state: Callable[..., ServerState], new_session: Callable[..., str], api: str
) -> None:
    state = make_state(api)
    session = new_session(state, "Hello")
    assert uuid.UUID(session).version == 4
    assert state.sessions.exists(session)
    assert state.sessions.get(session)["title"] == "Hello"
    assert [s["id"] for s in state.sessions.listing(include_subagents=False)] == [session]
    state.delete_session(session)
    assert not state.sessions.exists(session)
    assert state.sessions.listing(include_subagents=True) == []
    for action in (state.sessions.get, state.delete_session, state.sessions.facts):
        with pytest.raises(ApiError) as caught:
            action(session)
        assert (caught.value.status, caught.value.type) == (404, "not_found")
        assert caught.value.message == f"Session with ID '{session}' not found"


@pytest.mark.parametrize("odd", ["", "x", "../..", "\ud800", "%00", "'; DROP TABLE sessions"])
def test_odd_ids_are_unknown_ids(state: ServerState, odd: str) -> None:
    assert not state.sessions.exists(odd)
    with pytest.raises(ApiError) as caught:
        state.sessions.get(odd)
    assert caught.value.status == 404


def test_a_new_session_counts_nothing(make_state: Callable[..., ServerState], clock: Any) -> None:
    state = make_state("0.8", utc_offset=timedelta(hours=5, minutes=30))
    body = state.sessions.create({"title": "t"} | BROWSER)
    assert body == {
        "id": body["id"],
        "title": "t",
        "sessionType": "main",
        "browserMode": "local-browser-service",
        "userMessageCount": 0,
        "assistantMessageCount": 0,
        "toolCallCount": 0,
        "promptTokens": 0,
        "completionTokens": 0,
        "cost": 0,
        "createdAt": "2025-10-09T14:23:20+05:30",
    }


def test_lists_are_newest_first(state: ServerState, new_session: Callable[..., str], clock: Any) -> None:
    titles = ["a", "b", "c"]
    for title in titles:
        new_session(state, title)
        clock.now += 1
    assert [s["title"] for s in state.sessions.listing(include_subagents=False)] == titles[::-1]


def test_sub_agents_are_hidden_and_inherit_the_browser(state: ServerState) -> None:
    parent = state.sessions.create({"title": "p", "browserMode": "remote-cdp-websocket", "cdpUrl": "ws://b"})["id"]
    child = state.sessions.create({"title": "Subagent: find"}, parent=parent, parent_tool_call="T1")
    assert {k: child[k] for k in ("parentSessionId", "parentToolCallId", "sessionType", "subagentType")} == {
        "parentSessionId": parent,
        "parentToolCallId": "T1",
        "sessionType": "subagent",
        "subagentType": "general-purpose",
    }
    assert (child["browserMode"], child["cdpUrl"]) == ("remote-cdp-websocket", "ws://b")
    assert [s["id"] for s in state.sessions.listing(include_subagents=False)] == [parent]
    assert {s["id"] for s in state.sessions.listing(include_subagents=True)} == {parent, child["id"]}
    facts = state.sessions.facts(child["id"])
    assert (facts.type, facts.parent_id, facts.parent_tool_call) == ("subagent", parent, "T1")
    state.delete_session(parent)
    assert state.sessions.exists(child["id"])


def test_no_sub_agent_of_nobody(state: ServerState) -> None:
    with pytest.raises(ApiError) as caught:
        state.sessions.create({"title": "t"}, parent=str(uuid.uuid4()))
    assert caught.value.status == 404
    assert state.sessions.listing(include_subagents=True) == []


@pytest.mark.parametrize("api", ["0.7", "0.8", "next"])
def test_q21_refused_callbacks_leave_an_orphan_session(make_state: Callable[..., ServerState], api: str) -> None:
    state = make_state(api)
    with pytest.raises(ApiError) as caught:
        state.sessions.create({"title": "orphan", "callbacks": [SEND, {"toolName": "Bash", "type": "x"}]} | BROWSER)
    assert (caught.value.status, caught.value.type) == (400, "validation_error")
    assert "callbacks[1]: " in caught.value.message
    (orphan,) = state.sessions.listing(include_subagents=True)
    assert orphan["title"] == "orphan"
    assert state.sessions.facts(orphan["id"]).callbacks == []


def test_callbacks_of_a_wrong_type_are_refused_before_anything_is_stored(state: ServerState) -> None:
    for value in ({}, "x", [1], [{"toolName": 3}]):
        with pytest.raises(ApiError) as caught:
            state.sessions.create({"title": "t", "callbacks": value} | BROWSER)
        assert caught.value.status == 400
    assert state.sessions.listing(include_subagents=True) == []


def test_callbacks_are_replaced_and_shown_by_get_alone(state: ServerState, new_session: Callable[..., str]) -> None:
    session = new_session(state, callbacks=[SEND])
    assert state.sessions.get(session)["callbacks"] == [SEND]
    assert "callbacks" not in state.sessions.listing(include_subagents=True)[0]
    bash = {"toolName": "Write", "type": "bash_script", "bashCommand": "lint"}
    assert state.sessions.set_callbacks(session, [bash])["callbacks"] == [bash]
    with pytest.raises(ApiError):
        state.sessions.set_callbacks(session, [{"toolName": "Write", "type": "bash_script"}])
    assert state.sessions.facts(session).callbacks == [bash]
    assert "callbacks" not in state.sessions.set_callbacks(session, [])
    with pytest.raises(ApiError) as caught:
        state.sessions.set_callbacks("unknown", [])
    assert caught.value.status == 404


@pytest.mark.parametrize("api", ["0.5", "0.6", "0.6.5", "0.7"])
def test_q29_lists_show_the_raw_parts_of_the_first_message(
    make_state: Callable[..., ServerState], new_session: Callable[..., str], api: str
) -> None:
    state = make_state(api)
    session, empty = new_session(state), new_session(state)
    state.rows.append(session, Row("user", "first"))
    state.rows.append(session, Row("user", "second"))
    listed = {s["id"]: s for s in state.sessions.listing(include_subagents=False)}
    assert listed[session]["firstUserMessage"].startswith('[{"type":"text","data":{"text":"first"}}')
    assert "firstUserMessage" not in listed[empty]
    assert "firstUserMessage" not in state.sessions.get(session)


@pytest.mark.parametrize("api", ["0.8", "next"])
def test_newer_lists_never_show_the_first_message(
    make_state: Callable[..., ServerState], new_session: Callable[..., str], api: str
) -> None:
    state = make_state(api)
    state.rows.append(new_session(state), Row("user", "first"))
    assert "firstUserMessage" not in state.sessions.listing(include_subagents=False)[0]


def test_q35_tokens_are_of_the_last_call_and_cost_adds_up(state: ServerState, new_session: Callable[..., str]) -> None:
    session = new_session(state)
    state.sessions.add_usage(session, prompt_tokens=10, completion_tokens=20, cost=0.25)
    state.sessions.add_usage(session, prompt_tokens=3, completion_tokens=4, cost=0.5)
    body = state.sessions.get(session)
    assert (body["promptTokens"], body["completionTokens"], body["cost"]) == (3, 4, 0.75)


def test_q35_counters_count_rows_by_role(state: ServerState, new_session: Callable[..., str]) -> None:
    session, other = new_session(state), new_session(state)
    for role, count in (("user", 1), ("assistant", 2), ("tool", 3)):
        for _ in range(count):
            state.rows.append(session, Row(role))  # type: ignore[arg-type]
    keys = ("userMessageCount", "assistantMessageCount", "toolCallCount")
    listed = {s["id"]: s for s in state.sessions.listing(include_subagents=False)}
    assert [listed[session][k] for k in keys] == [state.sessions.get(session)[k] for k in keys] == [1, 2, 3]
    assert [listed[other][k] for k in keys] == [0, 0, 0]


def test_a_sub_agents_cost_goes_up_and_a_forks_does_not(
    make_state: Callable[..., ServerState], new_session: Callable[..., str]
) -> None:
    state = make_state("0.7")
    parent = new_session(state)
    child = state.sessions.create({"title": "c"}, parent=parent)["id"]
    fork = state.sessions.fork(parent, 0, None)["id"]
    state.sessions.add_usage(child, prompt_tokens=1, completion_tokens=1, cost=0.5)
    state.sessions.add_usage(fork, prompt_tokens=1, completion_tokens=1, cost=4)
    above = state.sessions.get(parent)
    assert (above["cost"], above["promptTokens"]) == (0.5, 0)
    assert state.sessions.get(fork)["cost"] == 4


def test_titles_change_and_unknown_sessions_do_not_mind(state: ServerState, new_session: Callable[..., str]) -> None:
    session = new_session(state)
    state.sessions.set_title(session, "A title made by the model")
    assert state.sessions.get(session)["title"] == "A title made by t..."
    state.sessions.set_title("unknown", "x")
    state.sessions.add_usage("unknown", prompt_tokens=1, completion_tokens=1, cost=1)
    assert len(state.sessions.listing(include_subagents=True)) == 1


def test_five_parallel_creates(state: ServerState, new_session: Callable[..., str]) -> None:
    with ThreadPoolExecutor(5) as pool:
        ids = set(pool.map(lambda n: new_session(state, f"s{n}"), range(5)))
    assert {s["id"] for s in state.sessions.listing(include_subagents=False)} == ids
    assert len(ids) == 5
