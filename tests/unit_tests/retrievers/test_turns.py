"""One refresh at a time."""

from __future__ import annotations

import threading

import pytest

from langchain_mix.retrievers.session_index import Turns


def test_who_comes_second_gets_the_first_one():
    turns = Turns()
    first, own = turns.take()
    again, not_own = turns.take()
    assert own
    assert not not_own
    assert again is first
    turns.end(first)
    assert first.done.done()
    assert first.complete
    assert turns.take()[1]


def test_numbers_tell_what_began_when():
    turns = Turns()
    assert turns.arrive() == 0
    first, _ = turns.take()
    assert first.number > 0
    assert turns.arrive() == first.number


def test_who_cannot_wait_goes_alone_and_is_not_waited_for():
    turns = Turns()
    first, _ = turns.take()
    alone, own = turns.take(alone=True)
    assert own
    assert turns.take()[0] is first
    turns.end(alone)
    assert turns.take()[0] is first
    turns.end(first)


@pytest.mark.parametrize(("error", "told"), [(ValueError("x"), True), (KeyboardInterrupt(), False)])
def test_a_failure_is_shared_and_an_end_in_the_middle_is_not(error, told):
    turns = Turns()
    first, _ = turns.take()
    turns.end(first, error)
    assert not first.complete
    assert (first.error is error) is told


def test_only_one_of_many_threads_leads():
    turns, leaders, barrier = Turns(), [], threading.Barrier(8)

    def go():
        barrier.wait()
        refresh, own = turns.take()
        if own:
            leaders.append(refresh)

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(leaders) == 1
