"""The rows of a session as exchanges: what the user said, and all that followed.

Owns: where exchanges begin and end, and which rows a fork or a rewind at one of them keeps. Pure.
Refuses to know: how rows are read and what is done to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from langchain_mix.errors import MixInputError
from langchain_mix.protocol.models import BackendMessage


@dataclass(frozen=True, slots=True)
class Exchange:
    """A message of the user and what the agent made of it.

    Attributes:
        number: Its place, from 1.
        rows: Its rows, oldest first.
        end: Rows of the session up to and with its last one.
    """

    number: int
    rows: tuple[BackendMessage, ...]
    end: int

    @property
    def asked(self) -> str:
        """What the user said."""
        return self.rows[0].user_input

    @property
    def answered(self) -> str:
        """The last text of the agent."""
        texts = [row.assistant_response for row in self.rows if row.role == "assistant" and row.assistant_response]
        return texts[-1] if texts else ""


def exchanges_of(rows: Sequence[BackendMessage]) -> list[Exchange]:
    """Reads a session's rows as exchanges.

    Args:
        rows: All rows, oldest first. What stands before the first message of the user belongs to no exchange.

    Returns:
        The exchanges, oldest first. Each row of the user begins one, also those that a callback has written.
    """
    starts = [index for index, row in enumerate(rows) if row.role == "user"]
    ends = [*starts[1:], len(rows)]
    return [
        Exchange(number, tuple(rows[start:end]), end)
        for number, (start, end) in enumerate(zip(starts, ends, strict=False), start=1)
    ]


def rows_up_to(rows: Sequence[BackendMessage], keep: int | None) -> int:
    """Counts the rows that the first exchanges have.

    Args:
        rows: All rows of the session.
        keep: How many exchanges; a negative number leaves out so many of the last ones; None keeps all.

    Returns:
        The number of rows, from the first on.

    Raises:
        MixInputError: The session does not have so many exchanges.
    """
    exchanges = exchanges_of(rows)
    if keep is None:
        return len(rows)
    count = keep if keep >= 0 else len(exchanges) + keep
    if not 0 <= count <= len(exchanges):
        raise MixInputError(
            f"The session has {counted(len(exchanges), 'exchange')}, so that {abs(keep)} cannot be "
            f"{'kept' if keep >= 0 else 'taken back'}.",
            hint="`langchain-mix sessions show` numbers them.",
        )
    return exchanges[count - 1].end if count else 0


def last_row_kept(rows: Sequence[BackendMessage], keep: int) -> BackendMessage:
    """Finds the row after which a rewind deletes.

    Args:
        rows: All rows of the session.
        keep: How many exchanges are kept, as in `rows_up_to`.

    Returns:
        The last row that stays.

    Raises:
        MixInputError: The session does not have so many exchanges, or none would stay. Mix: a session cannot be rewound
            to nothing.
    """
    end = rows_up_to(rows, keep)
    if end == 0:
        raise MixInputError(
            "A session cannot be taken back to nothing; its first exchange stays.",
            hint="Begin a new session instead, or delete this one.",
        )
    return rows[end - 1]


def counted(number: int, noun: str) -> str:
    """Says how many: `1 exchange`, `2 exchanges`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
