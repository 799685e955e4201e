"""Messages sent while the same client reads an event stream of the session, as the documentation's low-level sample does.

Mix 0.5 shows a turn only on the streams that the message was written to, and runs it once for each of them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from langchain_mix.client import (
    Mix,
    MixAgentError,
    MixError,
    MixTurnInterrupted,
    MixUsageError,
    SendMessageResponse,
    SSECompleteEvent,
    SSEContentEvent,
)
from langchain_mix.emulator import Gate, MixEmulator, Script, turn, use
from langchain_mix.emulator.agents.base import Fail, Wait

APIS = ("0.5", "0.6", "0.6.5", "0.7", "0.8", "next")
pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def brain() -> Script:
    return Script(turn(use("Grep", {"pattern": "x"}, result="41"), "Every word."), "And more.", default="No more.")


@pytest.fixture
def server(request: pytest.FixtureRequest, brain: Script) -> Iterator[MixEmulator]:
    with MixEmulator(getattr(request, "param", "0.5"), brain) as running:
        yield running


@pytest.fixture
def mix(server: MixEmulator) -> Iterator[Mix]:
    with Mix(server_url=server.url) as client:
        yield client


def texts(events: Any) -> str:
    return "".join(e.data.content for e in events if isinstance(e, SSEContentEvent))


@pytest.mark.parametrize("server", APIS, indirect=True)
def test_events_read_in_a_loop_while_a_thread_sends(server: MixEmulator, mix: Mix, brain: Script) -> None:
    session = mix.sessions.create(title="t")
    with ThreadPoolExecutor(1) as pool, mix.streaming.stream_events(session_id=session.id) as stream:
        sending = pool.submit(mix.messages.send, id=session.id, text="Hello")
        heard = []
        for event in stream:
            heard.append(event)
            if isinstance(event, SSECompleteEvent):
                break
    answer = sending.result()
    assert texts(heard).endswith("Every word.")
    check(answer, server, brain)


@pytest.mark.parametrize("server", APIS, indirect=True)
def test_events_read_in_a_loop_while_a_task_sends(server: MixEmulator, mix: Mix, brain: Script) -> None:
    async def main() -> SendMessageResponse:
        session = await mix.sessions.create_async(title="t")
        async with await mix.streaming.stream_events_async(session_id=session.id) as stream:
            sending = asyncio.create_task(mix.messages.send_async(id=session.id, text="Hello"))
            heard = []
            async for event in stream:
                heard.append(event)
                if isinstance(event, SSECompleteEvent):
                    break
        answer = await sending
        assert texts(heard).endswith("Every word.")
        await mix.aclose()
        return answer

    check(asyncio.run(main()), server, brain)


def check(answer: SendMessageResponse, server: MixEmulator, brain: Script) -> None:
    server.wait_idle()
    assert (answer.status, answer.assistant_response, answer.user_input) == ("complete", "Every word.", "Hello")
    assert [c.name.lower() for c in answer.tool_calls or []] == ["grep"]
    assert len(brain.requests) == 2, "one turn of two steps, not one for each stream"


def test_a_message_is_sent_before_its_events_are_read(server: MixEmulator, mix: Mix) -> None:
    """In one thread: the sender reads the stream, and the loop gets what it has read."""
    session = mix.sessions.create(title="t")
    with mix.streaming.stream_events(session_id=session.id) as stream:
        first = mix.messages.send(id=session.id, text="one")
        second = mix.messages.send(id=session.id, text="two")
        endings = []
        heard = []
        while len(endings) < 2:
            heard.append(next(stream))
            endings += [e for e in heard[-1:] if isinstance(e, SSECompleteEvent)]
    assert (first.assistant_response, second.assistant_response) == ("Every word.", "And more.")
    assert heard[0].event == "connected"
    assert texts(heard).endswith("Every word.And more.")


def test_a_message_is_sent_before_its_events_are_read_asynchronously(server: MixEmulator, mix: Mix) -> None:
    async def main() -> None:
        session = await mix.sessions.create_async(title="t")
        async with await mix.streaming.stream_events_async(session_id=session.id) as stream:
            answer = await mix.messages.send_async(id=session.id, text="one")
            assert answer.assistant_response == "Every word."
            assert (await anext(stream)).event == "connected"
        await mix.aclose()

    asyncio.run(main())


def test_who_does_not_wait_gets_the_events(server: MixEmulator, mix: Mix) -> None:
    session = mix.sessions.create(title="t")
    with mix.streaming.stream_events(session_id=session.id) as stream:
        assert mix.messages.send(id=session.id, text="one", wait=False).status == "processing"
        heard = []
        for event in stream:
            heard.append(event)
            if isinstance(event, SSECompleteEvent):
                break
    assert texts(heard).endswith("Every word.")


@pytest.mark.parametrize("brain", [Script(Fail("The provider is out."))])
def test_a_failed_turn_is_an_error_for_both(server: MixEmulator, mix: Mix) -> None:
    session = mix.sessions.create(title="t")
    with mix.streaming.stream_events(session_id=session.id) as stream:
        with pytest.raises(MixAgentError, match="The provider is out"):
            mix.messages.send(id=session.id, text="one")
        assert [next(stream).event for _ in range(2)][-1] == "error"


@pytest.mark.parametrize("brain", [Script(turn([Wait(Gate())]))])
def test_a_stream_that_is_closed_under_way_ends_the_message(server: MixEmulator, mix: Mix) -> None:
    """Mix 0.5 cancels the turn then."""
    session = mix.sessions.create(title="t")
    stream = mix.streaming.stream_events(session_id=session.id)
    raised: list[MixError] = []

    def send() -> None:
        try:
            mix.messages.send(id=session.id, text="one")
        except MixError as error:
            raised.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    server.wait_until(lambda: server.turns == 1)
    stream.close()
    thread.join(10)
    assert [type(e) for e in raised] == [MixTurnInterrupted]
    assert raised[0].acted == "yes"


def test_several_streams_of_a_session_are_refused(server: MixEmulator, mix: Mix, brain: Script) -> None:
    session = mix.sessions.create(title="t")
    first, second = (mix.streaming.stream_events(session_id=session.id) for _ in range(2))
    with first, second, pytest.raises(MixUsageError, match="once for each"):
        mix.messages.send(id=session.id, text="one")
    assert brain.requests == []
    server.wait_until(lambda: server.streams == 0)  # Mix 0.5 cancels the session's turn when it notices.
    assert mix.messages.send(id=session.id, text="one").assistant_response == "Every word."


@pytest.mark.parametrize("options", [{"timeout": 5.0}, {"permissions": "deny"}, {"multitask_strategy": "enqueue"}])
def test_a_turn_beside_a_stream_is_refused(server: MixEmulator, mix: Mix, brain: Script, options: Any) -> None:
    session = mix.sessions.create(title="t")
    with mix.streaming.stream_events(session_id=session.id):
        with pytest.raises(MixUsageError, match="once for each"):
            mix.messages.send(id=session.id, text="one", **options)
        with pytest.raises(MixUsageError, match="once for each"):
            mix.turn(session.id, "one").run()
        with pytest.raises(MixUsageError, match="once for each"):
            asyncio.run(closing(mix, mix.turn_async(session.id, "one").run()))
    assert brain.requests == []
    server.wait_until(lambda: server.streams == 0)
    assert mix.turn(session.id, "one").run().text == "Every word."


def test_a_task_sends_what_a_synchronous_stream_shows(server: MixEmulator, mix: Mix) -> None:
    session = mix.sessions.create(title="t")
    with mix.streaming.stream_events(session_id=session.id) as stream:
        answer = asyncio.run(closing(mix, mix.messages.send_async(id=session.id, text="one")))
        assert answer.assistant_response == "Every word."
        heard = []
        for event in stream:
            heard.append(event)
            if isinstance(event, SSECompleteEvent):
                break
    assert texts(heard).endswith("Every word.")


def test_a_thread_sends_what_an_asynchronous_stream_shows(server: MixEmulator, mix: Mix) -> None:
    async def main() -> None:
        session = await mix.sessions.create_async(title="t")
        async with await mix.streaming.stream_events_async(session_id=session.id) as stream:
            sending = asyncio.create_task(asyncio.to_thread(mix.messages.send, id=session.id, text="one"))
            heard = []
            async for event in stream:
                heard.append(event)
                if isinstance(event, SSECompleteEvent):
                    break
            assert texts(heard).endswith("Every word.")
            assert (await sending).assistant_response == "Every word."
        await mix.aclose()

    asyncio.run(main())


def test_a_loop_that_would_wait_for_itself_is_refused(server: MixEmulator, mix: Mix, brain: Script) -> None:
    async def main() -> None:
        session = await mix.sessions.create_async(title="t")
        async with await mix.streaming.stream_events_async(session_id=session.id):
            with pytest.raises(MixUsageError, match="event loop"):
                mix.messages.send(id=session.id, text="one")
        await mix.aclose()

    asyncio.run(main())
    assert brain.requests == []


async def closing(mix: Mix, work: Any) -> Any:
    try:
        return await work
    finally:
        await mix.aclose()


def test_another_session_is_sent_to_directly(server: MixEmulator, mix: Mix) -> None:
    watched, other = (mix.sessions.create(title="t") for _ in range(2))
    with mix.streaming.stream_events(session_id=watched.id):
        assert mix.messages.send(id=other.id, text="one").assistant_response == "Every word."
        mix.turn(other.id, "two").run()
