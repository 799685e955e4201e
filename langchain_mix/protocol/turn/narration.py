"""What has been told of a turn: messages, text, reasoning and tool calls, each once.

Owns: the messages as the stream shows them, and the updates that tell of them.
Refuses to know: whether a turn has ended (`stream.py`) and whose events these are (`state.py`).
"""

from __future__ import annotations

import json

from langchain_mix.protocol import events as ev
from langchain_mix.protocol.tool_outcomes import outcome_of_event
from langchain_mix.protocol.turn.reconcile import Seen, settle
from langchain_mix.protocol.turn.transcript import StoredRow
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
    ToolRunning,
    Update,
)


class Narration:
    """The messages of a turn as far as they were told."""

    def __init__(self) -> None:
        """Starts with nothing told."""
        self._seen: list[Seen] = []
        self._current: Seen | None = None
        self.tools_run = False  # A tool runs when its message is complete: the next piece begins another one.
        self._nested: dict[str, ToolCall] = {}
        self.gap = False

    def knows(self, call_id: str) -> bool:
        """Whether a tool call was told."""
        return self._find(call_id) is not None

    @property
    def ids(self) -> set[str]:
        """The messages told so far, where the server names them."""
        return {m.id for m in self._seen if m.id}

    def messages(self) -> list[Message]:
        """The messages as far as they are known."""
        return [m.message() for m in self._seen]

    def thinking(self, data: ev.SSEThinkingEventData) -> ThinkingDelta:
        """Tells a piece of reasoning."""
        message = self._message(data.assistant_message_id)
        message.thinking.append(data.content)
        return ThinkingDelta(message.id, data.content)

    def text(self, data: ev.SSEContentEventData) -> TextDelta:
        """Tells a piece of text."""
        message = self._message(data.assistant_message_id)
        message.text.append(data.content)
        return TextDelta(message.id, data.content)

    def tool(self, data: ev.AgentEventData) -> list[Update]:
        """Tells what an event says of a tool call being written."""
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
        """Tells that a tool runs; None if that was told before."""
        self.tools_run = self.tools_run or not data.parent_tool_call_id
        call = self._call(data.tool_call_id, data)
        if call.status != "called":
            return None
        call.status, call.name = "running", call.name or data.tool_name
        return ToolRunning(call.id, call.name, data.progress)

    def finished(self, data: ev.SSEToolExecutionCompleteEventData) -> ToolFinished | None:
        """Tells that a tool has run; None if that was told before."""
        self.tools_run = self.tools_run or not data.parent_tool_call_id
        call = self._call(data.tool_call_id, data)
        if call.status in {"succeeded", "failed"}:
            return None
        call.status, call.progress = outcome_of_event(data.progress, success=data.success), data.progress
        call.name = call.name or data.tool_name
        return ToolFinished(call.id, call.name, call.status == "succeeded", data.progress)

    def answer(self, text: str) -> None:
        """Takes the answer of a server command, which comes whole and leaves no rows."""
        self._seen = [Seen(text=[text])]

    def settle(self, rows: list[StoredRow], *, whole: bool = False) -> list[Update]:
        """Tells what is stored and was not told. See `reconcile.settle`."""
        updates, self._seen = settle(self._seen, rows, whole=whole)
        self._current = self._seen[-1] if self._seen else None
        self.gap = self.gap or any(isinstance(u, TextRestated) for u in updates)
        return updates

    def agrees(self, rows: list[StoredRow]) -> bool:
        """Whether the text told so far is the beginning of what these rows hold, or goes on where they end."""
        shown, stored = "".join(t for m in self._seen for t in m.text), "".join(r.text for r in rows)
        return stored.startswith(shown) or shown.startswith(stored)

    def disown(self, rows: list[StoredRow]) -> None:
        """Forgets the tool calls of messages that proved to be another turn's."""
        calls = {c.id for row in rows for c in row.tool_calls}
        for message in self._seen:
            message.calls = {i: c for i, c in message.calls.items() if i not in calls}

    def settle_last(self, data: ev.SSECompleteEventData, *, stored: bool = False) -> list[Update]:
        """Tells what the final event has of the last message and was not told.

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
            last = Seen()
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

    def _message(self, message_id: str | None) -> Seen:
        current = self._current
        if current is not None and (current.id == message_id if message_id else not self.tools_run):
            return current
        found = next((m for m in self._seen if message_id and m.id == message_id), None)
        if found is None:
            found = Seen(message_id or "")
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
