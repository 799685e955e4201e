"""Decides how a conversation goes on in a session: append, fork, rewind, replay, or a new session.

Owns: the plans that there are, which session already holds what of a conversation, and the decision where the rest
goes: appended, to a fork, after a rewind, or replayed to a new session. Pure functions of messages and row ids.
Refuses to know: how messages become text (`history.py`), and how plans are carried out (`session_lifecycle.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NoReturn

from langchain_core.messages import AIMessage, BaseMessage, ToolCall

from langchain_mix.chat_models.history import WriteResults, calls_by_id, extend, kind_of, text_to_send
from langchain_mix.chat_models.parameters import OnDivergence
from langchain_mix.errors import MixHistoryDiverged, MixInputError
from langchain_mix.pointer import Pointer, read_pointer
from langchain_mix.protocol.turn.stored_rows import StoredRow
from langchain_mix.protocol.turn.updates import RowRef

Reason = Literal["moved", "gone", "edited", "foreign"]
"""The reason why a turn cannot simply be appended: the session went on or lost the row, the history was changed or came
from elsewhere."""


@dataclass(frozen=True, slots=True)
class Base:
    """The newest message of a conversation up to which a session is known to hold all of it, and its place there."""

    index: int
    pointer: Pointer


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """The base of all plans.

    Attributes:
        messages: What the session does not hold and is sent, oldest first, without system messages.
        calls: Every tool call of the conversation by its id, for the results among the messages.
    """

    messages: tuple[BaseMessage, ...]
    calls: Mapping[str, ToolCall] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Append(Sending):
    """Send to the session as it is.

    Attributes:
        pointer: The position of the conversation in the session. In a pinned session that holds none of its messages,
            only server and session are set.
        after: The session's last row (tool rows aside) when this was planned; empty for a session without rows.
    """

    pointer: Pointer
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork(Sending):
    """Copy the first `message_index` rows of a session to a new one and send to that.

    A copy has the rows, but no prompt, no callbacks and no files of its source (Mix 0.5 to 0.7).
    """

    pointer: Pointer
    message_index: int
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewind(Sending):
    """Delete all rows of the session after `pointer.message_id` and send to it."""

    pointer: Pointer
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay(Sending):
    """Send the whole conversation to a new session, as a transcript."""

    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class New(Sending):
    """Send to a new session; there is no history."""


@dataclass(frozen=True, slots=True)
class NeedRows:
    """The session's rows must be read before anything can be planned."""

    session_id: str


Plan = Append | Fork | Rewind | Replay | New
"""A decision how the conversation goes on."""


def find_base(messages: Sequence[BaseMessage], server: str) -> Base | None:
    """Finds the newest answer of this server up to which nothing was changed since it was given.

    A pointer whose digest does not match is in an edited, trimmed or summarised history and proves nothing; an
    older one may. Returns None if no session is known to hold a beginning of the conversation.
    """
    found: Base | None = None
    so_far = ""
    for index, message in enumerate(messages):
        so_far = extend(so_far, message)
        pointer = _pointer_to(message, server)
        if pointer is not None and pointer.message_id and pointer.digest == so_far:
            found = Base(index, pointer)
    return found


def head_of(rows: Sequence[StoredRow]) -> str:
    """The id of the row after which a new message would be placed, tool rows aside; empty if there are no rows."""
    return next((row.id for row in reversed(rows) if row.role != "tool"), "")


