"""Stored rows as a brain sees them.

Owns: the way from rows to the conversation of a request.
Refuses to know: who asks and what the brain makes of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from langchain_mix.emulator.agents.base import Line, Result, ToolUse
from langchain_mix.emulator.state.records import Row, ToolCallRecord
from langchain_mix.emulator.tool_names import canonical


def conversation(rows: Iterable[Row]) -> tuple[Line, ...]:
    """Makes lines of rows.

    Args:
        rows: A session's rows, oldest first.

    Returns:
        One line for each row, tools under their PascalCase names.
    """
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
    """What callbacks gave, for a row that holds nothing else."""
    texts = (
        result.get("subagent_result") or result.get("stdout") or result.get("stderr") for result in row.callback_results
    )
    return "\n".join(str(text) for text in texts if text)
