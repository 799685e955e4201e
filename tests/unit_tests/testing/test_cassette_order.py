"""The order of a recording, and waiting for it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from langchain_mix.errors import MixError
from langchain_mix.testing.cassette_order import CassetteError, Clock, Condition, Order, Playback

STREAM = Order(requested=1, answered=2, events=(3, 6), ending="ended", ended=8)
MESSAGE = Order(requested=4, answered=5)
LISTING = Order(requested=7, answered=9)


def playback(patience=5.0):
    return Playback([STREAM, MESSAGE, LISTING], patience)


@pytest.mark.parametrize(
    "order",
    [
        MESSAGE,
        STREAM,
        Order(requested=1, answered=2, events=(), ending="left"),
        Order(requested=1, answered=2, events=(3, 3), ending="left waiting"),
        Order(requested=1, answered=2, events=(3,), ending="failed", ended=4, failure=("ReadError", "gone")),
    ],
)
def test_an_order_survives_its_file(order):
    assert Order.from_yaml(order.to_yaml()) == order


@pytest.mark.parametrize(
    "shown",
    [{}, {"requested": 1}, {"requested": "one", "answered": 2}, {"requested": 1, "answered": 2, "events": ["x"]}],
)
def test_an_order_that_makes_no_sense_is_told(shown):
    with pytest.raises(CassetteError, match="cannot be read"):
        Order.from_yaml(shown)


def test_a_clock_never_tells_a_time_twice():
    clock = Clock()
    with ThreadPoolExecutor(4) as pool:
        ticks = list(pool.map(lambda _: clock.tick(), range(400)))
    assert sorted(ticks) == list(range(1, 401))


def test_a_piece_waits_for_everything_before_it():
    play = playback()
    sixth = play.before(6, "it")
    for tick in (1, 2, 3, 4):
        play.happened(tick)
        assert not sixth.ready()
    play.happened(5)
    assert sixth.ready()


def test_an_answer_waits_for_pieces_alone():
    play = playback()
    listing = play.streams_before(9, "it")
    play.happened(3, 6)
    assert not listing.ready()
    play.happened(8)
    assert listing.ready(), "requests and answers are still missing, and not waited for"


def test_who_waits_in_a_thread_is_woken():
    play = playback()
    waiting = threading.Event()

    def wait():
        condition = play.before(3, "it")
        play.wait(Condition(lambda: waiting.set() or condition.ready(), "it"))

    with ThreadPoolExecutor(1) as pool:
        waiter = pool.submit(wait)
        assert waiting.wait(5)
        play.happened(1)
        play.happened(2)
        waiter.result(5)


async def test_who_waits_in_a_loop_is_woken_and_blocks_nobody():
    play = playback()
    waiter = asyncio.create_task(play.wait_async(play.before(3, "it")))
    await asyncio.to_thread(play.happened, 1)
    assert not waiter.done()
    await asyncio.to_thread(play.happened, 2)
    await asyncio.wait_for(waiter, 5)
    assert not play._wakers


def test_waiting_in_vain_ends_and_says_who_waits():
    play = playback(patience=0.01)
    with pytest.raises(CassetteError, match=r"nothing has happened for 0\.01 s, and piece 2 of GET /x waits"):
        play.wait(play.before(6, "piece 2 of GET /x"))


async def test_waiting_in_vain_ends_in_a_loop_too():
    play = playback(patience=0.01)
    with pytest.raises(CassetteError, match="the answer of GET /x waits"):
        await play.wait_async(play.streams_before(9, "the answer of GET /x"))
    assert not play._wakers


async def test_the_patience_is_not_the_time_of_the_whole_wait():
    play = playback(patience=0.3)
    asked = []

    def ready():
        asked.append(1)
        return len(asked) > 8

    async def happen():
        while len(asked) <= 8:
            before = len(asked)
            play.changed()
            while len(asked) == before:
                await asyncio.to_thread(threading.Event().wait, 0.05)

    await asyncio.gather(play.wait_async(Condition(ready, "it")), happen())


def test_the_first_problem_stands_for_everyone():
    play = playback()
    first = CassetteError("first")
    with pytest.raises(CassetteError, match="first"):
        play.fail(first)
    with pytest.raises(CassetteError) as second:
        play.fail(CassetteError("second"))
    assert second.value is first
    with pytest.raises(CassetteError) as third:
        play.wait(Condition(lambda: True, "it"))
    assert third.value is first is play.problem


def test_a_problem_wakes_who_waits():
    play = playback(patience=30.0)
    waiting = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiter = pool.submit(play.wait, Condition(lambda: waiting.set() or False, "it"))
        assert waiting.wait(5)
        with pytest.raises(CassetteError):
            play.fail(CassetteError("over"))
        with pytest.raises(CassetteError, match="over"):
            waiter.result(5)


def test_it_says_what_happened_and_what_to_do():
    error = CassetteError("There is none.", sent="GET /x", hint="Record it.")
    assert str(error) == "There is none. Record it."
    assert (error.message, error.sent, error.acted, error.hint) == ("There is none.", "GET /x", "no", "Record it.")


def test_handlers_of_the_code_under_test_do_not_handle_it():
    assert not issubclass(CassetteError, MixError)
    assert issubclass(CassetteError, AssertionError)
