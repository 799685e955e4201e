"""The life of a saver: options, copies, pickles, event loops."""

from __future__ import annotations

import asyncio
import copy
import pickle
import traceback
from typing import TypedDict

import httpx
import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

import langchain_mix
from langchain_mix import Mix, MixEmulator, MixSaver
from langchain_mix.checkpoint.state import StoreSettings
from langchain_mix.emulator.faults import HttpError
from langchain_mix.errors import (
    MixConfigurationError,
    MixConnectionError,
    MixError,
    MixNotFoundError,
    MixTimeoutError,
    MixUnsupportedError,
)

A = {"configurable": {"thread_id": "a"}}


@pytest.fixture
def server():
    with MixEmulator(api="0.8") as server:
        yield server


def put(saver, step=1, config=A):
    checkpoint = {**empty_checkpoint(), "id": str(uuid6(clock_seq=-1))}
    return saver.put(config, checkpoint, {"step": step}, {})


def count(saver):
    return len(list(saver.list(A)))


def headers_seen(server):
    return [dict(record.headers) for record in server.requests]


def test_a_connection_string_gives_a_saver_for_both_worlds(server):
    with MixSaver.from_conn_string(server.url, api="0.8") as saver:
        put(saver)
        assert saver.mix.known.version == "0.8"

    async def read():
        async with MixSaver.from_conn_string(server.url) as saver:
            return await saver.aget_tuple(A)

    assert asyncio.run(read()).metadata == {"step": 1}


def test_one_saver_serves_several_event_loops_and_threads(server):
    with MixSaver(server.url) as saver:
        put(saver)

        async def work():
            checkpoint = {**empty_checkpoint(), "id": str(uuid6(clock_seq=-1))}
            await saver.aput(A, checkpoint, {}, {})
            found = len([one async for one in saver.alist(A)])
            await saver.aclose()
            return found

        assert asyncio.run(work()) == 2
        assert asyncio.run(work()) == 3
        assert count(saver) == 3


def test_the_environment_names_the_server(server, monkeypatch):
    monkeypatch.setenv("MIX_SERVER_URL", server.url)
    with MixSaver() as saver:
        put(saver)
        assert saver.mix.server_url == server.url


def test_copies_share_the_writer_and_deep_copies_do_not(server):
    with MixSaver(server.url) as saver:
        put(saver)
        copied = copy.copy(saver)
        server.forget_requests()
        put(copied)
        assert len(server.requests) == 2  # It is the thread's writer already.
        other = copy.deepcopy(saver)
        server.forget_requests()
        put(other)
        assert len(server.requests) > 2
        assert count(saver) == count(copied) == count(other) == 3
        other.close()
        assert copy.deepcopy([saver, saver])[0].mix is not saver.mix


def test_a_pickled_saver_is_another_writer(server):
    with MixSaver(server.url, headers={"X-Mine": "1"}, api="0.8", delete_sessions=True, store={"attempts": 3}) as saver:
        put(saver)
        with pickle.loads(pickle.dumps(saver)) as other:  # noqa: S301  # Our own.
            put(other)
            put(saver)
            assert count(other) == count(saver) == 3
            assert other._delete_sessions
            assert other._connection.options == saver._connection.options
            assert other._connection.options.headers == {"X-Mine": "1"}


def test_clients_are_not_pickled(server):
    with Mix(server_url=server.url) as mix, httpx.Client() as client:
        for saver in (MixSaver(mix=mix), MixSaver(server.url, client=client)):
            with pytest.raises(MixUnsupportedError, match="cannot be pickled"):
                pickle.dumps(saver)
            assert copy.deepcopy(saver)._connection.options is saver._connection.options


def test_a_client_that_was_given_is_used_and_left_open(server):
    with Mix(server_url=server.url) as mix:
        with MixSaver(mix=mix) as saver:
            put(saver)
            assert saver.mix is mix
            assert copy.deepcopy(saver).mix is mix
        assert mix.sessions.list()


async def test_http_clients_that_were_given_are_used_and_left_open(server):
    seen = []

    async def see_async(request):
        seen.append("async")

    with httpx.Client(event_hooks={"request": [lambda _: seen.append("sync")]}) as client:
        async with httpx.AsyncClient(event_hooks={"request": [see_async]}) as async_client:
            saver = MixSaver(server.url, client=client, async_client=async_client)
            put(saver)
            await saver.aget_tuple(A)
            saver.close()
            await saver.aclose()
            assert not client.is_closed
            assert not async_client.is_closed
    assert {"sync", "async"} == set(seen)


def test_a_given_session_is_used(server):
    with Mix(server_url=server.url) as mix:
        session = mix.sessions.create(title="mine")
        with MixSaver(mix=mix, session_id=session.id) as saver:
            put(saver)
        assert [s.id for s in mix.sessions.list()] == [session.id]
        with MixSaver(mix=mix, session_id="00000000-0000-4000-8000-000000000000") as saver:
            for use in (lambda: put(saver), lambda: saver.get_tuple(A)):
                with pytest.raises(MixNotFoundError):
                    use()


def test_headers_go_with_every_request(server):
    asked = []
    with httpx.Client(event_hooks={"request": [lambda r: asked.append(r.headers.get("X-Mine"))]}) as client:
        put(MixSaver(server.url, headers={"X-Mine": "yes"}, client=client))
    assert set(asked) == {"yes"}