def align(
    messages: Sequence[BaseMessage],
    *,
    server: str,
    base: Base | None,
    head: str | None,
    rows: Sequence[str] | None,
    can_fork: bool,
    can_rewind: bool,
    on_divergence: OnDivergence,
    same_words: bool = False,
    pinned: str | None = None,
) -> Plan | NeedRows:
    """Plans how a conversation goes on.

    Without a pinned session, every plan leads to a session that holds each message exactly once, in order, and nothing
    else. A copy or a deletion is only planned on rows that were read: the count in a pointer may be out of date.

    A pinned session is the memory: it is always used, and may hold more than the messages do. It gets everything after
    the base; if the base is not in it, everything after the newest message that points into it; if none does, only the
    messages after the last answer, or the whole conversation if the session is empty. `"fork"` and `"replay"` mean
    nothing there; `"error"` refuses every case in which the session is not known to be at its position.

    Args:
        messages: The conversation, oldest first.
        server: The server's base URL.
        base: Of these messages, by `find_base`.
        head: The last row (tool rows aside, see `head_of`) of the pinned session, else of the base's session; empty if
            it has none, as a deleted session; None if unknown. Given without rows, it is where this process left the
            session with just these messages.
        rows: The ids of all its rows in order, tool rows included; None if they were not read.
        can_fork: The server can fork.
        can_rewind: The server can rewind.
        on_divergence: What to do when the base is not the head, or when there are answers of this server after it.
            What the server cannot do falls back, from rewind to fork to replay; a session that is gone or holds
            something else can only be replayed.
        same_words: The rows that were read say what the messages up to the base say (`agreement.py`). Otherwise the
            base's pointer was copied from another conversation or forged, and its session is left alone.
        pinned: The session that is to be used, whatever the messages say.

    Returns:
        The plan, or `NeedRows` if head or rows are needed and unknown.

    Raises:
        MixHistoryDiverged: By `on_divergence="error"`. Nothing was sent.
        MixInputError: There is nothing to answer.
    """
    spoken = tuple(m for m in messages if kind_of(m) != "system")
    if not spoken:
        raise MixInputError("There is no message to send but system messages.", hint="Add a HumanMessage.")
    if pinned is not None:
        can_rewind = can_rewind and (rows is None or same_words)
        return _Pinned(messages, server, pinned, on_divergence).plan(base, head, rows, can_rewind=can_rewind)
    calls = calls_by_id(spoken)
    rest = spoken if base is None else _after(messages, base.index)
    edited = any(_pointer_to(m, server) for m in rest)
    if edited and on_divergence == "error":
        _diverged("edited")
    if base is None:
        return _start(spoken, calls, "edited" if edited else "foreign")
    if head == base.pointer.message_id and (rows is None or same_words):
        return Append(messages=rest, calls=calls, pointer=base.pointer, after=base.pointer.message_id)
    if head is None or rows is None:
        return NeedRows(base.pointer.session_id)
    way = on_divergence
    if way == "rewind" and not can_rewind:
        way = "fork"
    if way == "fork" and not can_fork:
        way = "replay"
    reason: Reason = "gone" if base.pointer.message_id not in rows else "moved" if same_words else "foreign"
    return _leave(way, reason, base.pointer, rows, calls, rest=rest, spoken=spoken)


def _leave(
    way: OnDivergence,
    reason: Reason,
    pointer: Pointer,
    rows: Sequence[str],
    calls: Mapping[str, ToolCall],
    *,
    rest: tuple[BaseMessage, ...],
    spoken: tuple[BaseMessage, ...],
) -> Fork | Rewind | Replay:
    """Plans for a session whose head is not the conversation's, or which holds another conversation."""
    if way == "error":
        _diverged(reason)
    if way == "replay" or reason != "moved":
        return Replay(messages=spoken, calls=calls, reason=reason)
    if way == "rewind":
        return Rewind(messages=rest, calls=calls, pointer=pointer, reason=reason)
    # Mix 0.5 to 0.7: the index counts all rows, those of tools included, and is exclusive.
    index = rows.index(pointer.message_id) + 1
    return Fork(messages=rest, calls=calls, pointer=pointer, message_index=index, reason=reason)


def _start(spoken: tuple[BaseMessage, ...], calls: Mapping[str, ToolCall], reason: Reason) -> New | Replay:
    if all(kind_of(m) == "human" for m in spoken):
        return New(messages=spoken, calls=calls)
    return Replay(messages=spoken, calls=calls, reason=reason)


