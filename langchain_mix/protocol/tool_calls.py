"""Tool calls as servers report them: which tool a name means, and how a call ended.

Generations spell tools differently. A call is known to have failed or to have been denied, known to have finished, or
neither; this is the one decision for all that show or keep an outcome.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, Literal


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


ToolOutcome = Literal["succeeded", "failed"]
"""The end of a tool, where that is known."""

_DENIED: Final = "The user doesn't want to proceed with this tool use."
_COMPLETED: Final = re.compile(r"Completed .+ tool in \S+", re.DOTALL)
_FAILED: Final = re.compile(r"Failed .+ tool after \S+:.*", re.DOTALL)


def was_denied(result: str | None, progress: str = "") -> bool:
    """Returns whether a tool that did not run was denied, by the user, by a rule or by time.

    Args:
        result: The stored result, or None if it is not known.
        progress: The server's words in the event that ended it.
    """
    if result is not None and result.lstrip().startswith(_DENIED):
        return True
    return _FAILED.fullmatch(progress) is not None and progress.rstrip(". ").lower().endswith(": permission denied")


def outcome_of_event(progress: str, *, success: bool) -> ToolOutcome:
    """Returns how a tool ended by the event that says so.

    Args:
        progress: The server's words.
        success: The server's reading of them. Mix 0.6 to 0.8: it looks for "error" and "failed" anywhere in them, also
            in the name of the tool.

    Returns:
        What the words say where they are the server's usual ones, else what `success` says.
    """
    if _COMPLETED.fullmatch(progress):
        return "succeeded"
    return "succeeded" if success and not _FAILED.fullmatch(progress) else "failed"


def outcome_of_result(result: str | None, *, is_error: bool | None) -> ToolOutcome | None:
    """Returns how a tool ended by the result that is stored of it.

    Args:
        result: The result; None where the server does not list it (before Mix 0.8, and in every export).
        is_error: Whether the server calls it an error.

    Returns:
        The outcome, or None where the result does not show it. Mix 0.8 stores a denial, by the user or by time, as a
        result that is no error and is known by its words; and an empty one for a tool that broke, such as a sub-agent
        that failed.
    """
    if is_error or (result is not None and result.lstrip().startswith(_DENIED)):
        return "failed"
    return "succeeded" if result is not None and result.strip() else None


def word_for_result(result: str | None, *, is_error: bool | None) -> str:
    """Returns the outcome of a stored result in a word for people: a denial by its own; empty if it is not known."""
    return "denied" if was_denied(result) else outcome_of_result(result, is_error=is_error) or ""
