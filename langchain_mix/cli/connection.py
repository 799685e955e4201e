"""The server that a command talks to.

Owns: the options that name it, which commands have in common, and the client made of them. Refuses to know: the
requests.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, TypeVar, get_type_hints

import typer
from typer.core import TyperArgument, TyperCommand

from langchain_mix.cli.failures import EXIT_CODES, reported_errors
from langchain_mix.client.credentials import split_url
from langchain_mix.errors import MixConfigurationError
from langchain_mix.protocol.retry import BackoffStrategy, RetryConfig

if TYPE_CHECKING:
    from langchain_mix.client import Mix


def option(flags: str, metavar: str, does: str, *, show_default: bool = False, **more: Any) -> Any:
    """Declares an option with a value: its names, a word for the value, and what it does."""
    return typer.Option(*flags.split(), metavar=metavar, help=does, show_default=show_default, **more)


ServerOption: TypeAlias = Annotated[
    str | None,
    option("--server -s", "URL", "URL of the Mix server. If not given: MIX_SERVER_URL, else http://localhost:8088."),
]
ApiOption: TypeAlias = Annotated[
    str, option("--api", "VERSION", "API generation: auto, 0.5, 0.6, 0.6.5, 0.7, 0.8 or next.", show_default=True)
]
HeaderOption: TypeAlias = Annotated[
    list[str] | None,
    option(
        "--header",
        "HEADER",
        "Header of every request, as 'Name: value', for a proxy that demands one, or @FILE with one on each line. "
        "May be repeated. The environment variable MIX_API_KEY is sent as 'Authorization: Bearer …'.",
    ),
]
LimitOption: TypeAlias = Annotated[int | None, option("--limit -n", "N", "Show so many of the newest.", min=1)]
DryRunOption: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
YesOption: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]

C = TypeVar("C", bound=Callable[..., None])

_RANGE: Final = re.compile(r"(?:(;) |  \[)[\d.]*(?:<=)?x[<>]=[\d.]+\]")

PATIENCE: Final = RetryConfig(backoff=BackoffStrategy(initial_interval=300, max_elapsed_time=5_000), max_attempts=3)
"""A person waits: three attempts within five seconds. Nothing that must happen once is ever sent again."""


def server_command(group: typer.Typer, name: str, *, short_help: str | None = None) -> Callable[[C], C]:
    """Makes a function, whose first parameter is the client, a command with the options that name a server.

    Its errors are reported as sentences.
    """

    def added(command: C) -> C:
        def run(
            *, server: ServerOption = None, api: ApiOption = "auto", header: HeaderOption = None, **options: Any
        ) -> None:
            with reported_errors(), connect(server, api=api, headers=header) as mix:
                command(mix, **options)

        group.command(name, cls=PlainHelp, epilog=EXIT_CODES, short_help=short_help)(with_options_of(command, run))
        return command

    return added


class PlainHelp(TyperCommand):
    """Shows help without Click's types of arguments and ranges of numbers."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the arguments and the options, as the command above does."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for one in self.get_params(ctx):
            if (record := one.get_help_record(ctx)) is None:
                continue
            name, does = record[0], _RANGE.sub(lambda found: "]" if found[1] else "", record[1])
            if isinstance(one, TyperArgument):
                sections["Arguments"].append((name.partition(" <")[0], does))
            else:
                sections["Options"].append((name, does))
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def with_options_of(command: Callable[..., None], run: Callable[..., None]) -> Callable[..., None]:
    """Has `run` show the help of a command and its options in front of its own.

    The first parameter of the command is no option: `run` supplies it, and takes the others as `**options`. What `run`
    has in front of its keywords stays.
    """
    _, *options = _parameters(command)
    own = [one for one in _parameters(run) if one.kind is not Parameter.VAR_KEYWORD]
    given = [one for one in own if one.kind is not Parameter.KEYWORD_ONLY]
    options = [*options, *(one for one in own if one not in given)]
    every = [*given, *(one.replace(kind=Parameter.KEYWORD_ONLY) for one in options)]
    run.__doc__ = command.__doc__
    run.__annotations__ = {one.name: one.annotation for one in every}
    vars(run)["__signature__"] = Signature(every)
    return run


def _parameters(function: Callable[..., None]) -> list[Parameter]:
    """Returns the parameters with their types; what only type checkers import is any type."""
    parameters = list(signature(function).parameters.values())
    unknown = {str(one.annotation): Any for one in parameters[:1] if one.kind is Parameter.POSITIONAL_OR_KEYWORD}
    types = get_type_hints(function, localns=unknown, include_extras=True)
    return [one.replace(annotation=types[one.name]) for one in parameters]


def connect(
    server: str | None,
    *,
    api: str = "auto",
    headers: Sequence[str] | None = None,
    retries: RetryConfig = PATIENCE,
    timeout_ms: int | None = None,
) -> Mix:
    """Makes a client of the server that the options name, to be closed. Sends nothing.

    `timeout_ms` is the time without progress after which a request fails, or None for the client's.

    Raises:
        MixConfigurationError: An option cannot work.
    """
    from langchain_mix.client import Mix  # noqa: PLC0415  # Only commands that talk to a server need it.

    given = headers_for(server, headers)
    return Mix(server_url=server, api=api, headers=given, retry_config=retries, timeout_ms=timeout_ms)


def headers_for(server: str | None, headers: Sequence[str] | None) -> dict[str, str]:
    """Returns the headers of every request to a server, or to the default one.

    They are written `Name: value`, or `@file`. The environment variable `MIX_API_KEY` adds one unless they or the URL
    authenticate.

    Raises:
        MixConfigurationError: A header has no name.
    """
    given = _read_headers(headers or ())
    key = os.environ.get("MIX_API_KEY")
    if key and "authorization" not in map(str.lower, given):
        url = server or os.environ.get("MIX_SERVER_URL")
        if not (url and split_url(url)[1]):
            given["Authorization"] = f"Bearer {key}"
    return given


def _lines(given: Sequence[str]) -> Iterator[str]:
    """Yields headers as they are written. Those in a file are not visible in a list of processes."""
    for line in given:
        if not line.startswith("@"):
            yield line
            continue
        yield from filter(str.strip, Path(line[1:]).expanduser().read_text(encoding="utf-8").splitlines())


def _read_headers(lines: Sequence[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in _lines(lines):
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            # The line is not repeated: it may be a credential.
            problem = "has no name in front of its ':'" if colon else "has no ':'"
            raise MixConfigurationError(f"A header {problem}.", hint="Write it as 'Name: value'.")
        headers[name.strip()] = value.strip()
    return headers
