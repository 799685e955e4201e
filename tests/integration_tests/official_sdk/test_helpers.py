"""The SDK's helpers on an emulator of Mix 0.8. They are async only, and each sleeps half a second of its own."""

from __future__ import annotations

import asyncio

import pytest
from mix_python_sdk import models
from mix_python_sdk.helpers import StreamEvent, StreamingSession, query, send_with_callbacks

from langchain_mix.emulator import Script, say, think, turn, use
from langchain_mix.emulator.agents.base import Fail

LIMIT = 10.0
WRITE = use("Write", {"file_path": "a.txt", "content": "new"}, id="T")
WORK = Script(turn([think("Hm. "), say("I write. "), WRITE], say("Written.")))


async def test_query_tells_a_turn(serve):
    sdk = await serve(WORK)
    session = await sdk.session()
    heard: list[StreamEvent] = []
    async with asyncio.timeout(LIMIT):
        async for event in query(sdk.mix, session, "Go"):
            heard.append(event)
            if event.type == "permission":
                # §15.5: the helper reports the question and leaves the answer to its caller.
                await sdk("permissions.grant", id=event.data.id)
    # The helper knows seven kinds of events and leaves out the rest.
    assert list(dict.fromkeys(event.type for event in heard)) == [
        "thinking",
        "content",
        "tool_execution_start",
        "permission",
        "tool_execution_complete",
        "complete",
    ]
    assert "".join(event.thinking or "" for event in heard) == "Hm. "
    assert "".join(event.content or "" for event in heard) == "I write. Written."
    assert isinstance(heard[-1].data, models.SSECompleteEventData)


async def test_query_does_not_end_with_its_turn_when_that_fails(serve):
    # §15.5: it goes on for ever after an error; only another turn's `complete` ends it.
    sdk = await serve(Script(turn(Fail("failed to process events: overloaded")), "Another turn."))
    session = await sdk.session()
    events = query(sdk.mix, session, "Go")
    async with asyncio.timeout(LIMIT):
        assert [(await anext(events)).data.error for _ in range(2)] == ["failed to process events: overloaded"] * 2
        following = asyncio.create_task(anext(events))
        await asyncio.to_thread(sdk.server.wait_idle)
        assert not following.done()
        await sdk("messages.send", id=session, text="Again")
        rest = [await following, *[event async for event in events]]
    assert "".join(event.content or "" for event in rest) == "Another turn."
    assert rest[-1].type == "complete"


async def test_callbacks_hear_a_turn(serve):
    sdk = await serve(WORK)
    session = await sdk.session()
    heard: list[tuple[str, object]] = []
    grants: list[asyncio.Task[object]] = []

    def permission(data) -> None:
        heard.append(("permission", data.tool_name))
        grants.append(asyncio.create_task(sdk("permissions.grant", id=data.id)))

    async with asyncio.timeout(LIMIT):
        await send_with_callbacks(
            sdk.mix,
            session,
            "Go",
            on_thinking=lambda text: heard.append(("thinking", text)),
            on_content=lambda text: heard.append(("content", text)),
            on_tool_execution_start=lambda data: heard.append(("start", data.tool_call_id)),
            on_tool_execution_complete=lambda data: heard.append(("done", data.success)),
            on_permission=permission,
            on_error=lambda text: heard.append(("error", text)),
            on_complete=lambda: heard.append(("complete", None)),
        )
        await asyncio.gather(*grants)
    assert "".join(value for name, value in heard if name == "content") == "I write. Written."
    assert [pair for pair in heard if pair[0] != "content"] == [
        ("thinking", "Hm. "),
        ("start", "T"),
        ("permission", "Write"),
        ("done", True),
        ("complete", None),
    ]


async def test_callbacks_end_with_the_first_error(serve):
    sdk = await serve(Script(turn(Fail("failed to process events: overloaded"))))
    session = await sdk.session()
    heard: list[str] = []
    async with asyncio.timeout(LIMIT):
        await send_with_callbacks(sdk.mix, session, "Go", on_error=heard.append)
    assert heard == ["failed to process events: overloaded"]


async def test_a_streaming_session_cannot_be_created(serve):
    # §15.5: the helper gives no browser mode, which 0.8 made a required argument; nothing reaches the server.
    sdk = await serve()
    with pytest.raises(TypeError, match="browser_mode"):
        async with StreamingSession(sdk.mix, title="Broken"):
            pytest.fail("there is a session")
    assert not sdk.server.requests


async def test_a_streaming_session_works_on_a_session_that_is_there(serve):
    sdk = await serve(Script("One.", "Two."))
    helper = StreamingSession(sdk.mix, title="Mended")
    helper._session = await sdk("sessions.create", title="Mended", browser_mode="local-browser-service")
    said: list[str] = []
    async with asyncio.timeout(LIMIT):
        await helper.send("Go", on_content=said.append)
        said += [event.content or "" async for event in helper.query("Again")]
    assert "".join(said) == "One.Two."
    assert [row.user_input for row in await sdk("messages.list_session", id=helper.id)] == [
        "Go",
        "One.",
        "Again",
        "Two.",
    ]
    # Leaving is a blocking call in the SDK's async context manager.
    await helper.__aexit__(None, None, None)
    assert await sdk("sessions.list") == []
