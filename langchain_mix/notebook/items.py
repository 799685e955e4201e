"""Items of a stream, whatever streamed them, read into a view.

Owns: distinguishing chunks, messages, updates of a turn, and the tuples and dictionaries of LangGraph's stream modes,
with and without several modes, sub-graphs and `version="v2"`; which block of a message is which part, and that no text
is shown twice when a message comes in chunks and again as a whole; how updates become parts, those of sub-agents inside
the tool call that runs them; the wording of permissions, notifications, progress and interrupts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeGuard, get_args

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage

from langchain_mix.chat_models.callbacks import custom_event_of
from langchain_mix.chat_models.content_blocks import is_show, shown_blocks
from langchain_mix.notebook.media import shown_part
from langchain_mix.notebook.view import Part, Section, Tool, View, Words, as_text
from langchain_mix.pointer import KEY, read_pointer
from langchain_mix.protocol.tool_calls import outcome_of_result
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

_UPDATES: Final = get_args(Update)
_MODES: Final = frozenset({"messages", "updates", "values", "custom", "tools", "checkpoints", "tasks", "debug"})
_INTERRUPT: Final = "__interrupt__"


def read_item(view: View, item: Any) -> None:
    """Shows an item of a stream, or what a call gave. Unknown items are shown as they are."""
    if isinstance(item, BaseMessage):
        read_message(view, item)
    elif isinstance(item, _UPDATES):
        read_update(view, item)
    elif isinstance(item, TurnResult):
        read_result(view, item)
    elif isinstance(item, str):
        read_message(view, AIMessageChunk(content=item))
    elif isinstance(item, tuple):
        _read_tuple(view, item)
    elif isinstance(item, Mapping):
        _read_mapping(view, item)
    elif isinstance(item, list):
        for part in item:
            read_item(view, part)
    elif item is not None:
        view.notice(type(item).__name__, as_text(item))


def _read_tuple(view: View, item: tuple[Any, ...]) -> None:
    """`(message, metadata)`, `(mode, data)`, `(namespace, data)` or `(namespace, mode, data)`."""
    match item:
        case (BaseMessage(), Mapping()):
            _read_mode(view, "messages", item, None)
        case (tuple() as namespace, str() as mode, data) if mode in _MODES:
            _read_mode(view, mode, data, namespace)
        case (str() as mode, data) if mode in _MODES:
            _read_mode(view, mode, data, None)
        case (tuple() as namespace, (BaseMessage(), Mapping()) as data):
            _read_mode(view, "messages", data, namespace)
        case (tuple() as namespace, Mapping() as data):
            _read_mapping(view, data, namespace)
        case _:
            view.notice("item", as_text(item))


def _read_mapping(view: View, item: Mapping[Any, Any], namespace: tuple[str, ...] | None = None) -> None:
    """A part of `version="v2"`, a state, the updates of nodes, or what a node wrote with its stream writer."""
    if item.get("type") in _MODES and "data" in item:
        if item.get("interrupts"):
            read_interrupts(view, item["interrupts"])
        _read_mode(view, item["type"], item["data"], item.get("ns") or ())
    elif isinstance(item.get("mix"), Mapping) and "event" in item["mix"]:
        _read_mode(view, "custom", item, namespace)
    elif item.get("event") in {"tool-started", "tool-finished", "tool-error", "tool-output-delta"}:
        _read_mode(view, "tools", item, namespace)
    elif isinstance(item.get("messages"), list):
        _read_mode(view, "values", item, namespace)
    elif item and all(value is None or isinstance(value, Mapping | list | tuple) for value in item.values()):
        _read_mode(view, "updates", item, namespace)
    else:
        rest = {key: value for key, value in item.items() if not isinstance(value, BaseMessage)}
        for key, message in item.items():
            if isinstance(message, BaseMessage):
                read_message(view, message, label=str(key))
        if rest:
            _read_mode(view, "custom", rest, namespace)


def _read_mode(view: View, mode: str, data: Any, namespace: tuple[str, ...] | None) -> None:
    match mode:
        case "messages":
            message, metadata = data
            label, depth = _place(metadata, namespace)
            read_message(view, message, label=label, depth=depth)
        case "values":
            _read_values(view, data, len(namespace or ()))
        case "updates":
            _read_updates(view, data, namespace)
        case "custom":
            _read_custom(view, data)
        case "tools":
            _read_tool_event(view, data)
        case _:
            return  # Checkpoints, tasks and debug describe the graph's machinery, not its messages.


def _place(metadata: Mapping[str, Any], namespace: tuple[str, ...] | None) -> tuple[str, int]:
    """The node and how many graphs are around its graph."""
    # Without sub-graphs in the stream their messages still come, and only the checkpoint's namespace shows it.
    inside = namespace or str(metadata.get("langgraph_checkpoint_ns") or "").split("|")[:-1]
    names = [*(name.split(":")[0] for name in inside), str(metadata.get("langgraph_node") or "")]
    return " / ".join(name for name in names if name), len(inside)


def _read_values(view: View, state: Any, depth: int) -> None:
    first = not view.sections
    _read_state(view, state, "", depth)
    last = next(reversed(view.sections.values()), None)
    if first and last is not None and last.role == "user":
        # There is no reply yet: this is the state that the run begins with.
        for section in view.sections.values():
            section.earlier = True


def _read_state(view: View, state: Any, label: str, depth: int) -> None:
    if not isinstance(state, Mapping):
        state = {"messages": getattr(state, "messages", None)}
    if state.get(_INTERRUPT):
        read_interrupts(view, state[_INTERRUPT])
    messages = state.get("messages")
    for message in messages if isinstance(messages, list | tuple) else (messages,):
        if isinstance(message, BaseMessage) and message.type != "remove":
            read_message(view, message, label=label, depth=depth)


def _read_updates(view: View, data: Mapping[str, Any], namespace: tuple[str, ...] | None) -> None:
    for node, update in data.items():
        if node == _INTERRUPT:
            read_interrupts(view, update)
            continue
        label, depth = _place({"langgraph_node": node}, namespace or ())
        for state in update if isinstance(update, list | tuple) else (update,):
            if state is not None:
                _read_state(view, state, label, depth)


def _read_custom(view: View, data: Any) -> None:
    event = data.get("mix") if isinstance(data, Mapping) else None
    if isinstance(event, Mapping) and "event" in event:
        read_event(view, str(event["event"]), event)
    else:
        view.notice("custom", as_text(data))


def _read_tool_event(view: View, data: Any) -> None:
    """Reads a tool event of LangGraph; a reply adds to it what it has of the same call."""
    call_id = str(data.get("tool_call_id") or "")
    if not call_id:
        return
    known = view.tools.get(call_id)
    last = next(reversed(view.sections.values()), None) or view.section(view.fresh_key())
    tool = known or view.tool(last.parts, call_id)
    tool.name = tool.name or str(data.get("tool_name") or "tool")
    if not tool.arguments and data.get("input"):
        tool.arguments[:] = [as_text(data["input"])]
    if data["event"] == "tool-started" and not tool.over:
        tool.status = "running"
    elif data["event"] == "tool-finished":
        # ChatMix ends its runs with the server's words; what the tool gave comes in the reply.
        tool.status, tool.output = "succeeded", _output(data.get("output")) if tool.output is None else tool.output
    elif data["event"] == "tool-error":
        tool.status, tool.output = "failed", as_text(data.get("message") or data.get("error") or "")
    view.touch(tool)


def _output(output: Any) -> str:
    return output.text or as_text(output.content) if isinstance(output, BaseMessage) else as_text(output)


# Messages

_ROLES: Final[dict[str, Literal["assistant", "user", "system", "tool"]]] = {
    "human": "user",
    "system": "system",
    "ai": "assistant",
    "tool": "tool",
}


def read_message(view: View, message: BaseMessage, *, label: str = "", depth: int = 0) -> None:
    """Shows a message or a chunk of one. `label` names its part of a graph, which has `depth` graphs around it."""
    if isinstance(message, ToolMessage):
        _read_tool_message(view, message, label)
        return
    key = message.id or _unnamed(view, message, label)
    known = view.sections.get(key)
    role = _ROLES.get(message.type.removesuffix("MessageChunk").lower(), "assistant")
    section = view.section(key, role=role, label=label, depth=depth)
    section.depth = min(section.depth, depth)  # A graph gives on what a graph inside of it said.
    if isinstance(message, AIMessageChunk):
        section.chunks.append(message)
        _read_blocks(view, section, message)
        section.complete = message.chunk_position == "last"
    else:
        section.message = message
        if known is None or not (section.complete or _same_words(section, message)):
            _restart(view, section)
            _read_blocks(view, section, message)
        section.complete = True
    if isinstance(message, AIMessage):
        _read_metadata(view, section, message)
    if section.complete:
        _called(view, section)


def _unnamed(view: View, message: BaseMessage, label: str) -> str:
    """The section of a message without an id: a chunk goes on with the last one, if it may be of the same message."""
    last = next(reversed(view.sections), "")
    if isinstance(message, AIMessageChunk) and last.startswith("unnamed-"):
        section = view.sections[last]
        if section.chunks and not section.complete and section.label == label:
            return last
    return view.fresh_key()


def _same_words(section: Section, message: BaseMessage) -> bool:
    """True when the chunks contained all of a message that is now here as a whole."""
    shown = "".join(part.text for part in section.parts if isinstance(part, Words) and not part.thinking)
    return bool(section.chunks) and shown == message.text


def _restart(view: View, section: Section) -> None:
    """Drops the chunks of a message that is now here as a whole, but keeps what its tools did meanwhile."""
    for part in section.parts:
        if isinstance(part, Tool) and not part.over:
            view.tools.pop(part.id, None)
    done = {part.id for part in section.parts if isinstance(part, Tool) and part.over}
    section.parts[:] = [part for part in section.parts if isinstance(part, Tool) and part.id in done]
    section.places.clear()


def _called(view: View, section: Section) -> None:
    """Notes that no more arguments will come."""
    for part in section.parts:
        if isinstance(part, Tool) and part.status == "writing":
            part.status = "called"
            view.touch(part)


def _read_tool_message(view: View, message: ToolMessage, label: str) -> None:
    tool = view.tools.get(message.tool_call_id)
    if tool is None:
        section = view.section(message.id or view.fresh_key(), role="tool", label=label)
        tool = view.tool(section.parts, message.tool_call_id)
        tool.name = message.name or "tool"
    tool.status = "failed" if message.status == "error" else "succeeded"
    tool.output = message.text or as_text(message.content)
    view.touch(tool)


def _read_metadata(view: View, section: Section, message: AIMessage) -> None:
    if message.usage_metadata is not None:
        section.tokens = (message.usage_metadata["input_tokens"], message.usage_metadata["output_tokens"])
    metadata = message.response_metadata
    view.model = str(metadata.get("model_name") or view.model)
    pointer = read_pointer(metadata)
    if pointer is None:
        return
    view.session_id, view.server = pointer.session_id, pointer.server
    cost = metadata[KEY].get("cost")
    if isinstance(cost, int | float):
        section.cost = float(cost)


def _read_blocks(view: View, section: Section, message: BaseMessage) -> None:
    blocks: list[Mapping[str, Any]] = [dict(block) for block in message.content_blocks]
    if isinstance(message, AIMessageChunk) and not any(block["type"] == "tool_call_chunk" for block in blocks):
        blocks += [
            {**call, "type": "tool_call_chunk", "index": ("call", call["index"])} for call in message.tool_call_chunks
        ]
    for block in blocks:
        _read_block(view, section, block)


def _read_block(view: View, section: Section, block: Mapping[str, Any]) -> None:
    match block["type"]:
        case "text" | "reasoning" | "refusal" | "text-plain":
            _read_words(view, section, block)
        case "server_tool_call" | "tool_call" | "invalid_tool_call":
            _read_call(view, section, block, whole=True)
        case "server_tool_call_chunk" | "tool_call_chunk":
            _read_call(view, section, block, whole=False)
        case "server_tool_result":
            _read_tool_result(view, section, block)
        case _:
            view.add(section.parts, shown_part(block))


def _read_words(view: View, section: Section, block: Mapping[str, Any]) -> None:
    thinking = block["type"] == "reasoning"
    piece = str(block.get("reasoning" if thinking else "refusal" if block["type"] == "refusal" else "text") or "")
    if not piece:
        return
    index = block.get("index")
    part = section.places.get(index) if index is not None else _last(section, thinking=thinking)
    if not isinstance(part, Words) or part.thinking is not thinking:
        part = Words(thinking=thinking)
        view.add(section.parts, part)
        if index is not None:
            section.places[index] = part
    view.say(part, piece)


def _last(section: Section, *, thinking: bool) -> Part | None:
    part = section.parts[-1] if section.parts else None
    return part if isinstance(part, Words) and part.thinking is thinking and section.chunks else None


def _read_call(view: View, section: Section, block: Mapping[str, Any], *, whole: bool) -> None:
    index, call_id = block.get("index"), block.get("id")
    known = section.places.get(index) if index is not None and not whole else None
    tool = known if isinstance(known, Tool) else view.tool(section.parts, str(call_id or view.fresh_key()))
    if index is not None:
        section.places[index] = tool
    tool.name = str(block.get("name") or "") or tool.name
    arguments = block.get("args")
    if whole:
        given = block.get("extras", {}).get("input") or ("" if arguments in ({}, None) else as_text(arguments))
        tool.arguments[:] = [given] if given else []
        tool.status = "called" if tool.status == "writing" else tool.status
    elif arguments:
        tool.arguments.append(str(arguments))
    view.touch(tool)


def _read_tool_result(view: View, section: Section, block: Mapping[str, Any]) -> None:
    index, call_id = block.get("index"), block.get("tool_call_id")
    known = section.places.get(("result", index))
    tool = (
        known if isinstance(known, Tool) and not call_id else view.tool(section.parts, str(call_id or view.fresh_key()))
    )
    if index is not None:
        section.places["result", index] = tool
    if status := block.get("status"):
        tool.status = "failed" if status == "error" else "succeeded"
    tool.progress = str(block.get("extras", {}).get("progress") or "") or tool.progress
    if block.get("output") is not None:
        tool.output = as_text(block["output"])
    view.touch(tool)


# Updates of a turn

_TURN: Final = "turn"
"""The section of a turn that is read from updates."""
_TOOL_UPDATES: Final = (ToolCallStarted, ToolCallDelta, ToolCalled, ToolRunning, ToolFinished, ToolOutput)


def read_update(view: View, update: Update) -> None:
    """Shows an update of a turn."""
    _read_update(view, view.section(_TURN).parts, update, depth=0)


def read_result(view: View, result: TurnResult) -> None:
    """Shows what is known of a turn, unless its updates have shown it already."""
    section = view.section(_TURN)
    if not section.parts:
        for message in result.messages:
            _read_turn_message(view, section.parts, message)
    view.session_id, view.model = result.session_id, result.model or view.model
    if result.usage is not None:
        section.tokens = (result.usage.input_tokens, result.usage.output_tokens)
        section.cost = result.usage.cost
    section.complete = True


def _read_turn_message(view: View, parts: list[Part], message: Message) -> None:
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
        _show_media(view, parts, call.input, depth=0)


def _read_update(view: View, parts: list[Part], update: Update, depth: int) -> None:
    match update:
        case ThinkingDelta():
            _say(view, parts, update.text, depth, thinking=True, message_id=update.message_id)
        case TextDelta():
            _say(view, parts, update.text, depth, thinking=False, message_id=update.message_id)
        case TextRestated():
            _restate(view, parts, update)
        case SubagentUpdate():
            tool = view.tool(parts, update.parent_id, depth=depth)
            _read_update(view, tool.parts, update.update, depth + 1)
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
        _show_media(view, parts, tool.input, depth)


def _show_media(view: View, parts: list[Part], arguments: str, depth: int) -> None:
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
    kind, text = _event_words(event, data)
    view.notice(kind, text, parts=parts, depth=depth)


def _event_words(event: str, data: Mapping[str, Any]) -> tuple[str, str]:
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
    return "\n".join(_action_request(request, decisions) for request in requests)


def _action_request(request: Mapping[str, Any], decisions: Mapping[str, Sequence[Any]]) -> str:
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
