from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from langchain_mix.emulator.world import Row, World, WorldError
from langchain_mix.protocol.api import ALL

BROWSER = {"browserMode": "local-browser-service"}
SEND = {"toolName": "*", "type": "send_message", "messageContent": "next"}


@pytest.mark.parametrize("api", ALL)
def test_create_get_list_delete(make_world: Callable[..., World], new_session: Callable[..., str], api: str) -> None:
    world = make_world(api)
    session = new_session(world, "Hello")
    assert uuid.UUID(session).version == 4
    assert world.session_exists(session)
    assert world.get_session(session)["title"] == "Hello"
    assert [s["id"] for s in world.list_sessions(False)] == [session]
    world.delete_session(session)
    assert not world.session_exists(session)
    assert world.list_sessions(True) == []
    for action in (world.get_session, world.delete_session, world.session_facts):
        with pytest.raises(WorldError) as caught:
            action(session)
        assert (caught.value.status, caught.value.type) == (404, "not_found")
        assert caught.value.message == f"Session with ID '{session}' not found"


@pytest.mark.parametrize("odd", ["", "x", "../..", "\ud800", "%00", "'; DROP TABLE sessions"])
def test_odd_ids_are_unknown_ids(world: World, odd: str) -> None:
    assert not world.session_exists(odd)
    with pytest.raises(WorldError) as caught:
        world.get_session(odd)
    assert caught.value.status == 404


def test_a_new_session_counts_nothing(make_world: Callable[..., World], clock: Any) -> None:
    world = make_world("0.8", utc_offset=timedelta(hours=5, minutes=30))
    body = world.create_session({"title": "t"} | BROWSER)
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


def test_lists_are_newest_first(world: World, new_session: Callable[..., str], clock: Any) -> None:
    titles = ["a", "b", "c"]
    for title in titles:
        new_session(world, title)
        clock.now += 1
    assert [s["title"] for s in world.list_sessions(False)] == titles[::-1]


def test_sub_agents_are_hidden_and_inherit_the_browser(world: World) -> None:
    parent = world.create_session({"title": "p", "browserMode": "remote-cdp-websocket", "cdpUrl": "ws://b"})["id"]
    child = world.create_session({"title": "Subagent: find"}, parent=parent, parent_tool_call="T1")
    assert {k: child[k] for k in ("parentSessionId", "parentToolCallId", "sessionType", "subagentType")} == {
        "parentSessionId": parent,
        "parentToolCallId": "T1",
        "sessionType": "subagent",
        "subagentType": "general-purpose",
    }
    assert (child["browserMode"], child["cdpUrl"]) == ("remote-cdp-websocket", "ws://b")
    assert [s["id"] for s in world.list_sessions(False)] == [parent]
    assert {s["id"] for s in world.list_sessions(True)} == {parent, child["id"]}
    facts = world.session_facts(child["id"])
    assert (facts.type, facts.parent_id, facts.parent_tool_call) == ("subagent", parent, "T1")
    world.delete_session(parent)
    assert world.session_exists(child["id"])


def test_no_sub_agent_of_nobody(world: World) -> None:
    with pytest.raises(WorldError) as caught:
        world.create_session({"title": "t"}, parent=str(uuid.uuid4()), subagent_type="general-purpose")
    assert caught.value.status == 404
    assert world.list_sessions(True) == []


@pytest.mark.parametrize("api", ["0.7", "0.8", "next"])
def test_q21_refused_callbacks_leave_an_orphan_session(make_world: Callable[..., World], api: str) -> None:
    world = make_world(api)
    with pytest.raises(WorldError) as caught:
        world.create_session({"title": "orphan", "callbacks": [SEND, {"toolName": "Bash", "type": "x"}]} | BROWSER)
    assert (caught.value.status, caught.value.type) == (400, "validation_error")
    assert "callbacks[1]: " in caught.value.message
    (orphan,) = world.list_sessions(True)
    assert orphan["title"] == "orphan"
    assert world.session_facts(orphan["id"]).callbacks == []


def test_callbacks_of_a_wrong_type_are_refused_before_anything_is_stored(world: World) -> None:
    for value in ({}, "x", [1], [{"toolName": 3}]):
        with pytest.raises(WorldError) as caught:
            world.create_session({"title": "t", "callbacks": value} | BROWSER)
        assert caught.value.status == 400
    assert world.list_sessions(True) == []


