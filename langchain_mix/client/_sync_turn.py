"""Turns in synchronous code: one stream, one message, and the machine that decides.

Owns: carrying out a turn's effects. Refuses to know: what they are for (`protocol/turn/`).

Everything happens in the caller's thread, with three exceptions that only the server's rules force: the message of
Mix 0.6, whose answer comes when the turn is over; a deadline; and the stream of a sub-agent that asks for permission.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Self

from langchain_mix import errors
from langchain_mix.client._settings import TURN_TIMEOUT
from langchain_mix.client._slots import SLOTS, Ticket
from langchain_mix.client._sync import EventStream, SyncTransport
from langchain_mix.client._turns import (
    CANCEL_OPTIONS,
    Deadline,
    TurnRequest,
    Verdict,
    answer_of,
    decided_now,
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
from langchain_mix.protocol.events import Event, SSENotificationEventData, SSEPermissionEvent, SSEPermissionEventData
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


class TurnStream:
    """A turn that runs while you iterate over it: every update as it comes, then `result`.

    Closing it early, leaving its `with` block or an exception in the loop cancels the turn at the server.
    """

    def __init__(self, transport: SyncTransport, request: TurnRequest) -> None:
        """Starts nothing yet; the first update does."""
        self._drive = _Drive(transport, request)
        self._updates = self._drive.updates()

    @property
    def result(self) -> TurnResult:
        """What is known of the turn: all of it once the iteration has ended."""
        return self._drive.partial()

    def run(self) -> TurnResult:
        """Runs the turn to its end.

        Returns:
            Its result.

        Raises:
            MixError: It did not end well; `turn` of the error has what is known.
        """
        with self:
            for _ in self._updates:
                pass
        return self.result

    def close(self) -> None:
        """Ends the turn; cancels it at the server if it is not over."""
        self._updates.close()

    def __iter__(self) -> Iterator[Update]:
        """The updates, as they come."""
        return self._updates

    def __next__(self) -> Update:
        """The next update."""
        return next(self._updates)

    def __enter__(self) -> Self:
        """Keeps the turn until the block ends."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the turn."""
        self.close()


