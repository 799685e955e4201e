"""`langchain-mix record`: records the cassettes of the catalogue again.

Owns: the report of what is recorded. Refuses to know: the scenarios, and recording them (`langchain_mix.testing`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from langchain_mix.cli.connection import headers_for
from langchain_mix.errors import MixConfigurationError, MixInputError
from langchain_mix.protocol.api import ALL, ApiVersion, parse_api


def run_record(
    console: Console,
    *,
    api: str = "auto",
    server: str | None = None,
    headers: Sequence[str] | None = None,
    directory: Path = Path("cassettes"),
    scenarios: tuple[str, ...] = (),
) -> None:
    """Records cassettes, and reports each.

    Args:
        console: Where it is reported.
        api: The generation, or `"auto"` for all of them; a real server is of one.
        server: The URL of a real server, or None to start emulators. Its agent works and may cost money.
        headers: Headers of every request to a real server, as `Name: value` or `@file`; see `headers_for`.
        directory: Where the cassettes go, in a directory per generation. Those of the same names are replaced.
        scenarios: Their names; all of them if there is none.

    Raises:
        MixConfigurationError: There is no such generation or scenario, a real server was given without its generation,
            or what recording needs is not installed.
        MixInputError: What was recorded holds what looks like a secret. It was not written.
        MixError: The server cannot be reached or failed.
    """
    version = parse_api(api)
    if server is not None and version is None:
        raise MixConfigurationError("A server is of one generation.", hint="Name it, as in --api 0.8.")
    apis: tuple[ApiVersion, ...] = ALL if version is None else (version,)
    size = count = 0
    given = headers_for(server, headers) if server is not None else {}
    for one in _recorded(directory, apis, server, given, scenarios):
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
        from langchain_mix.testing import record  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        if missing.name is not None and missing.name.startswith("langchain_mix"):
            raise
        raise MixConfigurationError(
            f"Recording needs {missing.name}, which is not installed.", hint="pip install 'langchain-mix[testing]'"
        ) from missing
    return record
