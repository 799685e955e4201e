"""Items of a stream, whatever streamed them, read into a view.

Owns: distinguishing chunks, messages, updates of a turn, and the tuples and dictionaries of LangGraph's stream modes,
with and without several modes, sub-graphs and `version="v2"`.
Refuses to know: what they say (`messages.py`, `turn_view.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from langchain_core.messages import AIMessageChunk, BaseMessage

from langchain_mix.notebook.messages import read_message
from langchain_mix.notebook.turn_view import read_event, read_interrupts, read_result, read_update
from langchain_mix.notebook.view import View, as_text
from langchain_mix.protocol.turn.updates import TurnResult, Update

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
