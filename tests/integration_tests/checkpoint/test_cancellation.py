"""Tasks that are cancelled wherever they wait: all or nothing is stored, nobody is held up, nothing is left behind."""

from __future__ import annotations

import asyncio
import types

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from langchain_mix import ChatMix, MixEmulator, MixSaver
from langchain_mix.checkpoint import runtime
from langchain_mix.client._async import AsyncTransport
from langchain_mix.emulator.faults import CloseConnection
from langchain_mix.errors import MixError
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


EVERY = 7
"""By default long operations are cancelled at every seventh wait: a request has fewer, so that each kind has its turn."""


@pytest.mark.parametrize(
    ("act", "warm", "every"),
    [
        (puts, True, 1),
        (puts, False, EVERY),
        (writes, True, 1),
        pytest.param(puts, False, 1, marks=pytest.mark.exhaustive),
    ],
)
async def test_a_cancelled_write_is_whole_or_not_there(server, act, warm, every):
    nth, over = 1 - every, False
    async with MixSaver(server.url, api="0.8") as own, MixSaver(server.url, api="0.8") as other:
        await other.aget_tuple(config("none"))  # A connection is there: waiting for one is not what this is about.
        while not over:
            nth += every
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


def sessions_of(server):
    return {one["id"] for one in server.state.sessions.listing(include_subagents=True)}


def uploads(server):
    return len([one for one in server.requests if one.path.endswith("/files/upload")])


@pytest.mark.parametrize("every", [EVERY, pytest.param(1, marks=pytest.mark.exhaustive)])
async def test_a_cancelled_copy_leaves_no_session(known_forks, every):
    with MixEmulator(api="0.7") as server:
        model = ChatMix(server_url=server.url)
        async with MixSaver(server.url, api="0.7") as saver, model.client:
            said = [HumanMessage("hello")]
            said.append(await model.ainvoke(said))
            await saver.aput(config("a"), checkpoint("1", messages=said), {}, {"messages": "messages 1"})
            before = sessions_of(server)
            nth, over, kept = 1 - every, False, set()
            while not over:
                nth += every
                uploaded = uploads(server)
                over = await cut(saver.acopy_thread("a", f"b{nth}"), nth)
                made = sessions_of(server) - before
                forks = [one for one in server.requests if one.path.endswith("/fork")]
                assert len(made) <= len(forks)
                there = [one async for one in saver.alist(config(f"b{nth}"))]
                new = made & known_forks - kept
                if there:
                    assert {(await saver.asession_of(config(f"b{nth}"))).session_id} == new
                else:
                    # The owner file and the marker are uploaded first; then the copy, which might have arrived.
                    assert not new or uploads(server) - uploaded >= 2
                kept |= new
            assert there
            assert len(known_forks) > 3, "it was cut after the fork, too"


@pytest.mark.parametrize(
    ("underneath", "acts"),
    [
        pytest.param(False, True, id="mix-after a step"),
        pytest.param(False, False, id="mix-instead of a step", marks=pytest.mark.exhaustive),
        pytest.param(True, True, id="memory-after a step"),
        pytest.param(True, False, id="memory-instead of a step"),
    ],
)
def test_an_interrupted_copy_deletes_no_session_that_it_points_to(monkeypatch, underneath, acts):
    perform, left, answered = runtime.perform, [0], []

    def interrupted(mix, step):
        left[0] -= 1
        if left[0] == 0 and not acts:
            raise KeyboardInterrupt
        result = perform(mix, step)
        if left[0] == 0:
            raise KeyboardInterrupt
        answered.append(str(step))
        return result

    with MixEmulator(api="0.7") as server:
        model = ChatMix(server_url=server.url)
        storage = InMemorySaver() if underneath else None
        with MixSaver(server.url, api="0.7", storage=storage) as saver, model.client:
            said = [HumanMessage("hello")]
            said.append(model.invoke(said))
            saver.put(config("a"), checkpoint("1", messages=said), {}, {"messages": "messages 1"})
            monkeypatch.setattr(runtime, "perform", interrupted)
            nth, over, outcomes = 0, False, set()
            while not over:
                nth += 1
                before, left[0] = sessions_of(server), nth
                answered.clear()
                try:
                    saver.copy_thread("a", f"b{nth}")
                    over = left[0] > 0
                except KeyboardInterrupt as interrupt:
                    notes = " ".join(getattr(interrupt, "__notes__", ()))
                left[0] = 0
                made = sessions_of(server) - before
                there = list(saver.list(config(f"b{nth}")))
                if there:
                    assert {saver.session_of(config(f"b{nth}")).session_id} == made
                elif made and any(step.endswith("/fork") for step in answered):
                    assert made <= set(notes.replace(",", " ").replace(".", " ").split()), "it is named"
                outcomes.add((bool(there), bool(made)))
        assert {(False, False), (True, True)} <= outcomes
        assert ((False, True) in outcomes) == (acts or not underneath)


class ThirdUpload(CloseConnection):
    """Ends the connection of an upload after two others."""

    def matches(self, method, path):
        self.seen.append(path.endswith("/files/upload"))
        return self.seen[-1] and sum(self.seen) == 3


@pytest.mark.parametrize("acts", [True, False])
@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_copy_of_unknown_outcome_keeps_its_sessions(asynchronous, acts):
    """The third upload is the copy. Its answer is lost, so that it cannot be known whether the server has acted."""
    with MixEmulator(api="0.7") as server:
        model = ChatMix(server_url=server.url)
        with MixSaver(server.url, api="0.7") as saver, model.client:
            said = [HumanMessage("hello")]
            said.append(model.invoke(said))
            saver.put(config("a"), checkpoint("1", messages=said), {}, {"messages": "messages 1"})
            before = sessions_of(server)
            fault = ThirdUpload(before=not acts)
            object.__setattr__(fault, "seen", [])
            server.faults.add(fault)
            with pytest.raises(MixError) as caught:
                asyncio.run(saver.acopy_thread("a", "b")) if asynchronous else saver.copy_thread("a", "b")
            server.faults.clear()
            (made,) = sessions_of(server) - before
            assert made in caught.value.__notes__[0]
            assert bool(list(saver.list(config("b")))) == acts
            if acts:
                assert saver.session_of(config("b")).session_id == made
