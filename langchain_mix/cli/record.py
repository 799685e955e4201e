"""`langchain-mix record`: records the cassettes of the catalogue again, and reports each.

Refuses to know: the scenarios, and recording them (`langchain_mix.testing`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from langchain_mix.cli.connection import HeaderOption, headers_for, option
from langchain_mix.cli.failures import reported_errors
from langchain_mix.cli.terminal import output_console
from langchain_mix.errors import MixConfigurationError, MixInputError
from langchain_mix.protocol.api import ALL, ApiVersion, parse_api


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
        from langchain_mix.testing import record  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        if missing.name is not None and missing.name.startswith("langchain_mix"):
            raise
        raise MixConfigurationError(
            f"Recording needs {missing.name}, which is not installed.", hint="pip install 'langchain-mix[testing]'"
        ) from missing
    return record
