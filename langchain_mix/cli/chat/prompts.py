"""Prompts of a turn: permission for a tool, and notifications.

Owns: how these are put to people, and what counts as an answer. Silence is never a yes.
Refuses to know: keyboards and screens; it is given both.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from langchain_mix.cli.chat.conversation import Permissions
from langchain_mix.cli.chat.views import readable
from langchain_mix.cli.terminal import one_line, visible
from langchain_mix.errors import MixTurnCancelled
from langchain_mix.protocol.events import SSENotificationEventData, SSEPermissionEventData
from langchain_mix.protocol.permissions import word_of_decision

PERMISSION_SECONDS: Final = 29.0
"""Mix denies by itself after 30 s, and says the same to a grant that comes later. Who waits less long never lies."""

_ASKED_CHARS: Final = 200
_NAME_CHARS: Final = 40


class Ask(Protocol):
    """Asks the user something."""

    def __call__(self, question: str, seconds: float | None, *, fresh: bool, keys: str = "") -> str | None:
        """Asks for so many seconds, and shows how many are left; None if no answer came.

        What was typed before a fresh question is no answer to it. With keys, pressing one of them is the answer,
        without Enter. Raises KeyboardInterrupt or EOFError if the user leaves.
        """
        ...


class View(Protocol):
    """The display of a turn."""

    def paused(self) -> AbstractContextManager[None]:
        """Shows nothing else meanwhile."""
        ...


class PromptHandler:
    """Puts the agent's questions to the user."""

    def __init__(
        self,
        console: Console,
        view: View,
        policy: Permissions,
        ask: Ask | None = None,
        *,
        seconds: float = PERMISSION_SECONDS,
    ) -> None:
        """Prompts for nothing yet; `view` shows nothing while a prompt is open.

        Without a terminal, `ask` is None: requests are denied then, and that is reported.
        """
        self._console = console
        self._view = view
        self._policy = policy
        self._ask = ask
        self._seconds = seconds
        self._always: set[str] = set()
        self._one_at_a_time = threading.Lock()  # Sub-agents ask from threads of their own.

    def permission(self, request: SSEPermissionEventData) -> bool | None:
        """Decides whether a tool may run; None if that was not answered in time, so that the server has denied it.

        Raises:
            MixTurnCancelled: The user left the question.
        """
        with self._one_at_a_time, self._view.paused():
            if self._policy == "allow" or request.tool_name in self._always:
                self._report(f"Allowed: {_asked(request)}")
                return True
            if self._policy == "deny" or self._ask is None:
                self._report(f"Denied: {_asked(request)} (`--permissions allow` allows it)")
                return False
            self._console.print(permission_panel(request))
            return self._decide(self._ask, request.tool_name)

    def _decide(self, ask: Ask, tool: str) -> bool | None:
        named = one_line(tool, _NAME_CHARS) or "this tool"
        question = f"Allow it? [y] yes  [n] no  [a] yes, and always {named} in this chat "
        asking = _Prompt(ask, self._seconds)
        while True:
            said = asking.answer(question, keys="yna")
            if said is None:
                self._report(f"No answer within {self._seconds:g} s: the server denies it.")
                return None
            if said.strip().lower() in {"a", "always"}:
                self._always.add(tool)
                self._report(f"Allowed, and {named} needs no other answer in this chat.")
                return True
            decided = word_of_decision(said)
            if decided is not None:
                return decided
            self._report("Press y, n or a.")

    def notification(self, note: SSENotificationEventData) -> str | None:
        """Shows a notification and returns its answer.

        Returns:
            The answer, `""` to acknowledge it, None without a terminal or if no answer came in time.

        Raises:
            MixTurnCancelled: The user left the question.
        """
        with self._one_at_a_time, self._view.paused():
            self._console.print(notification_panel(note))
            if self._ask is None:
                self._report("There is no terminal to answer it.")
                return None
            said = self._reply(self._ask, note)
            if said is None:
                self._report("No answer in time.")
            return said

    def _reply(self, ask: Ask, note: SSENotificationEventData) -> str | None:
        asking = _Prompt(ask, note.timeout or None)
        choices = note.choices or []
        if note.response_type == "choice" and choices:
            while True:
                said = asking.answer(f"Your choice, 1 to {len(choices)}: ")
                chosen = said if said is None else _chosen(said.strip(), choices)
                if said is None or chosen is not None:
                    return chosen
        if note.response_type == "text":
            return asking.answer("Your answer: ")
        return None if asking.answer("Enter acknowledges it. ") is None else ""

    def _report(self, text: str) -> None:
        self._console.print(Text(visible(text), style="yellow"), soft_wrap=True)


