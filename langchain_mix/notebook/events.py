"""What happens beside a reply, read into a view: permissions, notifications, progress, interrupts.

Owns: which words they are shown with. Refuses to know: who answers them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeGuard

from langchain_mix.notebook.view import Part, View, as_text

_PROGRESS: Final[Mapping[str, str]] = {
    "rate_limit": "The model provider limits the rate; the server tries again.",
    "reopened": "The event stream broke and was opened again.",
    "foreign_turn": "Somebody else runs a turn in this session.",
    "summarize": "The server summarises the session.",
    "subagent_error": "A sub-agent failed.",
}


def read_event(
    view: View, event: str, data: Mapping[str, Any], *, parts: list[Part] | None = None, depth: int = 0
) -> None:
    """Shows a custom event of ChatMix, or the update it stands for.

    Args:
        view: Where.
        event: `permission`, `notification` or `progress`.
        data: Its data.
        parts: What it belongs to; None for the section that is talking, or the sub-agent it tells of.
        depth: In how many sub-agents it happened.
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
            told = as_text(detail) if detail else ""
            return kind.replace("_", " "), " ".join(filter(None, (_PROGRESS.get(kind, ""), told)))
        case _:
            return event, as_text({key: value for key, value in data.items() if key != "event"})


def read_interrupts(view: View, interrupts: Any) -> None:
    """Shows that a graph has paused and asks something.

    Args:
        view: Where.
        interrupts: What LangGraph tells: `Interrupt`s.
    """
    for interrupt in interrupts if isinstance(interrupts, list | tuple) else (interrupts,):
        name = str(getattr(interrupt, "id", ""))
        if name and name in view.interrupts:
            continue  # Told by another stream mode already.
        view.interrupts.add(name)
        view.notice("interrupt", _asked(getattr(interrupt, "value", interrupt)))
    view.status = "paused"


def _asked(value: Any) -> str:
    """What an interrupt asks, as a person reads it: all of it, but for what only programs need."""
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
