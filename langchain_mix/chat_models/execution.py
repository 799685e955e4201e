"""One call of the model, carried out: message out, reply in.

Owns: the order in which a session is prepared, its turn run and written, and its traces kept or removed; the decisions
at the end of a turn: metadata, what is remembered, reminders, cleaning up. The order is written once for synchronous
and once for asynchronous code. Refuses to know: how sessions are prepared (`session_setup.py`) and replies written.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NoReturn

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from langchain_mix import errors, forking
from langchain_mix.chat_models.alignment import Append, Rewind, verify
from langchain_mix.chat_models.callbacks import AsyncCustomEvents, AsyncToolRuns, CustomEvents, ToolRuns
from langchain_mix.chat_models.content_blocks import ReplyWriter, retold
from langchain_mix.chat_models.model_errors import as_model_error
from langchain_mix.chat_models.parameters import UNNAMED_MODEL, MixPermissionWarning
from langchain_mix.chat_models.permissions import Approvals
from langchain_mix.chat_models.process_state import CLAIMS, HEADS, THREADS, Head
from langchain_mix.chat_models.request import Question
from langchain_mix.chat_models.retries import FAILED_CALLS, Path, path_of
from langchain_mix.chat_models.session_setup import Ready, model_told, prepare
from langchain_mix.chat_models.tool_prompt import reminder
from langchain_mix.generators import Owned
from langchain_mix.pointer import KEY, Pointer
from langchain_mix.protocol.turn.errors import expired
from langchain_mix.protocol.turn.updates import (
    PermissionRequested,
    SubagentUpdate,
    TextDelta,
    ToolFinished,
    TurnResult,
    Update,
)

if TYPE_CHECKING:
    from langchain_mix.client import AsyncTurnStream, Mix, TurnStream
    from langchain_mix.protocol.call import Flow
    from langchain_mix.protocol.turn.updates import Usage


_QUOTED: Final = 200


def metadata_of(question: Question, ready: Ready, result: TurnResult, writer: ReplyWriter) -> dict[str, Any]:
    """What the last chunk says of the reply.

    Args:
        question: The call.
        ready: The session it was answered in.
        result: The turn.
        writer: The reply.

    Returns:
        The metadata.

    Raises:
        MixHistoryDiverged: Somebody else wrote to the session meanwhile, and the call asked for an error then.
    """
    reply = writer.reply()
    pointer = ready.pointer(result, reply)
    if writer.stopped or question.options["retention"] == "delete":
        # The session holds more than the reply says, or will be gone: it proves nothing.
        pointer = _unproven(pointer)
    told: dict[str, Any] = pointer.as_metadata()
    if result.usage is not None and result.usage.cost is not None:
        told["cost"] = result.usage.cost
    if result.reasoning_duration:
        told["reasoning_duration"] = result.reasoning_duration
    model = model_told(result.model, ready.asked.parameters, honoured=ready.model_honoured)
    return {"finish_reason": "tool_calls" if reply.tool_calls else "stop", "model_name": model, KEY: told}


def _unproven(pointer: Pointer) -> Pointer:
    return Pointer(server=pointer.server, session_id=pointer.session_id, message_id=pointer.message_id)


def remember(question: Question, ready: Ready, result: TurnResult | None, *, digest: str = "") -> None:
    """Stores where the session stands now.

    Args:
        question: The call.
        ready: The session it was answered in.
        result: The turn; None for one that did not end well, after which nobody knows where the session stands.
        digest: Hash of the conversation up to and with the reply, once the reply is known.
    """
    key = (ready.asked.server, ready.session_id)
    if result is not None and result.verified and result.message_id:
        HEADS.put(key, Head(result.message_id, digest))
    else:
        HEADS.forget(key)
    CLAIMS.release(ready.claim)
    if question.thread is not None and result is not None:
        THREADS.put(question.thread, ready.session_id)


def reminded(question: Question, ready: Ready, result: TurnResult) -> Ready:
    """Makes the session ready for a reminder of the call that its reply lacks.

    Args:
        question: The call.
        ready: What the reply was made in.
        result: Its turn.

    Returns:
        The same session as it stands now, with the reminder as the message.
    """
    spent = result.usage.cost if result.usage is not None else None
    return replace(
        ready,
        plan=Append(
            messages=(),
            calls={},
            pointer=Pointer(server=ready.asked.server, session_id=ready.session_id),
            after=result.message_id,
        ),
        text=reminder(question.demanded),
        cost_before=None if ready.cost_before is None or spent is None else ready.cost_before + spent,
        rows_before=result.row_count if result.row_count >= 0 else None,
    )


def joined(first: TurnResult, ready: Ready, second: TurnResult) -> TurnResult:
    """Joins the turns of one call of the model: what they said is one reply to the first message.

    Args:
        first: The turn that lacks its call.
        ready: As the reminder was sent.
        second: The turn of the reminder.

    Returns:
        The turn as a whole. It is verified only if the reminder follows the first reply.
    """
    in_place = verify(ready.plan, second.rows, second.user_message_id) is None
    return replace(
        second,
        sent_text=first.sent_text,
        user_message_id=first.user_message_id,
        messages=[*first.messages, *second.messages],
        usage=_added(first.usage, second.usage),
        reasoning_duration=first.reasoning_duration + second.reasoning_duration,
        verified=second.verified and in_place,
        contended=first.contended or second.contended,
    )


def _added(first: Usage | None, second: Usage | None) -> Usage | None:
    """Adds what two turns used; where one of them is unknown, it says that it is not the whole."""
    if first is None or second is None:
        known = first or second
        return None if known is None else replace(known, cost=None, whole_turn=False)
    return replace(
        second,
        input_tokens=first.input_tokens + second.input_tokens,
        output_tokens=first.output_tokens + second.output_tokens,
        cache_creation_tokens=first.cache_creation_tokens + second.cache_creation_tokens,
        cache_read_tokens=first.cache_read_tokens + second.cache_read_tokens,
        cost=None if first.cost is None or second.cost is None else first.cost + second.cost,
        whole_turn=first.whole_turn and second.whole_turn,
    )


def call_missing(question: Question, result: TurnResult) -> errors.MixToolCallMissing:
    """Returns the error for a reply without the call that it had to make.

    Args:
        question: The call.
        result: The turns, joined.
    """
    tools = ", ".join(question.demanded)
    error = errors.MixToolCallMissing(
        f"The agent answered without a call of {tools}, which tool_choice demands: {result.text[:_QUOTED]!r}",
        acted="yes",
        hint="The whole reply is in `.turn.full_text`. Ask in other words, use a model that follows the prompt, or "
        "leave the choice to the agent (`tool_choice='auto'`; in LangChain's agents `ProviderStrategy`).",
    )
    error.turn = result
    return error


def cleaning(ready: Ready) -> Flow[None]:
    """Removes the traces of a turn that was given up and will be run again.

    Args:
        ready: What the turn was run in.

    Returns:
        The flow: a session made for the turn is deleted, any other goes back to where it stood.
    """
    from langchain_mix.protocol import calls  # noqa: PLC0415  # Models of the wire are loaded with the client.
    from langchain_mix.protocol.call import ask  # noqa: PLC0415

    key = (ready.asked.server, ready.session_id)
    HEADS.forget(key)
    CLAIMS.release(ready.claim)
    if ready.created:
        yield from ask(calls.delete_session(ready.session_id))
        return
    stood, plan = "", ready.plan
    if isinstance(plan, Append | Rewind):
        stood = plan.after if isinstance(plan, Append) else plan.pointer.message_id
    if stood and isinstance(
        plan, Append | Rewind
    ):  # Mix cannot go back to before the first message: a pinned session without any keeps this one.
        yield from ask(calls.rewind_session(ready.session_id, stood))
        HEADS.put(key, Head(stood, plan.pointer.digest if plan.pointer.message_id == stood else ""))


def cancelling(session_id: str) -> Flow[object]:
    """Cancels the turn of a session.

    Args:
        session_id: The session.

    Returns:
        The flow.
    """
    from langchain_mix.protocol import calls  # noqa: PLC0415  # As above.
    from langchain_mix.protocol.call import ask  # noqa: PLC0415

    return (yield from ask(calls.cancel_session(session_id)))


def deleting(session_id: str) -> Flow[None]:
    """Deletes a session that is not to be kept.

    Args:
        session_id: The session.

    Returns:
        The flow.
    """
    from langchain_mix.protocol import calls  # noqa: PLC0415  # As above.
    from langchain_mix.protocol.call import ask  # noqa: PLC0415

    yield from ask(calls.delete_session(session_id))


def abandoned(ready: Ready, troubles: Sequence[errors.MixError]) -> str:
    """What is told of a turn that was given up for a pause and could not be tidied up.

    Args:
        ready: What the turn was run in.
        troubles: What failed.

    Returns:
        The words.
    """
    left = (
        f"Session {ready.session_id} was made for it and may be left at the server."
        if ready.created
        else f"Session {ready.session_id} may hold what was said of it, and it may run on; the next turn reads the "
        "session's messages and goes by `on_divergence`."
    )
    return f"The turn that this pause gave up could not be tidied up. {left} {' '.join(str(e) for e in troubles)}"


def over_cost(question: Question, ready: Ready) -> Flow[errors.MixError | None]:
    """Asks what the turn has cost so far.

    Args:
        question: The call, with its limit.
        ready: The session.

    Returns:
        The flow; its result is the error for a turn that has cost too much, or None.
    """
    from langchain_mix.protocol import calls  # noqa: PLC0415  # As above.
    from langchain_mix.protocol.call import ask  # noqa: PLC0415

    session = yield from ask(calls.get_session(ready.session_id))
    limit, cost = question.options["max_cost"], session.cost - (ready.cost_before or 0.0)
    if cost <= limit:
        return None
    return errors.MixTurnCancelled(
        f"The turn has cost ${cost:.4f}, more than max_cost=${limit:g}, and was cancelled.",
        acted="yes",
        hint="The session holds what was said so far. Allow more, or ask for less.",
    )


def warn_of_denial(question: Question, update: Update) -> None:
    """Warns that a tool is denied by default: the user reads of it in the agent's words alone, which name no remedy.

    Args:
        question: The call.
        update: What the turn emits.
    """
    while isinstance(update, SubagentUpdate):
        update = update.update
    if question.denied is None or not isinstance(update, PermissionRequested):
        return
    name = update.request.tool_name
    if name not in question.denied:
        question.denied.add(name)
        warnings.warn(
            f"The tool {name!r} of the agent was denied, as ChatMix does unless told otherwise. Allow it with "
            f'permissions=[{name!r}], decide yourself with a function or "interrupt", allow all with "allow", or '
            'choose permissions="deny" to deny without this warning.',
            MixPermissionWarning,
            stacklevel=2,
        )


def report_to_tracers(run: Any, metadata: Mapping[str, Any], usage: Mapping[str, Any] | None) -> None:
    """Writes which model answered, and what it cost, where LangSmith reads them: in the metadata of the model's run.

    A message cannot carry the cost in `usage_metadata`: LangChain adds up only whole numbers there.

    Args:
        run: The model's run, or None.
        metadata: The reply's.
        usage: The reply's tokens.
    """
    if run is None:
        return
    cost = metadata[KEY].get("cost")
    for handler in run.handlers:
        traced = getattr(handler, "run_map", {}).get(str(run.run_id))
        if traced is None:
            continue
        known = dict(traced.extra.get("metadata") or {})
        if metadata["model_name"] != UNNAMED_MODEL:
            known["ls_model_name"] = metadata["model_name"]
        if cost is not None:
            known = _Metered(known, cost)
            known["usage_metadata"] = usage or {}
        traced.extra["metadata"] = known


class _Metered(dict[str, Any]):
    """The metadata of a traced run, whose `usage_metadata` keeps its cost when a tracer sets it from the message."""

    def __init__(self, known: Mapping[str, Any], cost: float) -> None:
        super().__init__(known)
        self._cost = cost

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, {**value, "total_cost": self._cost} if key == "usage_metadata" else value)


def gap(result: TurnResult) -> errors.MixTextGap:
    """The error for text that was shown and lacks a part."""
    error = errors.MixTextGap(
        "The turn is complete, but events were lost on the way: the text streamed so far lacks a part.",
        acted="yes",
        hint="Do not send the message again; the complete reply is in `.turn.text`. Read streams faster.",
    )
    error.turn = result
    return error


_TIDY_UP: Final = 5.0
"""Seconds for what is removed after a call with a deadline, all together."""

_log = logging.getLogger("langchain_mix")


class _Exchange:
    """What both worlds share: the parts of one exchange and the decisions between its steps."""

    def __init__(self, mix: Mix, question: Question, *, shown: bool) -> None:
        """Prepares an exchange.

        Args:
            mix: The client.
            question: The call.
            shown: Whether somebody sees the chunks as they come, so that they cannot be mended.
        """
        self._mix = mix
        self._question = question
        self._depth = forking.depth()
        self._shown = shown
        self._approvals: Approvals = question.approvals()
        self._writer: ReplyWriter = question.writer()
        self._ready: Ready | None = None
        self._turn_told: TurnStream | AsyncTurnStream | None = None
        self._result: TurnResult | None = None
        self._results: list[TurnResult] = []
        """The turns that ended well: one, or two if a call that was missing had to be asked for."""
        self._heard = self._given_up = self._done = self._cleaned = False
        self._began = time.monotonic()
        self._tidy_until: float | None = None
        self._path: Path = ()
        self._troubles: list[errors.MixError] = []
        self._kept: list[ChatGenerationChunk] = []
        self.mended: list[ChatGenerationChunk] | None = None

    def _repeated(self) -> list[ChatGenerationChunk] | None:
        """The reply that an earlier execution of the same task in a graph was given."""
        place = self._question.place
        return place.reply if place is not None else None

    def _refuse_retry(self, run_manager: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None) -> None:
        """Raises the error of the call that this one is LangChain's retry of, if the server may have acted on it."""
        self._path = path_of(run_manager)
        if FAILED_CALLS.may_hold(self._path):
            error = FAILED_CALLS.error_for(self._question.mark(), self._path)
            if error is not None:
                raise error

    def _keep_failure(self, error: errors.MixError) -> None:
        """Keeps how this call failed, if its message may have arrived, for LangChain's retries of it."""
        sent = bool(self._results) or (self._turn_told is not None and self._turn_told.sent)
        if sent and (self._heard or error.acted != "no") and self._approvals.pause is None:
            FAILED_CALLS.add(self._question.mark(), self._path, error)

    def _keep_abandonment(self, cause: BaseException) -> None:
        """Keeps that this call was given up in the middle: cancelled, left, or ended by an error of somebody else."""
        if self._result is None:
            given_up = errors.MixTurnCancelled(
                f"The call was given up by {type(cause).__name__} before its reply was complete.",
                acted="unknown",
                hint="Read the session before the message is sent again: tools may have run.",
            )
            if self._turn_told is not None:
                given_up.turn = self._known_of(self._turn_told.result)
            self._keep_failure(as_model_error(given_up, sent=True))

    def _keep(self, chunk: ChatGenerationChunk) -> ChatGenerationChunk:
        if self._question.place is not None:
            self._kept.append(chunk)
        return chunk

    def _costs(self, update: Update) -> bool:
        return isinstance(update, ToolFinished) and self._question.options["max_cost"] is not None

    def mended_with_end(self, chunks: list[ChatGenerationChunk]) -> list[ChatGenerationChunk]:
        """The reply for somebody who has seen nothing of it yet: whole, even where the stream was not."""
        return chunks if self.mended is None else self.mended

    def _turn_options(self, ready: Ready) -> dict[str, Any]:
        self._approvals.run_in(ready.session_id, lasting=not ready.created)
        known = {"cost_before": ready.cost_before, "rows_before": ready.rows_before}
        return {**known, "began": self._began, **self._question.turn_options(self._approvals)}

    @property
    def _deadline(self) -> float | None:
        """The moment at which the call must be over, on the monotonic clock, or None."""
        timeout = self._question.timeout
        return None if timeout is None else self._began + timeout

    def _tidying(self) -> float | None:
        """Returns the moment at which tidying up must be over, or None if the call has no deadline."""
        if self._tidy_until is None and self._deadline is not None:
            self._tidy_until = time.monotonic() + _TIDY_UP
        return self._tidy_until

    def _is_late(self, error: errors.MixError) -> bool:
        """True for an error of a request beside the turn that the deadline has cut off."""
        over = self._deadline is not None and time.monotonic() >= self._deadline
        return over and isinstance(error, errors.MixTimeoutError)

    def _run_options(self) -> dict[str, bool]:
        follow = self._mix.known.supports("tool_results") is not False
        return {"enabled": self._question.options["emit_tool_runs"], "results_follow": follow}

    def _gives_up(self) -> bool:
        """Whether the turn must be cancelled now, because its graph pauses; once."""
        first, self._given_up = not self._given_up, True
        return first

    def _may_be_cleaned(self, ready: Ready) -> bool:
        """Whether the traces of a turn that was given up may be removed: not under a turn that may still run."""
        return ready.created or not self._troubles

    def _unless_paused(self, error: errors.MixError) -> None:
        """Raises an error of the turn, unless its graph pauses: that has to be seen, whatever fails besides."""
        if self._approvals.pause is None:
            raise error
        if not isinstance(error, errors.MixTurnError):  # These are how a turn ends that was given up.
            self._troubles.append(error)

    def _raise_pause(self, ready: Ready, pause: BaseException) -> NoReturn:
        """Raises the pause, with a note of what could not be tidied up for it."""
        if self._troubles:
            told = abandoned(ready, self._troubles)
            pause.add_note(told)
            _log.warning("%s", told)
        raise pause

    @staticmethod
    def _check(error: errors.MixError | None, result: TurnResult) -> None:
        if error is not None:
            error.turn = result
            raise error

    def _next(self, message: Ready) -> tuple[list[ChatGenerationChunk], Ready | None]:
        """Ends a turn, if the reply may lack a call that it has to make.

        Returns:
            What was held back of the reply, and a reminder if it lacks the call. There is one reminder in a call.

        Raises:
            MixToolCallMissing: It lacks the call, and the agent was reminded.
        """
        question = self._question
        result = self._result or TurnResult(session_id=message.session_id)
        self._results.append(result)
        if len(self._results) > 1:
            self._result = result = joined(self._results[0], message, result)
        if not question.lacks_call([]) or (self._writer.gap and self._shown):
            return [], None
        chunks = [] if self._writer.stopped else [self._keep(chunk) for chunk in self._writer.end_turn()]
        writer = self._rewritten()[0] if self._writer.gap else self._writer
        if not question.lacks_call(writer.called):
            return chunks, None
        if len(self._results) > 1 or question.asked.reminder or self._writer.stopped:
            raise call_missing(question, result)
        self._result = None
        return chunks, reminded(question, message, result)

    def _rewritten(self) -> tuple[ReplyWriter, list[ChatGenerationChunk]]:
        """Writes the reply again from the results of its turns, which are complete where the stream was not."""
        writer = self._question.writer()
        chunks: list[ChatGenerationChunk] = []
        for number, result in enumerate(self._results):
            if number:
                chunks += writer.end_turn()
            chunks += [c for update in retold(result) for c in writer.write(update)]
        return writer, [*chunks, *writer.finish()]

    def _last(
        self, ready: Ready, run_manager: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None
    ) -> list[ChatGenerationChunk]:
        """The end of the reply, once its turn has ended well."""
        result = self._result or TurnResult(session_id=ready.session_id)
        self._done = not self._writer.stopped
        if self._done:
            remember(self._question, ready, result)
        chunks = list(self._writer.finish())
        if self._writer.gap:
            if self._shown:
                raise gap(result)
            self._writer, chunks = self._rewritten()
            self.mended = chunks
        metadata = metadata_of(self._question, ready, result, self._writer)
        if self._done:
            remember(self._question, ready, result, digest=metadata[KEY]["digest"])
        last = self._writer.last(metadata, result.usage)
        if isinstance(last.message, AIMessageChunk):
            report_to_tracers(run_manager, metadata, last.message.usage_metadata)
        chunks.append(last)
        if self._question.place is not None:
            self._question.place.keep(self.mended or [*self._kept, *chunks])
        return chunks

    def _failure(self, error: errors.MixError) -> errors.MixError:
        """An error as LangChain gets it. Whichever request failed, it tells what is known of the turn."""
        if self._is_late(error):
            sent = bool(self._results) or (self._turn_told is not None and self._turn_told.sent)
            late = expired(self._question.timeout or 0.0, sent=sent)
            late.__cause__ = error
            error = late
        if error.turn is None and self._heard and self._turn_told is not None:
            error.turn = self._turn_told.result
        if error.turn is not None:
            error.turn = self._known_of(error.turn)
        failure = as_model_error(error, sent=self._heard)
        self._keep_failure(failure)
        return failure

    def _known_of(self, result: TurnResult) -> TurnResult:
        """What is known of the call if its last turn, of which this is known, did not end well."""
        before = self._results[0].messages if self._results else []
        if result.messages[: len(before)] == before:
            return result
        return replace(result, messages=[*before, *result.messages])

    def _forget_unless_done(self) -> None:
        if self._ready is not None and not self._done and not self._cleaned:
            remember(self._question, self._ready, None)

    def _to_delete(self) -> str:
        """The session that is not to be kept, or empty."""
        if forking.depth() != self._depth:
            return ""  # The copy of an exchange in a forked process ends; the turn goes on in the parent.
        ready = self._ready
        unwanted = ready is not None and ready.created and self._question.options["retention"] == "delete"
        return ready.session_id if ready is not None and unwanted and self._approvals.pause is None else ""

    @staticmethod
    def _not_deleted(session_id: str, error: errors.MixError) -> None:
        _log.warning("Session %s could not be deleted after its call: %s", session_id, error)


