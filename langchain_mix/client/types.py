"""Values that are not given, and the types around them, where the official client has them.

Owns: the value for "not given". Refuses to know: what is done then.
"""

from __future__ import annotations

from typing import Final, TypeAlias, TypeVar

from pydantic import BaseModel

from langchain_mix.protocol.api import ApiKnowledge

__all__ = [
    "UNSET",
    "UNSET_SENTINEL",
    "BaseModel",
    "Nullable",
    "OptionalNullable",
    "UnrecognizedInt",
    "UnrecognizedStr",
    "Unset",
]

T = TypeVar("T")

UNSET_SENTINEL: Final = "~?~unset~?~sentinel~?~"
"""The text of `UNSET` in the JSON of the official client; no request here has it."""


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

Nullable: TypeAlias = T | None
OptionalNullable: TypeAlias = T | Unset | None

Knowledge = ApiKnowledge
"""The public name of what is known of a server's generation."""

UnrecognizedInt = int
UnrecognizedStr = str


def given(value: T | Unset) -> T | None:
    """Returns the value, or None for `UNSET`."""
    return None if isinstance(value, Unset) else value