@dataclass(frozen=True, slots=True)
class _Pinned:
    """Plans for a session that is always used."""

    messages: Sequence[BaseMessage]
    server: str
    session_id: str
    on_divergence: OnDivergence

    def plan(
        self, base: Base | None, head: str | None, rows: Sequence[str] | None, *, can_rewind: bool
    ) -> Append | Rewind | NeedRows:
        if head is None:
            return NeedRows(self.session_id)
        if base is None or base.pointer.session_id != self.session_id or not head:
            return self._append(head, *self._unproven(head))
        strict = self.on_divergence == "error"
        rest = _after(self.messages, base.index)
        if strict and any(self._points_here(m) for m in rest):
            _diverged("edited")
        if head == base.pointer.message_id:
            return self._append(head, rest, base.pointer)
        if strict:
            _diverged("moved")
        if self.on_divergence == "rewind" and can_rewind:
            if rows is None:
                return NeedRows(self.session_id)
            if base.pointer.message_id in rows:
                return Rewind(messages=rest, calls=calls_by_id(self.messages), pointer=base.pointer, reason="moved")
        return self._append(head, rest, base.pointer)

    def _unproven(self, head: str) -> tuple[tuple[BaseMessage, ...], Pointer]:
        """Returns what to send to a session that no digest shows to hold a beginning of the conversation."""
        everything = _after(self.messages, -1)
        nowhere = Pointer(server=self.server, session_id=self.session_id)
        newest = max((i for i, m in enumerate(self.messages) if self._points_here(m)), default=-1)
        if self.on_divergence == "error" and newest >= 0:
            _diverged("edited" if head else "gone")
        if not head:
            return everything, nowhere
        if newest >= 0:
            return _after(self.messages, newest), read_pointer(self.messages[newest].response_metadata) or nowhere
        answered = max((i for i, m in enumerate(self.messages) if kind_of(m) == "ai"), default=-1)
        if self.on_divergence == "error" and answered >= 0:
            _diverged("foreign")
        return _after(self.messages, answered), nowhere

    def _append(self, head: str, rest: tuple[BaseMessage, ...], pointer: Pointer) -> Append:
        return Append(messages=rest, calls=calls_by_id(self.messages), pointer=pointer, after=head)

    def _points_here(self, message: BaseMessage) -> bool:
        pointer = _pointer_to(message, self.server)
        return pointer is not None and pointer.session_id == self.session_id


def text_of(plan: Plan, write_results: WriteResults) -> str:
    """Returns the text that carries out a plan, once the plan's session exists.

    Before it is sent, the caller has it guarded (`protocol/sending.py`).

    Raises:
        MixInputError: There is nothing to answer, or something that cannot be sent.
    """
    continued = isinstance(plan, Fork | Rewind) or (isinstance(plan, Append) and bool(plan.after))
    return text_to_send(plan.messages, write_results, calls=plan.calls, continued=continued)


def setup_known(plan: Plan) -> str:
    """Hash of the setup text that the plan's session already knows; empty for none.

    A copy has no prompt (Mix 0.5 to 0.7), so that a fork, like a new session, knows none.
    """
    return plan.pointer.setup if isinstance(plan, Append | Rewind) else ""


def verify(plan: Plan, rows: Sequence[RowRef], user_message_id: str) -> str | None:
    """Checks after the turn that the message is where the plan assumed.

    Returns:
        None if it is; else what is in between. The answer is then one to another history than the given one.
    """
    place = next((i for i, row in enumerate(rows) if row.id == user_message_id), None)
    if place is None:
        return "The session does not list the message that was sent."
    before = list(rows[:place])
    while before and before[-1].role == "tool":
        before.pop()
    match plan:
        case Append():
            expected, found = plan.after, before[-1].id if before else ""
        case Rewind():
            expected, found = plan.pointer.message_id, before[-1].id if before else ""
        case Fork():
            # The copies have new ids; nobody else can have written to a session that was just made, but for us.
            expected, found = str(plan.message_index), str(len(before))
        case _:
            expected, found = "0", str(len(before))
    if expected == found:
        return None
    if isinstance(plan, Append | Rewind):
        return f"The message was to follow row {expected or '(none)'}, but it follows row {found or '(none)'}."
    return f"The message was to follow {expected} rows, but it follows {found}."


def _after(messages: Sequence[BaseMessage], index: int) -> tuple[BaseMessage, ...]:
    rest = tuple(m for m in messages[index + 1 :] if kind_of(m) != "system")
    if not rest:
        raise MixInputError(
            "The conversation ends with the agent's own answer; there is nothing to answer.", hint="Add a HumanMessage."
        )
    return rest


def _pointer_to(message: BaseMessage, server: str) -> Pointer | None:
    if not isinstance(message, AIMessage):
        return None
    pointer = read_pointer(message.response_metadata)
    return pointer if pointer is not None and pointer.server.rstrip("/") == server.rstrip("/") else None


def _diverged(reason: Reason) -> NoReturn:
    what = {
        "moved": "The session went on since the last answer that it gave here.",
        "gone": "The session does not hold the last answer any more that it gave here.",
        "edited": "The conversation was changed since the session answered: edited, trimmed, summarised or branched.",
        "foreign": "The session is not known to hold the conversation.",
    }[reason]
    raise MixHistoryDiverged(
        what, hint='Set `on_divergence` to "fork", "replay" or "rewind" to go on, or send the history as it was.'
    )
