from __future__ import annotations

import asyncio

from langchain_mix.checkpoint.line import Lines


def joined(lines, count, work=("entry",)):
    return [lines.enter("t", list(work) if work else None) for _ in range(count)]


def test_turns_come_in_order_and_threads_do_not_wait_for_each_other():
    lines, woken = Lines(), []
    first, second, third = joined(lines, 3)
    other = lines.enter("another thread", None)
    assert first.granted
    assert other.granted
    assert first.await_turn(lambda: woken.append(1))
    assert not second.await_turn(lambda: woken.append(2))
    assert not third.await_turn(lambda: woken.append(3))
    lines.leave(first)
    assert woken == [2]
    lines.leave(second)
    lines.leave(second)
    assert woken == [2, 3]
    lines.leave(third)
    assert joined(lines, 1)[0].granted


def test_whoever_gives_up_its_place_is_never_woken():
    lines, woken = Lines(), []
    first, second, third = joined(lines, 3)
    second.await_turn(lambda: woken.append(2))
    third.await_turn(lambda: woken.append(3))
    lines.leave(second)
    lines.leave(first)
    assert woken == [3]


def test_work_that_was_done_by_another_is_over():
    lines, woken = Lines(), []
    first, second, alone, third = *joined(lines, 2), *joined(lines, 1, None), *joined(lines, 1)
    for number, ticket in enumerate((second, alone, third), 2):
        ticket.await_turn(lambda number=number: woken.append(number))
    group = lines.take(first)
    assert group == [first, second, third]
    assert second.taken
    late = joined(lines, 1)[0]
    lines.finish(group, done=True)
    assert woken == [2, 4]
    assert (second.done, third.done, alone.done, late.done) == (True, True, False, False)
    assert second.await_turn(lambda: woken.append("never"))
    lines.leave(second)
    lines.leave(first)
    assert woken == [2, 4, 3]
    assert alone.granted


def test_work_that_failed_is_left_to_its_owners():
    lines = Lines()
    first, second = joined(lines, 2)
    lines.finish(lines.take(first), done=False)
    lines.leave(first)
    assert (second.done, second.taken, second.granted) == (False, False, True)


def test_a_waiter_whose_event_loop_is_closed_is_passed_over():
    lines, woken = Lines(), []
    first, dead, third = joined(lines, 3)

    def wake():
        raise RuntimeError("Event loop is closed")

    dead.await_turn(wake)
    third.await_turn(lambda: woken.append(3))
    lines.leave(first)
    assert woken == [3]
    assert third.granted


def test_it_is_known_who_works_for_which_event_loop():
    lines = Lines()
    loop, other = asyncio.new_event_loop(), asyncio.new_event_loop()
    first, second, third = joined(lines, 3)
    second.loop = loop
    assert third.is_behind(loop)
    assert not third.is_behind(other)
    assert not second.is_behind(loop)
    lines.leave(second)
    assert not third.is_behind(loop)
    first.loop = loop
    assert third.is_behind(loop)
    loop.close()
    other.close()
