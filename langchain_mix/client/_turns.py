"""What both shells share of driving a turn: options in, calls out.

Owns: which calls a turn's effects stand for. Refuses to know: how they are sent (`_sync_turn.py`, `_async_turn.py`).
"""

from __future__ import annotations

import inspect
import json
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Sized
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

import httpx

from langchain_mix import errors
from langchain_mix.client._deadlines import left
from langchain_mix.client._settings import CallOptions, Settings
from langchain_mix.client._stall import StallDetector
from langchain_mix.protocol import calls
from langchain_mix.protocol.api import ApiKnowledge, having
from langchain_mix.protocol.call import Call, is_unrouted
from langchain_mix.protocol.events import SSENotificationEventData, SSEPermissionEventData
from langchain_mix.protocol.guard import guarded
from langchain_mix.protocol.models import SendMessageResponse, SessionData
from langchain_mix.protocol.retry import NO_RETRIES, BackoffStrategy, RetryConfig
from langchain_mix.protocol.turn.machine import Turn
from langchain_mix.protocol.turn.signals import Answered, Ask, Notify
from langchain_mix.protocol.turn.transcript import Transcript, from_export, from_messages
from langchain_mix.protocol.turn.updates import Progress

Said = TypeVar("Said")

Verdict = bool | None
"""Grant, deny, or leave unanswered."""

PermissionPolicy = Literal["deny", "allow", "ignore"] | Callable[[SSEPermissionEventData], Verdict | Awaitable[Verdict]]
"""How permission requests are answered. `"ignore"` leaves them to someone else, or to the server's denial in 30 s."""

NotificationAnswer = str | None
NotificationPolicy = Callable[[SSENotificationEventData], NotificationAnswer | Awaitable[NotificationAnswer]]
"""How notifications are answered: with a text, a choice, `""` to acknowledge, or None to leave it to someone else."""

TIDY_UP: Final = 5.0
"""Seconds for all that is done after the end or the deadline of a turn."""

