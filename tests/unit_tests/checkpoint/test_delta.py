from __future__ import annotations

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_mix.checkpoint.delta import difference, header_size


def applied(found, earlier):
    start = header_size(earlier)
    return found.header + earlier[start : start + found.prefix] + found.rest


@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=300))
def test_a_difference_gives_the_value_back(shared, left, right):
    earlier, data = shared + left, shared + right
    found = difference(earlier, data)
    assert found is None or applied(found, earlier) == data


@pytest.mark.parametrize("count", [1, 15, 16, 65_535, 65_536])
def test_a_grown_list_costs_what_is_new(count):
    messages = [b"message %d" % n for n in range(count)]
    earlier, data = ormsgpack.packb(messages), ormsgpack.packb([*messages, b"the new one"])
    found = difference(earlier, data)
    if count == 1:
        assert found is None, "too small to matter"
        return
    assert applied(found, earlier) == data
    assert len(found.header) + len(found.rest) < 20


@given(st.binary(min_size=48, max_size=400))
def test_equal_values_share_everything(data):
    assert difference(data, data).rest == b""


@given(st.binary(max_size=47))
def test_small_values_are_not_compared(data):
    assert difference(data, data) is None


def test_the_common_part_is_found_to_the_byte():
    for shared in range(24, 200):
        found = difference(b"a" * shared + b"x" * 60, b"a" * shared + b"y" * 60)
        assert found.prefix == shared


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"", 0),
        (b"\x90", 1),
        (b"\x9f..", 1),
        (b"\xdc\x00\x01", 3),
        (b"\xdc\x00", 0),
        (b"\xdd\0\0\0\1", 5),
        (b"\x80", 0),
    ],
)
def test_headers_of_lists_are_known(data, size):
    assert header_size(data) == size
