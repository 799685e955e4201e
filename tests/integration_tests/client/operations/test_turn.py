"""`Mix.turn` and `Mix.turn_async`: every argument arrives where it belongs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from langchain_mix.client import AsyncTurnStream, TextDelta, TurnResult, TurnStream, errors
from langchain_mix.emulator import Gate, Script, turn, use

pytestmark = pytest.mark.timeout(60)

ALL = ("0.5", "0.6", "0.6.5", "0.7", "0.8", "next")
ASK = use("Write", {"file_path": "a.txt", "content": "x"}, result="written", ask=True)


def begin(user: Any, session: str, text: str = "Hello", **options: Any) -> TurnStream | AsyncTurnStream:
    started = (user.mix.turn_async if user.asynchronous else user.mix.turn)(session, text, **options)
    assert isinstance(started, AsyncTurnStream if user.asynchronous else TurnStream)
    return started


def run(user: Any, session: str, text: str = "Hello", **options: Any) -> TurnResult:
    started = begin(user, session, text, **options)
    return user.runner.run(started.run()) if user.asynchronous else started.run()


@pytest.mark.parametrize("api", ALL)
def test_a_turn(users: Any, api: str) -> None:
    user = users(api, Script("Piece by piece by piece."))
    session = user.session()
    started = begin(user, session)
    assert user.paths()[-1] == "POST /api/sessions", "nothing is sent before the first update is asked for"

    async def updates() -> list[Any]:
        return [update async for update in started]

    told = user.runner.run(updates()) if user.asynchronous else list(started)
    assert (
        "".join(u.text for u in told if isinstance(u, TextDelta)) == started.result.text == "Piece by piece by piece."
    )


def test_what_goes_with_the_message(users: Any) -> None:
    user = users("0.8", Script("Hi!"))
    session = user.session()
    run(user, session, "/opt", plan_mode=True, thinking_level="basic", max_steps=3)
    [sent] = [r.json for r in user.server.requests if r.path.endswith("/messages") and r.method == "POST"]
    assert sent == {"text": "Message: /opt", "plan_mode": True, "thinking_level": "basic", "max_steps": 3}


def test_a_command(users: Any) -> None:
    user = users("0.8")
    assert run(user, user.session(), "/help", command=True).command


@pytest.mark.parametrize("permissions", ["allow", "deny", None])
def test_permissions(users: Any, permissions: Any) -> None:
    user = users("0.8", Script(turn([ASK], "Done.")))
    run(user, user.session(), **({"permissions": permissions} if permissions else {}))
    said = [p.rsplit("/", 1)[1] for p in user.paths() if "/permissions/" in p]
    assert said == ["grant" if permissions == "allow" else "deny"]


def test_notifications(users: Any) -> None:
    ask = use("Notify", {"title": "T", "message": "Which?", "response_type": "text", "notification_type": "question"})
    user = users("0.8", Script(turn([ask], "Thanks.")))
    session = user.session()
    run(user, session, on_notification=lambda notification: f"{notification.message} That one")
    assert "Which? That one" in str(user("messages.list_session", id=session))


def test_a_time_limit(users: Any) -> None:
    gate = Gate()
    user = users("0.8", Script(turn([use("Glob", {"pattern": "*"}, result="x", until=gate)], "late")))
    with pytest.raises(errors.MixTurnTimeout):
        run(user, user.session(), timeout=0.3)
    gate.open()
    user.server.wait_idle()


def test_the_cost(users: Any) -> None:
    user = users("0.7", Script("Hi!", "Hi!"))
    session = user.session()
    before = user("sessions.get", id=session).cost
    known, unknown = run(user, session, cost_before=before), run(user, session)
    assert known.usage is not None
    assert known.usage.cost is not None
    assert unknown.usage is not None
    assert unknown.usage.cost is None


def test_a_second_turn_is_refused(users: Any) -> None:
    gate = Gate()
    user = users("0.8", Script(turn([use("Glob", {"pattern": "*"}, result="x", until=gate)], "first")))
    session = user.session()
    with user.mix.turn(session, "one") as first:
        next(first)
        with pytest.raises(errors.MixSessionBusy):
            run(user, session, "two")
        gate.open()
        assert "".join(u.text for u in first if isinstance(u, TextDelta)) == "first"


def test_a_second_turn_waits(users: Any) -> None:
    gate = Gate()
    user = users("0.8", Script(turn([use("Glob", {"pattern": "*"}, result="x", until=gate)], "first"), "second"))
    session = user.session()
    with ThreadPoolExecutor(1) as beside, user.mix.turn(session, "one") as first:
        next(first)
        second = beside.submit(run, user, session, "two", multitask_strategy="enqueue")
        gate.open()
        assert "".join(u.text for u in first if isinstance(u, TextDelta)) == "first"
        first.close()
        assert second.result(10).text == "second"
    assert [m.user_input for m in user.mix.messages.list_session(id=session) if m.role == "user"] == ["one", "two"]
