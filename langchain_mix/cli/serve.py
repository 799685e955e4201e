"""`langchain-mix serve` and `langchain-mix demo`: the emulator, until it is stopped or as a show of ChatMix.

Owns: its start and end, the pace of its replies, the story of the demo and its files. Refuses to know: how it serves,
and in the demo, anything that a user of the package could not do as well.
"""

from __future__ import annotations

import asyncio
import errno
import json
import re
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.rule import Rule

from langchain_mix.client import Mix
from langchain_mix.emulator import MixEmulator
from langchain_mix.emulator.agents import make_agent
from langchain_mix.emulator.agents.base import Text, Thinking
from langchain_mix.errors import MixConfigurationError
from langchain_mix.pointer import read_pointer
from langchain_mix.protocol.api import parse_api

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from langchain_mix.chat_models import ChatMix
    from langchain_mix.emulator.agents import Agent
    from langchain_mix.emulator.agents.base import Piece, Request

_DEMO_FILES: Final = ("sales.csv", "report.md")
_QUESTIONS: Final = (
    "Which region has the highest revenue in sales.csv?",
    "Which toasters were late, according to report.md?",
)
_BRANCHES: Final = (("original", "North"), ("fork", "South"))
_SHOWN_CHARS: Final = 160
_WORD: Final = re.compile(r"\s*\S+\s*")
_DEMO_QUESTION: Final = f'  langchain-mix chat -s {{server}} --session last "{_QUESTIONS[0]}"'


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
        for name in _DEMO_FILES:
            mix.files.upload_session_file(id=session.id, file={"file_name": name, "content": _demo_file(name)})
    files = " and ".join(_DEMO_FILES)
    console.print(f"Session {session.id} has the files {files}. Ask, in another terminal:", soft_wrap=True)
    console.print(_DEMO_QUESTION.format(server=server_url), style="cyan", soft_wrap=True)


def _demo_file(name: str) -> bytes:
    """Returns the content of one of `_DEMO_FILES`."""
    return resources.files("langchain_mix.cli").joinpath("demo_files", name).read_bytes()


def run_demo(console: Console) -> None:
    """Runs the demo.

    Raises:
        MixError: Something of it failed.
        OSError: No port can be had.
    """
    from langchain_mix.chat_models import ChatMix  # noqa: PLC0415  # Loads LangChain, which `serve` does not need.

    with MixEmulator(api="0.7") as server:
        console.print(f"A Mix emulator (API {server.api}) listens on {server.url}.", style="dim")
        model = ChatMix(server_url=server.url, title="Demo")
        with model.client as mix:
            _upload(console, mix)
            talk: list[BaseMessage] = []
            for question in _QUESTIONS:
                _ask(console, model, talk, question)
            _fork(console, model, talk)
        console.print(Rule("That was all of it: no server, no key"))
        console.print("Next: [bold]langchain-mix serve[/], then ChatMix(server_url='http://localhost:8088').")


def _upload(console: Console, mix: Mix) -> None:
    console.print(Rule("Files"))
    session = mix.sessions.create(title="Demo files")
    for name in track(_DEMO_FILES, "Uploading", console=console, transient=True):
        info = mix.files.upload_session_file(id=session.id, file={"file_name": name, "content": _demo_file(name)})
        console.print(f"Uploaded [bold]{escape(info.name)}[/], {info.size} bytes.")
    mix.sessions.delete(id=session.id)


def _ask(console: Console, model: ChatMix, talk: list[BaseMessage], question: str) -> None:
    """Asks the next question of a conversation, which goes on in the session that holds it."""
    console.print(Rule("ChatMix.stream"))
    console.print(f"[bold]You:[/] {question}", highlight=False)
    from langchain_core.messages import HumanMessage  # noqa: PLC0415  # The same.

    talk.append(HumanMessage(question))
    whole: Any = None
    shown = ""
    for chunk in model.stream(talk):
        for block in chunk.content_blocks:
            shown = _show(console, dict(block), shown)
        whole = chunk if whole is None else whole + chunk
    console.print()
    if whole is not None:
        talk.append(whole)


def _show(console: Console, block: dict[str, Any], before: str) -> str:
    """Shows a piece of a reply; returns its kind, so that the next one knows whether to start a line."""
    kind = str(block["type"])
    if kind != before and before in {"text", "reasoning"}:
        console.print()
    match kind:
        case "reasoning":
            start = "[thinking] " if kind != before else ""
            console.print(start + block["reasoning"], end="", style="dim italic", markup=False, highlight=False)
        case "text":
            console.print(block["text"], end="", markup=False, highlight=False)
        case "server_tool_call":
            arguments = json.dumps(block["args"], ensure_ascii=False)[:_SHOWN_CHARS]
            console.print(f"[tool] {block['name']} {arguments}", style="cyan", markup=False, highlight=False)
        case "server_tool_result":
            line = str(block.get("output") or block.get("extras", {}).get("progress", ""))[:_SHOWN_CHARS]
            console.print(f"  -> {block.get('status', '')}: {line}", style="green", markup=False, highlight=False)
        case _:
            pass
    return kind


def _fork(console: Console, model: ChatMix, talk: list[BaseMessage]) -> None:
    console.print(Rule("Fork: one past, two futures"))
    pointer = read_pointer(talk[-1].response_metadata)
    if pointer is None:
        raise ValueError("The reply has no pointer to its session.")
    fork = model.client.sessions.fork(id=pointer.session_id, message_index=pointer.row_count, title="Demo fork")
    sessions = {"original": pointer.session_id, "fork": fork.id}
    for branch, region in _BRANCHES:
        _say(console, model, branch, sessions[branch], f"Remember: my favourite region is {region}.")
    for branch, _ in _BRANCHES:
        _say(console, model, branch, sessions[branch], "What is my favourite region?")
    for branch, _ in _BRANCHES:
        _say(console, model, branch, sessions[branch], "What was my first message?")


def _say(console: Console, model: ChatMix, branch: str, session_id: str, text: str) -> None:
    console.print(f"[bold]You, on the {branch}:[/] {text}", highlight=False)
    answer = model.invoke(text, config={"configurable": {"mix_session_id": session_id}})
    console.print(answer.text.strip(), markup=False, highlight=False)
