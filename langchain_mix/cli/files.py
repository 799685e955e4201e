"""`langchain-mix files`: the files that were uploaded to the server.

Mix: all sessions share their uploads, so that any session will do to list, read and write them; but one is needed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_mix.cli.connection import JsonOption, YesOption, option, server_command
from langchain_mix.cli.failures import FAILED, report_error
from langchain_mix.cli.sessions import complete_session, find_session
from langchain_mix.cli.terminal import (
    Column,
    confirm,
    counted,
    errors_console,
    one_line,
    output_console,
    show_table,
    visible,
    write_json,
)
from langchain_mix.errors import MixError, MixInputError
from langchain_mix.reserved_files import is_reserved

if TYPE_CHECKING:
    from langchain_mix.client import Mix
    from langchain_mix.protocol.models import FileInfo

files_app = typer.Typer(no_args_is_help=True, help="List, upload, download, delete files that all sessions share.")

SessionOption = Annotated[
    str | None,
    option(
        "--session",
        "SESSION",
        "Session to use: its id, the beginning of it, or 'last'. Any will do, but private files belong to one.",
        autocompletion=complete_session,
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace files of the same names.")]


@server_command(files_app, "list")
def list_files(mix: Mix, *, session: SessionOption = None, json: JsonOption = False) -> None:
    """List uploaded files.

    Piped into another program, it writes lines of cells separated by tabs.

    For example: langchain-mix files list --json | jq -r '.[].name'
    """
    console = output_console()
    session_id = _session(mix, session)
    found = uploads(mix, session_id) if session_id else []
    if json or found or not console.is_terminal:
        _show(found, json=json)
    else:
        console.print("No file was uploaded yet. `langchain-mix files upload PATH` uploads one.")


@server_command(files_app, "upload")
def upload_files(
    mix: Mix,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Files to upload.", show_default=False)],
    *,
    session: SessionOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Upload files, which all sessions of the server can read then.

    A server may change a name; the names to use are shown.

    For example: langchain-mix files upload report.pdf sales.csv
    """
    stored: list[FileInfo] = []
    for path in paths:
        check_upload(path)
    session_id = _session(mix, session) or mix.sessions.create(title="Files").id
    there = replaced_by(uploads(mix, session_id), [path.name for path in paths])
    if there and not force:
        confirm(f"Replace {visible(', '.join(there))} for all sessions?", way_out="--force")
    for path in paths:
        try:
            with progress_of(f"Uploading {path.name}") as moved:
                stored.append(mix.files.upload_session_file(id=session_id, file=path, progress=moved))
        except MixError as error:
            report_error(error)
    _show(stored, json=json)
    if len(stored) < len(paths):
        raise typer.Exit(FAILED)


@server_command(files_app, "download")
def download_file(
    mix: Mix,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name on the server.", show_default=False)],
    *,
    output: Annotated[
        Path | None,
        option("--output -o", "PATH", "A file or a directory; '-' for standard output. Here, if not given."),
    ] = None,
    session: SessionOption = None,
    force: ForceOption = False,
) -> None:
    """Download a file: all of it, or nothing.

    For example:

        langchain-mix files download report.pdf -o reports/

        langchain-mix files download sales.csv -o - | head
    """
    session_id = _session(mix, session)
    if not session_id:
        raise MixInputError("There is no session, and so no file.", hint="`langchain-mix files upload` makes one.")
    with progress_of(f"Downloading {name}") as moved:
        if str(output) == "-":
            mix.files.download(id=session_id, filename=name, to=sys.stdout.buffer, progress=moved)
            return
        target = output if output is not None else Path()
        if target.is_dir():
            target /= Path(name).name
        if target.exists() and not force:
            raise MixInputError(f"{target} is there already.", hint="Name another with `-o`, or say `--force`.")
        size = mix.files.download(id=session_id, filename=name, to=target, progress=moved, overwrite=force)
    errors_console().print(f"Wrote {visible(str(target))}, {size:,} bytes.", markup=False, soft_wrap=True)


@server_command(files_app, "delete")
def delete_files(
    mix: Mix,
    names: Annotated[
        list[str], typer.Argument(metavar="NAME", help="Names on the server, as `list` shows them.", show_default=False)
    ],
    *,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Delete uploaded files, for all sessions. Nothing brings them back.

    For example:

        langchain-mix files delete report.pdf

        langchain-mix files delete report.pdf sales.csv --yes --json
    """
    session_id = _session(mix, None)
    there = {one.name: one for one in uploads(mix, session_id)} if session_id else {}
    wanted = list(dict.fromkeys(names))
    if missing := [name for name in wanted if name not in there]:
        hint = "`langchain-mix files list` shows all."
        raise MixInputError(f"The server has no file {', '.join(missing)}; nothing was deleted.", hint=hint)
    if not yes:
        confirm(f"Delete {visible(', '.join(wanted))} for all sessions?")
    deleted: list[FileInfo] = []
    for name in wanted:
        try:
            mix.files.delete_session_file(id=session_id, filename=name)
            deleted.append(there[name])
        except MixError as error:
            report_error(error)
    if json:
        _show(deleted, json=True)
    else:
        output_console().print(f"Deleted {counted(len(deleted), 'file')}.")
    if len(deleted) < len(wanted):
        raise typer.Exit(FAILED)


def _show(files: Sequence[FileInfo], *, json: bool) -> None:
    if json:
        write_json(output_console(), [one.model_dump(mode="json") for one in files])
    else:
        columns = ("name", Column("bytes", right=True))
        show_table(output_console(), columns, [(one.name, str(one.size)) for one in files])


def uploads(mix: Mix, session_id: str) -> list[FileInfo]:
    """Returns the uploaded files, without those that this package keeps for itself."""
    return [one for one in mix.files.list_session_files(id=session_id) if not is_reserved(one.name)]


def check_upload(path: Path) -> None:
    """Refuses what cannot be uploaded.

    Raises:
        MixInputError: It is no file, or its name is one that this package keeps for itself.
    """
    if not path.is_file():
        raise MixInputError(no_file(path))
    if is_reserved(path.name):
        raise MixInputError(f"{path.name} is a name that checkpoints use.", hint="Rename the file.")


def no_file(path: Path) -> str:
    """Returns why a path names no file."""
    if path.is_dir():
        return f"{path} is a directory."
    return f"{path} is no file." if path.exists() else f"There is no file {path}."


def replaced_by(files: Sequence[FileInfo], names: Sequence[str]) -> list[str]:
    """Returns the names of uploaded files that uploads of these names may replace, for all sessions."""
    new = {name_on_server(name) for name in names}
    return [file.name for file in files if name_on_server(file.name) in new]


def name_on_server(name: str) -> str:
    """Returns the name as a server may rewrite it: white space and inner dots become `_`, and one of them is enough."""
    base, dot, suffix = name.rpartition(".")
    if not base:
        base, dot, suffix = name, "", ""
    plain = "_".join(base.replace(".", " ").replace("_", " ").split())
    return f"{plain}{dot}{suffix}"


@contextmanager
def progress_of(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Shows the progress of a transfer on standard error, where that is a terminal."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn  # noqa: PLC0415

    console = errors_console()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(one_line(what, 60), total=None)

        def moved(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        yield moved


def _session(mix: Mix, named: str | None) -> str:
    """Returns a session through which files are addressed; empty if the server has none."""
    if named:
        return find_session(mix, named)
    return next((one.id for one in mix.sessions.list()), "")
