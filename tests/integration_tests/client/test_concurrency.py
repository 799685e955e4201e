"""Many turns at once: one per session and process, any number of sessions, threads and event loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from langchain_mix import errors
from langchain_mix.client._turn_calls import SESSION_LOCKS
from langchain_mix.emulator import DropEvent, Gate, Script, say, turn
from langchain_mix.emulator.agents.base import Fail, Wait
from langchain_mix.protocol.turn.updates import Progress, TextDelta

pytestmark = pytest.mark.timeout(60)


FEW = ("0.5", "0.6", "0.8")


def held(gate: Gate, *more: str) -> Script:
    """A first turn that ends when the gate is opened."""
    return Script(turn([*say("First, "), Wait(gate), *say("at last.")]), *more)


@pytest.fixture(autouse=True)
def no_session_stays_taken() -> Any:
    yield
    assert SESSION_LOCKS._queues == {}


def run(lab: Any, session: str, text: str, **options: Any) -> str:
    """A whole turn in synchronous code."""
    return str(lab.mix.turn(session, text, **options).run().full_text)


async def arun(lab: Any, session: str, text: str, **options: Any) -> str:
    """A whole turn in asynchronous code."""
    return str((await lab.mix.turn_async(session, text, **options).run()).full_text)


@pytest.mark.parametrize("first", ["sync", "async"])
@pytest.mark.parametrize("second", ["sync", "async"])
def test_a_busy_session_rejects(labs: Any, first: str, second: str) -> None:
    gate = Gate()
    lab = labs("async", "0.8", held(gate, "Second."))
    session = lab.session()
    with ThreadPoolExecutor(1) as pool:
        one = pool.submit(start(lab, first), session, "one")
        assert gate.reached.wait(5)
        with pytest.raises(errors.MixSessionBusy, match="already runs a turn") as caught:
            start(lab, second)(session, "two")
        assert "enqueue" in caught.value.hint
        assert caught.value.acted == "no"
        gate.open()
        assert one.result(5) == "First, at last."
    assert lab.users() == ["one"]
    assert start(lab, second)(session, "two") == "Second."


def start(lab: Any, shell: str) -> Callable[..., str]:
    """Runs a turn in this thread, through either shell; the asynchronous one in a new event loop."""
    if shell == "sync":
        return lambda session, text, **options: run(lab, session, text, **options)

    async def whole(session: str, text: str, **options: Any) -> str:
        try:
            return await arun(lab, session, text, **options)
        finally:
            await lab.mix._async.connections.close()  # `aclose` would close those of the other threads too.

    return lambda session, text, **options: asyncio.run(whole(session, text, **options))


def test_two_clients_of_one_process_know_of_each_other(labs: Any) -> None:
    gate = Gate()
    lab = labs("sync", "0.8", held(gate))
    session = lab.session()
    from langchain_mix.client import Mix

    with Mix(server_url=lab.server.url) as other, lab.mix.turn(session, "one") as stream:
        next(stream)
        with pytest.raises(errors.MixSessionBusy):
            other.turn(session, "two").run()
        gate.open()


@pytest.mark.parametrize(
    "shells", [("sync",) * 4, ("async",) * 4, ("sync", "async", "async", "sync")], ids=["threads", "loops", "mixed"]
)
def test_enqueued_turns_run_in_order(labs: Any, shells: tuple[str, ...]) -> None:
    gate = Gate()
    lab = labs("async", "0.8", held(gate, "B", "C", "D"))
    session = lab.session()
    key = (lab.mix.server_url, session)
    with ThreadPoolExecutor(len(shells)) as pool:
        turns = []
        for number, shell in enumerate(shells):
            turns.append(pool.submit(start(lab, shell), session, str(number), multitask_strategy="enqueue"))
            if number == 0:
                assert gate.reached.wait(5)
            else:
                until(lambda number=number: waiting(key) == number)
        gate.open()
        assert [t.result(10) for t in turns] == ["First, at last.", "B", "C", "D"]
    assert lab.users(session) == ["0", "1", "2", "3"]


def waiting(key: tuple[str, str]) -> int:
    with SESSION_LOCKS._mutex:
        return max(len(SESSION_LOCKS._queues.get(key, ())) - 1, 0)


def until(condition: Callable[[], bool]) -> None:
    """Waits for something that nobody tells; other threads run meanwhile."""
    pause = threading.Event()
    for _ in range(2000):
        if condition():
            return
        pause.wait(0.002)
    raise TimeoutError


def test_tasks_of_one_loop_queue(labs: Any) -> None:
    lab = labs("async", "0.8", Script(*[f"answer {i}" for i in range(10)]))
    session = lab.session()

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*(arun(lab, session, str(i), multitask_strategy="enqueue") for i in range(10)))

    assert lab.shell.awaited(all_of_them()) == [f"answer {i}" for i in range(10)]
    assert lab.users(session) == [str(i) for i in range(10)]


def test_who_stops_waiting_leaves_the_queue(labs: Any) -> None:
    gate = Gate()
    lab = labs("async", "0.8", held(gate, "Third."))
    session = lab.session()

    async def scenario() -> None:
        one = asyncio.create_task(arun(lab, session, "one"))
        await asyncio.to_thread(gate.reached.wait, 5)
        two = asyncio.create_task(arun(lab, session, "two", multitask_strategy="enqueue"))
        three = asyncio.create_task(arun(lab, session, "three", multitask_strategy="enqueue"))
        await asyncio.to_thread(until, lambda: waiting((lab.mix.server_url, session)) == 2)
        two.cancel()
        with pytest.raises(asyncio.CancelledError):
            await two
        gate.open()
        assert await one == "First, at last."
        assert await three == "Third."

    lab.shell.awaited(scenario())
    assert lab.users(session) == ["one", "three"]


def test_an_abandoned_turn_frees_its_session(labs: Any) -> None:
    lab = labs("sync", "0.8", held(Gate(), "Second."))
    session = lab.session()
    stream = lab.mix.turn(session, "one")
    next(stream)
    with pytest.raises(errors.MixSessionBusy):
        run(lab, session, "two")
    del stream
    assert run(lab, session, "two") == "Second."


def test_a_turn_that_fails_frees_its_session(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, Script(turn([Fail("no model")]), "Second."))
    session = lab.session()
    with pytest.raises(errors.MixAgentError):
        lab.turn(session=session).well()
    assert lab.turn(session=session).well().told == "Second."


@pytest.mark.parametrize(
    ("api", "count"),
    [("0.5", 15), ("0.6", 15), ("0.8", 40), *(pytest.param(api, 200, marks=pytest.mark.exhaustive) for api in FEW)],
)
def test_many_turns_at_once(labs: Any, api: str, count: int) -> None:
    lab = labs("async", api, Script("A word of " + "many, " * 20), timeout=20, queue_size=200)
    sessions = [lab.session() for _ in range(count)]

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*(arun(lab, s, "go") for s in sessions))

    texts = lab.shell.awaited(all_of_them())
    assert set(texts) == {"A word of " + "many, " * 20}
    assert len(lab.messages()) == len(sessions)
    assert all(len(lab.users(s)) == 1 for s in sessions)


@pytest.mark.parametrize("api", ["0.5", "0.6", "0.8"])
@pytest.mark.parametrize(("count", "threads"), [(12, 6), pytest.param(24, 8, marks=pytest.mark.exhaustive)])
def test_threads(labs: Any, api: str, count: int, threads: int) -> None:
    lab = labs("sync", api, Script("A word."))
    sessions = [lab.session() for _ in range(count)]
    with ThreadPoolExecutor(threads) as pool:
        assert set(pool.map(lambda s: run(lab, s, "go"), sessions)) == {"A word."}
    assert len(lab.messages()) == count


def test_one_client_in_event_loops_one_after_the_other(labs: Any) -> None:
    lab = labs("sync", "0.8", Script("One.", "Two.", "Three."))
    session = lab.session()
    assert [start(lab, "async")(session, t) for t in "abc"] == ["One.", "Two.", "Three."]


def test_one_client_in_event_loops_that_are_not_closed(labs: Any) -> None:
    # Who forgets `aclose` leaves connections to the collector, but a later loop never meets those of an earlier one.
    lab = labs("sync", "0.8", Script("One.", "Two."))
    session = lab.session()
    loops = [asyncio.new_event_loop() for _ in range(2)]
    texts = [loop.run_until_complete(arun(lab, session, "go")) for loop in loops]
    assert texts == ["One.", "Two."]
    for loop in loops:
        loop.run_until_complete(lab.mix.aclose())
        loop.close()


def test_one_client_in_event_loops_side_by_side(labs: Any) -> None:
    lab = labs("sync", "0.8", Script("A word."))
    sessions = [lab.session() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(start(lab, ("sync", "async")[i % 2]), s, "go") for i, s in enumerate(sessions)]
        assert {r.result(10) for r in runs} == {"A word."}


def heard_run(lab: Any, session: str, heard: threading.Event) -> str:
    """A whole turn that tells when its first text has come."""
    with lab.mix.turn(session, "one") as stream:
        for update in stream:
            if isinstance(update, TextDelta):
                heard.set()
        return str(stream.result.full_text)


@pytest.mark.parametrize("api", ["0.5", "0.6.5", "0.8"])
def test_closing_the_client_under_a_turn_of_another_thread(labs: Any, api: str) -> None:
    gate = Gate()
    lab = labs("sync", api, held(gate), liveness=15.0)
    session = lab.session()
    with ThreadPoolExecutor(1) as pool:
        heard = threading.Event()
        one = pool.submit(heard_run, lab, session, heard)
        assert heard.wait(5)
        streams = len(lab.asked("GET", "/stream"))
        lab.mix.close()
        if api == "0.5":
            with pytest.raises(errors.MixTurnError):
                one.result(5)
        else:
            lab.server.wait_until(lambda: len(lab.asked("GET", "/stream")) > streams)
            gate.open()
            assert one.result(5) == "First, at last."
    assert lab.users() == ["one"]


def test_closing_the_client_under_a_turn_of_another_task(labs: Any) -> None:
    gate = Gate()
    lab = labs("async", "0.8", held(gate), liveness=15.0)
    session = lab.session()

    async def scenario() -> str:
        heard = asyncio.Event()

        async def whole() -> str:
            async with lab.mix.turn_async(session, "one") as stream:
                async for update in stream:
                    if isinstance(update, TextDelta):
                        heard.set()
                return str(stream.result.full_text)

        one = asyncio.create_task(whole())
        await heard.wait()
        await lab.mix.aclose()
        await asyncio.to_thread(lab.server.wait_until, lambda: len(lab.asked("GET", "/stream")) > 1)
        gate.open()
        return await one

    assert lab.shell.awaited(scenario()) == "First, at last."
    assert lab.users() == ["one"]


# Errors that come twice


@pytest.mark.parametrize("api", ["0.6.5", "0.7", "0.8", "next"])
def test_the_second_copy_of_an_error_is_not_charged_to_the_next_turn(labs: Any, shell: str, api: str) -> None:
    gate = Gate()
    lab = labs(
        shell,
        api,
        Script(turn([*say("I try. "), Fail("no model today")]), turn([*say("Now. "), Wait(gate), *say("Done.")])),
    )
    session = lab.session()
    failed = lab.turn("one", session=session)
    assert isinstance(failed.error, errors.MixAgentError)
    assert "no model today" in failed.error.message
    assert failed.told == failed.error.turn.full_text == "I try. "

    def stale(update: Any) -> None:
        if isinstance(update, TextDelta) and not gate.is_open:
            gate.open()

    again = lab.turn("two", stale, session=session).well()
    assert again.told == again.result.full_text == "Now. Done."


@pytest.mark.parametrize("api", ["0.6.5", "0.7", "0.8"])
def test_the_second_copy_comes_when_the_next_turn_has_its_stream(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, Script(turn([Fail("no model today")]), "Done."))
    session = lab.session()
    lab.server.faults.add(DropEvent("error", nth=2))
    assert isinstance(lab.turn("one", session=session).error, errors.MixAgentError)
    lab.server.faults.clear()

    # The copy, late: put on the stream of the next turn before anything else of it.
    from langchain_mix.emulator import UnknownEvent

    lab.server.faults.add(
        UnknownEvent(
            name="error",
            data={"error": "no model today"},
            before="user_message_created" if api != "0.6.5" else "content",
        )
    )
    again = lab.turn("two", session=session).well()
    assert again.told == "Done."


@pytest.mark.parametrize("api", ["0.5", "0.6", "0.6.5", "0.7", "0.8"])
def test_a_rate_limit_is_progress(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, Script(turn([Fail("rate_limit_error: slow down", "rate_limit")]), "Second."))
    outcome = lab.turn()
    assert isinstance(outcome.error, errors.MixAgentError)
    assert "rate_limit" in outcome.error.message
    assert "wait" in outcome.error.hint
    assert [p.kind for p in outcome.of(Progress)].count("rate_limit") <= 1
    assert lab.turn(session=lab.sessions[-1]).well().told == "Second."


# Other clients


@pytest.mark.parametrize("api", ["0.7", "0.8", "next"])
def test_a_turn_of_another_client_is_told_apart(labs: Any, shell: str, api: str) -> None:
    import httpx

    gate = Gate()
    script = Script(turn([*say("Mine is "), Wait(gate), *say("this.")]), "Theirs.")
    lab = labs(shell, api, script)
    session = lab.session()

    def intrude(update: Any) -> None:
        if isinstance(update, TextDelta) and not gate.is_open:
            httpx.post(f"{lab.server.url}/api/sessions/{session}/messages", json={"text": "theirs"})
            lab.server.wait_until(lambda: lab.server.turns == 1)
            gate.open()

    outcome = lab.turn("mine", intrude, session=session).well()
    assert outcome.result.full_text == "Mine is this."
    assert outcome.result.contended
    assert outcome.told == "Mine is this." or outcome.restated
    assert lab.users() == ["mine", "theirs"]
