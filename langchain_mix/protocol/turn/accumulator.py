"""Gathers the messages of a turn from its events, and restores from the stored ones what the stream missed.

Every text is emitted once.

Owns: the messages as the stream shows them, the updates that report them, and what is missing where the stored messages
say more. Refuses to know: whether a turn has ended (`stream.py`) and whose events these are (`state.py`).

Text is compared over the whole turn, message after message: servers before Mix 0.7 do not say where a message begins.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from langchain_mix.protocol import events as ev
from langchain_mix.protocol.tool_calls import outcome_of_event, outcome_of_result
from langchain_mix.protocol.turn.stored_rows import StoredRow
from langchain_mix.protocol.turn.updates import (
    Message,
    TextDelta,
    TextRestated,
    ThinkingDelta,
    ToolCall,
    ToolCallDelta,
    ToolCalled,
    ToolCallStarted,
    ToolFinished,
    ToolOutput,
    ToolRunning,
    Update,
)


@dataclass(slots=True)
class SeenMessage:
    """One assistant message as far as the stream has shown it.

    Attributes:
        id: Its id, or empty where the stream does not name it.
        text: The pieces of text shown.
        thinking: The pieces of reasoning shown.
        calls: Its tool calls by id.
    """

    id: str = ""
    text: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    calls: dict[str, ToolCall] = field(default_factory=dict)

    def message(self) -> Message:
        """Returns the message as far as it is known."""
        return Message(
            id=self.id, text="".join(self.text), thinking="".join(self.thinking), tool_calls=list(self.calls.values())
        )


class MessageAccumulator:
    """The messages of a turn as far as they were emitted."""

    def __init__(self) -> None:
        """Starts without messages."""
        self._seen: list[SeenMessage] = []
        self._current: SeenMessage | None = None
        self.tools_run = False  # A tool runs when its message is complete: the next piece begins another one.
        self._nested: dict[str, ToolCall] = {}
        self.gap = False

    def knows(self, call_id: str) -> bool:
        """Returns True if a tool call was emitted."""
        return self._find(call_id) is not None

    @property
    def ids(self) -> set[str]:
        """The messages so far, where the server names them."""
        return {m.id for m in self._seen if m.id}

    def messages(self) -> list[Message]:
        """Returns the messages as far as they are known."""
        return [m.message() for m in self._seen]

    def thinking(self, data: ev.SSEThinkingEventData) -> ThinkingDelta:
        """Adds a piece of reasoning."""
        message = self._message(data.assistant_message_id)
        message.thinking.append(data.content)
        return ThinkingDelta(message.id, data.content)

    def text(self, data: ev.SSEContentEventData) -> TextDelta:
        """Adds a piece of text."""
        message = self._message(data.assistant_message_id)
        message.text.append(data.content)
        return TextDelta(message.id, data.content)

    def tool(self, data: ev.AgentEventData) -> list[Update]:
        """Adds an event of a tool call that is being written."""
        if isinstance(data, ev.SSEToolParameterDeltaEventData):
            # Mix 0.8 sends plain fragments, and one like `"path"` only looks quoted.
            plain = data.type == "tool_use_parameter_delta"
            return [ToolCallDelta(data.tool_call_id, data.input if plain else plain_fragment(data.input))]
        if isinstance(data, ev.SSEToolUseStartEventData):
            return self._begin(data.id, data.name, data)
        if isinstance(data, ev.SSEToolUseParameterStreamingCompleteEventData):
            return self._begin(data.id, data.name, data) + self._called(data.id, data.input)
        if isinstance(data, ev.SSEToolEventData):
            # Mix up to 0.7 sends this snapshot again and again; `completed` means that the arguments are.
            begun = self._begin(data.id, data.name, data)
            return begun + self._called(data.id, data.input) if data.status == "completed" else begun
        return []

    def running(self, data: ev.SSEToolExecutionStartEventData) -> ToolRunning | None:
        """Marks a tool as running; None if that was emitted before."""
        self.tools_run = self.tools_run or not data.parent_tool_call_id
        call = self._call(data.tool_call_id, data)
        if call.status != "called":
            return None
        call.status, call.name = "running", call.name or data.tool_name
        return ToolRunning(call.id, call.name, data.progress)

    def finished(self, data: ev.SSEToolExecutionCompleteEventData) -> ToolFinished | None:
        """Marks a tool as finished; None if that was emitted before."""
        self.tools_run = self.tools_run or not data.parent_tool_call_id
        call = self._call(data.tool_call_id, data)
        if call.status in {"succeeded", "failed"}:
            return None
        call.status, call.progress = outcome_of_event(data.progress, success=data.success), data.progress
        call.name = call.name or data.tool_name
        return ToolFinished(call.id, call.name, call.status == "succeeded", data.progress)

    def answer(self, text: str) -> None:
        """Takes the answer of a server command, which comes whole and leaves no rows."""
        self._seen = [SeenMessage(text=[text])]

    def reconcile(self, rows: list[StoredRow], *, whole: bool = False) -> list[Update]:
        """Returns what is stored and was not emitted, and takes it over; see the function of the same name."""
        updates, self._seen = reconcile(self._seen, rows, whole=whole)
        self._current = self._seen[-1] if self._seen else None
        self.gap = self.gap or any(isinstance(u, TextRestated) for u in updates)
        return updates

    def agrees_with(self, rows: list[StoredRow]) -> bool:
        """Returns True if the text so far is the beginning of what these rows hold, or continues where they end."""
        shown, stored = "".join(t for m in self._seen for t in m.text), "".join(r.text for r in rows)
        return stored.startswith(shown) or shown.startswith(stored)

    def drop_foreign_calls(self, rows: list[StoredRow]) -> None:
        """Drops the tool calls of messages that proved to be another turn's."""
        calls = {c.id for row in rows for c in row.tool_calls}
        for message in self._seen:
            message.calls = {i: c for i, c in message.calls.items() if i not in calls}

    def reconcile_last(self, data: ev.SSECompleteEventData, *, stored: bool = False) -> list[Update]:
        """Returns what the final event has of the last message and was not emitted.

        Args:
            data: The event.
            stored: The message was read as it is stored; the event, which may have suffered on the way, can add to it
                but not change it.
        """
        if not data.content:
            return []
        last = next((m for m in self._seen if m.id and m.id == data.message_id), None)
        if last is None and self._seen and not (data.message_id and self._seen[-1].id):
            # One of the two has no name, so that they may be the same.
            newest = self._seen[-1]
            last = newest if not self.tools_run or "".join(newest.text) == data.content else None
        if last is None:
            last = SeenMessage()
            self._seen.append(last)
        last.id = last.id or data.message_id
        shown = "".join(last.text)
        if shown.startswith(data.content) or shown.strip() == data.content:
            return []
        if data.content.startswith(shown):
            last.text = [data.content]
            return [TextDelta(last.id, data.content[len(shown) :])]
        if stored:
            return []
        last.text = [data.content]
        self.gap = True
        return [TextRestated(last.id, data.content)]

    def _message(self, message_id: str | None) -> SeenMessage:
        current = self._current
        if current is not None and (current.id == message_id if message_id else not self.tools_run):
            return current
        found = next((m for m in self._seen if message_id and m.id == message_id), None)
        if found is None:
            found = SeenMessage(message_id or "")
            self._seen.append(found)
        self._current, self.tools_run = found, False
        return found

    def _find(self, call_id: str) -> ToolCall | None:
        return self._nested.get(call_id) or next((m.calls[call_id] for m in self._seen if call_id in m.calls), None)

    def _call(self, call_id: str, data: ev.AgentEventData) -> ToolCall:
        call = self._find(call_id)
        if call is None:
            call = ToolCall(id=call_id)
            if data.parent_tool_call_id:
                self._nested[call_id] = call
            else:
                (self._current or self._message(data.assistant_message_id)).calls[call_id] = call
        return call

    def _begin(self, call_id: str, name: str, data: ev.AgentEventData) -> list[Update]:
        call = self._find(call_id)
        if call is not None:
            call.name = call.name or name
            return []
        call = ToolCall(id=call_id, name=name)
        message_id = ""
        if data.parent_tool_call_id:
            self._nested[call_id] = call
        else:
            message = self._message(data.assistant_message_id)
            message.calls[call_id], message_id = call, message.id
        return [ToolCallStarted(call_id, name, message_id)]

    def _called(self, call_id: str, arguments: str) -> list[Update]:
        call = self._find(call_id)
        if call is None or call.input:
            return []
        call.input = arguments or "{}"
        owner = next((m.id for m in self._seen if call_id in m.calls), "")
        return [ToolCalled(call_id, call.name, call.input, owner)]


