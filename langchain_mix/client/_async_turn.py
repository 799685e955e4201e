"""Turns in asynchronous code: one stream, one message, and the state machine that decides.

Owns: performing a turn's effects, and asking the user's policies. Refuses to know: what the effects are for
(`protocol/turn/`).

Everything happens in the caller's task, with two exceptions: the message of Mix 0.6, whose answer comes when the turn
is over, and the streams of sub-agents. No task group and no context variable is held across a `yield`.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from langchain_mix import errors, process_fork
from langchain_mix.client._async import AsyncEventStream, AsyncTransport, decided, shielded
from langchain_mix.client._config import CallOptions
from langchain_mix.client._failures import inherited_turn
from langchain_mix.client._timeouts import CLEANUP, Deadline, Watchdog, interrupt, stream_liveness
from langchain_mix.client._turn_calls import (
    SESSION_LOCKS,
    Decision,
    TurnRequest,
    Verdict,
    answer_of,
    detected_after,
    ends_turn,
    fixed_verdict,
    needs_background_send,
    notification_call,
    refuse_duplicate_turn,
    refused_update,
    subagent_session,
    transcript_call,
    transcript_of,
    unanswered_update,
    verdict_call,
)
from langchain_mix.generators import Owned
from langchain_mix.protocol import calls, flows
from langchain_mix.protocol.api import ApiKnowledge
from langchain_mix.protocol.call import Call
from langchain_mix.protocol.events import SSENotificationEventData, SSEPermissionEvent, SSEPermissionEventData
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
        self._driver = AsyncTurnDriver(transport, request)
        self._updates: Owned[Update] | AsyncGenerator[Update, None] = self._driver.updates()

    @property
    def result(self) -> TurnResult:
        """The turn as far as it is known: all of it once the iteration has ended."""
        return self._driver.turn.partial()

    @property
    def sent(self) -> bool:
        """True once the message is on its way to the server."""
        return self._driver.turn.sent

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
        """Returns the iterator over the updates."""
        return self._updates

    async def __anext__(self) -> Update:
        """Returns the next update."""
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


class AsyncTurnDriver:
    """Passes what happens to the turn's state machine as signals, and performs the effects that it returns."""

    def __init__(self, transport: AsyncTransport, request: TurnRequest) -> None:
        """Starts nothing yet."""
        self._transport = transport
        self._request = request
        self._core = transport.core
        self._key = (self._core.settings.server, request.session_id)
        self._assumed = self._core.server_api.detected
        self.turn = request.turn(self._assumed, "")
        self._stream: AsyncEventStream | None = None
        self._answers: list[Answered] = []  # Filled by the task that waits for the answer of Mix 0.6.
        self._deadline = Deadline(request.timeout, request.began)
        self._watchdog = Watchdog(self._deadline, self._core.settings)
        self._depth = process_fork.depth  # Of the process that began it.
        self._sender: asyncio.Task[None] | None = None
        self._prompts = AsyncPromptHandler(transport, request, self._deadline, self._interrupt_stream)

    async def updates(self) -> AsyncGenerator[Update, None]:
        """Runs the turn and yields its updates."""
        self._depth = process_fork.depth
        with SESSION_LOCKS.claim(self._key, wait=self._request.multitask_strategy == "enqueue") as ticket:
            if not await ticket.wait_async(self._deadline.left()):
                raise self._not_sent_in_time()
            try:
                await self._learn_api()
                session = self._request.session_id
                self._assumed = self._core.server_api.detected
                refuse_duplicate_turn(self._assumed, session, self._core.open_streams(session))
                self.turn = self._request.turn(self._assumed, SESSION_LOCKS.stale_error(self._key))
                self._request.message_call(self.turn.detected)  # Bad input is refused before a stream is opened.
                self._watchdog = Watchdog(self._deadline, self._core.settings)
                async for update in self._perform(await self._open_stream()):
                    yield update
                while not self.turn.over:
                    stream = self._stream
                    if stream is not None:
                        async for update in self._read_stream(stream):
                            yield update
                    async for update in self._on_stream_end(stream):
                        yield update
            finally:
                # The last requests are sent in a cancelled task too; they are short, and then the cancellation goes on.
                try:
                    if not self._is_inherited():
                        await shielded(self._end())
                finally:
                    self._core.narrow(self.turn.detected, self._assumed)
                    SESSION_LOCKS.remember(self._key, self.turn.stale_error)

    def _is_inherited(self) -> bool:
        """Returns True for the copy of a turn in a forked process: it goes on in the parent, which also ends it."""
        return process_fork.depth != self._depth

    def _not_sent_in_time(self) -> errors.MixTurnTimeout:
        error = expired(self._deadline.seconds, sent=False)
        error.turn = self.turn.partial()
        return error

    async def _learn_api(self) -> None:
        """Learns what must be known of the server, within the time allowed for the turn."""
        flow = flows.learn_turns(self._core.server_api, self._request.session_id)
        try:
            await self._transport.run(flow, self._deadline.options())
        except errors.MixNetworkError:
            if self._deadline.over:
                raise self._not_sent_in_time() from None
            raise

    async def _read_stream(self, stream: AsyncEventStream) -> AsyncGenerator[Update, None]:
        """Reads the stream until it ends, or the turn does."""
        turn, step, stall = self.turn, self.turn.step, self._watchdog.stall
        activity = turn.activity
        async for event in stream.events_until_end():
            if self._has_urgent():
                async for update in self._drain_pending():
                    yield update
            before = activity.news
            for effect in step(Received(event)):
                if type(effect) is Emit and activity.news != before:
                    yield effect.update  # What is new ends a stall, however long the user's code takes over it.
                else:
                    async for update in self._perform((effect,)):
                        yield update
            self._watchdog.received(sent=turn.sent)
            if stall.is_over(activity.news):  # And what is stored, which was just read, does not end the turn.
                async for update in self._perform(step(Expired(stall.allowed, quiet=True))):
                    yield update
            if turn.over or self._stream is not stream:
                return

    async def _on_stream_end(self, stream: AsyncEventStream | None) -> AsyncGenerator[Update, None]:
        """Handles the end of the stream while the turn is still running."""
        if self.turn.over or self._stream is not stream:
            return
        async for update in self._drain_pending():
            yield update
        stall = self._watchdog.stall
        if stall.is_over(self.turn.activity.news):
            async for update in self._perform(self.turn.step(Expired(stall.allowed, quiet=True))):
                yield update
        if not self.turn.over and self._stream is stream:
            problem = None if stream is None else stream.problem
            dropped = problem or errors.MixStreamError("The server closed the event stream.", sent="GET /stream")
            async for update in self._perform(self.turn.step(Dropped(dropped))):
                yield update

    def _has_urgent(self) -> bool:
        answered = self._answers and not ends_turn(self._answers[-1])
        return bool(answered or self._prompts.problems or self._deadline.over)

    async def _drain_pending(self) -> AsyncGenerator[Update, None]:
        """Handles what happened while the stream was read: failed policies, the deadline, the message's answer."""
        if self._prompts.problems:
            raise self._prompts.problems.pop()
        if self._deadline.over:  # Before the answers: the message's own is not waited for any longer either.
            async for update in self._perform(self.turn.step(Expired(self._deadline.seconds))):
                yield update
        while self._answers:
            async for update in self._perform(self.turn.step(self._answers.pop())):
                yield update

    async def _perform(self, effects: tuple[Effect, ...]) -> AsyncGenerator[Update, None]:  # noqa: C901, PLR0912  # One case per effect.
        """Performs effects, each with all that follows from it, and yields the updates among them."""
        pending, stall = deque(effects), self._watchdog.stall
        while pending:
            if self._is_inherited():
                raise inherited_turn()
            effect = pending.popleft()
            update: Update | None = None
            following: tuple[Effect, ...] = ()
            match effect:
                case Emit():
                    update = effect.update
                case Send() if needs_background_send(self.turn.detected):
                    self._sender = asyncio.create_task(self._send_in_background())
                case Send():
                    answer = await self._post(self._deadline.options())
                    cut_off = self._deadline.cuts_off(answer)
                    following = self.turn.step(Expired(self._deadline.seconds) if cut_off else answer)
                case Reconcile():
                    following = self.turn.step(await self._read_transcript(effect))
                case Reopen():
                    pause = self._watchdog.pause(reopen_wait(effect.attempt, random.random()))  # noqa: S311
                    await asyncio.sleep(pause)  # noqa: TID251  # Between two attempts.
                    following = await self._open_stream()
                case Ask() | Notify():
                    stall.pause()  # People may decide.
                    update = await self._prompts.answer(effect, self.turn.detected)
                    stall.resume()
                case Watch():
                    self._prompts.watch_subagent(effect.parent_id)
                case Unwatch():
                    await self._prompts.unwatch_subagent(effect.parent_id)
                case Cancel():
                    await self._cancel()
                case Fail():
                    raise effect.error
                case Finish():  # Nothing is left to do: the turn is over.
                    pass
            pending.extendleft(reversed(following))
            if update is not None:
                stall.pause()  # The user's code has it.
                yield update
                stall.resume()

    async def _open_stream(self) -> tuple[Effect, ...]:
        if self._stream is not None:
            await self._stream.close()
        self._watchdog.opening()
        liveness = stream_liveness(self.turn.detected, self._core.settings.liveness)
        dropped: errors.MixError | None = None
        try:
            call = calls.event_stream(self._request.session_id)
            self._stream = await self._transport.open_stream(
                call, self._deadline.options_for_stream(), liveness=liveness
            )
            self._stream.read_limit = self._watchdog.read_limit
        except errors.MixError as error:
            self._stream, dropped = None, error
        if self._deadline.over:  # No stream was open whose reads the deadline could have ended.
            return self.turn.step(Expired(self._deadline.seconds))
        if dropped is not None:
            return self.turn.step(Dropped(dropped))
        if self._prompts.problems or (self._answers and ends_turn(self._answers[-1])):
            self._interrupt_stream()  # It came while this stream was being opened, when there was none to interrupt.
        return ()

    async def _post(self, options: CallOptions) -> Answered:
        """Sends the message; returns what became of it."""
        try:
            call = self._request.message_call(self.turn.detected)
            return answer_of(await self._transport.send(call, options))
        except errors.MixError as error:
            self._core.narrow(detected_after(error, self.turn.detected), self.turn.detected)
            if self._deadline.over and isinstance(error, errors.MixNetworkError) and error.acted == "no":
                return Answered(error=self._not_sent_in_time())
            return Answered(error=error)

    async def _send_in_background(self) -> None:
        answer = await self._post(self._deadline.options_for_background())
        self._answers.append(answer)
        if ends_turn(answer):
            self._interrupt_stream()

    def _interrupt_stream(self) -> None:
        stream = self._stream
        if stream is not None:
            interrupt(stream.response)

    async def _read_transcript(self, effect: Reconcile) -> Read:
        call = transcript_call(self._request.session_id, export=effect.export)
        try:
            result = await self._transport.send(call, self._deadline.options_for_reading())
            return Read(transcript_of(result, export=effect.export))
        except errors.MixError as error:
            return Read(error=error)

    async def _cancel(self) -> None:
        with suppress(errors.MixError):  # Cancelling is a courtesy; the turn ends for its user either way.
            call = calls.cancel_session(self._request.session_id)
            await self._transport.send(call, self._deadline.options_for_cleanup())

    async def _end(self) -> None:
        """Ends all that was begun: a running turn, the stream, tasks."""
        if self.turn.may_run:
            await self._cancel()
        await self._prompts.close()
        if self._stream is not None:
            await self._stream.close()
        if self._sender is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._sender, self._deadline.cleanup_left())


