"""Executes one call of the model: prepares its session, runs its turn, yields the chunks of the reply, tidies up.

Owns: this order, written once for synchronous and once for asynchronous code; the deadline of the whole call, of which
the turn gets what is left (`client/_timeouts.py` enforces it there); the one reminder to an agent whose reply lacks the
tool call that was demanded; what a failed or paused call leaves. Refuses to know: how sessions are prepared and which
positions are remembered (`session_lifecycle.py`), how replies are written (`content_blocks.py`), how tokens are counted
(`protocol/turn/usage.py`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NoReturn

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from langchain_mix import errors, process_fork
from langchain_mix.chat_models.alignment import Append, verify
from langchain_mix.chat_models.callbacks import AsyncTurnCallbacks, TurnCallbacks, report_to_tracers
from langchain_mix.chat_models.content_blocks import ReplyWriter, replay_updates
from langchain_mix.chat_models.model_errors import as_model_error
from langchain_mix.chat_models.permissions import CLIENT_POLICIES, Approvals, warn_of_denial
from langchain_mix.chat_models.reply_parser import ReplyParser
from langchain_mix.chat_models.request import ChatRequest
from langchain_mix.chat_models.retries import FAILED_CALLS, Path, path_of
from langchain_mix.chat_models.session_lifecycle import (
    PreparedTurn,
    cleanup_note,
    over_cost,
    prepare,
    remove_traces,
    reply_metadata,
    store_position,
)
from langchain_mix.chat_models.tool_prompt import reminder
from langchain_mix.generators import Owned
from langchain_mix.pointer import KEY, Pointer
from langchain_mix.protocol import calls
from langchain_mix.protocol.call import ask
from langchain_mix.protocol.turn.errors import expired
from langchain_mix.protocol.turn.updates import (
    PermissionRequested,
    SubagentUpdate,
    TextDelta,
    ToolFinished,
    TurnResult,
    Update,
)
from langchain_mix.protocol.turn.usage import usage_of_turns

if TYPE_CHECKING:
    from langchain_mix.client import AsyncTurnStream, Mix, TurnStream
    from langchain_mix.protocol.call import Flow


_QUOTED: Final = 200


def prepare_reminder(request: ChatRequest, prepared: PreparedTurn, result: TurnResult) -> PreparedTurn:
    """Returns the same session at its present position, with a reminder of the tool call that its reply lacks."""
    spent = result.usage.cost if result.usage is not None else None
    return replace(
        prepared,
        plan=Append(
            messages=(),
            calls={},
            pointer=Pointer(server=prepared.request.server, session_id=prepared.session_id),
            after=result.message_id,
        ),
        text=reminder(request.demanded),
        cost_before=None if prepared.cost_before is None or spent is None else prepared.cost_before + spent,
        rows_before=result.row_count if result.row_count >= 0 else None,
    )


def join_turns(first: TurnResult, prepared: PreparedTurn, second: TurnResult) -> TurnResult:
    """Joins the turns of one call of the model: what they said is one reply to the first message.

    `prepared` is the reminder, which the second turn answers. The whole is verified only if it follows the first reply.
    """
    in_place = verify(prepared.plan, second.rows, second.user_message_id) is None
    return replace(
        second,
        sent_text=first.sent_text,
        user_message_id=first.user_message_id,
        messages=[*first.messages, *second.messages],
        usage=usage_of_turns([first.usage, second.usage]),
        reasoning_duration=first.reasoning_duration + second.reasoning_duration,
        verified=second.verified and in_place,
        contended=first.contended or second.contended,
    )


def call_missing(request: ChatRequest, result: TurnResult) -> errors.MixToolCallMissing:
    """Returns the error for a reply, all its turns joined, without the call that it had to make."""
    tools = ", ".join(request.demanded)
    error = errors.MixToolCallMissing(
        f"The agent answered without a call of {tools}, which tool_choice demands: {result.text[:_QUOTED]!r}",
        acted="yes",
        hint="The whole reply is in `.turn.full_text`. Ask in other words, use a model that follows the prompt, or "
        "leave the choice to the agent (`tool_choice='auto'`; in LangChain's agents `ProviderStrategy`).",
    )
    error.turn = result
    return error


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


class _Execution:
    """Holds the state of one execution, and decides between its steps, for both kinds of code."""

    def __init__(self, mix: Mix, request: ChatRequest, *, streaming: bool) -> None:
        """Prepares an execution. When streaming, chunks already yielded cannot be corrected."""
        self._mix = mix
        self._request = request
        self._deletes = request.options.retention == "delete"
        self._depth = process_fork.depth if self._deletes else 0
        self._streaming = streaming
        options = request.options
        plain = options.on_notification is None and options.permissions in CLIENT_POLICIES
        self._approvals = None if plain else Approvals(options.permissions, options.on_notification, request.slot)
        self._writer = self._new_writer()
        self._prepared: PreparedTurn | None = None
        self._stream: TurnStream | AsyncTurnStream | None = None
        self._result: TurnResult | None = None
        self._results: list[TurnResult] = []
        """The turns that ended well: one, or two if a missing tool call had to be requested."""
        self._received = self._given_up = self._done = self._cleaned = False
        self._began = time.monotonic()
        self._tidy_until: float | None = None
        self._path: Path = ()
        self._troubles: list[errors.MixError] = []
        """Errors while tidying up."""
        self._kept: list[ChatGenerationChunk] | None = None if request.slot is None else []
        """The chunks so far, kept if LangGraph may run the same task again (`TaskSlot`)."""
        self._rebuilt: list[ChatGenerationChunk] | None = None

    def _new_writer(self) -> ReplyWriter:
        request = self._request
        tools = request.tools
        plain = not request.stops and not tools.names and tools.data is None
        parser = None if plain else ReplyParser(request.stops, tools.names, tools.data, tools.parameters)
        return ReplyWriter(parser, request.version)

    def _writing(self) -> Callable[[Update], Iterable[ChatGenerationChunk]]:
        """Returns what makes the chunks of an update, and keeps them where that is needed."""
        write, kept = self._writer.write, self._kept
        if kept is None:
            return write

        def write_and_keep(update: Update) -> list[ChatGenerationChunk]:
            chunks = list(write(update))
            kept.extend(chunks)
            return chunks

        return write_and_keep

    @property
    def _pause(self) -> BaseException | None:
        """The interrupt of LangGraph for which this turn is given up, or None."""
        return None if self._approvals is None else self._approvals.pause

    def _cached(self) -> list[ChatGenerationChunk] | None:
        """Returns the reply that an earlier execution of the same task in a graph was given, or None."""
        slot = self._request.slot
        return slot.reply if slot is not None else None

    def _refuse_retry(self, run_manager: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None) -> None:
        """Raises the error of the call that this one is LangChain's retry of, if the server may have acted on it."""
        self._path = path_of(run_manager)
        if FAILED_CALLS.may_hold(self._path):
            error = FAILED_CALLS.error_for(self._request.mark(), self._path)
            if error is not None:
                raise error

    def _keep_failure(self, error: errors.MixError) -> None:
        """Keeps how this call failed, if its message may have arrived, for LangChain's retries of it."""
        if self._sent and (self._received or error.acted != "no") and self._pause is None:
            FAILED_CALLS.add(self._request.mark(), self._path, error)

    def _keep_abandonment(self, cause: BaseException) -> None:
        """Keeps that this call was given up in the middle: cancelled, left, or ended by an error of somebody else."""
        if self._result is None:
            given_up = errors.MixTurnCancelled(
                f"The call was given up by {type(cause).__name__} before its reply was complete.",
                acted="unknown",
                hint="Read the session before the message is sent again: tools may have run.",
            )
            if self._stream is not None:
                given_up.turn = self._known_of(self._stream.result)
            self._keep_failure(as_model_error(given_up, sent=True))

    @property
    def _sent(self) -> bool:
        """True once the message may have been sent."""
        return bool(self._results) or (self._stream is not None and self._stream.sent)

    def whole_reply(self, chunks: list[ChatGenerationChunk]) -> list[ChatGenerationChunk]:
        """Returns the complete reply where none of it was streamed, also if the event stream was not complete."""
        return chunks if self._rebuilt is None else self._rebuilt

    def _turn_options(self, prepared: PreparedTurn) -> dict[str, Any]:
        """Returns the options of the turn. Servers refuse fields that they do not know: None is not sent."""
        options, approvals = self._request.options, self._approvals
        if approvals is not None:
            approvals.run_in(prepared.session_id, lasting=not prepared.created)
        return {
            "began": self._began,
            "cost_before": prepared.cost_before,
            "rows_before": prepared.rows_before,
            "plan_mode": options.plan_mode or None,
            "thinking_level": options.thinking_level,
            "max_steps": options.max_steps,
            "multitask_strategy": options.multitask_strategy,
            "timeout": self._request.timeout,
            "permissions": options.permissions if approvals is None else approvals.for_permissions,
            "on_notification": None if approvals is None else approvals.for_notifications,
        }

    @property
    def _deadline(self) -> float | None:
        """The moment at which the call must be over, on the monotonic clock, or None."""
        timeout = self._request.timeout
        return None if timeout is None else self._began + timeout

    def _tidying(self) -> float | None:
        """Returns the moment at which tidying up must be over, or None if the call has no deadline."""
        if self._tidy_until is None and self._deadline is not None:
            self._tidy_until = time.monotonic() + _TIDY_UP
        return self._tidy_until

    def _is_late(self, error: errors.MixError) -> bool:
        """True for an error of a request outside of the turn that the deadline has cut off."""
        over = self._deadline is not None and time.monotonic() >= self._deadline
        return over and isinstance(error, errors.MixTimeoutError)

    def _warn_of_denial(self, update: Update) -> None:
        if self._request.denied is not None and isinstance(update, PermissionRequested | SubagentUpdate):
            warn_of_denial(update, self._request.denied)

    def _gives_up(self) -> bool:
        """Returns True once: when the turn must be cancelled because its graph pauses."""
        first, self._given_up = not self._given_up, True
        return first

    def _attempt(self, flow: Flow[Any]) -> Flow[bool]:
        """Runs a flow of tidying up; what fails in it is noted, and is not what the user is waiting for."""
        try:
            yield from flow
        except errors.MixError as error:
            self._troubles.append(error)
            return False
        return True

    def _cancel(self, prepared: PreparedTurn) -> Flow[bool]:
        """Cancels a turn that is given up; False when that failed."""
        return self._attempt(ask(calls.cancel_session(prepared.session_id)))

    def _clean(self, prepared: PreparedTurn) -> Flow[None]:
        """Removes the traces of a turn that was given up, unless it may still run."""
        if prepared.created or not self._troubles:
            self._cleaned = yield from self._attempt(remove_traces(prepared))

    def _check_cost(self, prepared: PreparedTurn) -> Flow[None]:
        """Ends a turn that has cost too much.

        Raises:
            MixTurnCancelled: It has.
        """
        error = yield from over_cost(self._prepared or prepared, self._request.options.max_cost or 0.0)
        if error is not None:
            if self._stream is not None:
                error.turn = self._stream.result
            raise error

    def _unless_paused(self, error: errors.MixError) -> None:
        """Raises an error of the turn, unless its graph pauses: the pause must be seen, whatever else fails."""
        if self._pause is None:
            raise error
        if not isinstance(error, errors.MixTurnError):  # These are how a turn ends that was given up.
            self._troubles.append(error)

    def _raise_pause(self, prepared: PreparedTurn, pause: BaseException) -> NoReturn:
        """Raises the pause, with a note of what could not be tidied up for it."""
        if self._troubles:
            note = cleanup_note(prepared, self._troubles)
            pause.add_note(note)
            _log.warning("%s", note)
        raise pause

    def _next(self, message: PreparedTurn) -> tuple[list[ChatGenerationChunk], PreparedTurn | None]:
        """Ends a turn whose reply has to make a tool call and may lack it.

        Returns:
            What was held back of the reply, and a reminder if it lacks the call. There is one reminder in a call.

        Raises:
            MixToolCallMissing: It lacks the call, and the agent was reminded.
        """
        request = self._request
        result = self._result or TurnResult(session_id=message.session_id)
        self._results.append(result)
        if len(self._results) > 1:
            self._result = result = join_turns(self._results[0], message, result)
        if not request.demanded or (self._writer.gap and self._streaming):
            return [], None
        chunks = [] if self._writer.stopped else list(self._writer.end_turn())
        if self._kept is not None:
            self._kept += chunks
        writer = self._rebuild()[0] if self._writer.gap else self._writer
        if not request.lacks_call(writer.called):
            return chunks, None
        if len(self._results) > 1 or request.session.reminder or self._writer.stopped:
            raise call_missing(request, result)
        self._result = None
        return chunks, prepare_reminder(request, message, result)

    def _rebuild(self) -> tuple[ReplyWriter, list[ChatGenerationChunk]]:
        """Writes the reply again from the results of its turns, which are complete where the stream was not."""
        writer = self._new_writer()
        chunks: list[ChatGenerationChunk] = []
        for number, result in enumerate(self._results):
            if number:
                chunks += writer.end_turn()
            chunks += [c for update in replay_updates(result) for c in writer.write(update)]
        return writer, [*chunks, *writer.finish()]

    def _last(
        self, prepared: PreparedTurn, run_manager: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None
    ) -> list[ChatGenerationChunk]:
        """Returns the end of the reply, once its turn has ended well."""
        result = self._result or TurnResult(session_id=prepared.session_id)
        self._done = not self._writer.stopped
        thread = self._request.thread
        if self._done:
            store_position(prepared, result, thread=thread)
        chunks = list(self._writer.finish())
        if self._writer.gap:
            if self._streaming:
                raise gap(result)
            self._writer, chunks = self._rebuild()
            self._rebuilt = chunks
        holds = self._done and not self._deletes
        metadata = reply_metadata(prepared, result, self._writer.reply(), holds=holds)
        if self._done:
            store_position(prepared, result, thread=thread, digest=metadata[KEY]["digest"])
        last = self._writer.last(metadata, result.usage)
        if isinstance(last.message, AIMessageChunk):
            report_to_tracers(run_manager, metadata, last.message.usage_metadata)
        chunks.append(last)
        if self._request.slot is not None:
            self._request.slot.keep(self._rebuilt or [*(self._kept or []), *chunks])
        return chunks

    def _failure(self, error: errors.MixError) -> errors.MixError:
        """Returns an error as LangChain gets it. Whichever request failed, it has what is known of the turn."""
        if self._is_late(error):
            late = expired(self._request.timeout or 0.0, sent=self._sent)
            late.__cause__ = error
            error = late
        if error.turn is None and self._received and self._stream is not None:
            error.turn = self._stream.result
        if error.turn is not None:
            error.turn = self._known_of(error.turn)
        failure = as_model_error(error, sent=self._received)
        self._keep_failure(failure)
        return failure

    def _known_of(self, result: TurnResult) -> TurnResult:
        """Returns what is known of the call if its last turn, of which this is known, did not end well."""
        before = self._results[0].messages if self._results else []
        if result.messages[: len(before)] == before:
            return result
        return replace(result, messages=[*before, *result.messages])

    def _finalize(self) -> Flow[None] | None:
        """Forgets where the session is unless the call ended well.

        Returns:
            The flow that deletes a session that is not to be kept; None if there is nothing to delete.
        """
        prepared = self._prepared
        if prepared is None:
            return None
        if not self._done and not self._cleaned:
            store_position(prepared, None)
        if not self._deletes or not prepared.created or self._pause is not None:
            return None
        if process_fork.depth != self._depth:
            return None  # This is the copy in a forked process, which ends; the turn goes on in the parent.
        return self._delete(prepared.session_id)

    @staticmethod
    def _delete(session_id: str) -> Flow[None]:
        try:
            yield from ask(calls.delete_session(session_id))
        except errors.MixError as error:
            _log.warning("Session %s could not be deleted after its call: %s", session_id, error)


