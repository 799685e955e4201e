"""The helpers of the official client, and the answers to what an agent asks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from langchain_mix.client import (
    StreamingSession,
    errors,
    query,
    send_with_callbacks,
)
from langchain_mix.emulator import (
    CutStream,
    DropEvent,
    Gate,
    HttpError,
    Script,
    say,
    think,
    turn,
    use,
)
from langchain_mix.emulator.agents.base import Fail, Wait
from langchain_mix.protocol.api import CAPABILITIES, ApiVersion

pytestmark = pytest.mark.timeout(60)

ALL = ("0.5", "0.6", "0.6.5", "0.7", "0.8", "next")
ASK = use("Write", {"file_path": "a.txt", "content": "x"}, result="written", ask=True)


def caps(api: str) -> Any:
    return CAPABILITIES[ApiVersion(api)]


@pytest.mark.parametrize("verdict", ["grant", "deny"])
@pytest.mark.parametrize("api", ALL)
def test_permissions(users: Any, api: str, verdict: str) -> None:
    user = users(api, Script(turn([ASK], "Done.")))
    session = user.session()
    said: list[Any] = []

    def answer(request: Any) -> None:
        said.append(getattr(user.mix.permissions, verdict)(id=request.id).status)

    async def main() -> None:
        await send_with_callbacks(user.mix, session, "Write", on_permission=answer)

    user.runner.run(main())
    assert said == ["granted" if verdict == "grant" else "denied"]
    assert user(f"permissions.{verdict}", id="unknown").id == "unknown"


@pytest.mark.parametrize("api", ALL)
def test_notifications(users: Any, api: str) -> None:
    ask = use("Notify", {"title": "T", "message": "Which?", "response_type": "text", "notification_type": "question"})
    user = users(api, Script(turn([ask], "Thanks.")))
    session = user.session()
    if not caps(api).notifications:
        user.unsupported("notifications.respond_to_notification", id="x", type_="text")
        return
    user("messages.send", id=session, text="Hello", wait=False)
    with pytest.raises(errors.MixDefaultError, match="already responded"):
        user("notifications.respond_to_notification", id="unknown", type_="acknowledge")

    second = user.session()
    told: list[Any] = []

    async def answered() -> None:
        async def reply(notification: Any) -> None:
            told.append(notification.message)
            await user.mix.notifications.respond_to_notification_async(
                id=notification.id, type_=notification.response_type, value="That one"
            )

        await send_with_callbacks(user.mix, second, "Ask me", on_notification=reply)

    user.runner.run(answered())
    assert told == ["Which?"]
    assert "That one" in str(user("messages.list_session", id=second))


def test_a_streaming_session(users: Any) -> None:
    user = users("0.8", Script("Hi!", turn([Fail("out of luck")])))

    async def main() -> Any:
        async with StreamingSession(user.mix, "Demo", "Be brief.") as session:
            said = [e.content async for e in session.query("Hello") if e.type == "content"]
            raised: list[str] = []
            await session.send("Hello", on_error=raised.append)
            return "".join(said), raised

    said, raised = user.runner.run(main())
    assert said == "Hi!"
    assert "out of luck" in raised[0]
    assert user("sessions.list") == []
    created = next(r for r in user.server.requests if r.method == "POST" and r.status == 201)
    assert created.json["promptMode"] == "append", "a prompt that the server would ignore is no prompt"

    async def kept() -> str:
        async with StreamingSession(user.mix, "Demo", delete=False) as session:
            return session.id

    kept_id = user.runner.run(kept())
    assert [s.id for s in user("sessions.list")] == [kept_id]


def test_query_tells_the_error_and_raises_it(users: Any) -> None:
    user = users("0.8", Script(turn(["So far ", Fail("out of luck")])))
    session = user.session()
    seen: list[Any] = []

    async def main() -> None:
        async for event in query(user.mix, session, "Hello"):
            seen.append(event)

    with pytest.raises(errors.MixAgentError, match="out of luck") as caught:
        user.runner.run(main())
    assert seen[-1].type == "error"
    assert "out of luck" in seen[-1].data.error
    assert "".join(e.content for e in seen if e.content) == "So far " == caught.value.turn.text


def test_query_tells_everything_by_name(users: Any) -> None:
    task = use("Task", {"description": "look", "prompt": "Look", "subagent_type": "general-purpose"})
    script = Script(
        turn([think("Hm."), say("Wait. "), task], [ASK], "Done."),
        subagent=[turn([use("Glob", {"pattern": "*"})], "Nested.")],
    )
    user = users("0.8", script)
    session = user.session()
    seen: list[Any] = []

    async def main() -> None:
        async for event in query(user.mix, session, "Hello"):
            seen.append(event)
            if event.type == "permission":
                await user.mix.permissions.grant_async(id=event.data.id)

    user.runner.run(main())
    assert {
        "user_message_created", "thinking", "content", "tool", "tool_execution_start", "tool_execution_complete",
        "permission", "tool_output", "subagent_content", "subagent_user_message_created", "complete",
    } == {e.type for e in seen}  # fmt: skip
    assert "".join(e.content for e in seen if e.type == "content") == "Wait. Done."
    assert "".join(e.data.content for e in seen if e.type == "subagent_content") == "Nested."
    assert seen[0].data.content == "Hello"
    assert [e.tool_name for e in seen if e.type == "tool"] == ["Task", "Glob", "Write"]
    nested = [e.data.parent_tool_call_id for e in seen if e.type == "tool"]
    assert [bool(parent) for parent in nested] == [False, True, False]
    assert all(e.data.tool_name for e in seen if e.type.startswith("tool_execution"))
    assert seen[-1].data.content == "Done."
    assert seen[-1].data.message_id
    assert [p.rsplit("/", 1)[1] for p in user.paths() if "/permissions/" in p] == ["grant"], (
        "it is the reader's to answer"
    )


def test_leaving_query_early_cancels_the_turn(users: Any) -> None:
    gate = Gate()
    user = users("0.8", Script(turn(["First words. ", use("Glob", {"pattern": "*"}, result="x", until=gate)], "late")))
    session = user.session()

    async def main() -> None:
        events = query(user.mix, session, "Hello")
        async for event in events:
            if event.type == "content":
                break
        await events.aclose()

    user.runner.run(main())
    user.server.wait_idle()
    assert any(p.endswith("/cancel") for p in user.paths())


def test_callbacks_may_be_async_and_their_errors_are_raised(users: Any) -> None:
    user = users("0.8", Script("Hi!", "Hi!"))
    session = user.session()
    told: list[str] = []

    async def tell(text: str) -> None:
        told.append(text)

    async def main() -> None:
        await send_with_callbacks(user.mix, session, "Hello", on_content=tell)

    user.runner.run(main())
    assert "".join(told) == "Hi!"

    async def failing() -> None:
        def fail(text: str) -> None:
            raise ZeroDivisionError

        await send_with_callbacks(user.mix, session, "Hello", on_content=fail, on_error=told.append)

    with pytest.raises(ZeroDivisionError):
        user.runner.run(failing())
    user.server.wait_idle()


def test_without_a_callback_permissions_are_denied_at_once(users: Any) -> None:
    user = users("0.8", Script(turn([ASK], "Done.")))
    session = user.session()

    async def main() -> None:
        await send_with_callbacks(user.mix, session, "Write")

    user.runner.run(main())
    assert any(p.endswith("/deny") for p in user.paths())


def test_a_broken_stream_tells_text_once(users: Any) -> None:
    user = users("0.8", Script(turn(["One ", "two ", "three ", use("Glob", {"pattern": "*"})], "four five.")))
    user.server.faults.add(CutStream(3))
    session = user.session()
    told: list[str] = []

    async def main() -> None:
        await send_with_callbacks(user.mix, session, "Hello", on_content=told.append)

    user.runner.run(main())
    assert "".join(told) == "One two three four five."
    assert len([p for p in user.paths() if p.startswith("POST") and p.endswith("/messages")]) == 1


def test_text_that_the_server_dropped_is_no_silent_loss(users: Any) -> None:
    user = users("0.8", Script(*["The first, the second, the third, the fourth and the fifth part."] * 3))
    told: list[str] = []
    words: list[str] = []

    async def send(**callbacks: Any) -> None:
        user.server.faults.add(DropEvent("content", nth=2))
        await send_with_callbacks(user.mix, user_session, "Hello", on_content=told.append, **callbacks)

    user_session = user.session()
    with pytest.raises(errors.MixTextGap) as caught:
        user.runner.run(send(on_complete=lambda: words.append("complete")))
    assert caught.value.turn.text == "The first, the second, the third, the fourth and the fifth part."
    assert words == []
    user.runner.run(send(on_error=words.append))
    assert len(words) == 1

    async def read() -> list[Any]:
        user.server.faults.add(DropEvent("content", nth=2))
        return [event async for event in query(user.mix, user_session, "Hello")]

    restated = [e for e in user.runner.run(read()) if e.type == "text_restated"]
    assert [e.data.content for e in restated] == [caught.value.turn.text]


def test_a_session_that_cannot_be_deleted(users: Any) -> None:
    user = users("0.8")

    async def fail() -> None:
        async with StreamingSession(user.mix, "Demo"):
            user.server.faults.add(HttpError("DELETE .*", status=418, body="no"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        user.runner.run(fail())
    assert "could not be deleted" in caught.value.__notes__[0]

    async def stay() -> None:
        async with StreamingSession(user.mix, "Demo"):
            user.server.faults.add(HttpError("DELETE .*", status=418, body="no"))

    with pytest.raises(errors.MixDefaultError):
        user.runner.run(stay())

    async def gone() -> None:
        async with StreamingSession(user.mix, "Demo") as session:
            await user.mix.sessions.delete_async(id=session.id)

    user.runner.run(gone())


def test_a_session_before_its_block(users: Any) -> None:
    session = StreamingSession(users("0.8").mix, "Demo")
    with pytest.raises(errors.MixUsageError, match="no session yet"):
        _ = session.id


def test_a_callback_may_answer_by_what_it_returns(users: Any) -> None:
    user = users("0.8", Script(*[turn([ASK], "Done.")] * 4))
    session = user.session()

    async def later(request: Any) -> bool:
        return True

    async def main(answer: Any) -> None:
        await send_with_callbacks(user.mix, session, "Write", on_permission=answer)

    for answer in (lambda _: True, lambda _: False, later, lambda p: user.mix.permissions.grant_async(id=p.id)):
        user.runner.run(main(answer))
    said = [p.rsplit("/", 1)[1] for p in user.paths() if "/permissions/" in p]
    assert said == ["grant", "deny", "grant", "grant"]


async def open_once_watched(user: Any, gate: Gate) -> None:
    """Lets the sub-agent go on when its own stream is watched too: requests told before that are lost for good."""
    await asyncio.to_thread(user.server.wait_until, lambda: user.server.streams == 2)
    gate.open()


def test_a_subagents_request_reaches_the_callback(users: Any) -> None:
    task = use("Task", {"description": "look", "prompt": "Look", "subagent_type": "general-purpose"})
    gate = Gate()
    user = users("0.8", Script(turn([task], "Done."), subagent=[turn([Wait(gate), ASK], "Nested.")]))
    session = user.session()
    asked: list[str] = []

    def grant(request: Any) -> bool:
        asked.append(request.session_id)
        return True

    async def main() -> None:
        opening = asyncio.create_task(open_once_watched(user, gate))
        await send_with_callbacks(user.mix, session, "Write", on_permission=grant)
        await opening

    user.runner.run(main())
    assert len(asked) == 1
    assert asked != [session]
    assert any(p.endswith("/grant") for p in user.paths())


def test_query_does_not_wait_for_a_subagents_request(users: Any) -> None:
    task = use("Task", {"description": "look", "prompt": "Look", "subagent_type": "general-purpose"})
    gate = Gate()
    user = users("0.8", Script(turn([task], "Done."), subagent=[turn([Wait(gate), ASK], "Nested.")]))
    session = user.session()

    async def main() -> list[str]:
        opening = asyncio.create_task(open_once_watched(user, gate))
        seen = [event.type async for event in query(user.mix, session, "Write")]
        await opening
        return seen

    assert user.runner.run(main())[-1] == "complete"
    assert any(p.endswith("/deny") for p in user.paths())
