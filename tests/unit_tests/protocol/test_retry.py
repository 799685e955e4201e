"""When a call is sent again: bounded in number, in each wait and in all."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from langchain_mix.protocol.retry import NO_RETRIES, BackoffStrategy, RetryConfig, next_wait, reopen_wait, retry_after

CHANCE = st.floats(0, 1)
BACKOFFS = st.builds(
    BackoffStrategy,
    initial_interval=st.integers(0, 10_000),
    max_interval=st.integers(0, 100_000),
    exponent=st.floats(1, 10),
    max_elapsed_time=st.integers(0, 1_000_000),
)


@given(
    backoff=BACKOFFS,
    attempts=st.integers(1, 10_000),
    attempt=st.integers(1, 10_000),
    elapsed=st.floats(0, 10_000),
    requested=st.none() | st.floats(0),
    chance=CHANCE,
)
@example(backoff=BackoffStrategy(), attempts=10_000, attempt=5_000, elapsed=0.0, requested=None, chance=0.5)
@example(backoff=BackoffStrategy(), attempts=5, attempt=1, elapsed=0.0, requested=float("inf"), chance=0.5)
def test_a_wait_is_bounded_by_its_policy(
    *, backoff: BackoffStrategy, attempts: int, attempt: int, elapsed: float, requested: float | None, chance: float
) -> None:
    config = RetryConfig("backoff", backoff, max_attempts=attempts)
    wait = next_wait(config, attempt=attempt, elapsed=elapsed, requested=requested, chance=chance)
    if wait is None:
        return
    assert attempt < attempts
    assert 0 <= wait <= backoff.max_interval / 1000
    assert (elapsed + wait) * 1000 <= backoff.max_elapsed_time
    assert requested is None or wait >= requested


def waits(chance: float, requested: float | None = None) -> list[float]:
    found: list[float] = []
    while (
        wait := next_wait(RetryConfig(), attempt=len(found) + 1, elapsed=sum(found), requested=requested, chance=chance)
    ) is not None:
        found.append(wait)
    return found


def test_waits_grow_and_end() -> None:
    assert waits(1.0) == [0.5, 0.75, 1.125, 1.6875]
    assert waits(0.0) == [0.25, 0.375, 0.5625, 0.84375]


def test_the_server_is_waited_for_as_long_as_it_asks_and_not_at_all_if_it_asks_too_much() -> None:
    assert waits(0.0, requested=2.0) == [2.0] * 4
    assert waits(0.0, requested=10.5) == []


def test_no_retries_means_none() -> None:
    assert next_wait(NO_RETRIES, attempt=1, elapsed=0, requested=None, chance=0) is None


@given(attempt=st.integers(1, 1000), chance=CHANCE)
def test_a_stream_is_opened_again_at_once_and_then_ever_later(attempt: int, chance: float) -> None:
    assert reopen_wait(1, chance) == 0
    assert 0 <= reopen_wait(attempt, chance) <= 5
    if attempt > 1:
        assert reopen_wait(attempt, chance) >= 0.125
        assert reopen_wait(attempt + 1, chance) >= reopen_wait(attempt, chance)


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("Fri, 02 Jan 2026 03:04:35 GMT", 30.0),
        ("Fri, 02 Jan 2026 03:04:35 -0000", 30.0),
        ("Fri, 02 Jan 2026 05:04:35 +0200", 30.0),
        ("Fri, 02 Jan 2026 03:00:00 GMT", 0.0),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("soon", None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": value}, NOW.timestamp()) == seconds


def test_no_header_asks_for_nothing() -> None:
    assert retry_after({}, 0.0) is None


@given(
    value=st.text(max_size=40)
    | st.from_regex(r"Fri, \d{1,25} Jan \d{1,25} \d{1,25}:00:00 [+-]\d{1,25}", fullmatch=True)
)
@example("Mon, 01 Jan 2025 00:00:00 +99999999999999999999")
@example("9" * 5000)
def test_no_header_raises(value: str) -> None:
    wait = retry_after({"retry-after": value}, 0.0)
    assert wait is None or wait >= 0


@given(offset=st.integers(-100_000, 100_000))
def test_dates_are_differences(offset: int) -> None:
    date = format_datetime(datetime.fromtimestamp(NOW.timestamp() + offset, UTC), usegmt=True)
    assert retry_after({"retry-after": date}, NOW.timestamp()) == max(offset, 0)
