"""Callbacks: what runs after a tool.

Owns: how a list of callbacks is read, checked and stored.
Refuses to know: sessions, and how callbacks are run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from langchain_mix.emulator.state.bodies import mistyped
from langchain_mix.emulator.state.errors import invalid
from langchain_mix.emulator.state.serializers import filled

_FIELDS: Final[Mapping[str, type]] = {
    "name": str,
    "toolName": str,
    "type": str,
    "bashCommand": str,
    "bashTimeout": int,
    "subAgentPrompt": str,
    "subAgentType": str,
    "includeFullHistory": bool,
    "messageContent": str,
    "excludeFromContext": bool,
}
_NEEDED: Final[Mapping[str, str]] = {
    "bash_script": "bashCommand",
    "sub_agent": "subAgentPrompt",
    "send_message": "messageContent",
}


def read_callbacks(value: Any) -> list[dict[str, Any]]:
    """Decodes a list of callbacks; unknown keys are left out, as a lenient decoder does.

    Args:
        value: The JSON value.

    Returns:
        One object per callback with the keys in the wire's order; `toolName` and `type` are always there.

    Raises:
        ApiError: 400, something has a wrong JSON type.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise mistyped("callbacks", value)
    return [_read_one(item) for item in value]


def check_callbacks(callbacks: list[dict[str, Any]]) -> None:
    """Refuses callbacks that could not run.

    Args:
        callbacks: What `read_callbacks` gave.

    Raises:
        ApiError: 400 that names the first bad one as `callbacks[i]`.
    """
    for index, callback in enumerate(callbacks):
        if problem := _problem(callback):
            raise invalid("callbacks", f"callbacks[{index}]: {problem}")


def _read_one(item: Any) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise mistyped("callbacks", item)
    values: dict[str, Any] = {}
    for key, kind in _FIELDS.items():
        value = item.get(key)
        if value is not None and type(value) is not kind:
            raise mistyped(f"callbacks.{key}", value)
        values[key] = value
    required = {"toolName": values["toolName"] or "", "type": values["type"] or ""}
    return filled(name=values["name"]) | required | filled(**{k: v for k, v in values.items() if k not in required})


def _problem(callback: Mapping[str, Any]) -> str:
    kind = callback["type"]
    if not callback["toolName"]:
        return "missing required field 'toolName'"
    if kind not in _NEEDED:
        return f"type must be one of: {', '.join(_NEEDED)}"
    if kind == "send_message" and callback.get("excludeFromContext"):
        return "send_message callbacks cannot be excluded from context"
    needed = _NEEDED[kind]
    return "" if callback.get(needed) else f"{needed} is required for {kind} callbacks"
