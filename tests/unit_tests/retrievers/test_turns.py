"""One refresh at a time."""

from __future__ import annotations

import threading

import pytest

from langchain_mix.retrievers.session_index import SingleFlight


def test_who_comes_second_gets_the_first_one():
    flight = SingleFlight()
    first, own = flight.take()
    again, not_own = flight.take()
    assert own
    assert not not_own
    assert again is first
    flight.end(first)
    assert first.done.done()
    assert first.complete
    assert flight.take()[1]


def test_numbers_show_what_began_first():
    flight = SingleFlight()
    assert flight.arrive() == 0
    first, _ = flight.take()
    assert first.number > 0
    assert flight.arrive() == first.number


def test_who_cannot_wait_goes_alone_and_is_not_waited_for():
    flight = SingleFlight()
    first, _ = flight.take()
    alone, own = flight.take(alone=True)
    assert own
    assert flight.take()[0] is first
    flight.end(alone)
    assert flight.take()[0] is first
    flight.end(first)


@pytest.mark.parametrize(("error", "told"), [(ValueError("x"), True), (KeyboardInterrupt(), False)])
def test_a_failure_is_shared_and_an_end_in_the_middle_is_not(error, told):
    flight = SingleFlight()
    first, _ = flight.take()
    flight.end(first, error)
    assert not first.complete
    assert (first.error is error) is told


def test_only_one_of_many_threads_leads():
    flight, leaders, barrier = SingleFlight(), [], threading.Barrier(8)

    def go():
        barrier.wait()
        refresh, own = flight.take()
        if own:
            leaders.append(refresh)

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(leaders) == 1
