"""How a call of the model ends: what its last chunk says, what is remembered, and what is removed.

Owns: these decisions. Refuses to know: how the turn was run and told (`exchange.py`).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from langchain_mix import errors
from langchain_mix.chat_models.align import verify
from langchain_mix.chat_models.content import ReplyWriter
from langchain_mix.chat_models.conversation import Ready
from langchain_mix.chat_models.memory import CLAIMS, HEADS, THREADS, Head
from langchain_mix.chat_models.model_choice import model_told
from langchain_mix.chat_models.parameters import UNNAMED_MODEL, MixPermissionWarning
from langchain_mix.chat_models.plans import Append, Rewind
from langchain_mix.chat_models.question import Question
from langchain_mix.chat_models.tool_protocol import reminder
from langchain_mix.pointer import KEY, Pointer
from langchain_mix.protocol.turn.updates import PermissionRequested, SubagentUpdate

if TYPE_CHECKING:
    from langchain_mix.protocol.call import Flow
    from langchain_mix.protocol.turn.updates import TurnResult, Update, Usage

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
