"""The calls of a turn, which both shells share: its message, its reads, and the answers to what the agent asks.

Owns: which calls carry out a turn's effects, and which session runs a turn of this process.
Refuses to know: how calls are sent (`_sync_turn.py`, `_async_turn.py`), and how long they may take (`_timeouts.py`).
"""

from __future__ import annotations

import inspect
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sized
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from langchain_mix import errors
from langchain_mix.fifo_lock import FifoLock, LockTicket
from langchain_mix.protocol import calls
from langchain_mix.protocol.api import ApiKnowledge, having
from langchain_mix.protocol.call import Call, is_unrouted
from langchain_mix.protocol.events import SSENotificationEventData, SSEPermissionEventData
from langchain_mix.protocol.models import SendMessageResponse, SessionData
from langchain_mix.protocol.sending import guarded
from langchain_mix.protocol.turn.machine import Turn
from langchain_mix.protocol.turn.signals import Answered, Ask, Notify
from langchain_mix.protocol.turn.stored_rows import Transcript, from_export, from_messages
from langchain_mix.protocol.turn.updates import Progress

Decision = TypeVar("Decision")

Verdict = bool | None
"""Grant, deny, or leave unanswered."""

PermissionPolicy = Literal["deny", "allow", "ignore"] | Callable[[SSEPermissionEventData], Verdict | Awaitable[Verdict]]
"""A policy for permission requests. `"ignore"` leaves them to someone else, or to the server's denial in 30 s."""

NotificationAnswer = str | None
NotificationPolicy = Callable[[SSENotificationEventData], NotificationAnswer | Awaitable[NotificationAnswer]]
"""A policy for notifications: a text, a choice, `""` to acknowledge, or None to leave it to someone else."""

_REMEMBERED: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest:
    """The arguments of a turn. See `Mix.turn` for the fields."""

    session_id: str
    text: str
    plan_mode: bool | None = None
    thinking_level: str | None = None
    max_steps: int | None = None
    command: bool = False
    timeout: float | None = None
    permissions: PermissionPolicy = "deny"
    on_notification: NotificationPolicy | None = None
    multitask_strategy: Literal["reject", "enqueue"] = "reject"
    cost_before: float | None = None
    rows_before: int | None = None
    began: float | None = None

    def __post_init__(self) -> None:
        """Checks what can be checked before anything is sent."""
        if self.timeout is not None and self.timeout <= 0:
            raise errors.MixInputError(f"timeout={self.timeout} must be above 0 seconds.")
        if self.multitask_strategy not in {"reject", "enqueue"}:
            raise errors.MixInputError(f"multitask_strategy={self.multitask_strategy!r} is 'reject' or 'enqueue'.")
        if not callable(self.permissions) and str(self.permissions) not in {"deny", "allow", "ignore"}:
            raise errors.MixInputError(f"permissions={self.permissions!r} is 'deny', 'allow', 'ignore' or a function.")
        if self.on_notification is not None and not callable(self.on_notification):
            raise errors.MixInputError(f"on_notification={self.on_notification!r} is None or a function.")

    def sent_text(self, detected: ApiKnowledge) -> str:
        """Returns the text as it is sent."""
        return self.text if self.command else guarded(self.text, detected)

    def turn(self, detected: ApiKnowledge, stale_error: str) -> Turn:
        """Makes the state machine of the turn."""
        return Turn(
            self.session_id,
            self.sent_text(detected),
            detected=detected,
            command=self.command,
            stale_error=stale_error,
            cost_before=self.cost_before,
            rows_before=self.rows_before,
        )

    def post_call(self, detected: ApiKnowledge) -> Call[SendMessageResponse]:
        """Makes the call that posts the message."""
        return calls.send_message(
            detected,
            self.session_id,
            text=self.sent_text(detected),
            plan_mode=self.plan_mode,
            thinking_level=self.thinking_level,
            max_steps=self.max_steps,
        )

    def message_call(self, detected: ApiKnowledge) -> Call[Any]:
        """Makes the one call that sends the message so that its turn is seen on the stream."""
        posted = self.post_call(detected)
        if detected.supports("stream_write") is not True:
            return posted
        # Mix 0.5 shows a turn on the stream only if the message came that way.
        content = json.dumps(dict(posted.body or {}), ensure_ascii=False)
        return calls.write_stream_message(detected, self.session_id, content)


class SessionLocks(FifoLock[None]):
    """The sessions in which this process runs turns: one at a time in each.

    Mix has no busy check: a second message starts a second run over the same history, and both spoil each other.
    """

    def __init__(self) -> None:
        """Starts with no turn running."""
        super().__init__()
        self._stale: OrderedDict[tuple[str, str], str] = OrderedDict()

    def claim(self, key: tuple[str, str], *, wait: bool) -> LockTicket[None]:
        """Claims a session, by server and id, for a turn; with `wait`, queues behind a running turn.

        Returns:
            The ticket, to be released; `granted` is true if the session is free now.

        Raises:
            MixSessionBusy: A turn runs and `wait` is false.
        """
        if wait:
            return self.enter(key)
        ticket = self.try_enter(key)
        if ticket is None:
            raise errors.MixSessionBusy(
                f"Session {key[1]} already runs a turn of this process.",
                hint="Wait for it, close it, or pass multitask_strategy='enqueue'.",
            )
        return ticket

    def stale_error(self, key: tuple[str, str]) -> str:
        """Returns the text of an error of the session's last turn that the server may send once more."""
        with self._mutex:
            return self._stale.get(key, "")

    def remember(self, key: tuple[str, str], stale_error: str) -> None:
        """Keeps that text for the session's next turn, or forgets it if it is empty."""
        with self._mutex:
            self._stale.pop(key, None)
            if stale_error:
                self._stale[key] = stale_error
                if len(self._stale) > _REMEMBERED:
                    self._stale.popitem(last=False)


