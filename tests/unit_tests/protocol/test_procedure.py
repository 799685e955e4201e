"""Procedures run the same way in both worlds, and are closed whatever happens."""

from __future__ import annotations

import asyncio
import gc

import pytest

from langchain_mix.protocol.procedure import run, run_async


def perform(step):
    """Calls a function; anything else is its own result."""
    return step() if callable(step) else step


def run_in_task(procedure, perform_step):
    async def performed(step):
        await asyncio.sleep(0)  # noqa: TID251  # Gives way once, as a request does.
        return perform_step(step)

    return asyncio.run(run_async(procedure, performed))


@pytest.fixture(params=[run, run_in_task], ids=["sync", "async"])
def drive(request):
    return lambda procedure, perform_step=perform: request.param(procedure, perform_step)


def failing(error):
    def step():
        raise error

    return step


def test_results_are_sent_in_and_the_return_value_is_returned(drive):
    def procedure():
        first = yield 1
        second = yield lambda: first + 1
        return [first, second]

    assert drive(procedure()) == [1, 2]


def test_a_procedure_without_steps_returns_at_once(drive):
    def procedure():
        return "done"
        yield

    assert drive(procedure(), failing(AssertionError("nothing is performed"))) == "done"


def test_a_part_of_a_procedure_is_run_with_it(drive):
    def part():
        return (yield 2) + 1

    def procedure():
        return (yield from part()) + (yield 10)

    assert drive(procedure()) == 13


@pytest.mark.parametrize("kind", [KeyError, KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_what_a_step_raises_is_thrown_in_and_comes_out(drive, kind):
    seen = []

    def procedure():
        try:
            yield failing(kind("x"))
        except BaseException as caught:
            seen.append(caught)
            raise

    with pytest.raises(kind):
        drive(procedure())
    assert [type(error) for error in seen] == [kind]
    assert seen[0].args == ("x",)


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), asyncio.CancelledError()], ids=repr)
def test_a_procedure_that_catches_goes_on(drive, error):
    def procedure():
        try:
            yield failing(error)
        except BaseException as caught:
            return (yield "went on"), caught

    assert drive(procedure()) == ("went on", error)


def test_a_procedure_may_raise_another_error(drive):
    def procedure():
        try:
            yield failing(KeyError("x"))
        except KeyError as cause:
            raise ValueError("y") from cause

    with pytest.raises(ValueError, match="y") as raised:
        drive(procedure())
    assert isinstance(raised.value.__cause__, KeyError)


def test_an_error_of_the_procedure_is_not_thrown_into_it(drive):
    seen = []

    def procedure():
        try:
            yield 1
            {}["own"]
        except KeyError:
            seen.append("once")
            raise

    with pytest.raises(KeyError, match="own"):
        drive(procedure())
    assert seen == ["once"]


def test_a_step_that_raises_stop_iteration_ends_nothing():
    """It would look like the end of the procedure, with a result that nobody returned."""
    seen = []

    def procedure():
        try:
            yield failing(StopIteration("no result"))
        except StopIteration:
            seen.append("caught")
            return (yield "result")

    assert run(procedure(), perform) == "result"
    assert seen == ["caught"]

    def careless():
        yield failing(StopIteration("no result"))

    with pytest.raises(RuntimeError, match="StopIteration"):
        run(careless(), perform)


def test_a_failed_cleanup_replaces_the_error_and_names_it(drive):
    def procedure():
        try:
            yield failing(KeyError("first"))
        finally:
            yield failing(ValueError("cleanup"))

    with pytest.raises(ValueError, match="cleanup") as raised:
        drive(procedure())
    assert isinstance(raised.value.__context__, KeyError)


def test_steps_of_a_cleanup_are_performed_before_the_error_comes_out(drive):
    performed = []

    def procedure():
        try:
            yield failing(KeyboardInterrupt())
        finally:
            yield lambda: performed.append("undone")

    with pytest.raises(KeyboardInterrupt):
        drive(procedure())
    assert performed == ["undone"]