def plain_fragment(fragment: str) -> str:
    """Reads a fragment of arguments; Mix 0.6.5 and 0.7 send it still quoted as a JSON string."""
    if len(fragment) > 1 and fragment[0] == fragment[-1] == '"':
        try:
            unquoted = json.loads(fragment)
        except ValueError:
            return fragment
        return unquoted if isinstance(unquoted, str) else fragment
    return fragment


def reconcile(
    seen: list[SeenMessage], rows: list[StoredRow], *, whole: bool = False
) -> tuple[list[Update], list[SeenMessage]]:
    """Completes the messages that were shown with what is stored.

    Args:
        seen: The messages as shown so far.
        rows: The turn's assistant rows, as far as they are complete.
        whole: The turn has ended well and these are all its rows: what was shown beyond them was never said.

    Returns:
        The missing updates, and the messages as they are now known. Unless the rows are the whole, text that was shown
        but is not stored (a cancelled reply, say) is kept.
    """
    if not rows:
        return [], seen
    updates = _thoughts(seen, rows) + _texts(seen, rows, whole=whole)
    calls = {c.id: c for m in seen for c in m.calls.values()}
    merged: list[SeenMessage] = []
    for row in rows:
        updates += _tools(calls, row)
        merged.append(SeenMessage(row.id, [row.text], [row.thinking], {c.id: calls[c.id] for c in row.tool_calls}))
    if not whole:
        _keep_unstored(seen, merged)
    kept = {i for m in merged for i in m.calls}
    merged[-1].calls.update({i: c for i, c in calls.items() if i not in kept})
    return updates, merged


