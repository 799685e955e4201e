"""Turns in asynchronous code: one stream, one message, and the machine that decides.

Owns: carrying out a turn's effects. Refuses to know: what they are for (`protocol/turn/`).

Everything happens in the caller's task, with two exceptions: the message of Mix 0.6, whose answer comes when the turn
is over, and the streams of sub-agents. No task group and no context variable is held across a `yield`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from types import TracebackType
from typing import Self

from langchain_mix import errors, forking
from langchain_mix.client._async import AsyncEventStream, AsyncTransport, shielded
from langchain_mix.client._async_questions import Questions
from langchain_mix.client._failures import inherited_turn
from langchain_mix.client._settings import TURN_TIMEOUT, CallOptions
from langchain_mix.client._slots import SLOTS, Ticket
from langchain_mix.client._turns import (
    Deadline,
    TurnRequest,
    Watchdog,
    answer_of,
    ends_turn,
    interrupt,
    liveness_of,
    reading,
    refuse_doubling,
    remaining,
    runs_beside,
    transcript_of,
)
from langchain_mix.generators import Owned
from langchain_mix.protocol import calls, flows
from langchain_mix.protocol.retry import reopen_wait
from langchain_mix.protocol.turn.errors import expired
from langchain_mix.protocol.turn.signals import (
    Answered,
    Ask,
    Cancel,
    Dropped,
    Effect,
    Emit,
    Expired,
    Fail,
    Finish,
    Notify,
    Read,
    Received,
    Reconcile,
    Reopen,
    Send,
    Unwatch,
    Watch,
)
from langchain_mix.protocol.turn.updates import TurnResult, Update


class AsyncTurnStream:
    """A turn that runs while you iterate over it: every update as it comes, then `result`.

    Closing it early, leaving its `async with` block, an exception in the loop or a cancelled task cancels the turn at
    the server.
    """

    def __init__(self, transport: AsyncTransport, request: TurnRequest) -> None:
        """Starts nothing yet; the first update does."""
        self._drive = _Drive(transport, request)
        self._updates: Owned[Update] | AsyncGenerator[Update, None] = self._drive.updates()

    @property
    def result(self) -> TurnResult:
        """What is known of the turn: all of it once the iteration has ended."""
        return self._drive.partial()

    @property
    def sent(self) -> bool:
        """True once the message is on its way to the server."""
        return self._drive.sent

    async def run(self) -> TurnResult:
        """Runs the turn to its end.

        Returns:
            Its result.

        Raises:
            MixError: It did not end well; `turn` of the error has what is known.
        """
        async with self:
            async for _ in self._updates:
                pass
        return self.result

    async def close(self) -> None:
        """Ends the turn; cancels it at the server if it is not over."""
        await self._updates.aclose()

    def __aiter__(self) -> AsyncIterator[Update]:
        """The updates, as they come."""
        return self._updates

    async def __anext__(self) -> Update:
        """The next update."""
        return await anext(self._updates)

    async def __aenter__(self) -> Self:
        """Keeps the turn until the block ends."""
        self._updates = Owned(self._updates)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the turn."""
        await self.close()


