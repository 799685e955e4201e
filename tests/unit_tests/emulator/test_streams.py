from __future__ import annotations

import asyncio

from langchain_mix.emulator.agents.base import Gate
from langchain_mix.emulator.events import Event
from langchain_mix.emulator.faults import DelayEvent, Faults, FullQueue
from langchain_mix.emulator.streams import INBOUND_SIZE, Connection, EventBroker, yield_to_tasks


def event(name):
    return Event(name, {})


async def taken(connection):
    """What a reader that never waits gets now."""
    names = []
    while connection._queue or connection._urgent:
        names.append((await connection.next()).name)
    return names


async def test_a_full_queue_drops_without_a_word_q5():
    connection = Connection("s", 2, Faults())
    for name in "abcd":
        connection.offer(event(name))
    assert connection.dropped == 2
    assert await taken(connection) == ["a", "b"]


async def test_without_limit_nothing_is_dropped():
    connection = Connection("s", None, Faults())
    for number in range(1000):
        connection.offer(event(str(number)))
    assert len(await taken(connection)) == 1000


async def test_direct_events_keep_the_order_unless_the_reader_is_slow():
    connection = Connection("s", 1, Faults())
    connection.offer(event("a"))
    connection.offer_directly(event("direct"))
    assert await taken(connection) == ["a", "direct"]
    connection.writing = True
    connection.offer(event("a"))
    connection.offer_directly(event("first"))
    connection.offer_directly(event("second"))
    assert await taken(connection) == ["first", "second", "a"]


async def test_fan_out():
    broker = EventBroker()
    mine, also, other = (Connection(name, None, Faults()) for name in ("s", "s", "t"))
    for connection in (mine, also, other):
        broker.join(connection)
    broker.publish("s", event("a"))
    broker.publish("nobody", event("lost"))
    broker.broadcast(event("all"))
    broker.leave(also)
    broker.publish_directly("s", event("b"))
    assert await taken(mine) == ["a", "all", "b"]
    assert await taken(other) == ["all"]
    assert broker.of("s") == [mine]
    assert also.closed


async def test_a_closed_connection_ends_its_waiters():
    connection = Connection("s", None, Faults())
    waiting = asyncio.create_task(connection.next())
    await yield_to_tasks()
    connection.close()
    assert await waiting is None


async def test_a_gate_lets_a_delayed_event_in_and_a_closed_connection_forgets_it():
    gate = Gate()
    connection = Connection("s", None, Faults(DelayEvent("a", until=gate)))
    connection.offer(event("a"))
    connection.offer(event("b"))
    await asyncio.to_thread(gate.open)
    assert [(await connection.next()).name for _ in range(2)] == ["b", "a"]
    late = Gate()
    connection = Connection("s", None, Faults(DelayEvent("a", until=late)))
    connection.offer(event("a"))
    connection.close()
    late.open()
    await yield_to_tasks()
    assert await taken(connection) == []


async def test_the_size_of_the_queue_is_a_fault_that_can_come_and_go():
    faults = Faults()
    connection = Connection("s", 50, faults)
    full = faults.add(FullQueue(0))
    connection.offer(event("a"))
    faults.remove(full)
    connection.offer(event("b"))
    assert await taken(connection) == ["b"]


async def test_messages_beyond_a_hundred_are_lost():
    connection = Connection("s", None, Faults())
    for number in range(INBOUND_SIZE + 5):
        connection.say(str(number))
    assert connection.inbound.qsize() == INBOUND_SIZE == 100
