"""`langchain-mix serve`: runs the emulator until it is stopped.

Owns: its start and end, the pace of its replies, and the files of a demo. Refuses to know: how it serves.
"""

from __future__ import annotations

import asyncio
import errno
import re
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from langchain_mix.client import Mix
from langchain_mix.emulator import MixEmulator
from langchain_mix.emulator.agents import make_agent
from langchain_mix.emulator.agents.base import Text, Thinking
from langchain_mix.errors import MixConfigurationError
from langchain_mix.protocol.api import parse_api

if TYPE_CHECKING:
    from langchain_mix.emulator.agents import Agent
    from langchain_mix.emulator.agents.base import Piece, Request

DEMO_FILES: Final = ("sales.csv", "report.md")
"""Files that the demo asks about."""
_WORD: Final = re.compile(r"\s*\S+\s*")
_DEMO_QUESTION: Final = (
    '  langchain-mix chat -s {server} --session last "Which region has the highest revenue in sales.csv?"'
)


class PacedAgent:
    """Slows an agent down to the speed of a model, so that streaming is visible."""

    def __init__(self, agent: Agent, words_per_second: float) -> None:
        """Wraps an agent."""
        self._agent = agent
        self._seconds = 1 / words_per_second
        self.costs_nothing = bool(getattr(agent, "costs_nothing", False))

    async def reply(self, request: Request) -> AsyncIterator[Piece]:
        """Gives the reply of the agent word by word."""
        pieces: Any = self._agent.reply(request)
        async with aclosing(pieces):
            async for piece in pieces:
                if not isinstance(piece, Text | Thinking):
                    yield piece
                    continue
                for word in _WORD.findall(piece.text) or [piece.text]:
                    # A pace is time; nothing waits for it to be in step with something else.
                    await asyncio.sleep(self._seconds)  # noqa: TID251
                    yield replace(piece, text=word)


def run_server(console: Console, *, agent: str, pace: float | None, demo: bool, api: str, **options: Any) -> None:
    """Serves until Ctrl-C or SIGTERM, with options of `MixEmulator`.

    Raises:
        MixConfigurationError: There is no such generation, a package of the agent is missing, or the port is taken.
        ValueError: There is no such agent, or a name or an origin is malformed.
        OSError: The server cannot be started.
    """
    version = str(parse_api(api) or "0.8")
    try:
        made = make_agent(agent)
    except ImportError as error:
        raise MixConfigurationError(str(error)) from error
    stop = threading.Event()
    before = {s: signal.signal(s, lambda *_: stop.set()) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        with MixEmulator(api=version, agent=made if pace is None else PacedAgent(made, pace), **options) as emulator:
            console.print(f"Mix API {emulator.api} on [bold]{emulator.url}[/] (agent: {agent}). Ctrl-C stops it.")
            console.print("For development and tests only; it listens on this machine.", style="dim")
            if demo:
                _upload_demo(console, emulator.url)
            # CPython runs no handler for a signal that arrives just before a blocking call until that call returns.
            while not stop.wait(1.0):
                continue
            console.print("Stopped.")
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise MixConfigurationError(
            f"Port {options['port']} is taken; another server may be running there.",
            hint="`langchain-mix doctor` shows what answers; `--port 0` takes a free port.",
        ) from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _upload_demo(console: Console, server_url: str) -> None:
    """Puts the demo's files on the server, and shows what to ask about them."""
    with Mix(server_url=server_url) as mix:
        session = mix.sessions.create(title="Demo")
        for name in DEMO_FILES:
            mix.files.upload_session_file(id=session.id, file={"file_name": name, "content": demo_file(name)})
    files = " and ".join(DEMO_FILES)
    console.print(f"Session {session.id} has the files {files}. Ask, in another terminal:", soft_wrap=True)
    console.print(_DEMO_QUESTION.format(server=server_url), style="cyan", soft_wrap=True)


def demo_file(name: str) -> bytes:
    """Returns the content of one of `DEMO_FILES`."""
    return resources.files("langchain_mix.cli").joinpath("demo_files", name).read_bytes()
