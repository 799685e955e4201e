"""The commands and their options.

Owns: what can be typed, exit codes, and errors told without a traceback. Refuses to know: what a command does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from langchain_mix._version import __version__
from langchain_mix.errors import MixError, MixNetworkError, MixUsageError

app = typer.Typer(
    name="langchain-mix",
    help="The Mix agent server inside LangChain.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

_FAILED, _MISUSED, _UNREACHED = 1, 2, 3


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


@app.command()
def demo() -> None:
    """Show it all on this machine: files, thinking, tools, streaming, forks. No server, no key.

    Starts a Mix server in the box, uploads a small table and a report, asks about both through ChatMix, and forks the
    conversation.
    """
    from langchain_mix.cli.demo import run_demo  # noqa: PLC0415  # Loads LangChain.

    with _Told():
        run_demo(Console())


@app.command()
def serve(
    api: Annotated[str, typer.Option(help="API generation: 0.5, 0.6, 0.6.5, 0.7, 0.8 or next.")] = "0.8",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8088,
    agent: Annotated[
        str, typer.Option(help="Who answers: offline, or model:<provider:name> for any LangChain chat model.")
    ] = "offline",
    data: Annotated[
        Path | None, typer.Option(file_okay=False, help="Where sessions and files are kept; forgotten if not given.")
    ] = None,
) -> None:
    """Run a Mix server in the box until Ctrl-C. For development and tests; it listens on this machine only.

    Example: langchain-mix serve --api 0.7 --port 8088 --data ./mix-data
    """
    from langchain_mix.cli.serve import run_server  # noqa: PLC0415  # Loads the server.

    with _Told():
        run_server(Console(), api=api, port=port, agent=agent, data=data)


class _Told:
    """Tells errors as a sentence and an exit code: 2 for misuse, 3 for a server that cannot be reached, else 1."""

    def __enter__(self) -> None:
        """Starts listening."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Tells the error, if it is one that a user can do something about."""
        if isinstance(error, KeyboardInterrupt):
            raise typer.Exit(130) from None
        if not isinstance(error, MixError | OSError | ValueError):
            return
        Console(stderr=True).print(f"[bold red]Error:[/] {_plain(error)}", highlight=False)
        code = _FAILED
        if isinstance(error, MixNetworkError):
            code = _UNREACHED
        elif isinstance(error, MixUsageError | ValueError):
            code = _MISUSED
        raise typer.Exit(code) from None


def _plain(error: BaseException) -> str:
    from rich.markup import escape  # noqa: PLC0415  # Only needed here.

    return escape(str(error) or type(error).__name__)
