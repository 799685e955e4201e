"""The values of a state as JSON and as text.

Owns: how objects of Python and LangChain are told. Refuses to know: where they were kept.
"""

from __future__ import annotations

import dataclasses
import json
from collections import deque
from collections.abc import Mapping
from typing import Any

from langchain_core.messages import BaseMessage
from pydantic import BaseModel


def as_data(value: Any) -> Any:
    """A value as JSON can tell it; what JSON has no form for becomes text."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, bytes | bytearray):
        return f"<{len(value)} bytes>"
    if isinstance(value, list | tuple | set | frozenset | deque):
        return [as_data(part) for part in value]
    fields = _fields(value)
    return str(value) if fields is None else {str(name): as_data(part) for name, part in fields.items()}


def _fields(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, BaseModel):
        return value.model_dump()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    return None


def as_text(value: Any) -> str:
    """A value as text: a message by who says what, text as it is, anything else as JSON."""
    if isinstance(value, BaseMessage):
        calls = [
            f"{call['name']}({json.dumps(call['args'], ensure_ascii=False, default=str)})" for call in _calls(value)
        ]
        return f"{value.type}: {' '.join(part for part in (value.text, *calls) if part)}"
    return value if isinstance(value, str) else json.dumps(as_data(value), ensure_ascii=False)


def parts_of(value: Any) -> list[Any]:
    """What is told on lines of its own: each message of a list, else the value itself."""
    many = isinstance(value, list | tuple) and any(isinstance(part, BaseMessage) for part in value)
    return list(value) if many else [value]


def _calls(message: BaseMessage) -> list[Any]:
    return getattr(message, "tool_calls", [])
