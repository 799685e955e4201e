"""The commands of `langchain-mix sessions` with their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from langchain_mix.cli.connection import ApiOption, HeaderOption, JsonOption, ServerOption, connect
from langchain_mix.cli.failures import EXIT_CODES, FAILED, reported_errors
from langchain_mix.cli.sessions.queries import complete_session, find_session
from langchain_mix.cli.terminal import output_console, write, write_json

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
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]


@sessions_app.command("list", epilog=EXIT_CODES)
def list_sessions(
    *,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="Show so many of the newest.", show_default=False)
    ] = None,
    subagents: Annotated[bool, typer.Option("--subagents", help="Show sessions of sub-agents, too.")] = False,
    json: JsonOption = False,
) -> None:
    """List sessions, newest first.

    Piped into another program, it writes lines of cells separated by tabs.

    For example:

        langchain-mix sessions list -n 10

        langchain-mix sessions list --json | jq -r '.[].id'
    """
    from langchain_mix.cli.sessions.views import show_sessions

    console = output_console()
    with reported_errors(), connect(server, api=api, headers=header) as mix:
        sessions = mix.sessions.list(include_subagents=True if subagents else None)[:limit]
        if json:
            write_json(console, [s.model_dump(mode="json", by_alias=True, exclude_unset=True) for s in sessions])
        elif sessions or not console.is_terminal:
            show_sessions(console, sessions)
        else:
            console.print("There is no session yet. `langchain-mix chat` begins one.")


@sessions_app.command("show", epilog=EXIT_CODES, short_help="Show what was said in a session.")
def show_session(
    session: SessionArgument,
    *,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    last: Annotated[
        int | None, typer.Option("--last", "-n", min=0, help="Show so many of the last exchanges.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show what was said in a session: questions, thinking, tools, answers.

    For example:

        langchain-mix sessions show last

        langchain-mix sessions show 3f2a --last 2
    """
    from langchain_mix.cli.sessions.actions import read
    from langchain_mix.cli.sessions.views import (
        as_data,
        show_head,
        show_transcript,
    )

    console = output_console()
    with reported_errors(), connect(server, api=api, headers=header) as mix:
        stored = read(mix, find_session(mix, session))
        if json:
            write_json(console, as_data(stored.session, stored.rows))
            return
        show_head(console, stored.session)
        show_transcript(console, stored.rows, last=last)


@sessions_app.command("export", epilog=EXIT_CODES, short_help="Write sessions down as Markdown or JSON.")
def export_sessions(
    sessions: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SESSION...",
            help="Ids, beginnings of them, or 'last'.",
            autocompletion=complete_session,
            show_default=False,
        ),
    ] = None,
    *,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Export all sessions.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A file, or a directory for several; '-' or nothing for standard output."),
    ] = None,
    form: Annotated[
        Literal["markdown", "json"], typer.Option("--format", "-f", help="How it is written.")
    ] = "markdown",
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Write sessions down as Markdown or JSON, results of tools included where the server has them (Mix 0.8).

    A file is written whole or not at all.

    For example:

        langchain-mix sessions export last -o talk.md

        langchain-mix sessions export --all --format json -o backup/
    """
    from langchain_mix.cli.sessions.actions import export
    from langchain_mix.errors import MixInputError

    with reported_errors(), connect(server, api=api, headers=header) as mix:
        if everything == bool(sessions):
            raise MixInputError("Which sessions?", hint="Name them, or say `--all`.")
        ids = [s.id for s in mix.sessions.list()] if everything else [find_session(mix, s) for s in sessions or ()]
        if str(output) == "-":
            output = None
        export(mix, list(dict.fromkeys(ids)), output, form=form, force=force, console=output_console())


@sessions_app.command("fork", epilog=EXIT_CODES, short_help="Copy the beginning of a session (Mix before 0.8).")
def fork_session(
    session: SessionArgument,
    *,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    turns: Annotated[
        int | None,
        typer.Option("--turns", "-t", help="Copy so many exchanges; -1: all but the last. All if not given."),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="Title of the copy.", show_default=False)] = None,
    dry_run: DryRunOption = False,
) -> None:
    """Copy the beginning of a session into a new one and write the new id (Mix before 0.8).

    For example:

        langchain-mix sessions fork last --turns 2 --dry-run

        langchain-mix chat --session $(langchain-mix sessions fork last --turns -1)
    """
    from langchain_mix.cli.sessions.actions import fork

    console = output_console()
    with reported_errors(), connect(server, api=api, headers=header) as mix:
        found = find_session(mix, session)
        forked = fork(mix, found, turns=turns, title=title, dry_run=dry_run, console=console)
        if forked:
            write(console, f"{forked}\n")


@sessions_app.command("rewind", epilog=EXIT_CODES)
def rewind_session(
    session: SessionArgument,
    *,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    turns: Annotated[int, typer.Option("--turns", "-t", help="Keep so many exchanges; -1: all but the last.")] = -1,
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
    from langchain_mix.cli.sessions.actions import rewind

    with reported_errors(), connect(server, api=api, headers=header) as mix:
        rewind(
            mix,
            find_session(mix, session),
            turns=turns,
            cleanup_media=cleanup_media,
            dry_run=dry_run,
            yes=yes,
            console=output_console(),
        )


@sessions_app.command("delete", epilog=EXIT_CODES)
def delete_sessions(
    sessions: Annotated[
        list[str],
        typer.Argument(
            metavar="SESSION...",
            help="Ids, beginnings of them, or 'last'.",
            autocompletion=complete_session,
            show_default=False,
        ),
    ],
    *,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    yes: YesOption = False,
) -> None:
    """Delete sessions with their messages and private files. Uploaded files stay, as all sessions share them.

    For example:

        langchain-mix sessions delete last

        langchain-mix sessions delete 3f2a 91bc --yes
    """
    from langchain_mix.cli.sessions.actions import delete

    with reported_errors(), connect(server, api=api, headers=header) as mix:
        ids = [find_session(mix, s) for s in sessions]
        if delete(mix, list(dict.fromkeys(ids)), yes=yes, console=output_console()):
            raise typer.Exit(FAILED)
