"""What happens beside a reply, read into a view: permissions, notifications, progress, interrupts.

Owns: which words they are shown with. Refuses to know: who answers them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

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
        view.notice("interrupt", as_text(getattr(interrupt, "value", interrupt)))
    view.status = "paused"
