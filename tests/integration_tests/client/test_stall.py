"""Turns that tell nothing any more, and servers that keep a turn from beginning: all of it ends."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from langchain_mix import errors
from langchain_mix.client._turn_calls import SESSION_LOCKS
from langchain_mix.emulator import Gate, HttpError, Script, SlowReply, StallStream, say, turn
from langchain_mix.emulator.agents.base import Wait
from langchain_mix.protocol.turn.updates import Progress

pytestmark = pytest.mark.timeout(60)

RESUMED = ("0.6.5", "0.7", "0.8", "next")


def stalling(lab: Any, seconds: float) -> None:
    core = lab.mix._core
    core.settings = replace(core.settings, stall=seconds)


@pytest.mark.parametrize("api", RESUMED)
def test_a_turn_that_tells_nothing_any_more_ends(labs: Any, shell: str, api: str) -> None:
    """As one that a restart left behind: its rows look as if it ran, heartbeats come, and streams that stand are cut
    before the silence is too long, as Mix cuts them after ten minutes."""
    lab = labs(shell, api, Script(turn([*say("Half of it. "), Wait(Gate())])), heartbeat=0.05, stream_limit=0.3)
    stalling(lab, 0.5)
    outcome = lab.turn()
    assert isinstance(outcome.error, errors.MixTurnTimeout), repr(outcome.error)
    assert "Nothing happened in the turn for 0.5 s" in outcome.error.message
    assert "restarted" in outcome.error.hint
    assert outcome.error.turn.full_text == "Half of it. "
    assert {p.kind for p in outcome.of(Progress)} == {"reopened"}
    assert (len(lab.messages()), len(lab.cancels())) == (1, 1)


def test_a_turn_that_goes_on_is_never_given_up(labs: Any, shell: str) -> None:
    """Each piece comes after a few heartbeats; all together take longer than a turn may be silent."""
    gates = [Gate() for _ in range(5)]
    pieces = [piece for i, gate in enumerate(gates) for piece in (Wait(gate), *say(f"{i} "))]
    lab = labs(shell, "0.8", Script(turn(pieces)), heartbeat=0.1, liveness=1.0)
    stalling(lab, 1.0)

    def let_go() -> None:
        for count, gate in enumerate(gates, 1):
            lab.server.wait_until(lambda count=count: len(lab.asked("GET", "/export")) >= 3 * count)
            gate.open()

    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(let_go)
        began = time.monotonic()
        outcome = lab.turn().well()
        going.result(5)
    assert time.monotonic() - began > 1.0
    assert outcome.told == "0 1 2 3 4 "
    assert lab.cancels() == []


@pytest.mark.parametrize("fault", ["silent", "broken"])
def test_learning_the_generation_takes_no_longer_than_the_turn_may(labs: Any, shell: str, fault: str) -> None:
    lab = labs(shell, "0.8", Script("Hi."), client_api="auto", timeout=30.0)
    core = lab.mix._core
    core.settings = replace(core.settings, retry=type(core.settings.retry)())
    match = "GET /api/sessions/[^/]+"
    session = lab.session()
    lab.server.faults.add(
        SlowReply(match, gate=Gate(), count=None) if fault == "silent" else HttpError(match, 503, count=None)
    )
    began = time.monotonic()
    outcome = lab.turn("go", session=session, timeout=0.3)
    assert time.monotonic() - began < 3.0
    assert len(lab.asked("GET", session)) <= 2, "no attempt begins after the end"
    # The server's own error is the better one, unless the time ends within an attempt.
    expected = (errors.MixTurnTimeout,) if fault == "silent" else (errors.MixTurnTimeout, errors.MixDefaultError)
    assert isinstance(outcome.error, expected), repr(outcome.error)
    assert outcome.error.acted == "no"
    assert lab.messages() == []


def test_waiting_for_another_turn_takes_no_longer_than_the_turn_may(labs: Any, shell: str) -> None:
    lab = labs(shell, "0.8", Script("Hi."))
    session = lab.session()
    with SESSION_LOCKS.claim((lab.mix._core.settings.server, session), wait=False):
        outcome = lab.turn("go", session=session, multitask_strategy="enqueue", timeout=0.2)
    assert isinstance(outcome.error, errors.MixTurnTimeout), repr(outcome.error)
    assert outcome.error.acted == "no"
    assert lab.server.requests == []
    assert lab.turn("go", session=session).well().told == "Hi.", "the place in the queue is given up"


def test_a_stream_of_mix_0_5_that_never_says_connected_is_opened_again(labs: Any, shell: str) -> None:
    """While a turn runs on it, it may be silent for eleven minutes; before that, no longer than any other stream."""
    lab = labs(shell, "0.5", Script("Hi."), liveness=0.3)
    lab.server.faults.add(StallStream(on="stream", gate=Gate()))
    assert lab.turn().well().told == "Hi."
    assert len(lab.asked("GET", "/stream")) == 2
    assert len(lab.messages()) == 1


def test_a_turn_paces_the_opening_of_its_stream_itself(labs: Any, shell: str) -> None:
    lab = labs(shell, "0.8", Script("Hi."))
    lab.server.faults.add(HttpError("/stream", 503, count=None))
    outcome = lab.turn(timeout=30.0)
    assert isinstance(outcome.error, errors.MixError)
    assert len(lab.asked("GET", "/stream")) == 6, "once and five times more, not each of these by the retry policy"
