"""Giving up a turn: the server is told exactly once, nothing runs on, and the original exception comes through."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest

from langchain_mix import errors
from langchain_mix.emulator import Gate, Script, SlowReply, StallStream, say, turn, use
from langchain_mix.emulator.agents.base import Wait
from langchain_mix.protocol.turn.updates import TextDelta, ToolRunning, TurnResult, Update

pytestmark = pytest.mark.timeout(60)

SAID = "Let me look. "
APIS = ("0.5", "0.6", "0.6.5", "0.7", "0.8", "next")
FEW = ("0.5", "0.6", "0.8")


def endless(*, in_tool: bool = False) -> Script:
    """A first turn that never ends by itself, and a second that does."""
    held = use("Grep", result="41", id="call", until=Gate()) if in_tool else Wait(Gate())
    return Script(turn([*say(SAID), held], "Never said."), "Well again.")


def cancelled_once(lab: Any) -> None:
    """The server was told once, runs nothing, and takes the next turn."""
    lab.server.wait_idle()
    assert [r.status for r in lab.cancels()] == [200]
    session = lab.sessions[-1]
    assert len(lab.users(session)) == 1
    again = lab.turn("and now?", session=session).well()
    assert again.told == "Well again."
    assert len(lab.cancels()) == 1


def at_text(action: Callable[[], object]) -> Callable[[Update], object]:
    return lambda update: action() if isinstance(update, TextDelta) and update.text.endswith("k. ") else None


class Interrupt(Exception):
    """An error of the user's own."""


def throw(error: BaseException) -> Callable[[], object]:
    def thrower() -> object:
        raise error

    return thrower


@pytest.mark.parametrize("raised", [Interrupt("mine"), GeneratorExit("mine")], ids=["exception", "exit"])
def test_an_exception_in_the_loop(labs: Any, shell: str, api: str, raised: BaseException) -> None:
    lab = labs(shell, api, endless())
    outcome = lab.turn("go", at_text(throw(raised)))
    assert outcome.error is raised, "the original, unchanged"
    assert raised.__context__ is None
    assert outcome.told == outcome.result.full_text == SAID, "the partial result stays reachable"
    cancelled_once(lab)


def test_an_exception_in_a_tool(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, endless(in_tool=True))
    mine = Interrupt("mine")

    def watch(update: Update) -> None:
        if isinstance(update, ToolRunning):
            raise mine

    outcome = lab.turn("go", watch)
    assert outcome.error is mine
    assert [c.id for c in outcome.result.tool_calls] == ["call"]
    cancelled_once(lab)


@pytest.mark.parametrize("api", APIS)
def test_a_keyboard_interrupt_while_the_stream_is_silent(labs: Any, ctrl_c: Any, api: str) -> None:
    lab = labs("sync", api, endless())
    # Sent by another thread to the main one, while that waits for bytes that never come.
    text = threading.Event()
    ctrl_c(text)
    outcome = lab.turn("go", at_text(text.set))
    assert isinstance(outcome.error, KeyboardInterrupt)
    assert outcome.told == SAID
    cancelled_once(lab)


@pytest.mark.parametrize("leaving", ["close", "with", "break"])
def test_leaving_a_synchronous_loop(labs: Any, api: str, leaving: str) -> None:
    lab = labs("sync", api, endless())
    stream = lab.mix.turn(lab.session(), "go")
    if leaving == "with":
        with stream:
            next(stream)
    else:
        for _ in stream:
            break
        stream.close()
        stream.close()
    cancelled_once(lab)


def test_a_dropped_turn_ends_too(labs: Any, api: str) -> None:
    lab = labs("sync", api, endless())
    stream = lab.mix.turn(lab.session(), "go")
    next(stream)
    del stream
    cancelled_once(lab)


@pytest.mark.parametrize("leaving", ["close", "with", "break"])
def test_leaving_an_asynchronous_loop(labs: Any, api: str, leaving: str) -> None:
    lab = labs("async", api, endless())

    async def leave() -> None:
        stream = lab.mix.turn_async(lab.session(), "go")
        if leaving == "with":
            async with stream:
                await anext(stream)
        else:
            async for _ in stream:
                break
            await stream.close()
            await stream.close()

    lab.shell.awaited(leave())
    cancelled_once(lab)