SESSION_LOCKS: Final = SessionLocks()
"""Those of this process: two clients for one server must not run turns in one session at once either."""


def require_decided(decision: Decision | Awaitable[Decision]) -> Decision:
    """Returns the decision of a policy in synchronous code.

    Raises:
        MixInputError: The policy is an async function.
    """
    if isinstance(decision, Awaitable):
        if inspect.iscoroutine(decision):
            decision.close()
        raise errors.MixInputError("An async policy needs an async turn.", hint="Use `turn_async`.")
    return decision


def transcript_call(session_id: str, *, export: bool) -> Call[Any]:
    """Makes the call that reads a session's stored messages."""
    return calls.export_session(session_id) if export else calls.list_messages(session_id)


def transcript_of(result: Any, *, export: bool) -> Transcript:
    """Reads the result of `transcript_call`."""
    return from_export(result) if export else from_messages(result)


def answer_of(result: Any) -> Answered:
    """Makes the signal for the result of `message_call`."""
    return Answered(result if isinstance(result, SendMessageResponse) else None)


def detected_after(error: errors.MixError, detected: ApiKnowledge) -> ApiKnowledge:
    """Returns the generations that the server may still be after it has answered the message with this error."""
    if is_unrouted(error) and detected.supports("stream_write") is True:
        return ApiKnowledge(
            having("stream_write", value=False)
        )  # Mix 0.5 was here, and a newer one has taken its place.
    return detected


def refuse_duplicate_turn(detected: ApiKnowledge, session_id: str, streams: Sized) -> None:
    """Refuses a turn that the server would run once more for an event stream that this client has open.

    Raises:
        MixUsageError: Mix 0.5 would: a turn needs a stream of its own there, and every open stream runs the message.
    """
    if streams and detected.supports("stream_write") is True:
        raise errors.MixUsageError(
            f"This client has an event stream of session {session_id} open, and this server runs a message once for "
            "each stream; a turn opens one of its own.",
            hint="Close the stream first, or use `messages.send` without further options, which writes to it.",
        )


def ends_turn(answer: Answered) -> bool:
    """Returns True if nothing of the turn follows on the message's answer, so that the stream need not be read on.

    What has arrived by then is read first: the answer of Mix 0.6 may arrive before events that were sent earlier.
    A lost answer ends nothing: the stream shows more, and on Mix 0.6 closing it would cancel the turn.
    """
    if answer.error is not None:
        return answer.error.acted == "no" or isinstance(answer.error, errors.ErrorResponse)
    return answer.reply is not None and not answer.reply.accepted


def needs_background_send(detected: ApiKnowledge) -> bool:
    """Returns True if the message's answer may wait for the end of the turn (Mix 0.6), while the stream is read."""
    return detected.supports("stream_write") is not True and detected.supports("send_waits") is not False


def verdict_call(request: SSEPermissionEventData, verdict: Verdict) -> Call[Any] | None:
    """Makes the call that answers a permission request; None if it is left unanswered."""
    if verdict is None:
        return None
    # A verdict that is neither yes nor no is a no.
    return calls.grant_permission(request.id) if verdict is True else calls.deny_permission(request.id)


def fixed_verdict(policy: PermissionPolicy) -> tuple[bool, Verdict]:
    """Returns True and the verdict if the policy is a fixed one."""
    match policy:
        case "allow":
            return True, True
        case "deny":
            return True, False
        case "ignore":
            return True, None
        case _:
            return False, None


def notification_call(
    detected: ApiKnowledge, notification: SSENotificationEventData, answer: NotificationAnswer
) -> Call[Any] | None:
    """Makes the call that answers a notification; None if it is left unanswered."""
    if answer is None:
        return None
    if not isinstance(answer, str):
        raise errors.MixInputError(
            f"A notification was answered with {type(answer).__name__}.",
            hint='Return a text, "" to acknowledge, or None.',
        )
    kind = notification.response_type or "acknowledge"
    return calls.respond_to_notification(detected, notification.id, kind, answer or None)


def unanswered_update(effect: Ask | Notify, error: errors.MixError) -> Progress:
    """Makes the update which reports that an answer could not be sent."""
    if isinstance(effect, Ask):
        return Progress("permission_unanswered", {"id": effect.request.id, "error": str(error)})
    return Progress("notification_unanswered", {"id": effect.notification.id, "error": str(error)})


def refused_update(effect: Ask | Notify, error: errors.MixResponseError) -> Progress | None:
    """Makes the update which reports that the server refused an answer; None if somebody had answered before.

    Raises:
        MixResponseError: The refusal ends the turn.
    """
    if isinstance(effect, Notify):
        # Mix: the refusal, in plain text, of a notification that was answered or has expired.
        if isinstance(error, errors.MixNotFoundError) or "Notification not found" in error.body:
            return None
        if isinstance(error, errors.MixDefaultError):
            return unanswered_update(effect, error)
    raise error


def subagent_session(sessions: Iterable[SessionData], parent_call: str) -> str:
    """Returns the id of the session of the sub-agent that a Task call runs; empty if there is none."""
    return next((s.id for s in sessions if s.parent_tool_call_id == parent_call), "")
