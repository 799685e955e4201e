"""The stored rows of a session, in one form whichever listing they come from.

Owns: what rows say about a turn: which are its own, and whether it is over.
Refuses to know: what was seen of it on a stream (`accumulator.py`), and how its tokens are counted (`usage.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from langchain_mix.protocol.models import BackendMessage, ExportSession, ExportToolCall, ToolCallData
from langchain_mix.protocol.tool_calls import outcome_of_result
from langchain_mix.protocol.turn.updates import ToolCall
from langchain_mix.protocol.turn.usage import Usage, usage_of_last_call, usage_of_message

Outcome = Literal["running", "finished", "cancelled", "failed"]


@dataclass(slots=True)
class StoredRow:
    """One stored row.

    Attributes:
        id: Its id.
        role: `user`, `assistant` or `tool`.
        text: Its text.
        thinking: Its reasoning.
        tool_calls: Calls of an assistant row.
        finish_reason: Why the model stopped; empty while it has not, None where the listing does not say.
        usage: Its tokens, where the listing has them.
        model: The model, where the listing has it.
    """

    id: str
    role: str
    text: str
    thinking: str
    tool_calls: list[ToolCall]
    finish_reason: str | None
    usage: Usage | None
    model: str


@dataclass(slots=True)
class Transcript:
    """All rows of a session, oldest first.

    Attributes:
        rows: The rows.
        last_call: Tokens of the last model call and the cost of the session, where the listing has them.
    """

    rows: list[StoredRow]
    last_call: Usage | None = None

    def turn_of(
        self, user_id: str, text: str, *, rows_before: int = 0, shown: Collection[str] = ()
    ) -> tuple[StoredRow | None, list[StoredRow]]:
        """Finds the rows of a turn.

        Args:
            user_id: The row of the user's message, or empty if the server did not name it.
            text: The message as it was sent. Mix may have appended to it (plan mode).
            rows_before: Rows that the session is known to have had before the turn.
            shown: Messages that the stream has shown as the turn's own.

        Returns:
            The user's row, or None if it is not there, and the turn's assistant rows: those up to the next user row,
            and up to the last one in `shown` (Mix 0.7: a callback may store a user row in the middle of a turn).
        """
        start = -1
        for i, row in enumerate(self.rows):
            mine = row.id == user_id if user_id else i >= rows_before and same_text(row.text, text)
            if row.role == "user" and mine:
                start = i
        if start < 0:
            return None, []
        after = self.rows[start + 1 :]
        end = next((i for i, row in enumerate(after) if row.role == "user"), len(after))
        end = max(end, *(i + 1 for i, row in enumerate(after) if row.id in shown), 0)
        return self.rows[start], [row for row in after[:end] if row.role == "assistant"]

    def same_words(self, user: StoredRow, rows_before: int) -> list[StoredRow]:
        """Returns the other messages with the same text since then, newest first."""
        alike = [r for r in self.rows[rows_before:] if r.role == "user" and r is not user and r.text == user.text]
        return alike[::-1]

    def holds(self, message_id: str) -> bool:
        """Returns True if it has this row."""
        return any(row.id == message_id for row in self.rows)


def same_text(stored: str, sent: str) -> bool:
    """Returns True if a stored or announced user text is the one that was sent.

    Mix: plan mode appends a `<system-reminder>` block after a blank line, stores it and announces it.
    """
    stored, sent = stored.strip(), sent.strip()
    return stored == sent or (stored.startswith(sent) and stored[len(sent) :].lstrip().startswith("<system-reminder>"))


def up_to_call(rows: list[StoredRow], call_id: str) -> list[StoredRow]:
    """Returns the rows up to the one that made a tool call; none if it is not stored."""
    at = next((i for i, row in enumerate(rows) if any(c.id == call_id for c in row.tool_calls)), -1)
    return rows[: at + 1]


_ENDS: Final = frozenset({"end_turn", "max_tokens", "unknown", "stop"})
"""Finish reasons of rows that no further row of their turn follows. Mix: `unknown` replaces a provider's odd one."""


def outcome_of(rows: list[StoredRow]) -> Outcome:
    """Returns the state of a turn by its assistant rows.

    A listing without finish reasons (GET messages) counts a last row with text and without open calls as the end; use
    it only after a terminal event. The export has them, so it can be used at any time.
    """
    if not rows:
        return "running"
    last = rows[-1]
    match last.finish_reason:
        case "canceled":
            return "cancelled"
        case "error" | "permission_denied":
            return "failed"
        case "" | "tool_use":
            return "running"
        case None:
            return "running" if last.tool_calls or not last.text else "finished"
        case reason:
            # A reason of a later server may be another word for `tool_use`.
            return "finished" if reason in _ENDS or not last.tool_calls else "running"


def from_messages(messages: Iterable[BackendMessage]) -> Transcript:
    """Reads GET /api/sessions/{id}/messages."""
    return Transcript([_from_message(m) for m in messages])


def from_export(export: ExportSession) -> Transcript:
    """Reads GET /api/sessions/{id}/export, which has finish reasons and counters but never results."""
    rows = [
        StoredRow(
            m.id,
            m.role,
            m.content,
            m.reasoning or "",
            [_call(c) for c in m.tool_calls],
            m.finish_reason or "",
            None,
            m.model or "",
        )
        for m in export.messages
    ]
    return Transcript(rows, usage_of_last_call(export))


def _from_message(m: BackendMessage) -> StoredRow:
    text = m.user_input or m.assistant_response or ""
    return StoredRow(
        m.id,
        m.role,
        text,
        m.reasoning or "",
        [_call(c) for c in m.tool_calls],
        None,
        usage_of_message(m),
        m.model or "",
    )


def _call(c: ToolCallData | ExportToolCall) -> ToolCall:
    status = outcome_of_result(c.result, is_error=c.is_error) or "called"
    return ToolCall(id=c.id, name=c.name, input=c.input, status=status, output=c.result, is_error=bool(c.is_error))
