"""Reading single values out of a decoded JSON body.

Owns: Go's view of a missing, null or mistyped value.
Refuses to know: which requests exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_mix.emulator.state.errors import ApiError, invalid


def text_of(body: Mapping[str, Any], key: str) -> str:
    """A text of a strictly decoded body; `""` when it is missing or null.

    Raises:
        ApiError: 400 `validation_error`, it is no text.
    """
    value = body.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise mistyped(key, value)
    return value


def setting_of(body: Mapping[str, Any], key: str) -> str | None:
    """A text of a leniently decoded body (credentials, preferences); None when it is missing or null.

    Raises:
        ApiError: 400 `INVALID_JSON`, it is no text.
    """
    value = body.get(key)
    if value is not None and not isinstance(value, str):
        raise ApiError(400, "INVALID_JSON", "Invalid JSON in request body")
    return value


def count_of(body: Mapping[str, Any], key: str) -> int | None:
    """A whole number of a leniently decoded body; None when it is missing or null.

    Raises:
        ApiError: 400 `INVALID_JSON`, it is no whole number.
    """
    value = body.get(key)
    if value is not None and (type(value) is not int or not -(2**63) <= value < 2**63):
        raise ApiError(400, "INVALID_JSON", "Invalid JSON in request body")
    return value


def mistyped(key: str, value: Any) -> ApiError:
    """A 400 for a value of the wrong JSON type."""
    return invalid("body", f"json: cannot unmarshal {_kind(value)} into Go struct field .{key}")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"
