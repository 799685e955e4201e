"""Exports, forks, rewinds and deletes sessions: the steps of each command, with its questions and reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from langchain_mix.cli.failures import report_error
from langchain_mix.cli.sessions.queries import exchanges_of, last_row_kept, rows_up_to
from langchain_mix.cli.sessions.views import SUFFIXES, Format, save, written
from langchain_mix.cli.terminal import confirm, counted, errors_console, one_line, visible, write
from langchain_mix.errors import MixError, MixInputError, MixNotFoundError
from langchain_mix.protocol.api import require
from langchain_mix.protocol.models import BackendMessage, SessionData

if TYPE_CHECKING:
    from langchain_mix.client import Mix

_ASKED_CHARS = 72


@dataclass(frozen=True, slots=True)
class Stored:
    """A session as it is stored now."""

    session: SessionData
    rows: list[BackendMessage]


def read(mix: Mix, session_id: str) -> Stored:
    """Reads a session with all its rows.

    Raises:
        MixNotFoundError: There is no such session. Mix: the list of its messages would only be empty.
    """
    session = mix.sessions.get(id=session_id)
    return Stored(session, mix.messages.list_session(id=session_id))


def export(
    mix: Mix, session_ids: Sequence[str], output: Path | None, *, form: Format, force: bool, console: Console
) -> None:
    """Writes sessions down, each into a file of its own, or one to standard output.

    Args:
        mix: The client.
        session_ids: The sessions.
        output: A file for one session, a directory for any number, None for standard output.
        form: How they are written.
        force: Whether files that are there are replaced.
        console: Standard output.

    Raises:
        MixInputError: There are several sessions and no directory, or a file is there already.
        MixError: A session could not be read.
        OSError: A file could not be written.
    """
    if output is None or not output.is_dir():
        if len(session_ids) != 1:
            raise MixInputError("Several sessions need a directory.", hint="Make one and name it with `--output`.")
        stored = read(mix, session_ids[0])
        text = written(stored.session, stored.rows, form)
        if output is None:
            write(console, text)
        else:
            save(text, output, overwrite=force)
            errors_console().print(Text(f"Wrote {output}."))
        return
    with Progress(console=errors_console(), transient=True) as progress:
        for session_id in progress.track(session_ids, description="Exporting"):
            stored = read(mix, session_id)
            save(
                written(stored.session, stored.rows, form),
                output / f"session-{stored.session.id}{SUFFIXES[form]}",
                overwrite=force,
            )
    errors_console().print(Text(f"Wrote {counted(len(session_ids), 'session')} into {output}."))


def fork(mix: Mix, session_id: str, *, turns: int | None, title: str | None, dry_run: bool, console: Console) -> str:
    """Copies the beginning of a session into a new one.

    Args:
        mix: The client.
        session_id: The session.
        turns: How many exchanges; a negative number leaves out so many of the last; None copies all.
        title: The copy's title, or None for the server's own.
        dry_run: Only report.
        console: Where it is reported.

    Returns:
        The new session; empty after a dry run.

    Raises:
        MixInputError: The session does not have so many exchanges.
        MixUnsupportedError: This generation of the server cannot fork.
        MixError: It failed.
    """
    stored = read(mix, session_id)
    require(mix.known, "fork", "Forking a session")
    index = rows_up_to(stored.rows, turns)
    line = f"{counted(index, 'row')} of {len(stored.rows)}"
    if dry_run:
        console.print(Text(f"Would copy {line} of session {session_id} into a new one. Nothing was done."))
        return ""
    forked = mix.sessions.fork(id=session_id, message_index=index, title=title)
    errors_console().print(Text(f"Copied {line}. Prompt, callbacks and private files are not copied.", style="dim"))
    return forked.id


def rewind(
    mix: Mix, session_id: str, *, turns: int, cleanup_media: bool, dry_run: bool, yes: bool, console: Console
) -> int:
    """Deletes the last exchanges of a session, after asking.

    Args:
        mix: The client.
        session_id: The session.
        turns: How many exchanges stay; a negative number deletes so many of the last.
        cleanup_media: Whether younger private files of the session are deleted too.
        dry_run: Only report.
        yes: Do not ask.
        console: Where it is reported.

    Returns:
        The number of rows that were deleted.

    Raises:
        MixInputError: No exchange would stay, or there are not so many, or the session changed after the question.
        MixError: It failed.
        Abort: The answer was no.
    """
    stored = read(mix, session_id)
    row = last_row_kept(stored.rows, turns)
    kept = stored.rows.index(row) + 1
    gone = len(stored.rows) - kept
    if not gone:
        console.print("Nothing follows; nothing is deleted.")
        return 0
    console.print(Text(f"{'Would delete' if dry_run else 'Deletes'} {counted(gone, 'row')} of session {session_id}:"))
    for exchange in exchanges_of(stored.rows):
        if exchange.end > kept:
            console.print(Text(f"  {exchange.number}. {one_line(exchange.asked, _ASKED_CHARS)}"))
    if dry_run:
        console.print("Nothing was done.")
        return 0
    if not yes:
        confirm("Delete them? This cannot be undone.")
        if [r.id for r in mix.messages.list_session(id=session_id)] != [r.id for r in stored.rows]:
            raise MixInputError("The session has changed meanwhile; nothing was deleted.", hint="Look at it again.")
    mix.sessions.rewind_session(id=session_id, message_id=row.id, cleanup_media=cleanup_media)
    console.print(Text(f"Deleted {counted(gone, 'row')}; {kept} stay."))
    return gone


def delete(mix: Mix, session_ids: Sequence[str], *, yes: bool, console: Console) -> list[str]:
    """Deletes sessions, after asking. One that fails does not keep the others.

    Args:
        mix: The client.
        session_ids: The sessions.
        yes: Do not ask.
        console: Where it is reported.

    Returns:
        Those that could not be deleted.

    Raises:
        MixNotFoundError: One does not exist; then none is deleted.
        MixError: One could not be looked at; then none is deleted.
        Abort: The answer was no.
    """
    sessions = [mix.sessions.get(id=session_id) for session_id in session_ids]
    for session in sessions:
        line = f"  {session.id}  {visible(session.title)}  ({counted(session.user_message_count, 'exchange')})"
        console.print(Text(line))
    if not yes:
        confirm(f"Delete {counted(len(sessions), 'session')}? This cannot be undone.")
    failed: list[str] = []
    with Progress(console=errors_console(), transient=True) as progress:
        for session in progress.track(sessions, description="Deleting"):
            _delete_one(mix, session, failed.append)
    console.print(f"Deleted {counted(len(sessions) - len(failed), 'session')}.")
    return failed


def _delete_one(mix: Mix, session: SessionData, failed: Callable[[str], None]) -> None:
    try:
        mix.sessions.delete(id=session.id)
    except MixNotFoundError:
        return  # Gone is what was wanted; an answer that was lost on the way looks like this, too.
    except MixError as error:
        report_error(error)
        failed(session.id)
