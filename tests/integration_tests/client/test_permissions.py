"""Permissions and notifications, in turns and in sub-agents."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from langchain_mix import errors
from langchain_mix.emulator import CloseConnection, CutStream, Gate, HttpError, Script, say, turn, use
from langchain_mix.emulator.agents.base import Wait
from langchain_mix.protocol.turn.updates import (
    NotificationReceived,
    PermissionRequested,
    Progress,
    SubagentUpdate,
    ToolFinished,
)

pytestmark = pytest.mark.timeout(60)

DONE = "Done."
NEW = ("0.8", "next")
WITH_SUBAGENTS = ("0.7", "0.8", "next")


def asking() -> Script:
    return Script(
        turn([*say("May I? "), use("Bash", {"command": "make"}, result="built", ask=True, id="call")], DONE), "Again."
    )


def answers(lab: Any) -> list[str]:
    return [r.path.rsplit("/", 1)[-1] for r in lab.asked("POST", "/api/permissions/")]


def status(outcome: Any) -> str:
    (call,) = outcome.result.tool_calls
    return str(call.status)


@pytest.mark.parametrize(
    ("policy", "answer", "ended"),
    [
        ("allow", ["grant"], "succeeded"),
        ("deny", ["deny"], "failed"),
        (lambda _: True, ["grant"], "succeeded"),
        (lambda _: False, ["deny"], "failed"),
    ],
    ids=["allow", "deny", "yes", "no"],
)
def test_a_policy_answers(  # noqa: PLR0917
    labs: Any, shell: str, api: str, policy: Any, answer: list[str], ended: str
) -> None:
    lab = labs(shell, api, asking())
    outcome = lab.turn(permissions=policy).well()
    assert answers(lab) == answer
    assert status(outcome) == ended
    assert outcome.told == outcome.result.full_text == "May I? " + DONE, "a denied tool is not the end of the turn"
    (asked,) = outcome.of(PermissionRequested)
    assert asked.request.params is not None
    assert asked.request.params["command"] == "make"


def test_the_default_is_no(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, asking())
    assert status(lab.turn().well()) == "failed"
    assert answers(lab) == ["deny"]


@pytest.mark.parametrize("policy", ["ignore", lambda _: None], ids=["ignore", "none"])
def test_a_request_may_be_left_to_the_server(labs: Any, shell: str, api: str, policy: Any) -> None:
    lab = labs(shell, api, asking(), permission_timeout=0.2)
    outcome = lab.turn(permissions=policy).well()
    assert answers(lab) == []
    assert status(outcome) == "failed"
    assert outcome.told == "May I? " + DONE


def test_somebody_else_may_answer(labs: Any, shell: str, api: str) -> None:
    import httpx

    lab = labs(shell, api, asking())

    def grant(update: Any) -> None:
        if isinstance(update, PermissionRequested):
            httpx.post(f"{lab.server.url}/api/permissions/{update.request.id}/grant")

    assert status(lab.turn("go", grant, permissions="ignore").well()) == "succeeded"


@pytest.mark.parametrize("garbage", ["yes", 1, {"granted": True}, [], "allow"], ids=repr)
def test_garbage_is_a_no(labs: Any, shell: str, garbage: Any) -> None:
    lab = labs(shell, "0.8", asking())
    assert status(lab.turn(permissions=lambda _: garbage).well()) == "failed"
    assert answers(lab) == ["deny"]


class Mine(Exception):
    """The user's own."""


@pytest.mark.parametrize("api", ["0.5", "0.6", "0.8"])
def test_a_policy_that_raises_denies_and_ends_the_turn(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, asking())
    mine = Mine()

    def policy(_: Any) -> bool:
        raise mine

    outcome = lab.turn(permissions=policy)
    assert outcome.error is mine
    assert answers(lab) == ["deny"]
    assert outcome.told == "May I? "
    lab.server.wait_idle()
    assert len(lab.cancels()) == 1
    assert lab.turn(session=lab.sessions[-1]).well().told == "Again."


