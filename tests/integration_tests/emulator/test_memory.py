"""A server that runs for days does not grow: what it keeps is counted, not weighed."""

from __future__ import annotations

import gc
from collections import Counter

import pytest

from langchain_mix.emulator import Script
from langchain_mix.emulator.activity import MAX_BODIES, MAX_BODY
from langchain_mix.emulator.runner import RunningTurn
from langchain_mix.emulator.streams import Connection, EventStream
from langchain_mix.emulator.turns import Turn

KINDS = (Turn, RunningTurn, Connection, EventStream)


def alive():
    gc.collect()
    return Counter(type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, KINDS))


def test_uploads_and_requests_leave_a_bounded_log(make):
    wire = make("0.8")
    session = wire.session()
    content = b"x" * (MAX_BODY + 1)
    for number in range(2 * MAX_BODIES // MAX_BODY):
        url = f"/api/sessions/{session}/files/upload"
        assert wire.http.post(url, files={"file": (f"{number}.bin", content)}).status_code == 201
        log = wire.server.requests
        assert sum(len(record.body) for record in log) <= MAX_BODIES
    assert len(log[-1].body) == MAX_BODY
    assert log[-1].size > len(content)


@pytest.mark.parametrize("turns", [8, pytest.param(20, marks=pytest.mark.exhaustive)])
def test_turns_and_streams_leave_nothing(make, turns):
    before = alive()
    wire = make("0.8", Script(loop=True))
    session = wire.session()
    for _ in range(turns):
        wire.turn(session)
    wire.server.wait_until(lambda: wire.server.streams == wire.server.turns == 0)
    # The last one may still be held by the frame that ends it.
    assert all(count <= 1 for count in (alive() - before).values()), alive() - before
