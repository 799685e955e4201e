"""Tasks that are cancelled wherever they wait: all or nothing is stored, nobody is held up, nothing is left behind."""

from __future__ import annotations

import asyncio
import types

import pytest
from langchain_core.messages import HumanMessage

from langchain_mix import ChatMix, MixEmulator, MixSaver
from langchain_mix.client._async import AsyncTransport
from langchain_mix.protocol.call import Call


def checkpoint(name, **values):
    versions = {channel: f"{channel} {name}" for channel in values}
    return {"v": 4, "id": name, "ts": "", "channel_values": values, "channel_versions": versions, "versions_seen": {}}


def config(thread, checkpoint_id=None):
    return {"configurable": {"thread_id": thread, "checkpoint_ns": "", "checkpoint_id": checkpoint_id}}


@types.coroutine
def _cut(coroutine, nth):
    waits, step = 0, lambda: coroutine.send(None)
    while True:
        try:
            wanted = step()
        except StopIteration as done:
            return waits, done.value
        waits += 1
        if waits == nth:
            asyncio.current_task().cancel()
        try:
            yield wanted
        except BaseException as problem:
            step = lambda problem=problem: coroutine.throw(problem)  # noqa: E731
        else:
            step = lambda: coroutine.send(None)  # noqa: E731


async def cut(coroutine, nth):
    """Cancels what is done at its nth wait; tells whether it came to its end before."""

    async def whole():
        return await _cut(coroutine, nth)

    task = asyncio.ensure_future(whole())
    await asyncio.wait([task])
    return not task.cancelled() and task.result()[0] < nth


@pytest.fixture(scope="module")
def server():
    with MixEmulator(api="0.8") as server:
        yield server


def puts(saver, thread):
    return saver.aput(config(thread), checkpoint("2", x=2), {}, {"x": "x 2"})


def writes(saver, thread):
    return saver.aput_writes(config(thread, "1"), [("x", 1), ("y", 2)], "t")


@pytest.mark.parametrize(("act", "warm"), [(puts, True), (puts, False), (writes, True)])
async def test_a_cancelled_write_is_whole_or_not_there(server, act, warm):
    nth, over = 0, False
    async with MixSaver(server.url, api="0.8") as own, MixSaver(server.url, api="0.8") as other:
        await other.aget_tuple(config("none"))  # A connection is there: waiting for one is not what this is about.
        while not over:
            nth += 1
            thread = f"{act.__name__} {warm} {nth}"
            await own.aput(config(thread), checkpoint("1", x=1), {}, {"x": "x 1"})
            saver = own if warm else other
            over = await cut(act(saver, thread), nth)
            assert saver._connection.threads._lock._queues == {}
            await asyncio.wait_for(saver.aput(config(thread), checkpoint("3", x=3), {}, {"x": "x 3"}), 10)
            found = [one async for one in other.alist(config(thread))]
            ids = [one.config["configurable"]["checkpoint_id"] for one in found]
            if act is puts:
                assert ids in (["3", "2", "1"], *[["3", "1"]] * (not over))
            else:
                assert ids == ["3", "1"]
                assert found[1].pending_writes in ([("t", "x", 1), ("t", "y", 2)], *[[]] * (not over))
    assert nth > (4 if warm else 15)


@pytest.fixture
def known_forks(monkeypatch):
    """The forks whose answers have reached the client; it cannot know of those that were cancelled before."""
    known = set()
    perform = AsyncTransport.perform

    async def watched(self, step, **options):
        result = await perform(self, step, **options)
        if isinstance(step, Call) and step.path.endswith("/fork"):
            known.add(result.id)
        return result

    monkeypatch.setattr(AsyncTransport, "perform", watched)
    return known


async def test_a_cancelled_copy_leaves_no_session(known_forks):
    with MixEmulator(api="0.7") as server:
        model = ChatMix(server_url=server.url)
        async with MixSaver(server.url, api="0.7") as saver, model.client:
            said = [HumanMessage("hello")]
            said.append(await model.ainvoke(said))
            await saver.aput(config("a"), checkpoint("1", messages=said), {}, {"messages": "messages 1"})
            before = {one["id"] for one in server.state.sessions.listing(include_subagents=True)}
            nth, over, kept = 0, False, set()
            while not over:
                nth += 1
                over = await cut(saver.acopy_thread("a", f"b{nth}"), nth)
                made = {one["id"] for one in server.state.sessions.listing(include_subagents=True)} - before
                forks = [one for one in server.requests if one.path.endswith("/fork")]
                assert len(made) <= len(forks)
                there = [one async for one in saver.alist(config(f"b{nth}"))]
                new = made & known_forks - kept
                assert len(new) <= (1 if there else 0)
                kept |= new
            assert there
            assert len(new) == 1
            assert len(known_forks) > 3, "it was cut after the fork, too"
