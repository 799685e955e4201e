"""One turn of a chat, from the message to the line about its cost.

Owns: running it, and what is said when it ended, well or not. Refuses to know: what is typed between turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console
from rich.text import Text

from langchain_mix.cli.chat.interrupts import Interrupts
from langchain_mix.cli.chat.questions import Questions
from langchain_mix.cli.chat.talk import Talk
from langchain_mix.cli.sessions.exchanges import counted
from langchain_mix.cli.sessions.views import money
from langchain_mix.cli.terminal import visible
from langchain_mix.errors import MixTurnCancelled
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
    talk: Talk,
    text: str,
    *,
    view: TurnView,
    questions: Questions,
    notes: Console,
    clock: Callable[[], float] = time.monotonic,
) -> TurnResult | None:
    """Sends a message and shows what becomes of it.

    Args:
        talk: The talk.
        text: The message.
        view: Shows the turn.
        questions: Answers what the agent asks.
        notes: Where it is told how the turn ended.
        clock: Tells the time, in seconds.

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
            turn = talk.say(text, permissions=questions.permission, on_notification=questions.notification)
            with view, turn:
                for update in turn:
                    view.show(update)
        except (KeyboardInterrupt, MixTurnCancelled) as left:
            if interrupts.leaving:
                raise
            if isinstance(left, MixTurnCancelled) and not interrupts.count and left.sent:
                raise  # Somebody else has cancelled it.
            notes.print(Text("Cancelled. The server keeps what the agent had said.", style="yellow"))
            return None
    talk.heard(turn.result)
    notes.print(Text(visible(summary(turn.result, clock() - started, talk.cost)), style="dim"))
    for line in warnings(turn.result):
        notes.print(Text(line, style="yellow"))
    return turn.result


def summary(result: TurnResult, seconds: float, total: float) -> str:
    """What a turn has taken: tokens, cost, time, and the cost of the chat so far."""
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
    """What a user should know about a turn that ended well."""
    told = []
    if result.contended:
        told.append("Another client's turn ran in this session at the same time; the answers may be mixed up.")
    if not result.verified and not result.command:
        told.append("The stored messages could not be read; the text is as it was streamed.")
    return told
