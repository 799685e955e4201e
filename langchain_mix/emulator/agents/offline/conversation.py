"""What the offline agent sees of a conversation, and the moves it can make.

Owns: splitting the rows into the question, what was said before, and the steps done since.
Refuses to know: how any question is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_mix.emulator.agents.base import Line, Request, Result, ToolUse

DENIED = "The user doesn't want to proceed with this tool use."
_REMINDER, _REMINDER_END = "<system-reminder>", "</system-reminder>"
_INTENT_CHARS = 4000


@dataclass(frozen=True, slots=True)
class Say:
    """Ends the turn with an answer.

    Attributes:
        text: Markdown.
        thoughts: What it thinks before it speaks.
    """

    text: str
    thoughts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Act:
    """Calls one tool and waits for its result.

    Attributes:
        tool: PascalCase.
        arguments: Its input.
        text: What is said before; may be empty, ends with a blank line otherwise.
        thoughts: What it thinks before it acts.
    """

    tool: str
    arguments: Mapping[str, Any]
    text: str = ""
    thoughts: tuple[str, ...] = ()


Move = Say | Act


@dataclass(frozen=True, slots=True)
class Exchange:
    """An earlier question and the last words of its answer."""

    user: str
    agent: str


@dataclass(frozen=True, slots=True)
class Step:
    """A tool call of this turn and what it gave."""

    call: ToolUse
    result: Result

    @property
    def denied(self) -> bool:
        """Whether the user refused permission."""
        return self.result.output.startswith(DENIED)


@dataclass(frozen=True, slots=True)
class Conversation:
    """A request, read.

    Attributes:
        request: As the runner gave it.
        question: The last user row, without what the server appended.
        earlier: The exchanges before, oldest first.
        steps: The tool calls since the question, oldest first.
    """

    request: Request
    question: str
    earlier: tuple[Exchange, ...]
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, request: Request) -> Conversation:
        """Reads a request."""
        lines = request.lines
        last = max((i for i, line in enumerate(lines) if line.role == "user"), default=-1)
        question = _without_reminders(lines[last].text) if last >= 0 else ""
        return cls(request, question, _exchanges(lines[: max(last, 0)]), _steps(lines[last + 1 :]))

    @property
    def ask(self) -> str:
        """The question, no longer than anybody asks, for recognising what is wanted."""
        return self.question[:_INTENT_CHARS].replace("\u2019", "'").strip()

    def can(self, tool: str) -> bool:
        """Tells whether a tool may be called in this turn."""
        return tool in self.request.tools

    def done(self, tool: str) -> list[Step]:
        """Gives the calls of one tool, oldest first."""
        return [step for step in self.steps if step.call.name == tool]

    def name_of(self, path: str) -> str:
        """Names a file as users do: without the directories of the server."""
        for root in (self.request.workspace, self.request.uploads):
            for prefix in (f"{root}/", f"{root.resolve()}/"):
                if path.startswith(prefix):
                    return path.removeprefix(prefix)
        return path


Strategy = Callable[[Conversation], Move | None]
"""Answers the questions it knows; None leaves them to the next."""


def _without_reminders(text: str) -> str:
    """Takes out what the server appended. Mix 0.7: the reminder of plan mode is stored in the user's text."""
    kept: list[str] = []
    at = 0
    while (start := text.find(_REMINDER, at)) >= 0:
        end = text.find(_REMINDER_END, start)
        if end < 0:
            break
        kept.append(text[at:start])
        at = end + len(_REMINDER_END)
    return "".join([*kept, text[at:]]).strip()


def _exchanges(lines: tuple[Line, ...]) -> tuple[Exchange, ...]:
    found: list[Exchange] = []
    for line in lines:
        if line.role == "user":
            found.append(Exchange(_without_reminders(line.text), ""))
        elif line.role == "assistant" and line.text and found:
            found[-1] = Exchange(found[-1].user, line.text)
    return tuple(found)


def _steps(lines: tuple[Line, ...]) -> tuple[Step, ...]:
    calls: dict[str, ToolUse] = {}
    steps: list[Step] = []
    for line in lines:
        calls.update((call.id, call) for call in line.calls)
        steps.extend(Step(calls[result.call_id], result) for result in line.results if result.call_id in calls)
    return tuple(steps)