_LEAVING: Final = 2.0
_BESIDE: Final = 1.0
_LEAVING_RETRIES: Final = RetryConfig(backoff=BackoffStrategy(50, 50, 1.0, int(_LEAVING * 1000)), max_attempts=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest:
    """A turn as a user asks for it. See `Mix.turn` for the fields."""

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
        """The text as it goes out."""
        return self.text if self.command else guarded(self.text, detected)

    def turn(self, detected: ApiKnowledge, stale_error: str) -> Turn:
        """The machine that runs it."""
        return Turn(
            self.session_id,
            self.sent_text(detected),
            detected=detected,
            command=self.command,
            stale_error=stale_error,
            cost_before=self.cost_before,
            rows_before=self.rows_before,
        )

    def message_call(self, detected: ApiKnowledge) -> Call[Any]:
        """The one call that sends the message."""
        text = self.sent_text(detected)
        checked = calls.send_message(
            detected,
            self.session_id,
            text=text,
            plan_mode=self.plan_mode,
            thinking_level=self.thinking_level,
            max_steps=self.max_steps,
        )
        if detected.supports("stream_write") is not True:
            return checked
        # Mix 0.5 shows a turn on the stream only if the message came that way.
        content = json.dumps(dict(checked.body or {}), ensure_ascii=False)
        return calls.write_stream_message(detected, self.session_id, content)


class Deadline:
    """The time allowed for a turn, and the short time for tidying up after it."""

    def __init__(self, seconds: float | None, began: float | None = None) -> None:
        """Starts counting.

        Args:
            seconds: The time allowed, or None for any time.
            began: The moment from which it counts, on the monotonic clock in seconds; None for now.
        """
        self.seconds = seconds or 0.0
        self.end = None if seconds is None else (time.monotonic() if began is None else began) + seconds
        self._tidy: float | None = None

    def left(self) -> float | None:
        """Returns the seconds left, not negative, or None for any time."""
        return left(self.end)

    @property
    def over(self) -> bool:
        """True when the time is up."""
        return self.end is not None and time.monotonic() >= self.end

    def cuts_off(self, answer: Answered) -> bool:
        """True when the deadline is why a message has no answer; a refusal counts all the same."""
        return self.over and answer.error is not None and answer.error.acted != "no"

    def tidy_until(self) -> float:
        """Returns when all tidying up must be over: some seconds after it was first asked for."""
        if self._tidy is None:
            self._tidy = time.monotonic() + TIDY_UP
        return self._tidy

    def tidy_left(self) -> float:
        """Returns the seconds left for tidying up, not negative."""
        return max(self.tidy_until() - time.monotonic(), 0.0)

    def leaving(self) -> CallOptions:
        """Returns how requests on the way out are sent: in a short time, and twice at most, for a stale connection."""
        until = min(time.monotonic() + _LEAVING, self.tidy_until())
        return CallOptions(_LEAVING_RETRIES, until=until)

    def reading(self) -> CallOptions:
        """Returns how the stored messages are read; at the end of the time allowed not for much longer."""
        time_left = self.left()
        return CallOptions(until=self.end) if time_left is None or time_left > _LEAVING else self.leaving()

    def options(self) -> CallOptions:
        """Returns how everything else is sent."""
        return CallOptions(until=self.end)

    def opening(self) -> CallOptions:
        """Returns how the stream is opened: once, since the turn decides about another attempt."""
        return CallOptions(NO_RETRIES, until=self.end)

    def beside(self) -> CallOptions:
        """Returns how the message is sent beside the stream.

        A little longer than the deadline: giving it up cancels the turn (Mix 0.6), and the stream would tell of that as
        if somebody else had done it, before the deadline is noticed.
        """
        return CallOptions(until=None if self.end is None else self.end + _BESIDE)


class Watchdog:
    """Until when a turn's stream may be read: its deadline, its stall, and the `connected` that is due."""

    def __init__(self, deadline: Deadline, settings: Settings) -> None:
        """Begins to measure.

        Args:
            deadline: The turn's.
            settings: The client's.
        """
        self.stall = StallDetector(settings.stall, settings.liveness)
        self._deadline = deadline
        self._liveness = settings.liveness
        self._opened = time.monotonic()
        self._connected = False

    def opening(self) -> None:
        """Notes that a stream is being opened."""
        self._opened, self._connected = time.monotonic(), False

    def connected(self) -> None:
        """Notes that the stream is of use."""
        self._connected = True

    def read_limit(self) -> float:
        """Returns until when the next piece of the stream is waited for, on the monotonic clock in seconds.

        Mix: `connected` comes at once, in all generations; Mix 0.5 may be silent for long after it.
        """
        limit = time.monotonic() + self.stall.left()
        if not self._connected:
            limit = min(limit, self._opened + self._liveness)
        return limit if self._deadline.end is None else min(limit, self._deadline.end)

    def pause(self, apart: float) -> float:
        """Returns the seconds to wait before a stream is opened again.

        Args:
            apart: Seconds that two openings are apart at least. A stream that lasted for longer is opened at once.
        """
        pause = max(self._opened + apart - time.monotonic(), 0.0)
        time_left = self._deadline.left()
        return pause if time_left is None else min(pause, time_left)


def decided_now(said: Said | Awaitable[Said]) -> Said:
    """What a policy said in synchronous code.

    Raises:
        MixInputError: It is an async function.
    """
    if isinstance(said, Awaitable):
        if inspect.iscoroutine(said):
            said.close()
        raise errors.MixInputError("An async policy needs an async turn.", hint="Use `turn_async`.")
    return said


def reading(session_id: str, *, export: bool) -> Call[Any]:
    """The call that reads a session's stored messages."""
    return calls.export_session(session_id) if export else calls.list_messages(session_id)


def transcript_of(result: Any, *, export: bool) -> Transcript:
    """What that call gave."""
    return from_export(result) if export else from_messages(result)


def answer_of(result: Any) -> Answered:
    """The signal for the result of `message_call`."""
    return Answered(result if isinstance(result, SendMessageResponse) else None)


def remaining(detected: ApiKnowledge, error: errors.MixError) -> ApiKnowledge:
    """The generations that the server may still be after it has answered the message with this error."""
    if is_unrouted(error) and detected.supports("stream_write") is True:
        return ApiKnowledge(
            having("stream_write", value=False)
        )  # Mix 0.5 was here, and a newer one has taken its place.
    return detected


def refuse_doubling(detected: ApiKnowledge, session_id: str, streams: Sized) -> None:
    """Refuses a turn that the server would run once more for the user of this client who watches the session.

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
    """Whether nothing of the turn follows on the message's answer, so that the stream need not be read any longer.

    What has arrived by then is read first: Mix 0.6 answers beside the stream, and may be heard before its events.
    A lost answer ends nothing; the stream tells more, and on Mix 0.6 closing it would cancel the turn.
    """
    if answer.error is not None:
        return answer.error.acted == "no" or isinstance(answer.error, errors.ErrorResponse)
    return answer.reply is not None and not answer.reply.accepted


def runs_beside(detected: ApiKnowledge) -> bool:
    """Whether the message must be sent beside the stream, since its answer may wait for the turn (Mix 0.6)."""
    return detected.supports("stream_write") is not True and detected.supports("send_waits") is not False


def liveness_of(detected: ApiKnowledge, usual: float, longest: float) -> float:
    """How long a stream may be silent, in seconds. Mix 0.5 sends no heartbeats while a turn runs."""
    return usual if detected.supports("heartbeat_in_turn") is not False else max(usual, longest)


def verdict_call(request: SSEPermissionEventData, verdict: Verdict) -> Call[Any] | None:
    """The call that answers a permission request, or None if it is left unanswered."""
    if verdict is None:
        return None
    # A verdict that is neither yes nor no is a no.
    return calls.grant_permission(request.id) if verdict is True else calls.deny_permission(request.id)


def fixed_verdict(policy: PermissionPolicy) -> tuple[bool, Verdict]:
    """Whether the policy is a fixed one, and its verdict."""
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
    """The call that answers a notification, or None if it is left unanswered."""
    if answer is None:
        return None
    if not isinstance(answer, str):
        raise errors.MixInputError(
            f"A notification was answered with {type(answer).__name__}.",
            hint='Return a text, "" to acknowledge, or None.',
        )
    kind = notification.response_type or "acknowledge"
    return calls.respond_to_notification(detected, notification.id, kind, answer or None)


def unanswered(effect: Ask | Notify, error: errors.MixError) -> Progress:
    """What tells that an answer could not be sent."""
    if isinstance(effect, Ask):
        return Progress("permission_unanswered", {"id": effect.request.id, "error": str(error)})
    return Progress("notification_unanswered", {"id": effect.notification.id, "error": str(error)})


def refused_answer(effect: Ask | Notify, error: errors.MixResponseError) -> Progress | None:
    """Returns what reports that the server did not take an answer; None if the question was settled before.

    Args:
        effect: The question.
        error: The server's refusal of the answer.

    Raises:
        MixResponseError: The refusal ends the turn.
    """
    if isinstance(effect, Notify):
        # Mix: the refusal, in plain text, of a notification that was answered or has expired.
        if isinstance(error, errors.MixNotFoundError) or "Notification not found" in error.body:
            return None
        if isinstance(error, errors.MixDefaultError):
            return unanswered(effect, error)
    raise error


def subagent_session(sessions: Iterable[SessionData], parent_call: str) -> str:
    """The session of the sub-agent that a Task call runs, or empty."""
    return next((s.id for s in sessions if s.parent_tool_call_id == parent_call), "")


def socket_of(connection: Any) -> Any | None:
    """The socket of a connection of the HTTP library, or what its event loop shows of it; None if there is none."""
    return None if connection is None else connection.get_extra_info("socket")


def interrupt(response: httpx.Response) -> None:
    """Ends the reading of a stream from outside: what has arrived is still read, then the stream ends.

    httpx fixes a stream's timeouts when it opens it, so that neither a deadline nor another thread's news could wake
    its reader otherwise.
    """
    sock = socket_of(response.extensions.get("network_stream"))
    if sock is None:
        return
    try:
        # A duplicate, since event loops hand out sockets that refuse to be shut down; of the plain type, since test
        # tools such as pytest-socket put one in the place of `socket.socket` that refuses to be made.
        with closing(socket.SocketType(fileno=os.dup(sock.fileno()))) as own:
            own.shutdown(socket.SHUT_RD)
    except OSError:
        return  # It has ended by itself.
