"""What type checkers see of the client. Checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Literal, assert_type

from langchain_mix import ChatMix, Mix, MixEmulator, MixError
from langchain_mix.client import AsyncTurnStream, StreamEvent, TurnStream, query
from langchain_mix.protocol import calls
from langchain_mix.protocol.api import ServerApi
from langchain_mix.protocol.call import Call, Flow, ask
from langchain_mix.protocol.events import Event
from langchain_mix.protocol.flows import create_session
from langchain_mix.protocol.models import BackendMessage, FileInfo, SendMessageResponse, SessionData
from langchain_mix.protocol.turn.updates import TurnResult, Update


def describes() -> None:
    assert_type(calls.get_session("s"), Call[SessionData])
    assert_type(calls.list_messages("s"), Call[list[BackendMessage]])
    assert_type(ask(calls.get_session("s")), Flow[SessionData])
    assert_type(create_session(ServerApi(), title="t"), Flow[SessionData])


def decides() -> Flow[str]:
    session = yield from ask(calls.get_session("s"))
    assert_type(session, SessionData)
    return session.id


def does(mix: Mix) -> None:
    assert_type(mix.sessions.create(title="t"), SessionData)
    assert_type(mix.messages.send(id="s", text="t"), SendMessageResponse)
    assert_type(mix.files.list_session_files(id="s"), list[FileInfo])
    assert_type(mix.run(decides()), str)
    turn = mix.turn("s", "t")
    assert_type(turn, TurnStream)
    assert_type(iter(turn), Iterator[Update])
    assert_type(turn.run(), TurnResult)
    with mix.streaming.stream_events(session_id="s") as stream:
        for event in stream:
            assert_type(event, Event)


async def does_it_async(mix: Mix) -> None:
    assert_type(await mix.sessions.create_async(title="t"), SessionData)
    assert_type(await mix.messages.send_async(id="s", text="t"), SendMessageResponse)
    assert_type(await mix.run_async(decides()), str)
    turn = mix.turn_async("s", "t")
    assert_type(turn, AsyncTurnStream)
    assert_type(aiter(turn), AsyncIterator[Update])
    assert_type(await turn.run(), TurnResult)
    async for event in query(mix, "s", "t"):
        assert_type(event, StreamEvent)


def fails(error: MixError) -> None:
    assert_type(error.acted, Literal["no", "yes", "unknown"])


def serves() -> None:
    with MixEmulator(api="0.8") as server:
        assert_type(server.url, str)
        assert_type(ChatMix(server_url=server.url).client, Mix)
