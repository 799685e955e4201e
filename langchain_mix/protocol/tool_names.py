"""The names of Mix's tools, and when two names mean the same tool."""

from __future__ import annotations

import re
from enum import StrEnum


def same_tool(a: str, b: str) -> bool:
    """Returns True if two names mean the same tool.

    Generations spell tools differently: `todo_write` of Mix 0.5 is `TodoWrite` since Mix 0.7.

    Args:
        a: A tool name.
        b: Another.

    Returns:
        Whether they are equal but for case and underscores.
    """
    return _plain(a) == _plain(b)


def _plain(name: str) -> str:
    return name.replace("_", "").casefold()


def same_spelling(a: str, b: str) -> bool:
    """Returns True if two names are spellings of one tool that servers use, or equal but for case.

    Stricter than `same_tool`: `wri_te`, the tool `te` of an MCP server `wri`, is not `Write`.
    """
    return a.casefold() == b.casefold() or (core_tool(a) is not None and core_tool(a) is core_tool(b))


def core_tool(name: str) -> CoreToolName | None:
    """Returns the core tool that is spelled so, such as `TodoWrite` or `todo_write`, in any case; else None."""
    for core in CoreToolName:
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", core.value)
        if name.casefold() in {core.value.casefold(), words.casefold()}:
            return core
    return None


class CoreToolName(StrEnum):
    """The tools that every Mix server has, as Mix 0.8 spells them; names are an open set and others exist.

    `CoreToolName("todo_write")` finds the member by any generation's spelling.
    """

    BASH = "Bash"
    READ_TEXT = "ReadText"
    GLOB = "Glob"
    READ_MEDIA = "ReadMedia"
    GREP = "Grep"
    WRITE = "Write"
    EDIT = "Edit"
    PYTHON_EXECUTION = "python_execution"
    """Mix before 0.8."""
    SEARCH = "Search"
    TODO_WRITE = "TodoWrite"
    EXIT_PLAN_MODE = "ExitPlanMode"
    SHOW_MEDIA = "ShowMedia"
    """Mix before 0.8; then it is `Show`."""
    SHOW = "Show"
    TASK = "Task"

    @classmethod
    def _missing_(cls, value: object) -> CoreToolName | None:
        return next((name for name in cls if same_tool(name, str(value))), None)
