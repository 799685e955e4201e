"""The retry policy: how often an idempotent call is sent again, and how long to wait before.

Owns: the retry policy, as numbers in and numbers out. Refuses to know: clocks, chance, calls; the caller brings them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

RETRIED_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Answers after which an idempotent call may be sent again."""

MAX_ATTEMPTS: Final = 5
"""Attempts in all, the first one included, whatever the times allow."""


@dataclass(frozen=True, slots=True)
class BackoffStrategy:
    """The growth of waits.

    Attributes:
        initial_interval: The first wait, in milliseconds.
        max_interval: The longest wait, in milliseconds.
        exponent: By what each wait is longer than the one before.
        max_elapsed_time: Time since the first attempt after which none is made, in milliseconds.
    """

    initial_interval: int = 500
    max_interval: int = 10_000
    exponent: float = 1.5
    max_elapsed_time: int = 60_000


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """The policy by which calls are sent again. It applies only to calls that do no more when sent twice.

    Attributes:
        strategy: `"backoff"`, or `"none"` to never send anything again.
        backoff: How waits grow.
        retry_connection_errors: Whether lost connections and timeouts count as failures worth another attempt.
        max_attempts: Attempts in all, the first one included.
    """

    strategy: str = "backoff"
    backoff: BackoffStrategy = field(default_factory=BackoffStrategy)
    retry_connection_errors: bool = True
    max_attempts: int = MAX_ATTEMPTS


NO_RETRIES: Final = RetryConfig("none")
"""Send everything once."""


def next_wait(
    config: RetryConfig, *, attempt: int, elapsed: float, requested: float | None, chance: float
) -> float | None:
    """Decides whether another attempt is made.

    Args:
        config: The policy.
        attempt: Attempts made so far, from 1.
        elapsed: Seconds since the first one began.
        requested: Seconds the server asks to wait (`Retry-After`), or None.
        chance: A random number from 0 to 1, so that many clients do not come back at once.

    Returns:
        Seconds to wait before the next attempt, or None if there is none.
    """
    if config.strategy != "backoff" or attempt >= config.max_attempts:
        return None
    backoff = config.backoff
    try:
        grown = min(backoff.initial_interval * backoff.exponent ** (attempt - 1), backoff.max_interval) / 1000
    except OverflowError:  # A policy may allow thousands of attempts.
        grown = backoff.max_interval / 1000
    wait = grown * (0.5 + chance / 2)
    if requested is not None:
        # A server that asks for more than the longest wait is not waited for at all: the error has its time.
        if requested * 1000 > backoff.max_interval:
            return None
        wait = max(wait, requested)
    return wait if (elapsed + wait) * 1000 <= backoff.max_elapsed_time else None


def reopen_wait(attempt: int, chance: float) -> float:
    """Seconds before the given attempt (from 1) to open a broken stream again; the first is at once."""
    return 0.0 if attempt <= 1 else min(0.25 * 2.0 ** (attempt - 2), 5.0) * (0.5 + chance / 2)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Reads `Retry-After` (RFC 9110, section 10.2.3) at this time, in seconds since the epoch.

    Returns:
        Seconds to wait, not negative, or None if the server asks for none or in a form that is not known.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - datetime.fromtimestamp(now, UTC)).total_seconds(), 0.0)
