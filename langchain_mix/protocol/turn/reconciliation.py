"""Reconciles a turn with the stored messages: they decide what was said and whether the turn is over.

Owns: the rules for a read of them. Refuses to know: events (`stream.py`), answers (`machine.py`), the comparison of
text (`accumulator.py`) and the counting of tokens (`usage.py`).
"""

from __future__ import annotations

from typing import Final

from langchain_mix import errors
from langchain_mix.protocol.turn import errors as turn_errors
from langchain_mix.protocol.turn.attribution import TurnEvidence, attribute_rows
from langchain_mix.protocol.turn.signals import Emit, Read, Reconcile
from langchain_mix.protocol.turn.state import MAX_UNPROVEN, Delivery, Effects, Phase, State, TextSuppression, Visibility
from langchain_mix.protocol.turn.stored_rows import StoredRow, Transcript, outcome_of, up_to_call
from langchain_mix.protocol.turn.updates import RowRef, TurnResult
from langchain_mix.protocol.turn.usage import usage_of_turn

_IDLE_READS: Final = 2
"""Heartbeats after which a session where nobody is at work will not change any more."""


def handle_read(state: State, signal: Read) -> Effects:
    """Handles the stored messages, or the reason why they cannot be read."""
    held, state.held = state.held, ()
    effects = _read(state, signal)
    return (*effects, *held) if state.phase is Phase.RUNNING else (*held, *effects)


def _read(state: State, signal: Read) -> Effects:
    if signal.transcript is None:
        return _unread(state, signal.error)
    transcript = signal.transcript
    state.activity.compare(transcript)
    if state.phase is Phase.COUNTING:
        return _count(state, transcript)
    user, rows, certain = _own(state, transcript)
    resume_at, state.resume_at = state.resume_at, ""
    if state.phase is Phase.CLOSING:
        return _handle_end(state, transcript, user, rows, certain=certain)
    if user is None or (state.lost_answer is not None and not state.user_id):
        return _unproven(state, stored=user is not None)
    if state.result.contended and _is_stuck(state, transcript, user, rows, certain=certain):
        state.failure, state.phase = turn_errors.unclear(state.session_id), Phase.CLOSING
        return _reconcile_all(state, transcript, rows)
    return _proven(state, transcript, user, rows, resume_at)


def _handle_end(
    state: State, transcript: Transcript, user: StoredRow | None, rows: list[StoredRow], *, certain: bool
) -> Effects:
    """Handles the end, if it is this turn's."""
    if _ends_another(state, transcript, user, rows, certain=certain):
        return _resume(state)
    if not certain:
        state.failure = state.failure or turn_errors.unclear(state.session_id)
    state.user_id = state.user_id or (user.id if user else "")
    state.result.verified = user is not None or bool(rows)
    return _reconcile_all(state, transcript, rows)


def _own(state: State, transcript: Transcript) -> tuple[StoredRow | None, list[StoredRow], bool]:
    """Returns the user's row, the turn's rows, and True if they are its rows for certain."""
    shown = state.accumulator.ids
    user, rows = transcript.turn_of(state.user_id, state.text, rows_before=state.rows_before or 0, shown=shown)
    if user is None:
        return None, [], True
    end = state.complete.message_id if state.complete is not None else ""
    announces = state.detected.supports("user_message_created")
    evidence = TurnEvidence(
        since=state.rows_before,
        shown=shown,
        foreign=state.others.message_ids,
        begun=state.others.user_ids if announces or (announces is None and state.user_id) else None,
        last=state.last_id,
    )
    share = attribute_rows(transcript.rows, transcript.rows.index(user), evidence)
    for earlier in transcript.same_words(user, state.rows_before or 0) if end and not state.user_id else ():
        # Before Mix 0.7 nothing names the user's row. The end that came is that of one of them.
        if end in {r.id for r in share.rows}:
            break
        user, share = earlier, attribute_rows(transcript.rows, transcript.rows.index(earlier), evidence)
    state.others.possible = share.others
    if share.concurrent:
        state.mark_concurrent(share.concurrent)
    apart = state.result.contended or (end not in {r.id for r in rows} and transcript.holds(end))
    return (user, share.rows, share.certain) if apart else (user, rows, True)


