"""Recording the catalogue: one cassette per scenario and generation.

Owns: which cassettes there are, and the header of each. Refuses to know: reports to users.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

from langchain_mix._version import __version__
from langchain_mix.client import Mix
from langchain_mix.emulator import Gate, MixEmulator
from langchain_mix.errors import MixConfigurationError
from langchain_mix.protocol.api import ALL, ApiVersion
from langchain_mix.testing.scenarios import SCENARIOS, Scenario, play
from langchain_mix.testing.vcr import use_cassette

SHORTEST_NAME: Final = 4
"""Shorter names of machines are words that occur in texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The outcome of one scenario.

    Attributes:
        scenario: Its name.
        api: The generation.
        path: Its cassette.
        outcome: `recorded`, or `skipped` where a real agent cannot be made to do it.
        size: Bytes of the cassette.
        seen: What a user saw of it.
    """

    scenario: str
    api: ApiVersion
    path: Path
    outcome: Literal["recorded", "skipped"]
    size: int = 0
    seen: tuple[str, ...] = ()


def cassette_path(directory: Path, api: ApiVersion, scenario: str) -> Path:
    """Returns the path of a cassette."""
    return directory / str(api) / f"{scenario}.yaml"


def catalogue(apis: Sequence[ApiVersion] = ALL, names: Sequence[str] = ()) -> list[tuple[ApiVersion, Scenario]]:
    """Returns generation and scenario of each cassette; without names, those of all scenarios.

    Raises:
        MixConfigurationError: There is no such scenario.
    """
    unknown = set(names) - {scenario.name for scenario in SCENARIOS}
    if unknown:
        known = ", ".join(scenario.name for scenario in SCENARIOS)
        raise MixConfigurationError(f"There is no scenario {', '.join(sorted(unknown))}.", hint=f"There are {known}.")
    return [(api, s) for api in apis for s in SCENARIOS if api in s.apis and (not names or s.name in names)]


def record_catalogue(
    directory: Path,
    *,
    apis: Sequence[ApiVersion] = ALL,
    server_url: str | None = None,
    headers: Mapping[str, str] | None = None,
    names: Sequence[str] = (),
) -> Iterator[Recorded]:
    """Records cassettes, each when the iterator reaches it. Those that are there already are replaced.

    Args:
        directory: Where they go, in a directory per generation.
        apis: The generations. A real server is one of them.
        server_url: A real server; None starts an emulator for each cassette.
        headers: Headers of every request to a real server, such as a key of its proxy. No cassette holds them.
        names: The scenarios; all of them if there is none.

    Yields:
        What became of each.

    Raises:
        MixConfigurationError: There is no such scenario, or a real server was given several generations.
        MixError: The server cannot be reached or failed.
    """
    if server_url is not None and len(apis) != 1:
        raise MixConfigurationError("A server is of one generation.", hint="Name it with api=.")
    for api, scenario in catalogue(apis, names):
        path = cassette_path(directory, api, scenario.name)
        if server_url is not None and scenario.needs_script:
            yield Recorded(scenario=scenario.name, api=api, path=path, outcome="skipped")
            continue
        with _server(api, scenario, server_url, headers or {}) as server:
            seen = _record(path, scenario, api, server)
        size = path.stat().st_size
        yield Recorded(scenario=scenario.name, api=api, path=path, outcome="recorded", size=size, seen=tuple(seen))


class _Server(NamedTuple):
    url: str
    name: str
    replacements: dict[str, str]
    headers: Mapping[str, str]


def _record(path: Path, scenario: Scenario, api: ApiVersion, server: _Server) -> list[str]:
    about = {"proves": scenario.proves, "server": server.name}
    with (
        use_cassette(path, record="all", replacements=server.replacements, about=about) as cassette,
        Mix(server_url=server.url, api=str(api), headers=server.headers) as mix,
    ):
        seen = play(scenario.course(api), mix)
        cassette.about["seen"] = seen
    return seen


@contextmanager
def _server(api: ApiVersion, scenario: Scenario, url: str | None, headers: Mapping[str, str]) -> Iterator[_Server]:
    name = socket.gethostname()
    hidden = {name: "host.invalid"} if len(name) >= SHORTEST_NAME else {}
    if url is not None:
        with Mix(server_url=url, api=str(api), headers=headers) as mix:
            health = mix.system.get_health()
        yield _Server(url, f"Mix API {api}, server {health.version or 'of unknown version'}", hidden, headers)
        return
    gate = Gate()
    with MixEmulator(str(api), scenario.brain(gate)) as emulator, _opened(gate, emulator, scenario.streams):
        said = f"Mix API {api}, the emulator of langchain-mix {__version__}"
        yield _Server(emulator.url, said, {str(emulator.data_dir): "/data", **hidden}, {})


@contextmanager
def _opened(gate: Gate, emulator: MixEmulator, streams: int) -> Iterator[None]:
    """Opens a gate once so many streams are open."""

    def watch() -> None:
        emulator.wait_until(lambda: emulator.streams >= streams)
        gate.open()

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch) if streams else None
        yield
        if watching is not None:
            watching.result()
