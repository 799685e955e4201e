"""Signals and effects: what goes into a turn and what comes out of it.

Owns: the contract between `Turn` and the shells that drive it. Refuses to know: how either works.
"""

from __future__ import annotations

from dataclasses import dataclass

from langchain_mix.errors import MixError
from langchain_mix.protocol.events import Event, SSENotificationEventData, SSEPermissionEventData
from langchain_mix.protocol.models import SendMessageResponse
from langchain_mix.protocol.turn.stored_rows import Transcript
from langchain_mix.protocol.turn.updates import TurnResult, Update

# Signals


@dataclass(slots=True)
class Received:
    """An event came on the session's stream."""

    event: Event


@dataclass(slots=True)
class Answered:
    """The message was answered, or was not. `reply` is None where the answer says nothing (Mix 0.5, stream write)."""

    reply: SendMessageResponse | None = None
    error: MixError | None = None


@dataclass(slots=True)
class Read:
    """The listing that `Reconcile` requested, or why it cannot be read."""

    transcript: Transcript | None = None
    error: MixError | None = None


@dataclass(slots=True)
class Dropped:
    """The stream ended, or could not be opened."""

    error: MixError


@dataclass(slots=True)
class Expired:
    """The time allowed is over: for the turn, or for its silence (`quiet`)."""

    seconds: float
    quiet: bool = False


Signal = Received | Answered | Read | Dropped | Expired

# Effects


@dataclass(slots=True)
class Send:
    """Send the message, once. Answer with `Answered`."""


@dataclass(slots=True)
class Emit:
    """Pass an update to the user."""

    update: Update


@dataclass(slots=True)
class Reconcile:
    """Read the stored messages and answer with `Read`.

    Attributes:
        export: Read the export, which has finish reasons and counters, instead of the messages, which have results.
    """

    export: bool


@dataclass(slots=True)
class Reopen:
    """Open the stream again; `attempt` counts from 1 and paces the retries."""

    attempt: int


@dataclass(slots=True)
class Ask:
    """Decide whether a tool may run and answer the server."""

    request: SSEPermissionEventData


@dataclass(slots=True)
class Notify:
    """Answer a notification, if there is a policy for it."""

    notification: SSENotificationEventData


@dataclass(slots=True)
class Watch:
    """Watch the stream of the sub-agent that this Task call runs: only there do its permission requests come.

    The sub-agent's session exists by now.
    """

    parent_id: str


@dataclass(slots=True)
class Unwatch:
    """The Task call is over."""

    parent_id: str


@dataclass(slots=True)
class Cancel:
    """Ask the server to cancel the turn."""


@dataclass(slots=True)
class Finish:
    """The turn is over and this is its result."""

    result: TurnResult


@dataclass(slots=True)
class Fail:
    """The turn is over and did not end well. The error's `turn` has what is known of it."""

    error: MixError


Effect = Send | Emit | Reconcile | Reopen | Ask | Notify | Watch | Unwatch | Cancel | Finish | Fail
