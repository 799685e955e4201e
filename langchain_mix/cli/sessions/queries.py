"""Finds sessions by what people type for them, and divides their rows into exchanges. Neither prints anything."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import typer

from langchain_mix.cli.terminal import counted
from langchain_mix.errors import MixError, MixInputError

if TYPE_CHECKING:
    from langchain_mix.client import Mix
    from langchain_mix.protocol.models import BackendMessage, SessionData

LAST: Final = "last"
"""The newest session."""

_WHOLE_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SHORTEST: Final = 4
_COMPLETION_MS: Final = 1_000


def find_session(mix: Mix, named: str) -> str:
    """Finds a session by what people type for it: its id, four characters from its beginning, or `last` for the newest.

    A whole id is not looked up.

    Raises:
        MixInputError: No session is meant by this, or several are.
        MixError: The sessions could not be listed.
    """
    wanted = named.strip().lower()
    if _WHOLE_ID.fullmatch(wanted):
        return wanted
    if wanted == LAST:
        newest = mix.sessions.list()
        if not newest:
            raise MixInputError("There is no session yet.", hint="`langchain-mix chat` begins one.")
        return newest[0].id
    if len(wanted) < _SHORTEST:
        raise MixInputError(
            f"{named!r} is too short for a session.", hint="Give its id, four characters of it or more, or 'last'."
        )
    found = [s.id for s in mix.sessions.list(include_subagents=True) if s.id.lower().startswith(wanted)]
    if len(found) != 1:
        said = "No session's id begins" if not found else f"The ids of {len(found)} sessions begin"
        raise MixInputError(f"{said} with {named!r}.", hint="`langchain-mix sessions list` shows all.")
    return found[0]


def read_session(mix: Mix, session_id: str) -> tuple[SessionData, list[BackendMessage]]:
    """Reads a session with all its rows, oldest first.

    Raises:
        MixNotFoundError: There is no such session. Mix: the list of its messages would only be empty.
    """
    session = mix.sessions.get(id=session_id)
    return session, mix.messages.list_session(id=session_id)


def complete_session(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Offers ids and titles of sessions to the shell's completion.

    None where the server does not answer within a second: a completion has no place for errors.
    """
    from langchain_mix.client import Mix  # noqa: PLC0415  # Only completion needs it here.
    from langchain_mix.protocol.retry import NO_RETRIES  # noqa: PLC0415  # The same.

    try:
        with Mix(server_url=context.params.get("server"), retry_config=NO_RETRIES, timeout_ms=_COMPLETION_MS) as mix:
            sessions = mix.sessions.list()
    except MixError:
        return []
    return [(s.id, s.title) for s in sessions if s.id.startswith(incomplete)]


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
        """Returns the message of the user."""
        return self.rows[0].user_input

    @property
    def answered(self) -> str:
        """The last text of the agent."""
        texts = [row.assistant_response for row in self.rows if row.role == "assistant" and row.assistant_response]
        return texts[-1] if texts else ""


def exchanges_of(rows: Sequence[BackendMessage]) -> list[Exchange]:
    """Divides all rows of a session into exchanges, oldest first.

    Each row of the user begins one, also those that a callback has written. What precedes the first belongs to none.
    """
    starts = [index for index, row in enumerate(rows) if row.role == "user"]
    ends = [*starts[1:], len(rows)]
    return [
        Exchange(number, tuple(rows[start:end]), end)
        for number, (start, end) in enumerate(zip(starts, ends, strict=False), start=1)
    ]


def rows_up_to(rows: Sequence[BackendMessage], keep: int | None) -> int:
    """Counts the rows that the first exchanges have: `keep` of them, all but so many if it is negative, all for None.

    Raises:
        MixInputError: The session does not have so many exchanges.
    """
    exchanges = exchanges_of(rows)
    if keep is None:
        return len(rows)
    count = keep if keep >= 0 else len(exchanges) + keep
    if not 0 <= count <= len(exchanges):
        raise MixInputError(
            f"The session has {counted(len(exchanges), 'exchange')}, so {abs(keep)} cannot be "
            f"{'kept' if keep >= 0 else 'taken back'}.",
            hint="`langchain-mix sessions show` numbers them.",
        )
    return exchanges[count - 1].end if count else 0


def last_row_kept(rows: Sequence[BackendMessage], keep: int) -> BackendMessage:
    """Returns the row after which a rewind deletes; `keep` is as in `rows_up_to`.

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