def _ends_another(
    state: State, transcript: Transcript, user: StoredRow | None, rows: list[StoredRow], *, certain: bool
) -> bool:
    """Returns True if the turn that ended was another client's."""
    answered = state.delivery is Delivery.ANSWERED
    if state.reported_error and user is None and not answered:
        return True  # A turn that fails has stored its message.
    others = state.others
    may_be_foreign = state.result.contended or others.possible
    if state.reported_error and may_be_foreign and len(others.ends) <= max(others.concurrent, 1):
        return True
    if state.complete is None or state.last_id or not certain or not transcript.holds(state.complete.message_id):
        return False
    if user is None:
        return not answered  # The message is not stored yet, or in words that cannot be recognised.
    return state.complete.message_id not in {r.id for r in rows}


def _resume(state: State) -> Effects:
    """Lets the turn go on; what the stream has shown of it may be another one's."""
    state.early_error = state.reported_error or state.early_error
    end = "error: " + state.reported_error
    if state.complete is not None:
        end = state.complete.message_id
        state.others.message_ids.add(end)
    state.mark_concurrent(1)
    state.resume()
    if not state.user_id and state.delivery is not Delivery.ANSWERED and state.shown:
        state.visibility = Visibility.EXPECTED
    if state.others.all_ended(end) and state.early_error:
        return state.end_with(turn_errors.agent_error_text(state.early_error))
    return (Reconcile(export=True),)


def _is_stuck(state: State, transcript: Transcript, user: StoredRow, rows: list[StoredRow], *, certain: bool) -> bool:
    """Returns True if for two heartbeats nobody was at work and still nothing proves which answer is this turn's."""
    later = transcript.rows[transcript.rows.index(user) :]
    answers = [r for r in later if r.role == "assistant"]
    at_work = not answers or any(r.finish_reason == "" for r in answers) or outcome_of(answers) == "running"
    if at_work or (rows and certain):
        state.idle_reads = 0
        return False
    state.idle_reads += 1
    return state.idle_reads > _IDLE_READS


def _proven(state: State, transcript: Transcript, user: StoredRow, rows: list[StoredRow], resume_at: str) -> Effects:
    """Handles a session that holds the message; its rows show whether the turn goes on."""
    outcome = outcome_of(rows)
    if outcome == "running":
        return _still_running(state, rows, resume_at)
    certain = state.user_id or state.shown or state.rows_before is not None
    if not certain and state.candidate not in {user.id, rows[-1].id}:
        # It may be an earlier turn with the same words, and this one not stored yet. The next heartbeat shows.
        state.candidate = user.id
        return ()
    state.user_id, state.phase = user.id, Phase.CLOSING
    if outcome != "finished" and state.failure is None:
        state.failure = turn_errors.stored_failure(outcome, state.early_error)
    if state.detected.supports("tool_results") is False:
        state.result.verified = True
        return _reconcile_all(state, transcript, rows)
    return (state.final_read(),)  # This was the export; the message listing has results and tokens too.


def _reconcile_all(state: State, transcript: Transcript, rows: list[StoredRow]) -> Effects:
    ended = state.failure is None and (state.complete is None or state.complete.message_id in {r.id for r in rows})
    if state.result.contended or state.others.possible:
        ended = True  # Whatever else was shown was another turn's.
    if rows:
        own = {r.id for r in rows}
        state.accumulator.drop_foreign_calls([r for r in transcript.rows if r.id not in own])
    effects: Effects = tuple(Emit(u) for u in state.accumulator.reconcile(rows, whole=ended))
    _complete_result(state.result, transcript, rows, state.cost_before)
    if isinstance(state.failure, errors.MixTurnInterrupted) and transcript.last_call and outcome_of(rows) == "finished":
        state.failure = None  # The turn was over before the break could cancel it.
    if state.result.usage is None and transcript.last_call is None and rows and state.failure is None:
        # Mix 0.8.0 lists no tokens per message; the session's counters are in the export.
        state.phase = Phase.COUNTING
        return (*effects, Reconcile(export=True))
    return effects + _end(state)


