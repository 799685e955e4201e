"""The command `langchain-mix chat` and its options.

Owns: what can be typed, and which parts a chat is put together from. Refuses to know: how it goes.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Literal

import typer

from langchain_mix.cli.connection import ApiOption, HeaderOption, ServerOption, connect, option
from langchain_mix.cli.failures import INTERRUPTED, reported_errors
from langchain_mix.cli.sessions import complete_session
from langchain_mix.cli.terminal import errors_console
from langchain_mix.client.credentials import split_url
from langchain_mix.errors import MixConfigurationError, MixInputError
from langchain_mix.protocol.api import parse_api

_EMULATED = "0.7"
"""What `--emulator` speaks by default: the last generation that can fork."""


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
    from langchain_mix.cli.chat.turns import run_chat

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


def resume_command(session_id: str, *, server: str | None, api: str, headers: Sequence[str] | None) -> str:
    """Returns the command that goes on in a session on the server as it was given, without what may be a credential."""
    url, credential = split_url(server) if server else ("", "")
    words = ["langchain-mix", "chat"]
    words += ["-s", url] if url else []
    words += ["--api", api] if api != "auto" else []
    missing = [name for name, given in (("--header", headers), ("the URL's user and password", credential)) if given]
    note = f" (give {' and '.join(missing)} again)" if missing else ""
    return shlex.join([*words, "--session", session_id]) + note
