"""What the message's answer, a broken stream and a spent budget do to a turn.

Owns: the rule that a message is sent at most once, and what a lost answer means.
Refuses to know: events (`stream.py`) and stored messages (`settling.py`).
"""

from __future__ import annotations

from langchain_mix import errors
from langchain_mix.protocol.api import having
from langchain_mix.protocol.events import SSECompleteEventData
from langchain_mix.protocol.models import SendMessageResponse
from langchain_mix.protocol.retry import RETRIED_STATUSES
from langchain_mix.protocol.turn import outcomes
from langchain_mix.protocol.turn.state import MAX_FRUITLESS, MAX_REOPENS, Effects, Phase, State
from langchain_mix.protocol.turn.steps import Answered, Cancel, Reconcile, Reopen


def answered(state: State, signal: Answered) -> Effects:
    """Takes the answer to the message, or the error in its place."""
    if state.phase is not Phase.RUNNING:
        return ()
    if signal.error is not None:
        return _refused(state, signal.error)
    state.accepted = state.answered = True
    reply = signal.reply
    if state.detected.supports("user_message_created") is False:
        state.ours = True  # No event will say so.
    if reply is None:
        return ()
    if reply.accepted:
        state.narrow(having("send_waits", value=False))
        return ()
    return _at_once(state, reply)


def _at_once(state: State, reply: SendMessageResponse) -> Effects:
    """An answer that holds the reply: a server command, or a whole turn (Mix 0.5 and 0.6)."""
    content = reply.assistant_response or ""
    if reply.is_command:
        state.narration.answer(content)
        return state.finish(command=True)
    state.narrow(having("send_waits"))
    state.ours, state.phase, state.last_id = True, Phase.CLOSING, reply.id
    state.complete = SSECompleteEventData(content=content, message_id=reply.id)
    return (state.final_read(),)


def _refused(state: State, error: errors.MixError) -> Effects:
    if error.acted == "no":
        return state.fail(error)
    if isinstance(error, errors.ErrorResponse) and "agent processing" in error.error.message:
        return state.end_with(outcomes.failed_answer(error))  # Mix 0.6 answers a failed turn so.
    state.lost = error
    if state.accepted:
        return ()  # The stream has already told of the turn.
    # The answer is lost or says nothing, the message perhaps not. What the server has stored decides; nothing is sent
    # again.
    state.lost_answer = error
    return (Reconcile(export=True),)


def dropped(state: State, error: errors.MixError) -> Effects:
    """Takes the end of the stream."""
    if state.phase is Phase.CLOSING:
        return ()
    told = isinstance(error, errors.MixResponseError | errors.MixUsageError)
    final = told and error.status_code not in RETRIED_STATUSES
    if state.phase is Phase.OPENING:
        state.reopens += 1
        return state.fail(error) if final or state.reopens > MAX_REOPENS else (Reopen(state.reopens),)
    if state.detected.supports("close_cancels") is True:
        return state.end_with(outcomes.interrupted(error))
    state.reopens += 1
    state.fruitless += 1
    if final or state.reopens > MAX_REOPENS or state.fruitless > MAX_FRUITLESS:
        lost = state.lost_answer
        return state.fail(outcomes.left_running(error) if lost is None else outcomes.unknown_outcome(lost))
    return (Reopen(max(state.reopens, state.fruitless)),)


def expired(state: State, seconds: float, *, quiet: bool = False) -> Effects:
    """Takes the end of the time allowed for the turn, or for its silence."""
    if state.phase is Phase.OPENING:
        return state.fail(outcomes.expired(seconds, sent=False))
    if state.phase is Phase.CLOSING:
        return ()
    return (Cancel(), *state.end_with(outcomes.expired(seconds, sent=True, taken=state.accepted, quiet=quiet)))
