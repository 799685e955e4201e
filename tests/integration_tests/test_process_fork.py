"""Forked processes: parent and children share nothing that one of them could spoil for another."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import threading
from contextlib import ExitStack, contextmanager
from functools import cached_property

import httpx
import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.base import empty_checkpoint

from langchain_mix import ChatMix, MixEmulator, MixRetriever, MixSaver, process_fork
from langchain_mix.client import Mix
from langchain_mix.emulator import Gate, SlowReply
from langchain_mix.emulator.agents import Text
from langchain_mix.emulator.agents.base import Wait
from langchain_mix.errors import MixConfigurationError, MixStreamError, MixUsageError
from langchain_mix.fifo_lock import FifoLock
from langchain_mix.retrievers import MixFileLoader, upload


def run(mix, work):
    """Runs a coroutine in a loop of its own and closes what it opened there."""

    async def closing():
        try:
            return await work
        finally:
            await mix.aclose()

    return asyncio.run(closing())


LOCKS = (type(threading.Lock()), type(threading.RLock()), threading.Condition)
CHILDREN = 3


class Echo:
    async def reply(self, request):
        yield Text("echo:" + [line.text for line in request.lines if line.role == "user"][-1])


class Held:
    """Says something, and the rest when its gate is opened."""

    def __init__(self):
        self.gate = Gate()

    async def reply(self, request):
        yield Text("begun ")
        yield Wait(self.gate)
        yield Text("done")


@contextmanager
def every_lock_held():
    """Has another thread hold all locks of this package, as at an unlucky fork."""
    held, free = threading.Event(), threading.Event()
    things = [o for o in gc.get_objects() if str(type(o).__module__).startswith("langchain_mix")]
    things += [module for name, module in list(sys.modules.items()) if name.startswith("langchain_mix")]
    values = [value for thing in things for value in list(getattr(thing, "__dict__", {}).values())]
    locks = list({id(value): value for value in values if isinstance(value, LOCKS)}.values())
    assert len(locks) > 15, "the locks are kept elsewhere now"

    def hold():
        with ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            held.set()
            free.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    yield
    free.set()
    thread.join()


def use_everything(model, saver, retriever):
    """Something of each part; the same in parent and child."""
    reply = model.invoke("who?").text
    areply = run(model.client, model.ainvoke("and?")).text
    config = {"configurable": {"thread_id": "locks", "checkpoint_ns": ""}}
    saver.put(config, empty_checkpoint(), {}, {})
    found = len(list(saver.list(config)))
    adocs = run(saver.mix, retriever.ainvoke("apples"))
    return reply, areply, found, {d.page_content for d in [*retriever.invoke("apples"), *adocs]}


def test_a_child_waits_for_no_lock_that_a_thread_of_its_parent_held(forked, tmp_path):
    (tmp_path / "fruit.txt").write_text("apples are red")
    with MixEmulator(agent=Echo()) as server, Mix(server_url=server.url) as mix:
        session = mix.sessions.create(title="files").id
        upload([tmp_path / "fruit.txt"], session_id=session, mix=mix, progress=False)
        parts = (
            ChatMix(server_url=mix.server_url, api=server.api.value),
            MixSaver(mix=mix),
            MixRetriever(mix=mix, session_id=session),
        )
        use_everything(*parts)
        with every_lock_held():
            children = [forked(lambda: use_everything(*parts)) for _ in range(2)]
        for child in children:
            reply, areply, found, pages = child.result()
            assert (reply, areply, pages) == ("echo:who?", "echo:and?", {"apples are red"})
            assert found >= 2


def test_a_child_waits_for_no_cached_property_that_its_parent_computes(forked):
    computing, free = threading.Event(), threading.Event()

    @process_fork.renew_cached_properties
    class Thing:
        @cached_property
        def value(self):
            if process_fork.depth == depth:
                computing.set()
                free.wait()
            return process_fork.depth

    depth, other = process_fork.depth, Thing()
    thread = threading.Thread(target=lambda: other.value)
    thread.start()
    computing.wait()
    child = forked(lambda: Thing().value)
    free.set()
    thread.join()
    assert child.result() == depth + 1


def test_a_renewal_that_fails_is_reported_and_keeps_no_other_from_it(forked):
    class Failing:
        def renew(self):
            raise ValueError("no longer there")

    failing, before, reported = Failing(), FifoLock(), []
    process_fork.renew_in_child(failing.renew)
    after = FifoLock()
    with pytest.MonkeyPatch.context() as patch, before._mutex, after._mutex:
        patch.setattr(sys, "unraisablehook", lambda report: reported.append(repr(report.exc_value.exceptions)))
        child = forked(lambda: (before.enter("k").granted, after.enter("k").granted, reported))
    assert child.result() == (True, True, ["(ValueError('no longer there'),)"])


# Connections


def test_no_two_processes_use_one_connection(forked):
    with MixEmulator() as server, Mix(server_url=server.url) as mix, asyncio.Runner() as runner:
        ids = [mix.sessions.create(title=str(n)).id for n in range(2 * CHILDREN)]
        runner.run(mix.sessions.get_async(id=ids[0]))
        before = server.connections
        assert before == 2

        def look():
            same = [mix.sessions.get(id=i).id for i in ids] == ids

            async def look_async():
                return [(await mix.sessions.get_async(id=i)).id for i in ids] == ids

            return same, asyncio.run(look_async()), forked_twice() if process_fork.depth == 1 else True

        def forked_twice():
            return forked(lambda: mix.sessions.get(id=ids[1]).id).result() == ids[1]

        children = [forked(look) for _ in range(CHILDREN)]
        assert [mix.sessions.get(id=i).id for i in ids] == ids
        assert runner.run(mix.sessions.get_async(id=ids[1])).id == ids[1]
        assert [child.result() for child in children] == [(True, True, True)] * CHILDREN
        server.wait_until(lambda: server.connections == before)
        mix.sessions.get(id=ids[0])
        runner.run(mix.sessions.get_async(id=ids[0]))
        assert server.connections == before, "the parent had to connect again"
        runner.run(mix.aclose())


def test_a_connection_that_the_parent_closes_is_closed_for_the_server_while_a_child_lives(forked):
    with MixEmulator() as server, asyncio.Runner() as runner:
        mix = Mix(server_url=server.url)
        mix.sessions.list()
        runner.run(mix.sessions.list_async())
        done, told = socket.socketpair()
        with done, told:
            child = forked(lambda: done.recv(1))
            runner.run(mix.aclose())
            server.wait_until(lambda: server.connections == 0)
            told.send(b".")
            assert child.result() == b"."


def test_letting_go_tells_the_peer_nothing_and_leaves_the_number_taken():
    class Shown:
        """What an event loop shows of a socket: not the socket itself."""

        def __init__(self, sock):
            self.fileno = sock.fileno

    ours, peer = socket.socketpair()
    with ours, peer, ours.dup() as parents:
        number = ours.fileno()
        process_fork.abandon_sockets([Shown(ours), None])
        assert ours.fileno() == number
        peer.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.recv(1)
        parents.send(b"on")
        assert peer.recv(2) == b"on"
        process_fork.abandon_sockets([parents])
        assert peer.recv(2) == b"", "the last share is gone"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_http_client_of_the_user_that_was_used_before_a_fork_is_refused(forked, asynchronous):
    def look(mix):
        if process_fork.depth and asynchronous:
            return asyncio.run(mix.sessions.list_async())
        return runner.run(mix.sessions.list_async()) if asynchronous else mix.sessions.list()

    def fails(mix):
        with pytest.raises(MixConfigurationError, match=r"client.*forked.*post_fork") as caught:
            look(mix)
        return caught.value.acted

    with MixEmulator() as server, httpx.Client() as client, httpx.Client() as other, asyncio.Runner() as runner:
        async_client, async_other = httpx.AsyncClient(), httpx.AsyncClient()
        used = Mix(server_url=server.url, client=client, async_client=async_client)
        unused = Mix(server_url=server.url, client=other, async_client=async_other)
        look(used)
        assert forked(lambda: fails(used)).result() == "no"
        assert forked(lambda: look(unused)).result() == []
        runner.run(async_client.aclose())


# Turns under way


@pytest.mark.parametrize("api", ["0.6", "0.8"])
def test_a_turn_that_runs_at_a_fork_goes_on_in_the_parent_alone(forked, api):
    agent = Held()
    with MixEmulator(api=api, agent=agent) as server, Mix(server_url=server.url, api=api) as mix:
        session = mix.sessions.create(title="s").id
        turn = mix.turn(session, "go")
        model = ChatMix(server_url=mix.server_url, api=api, retention="delete")
        chunks = model.stream("go")
        next(turn), next(chunks)
        server.forget_requests()

        def meddle():
            with pytest.raises(MixUsageError, match="begun by the process that this one was forked from"), turn:
                for _ in turn:
                    pass
            with pytest.raises(MixUsageError, match="forked"):
                list(chunks)
            turn.close()
            chunks.close()

        forked(meddle).result()
        assert server.requests == []
        assert server.turns == 2
        agent.gate.open()
        list(turn)
        assert turn.result.text == "begun done"
        assert "".join(chunk.text for chunk in chunks).endswith("done")
        model.client.close()


def test_a_stream_that_is_open_at_a_fork_is_read_in_the_parent_alone(forked):
    agent = Held()
    with MixEmulator(agent=agent) as server, Mix(server_url=server.url) as mix:
        session = mix.sessions.create(title="s").id
        with mix.streaming.stream_events(session_id=session) as stream:
            next(stream)

            def read_on():
                with pytest.raises(MixStreamError, match="opened by the process that this one was forked from"):
                    list(stream)
                stream.close()

            forked(read_on).result()
            assert server.streams == 1
            agent.gate.open()
            mix.messages.send(id=session, text="go")
            assert next(event for event in stream if event.event == "complete")


# Conversations


@pytest.mark.parametrize("api", ["0.5", "0.7", "0.8"])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_parent_and_children_go_on_with_one_conversation_each_in_a_session_of_its_own(forked, api, asynchronous):
    with MixEmulator(api=api, agent=Echo()) as server, Mix(server_url=server.url, api=api) as mix:
        model = ChatMix(server_url=mix.server_url, api=server.api.value)
        messages = [HumanMessage("one")]
        messages.append(model.invoke(messages))

        def go_on(who):
            said, sessions = messages, []
            for number in range(2):
                said = [*said, HumanMessage(f"{who}-{number}")]
                reply = run(model.client, model.ainvoke(said)) if asynchronous else model.invoke(said)
                assert reply.text.endswith(f"{who}-{number}"), reply.text
                assert reply.response_metadata["mix"]["digest"], "somebody else wrote into the session"
                sessions.append(reply.response_metadata["mix"]["session_id"])
                said.append(reply)
            return sessions

        children = [forked(lambda who=who: go_on(f"child{who}")) for who in range(CHILDREN)]
        parents = go_on("parent")
        assert set(parents) == {messages[-1].response_metadata["mix"]["session_id"]}
        others = [child.result() for child in children]
        assert all(first == second for first, second in others), "a child does not go on where it went"
        assert len({parents[0], *(first for first, _ in others)}) == 1 + CHILDREN


def test_a_child_that_must_not_diverge_goes_on_in_the_session(forked):
    with MixEmulator(agent=Echo()) as server, Mix(server_url=server.url) as mix:
        model = ChatMix(server_url=mix.server_url, api=server.api.value, on_divergence="error")
        messages = [HumanMessage("one")]
        messages.append(model.invoke(messages))
        reply = forked(lambda: model.invoke([*messages, HumanMessage("two")])).result()
        assert reply.text == "echo:two"
        assert len(server.state.sessions.listing(include_subagents=True)) == 1


# Checkpoints


@pytest.mark.parametrize("asynchronous", [False, True])
def test_checkpoints_that_parent_and_children_put_on_one_thread_are_all_kept(forked, asynchronous):
    with MixEmulator() as server, Mix(server_url=server.url) as mix:
        saver = MixSaver(mix=mix, store={"attempts": 100})
        config = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}

        def put(count):
            ids = []
            for _ in range(count):
                checkpoint = empty_checkpoint()
                if asynchronous:
                    run(mix, saver.aput(config, checkpoint, {}, {}))
                else:
                    saver.put(config, checkpoint, {}, {})
                ids.append(checkpoint["id"])
            return ids

        expected = put(2)
        children = [forked(lambda: put(4)) for _ in range(CHILDREN)]
        expected += put(4)
        for child in children:
            expected += child.result()
        stored = [found.checkpoint["id"] for found in MixSaver(server_url=server.url).list(config)]
        assert sorted(stored) == sorted(expected)


# Files


def test_a_child_waits_for_no_refresh_and_no_download_of_its_parent(forked, tmp_path):
    for number in range(12):
        (tmp_path / f"{number}.txt").write_text(f"apples {number}")
    gate = Gate()
    with MixEmulator() as server, Mix(server_url=server.url) as mix, ExitStack() as stack:
        session = mix.sessions.create(title="files").id
        upload(sorted(tmp_path.iterdir()), session_id=session, mix=mix, progress=False)
        retriever = MixRetriever(mix=mix, session_id=session, k=20)
        slow = server.faults.add(SlowReply("GET /api/sessions/[^/]+/files/0.txt", gate=gate, count=1))
        thread = threading.Thread(target=retriever.invoke, args=("apples",))
        thread.start()
        stack.callback(thread.join)
        stack.callback(gate.open)
        server.faults.wait_for(slow)
        assert len(forked(lambda: retriever.invoke("apples")).result()) == 12
        loaded = MixFileLoader(session, mix=mix).lazy_load()
        next(loaded)

        def load_on():
            with pytest.raises(MixUsageError, match="forked"):
                list(loaded)

        forked(load_on).result()
        assert len(list(loaded)) == 11


# The server


def test_a_child_ends_no_server_of_its_parent_and_keeps_none_of_it(forked):
    with MixEmulator() as server:
        mix = Mix(server_url=server.url, retry_config=None)
        url, directory = server.url, server.data_dir

        def end():
            assert server.url == url
            with pytest.raises(RuntimeError, match="forked"):
                _ = server.state
            with pytest.raises(RuntimeError, match="forked"):
                server.wait_until(lambda: False)
            server.stop()
            return Mix(server_url=url).sessions.list()

        assert forked(end).result() == []
        assert directory.is_dir()
        assert mix.sessions.create(title="s").id
        done, told = socket.socketpair()
        with done, told:
            child = forked(lambda: (done.send(b"."), done.recv(1)))
            told.recv(1)  # It runs.
            mix.close()
            server.stop()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=5)
            told.send(b".")
            child.result()
        assert not directory.exists()