class TurnExecution(_Execution):
    """Executes a call in synchronous code."""

    def chunks(self, run_manager: CallbackManagerForLLMRun | None) -> Generator[ChatGenerationChunk, None, None]:
        """Executes the call and yields the chunks of the reply; `run_manager` is the model's run, if the caller has it.

        Raises:
            MixError: It failed; the error is one of LangChain's model errors too.
            GraphInterrupt: A request of the agent has to be decided first, by the policy "interrupt".
        """
        if (cached := self._cached()) is not None:
            yield from cached
            return
        self._refuse_retry(run_manager)
        mix = self._mix
        try:
            self._recall()
            prepared = mix.run(prepare(mix.server_api, self._request.session), until=self._deadline)
            self._prepared = prepared
            message: PreparedTurn | None = prepared
            while message is not None:
                yield from self._turn(message, run_manager)
                chunks, message = self._next(message)
                yield from chunks
            yield from self._last(prepared, run_manager)
        except errors.MixError as error:
            raise self._failure(error) from error.__cause__
        except BaseException as cause:
            self._keep_abandonment(cause)
            raise
        finally:
            if (deletion := self._finalize()) is not None:
                mix.run(deletion, until=self._tidying())

    def _recall(self) -> None:
        """Gets the answers that a resumed graph was given to its permission requests."""
        if self._approvals is not None:
            self._approvals.recall()

    def _turn(
        self, prepared: PreparedTurn, run_manager: CallbackManagerForLLMRun | None
    ) -> Iterator[ChatGenerationChunk]:
        mix, request = self._mix, self._request
        write, costs = self._writing(), request.options.max_cost is not None
        detected = mix.server_api.detected
        self._stream = turn = mix.turn(prepared.session_id, prepared.text, **self._turn_options(prepared))
        callbacks = TurnCallbacks(run_manager, tool_runs=request.options.emit_tool_runs, detected=detected)
        with callbacks, turn:
            try:
                for update in turn:
                    self._received = True
                    if self._approvals is not None and self._approvals.pause is not None:
                        if self._gives_up() and not mix.run(self._cancel(prepared), until=self._tidying()):
                            break
                        continue
                    if type(update) is not TextDelta:  # Most of a turn is text, of which only the reply consists.
                        self._warn_of_denial(update)
                        callbacks.handle(update)
                    yield from write(update)
                    if self._writer.stopped:
                        break
                    if costs and isinstance(update, ToolFinished):
                        mix.run(self._check_cost(prepared), until=self._deadline)
            except errors.MixError as error:
                self._unless_paused(error)
        self._result = turn.result
        if self._pause is not None:
            first = self._prepared or prepared
            mix.run(self._clean(first), until=self._tidying())
            self._raise_pause(first, self._pause)


