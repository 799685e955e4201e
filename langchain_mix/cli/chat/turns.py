"""Runs a chat and its turns: reads and sends messages, handles Ctrl-C, and reports how each turn ended."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from rich.console import Console
from rich.text import Text

from langchain_mix.cli.chat.conversation import ChatOptions, Conversation
from langchain_mix.cli.chat.prompts import PromptHandler
from langchain_mix.cli.chat.slash_commands import COMMANDS, Commands
from langchain_mix.cli.chat.views import Plain, Screen
from langchain_mix.cli.failures import message_of, report_error
from langchain_mix.cli.session_views import money
from langchain_mix.cli.sessions import find_session
from langchain_mix.cli.terminal import counted, errors_console, is_interactive, output_console, visible
from langchain_mix.client.credentials import split_url
from langchain_mix.errors import MixError, MixInputError, MixTurnCancelled
from langchain_mix.protocol.models import FileInfo
from langchain_mix.protocol.turn.updates import TurnResult

if TYPE_CHECKING:
    from langchain_mix.client import Mix


TurnView: TypeAlias = Screen | Plain


def run_turn(
    conversation: Conversation,
    text: str,
    *,
    view: TurnView,
    prompts: PromptHandler,
    notes: Console,
    attach: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> TurnResult | None:
    """Sends a message, shows what becomes of it, and returns the result; None if the user cancelled it.

    It is reported in `notes` how the turn ended. With `attach`, `@path` in the text names a file to upload.

    Raises:
        MixError: It did not end well.
        KeyboardInterrupt: The user does not want to wait for the cancelling any longer.
    """
    started = clock()
    interrupts = Interrupts()
    with interrupts:
        try:
            message = conversation.attach(text, lambda info: notes.print(_attached(info))) if attach else text
            turn = conversation.say(message, permissions=prompts.permission, on_notification=prompts.notification)
            with view, turn:
                for update in turn:
                    view.show(update)
        except (KeyboardInterrupt, MixTurnCancelled) as left:
            if interrupts.leaving:
                raise
            if isinstance(left, MixTurnCancelled) and not interrupts.count and left.sent:
                raise  # Cancelled by another client.
            notes.print(Text("Cancelled. The server keeps what the agent had said.", style="yellow"))
            return None
    conversation.record(turn.result)
    notes.print(Text(visible(summary(turn.result, clock() - started, conversation.cost)), style="dim"))
    for line in warnings(turn.result):
        notes.print(Text(line, style="yellow"))
    return turn.result


def _attached(info: FileInfo) -> Text:
    return Text(f"Attached {visible(info.name)}, {info.size:,} bytes.", style="dim")


def summary(result: TurnResult, seconds: float, total: float) -> str:
    """Returns the tokens, cost and duration of a turn, and the cost of the chat so far."""
    parts = [f"{seconds:.1f} s"]
    usage = result.usage
    if usage is not None:
        scope = "" if usage.whole_turn else " (last call)"
        parts.append(f"{usage.input_tokens:,} in, {counted(usage.output_tokens, 'token')} out{scope}")
        if usage.cost is not None:
            parts.append(money(usage.cost) + (f", {money(total)} so far" if total > usage.cost else ""))
    if result.model:
        parts.append(result.model)
    return " · ".join(parts)


def warnings(result: TurnResult) -> list[str]:
    """Returns the warnings about a turn that ended well."""
    lines = []
    if result.contended:
        lines.append("Another client's turn ran in this session at the same time; the answers may be mixed up.")
    if not result.verified and not result.command:
        lines.append("The stored messages could not be read; the text is as it was streamed.")
    return lines


_PATIENCE: Final = 3
"""The Ctrl-C that leaves even if the server does not answer to the cancelling, which may take some seconds."""


class Interrupts:
    """Counts Ctrl-C in a `with` block: the first and the third raise KeyboardInterrupt."""

    def __init__(self) -> None:
        """Counts nothing yet."""
        self.count = 0
        self._before: Any = None

    @property
    def leaving(self) -> bool:
        """True when the user does not want to wait for the cancelling any longer."""
        return self.count >= _PATIENCE

    def __enter__(self) -> Self:
        """Begins to count, in the main thread; others never see signals."""
        self.count = 0
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._pressed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves Ctrl-C to whom it belonged."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def _pressed(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count in {1, _PATIENCE}:
            raise KeyboardInterrupt
        os.write(2, b"Cancelling. Ctrl-C once more leaves at once.\n")  # Nothing here may wait for a lock.


_PROMPT: Final = "You: "


def run_chat(
    mix: Mix, options: ChatOptions, message: str | None, session: str | None, resume: Callable[[str], str] | None
) -> bool:
    """Chats in the way that fits the terminal, and returns whether the last message was answered.

    `resume` returns the command that goes on in a session; it is None if nothing of the session stays.
    """
    conversation = Conversation(mix, options)
    if message is None and is_interactive():
        _converse(conversation, session, resume)
        return True
    if session:
        conversation.go_to(mix.sessions.get(id=find_session(mix, session)))
    if message is not None:
        return _answer(conversation, message)
    return _answer(conversation, _read_input(), attach=False)  # An @ in piped text is not meant for this command.


def resume_command(session_id: str, *, server: str | None, api: str, headers: Sequence[str] | None) -> str:
    """Returns the command that goes on in a session on the server as it was given, without what may be a credential."""
    url, credential = split_url(server) if server else ("", "")
    words = ["langchain-mix", "chat"]
    words += ["-s", url] if url else []
    words += ["--api", api] if api != "auto" else []
    missing = [name for name, given in (("--header", headers), ("the URL's user and password", credential)) if given]
    note = f" (give {' and '.join(missing)} again)" if missing else ""
    return shlex.join([*words, "--session", session_id]) + note


def _converse(conversation: Conversation, session: str | None, resume: Callable[[str], str] | None) -> None:
    """Talks until the user leaves. Errors of a turn or a command are reported, and the chat goes on."""
    from langchain_mix.cli.chat.keyboard import Keyboard, history_file  # noqa: PLC0415  # A pipe needs no keyboard.

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
    help_line = "@path attaches a file, /help lists commands; Ctrl-C cancels a turn, exit or Ctrl-D leaves."
    console.print(Text(help_line, style="dim"))
    while not commands.over:
        try:
            line = keyboard.read(_PROMPT)
        except (KeyboardInterrupt, EOFError):
            break
        if not line.strip():
            continue
        try:
            if not commands.run(line.rstrip()):
                run_turn(conversation, line.strip(), view=view, prompts=prompts, notes=console)
        except KeyboardInterrupt:
            break
        except (MixError, OSError) as error:
            report_error(error)
    if conversation.session_id and resume is not None:
        console.print(Text(f"Go on later: {visible(resume(conversation.session_id))}", style="dim"), soft_wrap=True)


def _answer(conversation: Conversation, text: str, *, attach: bool = True) -> bool:
    """Asks one question and shows the answer; returns False if the user cancelled it."""
    notes = errors_console()
    view: TurnView = Plain(output_console(), notes)
    prompts = PromptHandler(notes, view, conversation.options.permissions)
    if is_interactive():
        from langchain_mix.cli.chat.keyboard import Keyboard  # noqa: PLC0415  # A pipe needs no keyboard.

        console = output_console()
        view = Screen(console, show_thinking=conversation.options.show_thinking)
        prompts = PromptHandler(console, view, conversation.options.permissions, Keyboard({}).ask)
    try:
        return run_turn(conversation, text, view=view, prompts=prompts, notes=notes, attach=attach) is not None
    finally:
        if conversation.session_id:
            notes.print(Text(f"Session {conversation.session_id}", style="dim"), soft_wrap=True)


def _read_input() -> str:
    if sys.stdin.isatty():
        errors_console().print("Type the message; Ctrl-D on an empty line sends it.", style="dim")
    text = sys.stdin.read().strip()
    if any("\ud800" <= character <= "\udfff" for character in text):  # How Python reads bytes that are no text.
        raise MixInputError(f"Standard input is no {sys.stdin.encoding} text.", hint="Upload files with /upload.")
    if not text:
        raise MixInputError("Standard input is empty.", hint="Give a message, or start it in a terminal.")
    return text