async def test_a_cancelled_task_lets_the_procedure_clean_up():
    performed, waiting = [], asyncio.Event()

    async def wait():
        waiting.set()
        await asyncio.Event().wait()

    async def performed_by(step):
        return await step() if asyncio.iscoroutinefunction(step) else perform(step)

    def procedure():
        try:
            yield wait
        except asyncio.CancelledError:
            performed.append("cancelled")
            yield lambda: performed.append("undone")
            raise

    task = asyncio.ensure_future(run_async(procedure(), performed_by))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert performed == ["cancelled", "undone"]


async def test_a_second_cancellation_reaches_the_cleanup():
    seen, waiting = [], asyncio.Event()

    async def wait():
        waiting.set()
        await asyncio.Event().wait()

    def procedure():
        try:
            yield wait
        except asyncio.CancelledError:
            try:
                yield wait
            except asyncio.CancelledError:
                seen.append("again")
            raise
        finally:
            seen.append("closed")

    task = asyncio.ensure_future(run_async(procedure(), lambda step: step()))
    for _ in range(2):
        await waiting.wait()
        waiting.clear()
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["again", "closed"]


def test_a_cancellation_that_the_procedure_swallows_is_its_decision():
    async def main():
        async def performed(step):
            if step == "wait":
                asyncio.current_task().cancel()
                await asyncio.Event().wait()
            return step

        def procedure():
            try:
                yield "wait"
            except asyncio.CancelledError:
                asyncio.current_task().uncancel()
            return (yield "result")

        return await run_async(procedure(), performed)

    assert asyncio.run(main()) == "result"


def begun(procedure):
    """A coroutine that waits for its first step, as one of an event loop that ends does."""

    async def performed(_):
        await Forever()

    coroutine = run_async(procedure, performed)
    coroutine.send(None)
    return coroutine


class Forever:
    def __await__(self):
        yield


def test_a_closed_coroutine_closes_the_procedure():
    seen = []

    def procedure():
        try:
            yield 1
        except GeneratorExit:
            seen.append("exit")
            raise
        finally:
            seen.append("closed")

    begun(procedure()).close()
    assert seen == ["exit", "closed"]


def test_a_cleanup_that_requests_steps_while_closing_is_refused_and_the_others_run():
    """Nobody awaits the coroutine any more. An outer `finally` (a lock) must run all the same, and the fault shows."""
    seen = []

    def inner():
        try:
            yield 1
        finally:
            yield "release"
            seen.append("never performed")

    def procedure():
        try:
            try:
                yield from inner()
            finally:
                yield "another"
        finally:
            seen.append("lock released")

    kept = procedure()
    coroutine = begun(kept)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        coroutine.close()
    assert seen == ["lock released"]
    assert kept.gi_frame is None


def test_an_error_of_a_cleanup_while_closing_comes_out():
    def procedure():
        try:
            yield 1
        finally:
            raise RuntimeError("broken cleanup")

    with pytest.raises(RuntimeError, match="broken cleanup"):
        begun(procedure()).close()


def test_an_interrupt_between_two_steps_closes_the_procedure():
    """A signal may arrive in the driver itself. Here `send` stands for the call that it interrupts."""
    seen = []

    def real():
        try:
            yield 1
        finally:
            seen.append("closed")

    class Interrupted:
        def __init__(self, generator):
            self._generator = generator

        def __next__(self):
            return next(self._generator)

        def send(self, _):
            raise KeyboardInterrupt

        def close(self):
            self._generator.close()

    kept = real()
    with pytest.raises(KeyboardInterrupt):
        run(Interrupted(kept), perform)
    assert seen == ["closed"]


def test_nothing_is_kept_of_a_procedure_that_ended(drive):
    class Held:
        pass

    def procedure():
        held = Held()
        yield held
        return 1

    drive(procedure())
    gc.collect()
    assert not [thing for thing in gc.get_objects() if type(thing) is Held]
