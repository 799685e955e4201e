"""Runs the turns of a chat: sends messages, handles Ctrl-C, and reports how each turn ended."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import FrameType, TracebackType
from typing import Any, Final, Protocol, Self

from rich.console import Console
from rich.text import Text

from langchain_mix.cli.chat.conversation import Conversation
from langchain_mix.cli.chat.prompts import PromptHandler
from langchain_mix.cli.chat.slash_commands import Commands
from langchain_mix.cli.failures import report_error
from langchain_mix.cli.sessions.views import money
from langchain_mix.cli.terminal import counted, visible
from langchain_mix.errors import MixError, MixTurnCancelled
from langchain_mix.protocol.models import FileInfo
from langchain_mix.protocol.turn.updates import TurnResult, Update


class TurnView(Protocol):
    """Shows a turn; a `with` block is one."""

    def __enter__(self) -> Any:
        """Begins."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Ends."""
        ...

    def paused(self) -> AbstractContextManager[None]:
        """Shows nothing meanwhile."""
        ...

    def show(self, update: Update) -> None:
        """Shows what happened."""
        ...


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
    """Sends a message and shows what becomes of it.

    Args:
        conversation: The conversation.
        text: The message.
        view: Shows the turn.
        prompts: Answers what the agent asks.
        notes: Where it is reported how the turn ended.
        attach: Whether `@path` in the text names a file to upload.
        clock: Returns the time, in seconds.

    Returns:
        The turn's result; None if the user cancelled it.

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


_PROMPT = "You: "


class Reads(Protocol):
    """Reads messages."""

    def read(self, prompt: str) -> str:
        """The next message. Raises KeyboardInterrupt or EOFError to leave."""
        ...


def converse(
    conversation: Conversation,
    *,
    console: Console,
    keyboard: Reads,
    commands: Commands,
    view: TurnView,
    prompts: PromptHandler,
    resume: Callable[[str], str] | None = None,
) -> None:
    """Talks until the user leaves. Errors of a turn or a command are reported, and the chat goes on.

    Args:
        conversation: The conversation.
        console: The screen.
        keyboard: Reads messages.
        commands: Runs slash commands.
        view: Shows turns.
        prompts: Answers what the agent asks.
        resume: Returns the command that goes on in a session; None if nothing of the session stays.
    """
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


def answer_once(
    conversation: Conversation,
    text: str,
    *,
    view: TurnView,
    prompts: PromptHandler,
    notes: Console,
    attach: bool = True,
) -> bool:
    """Asks one question and shows the answer.

    Args:
        conversation: The conversation.
        text: The message.
        view: Shows the turn.
        prompts: Answers what the agent asks.
        notes: Where it is reported how the turn ended.
        attach: Whether `@path` in the text names a file to upload.

    Returns:
        Whether there is an answer; False if the user cancelled it.
    """
    try:
        return run_turn(conversation, text, view=view, prompts=prompts, notes=notes, attach=attach) is not None
    finally:
        if conversation.session_id:
            notes.print(Text(f"Session {conversation.session_id}", style="dim"), soft_wrap=True)
