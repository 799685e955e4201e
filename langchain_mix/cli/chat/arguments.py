"""The arguments of a tool, for people.

Owns: how they read. Refuses to know: where they are shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from langchain_mix.cli.terminal import visible


def readable(arguments: Any) -> str:
    """Writes arguments one below the other.

    Args:
        arguments: A mapping, JSON text of one as the model wrote it, or anything else.

    Returns:
        `name: value` lines. What goes over several lines is indented, so that no value looks like another argument.
    """
    if isinstance(arguments, str):
        try:
            parsed = json.loads(arguments)
        except (ValueError, RecursionError):
            return visible(arguments)
        if not isinstance(parsed, Mapping):
            return visible(arguments)
        arguments = parsed
    if arguments is None:
        return ""
    if not isinstance(arguments, Mapping):
        return visible(json.dumps(arguments, ensure_ascii=False, default=str))
    return "\n".join(_line(visible(str(name)), value) for name, value in arguments.items())


def _line(name: str, value: Any) -> str:
    text = visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
    if "\n" not in text:
        return f"{name}: {text}"
    return f"{name}:\n" + "\n".join(f"    {line}" for line in text.split("\n"))
