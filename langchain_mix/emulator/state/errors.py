"""The server's two kinds of errors, and the values of a decoded body that are one.

Owns: the wording of JSON errors (Mix 0.5 to next), and Go's view of a missing, null or mistyped value.
Refuses to know: HTTP; the routes turn errors into replies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """An error that the server reports as JSON.

    Attributes:
        type: The server's kind of error; lower case for its REST handlers, upper case for credentials and preferences.
    """

    def __init__(self, status: int, type: str, message: str) -> None:  # noqa: A002 - the wire's own word
        """Describes what went wrong."""
        super().__init__(message)
        self.status = status
        self.type = type
        self.message = message


class PlainError(Exception):
    """An error that the server reports as plain text.

    Attributes:
        text: The body without its final newline.
    """

    def __init__(self, status: int, text: str) -> None:
        """Describes what went wrong."""
        super().__init__(text)
        self.status = status
        self.text = text


def invalid(field: str, text: str) -> ApiError:
    """A 400 about one field of the request."""
    return ApiError(400, "validation_error", f"Validation error for field '{field}': {text}")


def not_found(resource: str, id_: str) -> ApiError:
    """A 404 for a resource that does not exist."""
    return ApiError(404, "not_found", f"{resource} with ID '{id_}' not found")


def internal(operation: str, cause: str) -> ApiError:
    """Returns a 500: what the server was doing, and what broke."""
    return ApiError(500, "internal_error", f"Internal error during {operation}: {cause}")


def invalid_json() -> ApiError:
    """A 400 of the handlers that take any object: credentials and preferences."""
    return ApiError(400, "INVALID_JSON", "Invalid JSON in request body")


def setting_of(body: Mapping[str, Any], key: str) -> str | None:
    """A text of a leniently decoded body (credentials, preferences); None when it is missing or null.

    Raises:
        ApiError: 400 `INVALID_JSON`, it is no text.
    """
    value = body.get(key)
    if value is not None and not isinstance(value, str):
        raise invalid_json()
    return value


def count_of(body: Mapping[str, Any], key: str) -> int | None:
    """A whole number of a leniently decoded body; None when it is missing or null.

    Raises:
        ApiError: 400 `INVALID_JSON`, it is no whole number.
    """
    value = body.get(key)
    if value is not None and (type(value) is not int or not -(2**63) <= value < 2**63):
        raise invalid_json()
    return value


def mistyped(key: str, value: Any) -> ApiError:
    """A 400 for a value of the wrong JSON type."""
    return invalid("body", f"json: cannot unmarshal {json_kind(value)} into Go struct field .{key}")


def json_kind(value: Any) -> str:
    """Returns the JSON type of a value in the words of Go's decoder."""
    kinds = {bool: "bool", int: "number", float: "number", str: "string", list: "array"}
    return kinds.get(type(value), "object")
