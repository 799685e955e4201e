"""A value told by what is new in it.

Owns: how bytes are compared with earlier ones. Refuses to know: where the earlier ones stand (`table.py`).

Message lists grow at their end, but the serialised list has its length in front. That header is kept apart, so a grown
list costs its new messages only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_SMALL: Final = 48
"""Bytes below which a difference is not worth telling."""

_ARRAY16: Final = 0xDC
_ARRAY32: Final = 0xDD
_FIXARRAY: Final = range(0x90, 0xA0)


@dataclass(frozen=True, slots=True)
class Difference:
    """What makes a value out of an earlier one.

    Attributes:
        header: Its own header.
        prefix: How many bytes behind the header are those of the earlier value.
        rest: The bytes after that.
    """

    header: bytes
    prefix: int
    rest: bytes


def header_size(data: bytes) -> int:
    """Bytes of the msgpack array header at the front, 0 if there is none."""
    first = data[0] if data else 0
    if first in _FIXARRAY:
        return 1
    size = {_ARRAY16: 3, _ARRAY32: 5}.get(first, 0)
    return size if size <= len(data) else 0


def difference(earlier: bytes, data: bytes) -> Difference | None:
    """Compares a value with an earlier one.

    Args:
        earlier: The earlier value.
        data: The value.

    Returns:
        What is new, or None if that is not much less than the value.
    """
    if len(data) < _SMALL:
        return None
    old, new = header_size(earlier), header_size(data)
    shared = _common(earlier, old, data, new)
    if shared < _SMALL // 2:
        return None
    return Difference(data[:new], shared, data[new + shared :])


def _common(left: bytes, left_at: int, right: bytes, right_at: int) -> int:
    """Length of what both have in common from there on; slices compare much faster than bytes one by one."""
    most = min(len(left) - left_at, len(right) - right_at)
    if left[left_at : left_at + most] == right[right_at : right_at + most]:
        return most
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        if left[left_at + low : left_at + middle] == right[right_at + low : right_at + middle]:
            low = middle
        else:
            high = middle
    return low