def test_an_async_policy(labs: Any) -> None:
    import asyncio

    lab = labs("async", "0.8", asking())

    async def policy(request: Any) -> bool:
        await asyncio.to_thread(threading.Event().wait, 0.01)
        return bool(request.tool_name == "Bash")

    assert status(lab.turn(permissions=policy).well()) == "succeeded"


def test_an_async_policy_that_raises(labs: Any) -> None:
    lab = labs("async", "0.8", asking())

    async def policy(_: Any) -> bool:
        raise Mine

    assert isinstance(lab.turn(permissions=policy).error, Mine)
    assert answers(lab) == ["deny"]


def test_an_async_policy_in_synchronous_code_is_an_error_and_a_no(labs: Any) -> None:
    lab = labs("sync", "0.8", asking())

    async def policy(_: Any) -> bool:
        return True

    outcome = lab.turn(permissions=policy)
    assert isinstance(outcome.error, errors.MixInputError)
    assert "turn_async" in outcome.error.hint
    assert answers(lab) == ["deny"]


def test_several_requests_at_once(labs: Any, shell: str) -> None:
    calls = [use("Bash", {"command": str(i)}, result="ok", ask=True, id=f"call{i}") for i in range(4)]
    lab = labs(shell, "0.8", Script(turn(calls, DONE)))
    outcome = lab.turn(permissions=lambda request: int(request.params["command"]) % 2 == 0).well()
    assert [c.status for c in outcome.result.tool_calls] == ["succeeded", "failed", "succeeded", "failed"]


@pytest.mark.parametrize("fault", [HttpError, CloseConnection])
def test_an_answer_that_gets_lost_is_sent_again(labs: Any, shell: str, fault: Any) -> None:
    lab = labs(shell, "0.8", asking())
    lab.server.faults.add(fault("POST /api/permissions/.*"))
    assert status(lab.turn(permissions="allow").well()) == "succeeded"
    assert answers(lab) == ["grant", "grant"]


def test_an_answer_that_cannot_be_sent_is_told_and_the_turn_goes_on(labs: Any, shell: str) -> None:
    lab = labs(shell, "0.8", asking(), permission_timeout=0.3)
    lab.server.faults.add(CloseConnection("POST /api/permissions/.*", count=None))
    outcome = lab.turn(permissions="allow").well()
    assert [p.kind for p in outcome.of(Progress)] == ["permission_unanswered"]
    assert status(outcome) == "failed"
    assert outcome.told == "May I? " + DONE


# Sub-agents


def delegating(gate: Gate, *tools: Any) -> Script:
    task = use("Task", {"description": "d", "prompt": "p"}, id="task")
    return Script(
        turn([*say("I ask. "), task], DONE), subagent=[turn([*say("Inside. "), Wait(gate), *tools], "Inner end.")]
    )


@contextmanager
def watched(lab: Any, gate: Gate, streams: int = 2) -> Iterator[None]:
    """Lets sub-agents go on once the client listens to them, as a model's first words take longer than that."""

    def watch() -> None:
        lab.server.wait_until(lambda: lab.server.streams >= streams)
        gate.open()

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        yield
        watching.result(5)


def inner_call() -> Any:
    return use("Bash", {"command": "make"}, result="built", ask=True, id="inner")


@pytest.mark.parametrize("api", WITH_SUBAGENTS)
@pytest.mark.parametrize(
    ("policy", "answer"),
    [("allow", "grant"), ("deny", "deny"), (lambda _: True, "grant")],
    ids=["allow", "deny", "call"],
)
def test_a_sub_agents_request(labs: Any, shell: str, api: str, policy: Any, answer: str) -> None:
    gate = Gate()
    lab = labs(shell, api, delegating(gate, inner_call()))
    with watched(lab, gate):
        outcome = lab.turn(permissions=policy).well()
    assert answers(lab) == [answer]
    finished = [u.update for u in outcome.of(SubagentUpdate) if isinstance(u.update, ToolFinished)]
    assert [(f.id, f.success) for f in finished] == [("inner", answer == "grant")]
    assert outcome.told == "I ask. " + DONE
    lab.server.wait_until(lambda: lab.server.streams == 0)


