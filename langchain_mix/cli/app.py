"""The commands of `langchain-mix`.

Owns: which commands there are. Refuses to know: what they do; each group has a module of its own.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from langchain_mix._version import __version__
from langchain_mix.cli.auth import auth_app
from langchain_mix.cli.chat.command import chat
from langchain_mix.cli.checkpoints.commands import checkpoints_app
from langchain_mix.cli.connection import HeaderOption
from langchain_mix.cli.doctor.command import doctor
from langchain_mix.cli.failures import EXIT_CODES, reported_errors
from langchain_mix.cli.files import files_app
from langchain_mix.cli.preferences import preferences_app
from langchain_mix.cli.sessions.commands import sessions_app
from langchain_mix.cli.terminal import output_console
from langchain_mix.cli.tools import tools_app

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


@app.command(epilog=EXIT_CODES, short_help="Show files, thinking, tools, streaming and forks, offline.")
def demo() -> None:
    """Show it all on this machine: files, thinking, tools, streaming, forks. No server, no key.

    Starts a Mix emulator, uploads a small table and a report, asks about both through ChatMix, and forks the
    conversation.

    For example: langchain-mix demo
    """
    from langchain_mix.cli.demo import run_demo

    with reported_errors():
        run_demo(output_console())


@app.command(epilog=EXIT_CODES)
def serve(
    *,
    api: Annotated[str, typer.Option(help="API generation: 0.5, 0.6, 0.6.5, 0.7, 0.8 or next.")] = "0.8",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8088,
    agent: Annotated[
        str, typer.Option(help="Who answers: offline, or model:<provider:name> for any LangChain chat model.")
    ] = "offline",
    data: Annotated[
        Path | None, typer.Option(file_okay=False, help="Where sessions and files are kept; forgotten if not given.")
    ] = None,
    require_credentials: Annotated[
        bool, typer.Option("--require-credentials", help="Refuse messages until a provider's key is stored.")
    ] = False,
    pace: Annotated[
        float | None,
        typer.Option(min=0.1, help="Words in a second that the agent writes, so that streaming is visible."),
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Create a session with two files to ask about.")] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A name to answer to in addition to those of this machine; may be given several times."),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            help="A web origin whose pages may use a server with a model:… agent; may be given several times."
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
            api=api,
            port=port,
            agent=agent,
            data=data,
            require_credentials=require_credentials,
            pace=pace,
            demo=demo,
            hosts=tuple(allow_host or ()),
            origins=tuple(allow_origin) if allow_origin else None,
        )


app.command("chat", epilog=EXIT_CODES, short_help="Talk to a Mix agent in the terminal.")(chat)
app.command(
    "doctor",
    short_help="Find out why it does not work.",
    epilog="Exit codes: 0 no problem, 1 problems, 2 misuse, 130 Ctrl-C.",
)(doctor)
app.add_typer(sessions_app, name="sessions")
app.add_typer(files_app, name="files")
app.add_typer(checkpoints_app, name="checkpoints", short_help="See and look after the threads that MixSaver keeps.")
app.add_typer(auth_app, name="auth", short_help="Store keys of model providers on the server.")
app.add_typer(tools_app, name="tools")
app.add_typer(preferences_app, name="preferences")


# What it needs is an extra of its own; the command says so to those who know it.
@app.command(
    epilog=EXIT_CODES,
    short_help="Record the cassettes of the test suite.",
    hidden=any(find_spec(name) is None for name in ("vcr", "yaml", "pytest")),
)
def record(
    api: Annotated[str, typer.Option(help="API generation, or auto for all of them.")] = "auto",
    server: Annotated[
        str | None, typer.Option("--server", "-s", help="A real server; its agent works and may cost money.")
    ] = None,
    header: HeaderOption = None,
    directory: Annotated[Path, typer.Option(file_okay=False, help="Where the cassettes go.")] = Path("cassettes"),
    scenario: Annotated[list[str] | None, typer.Option(help="A scenario; may be given several times.")] = None,
) -> None:
    """Record the cassettes of the test suite again: from emulators, or from a real server.

    For example: langchain-mix record --api 0.8 --scenario plain
    """
    from langchain_mix.cli.record import run_record

    with reported_errors():
        run_record(
            output_console(),
            api=api,
            server=server,
            headers=header,
            directory=directory,
            scenarios=tuple(scenario or ()),
        )
