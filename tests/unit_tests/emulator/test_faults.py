from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from langchain_mix.emulator.faults import DropEvent, Faults, FullQueue, HttpError


def test_a_fault_acts_as_often_as_its_count_allows():
    fault = HttpError("/x", count=2)
    faults = Faults(fault)
    assert [faults.take(fault) for _ in range(3)] == [True, True, False]
    assert faults.times(fault) == 2


def test_equal_faults_are_still_two():
    first, second = DropEvent("a"), DropEvent("a")
    faults = Faults(first, second)
    faults.take(first)
    assert (faults.times(first), faults.times(second)) == (1, 0)
    faults.remove(first)
    assert list(faults) == [second]


def test_threads_never_use_up_more_than_there_is():
    fault = HttpError("/x", count=500)
    faults = Faults(fault)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: faults.take(fault), range(2000)))
    assert taken.count(True) == 500


def test_the_smallest_queue_counts():
    faults = Faults(FullQueue(7), FullQueue(3))
    assert faults.queue_size(50) == 3
    faults.clear()
    assert faults.queue_size(50) == 50


def test_waiting_for_a_fault():
    fault = HttpError("/x")
    faults = Faults(fault)
    with pytest.raises(TimeoutError, match="acted 0 times"):
        faults.wait_for(fault, timeout=0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(faults.wait_for, fault)
        faults.take(fault)
        waiting.result(5)
