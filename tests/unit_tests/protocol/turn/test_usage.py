"""What a turn has used, by both listings."""

from dataclasses import replace

import pytest

from langchain_mix.protocol.api import ApiVersion
from langchain_mix.protocol.turn.usage import Usage, usage_of_turn, usage_of_turns


@pytest.mark.parametrize(
    ("api", "counts"), [(ApiVersion.V0_8, {}), (ApiVersion.V0_7, {"tokens": (1, 2, 3.0)})], ids=["none", "not listed"]
)
def test_usage_is_unknown_where_no_row_has_it(row, read_rows, api, counts):
    (read,) = read_rows([row("assistant", "A", "a", **counts)], api, export=False).rows
    assert read.usage is None
    assert usage_of_turn([read.usage], None, 0.0) is None


def test_the_rows_of_a_turn_are_added_up():
    first = Usage(input_tokens=1, output_tokens=2, cache_creation_tokens=3, cache_read_tokens=4, cost=0.5)
    second = Usage(input_tokens=10, output_tokens=20, cost=0.25)
    assert usage_of_turn([first, None, second], Usage(input_tokens=99, cost=9.0), 1.0) == Usage(
        input_tokens=11, output_tokens=22, cache_creation_tokens=3, cache_read_tokens=4, cost=0.75
    )


@pytest.mark.parametrize(("calls", "whole"), [(1, True), (2, False)])
@pytest.mark.parametrize(("before", "cost"), [(None, None), (1.0, 0.5), (2.0, 0.0)])
def test_counters_of_the_session_are_the_last_call_and_all_of_the_cost(calls, whole, before, cost):
    counters = Usage(input_tokens=5, output_tokens=6, cost=1.5, whole_turn=False)
    assert usage_of_turn([None] * calls, counters, before) == Usage(
        input_tokens=5, output_tokens=6, cost=cost, whole_turn=whole
    )


def test_a_turn_without_rows_has_used_nothing_that_is_known():
    assert usage_of_turn([], Usage(input_tokens=5, cost=1.5), 1.0) is None


def test_turns_are_added_up_and_an_unknown_one_is_said_to_be_missing():
    known, other = Usage(input_tokens=1, output_tokens=2, cost=0.5), Usage(input_tokens=10, cost=0.25)
    assert usage_of_turns([known, other]) == Usage(input_tokens=11, output_tokens=2, cost=0.75)
    assert usage_of_turns([known, replace(other, cost=None)]).cost is None
    assert usage_of_turns([known, replace(other, whole_turn=False)]).whole_turn is False
    assert usage_of_turns([known, None]) == usage_of_turns([None, known]) == replace(known, cost=None, whole_turn=False)
    assert usage_of_turns([None, None]) is None
