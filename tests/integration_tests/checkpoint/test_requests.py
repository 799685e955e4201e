"""What an operation costs, in requests: the same at ten checkpoints and at a thousand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.base.id import uuid6

from langchain_mix import MixEmulator, MixSaver
from langchain_mix.checkpoint.state import StoreSettings

A = {"configurable": {"thread_id": "a"}}


@pytest.fixture
def server():
    with MixEmulator(api="0.8") as server:
        yield server


def put(saver, step, config=A):
    checkpoint = empty_checkpoint()
    checkpoint["id"] = str(uuid6(clock_seq=-1))
    checkpoint["channel_values"] = {"messages": [AIMessage(f"m{step}")], "constant": "c"}
    checkpoint["channel_versions"] = {"messages": f"{step:032}.{uuid4().int}", "constant": "1"}
    changed = {"messages": checkpoint["channel_versions"]["messages"]}
    return saver.put(config, checkpoint, {"source": "loop", "step": step}, changed)


@pytest.mark.parametrize(
    ("length", "segment_entries"), [(10, 16), pytest.param(1000, 64, marks=pytest.mark.exhaustive)]
)
def test_requests_per_operation(server, length, segment_entries):
    settings = StoreSettings(segment_entries=segment_entries)
    with MixSaver(server.url, api="0.8", store=settings) as saver:

        def costs(work, using=saver):
            server.forget_requests()
            work(using)
            return len(server.requests)

        first = costs(lambda saver: put(saver, 0))
        config, puts, writes = A, [], []
        # All but the last hundred are stored at once, many in one upload: what is there is the same.
        with ThreadPoolExecutor(50) as pool:
            list(pool.map(lambda step: put(saver, step, A), range(max(length - 100, 0))))
        for step in range(max(length - 100, 0), length):
            given = config

            def store(saver, given=given, step=step):
                nonlocal config
                config = put(saver, step, given)

            puts.append(costs(store))
            writes.append(costs(lambda saver: saver.put_writes(config, [("messages", "w")], "t")))
        # The first one finds a session, makes it, looks for files of earlier versions, and becomes the thread's writer.
        assert 2 < first <= 11
        # Once in a while a full active segment moves to a file of its own.
        every = [*puts, *writes]
        assert set(every) <= {2, 3}
        assert 1 <= every.count(3) <= len(every) // segment_entries + 1
        assert costs(lambda saver: saver.get_tuple(A)) == 1
        middle = saver.get_tuple(config).parent_config
        assert costs(lambda saver: saver.get_tuple(middle)) == 1

        def cold(work):
            with MixSaver(server.url, api="0.8", session_id=saver._connection.session_files.session_id) as other:
                return costs(work, other)

        assert cold(lambda saver: saver.get_tuple(A)) <= 3
        assert cold(lambda saver: list(saver.list(A, limit=10))) <= 4
        assert cold(lambda saver: saver.get_tuple({"configurable": {"thread_id": "none"}})) <= 4
        # One that has to find the session itself makes one more.
        with MixSaver(server.url, api="0.8") as other:
            assert costs(lambda saver: saver.get_tuple(A), other) <= 4
            assert other._connection.session_files.session_id == saver._connection.session_files.session_id


async def test_asynchronous_methods_cost_the_same(server):
    async with MixSaver(server.url, api="0.8") as saver:
        for step in range(3):
            server.forget_requests()
            checkpoint = {**empty_checkpoint(), "id": str(uuid6(clock_seq=-1))}
            config = await saver.aput(A, checkpoint, {"step": step}, {})
            assert step == 0 or len(server.requests) == 2
            server.forget_requests()
            await saver.aput_writes(config, [("x", 1)], "t")
            assert len(server.requests) == 2
            server.forget_requests()
            await saver.aget_tuple(A)
            assert len(server.requests) == 1


def test_nothing_is_sent_for_nothing(server):
    with MixSaver(server.url) as saver:
        saver.put_writes({"configurable": {"thread_id": "a", "checkpoint_id": "1"}}, [], "t")
        saver.delete_for_runs([])
        saver.prune([])
        assert saver.get_delta_channel_history(config=A, channels=[]) == {}
        assert server.requests == []


def test_unchanged_channels_are_not_serialised_again(server, monkeypatch):
    with MixSaver(server.url) as saver:
        serialised = []
        dumps = type(saver.serde).dumps_typed
        monkeypatch.setattr(
            type(saver.serde), "dumps_typed", lambda self, value: serialised.append(value) or dumps(self, value)
        )
        config = put(saver, 1)
        assert "c" in serialised
        serialised.clear()
        config = put(saver, 2, config)
        assert "c" not in serialised
        assert saver.get_tuple(A).checkpoint["channel_values"] == {"messages": [AIMessage("m2")], "constant": "c"}
