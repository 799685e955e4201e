"""The options of an operation on every request it makes."""

from __future__ import annotations

from langchain_mix.client._config import DEFAULT_OPTIONS, CallOptions
from langchain_mix.client.utils import RetryConfig

ONE, TWO = RetryConfig(max_attempts=1), RetryConfig(max_attempts=2)


def test_what_a_request_says_counts_more() -> None:
    outer = CallOptions(ONE, 100, {"a": "outer", "b": "outer"})
    inner = CallOptions(TWO, 0, {"a": "inner"})
    assert outer.overridden_by(inner) == CallOptions(TWO, 0, {"a": "inner", "b": "outer"})


def test_what_it_does_not_say_is_the_operations() -> None:
    outer = CallOptions(ONE, 100, {"a": "outer"})
    assert outer.overridden_by(CallOptions()) == outer
    assert DEFAULT_OPTIONS.overridden_by(outer) == outer
