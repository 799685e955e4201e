"""One owner per key at a time, in the order of arrival, for threads and tasks together."""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import threading

import pytest

from langchain_mix.errors import MixUsageError
from langchain_mix.fifo_lock import FifoLock


def entered(lock, count, work=("entry",)):
    return [lock.enter("k", work) for _ in range(count)]


async def turn_of_the_loop():
    await asyncio.sleep(0)  # noqa: TID251  # Lets the other tasks go on.


def test_the_lock_is_granted_in_the_order_of_arrival_and_keys_do_not_wait_for_each_other():
    lock, woken = FifoLock(), []
    first, second, third = entered(lock, 3)
    other = lock.enter("another key")
    assert (first.granted, second.granted, third.granted, other.granted) == (True, False, False, True)
    assert lock.register(first, lambda: woken.append(1))
    assert not lock.register(second, lambda: woken.append(2))
    assert not lock.register(third, lambda: woken.append(3))
    first.release()
    assert woken == [2]
    second.release()
    second.release()
    assert woken == [2, 3]
    third.release()
    other.release()
    assert lock._queues == {}


def test_a_ticket_is_released_at_the_end_of_its_block():
    lock = FifoLock()
    with pytest.raises(KeyError), lock.enter("k") as ticket:
        assert ticket.granted
        raise KeyError
    assert not ticket.granted
    assert lock._queues == {}


def test_a_key_is_only_entered_at_once_if_nobody_has_it_or_waits():
    lock = FifoLock()
    first = lock.try_enter("k")
    assert first.granted
    assert lock.try_enter("k") is None
    second = lock.enter("k")
    first.release()
    assert lock.try_enter("k") is None
    second.release()
    assert lock.try_enter("k").granted


def test_a_released_place_is_never_woken():
    lock, woken = FifoLock(), []
    first, second, third, fourth = entered(lock, 4)
    lock.register(second, lambda: woken.append(2))
    lock.register(third, lambda: woken.append(3))
    second.release()
    assert woken == []
    first.release()
    assert woken == [3]
    fourth.release()
    assert woken == [3]


def test_a_released_ticket_cannot_be_waited_for():
    lock = FifoLock()
    ticket, _ = entered(lock, 2)
    ticket.release()
    with pytest.raises(MixUsageError, match="given back"):
        ticket.wait()


def test_a_wait_ends_after_its_time_and_keeps_its_place():
    lock = FifoLock()
    first, second, third = entered(lock, 3)
    assert second.wait(timeout=0.01) is False
    third.release()
    first.release()
    assert second.wait(timeout=0) is True


async def test_a_task_waits_no_longer_than_it_says_and_keeps_its_place():
    lock = FifoLock()
    first, second, _ = entered(lock, 3)
    assert await second.wait_async(timeout=0.01) is False
    first.release()
    assert await second.wait_async(timeout=0) is True


def test_threads_and_tasks_wait_for_each_other():
    lock, inside, most, order = FifoLock(), [0], [0], []
    mutex = threading.Lock()

    def work(ticket):
        with mutex:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            order.append(ticket)
        with mutex:
            inside[0] -= 1
        return 1

    async def one():
        with lock.enter("k") as ticket:
            assert await ticket.wait_async()
            await turn_of_the_loop()
            return work(ticket)

    async def tasks():
        return sum(await asyncio.gather(*(one() for _ in range(50))))

    def thread():
        with lock.enter("k") as ticket:
            assert ticket.wait()
            done.append(work(ticket))

    done = []
    threads = [threading.Thread(target=lambda: done.append(asyncio.run(tasks()))) for _ in range(2)]
    threads += [threading.Thread(target=thread) for _ in range(20)]
    for one_thread in threads:
        one_thread.start()
    for one_thread in threads:
        one_thread.join(20)
    assert sum(done) == 120
    assert most == [1]
    assert len(set(order)) == 120
    assert lock._queues == {}


async def test_a_cancelled_task_gives_its_place_back():
    lock, go, got = FifoLock(), asyncio.Event(), []

    async def hold(number):
        with lock.enter("k") as ticket:
            await ticket.wait_async()
            got.append(number)
            await go.wait()

    holder, waiter, last = (asyncio.ensure_future(hold(number)) for number in range(3))
    await turn_of_the_loop()
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder
    go.set()
    await last
    assert got == [0, 2]
    assert lock._queues == {}


async def test_a_task_that_is_cancelled_as_it_is_granted_passes_the_lock_on():
    lock, got = FifoLock(), []

    async def hold(number):
        with lock.enter("k") as ticket:
            await ticket.wait_async()
            got.append(number)

    first = lock.enter("k")
    cancelled, last = (asyncio.ensure_future(hold(number)) for number in range(2))
    await turn_of_the_loop()
    first.release()
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    await last
    assert got == [1]
    assert lock._queues == {}