class AsyncPromptHandler:
    """Answers the permission requests, also of sub-agents, and the notifications of one turn.

    Attributes:
        problems: What policies raised in tasks that read sub-agents' streams.
    """

    def __init__(
        self, transport: AsyncTransport, request: TurnRequest, deadline: Deadline, wake: Callable[[], None]
    ) -> None:
        """Watches no sub-agent yet.

        Args:
            transport: Sends the answers.
            request: Has the policies.
            deadline: The turn's. An async policy that decides for longer is cancelled, and no decision is a no.
            wake: Called in another task when there is a problem, so that the turn looks at `problems`.
        """
        self.problems: list[BaseException] = []
        self._transport = transport
        self._request = request
        self._deadline = deadline
        self._wake = wake
        self._watchers: dict[str, asyncio.Task[None]] = {}

    async def answer(self, prompt: Ask | Notify, detected: ApiKnowledge) -> Update | None:
        """Lets the policy decide, and sends its answer.

        Returns:
            The update which reports that the answer could not be sent, or None.

        Raises:
            Exception: The policy raised it; a permission is denied then.
        """
        if isinstance(prompt, Ask):
            call = verdict_call(prompt.request, await self._verdict_or_denial(prompt.request))
        else:
            call = await self._notification_answer(prompt.notification, detected)
        if call is None:
            return None
        try:
            await self._transport.send(call, self._deadline.options())
        except errors.MixNetworkError as error:
            # The server stops waiting by itself, and the turn goes on.
            return unanswered_update(prompt, error)
        except errors.MixResponseError as error:
            return refused_update(prompt, error)
        return None

    async def _verdict_or_denial(self, request: SSEPermissionEventData) -> Verdict:
        try:
            return await self._verdict(request)
        except BaseException:
            with suppress(errors.MixError):  # The turn is cancelled in any case.
                deny = self._transport.send(calls.deny_permission(request.id), self._deadline.options_for_cleanup())
                await shielded(deny)  # No decision is a no.
            raise

    async def _verdict(self, request: SSEPermissionEventData) -> Verdict:
        fixed, verdict = fixed_verdict(self._request.permissions)
        if not fixed and callable(self._request.permissions):
            verdict = await self._in_time(self._request.permissions(request), late=False)
            self._transport.core.report_verdict(verdict)
        return verdict

    async def _in_time(self, decision: Decision | Awaitable[Decision], *, late: Decision) -> Decision:
        """Returns the decision of a policy, or `late` if it has not decided when the turn's time is over."""
        timeout = asyncio.timeout(self._deadline.left())
        try:
            async with timeout:
                return await decided(decision)
        except TimeoutError:
            if not timeout.expired():
                raise
            return late

    async def _notification_answer(
        self, notification: SSENotificationEventData, detected: ApiKnowledge
    ) -> Call[Any] | None:
        policy = self._request.on_notification
        if policy is None:
            return None
        return notification_call(detected, notification, await self._in_time(policy(notification), late=None))

    def watch_subagent(self, parent_id: str) -> None:
        """Begins to answer the permission requests of the sub-agent that this Task call runs."""
        if parent_id not in self._watchers:
            self._watchers[parent_id] = asyncio.create_task(self._watch(parent_id))

    async def _watch(self, parent_id: str) -> None:
        """Reads a sub-agent's stream and answers its permission requests. Mix: only this stream has them."""
        with suppress(errors.MixError):  # Without this stream the server denies after 30 s, and the turn goes on.
            detected = self._transport.server_api.detected
            sessions = await self._transport.send(
                calls.list_sessions(detected, include_subagents=True), self._deadline.options()
            )
            session_id = subagent_session(sessions, parent_id)
            breaks = 0
            while session_id and await self._follow(session_id):
                breaks += 1
                await asyncio.sleep(reopen_wait(breaks, random.random()))  # noqa: S311, TID251  # Between two attempts.

    async def _follow(self, session_id: str) -> bool:
        """Reads the stream; returns True if it broke, as Mix breaks every one after ten minutes."""
        opened = await self._transport.open_stream(calls.event_stream(session_id), self._deadline.options())
        async with opened as stream:
            async for event in stream.events_until_end():
                if isinstance(event, SSEPermissionEvent):
                    await self._answer_subagent(event.data)
            return stream.problem is not None

    async def _answer_subagent(self, request: SSEPermissionEventData) -> None:
        try:
            verdict = await self._verdict(request)
        except Exception as problem:  # noqa: BLE001  # Raised again in the turn's own task.
            # Before the server knows of it: the turn may be over soon after.
            verdict = False
            self.problems.append(problem)
            self._wake()
        call = verdict_call(request, verdict)
        if call is not None:
            await self._transport.send(call, self._deadline.options())

    async def unwatch_subagent(self, parent_id: str) -> None:
        """Ends the watching: the Task call is over."""
        task = self._watchers.pop(parent_id, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task], timeout=CLEANUP)

    async def close(self) -> None:
        """Ends all tasks."""
        tasks, self._watchers = list(self._watchers.values()), {}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self._deadline.cleanup_left())