def permission_panel(request: SSEPermissionEventData) -> Panel:
    """Returns all that is known of what a tool wants, each fact once. Nothing is cut: it is decided on."""
    about = request.description or request.action
    parts = [Text(visible(about))] if about else []
    params: Any = request.params
    values = params if isinstance(params, Mapping) else {}
    if request.action and not _says(f"{about} {request.tool_name}", request.action):
        parts.append(Text("Action: ", style="bold").append(visible(request.action), style="not bold"))
    if request.path and not _says(" ".join([about, *map(str, values.values())]), request.path, inside=True):
        parts.append(Text("Where: ", style="bold").append(visible(request.path), style="not bold"))
    diff = values.get("diff")
    if values:
        params = {name: value for name, value in values.items() if name != "diff" and not _says(about, value)}
    if arguments := readable(params):
        parts += [Text("With:", style="bold"), *(Text(f"    {line}") for line in arguments.split("\n"))]
    if diff:
        parts.append(diff_text(str(diff)))
    title = Text("The agent asks to run ").append(visible(request.tool_name) or "a tool", style="bold")
    return Panel(Text("\n").join(parts), title=title, title_align="left", border_style="yellow")


def diff_text(diff: str) -> Text:
    """Returns a unified diff in the colours of one."""
    styles = {"+": "green", "-": "red", "@": "cyan"}
    lines = [Text(line, style=styles.get(line[:1], "")) for line in visible(diff).rstrip("\n").split("\n")]
    return Text("\n").join(lines)


def _says(text: str, value: object, *, inside: bool = False) -> bool:
    """True when a text contains a value as a whole word; with `inside`, also as a directory in a longer path."""
    if not isinstance(value, str) or not value.strip():
        return False
    end = r"(?![^\s\"'`),;:/\\])" if inside else r"(?![^\s\"'`),;])"
    return re.search(rf"(?<![^\s\"'`(]){re.escape(value)}{end}", text, re.IGNORECASE) is not None


def notification_panel(note: SSENotificationEventData) -> Panel:
    """Returns a panel with a notification."""
    body = Text(visible(note.message))
    for number, choice in enumerate(note.choices or [], start=1):
        body.append(f"\n  {number}. {visible(choice)}")
    style = {"error": "red", "warning": "yellow"}.get(note.notification_type, "cyan")
    return Panel(body, title=Text(visible(note.title) or "Notification"), title_align="left", border_style=style)


class _Prompt:
    """One question, repeated until the answer is valid; all attempts share one deadline."""

    def __init__(self, ask: Ask, seconds: float | None) -> None:
        self._ask = ask
        self._end = None if seconds is None else time.monotonic() + seconds
        self._fresh = True

    def answer(self, question: str, *, keys: str = "") -> str | None:
        left = None if self._end is None else self._end - time.monotonic()
        if left is not None and left <= 0:
            return None
        try:
            return self._ask(question, left, fresh=self._fresh, keys=keys)
        except (KeyboardInterrupt, EOFError):
            # An exception of this kind is carried from whichever thread asks to the turn, which ends then.
            raise MixTurnCancelled("You left the agent's question, which denies it.", acted="yes") from None
        finally:
            self._fresh = False


def _chosen(said: str, choices: list[str]) -> str | None:
    if said.isascii() and said.isdigit() and 1 <= int(said) <= len(choices):
        return choices[int(said) - 1]
    return next((choice for choice in choices if choice.casefold() == said.casefold()), None)


def _asked(request: SSEPermissionEventData) -> str:
    what = request.description or request.action or one_line(readable(request.params), _ASKED_CHARS)
    return f"{request.tool_name or 'a tool'}: {what}" if what else request.tool_name or "a tool"