def _count(state: State, transcript: Transcript) -> Effects:
    _, rows, _ = _own(state, transcript)
    _complete_result(state.result, transcript, rows, state.cost_before)
    return _end(state)


def _still_running(state: State, rows: list[StoredRow], resume_at: str) -> Effects:
    if state.early_error and not rows and not state.shown:
        state.doubts += 1
        if state.doubts > 1:  # For a whole heartbeat nothing came but this error: it is this turn's.
            return state.end_with(turn_errors.agent_error_text(state.early_error))
    if state.suppression is TextSuppression.NONE:
        return ()
    if state.suppression is TextSuppression.UNTIL_END:
        # A message that has called its tools is complete, and so is one with a reason for its end.
        known = [r for r in rows if r.finish_reason or r.tool_calls]
        return (
            tuple(Emit(u) for u in state.accumulator.reconcile(known)) if state.accumulator.agrees_with(known) else ()
        )
    # The rows may be ahead of the stream, which will bring the later ones itself.
    known = up_to_call(rows, resume_at)
    if known:
        state.suppression = TextSuppression.NONE
    return tuple(Emit(u) for u in state.accumulator.reconcile(known))


def _unproven(state: State, *, stored: bool) -> Effects:
    """Handles a session that does not provably hold the message: it is missing, or may be an earlier one."""
    if state.lost_answer is None:
        return () if stored or state.shown or state.delivery is not Delivery.ANSWERED else _still_unproven(state)
    if isinstance(state.lost_answer, errors.ErrorResponse) and not stored:
        return state.fail(state.lost_answer)  # The server failed before it stored anything, and has said so.
    state.doubts += 1
    if state.doubts == 1:
        return ()  # It may still be under way; the next heartbeat asks again.
    return state.fail(turn_errors.unknown_outcome(state.lost_answer))


def _still_unproven(state: State) -> Effects:
    """Counts a read without the message. Mix stores it before its turn begins, and 202 says nothing about success."""
    state.unproven += 1
    if state.unproven <= MAX_UNPROVEN:
        return ()  # The next heartbeat asks again.
    lost = state.lost_answer
    return state.fail(turn_errors.unproven(state.session_id) if lost is None else turn_errors.unknown_outcome(lost))


def _unread(state: State, error: errors.MixError | None) -> Effects:
    if state.ending:
        return _end(state)
    if isinstance(error, errors.MixNotFoundError):
        return state.fail(error)
    if state.lost_answer is not None or (state.delivery is Delivery.ANSWERED and not state.shown):
        return _still_unproven(state)
    return ()  # The next heartbeat asks again.


def _end(state: State) -> Effects:
    if state.failure is not None:
        return state.fail(state.failure)
    if state.complete is None:
        return state.finish()
    # The stored messages agree with this, or could not be read: then it alone has the end of the last message.
    late = state.accumulator.reconcile_last(state.complete, stored=state.result.verified)
    state.result.reasoning_duration = state.complete.reasoning_duration
    return tuple(Emit(u) for u in late) + state.finish()


def _complete_result(
    result: TurnResult, transcript: Transcript, rows: list[StoredRow], cost_before: float | None
) -> None:
    """Adds what the stored messages have of the whole turn: tokens, cost, model, the position in the session."""
    result.row_count = len(transcript.rows)
    result.rows = [RowRef(r.id, r.role) for r in transcript.rows]
    result.model = next((r.model for r in reversed(rows) if r.model), "")
    result.usage = usage_of_turn([row.usage for row in rows], transcript.last_call, cost_before)
