"""The commands of `langchain-mix`.

Owns: which commands there are. Refuses to know: what they do; each group has a module of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from langchain_mix._version import __version__
from langchain_mix.cli.checkpoints.commands import checkpoints_app
from langchain_mix.cli.connection import (
    ApiOption,
    HeaderOption,
    JsonOption,
    PlainHelp,
    ServerOption,
    connect,
    headers_for,
    option,
)
from langchain_mix.cli.failures import EXIT_CODES, FAILED, INTERRUPTED, reported_errors
from langchain_mix.cli.files import files_app
from langchain_mix.cli.server_settings import auth_app, preferences_app, tools_app
from langchain_mix.cli.sessions import complete_session, sessions_app
from langchain_mix.cli.terminal import errors_console, output_console, write_json
from langchain_mix.errors import MixConfigurationError, MixInputError
from langchain_mix.protocol.api import ALL, ApiVersion, parse_api

_EMULATED = "0.7"
"""What `--emulator` speaks by default: the last generation that can fork."""

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


@app.command(cls=PlainHelp, epilog=EXIT_CODES, short_help="Talk to a Mix agent in the terminal.")
def chat(
    message: Annotated[
        str | None,
        typer.Argument(metavar="MESSAGE", help="Ask only this, show the answer and leave.", show_default=False),
    ] = None,
    *,
    server: ServerOption = None,
    api: ApiOption = "auto",
    header: HeaderOption = None,
    emulator: Annotated[
        bool,
        typer.Option("--emulator", help="Talk to a local emulator: no server, no key; deleted at the end."),
    ] = False,
    session: Annotated[
        str | None,
        option(
            "--session",
            "SESSION",
            "Go on in this session: its id, the beginning of it, or 'last'.",
            autocompletion=complete_session,
        ),
    ] = None,
    title: Annotated[str, option("--title", "TITLE", "Title of a new session.", show_default=True)] = "Chat",
    permissions: Annotated[
        Literal["ask", "deny", "allow"],
        option(
            "--permissions",
            "WHAT",
            "What becomes of the agent's requests to run a tool: ask, deny or allow.",
            show_default=True,
        ),
    ] = "ask",
    plan: Annotated[bool, typer.Option("--plan", help="Let the agent only read and plan.")] = False,
    thinking_level: Annotated[
        Literal["off", "basic", "medium", "maximum"] | None,
        option(
            "--thinking-level", "LEVEL", "How much the model may think: off, basic, medium or maximum. Since API 0.7."
        ),
    ] = None,
    max_steps: Annotated[
        int | None, option("--max-steps", "N", "Steps after which a turn ends. Since API 0.8.", min=1)
    ] = None,
    thinking: Annotated[
        bool, typer.Option("--thinking/--no-thinking", help="Show what the model thinks, in a terminal.")
    ] = True,
    history: Annotated[bool, typer.Option("--history/--no-history", help="Remember what you type in a file.")] = True,
) -> None:
    """Talk to a Mix agent: streamed answers, its thinking, its tools, a prompt before it changes something.

    Without a terminal it reads one message from standard input and writes the answer as plain text; tools that need
    a permission are denied then, unless --permissions allow says otherwise. /help in the chat lists its commands.

    For example:

        langchain-mix chat --emulator

        langchain-mix chat --session last

        git diff | langchain-mix chat --server http://localhost:8088 > review.md
    """
    from langchain_mix.cli.chat.conversation import ChatOptions
    from langchain_mix.cli.chat.turns import resume_command, run_chat

    options = ChatOptions(
        title=title,
        permissions=permissions,
        plan_mode=plan,
        thinking_level=thinking_level,
        max_steps=max_steps,
        show_thinking=thinking,
        history=history,
    )
    with reported_errors():
        if message is not None and not message.strip():
            raise MixInputError("The message is empty.", hint="Write one, or leave it out to type it.")
        if emulator and server is not None:
            raise MixConfigurationError("--server and --emulator name two servers.", hint="Leave one out.")
        with (
            _serving(server, api, emulated=emulator) as (url, spoken),
            connect(url, api=spoken, headers=header) as mix,
        ):
            resume = None if emulator else partial(resume_command, server=server, api=api, headers=header)
            answered = run_chat(mix, options, message, session, resume)
    if not answered:
        raise typer.Exit(INTERRUPTED)


@contextmanager
def _serving(server: str | None, api: str, *, emulated: bool) -> Iterator[tuple[str | None, str]]:
    """The server's URL and generation; an emulator runs meanwhile if that is wanted."""
    if not emulated:
        yield server, api
        return
    from langchain_mix.emulator import MixEmulator

    with MixEmulator(api=str(parse_api(api) or _EMULATED)) as emulator:
        errors_console().print(
            f"A Mix emulator (API {emulator.api}) answers, offline. It is forgotten at the end.", style="dim"
        )
        yield emulator.url, str(emulator.api)


