"""Each step is performed the same way by threads and by tasks. Locks and procedures have tests of their own."""

from __future__ import annotations

import asyncio
import time

import pytest

from langchain_mix.checkpoint.runtime import AcquireLock, Pause, SaverCall, run, run_async
from langchain_mix.errors import MixUnsupportedError, MixUsageError
from langchain_mix.fifo_lock import FifoLock
from langchain_mix.protocol.call import Together


class Client:
    """Returns the step that it is given, to show that it came as it was."""

    def perform(self, step):
        return step

    async def perform_async(self, step):
        return step


def both(steps):
    """Runs a procedure in both worlds."""
    return [run(Client(), steps()), asyncio.run(run_async(Client(), steps()))]


def saver_call(result):
    async def twin():
        return await result() if asyncio.iscoroutinefunction(result) else result()

    return SaverCall("method", result, twin)


def test_calls_reach_the_client_as_they_are():
    step = Together(())

    def steps():
        return (yield step)

    assert all(one is step for one in both(steps))


def test_a_pause_waits():
    def steps():
        yield Pause(0.02)
        return "over"

    started = time.monotonic()
    assert both(steps) == ["over", "over"]
    assert time.monotonic() - started >= 0.04


def test_another_saver_is_called_in_the_way_of_each_world():
    async def later():
        return "async"

    def steps():
        return (yield SaverCall("list", lambda: "sync", later))

    assert both(steps) == ["sync", "async"]


def test_a_method_that_the_other_saver_lacks_is_named():
    def lacks():
        raise NotImplementedError("not here")

    def steps():
        yield saver_call(lacks)

    with pytest.raises(MixUnsupportedError, match="no `method`: not here"):
        run(Client(), steps())
    with pytest.raises(MixUnsupportedError, match="no `amethod`: not here"):
        asyncio.run(run_async(Client(), steps()))


def locked(lock, inside, key="t"):
    def steps():
        with lock.enter(key) as ticket:
            yield AcquireLock(ticket)
            return (yield saver_call(inside))

    return steps()


async def test_threads_and_tasks_wait_for_the_same_lock():
    lock, go, order = FifoLock(), asyncio.Event(), []

    async def wait():
        order.append("task")
        await go.wait()

    holder = asyncio.ensure_future(run_async(Client(), locked(lock, wait)))
    await asyncio.sleep(0)  # noqa: TID251  # Lets the task begin.
    waiting = asyncio.ensure_future(asyncio.to_thread(run, Client(), locked(lock, lambda: order.append("thread"))))
    go.set()
    await asyncio.gather(holder, waiting)
    assert order == ["task", "thread"]
    assert lock._queues == {}


async def test_a_synchronous_call_never_waits_for_a_task_of_its_own_loop():
    lock, go = FifoLock(), asyncio.Event()

    async def wait():
        await go.wait()

    holder = asyncio.ensure_future(run_async(Client(), locked(lock, wait)))
    await asyncio.sleep(0)  # noqa: TID251  # Lets the task begin.
    with pytest.raises(MixUsageError, match="event loop") as raised:
        run(Client(), locked(lock, lambda: 1))
    assert "asynchronous method" in raised.value.hint
    assert run(Client(), locked(lock, lambda: 1, "another thread")) == 1
    go.set()
    await holder
    assert lock._queues == {}


@pytest.mark.parametrize("cancelled", ["owner", "waiter"])
async def test_a_cancelled_task_gives_its_place_back(cancelled):
    lock, go = FifoLock(), asyncio.Event()

    async def wait():
        await go.wait()

    owner, waiter, last = (asyncio.ensure_future(run_async(Client(), locked(lock, wait))) for _ in range(3))
    await asyncio.sleep(0)  # noqa: TID251  # Lets the tasks begin.
    gone = owner if cancelled == "owner" else waiter
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    go.set()
    await asyncio.gather(*({owner, waiter, last} - {gone}))
    assert lock._queues == {}


def test_an_interrupt_reaches_the_procedure():
    seen = []

    def interrupt():
        raise KeyboardInterrupt

    def steps():
        try:
            yield saver_call(interrupt)
        except KeyboardInterrupt:
            seen.append("interrupted")
            raise

    with pytest.raises(KeyboardInterrupt):
        run(Client(), steps())
    assert seen == ["interrupted"]
