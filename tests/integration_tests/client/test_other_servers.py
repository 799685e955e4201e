"""One client, several servers of different generations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from langchain_mix.client import Mix, MixUnsupportedError, StreamingSession, query
from langchain_mix.emulator import MixEmulator, Script
from langchain_mix.errors import MixConnectionError, MixDefaultError
from langchain_mix.protocol.retry import NO_RETRIES

Do = Callable[..., Any]


@pytest.fixture(params=[("0.5", "0.8"), ("0.8", "0.5"), ("next", "0.6")], ids=str)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[MixEmulator, MixEmulator]]:
    """The client's own server and another one."""
    with ExitStack() as stack:
        own, other = (
            stack.enter_context(MixEmulator(api, Script(default=text)))
            for api, text in zip(request.param, ("here", "there"), strict=True)
        )
        yield own, other


@pytest.fixture(params=["sync", "async"])
def do(request: pytest.FixtureRequest) -> Iterator[Do]:
    """Runs an operation or its twin."""
    transports: set[Any] = set()
    with asyncio.Runner() as runner:

        async def awaited(function: Any, arguments: dict[str, Any]) -> Any:
            return await function(**arguments)

        def run(owner: Any, name: str, **arguments: Any) -> Any:
            if request.param == "sync":
                return getattr(owner, name)(**arguments)
            transports.add(owner._async.connections)
            return runner.run(awaited(getattr(owner, f"{name}_async"), arguments))

        yield run
        for transport in transports:
            runner.run(transport.close())


def test_each_server_is_treated_as_what_it_is(pair: tuple[MixEmulator, MixEmulator], do: Do) -> None:
    own, other = pair
    mix = Mix(server_url=own.url)
    there = {"server_url": other.url}
    sessions = {url: do(mix.sessions, "create", title="t", server_url=url) for url in (other.url, own.url)}
    session = sessions[other.url]
    assert [s.id for s in do(mix.sessions, "list", **there)] == [session.id]
    answer = do(mix.messages, "send", id=session.id, text="hello", **there)
    assert (answer.status, answer.assistant_response) == ("complete", "there")
    mine = do(mix.messages, "send", id=sessions[own.url].id, text="mine")
    assert mine.assistant_response == "here"
    assert [m.user_input for m in do(mix.messages, "list_session", id=session.id, **there)][0] == "hello"
    assert own.api in mix.known
    assert other.api not in mix.known
    do(mix.files, "upload_session_file", id=session.id, file={"file_name": "f.txt", "content": b"there"}, **there)
    assert do(mix.files, "get_session_file", id=session.id, filename="f.txt", **there).content == b"there"
    assert do(mix.files, "list_session_files", id=sessions[own.url].id) == []
    forks = {url: "0.8" not in api and api != "next" for url, api in ((own.url, own.api), (other.url, other.api))}
    for url, able in forks.items():
        fork = {"id": sessions[url].id, "message_index": 1, "server_url": url}
        if able:
            assert do(mix.sessions, "fork", **fork).id
        else:
            with pytest.raises(MixUnsupportedError):
                do(mix.sessions, "fork", **fork)


@pytest.mark.parametrize("path", ["/api", "/v1/"])
def test_a_path_that_is_too_much_is_named(pair: tuple[MixEmulator, MixEmulator], path: str) -> None:
    own, other = pair
    with Mix(server_url=own.url + path) as mix, pytest.raises(MixDefaultError, match="404 page not found") as caught:
        mix.sessions.list()
    assert caught.value.hint.startswith(f"Leave the path out of the URL: {own.url}.")
    with Mix(server_url=own.url) as mix, pytest.raises(MixDefaultError, match="404 page not found") as caught:
        mix.sessions.list(server_url=other.url + path)
    assert caught.value.hint.startswith(f"Leave the path out of the URL: {other.url}.")


def test_a_server_that_speaks_no_tls_is_named(pair: tuple[MixEmulator, MixEmulator], do: Do) -> None:
    own, _ = pair
    mix = Mix(server_url=own.url.replace("http://", "https://"), retry_config=NO_RETRIES)
    with pytest.raises(MixConnectionError) as caught:
        do(mix.sessions, "list")
    assert caught.value.hint == f"It does not speak TLS; try {own.url}"


def test_turns_and_streams(pair: tuple[MixEmulator, MixEmulator]) -> None:
    own, other = pair
    mix = Mix(server_url=own.url)

    async def main() -> None:
        async with StreamingSession(mix, "t", server_url=other.url) as session:
            assert [s.id for s in await mix.sessions.list_async(server_url=other.url)] == [session.id]
            said: list[str] = []
            await session.send("one", on_content=said.append)
            assert "".join(said) == "there"
            heard = [e.type async for e in query(mix, session.id, "two", server_url=other.url)]
            assert heard[-1] == "complete"
            assert [e.type async for e in session.query("three")][-1] == "complete"
            async with await mix.streaming.stream_events_async(session_id=session.id, server_url=other.url) as events:
                assert (await anext(events)).event == "connected"
        assert await mix.sessions.list_async(server_url=other.url) == []
        assert await mix.sessions.list_async() == []
        await mix.aclose()

    asyncio.run(main())
    session = mix.sessions.create(title="t", server_url=other.url)
    result = mix.turn(session.id, "four", server_url=other.url).run()
    assert result.text == "there"
    with mix.streaming.stream_events(session_id=session.id, server_url=other.url) as events:
        assert next(events).event == "connected"
    mix.close()
    assert not [record for record in own.requests if session.id in record.path]