@pytest.mark.timeout(60)
def test_a_timeout_ends_a_request():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with MixSaver(url, timeout=0.05, max_retries=0, api="0.8") as saver, pytest.raises(MixTimeoutError):
            saver.get_tuple(A)


@pytest.mark.parametrize("retries", [0, 2])
def test_requests_that_may_be_are_sent_again(server, retries):
    fault = server.faults.add(
        HttpError(match="GET .*/files/.*", status=503, count=None, headers=(("Retry-After", "0"),))
    )
    with MixSaver(server.url, max_retries=retries, api="0.8") as saver, pytest.raises(MixError):
        saver.get_tuple(A)
    assert server.faults.times(fault) == retries + 1


def test_the_store_takes_settings_for_those_who_operate_it(server):
    given = {"attempts": 3, "backoff": 0.5, "cache_bytes": 7, "retries": 2}
    with MixSaver(server.url, store=given) as saver:
        assert saver._connection.threads._writer._settings == StoreSettings(**given)
    with pytest.raises(MixConfigurationError, match="`attempts` is 0"):
        MixSaver(server.url, store={"attempts": 0})
    with pytest.raises(MixConfigurationError, match="segment_entries") as raised:
        MixSaver(server.url, store={"segment_entries": 2})
    assert raised.value.hint == "It has attempts, backoff, cache_bytes, retries."


def test_reports_and_repairs(server):
    with MixSaver(server.url, store=StoreSettings(segment_entries=2)) as saver:
        for step in range(6):
            put(saver, step)
        assert saver.report("a").segments >= 2
        assert saver.report().checkpoints == 6
        assert saver.repair().dry_run


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_the_traceback_of_an_error_is_short(server, asynchronous):
    """Between the call and the frame that raised, there are procedures and the client, of no use to users."""
    async with MixSaver(server.url, api="0.8", max_retries=0) as saver:
        put(saver)
        server.faults.add(HttpError(match="GET .*/files/.*", status=503))
        with pytest.raises(MixError) as raised:
            await saver.aget_tuple(A) if asynchronous else saver.get_tuple(A)
    ours = [frame for frame in traceback.extract_tb(raised.value.__traceback__) if "langchain_mix" in frame.filename]
    assert [frame.name for frame in ours[:2]] == ["aget_tuple", "run_async"] if asynchronous else ["get_tuple", "run"]
    assert len(ours) == 3
    assert str(raised.value).startswith("The server answered 503")


async def test_reports_and_repairs_asynchronously(server):
    async with MixSaver(server.url) as saver:
        put(saver)
        assert (await saver.areport()).checkpoints == 1
        assert (await saver.areport("a")).checkpoints == 1
        assert (await saver.arepair("a")).steps == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"server_url": "ftp://x"},
        {"api": "9"},
        {"timeout": 0},
        {"max_retries": -1},
        {"storage": InMemorySaver(), "session_id": "s"},
        {"storage": InMemorySaver(), "store": {}},
        {"storage": InMemorySaver(), "allowed_types": [int]},
        {"mix": Mix(), "server_url": "http://x"},
        {"mix": Mix(), "headers": {}},
        {"mix": Mix(), "api": "0.8"},
    ],
    ids=range(10),
)
def test_options_that_cannot_work_are_refused(wrong):
    with pytest.raises(MixConfigurationError):
        MixSaver(**wrong)


def test_a_server_that_is_not_there_is_reported():
    with MixSaver("http://127.0.0.1:1", max_retries=0) as saver, pytest.raises(MixConnectionError):
        put(saver)


def test_the_saver_underneath_is_used_as_it_is(server):
    storage = InMemorySaver()
    saver = MixSaver(server.url, storage=storage)
    put(saver)
    assert storage.get_tuple(A).metadata["step"] == 1
    assert saver.serde is storage.serde
    assert saver.config_specs == storage.config_specs
    assert server.requests == []
    assert isinstance(saver.with_allowlist([("a", "B")]), MixSaver)
    assert copy.deepcopy(saver).get_tuple(A) is not None


def test_the_name_is_public_and_lazy():
    assert langchain_mix.MixSaver is MixSaver
    assert set(langchain_mix.checkpoint.__all__) <= set(dir(langchain_mix.checkpoint))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = langchain_mix.checkpoint.Nothing


# Not "async": there puts run beside the node that restarts the server; they are refused, and the run fails loudly.
@pytest.mark.parametrize("durability", ["sync", "exit"])
def test_a_graph_goes_on_when_the_server_restarts(server, durability):
    def add(state):
        server.restart()
        return {"x": state["x"] + 1}

    with MixSaver(server.url) as saver:
        builder = StateGraph(TypedDict("State", {"x": int})).add_node("a", add).add_node("b", add)
        graph = builder.add_edge(START, "a").add_edge("a", "b").compile(checkpointer=saver)
        assert graph.invoke({"x": 0}, A, durability=durability) == {"x": 2}
        assert graph.get_state(A).values == {"x": 2}
    with MixSaver(server.url) as other:
        assert other.get_tuple(A).checkpoint["channel_values"]["x"] == 2
