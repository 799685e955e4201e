"""Outcomes of tools: known to have failed or to have been denied, known to have finished, or neither.

This is the one decision for all that show or keep an outcome.
"""

from __future__ import annotations

import re
from typing import Final, Literal

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
