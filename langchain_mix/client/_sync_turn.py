"""Turns in synchronous code: one stream, one message, and the machine that decides.

Owns: carrying out a turn's effects. Refuses to know: what they are for (`protocol/turn/`).

Everything happens in the caller's thread, with two exceptions that only the server's rules force: the message of
Mix 0.6, whose answer comes when the turn is over, and the stream of a sub-agent that asks for permission.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Self

from langchain_mix import errors, forking
from langchain_mix.client._failures import inherited_turn
from langchain_mix.client._settings import TURN_TIMEOUT, CallOptions
from langchain_mix.client._slots import SLOTS, Ticket
from langchain_mix.client._sync import EventStream, SyncTransport
from langchain_mix.client._sync_questions import Questions
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
from langchain_mix.generators import closed_at_exit
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


class TurnStream:
    """A turn that runs while you iterate over it: every update as it comes, then `result`.

    Closing it early, leaving its `with` block or an exception in the loop cancels the turn at the server.
    """

    def __init__(self, transport: SyncTransport, request: TurnRequest) -> None:
        """Starts nothing yet; the first update does."""
        self._drive = _Drive(transport, request)
        self._updates = closed_at_exit(self._drive.updates())

    @property
    def result(self) -> TurnResult:
        """What is known of the turn: all of it once the iteration has ended."""
        return self._drive.partial()

    @property
    def sent(self) -> bool:
        """True once the message is on its way to the server."""
        return self._drive.sent

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
        self._assumed = self._core.server_api.detected
        self._turn = request.turn(self._assumed, "")
        self._stream: EventStream | None = None
        self._answers: list[Answered] = []  # Filled by the thread that waits for the answer of Mix 0.6.
        self._clock = Deadline(request.timeout, request.began)
        self._watchdog = Watchdog(self._clock, self._core.settings)
        self._depth = forking.depth()  # Of the process that began it.
        self._sender: threading.Thread | None = None
        self._questions = Questions(transport, request, self._clock, self._wake)

    @property
    def sent(self) -> bool:
        return self._turn.sent

    def partial(self) -> TurnResult:
        return self._turn.partial()

    def updates(self) -> Generator[Update, None, None]:
        self._depth = forking.depth()
        ticket = self._enter()
        try:
            self._learn()
            session = self._request.session_id
            refuse_doubling(self._core.server_api.detected, session, self._core.listening(session))
            self._assumed = self._core.server_api.detected
            self._turn = self._request.turn(self._assumed, SLOTS.stale_error(self._key))
            self._request.message_call(self._turn.detected)  # Bad input is told before a stream is opened.
            self._watchdog = Watchdog(self._clock, self._core.settings)
            yield from self._carry_out(self._open())
            while not self._turn.over:
                stream = self._stream
                if stream is not None:
                    yield from self._hear(stream)
                yield from self._unwatched(self._heard_out(stream))
        finally:
            try:
                self._end()
            finally:
                self._core.narrow(self._turn.detected, self._assumed)
                SLOTS.remember(self._key, self._turn.stale_error)
                SLOTS.leave(ticket)

    def _unwatched(self, updates: Iterator[Update]) -> Iterator[Update]:
        """Stops the clock of the stall while the user's code has an update."""
        for update in updates:
            self._watchdog.stall.pause()
            yield update
            self._watchdog.stall.resume()

    def _enter(self) -> Ticket:
        free = threading.Event()
        ticket = SLOTS.enter(self._key, free.set, wait=self._request.multitask_strategy == "enqueue")
        if not ticket.granted:
            try:
                in_time = free.wait(self._clock.left())
            except BaseException:
                SLOTS.leave(ticket)
                raise
            if not in_time:
                SLOTS.leave(ticket)
                raise self._too_late()
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

    def _learn(self) -> None:
        """Learns what must be known of the server, within the time allowed for the turn."""
        flow = flows.learn_turns(self._core.server_api, self._request.session_id)
        try:
            self._transport.run(flow, self._clock.options())
        except errors.MixNetworkError:
            if self._clock.over:
                raise self._too_late() from None
            raise

    def _hear(self, stream: EventStream) -> Iterator[Update]:
        """Reads the stream until it ends, or the turn does."""
        turn, step, stall = self._turn, self._turn.step, self._watchdog.stall
        for event in stream.until_broken():
            if self._has_urgent_news():
                yield from self._unwatched(self._news())
            before = turn.news
            for effect in step(Received(event)):
                if type(effect) is Emit and turn.news != before:
                    yield effect.update  # What is new ends a stall, however long the user's code takes over it.
                else:
                    yield from self._unwatched(self._carry_out((effect,)))
            self._watchdog.connected()  # `connected` is the first event.
            if stall.is_over(turn.news):  # And what is stored, which was just read, does not end the turn.
                yield from self._unwatched(self._carry_out(step(Expired(stall.allowed, quiet=True))))
            if turn.over or self._stream is not stream:
                return

    def _heard_out(self, stream: EventStream | None) -> Iterator[Update]:
        """Looks for the reason why the stream ended, if the turn did not."""
        if self._turn.over or self._stream is not stream:
            return
        yield from self._news()
        stall = self._watchdog.stall
        if stall.is_over(self._turn.news):
            yield from self._carry_out(self._turn.step(Expired(stall.allowed, quiet=True)))
        if not self._turn.over and self._stream is stream:
            problem = None if stream is None else stream.problem
            dropped = problem or errors.MixStreamError("The server closed the event stream.", sent="GET /stream")
            yield from self._carry_out(self._turn.step(Dropped(dropped)))

    def _has_urgent_news(self) -> bool:
        answered = self._answers and not ends_turn(self._answers[-1])
        return bool(answered or self._questions.problems or self._clock.over)

    def _news(self) -> Iterator[Update]:
        """What happened beside the stream."""
        if self._questions.problems:
            raise self._questions.problems.pop()
        if self._clock.over:  # Before the answers: the message's own is not waited for any longer either.
            yield from self._carry_out(self._turn.step(Expired(self._clock.seconds)))
        while self._answers:
            yield from self._carry_out(self._turn.step(self._answers.pop()))

    def _carry_out(self, effects: tuple[Effect, ...]) -> Iterator[Update]:  # noqa: C901  # One case per effect.
        for effect in effects:
            self._check_process()
            match effect:
                case Emit():
                    yield effect.update
                case Send():
                    yield from self._send()
                case Reconcile():
                    yield from self._carry_out(self._turn.step(self._read(effect)))
                case Reopen():
                    pause = self._watchdog.pause(reopen_wait(effect.attempt, random.random()))  # noqa: S311
                    time.sleep(pause)  # noqa: TID251  # Between two attempts.
                    yield from self._carry_out(self._open())
                case Ask() | Notify():
                    self._watchdog.stall.pause()  # People may decide.
                    update = self._questions.answer(effect, self._turn.detected)
                    self._watchdog.stall.resume()
                    if update is not None:
                        yield update
                case Watch():
                    self._questions.watch(effect.parent_id)
                case Unwatch():
                    self._questions.unwatch(effect.parent_id)
                case Cancel():
                    self._cancel()
                case Finish():
                    return
                case Fail():
                    raise effect.error

    def _open(self) -> tuple[Effect, ...]:
        if self._stream is not None:
            self._stream.close()
        self._watchdog.opening()
        usual = self._core.settings.liveness
        liveness = liveness_of(self._turn.detected, usual, TURN_TIMEOUT)
        dropped: errors.MixError | None = None
        try:
            call = calls.event_stream(self._request.session_id)
            self._stream = self._transport.open_stream(call, self._clock.opening(), liveness=liveness)
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

    def _send(self) -> Iterator[Update]:
        if runs_beside(self._turn.detected):
            self._sender = threading.Thread(target=self._send_beside, daemon=True)
            self._sender.start()
        else:
            answer = self._post(self._clock.options())
            cut_off = self._clock.cuts_off(answer)
            yield from self._carry_out(self._turn.step(Expired(self._clock.seconds) if cut_off else answer))

    def _post(self, options: CallOptions) -> Answered:
        try:
            call = self._request.message_call(self._turn.detected)
            return answer_of(self._transport.send(call, options))
        except errors.MixError as error:
            self._core.narrow(remaining(self._turn.detected, error), self._turn.detected)
            if self._clock.over and isinstance(error, errors.MixNetworkError) and error.acted == "no":
                return Answered(error=self._too_late())
            return Answered(error=error)

    def _send_beside(self) -> None:
        answer = self._post(self._clock.beside())
        self._answers.append(answer)
        if ends_turn(answer):
            self._wake()

    def _wake(self) -> None:
        stream = self._stream
        if stream is not None:
            interrupt(stream.response)

    def _read(self, effect: Reconcile) -> Read:
        call = reading(self._request.session_id, export=effect.export)
        try:
            return Read(transcript_of(self._transport.send(call, self._clock.reading()), export=effect.export))
        except errors.MixError as error:
            return Read(error=error)

    def _cancel(self) -> None:
        with suppress(errors.MixError):  # Cancelling is a courtesy; the turn ends for its user either way.
            self._transport.send(calls.cancel_session(self._request.session_id), self._clock.leaving())

    def _end(self) -> None:
        """Leaves nothing behind: no running turn, no stream, no thread."""
        if self._is_inherited():
            return
        if self._turn.may_run:
            self._cancel()
        self._questions.close()
        if self._stream is not None:
            self._stream.close()
        if self._sender is not None:
            self._sender.join(self._clock.tidy_left())
