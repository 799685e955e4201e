"""Calls of a flow that go together: at the same time in tasks, one after another in threads."""

from __future__ import annotations

import asyncio

import pytest

from langchain_mix import Mix, MixEmulator, MixError
from langchain_mix.emulator import Gate, HttpError, SlowReply
from langchain_mix.protocol import calls
from langchain_mix.protocol.call import together


@pytest.fixture
def server():
    with MixEmulator(api="0.8") as server:
        yield server


def three(ids):
    return together([calls.get_session(one) for one in ids])


def test_results_come_in_the_order_of_the_calls(server):
    with Mix(server_url=server.url) as mix:
        ids = [mix.sessions.create(title=f"{n}").id for n in range(3)]
        assert [session.title for session in mix.run(three(ids))] == ["0", "1", "2"]
        assert mix.run(together([])) == []


async def test_tasks_send_them_at_the_same_time(server):
    async with Mix(server_url=server.url) as mix:
        ids = [(await mix.sessions.create_async(title=f"{n}")).id for n in range(3)]
        gate = Gate()
        server.faults.add(SlowReply(f"GET .*{ids[0]}", gate=gate))
        server.forget_requests()
        asked = asyncio.ensure_future(mix.run_async(three(ids)))
        assert await asyncio.to_thread(gate.reached.wait, 10)
        while sum(request.status == 200 for request in server.requests) < 2:
            await asyncio.to_thread(gate.reached.wait, 0.01)
            await asyncio.sleep(0.001)  # noqa: TID251  # The first has no answer yet: only then are the others asked.
        assert not asked.done()
        gate.open()
        assert [session.title for session in await asked] == ["0", "1", "2"]


async def test_when_one_fails_the_others_are_not_waited_for(server):
    async with Mix(server_url=server.url) as mix:
        ids = [(await mix.sessions.create_async(title=f"{n}")).id for n in range(2)]
        gate = Gate()
        server.faults.add(SlowReply(f"GET .*{ids[0]}", gate=gate))
        server.faults.add(HttpError(f"GET .*{ids[1]}", status=400))

        def flow():
            try:
                yield from three(ids)
            except MixError as error:
                return error.status_code

        assert await asyncio.wait_for(mix.run_async(flow()), 10) == 400
        gate.open()


def test_a_thread_sends_none_after_one_that_fails(server):
    with Mix(server_url=server.url) as mix:
        session = mix.sessions.create(title="one")
        server.faults.add(HttpError("GET .*/missing", status=400))
        server.forget_requests()
        with pytest.raises(MixError):
            mix.run(three(["missing", session.id]))
        assert len(server.requests) == 1
