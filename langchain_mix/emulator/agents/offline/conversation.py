"""The offline agent's view of a conversation, and the moves it can make."""

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
    """Ends the turn with an answer in Markdown."""

    text: str
    thoughts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Act:
    """Calls one tool, perhaps after a text that ends with a blank line, and waits for its result."""

    tool: str
    arguments: Mapping[str, Any]
    text: str = ""
    thoughts: tuple[str, ...] = ()


Move = Say | Act


@dataclass(frozen=True, slots=True)
class Exchange:
    """An earlier question and the last text of its answer."""

    user: str
    agent: str


@dataclass(frozen=True, slots=True)
class Step:
    """A tool call of this turn and its result."""

    call: ToolUse
    result: Result

    @property
    def denied(self) -> bool:
        """True when the user refused permission."""
        return self.result.output.startswith(DENIED)


@dataclass(frozen=True, slots=True)
class Conversation:
    """A parsed request, oldest things first; the question is the last user row without what the server appended."""

    request: Request
    question: str
    earlier: tuple[Exchange, ...]
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, request: Request) -> Conversation:
        """Parses a request."""
        lines = request.lines
        last = max((i for i, line in enumerate(lines) if line.role == "user"), default=-1)
        question = _without_reminders(lines[last].text) if last >= 0 else ""
        return cls(request, question, _exchanges(lines[: max(last, 0)]), _steps(lines[last + 1 :]))

    @property
    def ask(self) -> str:
        """The question, cut to a length that patterns can search in no time."""
        return self.question[:_INTENT_CHARS].replace("\u2019", "'").strip()

    @property
    def instructions(self) -> str:
        """The session's own prompt where the server would use it. Mix: mode `default` ignores it."""
        return self.request.system_prompt if self.request.prompt_mode in ("append", "replace") else ""

    def can(self, *tools: str) -> bool:
        """True when these tools may be called in this turn."""
        return all(tool in self.request.tools for tool in tools)

    def done(self, tool: str) -> list[Step]:
        """Returns the calls of one tool, oldest first."""
        return [step for step in self.steps if step.call.name == tool]

    def name_of(self, path: str) -> str:
        """Returns a file's name without the directories of the server."""
        for root in (self.request.workspace, self.request.uploads):
            for prefix in (f"{root}/", f"{root.resolve()}/"):
                if path.startswith(prefix):
                    return path.removeprefix(prefix)
        return path


Strategy = Callable[[Conversation], Move | None]
"""Returns the move for a question it knows; None leaves it to the next strategy."""


def _without_reminders(text: str) -> str:
    """Removes what the server appended. Mix 0.7: the reminder of plan mode is stored in the user's text."""
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