def _texts(seen: list[SeenMessage], rows: list[StoredRow], *, whole: bool) -> list[Update]:
    shown = "".join(t for m in seen for t in m.text)
    stored = "".join(r.text for r in rows)
    if stored in {shown, shown.strip()} or (shown.startswith(stored) and not whole):
        return []
    if not stored.startswith(shown):
        return _restated(seen, rows)
    return [TextDelta(row_id, piece) for row_id, piece in _beyond(shown, ((r.id, r.text) for r in rows))]


def _restated(seen: list[SeenMessage], rows: list[StoredRow]) -> list[Update]:
    """Restates each message that was shown wrongly or not at all: text is missing in the middle."""
    by_id = {m.id: "".join(m.text) for m in seen}
    restated: list[Update] = [TextRestated(r.id, r.text) for r in rows if r.text and by_id.get(r.id) != r.text]
    # All of it was shown, but among text that is not this turn's, or in another order.
    return restated or [TextRestated(rows[-1].id, rows[-1].text)]


def _thoughts(seen: list[SeenMessage], rows: list[StoredRow]) -> list[Update]:
    # Mix stores only the first reasoning part of a message, so less may be stored than was shown.
    shown = "".join(t for m in seen for t in m.thinking)
    stored = "".join(r.thinking for r in rows)
    if not stored.startswith(shown):
        return []
    return [ThinkingDelta(row_id, piece) for row_id, piece in _beyond(shown, ((r.id, r.thinking) for r in rows))]


def _beyond(shown: str, stored: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yields what rows hold beyond what was shown, which is the beginning of all of them; each with its row's id."""
    ahead = len(shown)
    for row_id, part in stored:
        if missing := part[max(ahead, 0) :]:
            yield row_id, missing
        ahead -= len(part)


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
            call.status = "failed"  # Mix: the event of a tool that returned an error says that it has run.
        if stored.output is not None and call.output is None:
            call.output, call.is_error = stored.output, stored.is_error
            updates.append(ToolOutput(call.id, call.output, call.is_error))
    return updates


def _keep_unstored(seen: list[SeenMessage], merged: list[SeenMessage]) -> None:
    by_id = {m.id: m for m in seen if m.id}
    last = merged[-1]
    matched = [m for m in seen if not m.id or m.id in {r.id for r in merged}]
    # Without ids only the whole can be compared; what is more than stored belongs to the last message.
    last.text.append(_rest(matched, merged, "text"))
    for mine in merged:
        theirs = by_id.pop(mine.id, None)
        if theirs is not None:
            mine.thinking = _longer(theirs.thinking, mine.thinking)
            if mine is last:  # The others are complete: what follows them is not theirs.
                mine.text = _longer(theirs.text, mine.text)
    last.thinking.append(_rest(matched, merged, "thinking"))
    merged += by_id.values()


def _longer(shown: list[str], stored: list[str]) -> list[str]:
    """Returns the pieces shown if they continue what is stored, else what is stored."""
    a, b = "".join(shown), "".join(stored)
    return [a] if a.startswith(b) else [b]


def _rest(seen: list[SeenMessage], merged: list[SeenMessage], part: Literal["text", "thinking"]) -> str:
    shown = "".join(t for m in seen for t in getattr(m, part))
    stored = "".join(t for m in merged for t in getattr(m, part))
    return shown[len(stored) :] if shown.startswith(stored) else ""