@pytest.mark.parametrize("api", ["0.7", "0.8"])
def test_a_policy_that_raises_for_a_sub_agent_ends_the_turn(labs: Any, shell: str, api: str) -> None:
    gate = Gate()
    lab = labs(shell, api, delegating(gate, inner_call()))
    mine = Mine()

    def policy(_: Any) -> bool:
        raise mine

    with watched(lab, gate):
        outcome = lab.turn(permissions=policy)
    assert outcome.error is mine
    assert answers(lab) == ["deny"]
    lab.server.wait_idle()


WHO: ContextVar[str] = ContextVar("WHO", default="nobody")


@pytest.mark.parametrize("nested", [False, True], ids=["of the turn", "of a sub-agent"])
def test_a_policy_sees_the_context_variables_of_the_caller(labs: Any, shell: str, nested: bool) -> None:
    gate, seen = Gate(), []
    token = WHO.set("me")
    try:
        lab = labs(shell, "0.8", delegating(gate, inner_call()) if nested else asking())
        with watched(lab, gate, 2 if nested else 0):
            lab.turn(permissions=lambda _: bool(seen.append(WHO.get())) or True).well()
    finally:
        WHO.reset(token)
    assert seen == ["me"]


def test_a_policys_own_network_error_is_not_taken_for_the_turns(labs: Any, shell: str) -> None:
    for mine in (errors.MixStreamError("mine"), errors.MixConnectionError("mine")):
        lab = labs(shell, "0.8", asking())

        def policy(_: Any, mine: errors.MixError = mine) -> bool:
            raise mine

        outcome = lab.turn(permissions=policy)
        assert outcome.error is mine
        assert answers(lab) == ["deny"]
        assert len(lab.asked("GET", "/stream")) == 1


def test_a_sub_agents_stream_that_breaks_is_opened_again(labs: Any, shell: str) -> None:
    """Mix cuts every stream after ten minutes; a sub-agent may work for longer."""
    gate = Gate()
    lab = labs(shell, "0.8", delegating(gate, inner_call()))
    sessions: list[str] = []

    def cut(update: Any) -> None:
        if isinstance(update, SubagentUpdate) and not sessions:
            inner = [s for s in lab.server.state.sessions.listing(include_subagents=True) if s.get("parentToolCallId")]
            sessions.append(str(inner[0]["id"]))
            lab.server.faults.add(CutStream(on="stream", session=sessions[0]))

    def opened() -> int:
        asked = lab.asked("GET", "/stream")
        return sum(r.status == 200 and sessions[0] in r.query for r in asked) if sessions else 0

    def watch() -> None:
        try:
            lab.server.wait_until(lambda: opened() == 2 and lab.server.streams == 2, 3.0)
        finally:
            gate.open()

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        lab.turn("go", cut, permissions="allow").well()
        watching.result(5)
    assert answers(lab) == ["grant"]


def test_sub_agents_side_by_side(labs: Any, shell: str) -> None:
    gate = Gate()
    tasks = [use("Task", {"description": "d", "prompt": f"prompt {i}"}, id=f"task{i}") for i in range(3)]
    inner = {
        f"prompt {i}": [
            turn([Wait(gate), use("Bash", {"command": str(i)}, result="ok", ask=True, id=f"inner{i}")], "End.")
        ]
        for i in range(3)
    }
    lab = labs(shell, "0.8", Script(turn(tasks, DONE), subagent=inner))
    with watched(lab, gate, 4):
        outcome = lab.turn(permissions=lambda request: request.params["command"] != "1").well()
    assert sorted(answers(lab)) == ["deny", "grant", "grant"]
    assert outcome.told == DONE


