"""How a conversation may go on in a Mix session: the plans that there are.

Owns: what each plan says. Refuses to know: which one is right (`align.py`), how it is carried out (`conversation.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from langchain_core.messages import BaseMessage, ToolCall

from langchain_mix.pointer import Pointer

OnDivergence = Literal["fork", "rewind", "replay", "error"]
"""What to do when no session stands where the conversation does."""

Reason = Literal["moved", "gone", "edited", "foreign"]
"""Why a turn cannot simply be appended: the session went on or lost the row, the history was changed or came from
elsewhere."""


@dataclass(frozen=True, slots=True)
class Base:
    """The newest message of a conversation up to which a session is known to hold all of it.

    Attributes:
        index: Its place among the messages.
        pointer: Its place in the session.
    """

    index: int
    pointer: Pointer


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What all plans have.

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
        pointer: Where the conversation stands in the session. In a pinned session that holds none of its messages, only
            server and session are set.
        after: The session's last row (tool rows aside) when this was planned; empty for a session without rows.
    """

    pointer: Pointer
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork(Sending):
    """Copy the first rows of a session to a new one and send to that.

    A copy has the rows, but no prompt, no callbacks and no files of its source (Mix 0.5 to 0.7).

    Attributes:
        pointer: Where the conversation stands in the source.
        message_index: How many rows to copy.
        reason: Why.
    """

    pointer: Pointer
    message_index: int
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewind(Sending):
    """Delete all rows of the session after `pointer.message_id` and send to it.

    Attributes:
        pointer: Where the conversation stands in the session.
        reason: Why.
    """

    pointer: Pointer
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay(Sending):
    """Send the whole conversation to a new session, as a transcript.

    Attributes:
        reason: Why.
    """

    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class New(Sending):
    """Send to a new session; there is no history."""


@dataclass(frozen=True, slots=True)
class NeedRows:
    """The session's rows must be read before anything can be planned.

    Attributes:
        session_id: The session.
    """

    session_id: str


Plan = Append | Fork | Rewind | Replay | New
"""How the conversation goes on."""
