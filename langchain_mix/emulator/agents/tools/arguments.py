"""Reads the arguments of tool calls, which a model may have got wrong.

Owns: `ToolError`, the refusal that becomes an error result, and the checks of argument types.
Refuses to know: what the tools do with their arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ToolError(Exception):
    """A call that cannot be done as asked. Its text is the error result that the model reads."""


def text(arguments: Mapping[str, Any], name: str, *, empty: bool = False) -> str:
    """Reads a required text.

    Args:
        arguments: Of the call.
        name: Of the argument.
        empty: Whether an empty text is fine.

    Returns:
        The text.

    Raises:
        ToolError: If it is missing, empty or no text.
    """
    value = arguments.get(name)
    if not isinstance(value, str) or not (value or empty):
        raise ToolError(f"{name} is required and must be a text")
    return value


def optional_text(arguments: Mapping[str, Any], name: str) -> str:
    """Reads a text that may be missing.

    Raises:
        ToolError: If it is there and no text.
    """
    value = arguments.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ToolError(f"{name} must be a text")
    return value


def number(arguments: Mapping[str, Any], name: str, default: int, *, least: int = 0) -> int:
    """Reads a whole number that may be missing.

    Args:
        arguments: Of the call.
        name: Of the argument.
        default: If it is missing.
        least: The smallest allowed.

    Returns:
        The number.

    Raises:
        ToolError: If it is no whole number or too small.
    """
    value = arguments.get(name)
    if value is None:
        return default
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ToolError(f"{name} must be a whole number, at least {least}")
    return value


def records(arguments: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Reads a required list of objects.

    Raises:
        ToolError: If it is anything else.
    """
    value = arguments.get(name)
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise ToolError(f"{name} is required and must be a list of objects")
    return value