def test_callbacks_are_replaced_and_shown_by_get_alone(world: World, new_session: Callable[..., str]) -> None:
    session = new_session(world, callbacks=[SEND])
    assert world.get_session(session)["callbacks"] == [SEND]
    assert "callbacks" not in world.list_sessions(True)[0]
    bash = {"toolName": "Write", "type": "bash_script", "bashCommand": "lint"}
    assert world.set_callbacks(session, [bash])["callbacks"] == [bash]
    with pytest.raises(WorldError):
        world.set_callbacks(session, [{"toolName": "Write", "type": "bash_script"}])
    assert world.session_facts(session).callbacks == [bash]
    assert "callbacks" not in world.set_callbacks(session, [])
    with pytest.raises(WorldError) as caught:
        world.set_callbacks("unknown", [])
    assert caught.value.status == 404


@pytest.mark.parametrize("api", ["0.5", "0.6", "0.6.5", "0.7"])
def test_q29_lists_show_the_raw_parts_of_the_first_message(
    make_world: Callable[..., World], new_session: Callable[..., str], api: str
) -> None:
    world = make_world(api)
    session, empty = new_session(world), new_session(world)
    world.append_row(session, Row("user", "first"))
    world.append_row(session, Row("user", "second"))
    listed = {s["id"]: s for s in world.list_sessions(False)}
    assert listed[session]["firstUserMessage"].startswith('[{"type":"text","data":{"text":"first"}}')
    assert "firstUserMessage" not in listed[empty]
    assert "firstUserMessage" not in world.get_session(session)


@pytest.mark.parametrize("api", ["0.8", "next"])
def test_newer_lists_never_show_the_first_message(
    make_world: Callable[..., World], new_session: Callable[..., str], api: str
) -> None:
    world = make_world(api)
    world.append_row(new_session(world), Row("user", "first"))
    assert "firstUserMessage" not in world.list_sessions(False)[0]


def test_q35_tokens_are_of_the_last_call_and_cost_adds_up(world: World, new_session: Callable[..., str]) -> None:
    session = new_session(world)
    world.add_usage(session, prompt_tokens=10, completion_tokens=20, cost=0.25)
    world.add_usage(session, prompt_tokens=3, completion_tokens=4, cost=0.5)
    body = world.get_session(session)
    assert (body["promptTokens"], body["completionTokens"], body["cost"]) == (3, 4, 0.75)


def test_q35_counters_count_rows_by_role(world: World, new_session: Callable[..., str]) -> None:
    session, other = new_session(world), new_session(world)
    for role, count in (("user", 1), ("assistant", 2), ("tool", 3)):
        for _ in range(count):
            world.append_row(session, Row(role))  # type: ignore[arg-type]
    keys = ("userMessageCount", "assistantMessageCount", "toolCallCount")
    listed = {s["id"]: s for s in world.list_sessions(False)}
    assert [listed[session][k] for k in keys] == [world.get_session(session)[k] for k in keys] == [1, 2, 3]
    assert [listed[other][k] for k in keys] == [0, 0, 0]


def test_a_sub_agents_cost_goes_up_and_a_forks_does_not(
    make_world: Callable[..., World], new_session: Callable[..., str]
) -> None:
    world = make_world("0.7")
    parent = new_session(world)
    child = world.create_session({"title": "c"}, parent=parent, subagent_type="general-purpose")["id"]
    fork = world.fork_session(parent, 0, None)["id"]
    world.add_usage(child, prompt_tokens=1, completion_tokens=1, cost=0.5)
    world.add_usage(fork, prompt_tokens=1, completion_tokens=1, cost=4)
    above = world.get_session(parent)
    assert (above["cost"], above["promptTokens"]) == (0.5, 0)
    assert world.get_session(fork)["cost"] == 4


def test_titles_change_and_unknown_sessions_do_not_mind(world: World, new_session: Callable[..., str]) -> None:
    session = new_session(world)
    world.set_title(session, "A title made by the model")
    assert world.get_session(session)["title"] == "A title made by t..."
    world.set_title("unknown", "x")
    world.add_usage("unknown", prompt_tokens=1, completion_tokens=1, cost=1)
    assert len(world.list_sessions(True)) == 1


def test_five_parallel_creates(world: World, new_session: Callable[..., str]) -> None:
    with ThreadPoolExecutor(5) as pool:
        ids = set(pool.map(lambda n: new_session(world, f"s{n}"), range(5)))
    assert {s["id"] for s in world.list_sessions(False)} == ids
    assert len(ids) == 5
