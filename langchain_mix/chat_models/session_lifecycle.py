"""Creates or continues the session of a call before its turn, and records or removes afterwards what the turn left.

These are the first requests of a call: the rows of a session that may hold the conversation, then the session (created,
forked or rewound), its model, uploads. Then `execution.py` runs the turn: its stream is opened first, and the message
sent on it last.

Owns: the order of these steps, the message's text, the metadata of the reply, and which position is remembered.
Refuses to know: how plans are made (`alignment.py`), how text is written (`history.py`), how the calls are sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_mix.chat_models.agreement import agrees
from langchain_mix.chat_models.alignment import (
    Append,
    Base,
    Fork,
    NeedRows,
    New,
    Plan,
    Replay,
    Rewind,
    align,
    find_base,
    head_of,
    setup_known,
    text_of,
    verify,
)
from langchain_mix.chat_models.history import digest, extend, kind_of, said, setup_digest, with_setup
from langchain_mix.chat_models.inputs import read_inputs
from langchain_mix.chat_models.parameters import (
    UNNAMED_MODEL,
    CallParameters,
    OnDivergence,
    check_honoured,
    check_reported,
    model_preferences,
    provider_missing,
    session_model,
)
from langchain_mix.chat_models.process_state import (
    SESSION_CLAIMS,
    SESSION_HEADS,
    THREAD_SESSIONS,
    SessionClaim,
    SessionHead,
)
from langchain_mix.chat_models.tool_prompt import render_tool_results
from langchain_mix.errors import MixError, MixHistoryDiverged, MixNotFoundError, MixTurnCancelled, MixUnsupportedError
from langchain_mix.pointer import KEY, Pointer
from langchain_mix.protocol import calls, flows
from langchain_mix.protocol.api import ApiVersion, ServerApi
from langchain_mix.protocol.call import FilePart, Flow, ask
from langchain_mix.protocol.turn.stored_rows import from_messages
from langchain_mix.protocol.turn.updates import TurnResult


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    """The conversation of a call, oldest message first, and the session that it needs.

    Attributes:
        setup: What the session must know beforehand: system prompt, client tools, response format.
        server: The server's base URL.
        reminder: What is said if the conversation ends with an answer that is not the one requested; it is no part of
            the conversation. Empty if there is nothing to say.
        pinned: The session that is to be used, if there is one.
        title: None for the beginning of the conversation.
        set_preferences: Whether preferences of the whole server may be changed to choose the model.
        max_tokens: The limit that is written into these preferences.
    """

    messages: Sequence[BaseMessage]
    setup: str
    server: str
    reminder: str = ""
    pinned: str | None = None
    on_divergence: OnDivergence = "fork"
    title: str | None = None
    prompt_mode: str = "append"
    parameters: CallParameters = field(default_factory=CallParameters)
    set_preferences: bool = False
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedTurn:
    """A session that is at the position of the conversation, and the message for it.

    Attributes:
        created: True if the session was made for this call.
        cost_before: The session's cost before the turn, if known.
        rows_before: Its rows before the turn, if known.
        session_model: The model that the session itself was given; empty where the server has one for all.
        claim: Keeps other calls of this process from relying on the position of the session.
    """

    request: SessionRequest
    plan: Plan
    session_id: str
    text: str
    created: bool
    model_honoured: bool = False
    cost_before: float | None = None
    rows_before: int | None = None
    session_model: str = ""
    claim: SessionClaim | None = None

    def pointer(self, result: TurnResult, reply: AIMessage) -> Pointer:
        """Returns the position of the reply, as the conversation will hold it, and what it proves.

        Without a digest it proves nothing: another client has written in between.

        Raises:
            MixHistoryDiverged: One has, and the call requested an error then. The reply is in the error's `turn`.
        """
        mismatch = verify(self.plan, result.rows, result.user_message_id) if result.verified else None
        if mismatch and self.request.on_divergence == "error":
            raise _spoiled(mismatch, result)
        proof = "" if mismatch or not result.verified else extend(digest(self.request.messages), reply)
        return Pointer(
            server=self.request.server,
            session_id=self.session_id,
            message_id=result.message_id,
            user_message_id=result.user_message_id,
            row_count=result.row_count,
            digest=proof,
            setup=setup_digest(self.request.setup),
            model=self.session_model,
        )


def prepare(server_api: ServerApi, request: SessionRequest) -> Flow[PreparedTurn]:
    """Makes a session ready for a call of the model.

    A turn that goes on where this process left it costs no request; a new session costs one.
    """
    base = find_base(request.messages, request.server)
    session_id = request.pinned or (base.pointer.session_id if base is not None else "")
    # Before anything is known of the session: what is known of it must hold until the message is sent.
    claim = None
    if session_id:
        in_place = request.on_divergence in {"error", "rewind"}
        claim = SESSION_CLAIMS.take((request.server, session_id), shared=request.pinned is not None, in_place=in_place)
    try:
        plan, rows_before = yield from _plan(server_api, request, base, claim)
        if claim is not None and not isinstance(plan, Append | Rewind):
            SESSION_CLAIMS.release(claim)
        return (yield from _ready(server_api, request, plan, rows_before, claim))
    except BaseException:
        SESSION_CLAIMS.release(claim)
        raise


def _ready(
    server_api: ServerApi, request: SessionRequest, plan: Plan, rows_before: int | None, claim: SessionClaim | None
) -> Flow[PreparedTurn]:
    """Carries out a plan, all but the turn."""
    sending: Plan = plan
    uploads: tuple[FilePart, ...] = ()
    if not all(type(message.content) is str for message in plan.messages):
        inputs = read_inputs(plan.messages)
        sending, uploads = replace(plan, messages=inputs.messages), inputs.uploads
    # What cannot be sent is refused before anything is created for it.
    text = text_of(sending, render_tool_results)
    setup_held, cost_before, own_model = setup_known(plan), None, ""
    if isinstance(plan, New | Replay):
        session_id, honoured, own_model = yield from _new_session(server_api, request)
        rows_before, cost_before, setup_held = 0, 0.0, setup_digest(request.setup)
    else:
        session_id, own_model = plan.pointer.session_id, plan.pointer.model
        honoured = bool(own_model) and own_model == request.parameters.model
        if request.parameters.model is not None and not honoured:
            honoured = yield from _choose_model(server_api, request)
        if isinstance(plan, Rewind):
            yield from ask(calls.rewind_session(session_id, plan.pointer.message_id))
            rows_before = None
        elif isinstance(plan, Fork):
            fork = yield from ask(
                calls.fork_session(server_api.detected, session_id, plan.message_index, title_of(request))
            )
            session_id, rows_before, cost_before = fork.id, None, 0.0
    created = not isinstance(plan, Append | Rewind)
    try:
        for part in uploads:
            stored = yield from ask(calls.upload_file(session_id, part))
            text = text.replace(part.name, stored.name)  # Mix: the server may keep it under another name.
    except MixError:
        if created:  # Nothing was said in it yet, and nobody knows of it.
            yield from ask(calls.delete_session(session_id))
        raise
    if setup_digest(request.setup) != setup_held:
        text = with_setup(request.setup, text)
    return PreparedTurn(
        request=request,
        plan=plan,
        session_id=session_id,
        text=text,
        created=created,
        model_honoured=honoured,
        cost_before=cost_before,
        rows_before=rows_before,
        session_model=own_model,
        claim=claim,
    )


def title_of(request: SessionRequest) -> str:
    """Returns the title of a new session: the one that was given, or the beginning of the first human message.

    People find a session by it in listings. Mix 0.8 cuts it to 20 characters, and servers may replace it.
    """
    if request.title is not None:
        return request.title
    texts = (" ".join(said(m).split()) for m in request.messages if kind_of(m) == "human")
    text = next(filter(None, texts), _UNTITLED)
    if len(text) <= _TITLE:
        return text
    words, _, _ = text[: _TITLE + 1].rpartition(" ")
    return words or text[:_TITLE]


def _new_session(server_api: ServerApi, request: SessionRequest) -> Flow[tuple[str, bool, str]]:
    """Makes a session, with the requested model where sessions have one.

    Returns:
        The session, whether the model is the one requested, and the one that the session itself was given.
    """
    fields: dict[str, Any] = {"title": title_of(request)}
    if request.setup:
        fields |= {"custom_system_prompt": request.setup, "prompt_mode": request.prompt_mode}
    parameters = request.parameters
    if parameters.model is None:
        session = yield from flows.start_session(server_api, **fields)
        return session.id, False, ""
    if (own := session_model(parameters, server_api.detected)) is not None:
        try:
            session = yield from flows.start_session(server_api, **fields, **own)
        except MixUnsupportedError:
            pass  # The server knows no model of a session, and has done nothing.
        else:
            return session.id, True, parameters.model
    honoured = yield from _choose_model(server_api, request)
    session = yield from flows.start_session(server_api, **fields)
    return session.id, honoured, ""


def _choose_model(server_api: ServerApi, request: SessionRequest) -> Flow[bool]:
    """Chooses the requested model where sessions have none, if that may be done.

    Raises:
        MixInputError: The server has no preferences, and takes a model only along with its provider.
        MixUnsupportedError: The model of this very call cannot be had.
    """
    parameters = request.parameters
    if parameters.provider is None and server_api.detected.version is ApiVersion.NEXT:
        raise provider_missing(parameters)
    preferences = model_preferences(parameters, server_api.detected, request.max_tokens)
    if request.set_preferences and preferences is not None:
        try:
            yield from flows.offered(server_api, calls.update_preferences, **preferences)
        except MixUnsupportedError:  # Mix next has none; its generation was not known until now.
            if parameters.provider is None:
                raise provider_missing(parameters) from None
        else:
            return True
    check_honoured(parameters, server_api.detected)
    return False


def _plan(
    server_api: ServerApi, request: SessionRequest, base: Base | None, claim: SessionClaim | None
) -> Flow[tuple[Plan, int | None]]:
    messages = [*request.messages, HumanMessage(request.reminder)] if request.reminder else request.messages
    head: str | None = None
    if claim is not None:
        left = SESSION_HEADS.get(claim.key)
        # A pointer is data that anybody may have written. Only a message with the hash that this process made when it
        # left the session shows that the conversation is the session's; a pinned one was chosen by the application.
        if left is not None and (request.pinned is not None or _is_end_of(left, base)):
            head = left.message_id
    elif base is not None:
        head = _NOWHERE  # Another call of this process is about to move the session on.
    rows: list[str] | None = None
    same_words = False
    while True:
        can = server_api.detected
        plan = align(
            messages,
            server=request.server,
            base=base,
            head=head,
            rows=rows,
            same_words=same_words,
            can_fork=base is not None and can.supports("fork") is not False,
            can_rewind=claim is not None,
            on_divergence=request.on_divergence,
            pinned=request.pinned,
        )
        if not isinstance(plan, NeedRows):
            return plan, None if rows is None else len(rows)
        if can.supports("fork") is None:
            try:
                yield from ask(calls.get_session(plan.session_id))  # Shows the server's generation.
            except MixNotFoundError:
                head, rows = _NOWHERE, []
                continue
        listed = from_messages((yield from ask(calls.list_messages(plan.session_id)))).rows
        head, rows = _NOWHERE if claim is None else head_of(listed), [row.id for row in listed]
        same_words = base is not None and agrees(listed, request.messages, base, request.server)


def _is_end_of(left: SessionHead, base: Base | None) -> bool:
    return base is not None and bool(left.digest) and left == SessionHead(base.pointer.message_id, base.pointer.digest)


_TITLE: Final = 40
"""Characters of a message that make a title."""
_UNTITLED: Final = "LangChain"
_NOWHERE = ""
"""A head that equals no row: the session is gone, or another call of this process is about to move it on."""


def _spoiled(mismatch: str, result: TurnResult) -> MixHistoryDiverged:
    error = MixHistoryDiverged(
        f"Somebody else wrote to the session meanwhile, so that the reply answers another history. {mismatch}",
        acted="yes",
        hint="The reply is in `.turn`. Send the conversation again to have it answered in a session of its own.",
    )
    error.turn = result
    return error


def reply_metadata(prepared: PreparedTurn, result: TurnResult, reply: AIMessage, *, holds: bool) -> dict[str, Any]:
    """Returns the metadata of a reply, for its last chunk: its position in the session, the model, the cost.

    `reply` is as the conversation will hold it. Unless the session `holds` it just so, its pointer proves nothing.

    Raises:
        MixHistoryDiverged: Somebody else wrote to the session meanwhile, and the call requested an error then.
    """
    pointer = prepared.pointer(result, reply)
    if not holds:
        pointer = Pointer(server=pointer.server, session_id=pointer.session_id, message_id=pointer.message_id)
    mix: dict[str, Any] = pointer.as_metadata()
    if result.usage is not None and result.usage.cost is not None:
        mix["cost"] = result.usage.cost
    if result.reasoning_duration:
        mix["reasoning_duration"] = result.reasoning_duration
    requested = prepared.request.parameters.model if prepared.model_honoured else None
    if result.model and requested:
        check_reported(result.model, requested)
    return {
        "finish_reason": "tool_calls" if reply.tool_calls else "stop",
        "model_name": result.model or requested or UNNAMED_MODEL,
        KEY: mix,
    }


def store_position(
    prepared: PreparedTurn, result: TurnResult | None, *, thread: tuple[str, str] | None = None, digest: str = ""
) -> None:
    """Remembers where the session is after a turn, and ends the call's claim to it.

    After a turn that did not end well (None), its position is unknown. `digest` is the hash of the conversation up to
    and with the reply, once the reply is known; `thread` has a session of its own.
    """
    key = (prepared.request.server, prepared.session_id)
    if result is not None and result.verified and result.message_id:
        SESSION_HEADS.put(key, SessionHead(result.message_id, digest))
    else:
        SESSION_HEADS.forget(key)
    if prepared.claim is not None:
        SESSION_CLAIMS.release(prepared.claim)
    if thread is not None and result is not None:
        THREAD_SESSIONS.put(thread, prepared.session_id)


def remove_traces(prepared: PreparedTurn) -> Flow[None]:
    """Removes the traces of a turn that was given up and will be run again.

    A session made for the turn is deleted, any other goes back to where it was.
    """
    key = (prepared.request.server, prepared.session_id)
    SESSION_HEADS.forget(key)
    SESSION_CLAIMS.release(prepared.claim)
    if prepared.created:
        yield from ask(calls.delete_session(prepared.session_id))
        return
    plan = prepared.plan
    if not isinstance(plan, Append | Rewind):
        return
    before = plan.after if isinstance(plan, Append) else plan.pointer.message_id
    if before:  # Mix cannot go back to before the first message: a pinned session without any keeps this one.
        yield from ask(calls.rewind_session(prepared.session_id, before))
        SESSION_HEADS.put(key, SessionHead(before, plan.pointer.digest if plan.pointer.message_id == before else ""))


def cleanup_note(prepared: PreparedTurn, troubles: Sequence[MixError]) -> str:
    """Describes a turn that was given up for a pause and could not be tidied up, and what failed."""
    left = (
        f"Session {prepared.session_id} was made for it and may be left at the server."
        if prepared.created
        else f"Session {prepared.session_id} may hold what was said of it, and it may run on; the next turn reads the "
        "session's messages and goes by `on_divergence`."
    )
    return f"The turn that this pause gave up could not be tidied up. {left} {' '.join(str(e) for e in troubles)}"


def over_cost(prepared: PreparedTurn, limit: float) -> Flow[MixError | None]:
    """Asks what the turn has cost so far; returns the error for one that has cost more than `limit` US dollars."""
    session = yield from ask(calls.get_session(prepared.session_id))
    cost = session.cost - (prepared.cost_before or 0.0)
    if cost <= limit:
        return None
    return MixTurnCancelled(
        f"The turn has cost ${cost:.4f}, more than max_cost=${limit:g}, and was cancelled.",
        acted="yes",
        hint="The session holds what was said so far. Allow more, or ask for less.",
    )
