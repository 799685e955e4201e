"""`langchain-mix sessions`: the commands, how people name a session, and the exchanges that its rows are.

What they show is in `session_views.py`, which is imported when a command runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer
from rich.text import Text

from langchain_mix.cli.connection import DryRunOption, JsonOption, LimitOption, YesOption, option, server_command
from langchain_mix.cli.failures import FAILED, report_error
from langchain_mix.cli.terminal import (
    confirm,
    counted,
    errors_console,
    one_line,
    output_console,
    visible,
    write,
    write_json,
)
from langchain_mix.errors import MixError, MixInputError, MixNotFoundError
from langchain_mix.protocol.api import require

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
    from langchain_mix.client import Mix  # Only completion needs it here.
    from langchain_mix.protocol.retry import NO_RETRIES  # The same.

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


sessions_app = typer.Typer(no_args_is_help=True, help="Look at sessions, copy them, take them back, delete them.")

SessionArgument = Annotated[
    str,
    typer.Argument(
        metavar="SESSION",
        help="Its id, the beginning of it, or 'last' for the newest.",
        autocompletion=complete_session,
        show_default=False,
    ),
]
_SEVERAL: Final = typer.Argument(
    metavar="SESSION",
    help="Ids, beginnings of them, or 'last'.",
    autocompletion=complete_session,
    show_default=False,
)
_ASKED_CHARS: Final = 72


@server_command(sessions_app, "list")
def list_sessions(
    mix: Mix,
    *,
    limit: LimitOption = None,
    subagents: Annotated[bool, typer.Option("--subagents", help="Show sessions of sub-agents, too.")] = False,
    json: JsonOption = False,
) -> None:
    """List sessions, newest first.

    A terminal shows the columns that fit it. Piped into another program, it writes lines of all cells separated by
    tabs; with --json, all there is.

    For example:

        langchain-mix sessions list -n 10

        langchain-mix sessions list --json | jq -r '.[].id'
    """
    from langchain_mix.cli.session_views import show_sessions

    console = output_console()
    sessions = mix.sessions.list(include_subagents=True if subagents else None)[:limit]
    if json:
        write_json(console, [s.model_dump(mode="json", by_alias=True, exclude_unset=True) for s in sessions])
    elif sessions or not console.is_terminal:
        show_sessions(console, sessions)
    else:
        console.print("There is no session yet. `langchain-mix chat` begins one.")


@server_command(sessions_app, "show", short_help="Show what was said in a session.")
def show_session(
    mix: Mix,
    session: SessionArgument,
    *,
    last: Annotated[int | None, option("--last -n", "N", "Show so many of the last exchanges.", min=0)] = None,
    json: JsonOption = False,
) -> None:
    """Show what was said in a session: questions, thinking, tools, answers.

    For example:

        langchain-mix sessions show last

        langchain-mix sessions show 3f2a --last 2
    """
    from langchain_mix.cli import session_views as views

    console = output_console()
    found, rows = read_session(mix, find_session(mix, session))
    if json:
        write_json(console, views.as_data(found, rows))
        return
    views.show_head(console, found)
    views.show_transcript(console, rows, last=last)


@server_command(sessions_app, "export", short_help="Write sessions down as Markdown or JSON.")
def export_sessions(
    mix: Mix,
    sessions: Annotated[list[str] | None, _SEVERAL] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Export all sessions.")] = False,
    output: Annotated[
        Path | None,
        option("--output -o", "PATH", "A file, or a directory for several; '-' or nothing for standard output."),
    ] = None,
    form: Annotated[
        Literal["markdown", "json"],
        option("--format -f", "FORMAT", "How it is written: markdown or json.", show_default=True),
    ] = "markdown",
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Write sessions down as Markdown or JSON, with the results of tools where the server has them (since API 0.8).

    A file is written whole or not at all.

    For example:

        langchain-mix sessions export last -o talk.md

        langchain-mix sessions export --all --format json -o backup/
    """
    from rich.progress import track

    from langchain_mix.cli.session_views import SUFFIXES, save, written

    if everything == bool(sessions):
        raise MixInputError("Which sessions?", hint="Name them, or say `--all`.")
    ids = _distinct(mix, sessions) if sessions else [s.id for s in mix.sessions.list()]
    notes = errors_console()
    if output is not None and output.is_dir():
        for session_id in track(ids, "Exporting", console=notes, transient=True):
            found, rows = read_session(mix, session_id)
            save(written(found, rows, form), output / f"session-{found.id}{SUFFIXES[form]}", overwrite=force)
        notes.print(Text(f"Wrote {counted(len(ids), 'session')} into {output}."))
        return
    if len(ids) != 1:
        raise MixInputError("Several sessions need a directory.", hint="Make one and name it with `--output`.")
    found, rows = read_session(mix, ids[0])
    text = written(found, rows, form)
    if output is None or str(output) == "-":
        write(output_console(), text)
    else:
        save(text, output, overwrite=force)
        notes.print(Text(f"Wrote {output}."))