class AsyncTurnExecution(_Execution):
    """Executes a call in asynchronous code."""

    async def chunks(
        self, run_manager: AsyncCallbackManagerForLLMRun | None
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        """Does what `TurnExecution.chunks` does, asynchronously."""
        if (cached := self._cached()) is not None:
            for chunk in cached:
                yield chunk
            return
        self._refuse_retry(run_manager)
        mix = self._mix
        try:
            await self._recall()
            prepared = await mix.run_async(prepare(mix.server_api, self._request.session), until=self._deadline)
            self._prepared = prepared
            message: PreparedTurn | None = prepared
            while message is not None:
                async with Owned(self._turn(message, run_manager)) as turn:
                    async for chunk in turn:
                        yield chunk
                chunks, message = self._next(message)
                for chunk in chunks:
                    yield chunk
            for chunk in self._last(prepared, run_manager):
                yield chunk
        except errors.MixError as error:
            raise self._failure(error) from error.__cause__
        except BaseException as cause:
            self._keep_abandonment(cause)
            raise
        finally:
            if (deletion := self._finalize()) is not None:
                await mix.run_async(deletion, until=self._tidying())

    async def _recall(self) -> None:
        if self._approvals is not None:
            await self._approvals.arecall()

    async def _turn(
        self, prepared: PreparedTurn, run_manager: AsyncCallbackManagerForLLMRun | None
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        mix, request = self._mix, self._request
        write, costs = self._writing(), request.options.max_cost is not None
        detected = mix.server_api.detected
        self._stream = turn = mix.turn_async(prepared.session_id, prepared.text, **self._turn_options(prepared))
        callbacks = AsyncTurnCallbacks(run_manager, tool_runs=request.options.emit_tool_runs, detected=detected)
        async with callbacks, turn:
            try:
                async for update in turn:
                    self._received = True
                    if self._approvals is not None and self._approvals.pause is not None:
                        if self._gives_up() and not await mix.run_async(self._cancel(prepared), until=self._tidying()):
                            break
                        continue
                    if type(update) is not TextDelta:
                        self._warn_of_denial(update)
                        await callbacks.handle(update)
                    for chunk in write(update):
                        yield chunk
                    if self._writer.stopped:
                        break
                    if costs and isinstance(update, ToolFinished):
                        await mix.run_async(self._check_cost(prepared), until=self._deadline)
            except errors.MixError as error:
                self._unless_paused(error)
        self._result = turn.result
        if self._pause is not None:
            first = self._prepared or prepared
            await mix.run_async(self._clean(first), until=self._tidying())
            self._raise_pause(first, self._pause)
