"""What the stored messages do to a turn: they decide what was said and whether it is over.

Owns: the rules of reading them. Refuses to know: events (`stream.py`) and answers (`answers.py`).
"""

from __future__ import annotations

from typing import Final

from langchain_mix import errors
from langchain_mix.protocol.turn import outcomes
from langchain_mix.protocol.turn.runs import Evidence, share_of
from langchain_mix.protocol.turn.state import MAX_UNPROVEN, Blind, Effects, Phase, State
from langchain_mix.protocol.turn.steps import Emit, Read, Reconcile
from langchain_mix.protocol.turn.transcript import StoredRow, Transcript, outcome_of, up_to_call

_IDLE_READS: Final = 2
"""Heartbeats after which a session where nobody is at work will not tell more."""


def read(state: State, signal: Read) -> Effects:
    """Takes the stored messages, or the reason why they cannot be read."""
    held, state.held = state.held, ()
    effects = _read(state, signal)
    return (*effects, *held) if state.phase is Phase.RUNNING else (*held, *effects)


def _read(state: State, signal: Read) -> Effects:
    if signal.transcript is None:
        return _unread(state, signal.error)
    transcript = signal.transcript
    _compare(state, transcript)
    if state.counting:
        return _count(state, transcript)
    user, rows, certain = _own(state, transcript)
    resume_at, state.resume_at = state.resume_at, ""
    if state.phase is Phase.CLOSING:
        return _closed(state, transcript, user, rows, certain=certain)
    if user is None or (state.lost_answer is not None and not state.user_id):
        return _unproven(state, stored=user is not None)
    if state.result.contended and _is_stuck(state, transcript, user, rows, certain=certain):
        state.failure, state.phase = outcomes.unclear(state.session_id), Phase.CLOSING
        return _settle_all(state, transcript, rows)
    return _proven(state, transcript, user, rows, resume_at)


def _compare(state: State, transcript: Transcript) -> None:
    """Notes whether the stored messages have grown: events may be lost while no stream is open."""
    size = len(transcript.rows)
    text = sum(len(row.text) + len(row.thinking) for row in transcript.rows)
    stored = (size, text, sum(len(row.tool_calls) for row in transcript.rows))
    if state.stored not in {None, stored}:
        state.progress()
    state.stored = stored


def _closed(
    state: State, transcript: Transcript, user: StoredRow | None, rows: list[StoredRow], *, certain: bool
) -> Effects:
    """The end has come, if it is this turn's."""
    if _ends_another(state, transcript, user, rows, certain=certain):
        return _not_ours(state)
    if not certain:
        state.failure = state.failure or outcomes.unclear(state.session_id)
    state.user_id = state.user_id or (user.id if user else "")
    state.result.verified = user is not None or bool(rows)
    return _settle_all(state, transcript, rows)


def _own(state: State, transcript: Transcript) -> tuple[StoredRow | None, list[StoredRow], bool]:
    """The turn's rows, and whether they are so for certain."""
    told = state.narration.ids
    user, rows = transcript.turn_of(state.user_id, state.text, rows_before=state.rows_before or 0, told=told)
    if user is None:
        return None, [], True
    end = state.complete.message_id if state.complete is not None else ""
    announces = state.detected.supports("user_message_created")
    evidence = Evidence(
        since=state.rows_before,
        told=told,
        others=state.foreign_ids,
        begun=state.foreign_users if announces or (announces is None and state.user_id) else None,
        last=state.last_id,
    )
    share = share_of(transcript.rows, transcript.rows.index(user), evidence)
    for earlier in transcript.same_words(user, state.rows_before or 0) if end and not state.user_id else ():
        # Before Mix 0.7 nothing names the user's row. The end that came is that of one of them.
        if end in {r.id for r in share.rows}:
            break
        user, share = earlier, share_of(transcript.rows, transcript.rows.index(earlier), evidence)
    state.mixed = share.others
    if share.beside:
        state.contend(share.beside)
    apart = state.result.contended or (end not in {r.id for r in rows} and transcript.holds(end))
    return (user, share.rows, share.certain) if apart else (user, rows, True)


