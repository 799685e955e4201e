"""Reads the updates of a turn (`Mix.turn`) and the custom events of ChatMix into a view.

Owns: how updates become parts, those of sub-agents inside the tool call that runs them; the wording of permissions,
notifications, progress and interrupts. Refuses to know: messages of LangChain (`items.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeGuard

from langchain_mix.chat_models.callbacks import custom_event_of
from langchain_mix.chat_models.content_blocks import is_show, shown_blocks
from langchain_mix.notebook.media import shown_part
from langchain_mix.notebook.view import Part, View, Words, as_text
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
"""The section of a turn that is read from updates."""
_TOOL_UPDATES: Final = (ToolCallStarted, ToolCallDelta, ToolCalled, ToolRunning, ToolFinished, ToolOutput)


def read_update(view: View, update: Update) -> None:
    """Shows an update of a turn."""
    _read(view, view.section(_TURN).parts, update, depth=0)


def read_result(view: View, result: TurnResult) -> None:
    """Shows what is known of a turn, unless its updates have shown it already."""
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
    """Shows a tool call that is known as a whole, and what it has shown."""
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
    """Replaces text that has a gap by the whole text."""
    said = [part for part in parts if isinstance(part, Words) and not part.thinking]
    existing = [words for words in said if words.message_id in {update.message_id, ""}]
    if not existing:
        existing = [Words(message_id=update.message_id)]
        view.add(parts, existing[0])
    for words in existing:
        words.restate("" if words is not existing[-1] else update.text)
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


_PROGRESS: Final[Mapping[str, str]] = {
    "rate_limit": "The model provider limits the rate; the server tries again.",
    "reopened": "The event stream broke and was opened again.",
    "foreign_turn": "Another client runs a turn in this session.",
    "summarize": "The server summarises the session.",
    "subagent_error": "A sub-agent failed.",
}


def read_event(
    view: View, event: str, data: Mapping[str, Any], *, parts: list[Part] | None = None, depth: int = 0
) -> None:
    """Shows a custom event of ChatMix, or the corresponding update.

    Without `parts` it belongs to the sub-agent that its data name, or to the section that is talking.
    """
    task = view.tools.get(str(data.get("parent_tool_call_id") or ""))
    if parts is None and task is not None:
        parts, depth = task.parts, task.depth + 1
        view.touch(task)
    kind, text = _words(event, data)
    view.notice(kind, text, parts=parts, depth=depth)


def _words(event: str, data: Mapping[str, Any]) -> tuple[str, str]:
    match event:
        case "permission":
            wanted = " ".join(str(data[key]) for key in ("action", "path") if data.get(key))
            about = data.get("description") or wanted
            return "permission asked", f"{data.get('tool_name', '')}: {about}"
        case "notification":
            said = [str(data[key]) for key in ("title", "message") if data.get(key)]
            choices = data.get("choices")
            return "notification", ": ".join(said) + (f" ({' / '.join(map(str, choices))})" if choices else "")
        case "progress":
            kind = str(data.get("kind") or "progress")
            detail = data.get("detail")
            words = as_text(detail) if detail else ""
            return kind.replace("_", " "), " ".join(filter(None, (_PROGRESS.get(kind, ""), words)))
        case _:
            return event, as_text({key: value for key, value in data.items() if key != "event"})


def read_interrupts(view: View, interrupts: Any) -> None:
    """Shows that a graph has paused and asks something, as LangGraph's `Interrupt`s say."""
    for interrupt in interrupts if isinstance(interrupts, list | tuple) else (interrupts,):
        name = str(getattr(interrupt, "id", ""))
        if name and name in view.interrupts:
            continue  # Shown by another stream mode already.
        view.interrupts.add(name)
        view.notice("interrupt", _asked(getattr(interrupt, "value", interrupt)))
    view.status = "paused"


def _asked(value: Any) -> str:
    """Returns the question of an interrupt for people, without what only programs need."""
    if not isinstance(value, Mapping):
        return as_text(value)
    requests = value.get("action_requests")
    if not _are_mappings(requests):
        return _listed(value)
    decisions = _decisions(value.get("review_configs"))
    return "\n".join(_request(request, decisions) for request in requests)


def _request(request: Mapping[str, Any], decisions: Mapping[str, Sequence[Any]]) -> str:
    """A request in the form of LangChain's human-in-the-loop middleware."""
    name, about, args = (request.get(key) or "" for key in ("name", "description", "args"))
    lines = [f"{name}: {as_text(about)}" if about else str(name)]
    if args:
        lines.append(_listed(args) if isinstance(args, Mapping) else as_text(args))
    if allowed := decisions.get(str(name)):
        lines.append(f"decisions: {' / '.join(map(str, allowed))}")
    return "\n".join(lines)


def _decisions(configs: Any) -> Mapping[str, Sequence[Any]]:
    if not _are_mappings(configs):
        return {}
    allowed = {str(config.get("action_name")): config.get("allowed_decisions") for config in configs}
    return {name: found for name, found in allowed.items() if isinstance(found, list | tuple)}


def _are_mappings(value: Any) -> TypeGuard[Sequence[Mapping[str, Any]]]:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(one, Mapping) for one in value)


def _listed(values: Mapping[Any, Any]) -> str:
    """A line for each value; texts of several lines begin on one of their own."""
    return "\n".join(f"{key}:{_apart(as_text(value))}" for key, value in values.items())


def _apart(text: str) -> str:
    return f"\n{text}" if "\n" in text else f" {text}"
