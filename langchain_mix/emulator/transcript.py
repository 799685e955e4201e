"""Stored rows as an agent sees them, and how each generation spells the names of its tools."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from langchain_mix.emulator.agents.base import Line, Result, ToolUse
from langchain_mix.emulator.state.records import Row, ToolCallRecord
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
    """Returns the PascalCase names of the tools that a turn may call. Sub-agents cannot have sub-agents."""
    caps = CAPABILITIES[api]
    names: list[str] = list(_CORE)
    if caps.subagents and not is_subagent:
        names.append("Task")
    if caps.notifications:
        names.append("Notify")
    return tuple(name for name in names if name in READ_ONLY or not plan_mode)


def conversation(rows: Iterable[Row]) -> tuple[Line, ...]:
    """Makes a line of each row, tools under their PascalCase names."""
    return tuple(
        Line(
            role=row.role,
            text=row.text or _callbacks(row),
            calls=tuple(_call(call) for call in row.tool_calls),
            results=tuple(_result(result) for result in row.tool_results),
        )
        for row in rows
    )


def arguments(text: str) -> dict[str, Any]:
    """The arguments of a call from their JSON text; none if it is broken or no object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _call(call: ToolCallRecord) -> ToolUse:
    return ToolUse(name=canonical(call.name), input=arguments(call.input), id=call.id)


def _result(result: Mapping[str, Any]) -> Result:
    return Result(
        call_id=str(result.get("call_id", "")),
        name=canonical(str(result.get("name", ""))),
        output=str(result.get("output", "")),
        is_error=bool(result.get("is_error")),
    )


def _callbacks(row: Row) -> str:
    """Returns the results of callbacks, for a row that holds nothing else."""
    texts = (
        result.get("subagent_result") or result.get("stdout") or result.get("stderr") for result in row.callback_results
    )
    return "\n".join(str(text) for text in texts if text)