class Exchange(_Exchange):
    """An exchange in synchronous code."""

    def chunks(self, run_manager: CallbackManagerForLLMRun | None) -> Generator[ChatGenerationChunk, None, None]:
        """Carries it out.

        Args:
            run_manager: Of the model's run, if the caller has it.

        Yields:
            The chunks of the reply.

        Raises:
            MixError: It failed; the error is one of LangChain's model errors too.
            GraphInterrupt: A request of the agent has to be decided first, by the policy "interrupt".
        """
        if (repeated := self._repeated()) is not None:
            yield from repeated
            return
        self._refuse_retry(run_manager)
        mix = self._mix
        try:
            self._approvals.recall()
            self._ready = ready = mix.run(prepare(mix.server_api, self._question.asked), until=self._deadline)
            yield from self._turns(ready, run_manager)
            yield from self._last(ready, run_manager)
        except errors.MixError as error:
            raise self._failure(error) from error.__cause__
        except BaseException as cause:
            self._keep_abandonment(cause)
            raise
        finally:
            self._forget_unless_done()
            if session_id := self._to_delete():
                try:
                    mix.run(deleting(session_id), until=self._tidying())
                except errors.MixError as error:
                    self._not_deleted(session_id, error)

    def _turns(self, ready: Ready, run_manager: CallbackManagerForLLMRun | None) -> Iterator[ChatGenerationChunk]:
        message: Ready | None = ready
        while message is not None:
            yield from self._turn(message, run_manager)
            if self._approvals.pause is not None:
                self._clean(ready)
                self._raise_pause(ready, self._approvals.pause)
            chunks, message = self._next(message)
            yield from chunks

    def _turn(self, ready: Ready, run_manager: CallbackManagerForLLMRun | None) -> Iterator[ChatGenerationChunk]:
        mix, question = self._mix, self._question
        events = CustomEvents(run_manager)
        self._turn_told = turn = mix.turn(ready.session_id, ready.text, **self._turn_options(ready))
        with ToolRuns(run_manager, **self._run_options()) as runs, turn:
            try:
                for update in turn:
                    self._heard = True
                    if self._approvals.pause is not None:
                        if self._gives_up() and not self._cancelled(ready):
                            break
                        continue
                    if type(update) is not TextDelta:  # Most of a turn is text, of which only the reply consists.
                        warn_of_denial(question, update)
                        runs.hear(update)
                        events.hear(update)
                    for chunk in self._writer.write(update):
                        yield self._keep(chunk)
                    if self._writer.stopped:
                        break
                    if self._costs(update):
                        asked = over_cost(question, self._ready or ready)
                        self._check(mix.run(asked, until=self._deadline), turn.result)
            except errors.MixError as error:
                self._unless_paused(error)
        self._result = turn.result

    def _cancelled(self, ready: Ready) -> bool:
        try:
            self._mix.run(cancelling(ready.session_id), until=self._tidying())
        except errors.MixError as error:
            self._troubles.append(error)
            return False
        return True

    def _clean(self, ready: Ready) -> None:
        if self._may_be_cleaned(ready):
            try:
                self._mix.run(cleaning(ready), until=self._tidying())
            except errors.MixError as error:
                self._troubles.append(error)
            else:
                self._cleaned = True


