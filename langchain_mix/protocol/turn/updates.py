"""Updates, which a turn emits while it runs, and its result.

Owns: the vocabulary that the client, the chat model and the command line share. Refuses to know: how an update comes
about (`machine.py`) and how it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from langchain_mix.protocol.events import SSENotificationEventData, SSEPermissionEventData
from langchain_mix.protocol.turn.usage import Usage

__all__ = [
    "Accepted",
    "Message",
    "NotificationReceived",
    "PermissionRequested",
    "Progress",
    "SubagentUpdate",
    "TextDelta",
    "TextRestated",
    "ThinkingDelta",
    "ToolCall",
    "ToolCallDelta",
    "ToolCallStarted",
    "ToolCalled",
    "ToolFinished",
    "ToolOutput",
    "ToolRunning",
    "TurnResult",
    "Update",
    "Usage",
]


@dataclass(slots=True)
class Accepted:
    """The server has stored the user's message; its id, where the server names it."""

    message_id: str


@dataclass(slots=True)
class ThinkingDelta:
    """The next piece of reasoning of an assistant message."""

    message_id: str
    text: str


@dataclass(slots=True)
class TextDelta:
    """The next piece of text of an assistant message. All pieces together are the text, each exactly once."""

    message_id: str
    text: str


@dataclass(slots=True)
class TextRestated:
    """Text shown so far lacks a part in its middle, which no later piece can mend. `text` is the whole message.

    The server drops events when a reader is slow; only the stored messages show that it did.
    """

    message_id: str
    text: str


@dataclass(slots=True)
class ToolCallStarted:
    """The agent begins a tool call; its arguments follow."""

    id: str
    name: str
    message_id: str


@dataclass(slots=True)
class ToolCallDelta:
    """A fragment of a tool call's arguments (JSON text). `ToolCalled` has all of it again."""

    id: str
    fragment: str


@dataclass(slots=True)
class ToolCalled:
    """A tool call is complete. `input` is JSON text, as the model wrote it."""

    id: str
    name: str
    input: str
    message_id: str


@dataclass(slots=True)
class ToolRunning:
    """A tool has begun to run."""

    id: str
    name: str
    progress: str


@dataclass(slots=True)
class ToolFinished:
    """A tool has run. Its result follows in `ToolOutput`, on servers that list it (Mix 0.8)."""

    id: str
    name: str
    success: bool
    progress: str


@dataclass(slots=True)
class ToolOutput:
    """The result of a tool, read from the stored messages."""

    id: str
    output: str
    is_error: bool


@dataclass(slots=True)
class PermissionRequested:
    """The agent wants to run a tool and waits for an answer, for 30 seconds."""

    request: SSEPermissionEventData


@dataclass(slots=True)
class NotificationReceived:
    """The agent informs or asks the user and waits for an answer."""

    notification: SSENotificationEventData


@dataclass(slots=True)
class SubagentUpdate:
    """Something that happens inside a sub-agent, never part of the turn's own text.

    Attributes:
        parent_id: The Task call that runs the sub-agent.
        update: What happens.
    """

    parent_id: str
    update: Update


@dataclass(slots=True)
class Progress:
    """Anything else that happened: rate limits, a reopened stream, a foreign turn, events of newer servers.

    Attributes:
        kind: `rate_limit`, `reopened`, `foreign_turn`, `summarize`, `subagent_error`, or the name of an unknown event.
        detail: What the server said.
    """

    kind: str
    detail: Mapping[str, Any] = field(default_factory=dict)


Update = (
    Accepted
    | ThinkingDelta
    | TextDelta
    | TextRestated
    | ToolCallStarted
    | ToolCallDelta
    | ToolCalled
    | ToolRunning
    | ToolFinished
    | ToolOutput
    | PermissionRequested
    | NotificationReceived
    | SubagentUpdate
    | Progress
)


@dataclass(slots=True, kw_only=True)
class ToolCall:
    """One tool call of a turn.

    Attributes:
        id: The call.
        name: The tool.
        input: Arguments as JSON text; empty while they are unknown.
        status: How far it came.
        progress: The server's words about the run.
        output: The result of the tool, or None where the server does not list it.
        is_error: True if the output is an error.
    """

    id: str
    name: str = ""
    input: str = ""
    status: Literal["called", "running", "succeeded", "failed"] = "called"
    progress: str = ""
    output: str | None = None
    is_error: bool = False


@dataclass(slots=True, kw_only=True)
class Message:
    """One assistant message of a turn: the reply of one model call.

    Attributes:
        id: Its id; empty on servers that name it only in their listings, until that was read.
        text: Its text.
        thinking: Its reasoning.
        tool_calls: The tools it called.
    """

    id: str = ""
    text: str = ""
    thinking: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RowRef:
    """A row of a session, without what it says.

    Attributes:
        id: Its id.
        role: `user`, `assistant` or `tool`.
    """

    id: str
    role: str


@dataclass(slots=True, kw_only=True)
class TurnResult:
    """All that is known of a turn; complete after success, as far as it came after a failure.

    Attributes:
        session_id: The session.
        sent_text: The user's message as it was sent.
        user_message_id: The row of the user's message; empty if unknown.
        messages: The assistant messages, in order.
        usage: Tokens and cost, or None if unknown.
        model: The model that answered, or empty if unknown.
        reasoning_duration: Seconds of reasoning in the last message, 0 if unknown.
        row_count: Rows in the session after the turn, -1 if unknown. A fork at this index copies all of them.
        rows: The rows of the session after the turn, oldest first; empty if they were not read.
        verified: True if the stored messages were read and agree with this.
        contended: True if another client's turn ran in the session at the same time.
        command: True for the answer of a server command, which leaves no rows.
    """

    session_id: str
    sent_text: str = ""
    user_message_id: str = ""
    messages: list[Message] = field(default_factory=list)
    usage: Usage | None = None
    model: str = ""
    reasoning_duration: float = 0
    row_count: int = -1
    rows: list[RowRef] = field(default_factory=list, repr=False)
    verified: bool = False
    contended: bool = False
    command: bool = False

    @property
    def text(self) -> str:
        """The answer: the text of the last assistant message."""
        return self.messages[-1].text if self.messages else ""

    @property
    def full_text(self) -> str:
        """The text of all assistant messages of the turn, joined as they were streamed."""
        return "".join(m.text for m in self.messages)

    @property
    def message_id(self) -> str:
        """The last assistant message."""
        return self.messages[-1].id if self.messages else ""

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls of all messages."""
        return [c for m in self.messages for c in m.tool_calls]