def test_a_turn_that_was_not_begun_sends_nothing(labs: Any, shell: str) -> None:
    lab = labs(shell)
    session = lab.session()
    if shell == "sync":
        with lab.mix.turn(session, "go"):
            pass
    else:
        lab.shell.awaited(lab.mix.turn_async(session, "go").close())
    assert lab.asked() == []


# Tasks


async def run_until(lab: Any, told: asyncio.Event | None, **options: Any) -> TurnResult:
    """Runs a turn and tells when its text has come."""
    async with lab.mix.turn_async(lab.session(), "go", **options) as stream:
        async for update in stream:
            if told is not None and isinstance(update, TextDelta) and update.text.endswith("k. "):
                told.set()
        return stream.result


@contextlib.asynccontextmanager
async def begun(lab: Any) -> AsyncIterator[asyncio.Task[TurnResult]]:
    """A turn in a task, once its text has come."""
    told = asyncio.Event()
    task = asyncio.create_task(run_until(lab, told))
    await told.wait()
    yield task


@pytest.mark.parametrize("api", APIS)
def test_a_cancelled_task(labs: Any, api: str) -> None:
    lab = labs("async", api, endless())

    async def cancel() -> None:
        async with begun(lab) as task:
            task.cancel("mine")
            with pytest.raises(asyncio.CancelledError, match="mine"):
                await task
            assert task.cancelled()

    lab.shell.awaited(cancel())
    cancelled_once(lab)


@pytest.mark.parametrize("api", FEW)
def test_a_task_cancelled_again_and_again(labs: Any, api: str) -> None:
    lab = labs("async", api, endless())
    gate = Gate()
    slow = lab.server.faults.add(SlowReply("POST .*/cancel", gate=gate))

    async def cancel() -> None:
        async with begun(lab) as task:
            task.cancel()
            await asyncio.to_thread(lab.server.faults.wait_for, slow)
            for _ in range(3):
                task.cancel()
                assert not task.done(), "the cancel is under way and shielded"
            gate.open()
            with pytest.raises(asyncio.CancelledError):
                await task

    lab.shell.awaited(cancel())
    cancelled_once(lab)


@pytest.mark.parametrize("api", FEW)
def test_a_timeout_of_asyncio(labs: Any, api: str) -> None:
    lab = labs("async", api, endless())

    async def late() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await run_until(lab, None)

    lab.shell.awaited(late())
    cancelled_once(lab)


@pytest.mark.parametrize("api", FEW)
def test_a_task_group_whose_other_task_fails(labs: Any, api: str) -> None:
    lab = labs("async", api, endless())

    async def group() -> None:
        told = asyncio.Event()

        async def fail() -> None:
            await told.wait()
            raise Interrupt

        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(run_until(lab, told))
                tasks.create_task(fail())
        assert [type(e) for e in caught.value.exceptions] == [Interrupt]

    lab.shell.awaited(group())
    cancelled_once(lab)


@pytest.mark.parametrize("api", FEW)
def test_a_cancel_scope_of_anyio(labs: Any, api: str) -> None:
    lab = labs("async", api, endless())

    async def scoped() -> None:
        with anyio.move_on_after(0.3) as scope:
            await run_until(lab, None)
        assert scope.cancelled_caught

    lab.shell.awaited(scoped())
    cancelled_once(lab)


@pytest.mark.parametrize("api", FEW)
def test_a_task_group_of_anyio(labs: Any, api: str) -> None:
    lab = labs("async", api, endless())

    async def group() -> None:
        told = asyncio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_until, lab, told)
            await told.wait()
            tasks.cancel_scope.cancel()

    lab.shell.awaited(group())
    cancelled_once(lab)


@pytest.mark.parametrize(
    ("match", "cancels"),
    [("/stream", 0), ("POST .*/messages", 1), ("GET /api/sessions/.*", 0)],
    ids=["the stream's head", "the message's answer", "the listing at the end"],
)
def test_cancelled_at_every_request(labs: Any, match: str, cancels: int) -> None:
    lab = labs("async", "0.8", Script("Said.", "Well again."))
    slow = lab.server.faults.add(SlowReply(match, gate=Gate()))

    async def cancel() -> None:
        task = asyncio.create_task(run_until(lab, None))
        await asyncio.to_thread(lab.server.faults.wait_for, slow)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    lab.shell.awaited(cancel())
    lab.server.wait_idle()
    lab.server.faults.clear()
    lab.server.wait_until(lambda: lab.server.streams == 0)
    assert len(lab.cancels()) == cancels
    assert len(lab.users()) == (0 if match == "/stream" else 1)
    assert lab.turn("and now?", session=lab.sessions[-1]).well().told in {"Said.", "Well again."}


