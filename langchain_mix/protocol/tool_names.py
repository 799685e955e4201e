"""The names of Mix's tools.

Owns: the core tools, and when two names mean the same tool.
Refuses to know: what tools take and give (`tools.py`).
"""

from __future__ import annotations

from enum import StrEnum


def same_tool(a: str, b: str) -> bool:
    """Tells whether two names mean the same tool.

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
