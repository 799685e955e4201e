"""`Turn`: signals in, effects out.

Owns: the machine that the shells drive, and the rules for answers, streams that end and time that is over: a message is
sent at most once, whatever happens to its answer. Refuses to know: clocks, sockets, threads, event loops; the shells
have them.
"""

from __future__ import annotations

from typing import Final

from langchain_mix import errors
from langchain_mix.protocol.api import ApiKnowledge, having
from langchain_mix.protocol.events import SSECompleteEventData
from langchain_mix.protocol.models import SendMessageResponse
from langchain_mix.protocol.retry import RETRIED_STATUSES
from langchain_mix.protocol.turn import errors as turn_errors
from langchain_mix.protocol.turn import reconciliation, stream
from langchain_mix.protocol.turn.signals import Answered, Cancel, Dropped, Read, Received, Reconcile, Reopen, Signal
from langchain_mix.protocol.turn.state import (
    MAX_FRUITLESS,
    MAX_REOPENS,
    Delivery,
    Effects,
    Phase,
    State,
    Visibility,
)
from langchain_mix.protocol.turn.updates import TurnResult


class Turn:
    """One turn, from the open stream to its result.

    Text is emitted exactly once, the message is sent at most once, and every turn ends. `step()` never raises on what a
    server sends. The object is fed, not copied: a turn may have tens of thousands of events.

    Attributes:
        activity: Signs of life; while its counter `news` stays the same, nothing shows that anybody works on the turn.
    """

    def __init__(
        self,
        session_id: str,
        text: str,
        *,
        detected: ApiKnowledge,
        command: bool = False,
        stale_error: str = "",
        cost_before: float | None = None,
        rows_before: int | None = None,
    ) -> None:
        """Prepares a turn; nothing is sent before the stream says `connected`.

        Args:
            session_id: The session.
            text: The message, exactly as it will be sent.
            detected: The generations the server may be.
            command: The text is meant as a server command.
            stale_error: Text of an error that ended the session's last turn and may come once more (Mix 0.6.5 on).
            cost_before: The session's cost before the turn in US dollars, if known; before Mix 0.8 a turn costs the
                difference.
            rows_before: The rows of the session before the turn, if known: an earlier message with the same words can
                then never be taken for this one.
        """
        self._state = State(
            session_id=session_id,
            text=text,
            detected=detected,
            command=command,
            stale_error=stale_error,
            cost_before=cost_before,
            rows_before=rows_before,
        )
        self.activity: Final = self._state.activity

    @property
    def detected(self) -> ApiKnowledge:
        """The generations the server may be, narrowed by what the turn has shown."""
        return self._state.detected

    @property
    def stale_error(self) -> str:
        """After the turn: text of its error, which the server may send once more."""
        return self._state.stale_error

    @property
    def over(self) -> bool:
        """True once the turn has ended, well or not."""
        return self._state.phase is Phase.DONE

    @property
    def may_run(self) -> bool:
        """True while the server may be working on the message, so that giving up means cancelling."""
        return self._state.phase is Phase.RUNNING

    @property
    def sent(self) -> bool:
        """True once the message is on its way to the server."""
        return self._state.sent

    def partial(self) -> TurnResult:
        """Returns what is known of the turn by now."""
        return self._state.partial()

    def step(self, signal: Signal) -> Effects:
        """Takes a signal.

        Returns:
            What to do now, in this order. After `Finish` or `Fail` nothing more comes.
        """
        state = self._state
        if state.phase is Phase.DONE:
            return ()
        if isinstance(signal, Received):
            return stream.handle_event(state, signal.event)
        if isinstance(signal, Answered):
            return _handle_answer(state, signal)
        if isinstance(signal, Read):
            return reconciliation.handle_read(state, signal)
        if isinstance(signal, Dropped):
            return _handle_drop(state, signal.error)
        return _handle_expiry(state, signal.seconds, quiet=signal.quiet)


def _handle_answer(state: State, signal: Answered) -> Effects:
    """Handles the answer to the message, or the error in its place."""
    if state.phase is not Phase.RUNNING:
        return ()
    if signal.error is not None:
        return _handle_failed_answer(state, signal.error)
    state.delivery = Delivery.ANSWERED
    reply = signal.reply
    if state.detected.supports("user_message_created") is False:
        _expect_events(state)  # This server announces no turn: the next events are this one's.
    if reply is None:
        return ()
    if reply.accepted:
        state.narrow(having("send_waits", value=False))
        return ()
    return _handle_reply(state, reply)


def _expect_events(state: State) -> None:
    if state.visibility is Visibility.HIDDEN:
        state.visibility = Visibility.EXPECTED


def _handle_reply(state: State, reply: SendMessageResponse) -> Effects:
    """Handles an answer that holds the reply: a server command, or a whole turn (Mix 0.5 and 0.6)."""
    content = reply.assistant_response or ""
    if reply.is_command:
        state.accumulator.answer(content)
        return state.finish(command=True)
    state.narrow(having("send_waits"))
    _expect_events(state)
    state.phase, state.last_id = Phase.CLOSING, reply.id
    state.complete = SSECompleteEventData(content=content, message_id=reply.id)
    return (state.final_read(),)


def _handle_failed_answer(state: State, error: errors.MixError) -> Effects:
    if error.acted == "no":
        return state.fail(error)
    if isinstance(error, errors.ErrorResponse) and "agent processing" in error.error.message:
        return state.end_with(turn_errors.failed_answer(error))  # Mix 0.6 reports a failed turn like this.
    state.lost = error
    if state.delivery is Delivery.SENT:
        state.delivery = Delivery.LOST
    # Unless the stream has shown the turn already, what the server has stored decides whether the message arrived.
    # Nothing is sent again.
    return () if state.accepted else (Reconcile(export=True),)


def _handle_drop(state: State, error: errors.MixError) -> Effects:
    """Handles the end of the stream."""
    if state.ending:
        return ()
    answered = isinstance(error, errors.MixResponseError | errors.MixUsageError)
    final = answered and error.status_code not in RETRIED_STATUSES
    state.reopens += 1
    if state.phase is Phase.OPENING:
        return state.fail(error) if final or state.reopens > MAX_REOPENS else (Reopen(state.reopens),)
    if state.detected.supports("close_cancels") is True:
        return state.end_with(turn_errors.interrupted(error))
    state.activity.fruitless += 1
    if final or state.reopens > MAX_REOPENS or state.activity.fruitless > MAX_FRUITLESS:
        lost = state.lost_answer
        return state.fail(turn_errors.left_running(error) if lost is None else turn_errors.unknown_outcome(lost))
    return (Reopen(max(state.reopens, state.activity.fruitless)),)


def _handle_expiry(state: State, seconds: float, *, quiet: bool = False) -> Effects:
    """Handles the end of the time allowed for the turn, or for its silence."""
    if state.phase is Phase.OPENING:
        return state.fail(turn_errors.expired(seconds, sent=False))
    if state.ending:
        return ()
    return (Cancel(), *state.end_with(turn_errors.expired(seconds, sent=True, taken=state.accepted, quiet=quiet)))