@pytest.mark.parametrize("api", ["0.8"])
def test_cancelled_before_connected(labs: Any, api: str) -> None:
    lab = labs("async", api, Script("Said."))
    stall = lab.server.faults.add(StallStream(on="stream", gate=Gate()))

    async def cancel() -> None:
        task = asyncio.create_task(run_until(lab, None))
        await asyncio.to_thread(lab.server.faults.wait_for, stall)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    lab.shell.awaited(cancel())
    assert lab.messages() == lab.cancels() == []
    assert lab.turn("and now?", session=lab.sessions[-1]).well().told == "Said."


# The turn's own budget


def test_a_budget_ends_a_silent_turn(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, endless())
    outcome = lab.turn(timeout=0.25)
    assert isinstance(outcome.error, errors.MixTurnTimeout)
    assert isinstance(outcome.error, TimeoutError)
    assert outcome.error.acted == "yes"
    assert outcome.error.turn.full_text == outcome.told == SAID
    cancelled_once(lab)


def test_a_budget_ends_a_turn_whose_tool_hangs(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, endless(in_tool=True), heartbeat=0.05)
    outcome = lab.turn(timeout=0.25)
    assert isinstance(outcome.error, errors.MixTurnTimeout)
    assert [c.id for c in outcome.error.turn.tool_calls] == ["call"]
    cancelled_once(lab)


@pytest.mark.parametrize("api", ["0.5", "0.6.5", "0.8"])
def test_a_budget_ends_a_turn_whose_message_hangs(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, endless())
    for match in ("POST .*/messages", "POST .*/message"):
        lab.server.faults.add(SlowReply(match, gate=Gate()))
    outcome = lab.turn(timeout=0.3)
    assert isinstance(outcome.error, errors.MixTurnTimeout), repr(outcome.error)
    lab.server.faults.clear()
    cancelled_once(lab)


@pytest.mark.parametrize("api", ["0.5", "0.8"])
def test_a_budget_ends_a_turn_whose_stream_does_not_open(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, Script("Well again."))
    lab.server.faults.add(StallStream(on="stream", gate=Gate()))
    outcome = lab.turn(timeout=0.3)
    assert isinstance(outcome.error, errors.MixTurnTimeout), repr(outcome.error)
    assert outcome.error.acted == "no"
    assert lab.messages() == lab.cancels() == []
    lab.server.faults.clear()
    assert lab.turn("and now?", session=lab.sessions[-1]).well().told == "Well again."


@pytest.mark.parametrize("api", ["0.8"])
def test_a_budget_ends_a_turn_whose_stream_has_no_head(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, Script("Well again."))
    lab.server.faults.add(SlowReply("/stream", gate=Gate()))
    outcome = lab.turn(timeout=0.3)
    assert isinstance(outcome.error, errors.MixTurnTimeout), repr(outcome.error)
    assert lab.messages() == lab.cancels() == []


@pytest.mark.parametrize("api", FEW)
def test_a_budget_that_is_not_used_up_changes_nothing(labs: Any, shell: str, api: str) -> None:
    lab = labs(shell, api, Script("Said."))
    assert lab.turn(timeout=5.0).well().told == "Said."
    assert lab.cancels() == []


@pytest.mark.parametrize("api", APIS)
def test_somebody_else_cancels(labs: Any, shell: str, api: str) -> None:
    import httpx

    lab = labs(shell, api, endless())
    outcome = lab.turn("go", at_text(lambda: httpx.post(f"{lab.server.url}/api/sessions/{lab.sessions[-1]}/cancel")))
    assert isinstance(outcome.error, errors.MixTurnCancelled), repr(outcome.error)
    assert outcome.error.turn.full_text == SAID
    assert outcome.error.hint
    cancelled_once(lab)


def test_a_cancel_that_hangs_is_short(labs: Any, shell: str) -> None:
    lab = labs(shell, "0.8", endless())
    gate = Gate()
    lab.server.faults.add(SlowReply("POST .*/cancel", gate=gate, count=None))
    outcome = lab.turn("go", at_text(throw(Interrupt("mine"))))
    assert isinstance(outcome.error, Interrupt)
    gate.open()
    lab.server.wait_idle()