app.add_typer(sessions_app, name="sessions")
app.add_typer(files_app, name="files")
app.add_typer(checkpoints_app, name="checkpoints", short_help="See and look after the threads that MixSaver keeps.")
app.add_typer(auth_app, name="auth", short_help="Store keys of model providers on the server.")
app.add_typer(tools_app, name="tools")
app.add_typer(preferences_app, name="preferences")


# What it needs is an extra of its own; the command says so to those who know it.
@app.command(
    cls=PlainHelp,
    epilog=EXIT_CODES,
    short_help="Record the cassettes of the test suite.",
    hidden=any(find_spec(name) is None for name in ("vcr", "yaml", "pytest")),
)
def record(
    *,
    api: Annotated[
        str, option("--api", "VERSION", "API generation, or auto for all of them.", show_default=True)
    ] = "auto",
    server: Annotated[
        str | None, option("--server -s", "URL", "A real server; its agent works and may cost money.")
    ] = None,
    header: HeaderOption = None,
    directory: Annotated[
        Path,
        option(
            "--directory",
            "DIRECTORY",
            "Where the cassettes go, in a directory per generation. Those of the same names are replaced.",
            file_okay=False,
            show_default=True,
        ),
    ] = Path("cassettes"),
    scenario: Annotated[
        list[str] | None, option("--scenario", "NAME", "A scenario; may be given several times. All if not given.")
    ] = None,
) -> None:
    """Record the cassettes of the test suite again: from emulators, or from a real server.

    What looks like a secret is never written: recording ends with an error then.

    For example: langchain-mix record --api 0.8 --scenario plain
    """
    console = output_console()
    with reported_errors():
        version = parse_api(api)
        if server is not None and version is None:
            raise MixConfigurationError("A server is of one generation.", hint="Name it, as in --api 0.8.")
        apis: tuple[ApiVersion, ...] = ALL if version is None else (version,)
        size = count = 0
        given = headers_for(server, header) if server is not None else {}
        for one in _recorded(directory, apis, server, given, tuple(scenario or ())):
            if one.outcome == "skipped":
                console.print(f"{one.api} {one.scenario}: skipped, a real agent cannot be made to do it.", style="dim")
                continue
            size, count = size + one.size, count + 1
            console.print(f"{one.api} [bold]{one.scenario}[/]: {one.size / 1000:.1f} kB, {len(one.seen)} things seen.")
        console.print(f"Recorded {count} cassettes, {size / 1000:.0f} kB, into {directory}.", highlight=False)


def _recorded(
    directory: Path,
    apis: tuple[ApiVersion, ...],
    server: str | None,
    headers: Mapping[str, str],
    scenarios: tuple[str, ...],
) -> Iterator[Any]:
    recorder = _recorder()
    try:
        yield from recorder.record_catalogue(directory, apis=apis, server_url=server, headers=headers, names=scenarios)
    except AssertionError as error:  # What cassettes raise; in a command it is a sentence, not a failed test.
        raise MixInputError(str(error)) from error


def _recorder() -> Any:
    """The recorder. It needs vcrpy, which may not be installed."""
    try:
        from langchain_mix.testing import record
    except ModuleNotFoundError as missing:
        if missing.name is not None and missing.name.startswith("langchain_mix"):
            raise
        raise MixConfigurationError(
            f"Recording needs {missing.name}, which is not installed.", hint="pip install 'langchain-mix[testing]'"
        ) from missing
    return record
