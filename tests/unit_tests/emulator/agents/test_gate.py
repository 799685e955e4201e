from __future__ import annotations

import asyncio
import threading

import pytest

from langchain_mix.emulator.agents.base import Gate
from langchain_mix.emulator.streams import yield_to_tasks


async def test_many_wait_without_blocking_the_loop():
    gate = Gate()
    waiting = [asyncio.create_task(gate.passed()) for _ in range(3)]
    await yield_to_tasks()
    assert gate.reached.is_set()
    assert not any(task.done() for task in waiting)
    threading.Thread(target=gate.open).start()
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
    await gate.passed()


async def test_a_cancelled_waiter_is_forgotten():
    gate = Gate()
    waiting = asyncio.create_task(gate.passed())
    await yield_to_tasks()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert gate._waiting == []
    gate.open()


def test_callbacks_are_called_once_or_forgotten():
    gate, called = Gate(), []
    gate.when_open(lambda: called.append("a"))
    forget = gate.when_open(lambda: called.append("b"))
    forget()
    forget()
    gate.open()
    gate.open()
    gate.when_open(lambda: called.append("late"))()
    assert called == ["a", "late"]
    assert gate.is_open


def test_gates_of_a_closed_loop_can_still_be_opened():
    gate = Gate()

    async def wait_in_vain():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(gate.passed(), 0.01)

    asyncio.run(wait_in_vain())
    gate.open()
