"""A chat from beginning to end.

Owns: the order of things: read, say or do, and read again; and a single question without a terminal.
Refuses to know: how text is read, shown and sent.
"""

from __future__ import annotations

from typing import Protocol

from rich.console import Console
from rich.text import Text

from langchain_mix.cli.chat.questions import Questions
from langchain_mix.cli.chat.slash import Commands
from langchain_mix.cli.chat.talk import Talk
from langchain_mix.cli.chat.turns import TurnView, run_turn
from langchain_mix.cli.failures import tell
from langchain_mix.errors import MixError

_PROMPT = "You: "


class Reads(Protocol):
    """Reads messages."""

    def read(self, prompt: str) -> str:
        """The next message. Raises KeyboardInterrupt or EOFError to leave."""
        ...


def converse(
    talk: Talk, *, console: Console, keyboard: Reads, commands: Commands, view: TurnView, questions: Questions
) -> None:
    """Talks until the user leaves. What goes wrong in a turn or a command is told, and the talk goes on.

    Args:
        talk: The talk.
        console: The screen.
        keyboard: Reads messages.
        commands: Runs slash commands.
        view: Shows turns.
        questions: Answers what the agent asks.
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
                run_turn(talk, line.strip(), view=view, questions=questions, notes=console)
        except KeyboardInterrupt:
            break
        except (MixError, OSError) as error:
            tell(error)
    if talk.session_id:
        console.print(Text(f"Go on later: langchain-mix chat --session {talk.session_id}", style="dim"), soft_wrap=True)


def answer_once(talk: Talk, text: str, *, view: TurnView, questions: Questions, notes: Console) -> bool:
    """Asks one question and shows the answer.

    Args:
        talk: The talk.
        text: The message.
        view: Shows the turn.
        questions: Answers what the agent asks.
        notes: Where it is told how the turn ended.

    Returns:
        Whether there is an answer; False if the user cancelled it.
    """
    try:
        return run_turn(talk, text, view=view, questions=questions, notes=notes) is not None
    finally:
        if talk.session_id:
            notes.print(Text(f"Session {talk.session_id}", style="dim"), soft_wrap=True)
