"""The server that a command talks to.

Owns: the options that name it, shared by all commands, and the client made of them. Refuses to know: the requests.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from langchain_mix.client.credentials import split_url
from langchain_mix.errors import MixConfigurationError
from langchain_mix.protocol.retry import BackoffStrategy, RetryConfig

if TYPE_CHECKING:
    from langchain_mix.client import Mix

ServerOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--server",
        "-s",
        help="URL of the Mix server. If not given: MIX_SERVER_URL, else http://localhost:8088.",
        show_default=False,
    ),
]
ApiOption: TypeAlias = Annotated[
    str, typer.Option("--api", help="API generation: auto, 0.5, 0.6, 0.6.5, 0.7, 0.8 or next.")
]
HeaderOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--header",
        help="Header of every request, as 'Name: value', for a proxy that demands one, or @FILE with one on each line. "
        "May be repeated. The environment variable MIX_API_KEY is sent as 'Authorization: Bearer …'.",
        show_default=False,
    ),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]

PATIENCE: Final = RetryConfig(backoff=BackoffStrategy(initial_interval=300, max_elapsed_time=5_000), max_attempts=3)
"""A person waits: three attempts within five seconds. Nothing that must happen once is ever sent again."""


def connect(
    server: str | None,
    *,
    api: str = "auto",
    headers: Sequence[str] | None = None,
    retries: RetryConfig = PATIENCE,
    timeout_ms: int | None = None,
) -> Mix:
    """Makes a client of the server that the options name.

    Args:
        server: Its URL, or None for the default.
        api: Its generation, or `auto`.
        headers: Headers as `Name: value`, or `@file`. The environment variable `MIX_API_KEY` adds one unless
            they or the URL authenticate.
        retries: When calls are sent again.
        timeout_ms: Time without progress after which a request fails, in milliseconds, or None for the client's.

    Returns:
        The client, to be closed. Nothing was sent.

    Raises:
        MixConfigurationError: An option cannot work.
    """
    from langchain_mix.client import Mix  # noqa: PLC0415  # Only commands that talk to a server need it.

    given = headers_for(server, headers)
    return Mix(server_url=server, api=api, headers=given, retry_config=retries, timeout_ms=timeout_ms)


def headers_for(server: str | None, headers: Sequence[str] | None) -> dict[str, str]:
    """Returns the headers of every request to a server.

    Args:
        server: Its URL, or None for the default.
        headers: Headers as `Name: value`, or `@file`. The environment variable `MIX_API_KEY` adds one unless
            they or the URL authenticate.

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