class AsyncExchange(_Exchange):
    """An exchange in asynchronous code."""

    async def chunks(
        self, run_manager: AsyncCallbackManagerForLLMRun | None
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        """Does what `Exchange.chunks` does, asynchronously."""
        if (repeated := self._repeated()) is not None:
            for chunk in repeated:
                yield chunk
            return
        self._refuse_retry(run_manager)
        mix = self._mix
        try:
            await self._approvals.arecall()
            self._ready = ready = await mix.run_async(
                prepare(mix.server_api, self._question.asked), until=self._deadline
            )
            async with Owned(self._turns(ready, run_manager)) as told:
                async for chunk in told:
                    yield chunk
            for chunk in self._last(ready, run_manager):
                yield chunk
        except errors.MixError as error:
            raise self._failure(error) from error.__cause__
        except BaseException as cause:
            self._keep_abandonment(cause)
            raise
        finally:
            self._forget_unless_done()
            if session_id := self._to_delete():
                try:
                    await mix.run_async(deleting(session_id), until=self._tidying())
                except errors.MixError as error:
                    self._not_deleted(session_id, error)

    async def _turns(
        self, ready: Ready, run_manager: AsyncCallbackManagerForLLMRun | None
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        message: Ready | None = ready
        while message is not None:
            async with Owned(self._turn(message, run_manager)) as told:
                async for chunk in told:
                    yield chunk
            if self._approvals.pause is not None:
                await self._clean(ready)
                self._raise_pause(ready, self._approvals.pause)
            chunks, message = self._next(message)
            for chunk in chunks:
                yield chunk

    async def _turn(
        self, ready: Ready, run_manager: AsyncCallbackManagerForLLMRun | None
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        mix, question = self._mix, self._question
        events = AsyncCustomEvents(run_manager)
        self._turn_told = turn = mix.turn_async(ready.session_id, ready.text, **self._turn_options(ready))
        async with AsyncToolRuns(run_manager, **self._run_options()) as runs, turn:
            try:
                async for update in turn:
                    self._heard = True
                    if self._approvals.pause is not None:
                        if self._gives_up() and not await self._cancelled(ready):
                            break
                        continue
                    if type(update) is not TextDelta:
                        warn_of_denial(question, update)
                        await runs.hear(update)
                        await events.hear(update)
                    for chunk in self._writer.write(update):
                        yield self._keep(chunk)
                    if self._writer.stopped:
                        break
                    if self._costs(update):
                        asked = over_cost(question, self._ready or ready)
                        self._check(await mix.run_async(asked, until=self._deadline), turn.result)
            except errors.MixError as error:
                self._unless_paused(error)
        self._result = turn.result

    async def _cancelled(self, ready: Ready) -> bool:
        try:
            await self._mix.run_async(cancelling(ready.session_id), until=self._tidying())
        except errors.MixError as error:
            self._troubles.append(error)
            return False
        return True

    async def _clean(self, ready: Ready) -> None:
        if self._may_be_cleaned(ready):
            try:
                await self._mix.run_async(cleaning(ready), until=self._tidying())
            except errors.MixError as error:
                self._troubles.append(error)
            else:
                self._cleaned = True