@server_command(sessions_app, "fork", short_help="Copy the beginning of a session (until API 0.7).")
def fork_session(
    mix: Mix,
    session: SessionArgument,
    *,
    turns: Annotated[
        int | None, option("--turns -t", "N", "Copy so many exchanges; -1: all but the last. All if not given.")
    ] = None,
    title: Annotated[str | None, option("--title", "TITLE", "Title of the copy.")] = None,
    dry_run: DryRunOption = False,
) -> None:
    """Copy the beginning of a session into a new one and write the new id. Servers have this until API 0.7.

    For example:

        langchain-mix sessions fork last --turns 2 --dry-run

        langchain-mix chat --session $(langchain-mix sessions fork last -t -1)
    """
    session_id = find_session(mix, session)
    _, rows = read_session(mix, session_id)
    require(mix.known, "fork", "Forking a session")
    index = rows_up_to(rows, turns)
    amount = f"{counted(index, 'message')} of {len(rows)}"
    if dry_run:
        line = f"Would copy {amount} of session {session_id} into a new one. Nothing was done."
        output_console().print(Text(line))
        return
    forked = mix.sessions.fork(id=session_id, message_index=index, title=title)
    errors_console().print(Text(f"Copied {amount}. Prompt, callbacks and private files are not copied.", style="dim"))
    write(output_console(), f"{forked.id}\n")


@server_command(sessions_app, "rewind")
def rewind_session(
    mix: Mix,
    session: SessionArgument,
    *,
    turns: Annotated[
        int, option("--turns -t", "N", "Keep so many exchanges; -1: all but the last.", show_default=True)
    ] = -1,
    cleanup_media: Annotated[
        bool, typer.Option("--cleanup-media", help="Delete the session's younger private files, too.")
    ] = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Delete the last exchanges of a session. Nothing brings them back.

    For example:

        langchain-mix sessions rewind last --dry-run

        langchain-mix sessions rewind 3f2a --turns 4 --yes
    """
    console = output_console()
    session_id = find_session(mix, session)
    _, rows = read_session(mix, session_id)
    row = last_row_kept(rows, turns)
    kept = rows.index(row) + 1
    gone = counted(len(rows) - kept, "message")
    if kept == len(rows):
        console.print("Nothing follows; nothing is deleted.")
        return
    console.print(Text(f"{'Would delete' if dry_run else 'Deletes'} {gone} of session {session_id}:"))
    for exchange in exchanges_of(rows):
        if exchange.end > kept:
            console.print(Text(f"  {exchange.number}. {one_line(exchange.asked, _ASKED_CHARS)}"))
    if dry_run:
        console.print("Nothing was done.")
        return
    if not yes:
        confirm("Delete them?")
        if [r.id for r in mix.messages.list_session(id=session_id)] != [r.id for r in rows]:
            raise MixInputError("The session has changed meanwhile; nothing was deleted.", hint="Look at it again.")
    mix.sessions.rewind_session(id=session_id, message_id=row.id, cleanup_media=cleanup_media)
    console.print(Text(f"Deleted {gone}; {kept} stay."))


@server_command(sessions_app, "delete")
def delete_sessions(mix: Mix, sessions: Annotated[list[str], _SEVERAL], *, yes: YesOption = False) -> None:
    """Delete sessions with their messages and private files. Uploaded files stay, as all sessions share them.

    For example:

        langchain-mix sessions delete last

        langchain-mix sessions delete 3f2a 91bc --yes
    """
    from rich.progress import track

    console = output_console()
    found = [mix.sessions.get(id=session_id) for session_id in _distinct(mix, sessions)]
    for one in found:
        line = f"  {one.id}  {visible(one.title)}  ({counted(one.user_message_count, 'exchange')})"
        console.print(Text(line))
    if not yes:
        confirm(f"Delete {counted(len(found), 'session')}?")
    failed: list[str] = []
    for one in track(found, "Deleting", console=errors_console(), transient=True):
        _delete(mix, one, failed.append)
    console.print(f"Deleted {counted(len(found) - len(failed), 'session')}.")
    if failed:
        raise typer.Exit(FAILED)


def _distinct(mix: Mix, named: Sequence[str]) -> list[str]:
    """Returns the ids of sessions, each once."""
    return list(dict.fromkeys(find_session(mix, one) for one in named))


def _delete(mix: Mix, session: SessionData, failed: Callable[[str], None]) -> None:
    try:
        mix.sessions.delete(id=session.id)
    except MixNotFoundError:
        return  # Gone is what was wanted; an answer that was lost on the way looks like this, too.
    except MixError as error:
        report_error(error)
        failed(session.id)
