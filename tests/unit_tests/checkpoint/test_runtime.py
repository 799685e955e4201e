"""Procedures are driven the same way by threads and by tasks, and turns are given back whatever happens."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from langchain_mix.checkpoint.line import Lines
from langchain_mix.checkpoint.runtime import Pause, Turn, run, run_async
from langchain_mix.errors import MixUsageError
from langchain_mix.protocol.call import Together


class Client:
    """Runs the steps of flows: an exception is raised, a function called, anything else is the result."""

    def run(self, flow):
        return next(flow)()

    async def run_async(self, flow):
        found = next(flow)()
        return await found if asyncio.iscoroutine(found) else found


def both(steps):
    """Runs a procedure in both worlds."""
    return [run(Client(), steps()), asyncio.run(run_async(Client(), steps()))]


def test_a_procedure_gets_results_and_errors_and_gives_its_own():
    def broken():
        raise KeyError("x")

    def steps():
        first = yield lambda: 1
        try:
            yield broken
        except KeyError:
            return first + (yield lambda: 2)

    assert both(steps) == [3, 3]


def test_calls_that_go_together_reach_the_client_as_they_are():
    seen = []

    class Spy(Client):
        def run(self, flow):
            seen.append(next(flow))
            return ["a"]

    def steps():
        return (yield Together(()))

    assert run(Spy(), steps()) == ["a"]
    assert seen == [Together(())]


def test_a_pause_is_a_pause():
    def steps():
        yield Pause(0.02)
        return "over"

    started = time.monotonic()
    assert both(steps) == ["over", "over"]
    assert time.monotonic() - started >= 0.04


def turn(lines, inside, key="t"):
    def steps():
        ticket = lines.enter(key, None)
        try:
            yield Turn(ticket)
            return (yield inside)
        finally:
            lines.leave(ticket)

    return steps()


def test_threads_and_tasks_wait_for_each_other():
    lines, inside, most = Lines(), [0], [0]
    lock = threading.Lock()

    def work():
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        with lock:
            inside[0] -= 1
        return 1

    async def tasks():
        return sum(await asyncio.gather(*(run_async(Client(), turn(lines, work)) for _ in range(50))))

    done = []
    threads = [threading.Thread(target=lambda: done.append(asyncio.run(tasks()))) for _ in range(2)]
    threads += [threading.Thread(target=lambda: done.append(run(Client(), turn(lines, work)))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sum(done) == 120
    assert most == [1]
    assert lines._lines == {}


async def test_a_synchronous_call_never_waits_for_a_task_of_its_own_loop():
    lines, go = Lines(), asyncio.Event()

    async def wait():
        await go.wait()

    holder = asyncio.ensure_future(run_async(Client(), turn(lines, wait)))
    await asyncio.sleep(0)  # noqa: TID251  # Lets the tasks begin.
    with pytest.raises(MixUsageError, match="event loop") as told:
        run(Client(), turn(lines, lambda: 1))
    assert "asynchronous method" in told.value.hint
    assert run(Client(), turn(lines, lambda: 1, "another thread")) == 1
    waiting = asyncio.ensure_future(asyncio.to_thread(run, Client(), turn(lines, lambda: 2)))
    go.set()
    await holder
    assert await waiting == 2
    assert lines._lines == {}


async def test_a_cancelled_task_gives_its_place_back():
    lines, go = Lines(), asyncio.Event()

    async def wait():
        await go.wait()

    holder, waiter, last = (asyncio.ensure_future(run_async(Client(), turn(lines, wait))) for _ in range(3))
    await asyncio.sleep(0)  # noqa: TID251  # Lets the tasks begin.
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder
    go.set()
    await last
    assert lines._lines == {}


def test_a_waiter_of_a_closed_loop_stops_nobody():
    lines = Lines()
    held = lines.enter("t", None)
    loop = asyncio.new_event_loop()
    task = loop.create_task(run_async(Client(), turn(lines, lambda: 1)))
    loop.run_until_complete(asyncio.sleep(0))  # noqa: TID251  # Lets the task begin.
    loop.close()
    lines.leave(held)
    assert run(Client(), turn(lines, lambda: 2)) == 2
    with pytest.raises(RuntimeError):
        task.get_coro().throw(RuntimeError("gone"))
    task._log_destroy_pending = False


def test_an_interrupt_reaches_the_procedure():
    seen = []

    def interrupt():
        raise KeyboardInterrupt

    def real():
        try:
            yield interrupt
        except KeyboardInterrupt:
            seen.append("told")
            raise

    with pytest.raises(KeyboardInterrupt):
        run(Client(), real())
    assert seen == ["told"]
