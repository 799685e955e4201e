"""How the state says no.

Owns: the server's two kinds of error and the wording of its JSON ones (Mix 0.5 to next).
Refuses to know: HTTP; whoever answers requests turns these into replies.
"""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An error that the server reports as JSON.

    Attributes:
        status: The HTTP status.
        type: The server's kind of error; lower case for its REST handlers, upper case for credentials and preferences.
        message: The server's words.
    """

    def __init__(self, status: int, type: str, message: str) -> None:  # noqa: A002 - the wire's own word
        """Describes what went wrong.

        Args:
            status: The HTTP status.
            type: The server's kind of error.
            message: The server's words.
        """
        super().__init__(message)
        self.status = status
        self.type = type
        self.message = message

    def envelope(self) -> dict[str, Any]:
        """The JSON body, keys in the server's order."""
        return {"error": {"code": self.status, "message": self.message, "type": self.type}}


class PlainError(Exception):
    """An error that the server reports as plain text.

    Attributes:
        status: The HTTP status.
        text: The body without its final newline.
    """

    def __init__(self, status: int, text: str) -> None:
        """Describes what went wrong.

        Args:
            status: The HTTP status.
            text: The body without its final newline.
        """
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
    """A 500: what the server was doing, and what broke."""
    return ApiError(500, "internal_error", f"Internal error during {operation}: {cause}")