class _Drive:
    def __init__(self, transport: AsyncTransport, request: TurnRequest) -> None:
        self._transport = transport
        self._request = request
        self._core = transport.core
        self._key = (self._core.settings.server, request.session_id)
        self._assumed = self._core.server_api.detected
        self._turn = request.turn(self._assumed, "")
        self._stream: AsyncEventStream | None = None
        self._answers: list[Answered] = []  # Filled by the task that waits for the answer of Mix 0.6.
        self._clock = Deadline(request.timeout, request.began)
        self._watchdog = Watchdog(self._clock, self._core.settings)
        self._depth = forking.depth()  # Of the process that began it.
        self._sender: asyncio.Task[None] | None = None
        self._questions = Questions(transport, request, self._clock, self._wake)

    @property
    def sent(self) -> bool:
        return self._turn.sent

    def partial(self) -> TurnResult:
        return self._turn.partial()

    async def updates(self) -> AsyncGenerator[Update, None]:
        self._depth = forking.depth()
        ticket = await self._enter()
        try:
            await self._learn()
            session = self._request.session_id
            refuse_doubling(self._core.server_api.detected, session, self._core.listening(session))
            self._assumed = self._core.server_api.detected
            self._turn = self._request.turn(self._assumed, SLOTS.stale_error(self._key))
            self._request.message_call(self._turn.detected)  # Bad input is told before a stream is opened.
            self._watchdog = Watchdog(self._clock, self._core.settings)
            async for update in self._carry_out(await self._open()):
                yield update
            while not self._turn.over:
                stream = self._stream
                if stream is not None:
                    async for update in self._hear(stream):
                        yield update
                async for update in self._unwatched(self._heard_out(stream)):
                    yield update
        finally:
            # Leaving takes a request or two even in a cancelled task; it is short, and then the cancellation goes on.
            try:
                if not self._is_inherited():
                    await shielded(self._end())
            finally:
                self._core.narrow(self._turn.detected, self._assumed)
                SLOTS.remember(self._key, self._turn.stale_error)
                SLOTS.leave(ticket)

    async def _unwatched(self, updates: AsyncIterator[Update]) -> AsyncGenerator[Update, None]:
        """Stops the clock of the stall while the user's code has an update."""
        async for update in updates:
            self._watchdog.stall.pause()
            yield update
            self._watchdog.stall.resume()

    async def _enter(self) -> Ticket:
        loop = asyncio.get_running_loop()
        free = asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(free.set)

        ticket = SLOTS.enter(self._key, wake, wait=self._request.multitask_strategy == "enqueue")
        if not ticket.granted:
            try:
                await asyncio.wait_for(free.wait(), self._clock.left())
            except TimeoutError:
                SLOTS.leave(ticket)
                raise self._too_late() from None
            except BaseException:
                SLOTS.leave(ticket)
                raise
        return ticket

    def _is_inherited(self) -> bool:
        """Whether this is the copy of a turn in a forked process: it goes on in the parent, which also ends it."""
        return forking.depth() != self._depth

    def _check_process(self) -> None:
        if self._is_inherited():
            raise inherited_turn()

    def _too_late(self) -> errors.MixTurnTimeout:
        error = expired(self._clock.seconds, sent=False)
        error.turn = self.partial()
        return error

    async def _learn(self) -> None:
        """Learns what must be known of the server, within the time allowed for the turn."""
        flow = flows.learn_turns(self._core.server_api, self._request.session_id)
        try:
            await self._transport.run(flow, self._clock.options())
        except errors.MixNetworkError:
            if self._clock.over:
                raise self._too_late() from None
            raise

    async def _hear(self, stream: AsyncEventStream) -> AsyncGenerator[Update, None]:
        """Reads the stream until it ends, or the turn does."""
        turn, step, stall = self._turn, self._turn.step, self._watchdog.stall
        async for event in stream.until_broken():
            if self._has_urgent_news():
                async for update in self._unwatched(self._news()):
                    yield update
            before = turn.news
            for effect in step(Received(event)):
                if type(effect) is Emit and turn.news != before:
                    yield effect.update  # What is new ends a stall, however long the user's code takes over it.
                else:
                    async for update in self._unwatched(self._carry_out((effect,))):
                        yield update
            self._watchdog.connected()  # `connected` is the first event.
            if stall.is_over(turn.news):  # And what is stored, which was just read, does not end the turn.
                async for update in self._unwatched(self._carry_out(step(Expired(stall.allowed, quiet=True)))):
                    yield update
            if turn.over or self._stream is not stream:
                return

    async def _heard_out(self, stream: AsyncEventStream | None) -> AsyncGenerator[Update, None]:
        """Looks for the reason why the stream ended, if the turn did not."""
        if self._turn.over or self._stream is not stream:
            return
        async for update in self._news():
            yield update
        stall = self._watchdog.stall
        if stall.is_over(self._turn.news):
            async for update in self._carry_out(self._turn.step(Expired(stall.allowed, quiet=True))):
                yield update
        if not self._turn.over and self._stream is stream:
            problem = None if stream is None else stream.problem
            dropped = problem or errors.MixStreamError("The server closed the event stream.", sent="GET /stream")
            async for update in self._carry_out(self._turn.step(Dropped(dropped))):
                yield update

    def _has_urgent_news(self) -> bool:
        answered = self._answers and not ends_turn(self._answers[-1])
        return bool(answered or self._questions.problems or self._clock.over)

    async def _news(self) -> AsyncGenerator[Update, None]:
        """What happened beside the stream."""
        if self._questions.problems:
            raise self._questions.problems.pop()
        if self._clock.over:  # Before the answers: the message's own is not waited for any longer either.
            async for update in self._carry_out(self._turn.step(Expired(self._clock.seconds))):
                yield update
        while self._answers:
            async for update in self._carry_out(self._turn.step(self._answers.pop())):
                yield update

    async def _carry_out(self, effects: tuple[Effect, ...]) -> AsyncGenerator[Update, None]:  # noqa: C901, PLR0912
        for effect in effects:
            self._check_process()
            following: tuple[Effect, ...] = ()
            match effect:
                case Emit():
                    yield effect.update
                case Send():
                    following = await self._send()
                case Reconcile():
                    following = self._turn.step(await self._read(effect))
                case Reopen():
                    following = await self._reopen(effect.attempt)
                case Ask() | Notify():
                    self._watchdog.stall.pause()  # People may decide.
                    update = await self._questions.answer(effect, self._turn.detected)
                    self._watchdog.stall.resume()
                    if update is not None:
                        yield update
                case Watch():
                    self._questions.watch(effect.parent_id)
                case Unwatch():
                    await self._questions.unwatch(effect.parent_id)
                case Cancel():
                    await self._cancel()
                case Finish():
                    return
                case Fail():
                    raise effect.error
            if following:
                async for update in self._carry_out(following):
                    yield update

    async def _open(self) -> tuple[Effect, ...]:
        if self._stream is not None:
            await self._stream.close()
        self._watchdog.opening()
        usual = self._core.settings.liveness
        liveness = liveness_of(self._turn.detected, usual, TURN_TIMEOUT)
        dropped: errors.MixError | None = None
        try:
            call = calls.event_stream(self._request.session_id)
            self._stream = await self._transport.open_stream(call, self._clock.opening(), liveness=liveness)
            self._stream.read_limit = self._watchdog.read_limit
        except errors.MixError as error:
            self._stream, dropped = None, error
        if self._clock.over:  # There was no stream yet that the timer could have interrupted.
            return self._turn.step(Expired(self._clock.seconds))
        if dropped is not None:
            return self._turn.step(Dropped(dropped))
        if self._questions.problems or (self._answers and ends_turn(self._answers[-1])):
            self._wake()  # It came while this stream was being opened, when there was none to interrupt.
        return ()

    async def _reopen(self, attempt: int) -> tuple[Effect, ...]:
        pause = self._watchdog.pause(reopen_wait(attempt, random.random()))  # noqa: S311
        await asyncio.sleep(pause)  # noqa: TID251  # Between two attempts.
        return await self._open()

    async def _send(self) -> tuple[Effect, ...]:
        if runs_beside(self._turn.detected):
            self._sender = asyncio.create_task(self._send_beside())
            return ()
        answer = await self._post(self._clock.options())
        return self._turn.step(Expired(self._clock.seconds) if self._clock.cuts_off(answer) else answer)

    async def _post(self, options: CallOptions) -> Answered:
        try:
            call = self._request.message_call(self._turn.detected)
            return answer_of(await self._transport.send(call, options))
        except errors.MixError as error:
            self._core.narrow(remaining(self._turn.detected, error), self._turn.detected)
            if self._clock.over and isinstance(error, errors.MixNetworkError) and error.acted == "no":
                return Answered(error=self._too_late())
            return Answered(error=error)

    async def _send_beside(self) -> None:
        answer = await self._post(self._clock.beside())
        self._answers.append(answer)
        if ends_turn(answer):
            self._wake()

    def _wake(self) -> None:
        stream = self._stream
        if stream is not None:
            interrupt(stream.response)

    async def _read(self, effect: Reconcile) -> Read:
        call = reading(self._request.session_id, export=effect.export)
        try:
            return Read(transcript_of(await self._transport.send(call, self._clock.reading()), export=effect.export))
        except errors.MixError as error:
            return Read(error=error)

    async def _cancel(self) -> None:
        with suppress(errors.MixError):  # Cancelling is a courtesy; the turn ends for its user either way.
            await self._transport.send(calls.cancel_session(self._request.session_id), self._clock.leaving())

    async def _end(self) -> None:
        """Leaves nothing behind: no running turn, no stream, no task."""
        if self._turn.may_run:
            await self._cancel()
        await self._questions.close()
        if self._stream is not None:
            await self._stream.close()
        if self._sender is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._sender, self._clock.tidy_left())