class _Drive:
    def __init__(self, transport: SyncTransport, request: TurnRequest) -> None:
        self._transport = transport
        self._request = request
        self._core = transport.core
        self._key = (self._core.settings.server, request.session_id)
        self._assumed = self._core.known
        self._turn = request.turn(self._assumed, "")
        self._stream: EventStream | None = None
        self._answers: list[Answered] = []  # Filled by the thread that waits for the answer of Mix 0.6.
        self._problems: list[Exception] = []  # Filled by the threads that watch sub-agents.
        self._clock = Deadline(request.timeout)
        self._expired = False
        self._stop_waiting = threading.Event()
        self._sender: threading.Thread | None = None
        self._watches: dict[str, _Watch] = {}

    def partial(self) -> TurnResult:
        return self._turn.partial()

    def updates(self) -> Generator[Update, None, None]:
        ticket = self._enter()
        deadline: threading.Timer | None = None
        try:
            self._transport.run(flows.learn_turns(lambda: self._core.known, self._request.session_id))
            self._assumed = self._core.known
            self._turn = self._request.turn(self._assumed, SLOTS.stale_error(self._key))
            self._request.message_call(self._turn.known)  # Bad input is told before a stream is opened.
            if self._request.timeout is not None:
                deadline = threading.Timer(self._clock.left() or 0.0, self._expire)
                deadline.daemon = True
                deadline.start()
            yield from self._carry_out(self._open())
            while not self._turn.over:
                yield from self._listen()
        finally:
            if deadline is not None:
                deadline.cancel()
            try:
                self._end()
            finally:
                self._core.learn(self._turn.known, self._assumed)
                SLOTS.remember(self._key, self._turn.stale_error)
                SLOTS.leave(ticket)

    def _enter(self) -> Ticket:
        free = threading.Event()
        ticket = SLOTS.enter(self._key, free.set, wait=self._request.multitask_strategy == "enqueue")
        if not ticket.granted:
            try:
                free.wait()
            except BaseException:
                SLOTS.leave(ticket)
                raise
        return ticket

    def _listen(self) -> Iterator[Update]:
        """Reads the stream until it ends, or the turn does."""
        stream, step = self._stream, self._turn.step
        problem: errors.MixError | None = None
        try:
            for event in stream or ():
                if (self._answers and not ends_turn(self._answers[-1])) or self._expired or self._problems:
                    yield from self._news()
                for effect in step(Received(event)):
                    if type(effect) is Emit:
                        yield effect.update
                    else:
                        yield from self._carry_out((effect,))
                if self._turn.over or self._stream is not stream:
                    return
        except errors.MixStreamError as error:
            problem = error
        yield from self._news()
        if not self._turn.over and self._stream is stream:
            dropped = problem or errors.MixStreamError("The server closed the event stream.", sent="GET /stream")
            yield from self._carry_out(step(Dropped(dropped)))

    def _news(self) -> Iterator[Update]:
        """What happened beside the stream."""
        if self._problems:
            raise self._problems.pop()
        if self._clock.over:  # Before the answers: the message's own is not waited for any longer either.
            yield from self._carry_out(self._turn.step(Expired(self._clock.seconds)))
        while self._answers:
            yield from self._carry_out(self._turn.step(self._answers.pop()))

    def _carry_out(self, effects: tuple[Effect, ...]) -> Iterator[Update]:  # noqa: C901  # One case per effect.
        for effect in effects:
            match effect:
                case Emit():
                    yield effect.update
                case Send():
                    yield from self._send()
                case Reconcile():
                    yield from self._carry_out(self._turn.step(self._read(effect)))
                case Reopen():
                    self._stop_waiting.wait(reopen_wait(effect.attempt, random.random()))  # noqa: S311
                    yield from self._carry_out(self._open())
                case Ask() | Notify():
                    yield from self._decide(effect)
                case Watch():
                    self._watch(effect.parent_id)
                case Unwatch():
                    self._unwatch(effect.parent_id)
                case Cancel():
                    self._cancel()
                case Finish():
                    return
                case Fail():
                    raise effect.error

    def _open(self) -> tuple[Effect, ...]:
        if self._stream is not None:
            self._stream.close()
        liveness = liveness_of(self._turn.known, self._core.settings.liveness, TURN_TIMEOUT)
        dropped: errors.MixError | None = None
        try:
            self._stream = self._transport.open_stream(
                calls.event_stream(self._request.session_id), liveness=liveness, seconds=self._clock.left()
            )
        except errors.MixError as error:
            self._stream, dropped = None, error
        if self._clock.over:  # There was no stream yet that the timer could have interrupted.
            return self._turn.step(Expired(self._clock.seconds))
        return () if dropped is None else self._turn.step(Dropped(dropped))

    def _send(self) -> Iterator[Update]:
        if runs_beside(self._turn.known):
            self._sender = threading.Thread(target=self._send_beside, args=(self._stream,), daemon=True)
            self._sender.start()
        else:
            yield from self._carry_out(self._turn.step(self._post()))

    def _post(self) -> Answered:
        try:
            call = self._request.message_call(self._turn.known)
            return answer_of(self._transport.send(call, self._clock.options()))
        except errors.MixError as error:
            self._core.learn(remaining(self._turn.known, error), self._turn.known)
            return Answered(error=error)

    def _send_beside(self, stream: EventStream | None) -> None:
        answer = self._post()
        self._answers.append(answer)
        if ends_turn(answer) and stream is not None:
            interrupt(stream.response)

    def _expire(self) -> None:
        self._expired = True
        self._stop_waiting.set()
        stream = self._stream
        if stream is not None:
            interrupt(stream.response)

    def _read(self, effect: Reconcile) -> Read:
        call = reading(self._request.session_id, export=effect.export)
        try:
            return Read(transcript_of(self._transport.send(call, self._clock.reading()), export=effect.export))
        except errors.MixError as error:
            return Read(error=error)

    def _decide(self, effect: Ask | Notify) -> Iterator[Update]:
        try:
            if isinstance(effect, Ask):
                self._answer(effect.request)
            else:
                self._answer_notification(effect.notification)
        except errors.MixNetworkError as error:
            # The server stops waiting by itself, and the turn goes on.
            yield unanswered(effect, error)

    def _answer(self, request: SSEPermissionEventData) -> None:
        try:
            verdict = self._verdict(request)
        except BaseException:
            self._transport.send(calls.deny_permission(request.id))  # No decision is a no.
            raise
        self._say(request, verdict)

    def _verdict(self, request: SSEPermissionEventData) -> Verdict:
        fixed, verdict = fixed_verdict(self._request.permissions)
        if not fixed and callable(self._request.permissions):
            return decided_now(self._request.permissions(request))
        return verdict

    def _say(self, request: SSEPermissionEventData, verdict: Verdict) -> None:
        call = verdict_call(request, verdict)
        if call is not None:
            self._transport.send(call)

    def _answer_watched(self, request: SSEPermissionEventData) -> None:
        try:
            verdict = self._verdict(request)
        except Exception as problem:  # noqa: BLE001  # Raised again in the turn's own thread.
            # Before the server hears of it: the turn may be over soon after.
            verdict = False
            self._problems.append(problem)
            if self._stream is not None:
                interrupt(self._stream.response)
        self._say(request, verdict)

    def _answer_notification(self, notification: SSENotificationEventData) -> None:
        policy = self._request.on_notification
        if policy is None:
            return
        call = notification_call(self._turn.known, notification, decided_now(policy(notification)))
        if call is not None:
            with suppress(errors.MixDefaultError):  # Mix: a 404 for one that was answered or has expired.
                self._transport.send(call)

    def _watch(self, parent_id: str) -> None:
        if parent_id not in self._watches:
            self._watches[parent_id] = _Watch(self._transport, parent_id, self._answer_watched)

    def _unwatch(self, parent_id: str) -> None:
        watch = self._watches.pop(parent_id, None)
        if watch is not None:
            watch.stop()

    def _cancel(self) -> None:
        with suppress(errors.MixError):  # Cancelling is a courtesy; the turn ends for its user either way.
            self._transport.send(calls.cancel_session(self._request.session_id), CANCEL_OPTIONS)

    def _end(self) -> None:
        """Leaves nothing behind: no running turn, no stream, no thread."""
        self._stop_waiting.set()
        if self._turn.may_run:
            self._cancel()
        for parent_id in list(self._watches):
            self._unwatch(parent_id)
        if self._stream is not None:
            self._stream.close()
        if self._sender is not None:
            self._sender.join(5.0)


class _Watch:
    """A thread that reads a sub-agent's stream and answers its permission requests."""

    def __init__(
        self, transport: SyncTransport, parent_id: str, answer: Callable[[SSEPermissionEventData], None]
    ) -> None:
        self._transport = transport
        self._parent_id = parent_id
        self._answer = answer
        self._stream: EventStream | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with suppress(errors.MixError):  # Without this stream the server denies after 30 s, and the turn goes on.
            known = self._transport.core.known
            sessions = self._transport.send(calls.list_sessions(known, include_subagents=True))
            session_id = subagent_session(sessions, self._parent_id)
            if not session_id or self._stopped:
                return
            with self._transport.open_stream(calls.event_stream(session_id)) as stream:
                self._stream = stream
                for event in stream:
                    if self._stopped:
                        return
                    self._hear(event)

    def _hear(self, event: Event) -> None:
        if isinstance(event, SSEPermissionEvent):
            self._answer(event.data)

    def stop(self) -> None:
        self._stopped = True
        if self._stream is not None:
            interrupt(self._stream.response)
        self._thread.join(5.0)
