"""The command `langchain-mix chat` and its options.

Owns: what can be typed, and which parts a chat is put together from. Refuses to know: how it goes.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from langchain_mix.cli.connection import ApiOption, HeaderOption, ServerOption, connect
from langchain_mix.cli.failures import INTERRUPTED, message_of, reported_errors
from langchain_mix.cli.sessions.queries import complete_session
from langchain_mix.cli.terminal import errors_console, is_interactive, output_console, visible
from langchain_mix.client.credentials import split_url
from langchain_mix.errors import MixConfigurationError, MixInputError
from langchain_mix.protocol.api import parse_api

if TYPE_CHECKING:
    from langchain_mix.cli.chat.conversation import ChatOptions, Conversation
    from langchain_mix.cli.chat.turns import TurnView
    from langchain_mix.client import Mix

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
        typer.Option(
            "--session",
            metavar="SESSION",
            help="Go on in this session: its id, the beginning of it, or 'last'.",
            autocompletion=complete_session,
            show_default=False,
        ),
    ] = None,
    title: Annotated[str, typer.Option("--title", metavar="TITLE", help="Title of a new session.")] = "Chat",
    permissions: Annotated[
        Literal["ask", "deny", "allow"],
        typer.Option(
            "--permissions",
            metavar="WHAT",
            help="What becomes of the agent's requests to run a tool: ask, deny or allow.",
        ),
    ] = "ask",
    plan: Annotated[bool, typer.Option("--plan", help="Let the agent only read and plan.")] = False,
    thinking_level: Annotated[
        Literal["off", "basic", "medium", "maximum"] | None,
        typer.Option(
            "--thinking-level",
            metavar="LEVEL",
            help="How much the model may think: off, basic, medium or maximum. Since API 0.7.",
            show_default=False,
        ),
    ] = None,
    max_steps: Annotated[
        int | None,
        typer.Option("--max-steps", metavar="N", min=1, help="Steps after which a turn ends. Since API 0.8."),
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
            answered = _chat(mix, options, message, session, resume)
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
    """Returns the command that goes on in a session, without what may be a credential.

    Args:
        session_id: The session.
        server: The server's URL as it was given, or None for the default.
        api: The generation as it was given.
        headers: The headers as they were given.
    """
    url, credential = split_url(server) if server else ("", "")
    words = ["langchain-mix", "chat"]
    words += ["-s", url] if url else []
    words += ["--api", api] if api != "auto" else []
    missing = [name for name, given in (("--header", headers), ("the URL's user and password", credential)) if given]
    note = f" (give {' and '.join(missing)} again)" if missing else ""
    return shlex.join([*words, "--session", session_id]) + note


def _chat(
    mix: Mix, options: ChatOptions, message: str | None, session: str | None, resume: Callable[[str], str] | None
) -> bool:
    """Chats in the way that fits the terminal. Returns whether the last message was answered."""
    from langchain_mix.cli.chat.conversation import Conversation
    from langchain_mix.cli.sessions.queries import find_session

    conversation = Conversation(mix, options)
    if message is None and is_interactive():
        _converse(conversation, session, resume)
        return True
    if session:
        conversation.go_to(mix.sessions.get(id=find_session(mix, session)))
    if message is not None:
        return _answer(conversation, message)
    return _answer(conversation, _read_input(), attach=False)  # An @ in piped text is not meant for this command.


def _converse(conversation: Conversation, session: str | None, resume: Callable[[str], str] | None) -> None:
    from langchain_mix.cli.chat.keyboard import Keyboard, history_file
    from langchain_mix.cli.chat.prompts import PromptHandler
    from langchain_mix.cli.chat.slash_commands import COMMANDS, Commands
    from langchain_mix.cli.chat.turns import converse
    from langchain_mix.cli.chat.views import Screen

    console = output_console()
    try:
        keyboard = Keyboard(COMMANDS, history=history_file() if conversation.options.history else None)
    except OSError as error:
        console.print(f"What you type is not remembered: {message_of(error)}", style="yellow", markup=False)
        keyboard = Keyboard(COMMANDS)
    commands = Commands(conversation, console, keyboard)
    view = Screen(console, show_thinking=conversation.options.show_thinking)
    prompts = PromptHandler(console, view, conversation.options.permissions, keyboard.ask)
    if session:
        commands.resume(session)
    # A wrong address is reported before anything is typed.
    console.print(Text(visible(conversation.server()), style="bold"))
    console.print(
        Text("@path attaches a file, /help lists commands; Ctrl-C cancels a turn, exit or Ctrl-D leaves.", style="dim")
    )
    converse(
        conversation,
        console=console,
        keyboard=keyboard,
        commands=commands,
        view=view,
        prompts=prompts,
        resume=resume,
    )


def _answer(conversation: Conversation, text: str, *, attach: bool = True) -> bool:
    from langchain_mix.cli.chat.prompts import PromptHandler
    from langchain_mix.cli.chat.turns import answer_once
    from langchain_mix.cli.chat.views import Plain

    notes = errors_console()
    if is_interactive():
        from langchain_mix.cli.chat.keyboard import Keyboard
        from langchain_mix.cli.chat.views import Screen

        console = output_console()
        view: TurnView = Screen(console, show_thinking=conversation.options.show_thinking)
        prompts = PromptHandler(console, view, conversation.options.permissions, Keyboard({}).ask)
    else:
        view = Plain(output_console(), notes)
        prompts = PromptHandler(notes, view, conversation.options.permissions)
    return answer_once(conversation, text, view=view, prompts=prompts, notes=notes, attach=attach)


def _read_input() -> str:
    if sys.stdin.isatty():
        errors_console().print("Type the message; Ctrl-D on an empty line sends it.", style="dim")
    text = sys.stdin.read().strip()
    if any("\ud800" <= character <= "\udfff" for character in text):  # How Python reads bytes that are no text.
        raise MixInputError(f"Standard input is no {sys.stdin.encoding} text.", hint="Upload files with /upload.")
    if not text:
        raise MixInputError("Standard input is empty.", hint="Give a message, or start it in a terminal.")
    return text
