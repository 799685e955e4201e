"""What a turn tells (`Mix.turn`), read into a view.

Owns: how updates become parts, those of sub-agents inside the tool call that runs them.
Refuses to know: messages of LangChain (`messages.py`).
"""

from __future__ import annotations

from typing import Final

from langchain_mix.chat_models.custom_events import custom_event_of
from langchain_mix.chat_models.shown_media import is_show, shown_blocks
from langchain_mix.notebook.events import read_event
from langchain_mix.notebook.shown import shown_part
from langchain_mix.notebook.view import Part, View, Words
from langchain_mix.protocol.tool_outcomes import outcome_of_result
from langchain_mix.protocol.turn.updates import (
    Accepted,
    Message,
    SubagentUpdate,
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
    TurnResult,
    Update,
)

_TURN: Final = "turn"
"""The section of a turn that is told by updates."""
_TOOL_UPDATES: Final = (ToolCallStarted, ToolCallDelta, ToolCalled, ToolRunning, ToolFinished, ToolOutput)


def read_update(view: View, update: Update) -> None:
    """Shows an update.

    Args:
        view: Where.
        update: What the turn tells.
    """
    _read(view, view.section(_TURN).parts, update, depth=0)


def read_result(view: View, result: TurnResult) -> None:
    """Shows what is known of a turn, unless its updates have shown it already.

    Args:
        view: Where.
        result: The turn.
    """
    section = view.section(_TURN)
    if not section.parts:
        for message in result.messages:
            _read_message(view, section.parts, message)
    view.session_id, view.model = result.session_id, result.model or view.model
    if result.usage is not None:
        section.tokens = (result.usage.input_tokens, result.usage.output_tokens)
        section.cost = result.usage.cost
    section.complete = True


def _read_message(view: View, parts: list[Part], message: Message) -> None:
    if message.thinking:
        view.add(parts, Words(thinking=True, pieces=[message.thinking]))
    if message.text:
        view.add(parts, Words(pieces=[message.text]))
    for call in message.tool_calls:
        read_call(view, parts, call)


def read_call(view: View, parts: list[Part], call: ToolCall) -> None:
    """Shows a tool call that is known as a whole, and what it has shown.

    Args:
        view: Where.
        parts: What it belongs to.
        call: The call.
    """
    tool = view.tool(parts, call.id)
    tool.name, tool.arguments[:] = call.name, [call.input]
    tool.status, tool.progress, tool.output = call.status, call.progress, call.output
    if call.status == "succeeded" and is_show(call.name):
        _show(view, parts, call.input, depth=0)


def _read(view: View, parts: list[Part], update: Update, depth: int) -> None:
    match update:
        case ThinkingDelta():
            _say(view, parts, update.text, depth, thinking=True, message_id=update.message_id)
        case TextDelta():
            _say(view, parts, update.text, depth, thinking=False, message_id=update.message_id)
        case TextRestated():
            _restate(view, parts, update)
        case SubagentUpdate():
            tool = view.tool(parts, update.parent_id, depth=depth)
            _read(view, tool.parts, update.update, depth + 1)
        case Accepted():
            return
        case _ if isinstance(update, _TOOL_UPDATES):
            _read_tool(view, parts, update, depth)
        case _:
            event = custom_event_of(update)
            if event is not None:
                read_event(view, event.name.removeprefix("mix_"), event.data, parts=parts, depth=depth)


def _say(view: View, parts: list[Part], piece: str, depth: int, *, thinking: bool, message_id: str) -> None:
    last = parts[-1] if parts else None
    same = isinstance(last, Words) and last.thinking is thinking and last.message_id == message_id
    words = last if same and isinstance(last, Words) else Words(thinking=thinking, depth=depth, message_id=message_id)
    if words is not last:
        view.add(parts, words)
    view.say(words, piece)


def _restate(view: View, parts: list[Part], update: TextRestated) -> None:
    """Puts the whole text where the gap is; what had been told of it goes."""
    said = [part for part in parts if isinstance(part, Words) and not part.thinking]
    told = [words for words in said if words.message_id in {update.message_id, ""}]
    if not told:
        told = [Words(message_id=update.message_id)]
        view.add(parts, told[0])
    for words in told:
        words.restate("" if words is not told[-1] else update.text)
        view.touch(words)


def _read_tool(view: View, parts: list[Part], update: Update, depth: int) -> None:
    match update:
        case ToolCallStarted():
            view.tool(parts, update.id, depth=depth).name = update.name
        case ToolCallDelta():
            view.tool(parts, update.id, depth=depth).arguments.append(update.fragment)
        case ToolCalled():
            tool = view.tool(parts, update.id, depth=depth)
            tool.name, tool.arguments[:] = update.name or tool.name, [update.input]
            tool.status = "called" if tool.status == "writing" else tool.status
        case ToolRunning():
            tool = view.tool(parts, update.id, depth=depth)
            tool.name, tool.status, tool.progress = tool.name or update.name, "running", update.progress
        case ToolFinished():
            _finish_tool(view, parts, update, depth)
        case ToolOutput():
            tool = view.tool(parts, update.id, depth=depth)
            tool.output = update.output
            if update.is_error or not tool.over:
                tool.status = outcome_of_result(update.output, is_error=update.is_error) or tool.status
        case _:
            return


def _finish_tool(view: View, parts: list[Part], update: ToolFinished, depth: int) -> None:
    tool = view.tool(parts, update.id, depth=depth)
    tool.name, tool.progress = tool.name or update.name, update.progress
    tool.status = "succeeded" if update.success else "failed"
    if update.success and is_show(tool.name):
        _show(view, parts, tool.input, depth)


def _show(view: View, parts: list[Part], arguments: str, depth: int) -> None:
    for block in shown_blocks(arguments):
        part = shown_part(block)
        part.depth = depth
        view.add(parts, part)
