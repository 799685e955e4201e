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

from langchain_mix import errors
from langchain_mix.client._async import AsyncEventStream, AsyncTransport, decided, shielded
from langchain_mix.client._settings import TURN_TIMEOUT
from langchain_mix.client._slots import SLOTS, Ticket
from langchain_mix.client._turns import (
    CANCEL_OPTIONS,
    Deadline,
    TurnRequest,
    Verdict,
    answer_of,
    ends_turn,
    fixed_verdict,
    interrupt,
    liveness_of,
    notification_call,
    reading,
    remaining,
    runs_beside,
    subagent_session,
    transcript_of,
    unanswered,
    verdict_call,
)
from langchain_mix.protocol import calls, flows
from langchain_mix.protocol.events import SSENotificationEventData, SSEPermissionEvent, SSEPermissionEventData
from langchain_mix.protocol.retry import reopen_wait
from langchain_mix.protocol.turn.steps import (
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
        self._updates = self._drive.updates()

    @property
    def result(self) -> TurnResult:
        """What is known of the turn: all of it once the iteration has ended."""
        return self._drive.partial()

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
        self._assumed = self._core.known
        self._turn = request.turn(self._assumed, "")
        self._stream: AsyncEventStream | None = None
        self._answers: list[Answered] = []  # Filled by the task that waits for the answer of Mix 0.6.
        self._problems: list[BaseException] = []  # Filled by the tasks that watch sub-agents.
        self._clock = Deadline(request.timeout)
        self._expired = asyncio.Event()
        self._sender: asyncio.Task[None] | None = None
        self._watches: dict[str, asyncio.Task[None]] = {}

    def partial(self) -> TurnResult:
        return self._turn.partial()

    async def updates(self) -> AsyncGenerator[Update, None]:
        ticket = await self._enter()
        deadline: asyncio.TimerHandle | None = None
        try:
            await self._transport.run(flows.learn_turns(lambda: self._core.known, self._request.session_id))
            self._assumed = self._core.known
            self._turn = self._request.turn(self._assumed, SLOTS.stale_error(self._key))
            self._request.message_call(self._turn.known)  # Bad input is told before a stream is opened.
            left = self._clock.left()
            if left is not None:
                deadline = asyncio.get_running_loop().call_later(left, self._expire)
            async for update in self._carry_out(await self._open()):
                yield update
            while not self._turn.over:
                async for update in self._listen():
                    yield update
        finally:
            if deadline is not None:
                deadline.cancel()
            # Leaving takes a request or two even in a cancelled task; it is short, and then the cancellation goes on.
            try:
                await shielded(self._end())
            finally:
                self._core.learn(self._turn.known, self._assumed)
                SLOTS.remember(self._key, self._turn.stale_error)
                SLOTS.leave(ticket)

    async def _enter(self) -> Ticket:
        loop = asyncio.get_running_loop()
        free = asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(free.set)

        ticket = SLOTS.enter(self._key, wake, wait=self._request.multitask_strategy == "enqueue")
        if not ticket.granted:
            try:
                await free.wait()
            except BaseException:
                SLOTS.leave(ticket)
                raise
        return ticket

    async def _listen(self) -> AsyncGenerator[Update, None]:
        """Reads the stream until it ends, or the turn does."""
        stream, step = self._stream, self._turn.step
        problem: errors.MixError | None = None
        try:
            if stream is not None:
                async for event in stream:
                    if self._has_urgent_news():
                        async for update in self._news():
                            yield update
                    for effect in step(Received(event)):
                        if type(effect) is Emit:
                            yield effect.update
                        else:
                            async for update in self._carry_out((effect,)):
                                yield update
                    if self._turn.over or self._stream is not stream:
                        return
        except errors.MixStreamError as error:
            problem = error
        async for update in self._news():
            yield update
        if not self._turn.over and self._stream is stream:
            dropped = problem or errors.MixStreamError("The server closed the event stream.", sent="GET /stream")
            async for update in self._carry_out(step(Dropped(dropped))):
                yield update

    def _has_urgent_news(self) -> bool:
        answered = self._answers and not ends_turn(self._answers[-1])
        return bool(answered or self._problems or self._expired.is_set())

    async def _news(self) -> AsyncGenerator[Update, None]:
        """What happened beside the stream."""
        if self._problems:
            raise self._problems.pop()
        if self._clock.over:  # Before the answers: the message's own is not waited for any longer either.
            async for update in self._carry_out(self._turn.step(Expired(self._clock.seconds))):
                yield update
        while self._answers:
            async for update in self._carry_out(self._turn.step(self._answers.pop())):
                yield update

    async def _carry_out(self, effects: tuple[Effect, ...]) -> AsyncGenerator[Update, None]:  # noqa: C901, PLR0912
        for effect in effects:
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
                    update = await self._decide(effect)
                    if update is not None:
                        yield update
                case Watch():
                    self._watch(effect.parent_id)
                case Unwatch():
                    await self._unwatch(effect.parent_id)
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
        liveness = liveness_of(self._turn.known, self._core.settings.liveness, TURN_TIMEOUT)
        dropped: errors.MixError | None = None
        try:
            self._stream = await self._transport.open_stream(
                calls.event_stream(self._request.session_id), liveness=liveness, seconds=self._clock.left()
            )
        except errors.MixError as error:
            self._stream, dropped = None, error
        if self._clock.over:  # There was no stream yet that the timer could have interrupted.
            return self._turn.step(Expired(self._clock.seconds))
        return () if dropped is None else self._turn.step(Dropped(dropped))

    async def _reopen(self, attempt: int) -> tuple[Effect, ...]:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._expired.wait(), reopen_wait(attempt, random.random()))  # noqa: S311
        return await self._open()

    async def _send(self) -> tuple[Effect, ...]:
        if runs_beside(self._turn.known):
            self._sender = asyncio.create_task(self._send_beside(self._stream))
            return ()
        return self._turn.step(await self._post())

    async def _post(self) -> Answered:
        try:
            call = self._request.message_call(self._turn.known)
            return answer_of(await self._transport.send(call, self._clock.options()))
        except errors.MixError as error:
            self._core.learn(remaining(self._turn.known, error), self._turn.known)
            return Answered(error=error)

    async def _send_beside(self, stream: AsyncEventStream | None) -> None:
        answer = await self._post()
        self._answers.append(answer)
        if ends_turn(answer) and stream is not None:
            interrupt(stream.response)

    def _expire(self) -> None:
        self._expired.set()
        if self._stream is not None:
            interrupt(self._stream.response)

    async def _read(self, effect: Reconcile) -> Read:
        call = reading(self._request.session_id, export=effect.export)
        try:
            return Read(transcript_of(await self._transport.send(call, self._clock.reading()), export=effect.export))
        except errors.MixError as error:
            return Read(error=error)

    async def _decide(self, effect: Ask | Notify) -> Update | None:
        try:
            if isinstance(effect, Ask):
                await self._answer(effect.request)
            else:
                await self._answer_notification(effect.notification)
        except errors.MixNetworkError as error:
            # The server stops waiting by itself, and the turn goes on.
            return unanswered(effect, error)
        return None

    async def _answer(self, request: SSEPermissionEventData) -> None:
        try:
            verdict = await self._verdict(request)
        except BaseException:
            await shielded(self._transport.send(calls.deny_permission(request.id)))  # No decision is a no.
            raise
        await self._say(request, verdict)

    async def _verdict(self, request: SSEPermissionEventData) -> Verdict:
        fixed, verdict = fixed_verdict(self._request.permissions)
        if not fixed and callable(self._request.permissions):
            return await decided(self._request.permissions(request))
        return verdict

    async def _say(self, request: SSEPermissionEventData, verdict: Verdict) -> None:
        call = verdict_call(request, verdict)
        if call is not None:
            await self._transport.send(call)

    async def _answer_notification(self, notification: SSENotificationEventData) -> None:
        policy = self._request.on_notification
        if policy is None:
            return
        call = notification_call(self._turn.known, notification, await decided(policy(notification)))
        if call is not None:
            with suppress(errors.MixDefaultError):  # Mix: a 404 for one that was answered or has expired.
                await self._transport.send(call)

    def _watch(self, parent_id: str) -> None:
        if parent_id not in self._watches:
            self._watches[parent_id] = asyncio.create_task(self._watching(parent_id))

    async def _watching(self, parent_id: str) -> None:
        """Reads a sub-agent's stream and answers its permission requests."""
        with suppress(errors.MixError):  # Without this stream the server denies after 30 s, and the turn goes on.
            sessions = await self._transport.send(calls.list_sessions(self._core.known, include_subagents=True))
            session_id = subagent_session(sessions, parent_id)
            if not session_id:
                return
            async with await self._transport.open_stream(calls.event_stream(session_id)) as stream:
                async for event in stream:
                    if isinstance(event, SSEPermissionEvent):
                        await self._answer_watched(event.data)

    async def _answer_watched(self, request: SSEPermissionEventData) -> None:
        try:
            verdict = await self._verdict(request)
        except Exception as problem:  # noqa: BLE001  # Raised again in the turn's own task.
            # Before the server hears of it: the turn may be over soon after.
            verdict = False
            self._problems.append(problem)
            if self._stream is not None:
                interrupt(self._stream.response)
        await self._say(request, verdict)

    async def _unwatch(self, parent_id: str) -> None:
        task = self._watches.pop(parent_id, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _cancel(self) -> None:
        with suppress(errors.MixError):  # Cancelling is a courtesy; the turn ends for its user either way.
            await self._transport.send(calls.cancel_session(self._request.session_id), CANCEL_OPTIONS)

    async def _end(self) -> None:
        """Leaves nothing behind: no running turn, no stream, no task."""
        if self._turn.may_run:
            await self._cancel()
        for parent_id in list(self._watches):
            await self._unwatch(parent_id)
        if self._stream is not None:
            await self._stream.close()
        if self._sender is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._sender, 5.0)