def test_a_waiter_whose_event_loop_is_closed_is_passed_over():
    lock = FifoLock()
    first = lock.enter("k")
    loop = asyncio.new_event_loop()

    async def hold():
        with lock.enter("k") as ticket:
            await ticket.wait_async()

    task = loop.create_task(hold())
    loop.run_until_complete(turn_of_the_loop())
    loop.close()
    last = lock.enter("k")
    first.release()
    assert last.wait(timeout=10)
    with pytest.raises(RuntimeError, match="gone"):
        task.get_coro().throw(RuntimeError("gone"))
    task._log_destroy_pending = False


async def test_a_synchronous_wait_for_a_task_of_its_own_loop_is_refused():
    lock, go = FifoLock(), asyncio.Event()

    async def hold():
        with lock.enter("k") as ticket:
            await ticket.wait_async()
            await go.wait()

    holder = asyncio.ensure_future(hold())
    await turn_of_the_loop()
    with lock.enter("k") as ticket, pytest.raises(MixUsageError, match="event loop") as raised:
        ticket.wait()
    assert raised.value.acted == "no"
    with lock.enter("another key") as ticket:
        assert ticket.wait()
    with lock.enter("k") as ticket:
        waiting = asyncio.ensure_future(asyncio.to_thread(ticket.wait))
        go.set()
        await holder
        assert await waiting
    assert lock._queues == {}


def test_the_loops_of_those_in_front_are_known():
    lock, loop = FifoLock(), asyncio.new_event_loop()
    first, second, third = entered(lock, 3)
    with pytest.raises(TimeoutError):
        loop.run_until_complete(asyncio.wait_for(second.wait_async(), 0.01))
    assert lock.is_behind(third, loop)
    assert not lock.is_behind(second, loop)
    assert not lock.is_behind(first, loop)
    second.release()
    assert not lock.is_behind(third, loop)
    loop.close()


def test_work_that_another_owner_did_is_done():
    lock, woken = FifoLock(), []
    first, second, alone, third = *entered(lock, 2), *entered(lock, 1, None), *entered(lock, 1)
    for number, ticket in enumerate((second, alone, third), 2):
        lock.register(ticket, lambda number=number: woken.append(number))
    group = lock.claim_work(first)
    assert group == [first, second, third]
    assert (first.taken, second.taken, alone.taken) == (False, True, False)
    late = entered(lock, 1)[0]
    lock.finish_work(group, done=True)
    assert woken == [2, 4]
    assert [one.done for one in (first, second, third, alone, late)] == [True, True, True, False, False]
    assert second.wait(timeout=0)
    second.release()
    first.release()
    assert woken == [2, 4, 3]
    assert (alone.granted, late.granted) == (True, False)


def test_work_that_failed_is_left_to_its_owners():
    lock = FifoLock()
    first, second = entered(lock, 2)
    lock.finish_work(lock.claim_work(first), done=False)
    first.release()
    assert (second.done, second.taken, second.granted) == (False, False, True)


async def test_work_under_way_of_a_refused_wait_may_have_been_done():
    lock, loop = FifoLock(), asyncio.get_running_loop()
    first, second = entered(lock, 2)
    assert await first.wait_async()
    assert lock.is_behind(second, loop)
    lock.claim_work(first)
    with pytest.raises(MixUsageError) as raised:
        second.wait()
    assert raised.value.acted == "unknown"


def test_work_of_a_place_that_was_given_up_meanwhile_wakes_nobody():
    lock, woken = FifoLock(), []
    first, second = entered(lock, 2)
    lock.register(second, lambda: woken.append(2))
    group = lock.claim_work(first)
    second.release()
    lock.finish_work(group, done=True)
    assert woken == []
    first.release()
    assert lock._queues == {}


SHARED = FifoLock()


def in_child(answers, waiting):
    with SHARED.enter("k") as ticket:
        answers.put(ticket.wait(timeout=10))
        try:
            waiting.wait(timeout=10)
        except MixUsageError as error:
            answers.put(str(error))
        waiting.release()
        answers.put(ticket.granted)


@pytest.mark.skipif(sys.platform == "win32", reason="There is no fork.")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_begins_with_every_key_free():
    fork = multiprocessing.get_context("fork")
    answers = fork.SimpleQueue()
    with SHARED.enter("k"), SHARED.enter("k") as waiting, SHARED._mutex:
        child = fork.Process(target=in_child, args=(answers, waiting))
        child.start()
    child.join()
    assert child.exitcode == 0
    assert answers.get() is True
    assert "parent of this process" in answers.get()
    assert answers.get() is True
    assert SHARED._queues == {}
