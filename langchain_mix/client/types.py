"""Values that are not given, where the official client has them.

Owns: the value for "not given". Refuses to know: what is done then.
"""

from __future__ import annotations

from typing import Final, TypeVar

T = TypeVar("T")


class Unset:
    """The type of `UNSET`, which is false."""

    def __bool__(self) -> bool:
        """Returns False."""
        return False

    def __repr__(self) -> str:
        """Returns the name of the value."""
        return "UNSET"


UNSET: Final = Unset()
"""An argument that is not given: the client's policy is used."""


def given(value: T | Unset) -> T | None:
    """Returns the value, or None for `UNSET`."""
    return None if isinstance(value, Unset) else value
