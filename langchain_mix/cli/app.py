"""The commands of `langchain-mix`.

Owns: which commands there are. Refuses to know: what they do; each group has a module of its own.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from langchain_mix._version import __version__
from langchain_mix.cli.chat.command import chat
from langchain_mix.cli.checkpoints.commands import checkpoints_app
from langchain_mix.cli.connection import ApiOption, HeaderOption, JsonOption, PlainHelp, ServerOption, connect, option
from langchain_mix.cli.failures import EXIT_CODES, FAILED, reported_errors
from langchain_mix.cli.files import files_app
from langchain_mix.cli.record import record
from langchain_mix.cli.server_settings import auth_app, preferences_app, tools_app
from langchain_mix.cli.sessions import sessions_app
from langchain_mix.cli.terminal import output_console, write_json
from langchain_mix.protocol.api import parse_api

app = typer.Typer(
    name="langchain-mix",
    help="The Mix agent server inside LangChain.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    # Boxes leave the texts of a command with many options 18 of 80 columns.
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:  # noqa: FBT001  # The form typer calls.
    if wanted:
        typer.echo(f"langchain-mix {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Try `langchain-mix demo`: it needs no server and no key."""


@app.command(cls=PlainHelp, epilog=EXIT_CODES, short_help="Show files, thinking, tools, streaming and forks, offline.")
def demo() -> None:
    """Show it all on this machine: files, thinking, tools, streaming, forks. No server, no key.

    Starts a Mix emulator, uploads a small table and a report, asks about both through ChatMix, and forks the
    conversation.

    For example: langchain-mix demo
    """
    from langchain_mix.cli.serve import run_demo

    with reported_errors():
        run_demo(output_console())


@app.command(cls=PlainHelp, epilog=EXIT_CODES)
def serve(
    *,
    api: Annotated[
        str, option("--api", "VERSION", "API generation: 0.5, 0.6, 0.6.5, 0.7, 0.8 or next.", show_default=True)
    ] = "0.8",
    port: Annotated[
        int, option("--port", "N", "Port; 0 takes a free one.", min=0, max=65535, show_default=True)
    ] = 8088,
    agent: Annotated[
        str,
        option(
            "--agent", "AGENT", "Who answers: offline, or model:PROVIDER:NAME for any chat model.", show_default=True
        ),
    ] = "offline",
    data: Annotated[
        Path | None,
        option("--data", "DIRECTORY", "Where sessions and files are kept; forgotten if not given.", file_okay=False),
    ] = None,
    require_credentials: Annotated[
        bool, typer.Option("--require-credentials", help="Refuse messages until a provider's key is stored.")
    ] = False,
    pace: Annotated[
        float | None, option("--pace", "N", "Words in a second that the agent writes, to see it stream.", min=0.1)
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Create a session with two files to ask about.")] = False,
    allow_host: Annotated[
        list[str] | None, option("--allow-host", "NAME", "Another name to answer to; may be given several times.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        option(
            "--allow-origin", "ORIGIN", "A web origin whose pages may use a model:… agent; may be given several times."
        ),
    ] = None,
) -> None:
    """Run a Mix emulator until Ctrl-C. For development and tests; it listens on this machine only.

    For example: langchain-mix serve --api 0.7 --port 8088 --data ./mix-data
    """
    from langchain_mix.cli.serve import run_server

    with reported_errors():
        run_server(
            output_console(),
            agent=agent,
            pace=pace,
            demo=demo,
            api=api,
            port=port,
            data_dir=data,
            auth_required=require_credentials,
            hosts=tuple(allow_host or ()),
            origins=tuple(allow_origin) if allow_origin else None,
        )


@app.command(
    cls=PlainHelp,
    epilog="Exit codes: 0 no problem, 1 problems, 2 misuse, 130 Ctrl-C.",
    short_help="Find out why it does not work.",
)
def doctor(
    *,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    session: Annotated[
        str | None, option("--session", "SESSION", "Session whose stream is measured; the one it creates if not given.")
    ] = None,
    timeout: Annotated[
        float, option("--timeout", "SECONDS", "Seconds to wait for each answer.", min=0.1, show_default=True)
    ] = 5.0,
    heartbeat: Annotated[
        float,
        option(
            "--heartbeat",
            "SECONDS",
            "Seconds to wait for a heartbeat of the stream, such as 60.",
            min=0.0,
            show_default=True,
        ),
    ] = 0.0,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Create no session; whether one can be created is then not known.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Find out why it does not work: versions, server, generation, sessions, credentials, streaming, uploads.

    It creates a session with the default options and deletes it again; otherwise it only reads. Streaming is measured
    on that session: `connected` must come at once. With --heartbeat 60 it also finds proxies that cut or hold back
    quiet streams.

    For example:

        langchain-mix doctor

        langchain-mix doctor -s https://mix.example.com --heartbeat 60 --json
    """
    from langchain_mix.cli.doctor import as_data, examine, show
    from langchain_mix.protocol.retry import NO_RETRIES

    console = output_console()
    with reported_errors():
        parse_api(api)  # Before anything is sent.
        with connect(server, headers=header, retries=NO_RETRIES, timeout_ms=round(timeout * 1000)) as mix:
            findings = list(examine(mix, api, session, read_only=read_only, timeout=timeout, heartbeat=heartbeat))
            if json:
                write_json(console, as_data(mix.server_url, findings))
            else:
                show(console, findings)
    if any(f.status == "problem" for f in findings):
        raise typer.Exit(FAILED)


app.command("chat", cls=PlainHelp, epilog=EXIT_CODES, short_help="Talk to a Mix agent in the terminal.")(chat)
app.add_typer(sessions_app, name="sessions")
app.add_typer(files_app, name="files")
app.add_typer(checkpoints_app, name="checkpoints", short_help="See and look after the threads that MixSaver keeps.")
app.add_typer(auth_app, name="auth", short_help="Store keys of model providers on the server.")
app.add_typer(tools_app, name="tools")
app.add_typer(preferences_app, name="preferences")


# What it needs is an extra of its own; the command says so to those who know it.
app.command(
    "record",
    cls=PlainHelp,
    epilog=EXIT_CODES,
    short_help="Record the cassettes of the test suite.",
    hidden=any(find_spec(name) is None for name in ("vcr", "yaml", "pytest")),
)(record)
