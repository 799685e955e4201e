"""The errors, where the documentation of Mix has them.

Owns: this import path, and the one name that only the official client has. Refuses to know: what the errors mean.
"""

from __future__ import annotations

from langchain_mix.errors import (
    Acted,
    ErrorResponse,
    ErrorResponseData,
    MixAgentError,
    MixAuthenticationError,
    MixBadRequestError,
    MixConfigurationError,
    MixConnectionError,
    MixDefaultError,
    MixError,
    MixHistoryDiverged,
    MixInputError,
    MixInternalError,
    MixNetworkError,
    MixNotAServerError,
    MixNotFoundError,
    MixOutcomeUnknown,
    MixResponseError,
    MixSessionBusy,
    MixStreamError,
    MixTextGap,
    MixTimeoutError,
    MixTurnCancelled,
    MixTurnError,
    MixTurnInterrupted,
    MixTurnTimeout,
    MixUnsupportedError,
    MixUsageError,
    ResponseValidationError,
    RESTError,
)

__all__ = [
    "Acted",
    "ErrorResponse",
    "ErrorResponseData",
    "MixAgentError",
    "MixAuthenticationError",
    "MixBadRequestError",
    "MixConfigurationError",
    "MixConnectionError",
    "MixDefaultError",
    "MixError",
    "MixHistoryDiverged",
    "MixInputError",
    "MixInternalError",
    "MixNetworkError",
    "MixNotAServerError",
    "MixNotFoundError",
    "MixOutcomeUnknown",
    "MixResponseError",
    "MixSessionBusy",
    "MixStreamError",
    "MixTextGap",
    "MixTimeoutError",
    "MixTurnCancelled",
    "MixTurnError",
    "MixTurnInterrupted",
    "MixTurnTimeout",
    "MixUnsupportedError",
    "MixUsageError",
    "NoResponseError",
    "RESTError",
    "ResponseValidationError",
]

NoResponseError = MixNetworkError
"""What the official client calls a request without an answer."""
