"""What the stored messages do to a turn: they decide what was said and whether it is over.

Owns: the rules of reading them. Refuses to know: events (`stream.py`) and answers (`answers.py`).
"""

from __future__ import annotations

from langchain_mix import errors
from langchain_mix.protocol.turn import outcomes
from langchain_mix.protocol.turn.state import Blind, Effects, Phase, State
from langchain_mix.protocol.turn.steps import Emit, Read, Reconcile
from langchain_mix.protocol.turn.transcript import StoredRow, Transcript, outcome_of, up_to_call


def read(state: State, signal: Read) -> Effects:
    """Takes the stored messages, or the reason why they cannot be read."""
    held, state.held = state.held, ()
    effects = _read(state, signal)
    return (*effects, *held) if state.phase is Phase.RUNNING else (*held, *effects)


def _read(state: State, signal: Read) -> Effects:
    if signal.transcript is None:
        return _unread(state, signal.error)
    if state.counting:
        return _count(state, signal.transcript)
    user, rows = signal.transcript.turn_of(
        state.user_id, state.text, rows_before=state.rows_before or 0, told=state.narration.ids
    )
    resume_at, state.resume_at = state.resume_at, ""
    if state.result.contended:
        ids = state.narration.ids | ({state.complete.message_id} if state.complete else set())
        rows = [r for r in signal.transcript.rows if r.role == "assistant" and r.id in ids]
    if state.phase is Phase.CLOSING:
        state.user_id = state.user_id or (user.id if user else "")
        state.result.verified = user is not None or bool(rows)
        return _settle_all(state, signal.transcript, rows)
    if user is None or (state.lost_answer is not None and not state.user_id):
        return _unproven(state, stored=user is not None)
    return _proven(state, signal.transcript, user, rows, resume_at)


def _proven(state: State, transcript: Transcript, user: StoredRow, rows: list[StoredRow], resume_at: str) -> Effects:
    """The session holds the message; its rows tell whether the turn goes on."""
    outcome = outcome_of(rows)
    if outcome == "running":
        return _still_running(state, rows, resume_at)
    certain = state.user_id or state.touched or state.rows_before is not None
    if not certain and state.candidate not in {user.id, rows[-1].id}:
        # It may be an earlier turn with the same words, and this one not stored yet. The next heartbeat shows.
        state.candidate = user.id
        return ()
    state.user_id, state.phase = user.id, Phase.CLOSING
    if outcome != "finished" and state.failure is None:
        state.failure = outcomes.stored_failure(outcome, state.early_error)
    if state.known.agreed("tool_results") is False:
        state.result.verified = True
        return _settle_all(state, transcript, rows)
    return (state.final_read(),)  # This was the export; the message listing tells results and tokens too.


def _settle_all(state: State, transcript: Transcript, rows: list[StoredRow]) -> Effects:
    ended = state.failure is None and (state.complete is None or state.complete.message_id in {r.id for r in rows})
    effects: Effects = tuple(Emit(u) for u in state.narration.settle(rows, whole=ended))
    outcomes.complete_result(state.result, transcript, rows, state.cost_before)
    if isinstance(state.failure, errors.MixTurnInterrupted) and transcript.last_call and outcome_of(rows) == "finished":
        state.failure = None  # The turn was over before the break could cancel it.
    if state.result.usage is None and transcript.last_call is None and rows and state.failure is None:
        # Mix 0.8.0 tells no tokens per message; the session's counters are in the export.
        state.counting = True
        return (*effects, Reconcile(export=True))
    return effects + _end(state)


def _count(state: State, transcript: Transcript) -> Effects:
    _, rows = transcript.turn_of(state.user_id, state.text, told=state.narration.ids)
    outcomes.complete_result(state.result, transcript, rows, state.cost_before)
    return _end(state)


def _still_running(state: State, rows: list[StoredRow], resume_at: str) -> Effects:
    if state.early_error and not rows and not state.touched:
        state.doubts += 1
        if state.doubts > 1:  # For a whole heartbeat nothing came but this error: it is this turn's.
            return state.end_with(outcomes.agent_error_text(state.early_error))
    if state.blind is Blind.NO:
        return ()
    if state.blind is Blind.UNTIL_END:
        # A message that has called its tools is complete, and so is one with a reason for its end.
        return tuple(Emit(u) for u in state.narration.settle([r for r in rows if r.finish_reason or r.tool_calls]))
    # The rows may be ahead of the stream, which will tell the later ones itself.
    known = up_to_call(rows, resume_at)
    if known:
        state.blind = Blind.NO
    return tuple(Emit(u) for u in state.narration.settle(known))


def _unproven(state: State, *, stored: bool) -> Effects:
    """The session does not provably hold the message: it is not there, or it may be an earlier one."""
    if state.lost_answer is None:
        return ()
    if isinstance(state.lost_answer, errors.ErrorResponse) and not stored:
        return state.fail(state.lost_answer)  # The server failed before it stored anything, and has said so.
    state.doubts += 1
    if state.doubts == 1:
        return ()  # It may still be under way; the next heartbeat asks again.
    return state.fail(outcomes.unknown_outcome(state.lost_answer))


def _unread(state: State, error: errors.MixError | None) -> Effects:
    if state.phase is Phase.CLOSING:
        return _end(state)
    if isinstance(error, errors.MixNotFoundError):
        return state.fail(error)
    return ()  # The next heartbeat asks again.


def _end(state: State) -> Effects:
    if state.failure is not None:
        return state.fail(state.failure)
    if state.complete is None:
        return state.finish()
    # The stored messages agree with this, or could not be read: then it alone tells the end of the last message.
    late = state.narration.settle_last(state.complete, stored=state.result.verified)
    state.result.reasoning_duration = state.complete.reasoning_duration
    return tuple(Emit(u) for u in late) + state.finish()
