"""Which session is meant.

Owns: what people may type for a session: its id, the beginning of it, or `last`. Refuses to know: what is done with it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import typer

from langchain_mix.errors import MixError, MixInputError

if TYPE_CHECKING:
    from langchain_mix.client import Mix

LAST: Final = "last"
"""The newest session."""

_WHOLE_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SHORTEST: Final = 4
_COMPLETION_MS: Final = 1_000


def find_session(mix: Mix, named: str) -> str:
    """Finds the session that somebody means.

    Args:
        mix: The client.
        named: The id, at least four characters from its beginning, or `last` for the newest session.

    Returns:
        The id. A whole one is not looked up.

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


def complete_session(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Offers sessions to the shell's completion.

    Args:
        context: Has the options that are typed already.
        incomplete: What is typed of the session.

    Returns:
        Ids and titles. None where the server cannot be asked within a second: there is nobody to tell it to.
    """
    from langchain_mix.client import Mix  # noqa: PLC0415  # Only completion needs it here.
    from langchain_mix.protocol.retry import NO_RETRIES  # noqa: PLC0415  # The same.

    try:
        with Mix(server_url=context.params.get("server"), retry_config=NO_RETRIES, timeout_ms=_COMPLETION_MS) as mix:
            sessions = mix.sessions.list()
    except MixError:
        return []
    return [(s.id, s.title) for s in sessions if s.id.startswith(incomplete)]
