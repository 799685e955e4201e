"""One call of the model, from messages to a session that is ready for its turn, and back.

Owns: the order of steps: plan, session, uploads, text; and what the turn has shown of the plan.
Refuses to know: how plans are made (`align.py`), how text is written (`history.py`), how the calls are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, BaseMessage

from langchain_mix.chat_models.align import align, find_base, head_of, setup_known, text_of, verify
from langchain_mix.chat_models.history import Rendering, digest, extend, setup_digest
from langchain_mix.chat_models.memory import HEADS
from langchain_mix.chat_models.plans import Append, Fork, NeedRows, OnDivergence, Plan, Rewind
from langchain_mix.chat_models.tool_protocol import render_tool_results
from langchain_mix.errors import MixHistoryDiverged, MixNotFoundError
from langchain_mix.pointer import Pointer

if TYPE_CHECKING:
    from langchain_mix.protocol.api import Knowledge
    from langchain_mix.protocol.call import Flow
    from langchain_mix.protocol.turn.updates import TurnResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file to upload before the message is sent.

    Attributes:
        name: Its name, which the messages refer to.
        content: Its bytes.
        mime_type: Its media type.
    """

    name: str
    content: bytes
    mime_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a call of the model asks for.

    Attributes:
        messages: The conversation, oldest first, media already named in text.
        setup: What the session must know beforehand: system prompt, client tools, response format.
        server: The server's base URL.
        pinned: The session that is to be used, if there is one.
        on_divergence: What to do when no session stands where the conversation does.
        session_fields: Fields of a new session besides its prompt.
        prompt_mode: How the prompt of a new session stands to the agent's own.
        uploads: Files to upload.
    """

    messages: Sequence[BaseMessage]
    setup: str
    server: str
    pinned: str | None = None
    on_divergence: OnDivergence = "fork"
    session_fields: dict[str, Any] = field(default_factory=dict)
    prompt_mode: str = "append"
    uploads: tuple[Upload, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A session that stands where the conversation does, and the message for it.

    Attributes:
        asked: What it was made for.
        plan: How.
        session_id: The session.
        text: The message.
        created: Whether the session was made for this call.
        cost_before: The session's cost before the turn, if known.
        rows_before: Its rows before the turn, if known.
    """

    asked: Asked
    plan: Plan
    session_id: str
    text: str
    created: bool
    cost_before: float | None = None
    rows_before: int | None = None

    def pointer(self, result: TurnResult, reply: AIMessage) -> Pointer:
        """Where the reply stands, and what it proves.

        Args:
            result: The turn.
            reply: The reply as the conversation will hold it.

        Returns:
            The pointer. Without a digest it proves nothing: the message did not come to stand where it should.

        Raises:
            MixHistoryDiverged: It did not, and the call asked for an error then. The reply is in the error's `turn`.
        """
        mismatch = verify(self.plan, result.rows, result.user_message_id) if result.verified else None
        if mismatch and self.asked.on_divergence == "error":
            raise _spoiled(mismatch, result)
        proof = "" if mismatch or not result.verified else extend(digest(self.asked.messages), reply)
        return Pointer(
            server=self.asked.server,
            session_id=self.session_id,
            message_id=result.message_id,
            user_message_id=result.user_message_id,
            row_count=result.row_count,
            digest=proof,
            setup=setup_digest(self.asked.setup),
        )


def prepare(known: Callable[[], Knowledge], asked: Asked) -> Flow[Ready]:
    """Makes a session ready for a call of the model.

    Args:
        known: What is known of the server.
        asked: The call.

    Returns:
        The flow. A turn that goes on where this process left it costs no request; a new session costs one.
    """
    # Models of the wire are loaded with the client, when a model is first called.
    from langchain_mix.protocol import calls, flows  # noqa: PLC0415
    from langchain_mix.protocol.call import FilePart, ask  # noqa: PLC0415

    plan, rows_before = yield from _plan(known, asked)
    setup_held, created, cost_before = setup_known(plan), False, None
    if isinstance(plan, Append):
        session_id = plan.pointer.session_id
    elif isinstance(plan, Rewind):
        session_id = plan.pointer.session_id
        yield from ask(calls.rewind_session(session_id, plan.pointer.message_id))
        rows_before = None
    elif isinstance(plan, Fork):
        fields = asked.session_fields
        fork = yield from ask(
            calls.fork_session(known(), plan.pointer.session_id, plan.message_index, fields.get("title"))
        )
        session_id, rows_before, created, cost_before = fork.id, None, True, 0.0
    else:
        prompt = {"custom_system_prompt": asked.setup, "prompt_mode": asked.prompt_mode} if asked.setup else {}
        session = yield from flows.start_session(known, **asked.session_fields, **prompt)
        session_id, rows_before, created, cost_before = session.id, 0, True, 0.0
        setup_held = setup_digest(asked.setup)
    for upload in asked.uploads:
        yield from ask(calls.upload_file(session_id, FilePart(upload.name, upload.content, upload.mime_type)))
    text = text_of(plan, Rendering(tool_results=render_tool_results))
    if asked.setup and setup_digest(asked.setup) != setup_held:
        text = f"{_RENEWED}\n\n{asked.setup}\n\n{_MESSAGE}\n\n{text}"
    return Ready(
        asked=asked,
        plan=plan,
        session_id=session_id,
        text=text,
        created=created,
        cost_before=cost_before,
        rows_before=rows_before,
    )


_RENEWED = "[Instructions from here on]"
_MESSAGE = "[Message]"


def _plan(known: Callable[[], Knowledge], asked: Asked) -> Flow[tuple[Plan, int | None]]:
    from langchain_mix.protocol import calls  # noqa: PLC0415  # As above.
    from langchain_mix.protocol.call import ask  # noqa: PLC0415

    base = find_base(asked.messages, asked.server)
    session_id = asked.pinned or (base.pointer.session_id if base is not None else "")
    head = HEADS.get((asked.server, session_id)) if session_id else None
    rows: list[str] | None = None
    while True:
        can = known()
        plan = align(
            asked.messages,
            server=asked.server,
            base=base,
            head=head,
            rows=rows,
            can_fork=can.agreed("fork") is not False,
            can_rewind=True,
            on_divergence=asked.on_divergence,
            pinned=asked.pinned,
        )
        if not isinstance(plan, NeedRows):
            return plan, None if rows is None else len(rows)
        if can.agreed("fork") is None:
            try:
                yield from ask(calls.get_session(plan.session_id))  # Tells the server's generation.
            except MixNotFoundError:
                head, rows = "", []
                continue
        listed = yield from ask(calls.list_messages(plan.session_id))
        head, rows = head_of(listed), [row.id for row in listed]


def _spoiled(mismatch: str, result: TurnResult) -> MixHistoryDiverged:
    error = MixHistoryDiverged(
        f"Somebody else wrote to the session meanwhile, so that the reply answers another history. {mismatch}",
        acted="yes",
        hint="The reply is in `.turn`. Send the conversation again to have it answered in a session of its own.",
    )
    error.turn = result
    return error
