"""`langchain-mix serve`: the Mix emulator.

Owns: telling where it listens, and stopping it. Refuses to know: how it serves.
"""

from __future__ import annotations

import errno
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from langchain_mix.emulator import MixEmulator
from langchain_mix.errors import MixConfigurationError
from langchain_mix.protocol.api import parse_api


def run_server(
    console: Console,
    *,
    api: str,
    port: int,
    agent: str,
    data: Path | None,
    require_credentials: bool = False,
    hosts: Sequence[str] = (),
    origins: Sequence[str] | None = None,
) -> None:
    """Serves until Ctrl-C or SIGTERM.

    Args:
        console: Where to tell what happens.
        api: The generation to speak.
        port: The port, 0 for a free one.
        agent: Who answers.
        data: Where sessions and files are kept, or None to forget them.
        require_credentials: Whether messages are refused until a provider's key is stored.
        hosts: Names to answer to in addition to those of this machine.
        origins: Web origins whose pages may send requests; None decides by the agent.

    Raises:
        MixConfigurationError: There is no such generation, or the port is taken.
        ValueError: There is no such agent, or a name or an origin is malformed.
        OSError: The server cannot be started.
    """
    version = parse_api(api)
    stop = threading.Event()
    before = {s: signal.signal(s, lambda *_: stop.set()) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        with MixEmulator(
            api=str(version or "0.8"),
            agent=agent,
            data_dir=data,
            port=port,
            auth_required=require_credentials,
            hosts=hosts,
            origins=origins,
        ) as emulator:
            console.print(f"Mix API {emulator.api} on [bold]{emulator.url}[/] (agent: {agent}). Ctrl-C stops it.")
            console.print("For development and tests only; it listens on this machine.", style="dim")
            # CPython runs no handler for a signal that arrives just before a blocking call until that call returns.
            while not stop.wait(1.0):
                continue
            console.print("Stopped.")
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise MixConfigurationError(
            f"Port {port} is taken; another server may be running there.",
            hint="`langchain-mix doctor` tells what answers; `--port 0` takes a free port.",
        ) from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
