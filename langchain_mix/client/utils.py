"""The retry policy and small helpers, where the documentation of Mix has them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from langchain_mix.client._config import default_logger as get_default_logger
from langchain_mix.protocol.retry import BackoffStrategy, RetryConfig

__all__ = ["BackoffStrategy", "Logger", "RetryConfig", "get_default_logger", "parse_datetime"]


class Logger(Protocol):
    """Takes what is logged at level DEBUG; `logging.Logger` does."""

    def debug(self, msg: str, /, *args: Any, **kwargs: Any) -> None:
        """Logs a message and its arguments."""


def parse_datetime(datetime_string: str) -> datetime:
    """Reads a time as the server writes it.

    Args:
        datetime_string: The time in ISO 8601, such as `2025-01-31T12:00:00Z`.

    Returns:
        The time, with its offset.

    Raises:
        ValueError: It is no such time.
    """
    return datetime.fromisoformat(datetime_string)