def _ends_another(
    state: State, transcript: Transcript, user: StoredRow | None, rows: list[StoredRow], *, certain: bool
) -> bool:
    """Whether what ended was another client's turn."""
    if state.heard_error and user is None and not state.answered:
        return True  # A turn that fails has stored its message.
    if state.heard_error and (state.result.contended or state.mixed) and len(state.ends) <= max(state.besides, 1):
        return True
    if state.complete is None or state.last_id or not certain or not transcript.holds(state.complete.message_id):
        return False
    if user is None:
        return not state.answered  # The message is not stored yet, or in words that cannot be recognised.
    return state.complete.message_id not in {r.id for r in rows}


def _not_ours(state: State) -> Effects:
    """The turn goes on; what the stream has shown of it may be another one's."""
    state.early_error = state.heard_error or state.early_error
    end = "error: " + state.heard_error
    if state.complete is not None:
        end = state.complete.message_id
        state.foreign_ids.add(end)
    state.contend(1)
    state.go_on()
    if not state.user_id and not state.answered:
        state.touched = state.accepted = False
        state.lost_answer = state.lost
    if state.all_ended(end) and state.early_error:
        return state.end_with(outcomes.agent_error_text(state.early_error))
    return (Reconcile(export=True),)


def _is_stuck(state: State, transcript: Transcript, user: StoredRow, rows: list[StoredRow], *, certain: bool) -> bool:
    """Whether for two heartbeats nobody has been at work and still nothing proves which answer is this turn's."""
    later = transcript.rows[transcript.rows.index(user) :]
    answers = [r for r in later if r.role == "assistant"]
    at_work = not answers or any(r.finish_reason == "" for r in answers) or outcome_of(answers) == "running"
    if at_work or (rows and certain):
        state.idle_reads = 0
        return False
    state.idle_reads += 1
    return state.idle_reads > _IDLE_READS


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
    if state.detected.supports("tool_results") is False:
        state.result.verified = True
        return _settle_all(state, transcript, rows)
    return (state.final_read(),)  # This was the export; the message listing tells results and tokens too.


def _settle_all(state: State, transcript: Transcript, rows: list[StoredRow]) -> Effects:
    ended = state.failure is None and (state.complete is None or state.complete.message_id in {r.id for r in rows})
    if state.result.contended or state.mixed:
        ended = True  # Whatever else was shown was another turn's.
    if rows:
        own = {r.id for r in rows}
        state.narration.disown([r for r in transcript.rows if r.id not in own])
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
    _, rows, _ = _own(state, transcript)
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
        known = [r for r in rows if r.finish_reason or r.tool_calls]
        return tuple(Emit(u) for u in state.narration.settle(known)) if state.narration.agrees(known) else ()
    # The rows may be ahead of the stream, which will tell the later ones itself.
    known = up_to_call(rows, resume_at)
    if known:
        state.blind = Blind.NO
    return tuple(Emit(u) for u in state.narration.settle(known))


def _unproven(state: State, *, stored: bool) -> Effects:
    """The session does not provably hold the message: it is not there, or it may be an earlier one."""
    if state.lost_answer is None:
        return () if stored or state.touched or not state.answered else _still_unproven(state)
    if isinstance(state.lost_answer, errors.ErrorResponse) and not stored:
        return state.fail(state.lost_answer)  # The server failed before it stored anything, and has said so.
    state.doubts += 1
    if state.doubts == 1:
        return ()  # It may still be under way; the next heartbeat asks again.
    return state.fail(outcomes.unknown_outcome(state.lost_answer))


def _still_unproven(state: State) -> Effects:
    """Mix stores a message before its turn begins, and 202 says nothing about success."""
    state.unproven += 1
    if state.unproven <= MAX_UNPROVEN:
        return ()  # The next heartbeat asks again.
    lost = state.lost_answer
    return state.fail(outcomes.unproven(state.session_id) if lost is None else outcomes.unknown_outcome(lost))


def _unread(state: State, error: errors.MixError | None) -> Effects:
    if state.phase is Phase.CLOSING:
        return _end(state)
    if isinstance(error, errors.MixNotFoundError):
        return state.fail(error)
    if state.lost_answer is not None or (state.answered and not state.touched):
        return _still_unproven(state)
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
