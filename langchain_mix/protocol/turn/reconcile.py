"""What was seen of a turn on the stream, held against what the server has stored.

Owns: the rule that a user gets every text exactly once and complete.
Refuses to know: when to read the stored messages (`turn.py`) and how (`client/`).

Text is compared over the whole turn, message after message: servers before 0.7 do not tell where a message begins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from langchain_mix.protocol.tool_outcomes import outcome_of_result
from langchain_mix.protocol.turn.transcript import StoredRow
from langchain_mix.protocol.turn.updates import (
    Message,
    TextDelta,
    TextRestated,
    ThinkingDelta,
    ToolCall,
    ToolCalled,
    ToolFinished,
    ToolOutput,
    Update,
)


@dataclass(slots=True)
class Seen:
    """One assistant message as far as the stream has shown it.

    Attributes:
        id: Its id, or empty where the stream does not tell.
        text: The pieces of text shown.
        thinking: The pieces of reasoning shown.
        calls: Its tool calls by id.
    """

    id: str = ""
    text: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    calls: dict[str, ToolCall] = field(default_factory=dict)

    def message(self) -> Message:
        """The message as far as it is known."""
        return Message(
            id=self.id, text="".join(self.text), thinking="".join(self.thinking), tool_calls=list(self.calls.values())
        )


def settle(seen: list[Seen], rows: list[StoredRow], *, whole: bool = False) -> tuple[list[Update], list[Seen]]:
    """Brings what was shown up to what is stored.

    Args:
        seen: The messages as shown so far.
        rows: The turn's assistant rows, as far as they are complete.
        whole: The turn has ended well and these are all its rows: what was shown beyond them was never said.

    Returns:
        What must still be told, and the messages as they are now known. Unless the rows are the whole, text that was
        shown but is not stored (a cancelled reply, say) is kept.
    """
    if not rows:
        return [], seen
    updates = _thoughts(seen, rows) + _texts(seen, rows, whole=whole)
    calls = {c.id: c for m in seen for c in m.calls.values()}
    settled: list[Seen] = []
    for row in rows:
        updates += _tools(calls, row)
        settled.append(Seen(row.id, [row.text], [row.thinking], {c.id: calls[c.id] for c in row.tool_calls}))
    if not whole:
        _keep_what_is_not_stored(seen, settled)
    kept = {i for m in settled for i in m.calls}
    settled[-1].calls.update({i: c for i, c in calls.items() if i not in kept})
    return updates, settled


def _texts(seen: list[Seen], rows: list[StoredRow], *, whole: bool) -> list[Update]:
    shown = "".join(t for m in seen for t in m.text)
    stored = "".join(r.text for r in rows)
    if stored in {shown, shown.strip()} or (shown.startswith(stored) and not whole):
        return []
    if not stored.startswith(shown):
        return _restated(seen, rows)
    updates: list[Update] = []
    ahead = len(shown)
    for row in rows:
        if missing := row.text[ahead:] if ahead > 0 else row.text:
            updates.append(TextDelta(row.id, missing))
        ahead -= len(row.text)
    return updates


def _restated(seen: list[Seen], rows: list[StoredRow]) -> list[Update]:
    """Text is missing in the middle. Restates each message that was shown wrongly or not at all."""
    by_id = {m.id: "".join(m.text) for m in seen}
    restated: list[Update] = [TextRestated(r.id, r.text) for r in rows if r.text and by_id.get(r.id) != r.text]
    # All of it was shown, but among text that is not this turn's, or in another order.
    return restated or [TextRestated(rows[-1].id, rows[-1].text)]


def _thoughts(seen: list[Seen], rows: list[StoredRow]) -> list[Update]:
    # Mix stores only the first reasoning part of a message, so less may be stored than was shown.
    shown = "".join(t for m in seen for t in m.thinking)
    stored = "".join(r.thinking for r in rows)
    if not stored.startswith(shown):
        return []
    updates: list[Update] = []
    ahead = len(shown)
    for row in rows:
        if missing := row.thinking[ahead:] if ahead > 0 else row.thinking:
            updates.append(ThinkingDelta(row.id, missing))
        ahead -= len(row.thinking)
    return updates


def _tools(calls: dict[str, ToolCall], row: StoredRow) -> list[Update]:
    updates: list[Update] = []
    for stored in row.tool_calls:
        call = calls.setdefault(stored.id, ToolCall(id=stored.id))
        if not call.input and (stored.input or not call.name):
            call.name, call.input = call.name or stored.name, stored.input
            updates.append(ToolCalled(call.id, call.name, call.input, row.id))
        outcome = outcome_of_result(stored.output, is_error=stored.is_error)
        if outcome is not None and call.status in {"called", "running"}:
            call.status = outcome  # The event of its end was lost.
            updates.append(ToolFinished(call.id, call.name, outcome == "succeeded", ""))
        elif stored.is_error:
            call.status = "failed"  # Mix: a tool that gives an error has run all the same, says its event.
        if stored.output is not None and call.output is None:
            call.output, call.is_error = stored.output, stored.is_error
            updates.append(ToolOutput(call.id, call.output, call.is_error))
    return updates


def _keep_what_is_not_stored(seen: list[Seen], settled: list[Seen]) -> None:
    by_id = {m.id: m for m in seen if m.id}
    last = settled[-1]
    matched = [m for m in seen if not m.id or m.id in {r.id for r in settled}]
    # Without ids only the whole can be compared; what is more than stored belongs to the last message.
    last.text.append(_rest(matched, settled, "text"))
    for mine in settled:
        theirs = by_id.pop(mine.id, None)
        if theirs is not None:
            mine.thinking = _longer(theirs.thinking, mine.thinking)
            if mine is last:  # The others are complete: what follows them is not theirs.
                mine.text = _longer(theirs.text, mine.text)
    last.thinking.append(_rest(matched, settled, "thinking"))
    settled += by_id.values()


def _longer(shown: list[str], stored: list[str]) -> list[str]:
    """The pieces shown, if they continue what is stored."""
    a, b = "".join(shown), "".join(stored)
    return [a] if a.startswith(b) else [b]


def _rest(seen: list[Seen], settled: list[Seen], part: Literal["text", "thinking"]) -> str:
    shown = "".join(t for m in seen for t in getattr(m, part))
    stored = "".join(t for m in settled for t in getattr(m, part))
    return shown[len(stored) :] if shown.startswith(stored) else ""
