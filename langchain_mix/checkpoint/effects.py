"""What a procedure of the store may ask for beside calls: a pause, and its turn.

Owns: the vocabulary between procedures and drivers. Refuses to know: how anyone waits (`driver.py`).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from langchain_mix.checkpoint.line import Ticket
from langchain_mix.protocol.call import Call, Together

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for a while.

    Attributes:
        seconds: How long.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Turn:
    """Wait until it is this ticket's turn, or until somebody else has done its work.

    Attributes:
        ticket: A place in the line.
    """

    ticket: Ticket


Steps: TypeAlias = Generator[Call[Any] | Together | Pause | Turn, Any, T]
"""A procedure of the store and its result. A `Flow` is one too: `yield from` takes both."""
