"""How each generation spells the names of its tools.

Owns: the list of core tools and their spellings.
Refuses to know: what the tools do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from langchain_mix.protocol.api import CAPABILITIES, ApiVersion

READ_ONLY: Final = frozenset(
    {"ReadText", "Grep", "Glob", "TodoWrite", "ExitPlanMode", "ReadMedia", "WebFetch", "Search", "Task"}
)
"""The tools of plan mode."""

_CORE: Final[tuple[str, ...]] = (
    "Bash",
    "ReadText",
    "Glob",
    "ReadMedia",
    "Grep",
    "Write",
    "Edit",
    "Search",
    "TodoWrite",
    "ExitPlanMode",
    "Show",
)
_OLD: Final[Mapping[str, str]] = {
    "Bash": "bash",
    "Glob": "glob",
    "Grep": "grep",
    "Write": "write",
    "Edit": "edit",
    "Search": "search",
    "TodoWrite": "todo_write",
    "ExitPlanMode": "exit_plan_mode",
    "Show": "show_media",
    "Task": "task",
}
_CANONICAL: Final[Mapping[str, str]] = {
    name.replace("_", "").lower(): name for name in (*_CORE, "Task", "Notify", "WebFetch")
} | {"showmedia": "Show"}


def spelled(name: str, api: ApiVersion) -> str:
    """The tool's name on this generation's wire. Names that are not core tools stay as they are."""
    if not CAPABILITIES[api].pascal_tool_names:
        return _OLD.get(name, name)
    return "ShowMedia" if name == "Show" and api is ApiVersion.V0_7 else name


def canonical(name: str) -> str:
    """The PascalCase name of a tool however a generation spells it; other names stay as they are."""
    return _CANONICAL.get(name.replace("_", "").lower(), name)


def available(api: ApiVersion, *, plan_mode: bool, is_subagent: bool) -> tuple[str, ...]:
    """The tools that a turn may call.

    Args:
        api: The generation.
        plan_mode: Whether only read-only tools are allowed.
        is_subagent: Whether a sub-agent asks; those cannot have sub-agents of their own.

    Returns:
        Their PascalCase names.
    """
    caps = CAPABILITIES[api]
    names: list[str] = list(_CORE)
    if caps.subagents and not is_subagent:
        names.append("Task")
    if caps.notifications:
        names.append("Notify")
    return tuple(name for name in names if name in READ_ONLY or not plan_mode)