@pytest.mark.parametrize("policy", ["ignore", "deny"])
def test_a_sub_agent_that_nobody_can_watch_does_not_hold_the_turn_up(labs: Any, shell: str, policy: str) -> None:
    gate = Gate()
    gate.open()
    lab = labs(shell, "0.8", delegating(gate, inner_call()), permission_timeout=0.3)
    lab.server.faults.add(HttpError("GET /api/sessions", 404, "gone", count=None))
    assert lab.turn(permissions=policy).well().told == "I ask. " + DONE


# Notifications


def notifying(**given: Any) -> Script:
    return Script(turn([use("Notify", {"title": "T", "message": "M", **given}, id="call")], DONE))


@pytest.mark.parametrize("api", NEW)
@pytest.mark.parametrize(
    ("kind", "answer", "body"),
    [
        ("text", "hello", {"type": "text", "value": "hello"}),
        ("choice", "b", {"type": "choice", "value": "b"}),
        ("acknowledge", "", {"type": "acknowledge"}),
    ],
)
def test_a_notification_is_answered(  # noqa: PLR0917
    labs: Any, shell: str, api: str, kind: str, answer: str, body: dict[str, str]
) -> None:
    lab = labs(shell, api, notifying(responseType=kind, choices=["a", "b"]))
    outcome = lab.turn(on_notification=lambda _: answer).well()
    (sent,) = lab.asked("POST", "/respond")
    assert sent.json == body
    assert sent.status == 204
    assert answer in (outcome.result.tool_calls[0].output or "")
    (told,) = outcome.of(NotificationReceived)
    assert (told.notification.title, told.notification.message) == ("T", "M")


@pytest.mark.parametrize("policy", [None, lambda _: None], ids=["no policy", "none"])
def test_a_notification_may_be_left(labs: Any, shell: str, policy: Any) -> None:
    lab = labs(shell, "0.8", notifying(timeout=1))
    outcome = lab.turn(on_notification=policy).well()
    assert lab.asked("POST", "/respond") == []
    assert outcome.result.tool_calls[0].is_error
    assert "timed out" in (outcome.result.tool_calls[0].output or "")


def test_an_async_notification_policy(labs: Any) -> None:
    lab = labs("async", "0.8", notifying(responseType="text"))

    async def policy(_: Any) -> str:
        return "hello"

    assert "hello" in (lab.turn(on_notification=policy).well().result.tool_calls[0].output or "")


def test_a_notification_that_somebody_else_answered(labs: Any, shell: str) -> None:
    import httpx

    lab = labs(shell, "0.8", notifying(responseType="text"))

    def policy(notification: Any) -> str:
        url = f"{lab.server.url}/api/notifications/{notification.id}/respond"
        assert httpx.post(url, json={"type": "text", "value": "theirs"}).status_code == 204
        return "mine"

    outcome = lab.turn(on_notification=policy).well()
    assert [r.status for r in lab.asked("POST", "/respond")] == [204, 404]
    assert "theirs" in (outcome.result.tool_calls[0].output or "")


def test_a_notification_policy_that_raises_ends_the_turn(labs: Any, shell: str) -> None:
    lab = labs(shell, "0.8", notifying())
    mine = Mine()

    def policy(_: Any) -> str:
        raise mine

    assert lab.turn(on_notification=policy).error is mine
    lab.server.wait_idle()
    assert len(lab.cancels()) == 1


def test_a_notification_answer_that_gets_lost_is_told_and_the_turn_goes_on(labs: Any, shell: str) -> None:
    lab = labs(shell, "0.8", notifying(responseType="text", timeout=1))
    lab.server.faults.add(CloseConnection("POST .*/respond", count=None))
    outcome = lab.turn(on_notification=lambda _: "hello").well()
    assert [p.kind for p in outcome.of(Progress)] == ["notification_unanswered"]
    assert outcome.told == DONE
