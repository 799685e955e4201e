"""Reads what people type: messages with editing, history and completion, and answers to prompts.

Owns: reading lines. Refuses to know: what they mean.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import clear_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import Output

_APP: Final = "langchain-mix"
_ATTACHED: Final = re.compile(r"(?<!\S)@([^\s\"']*)$")


class Keyboard:
    """Reads from the terminal."""

    def __init__(
        self,
        commands: Mapping[str, str],
        *,
        history: Path | None = None,
        keys: Input | None = None,
        screen: Output | None = None,
    ) -> None:
        """Reads nothing yet.

        Args:
            commands: How slash commands are typed and what they do, for completion.
            history: The file that remembers messages, or None to remember them only while this runs.
            keys: Where keys come from; None for the terminal.
            screen: Where they are shown; None for the terminal.
        """
        self._keys = keys
        self._screen = screen
        self._session: PromptSession[str] = PromptSession(
            multiline=True,
            key_bindings=_bindings(),
            history=_history(history),
            auto_suggest=AutoSuggestFromHistory(),
            completer=_Commands(commands),
            complete_while_typing=False,
            prompt_continuation="... ",
            input=keys,
            output=screen,
        )

    def read(self, prompt: str) -> str:
        """Reads a message. Enter sends it; Alt-Enter, or a backslash at the end of a line, begins another line.

        Raises:
            KeyboardInterrupt: Ctrl-C on an empty line. On any other it only empties the line.
            EOFError: Ctrl-D on an empty line.
        """
        return self._session.prompt(prompt).replace("\\\n", "\n")

    def ask(self, question: str, seconds: float | None = None, *, fresh: bool = True, keys: str = "") -> str | None:
        """Asks something; None if no answer came in time. May be called in any thread, while nothing else reads.

        Args:
            question: The text in front of the answer.
            seconds: How long to wait, or None for any time. The seconds that are left are shown.
            fresh: Forget what was typed before the question was seen: it is no answer to it.
            keys: Letters of which one is the answer as soon as it is pressed; empty for a line that ends with Enter.

        Raises:
            KeyboardInterrupt: Ctrl-C.
            EOFError: Ctrl-D.
        """
        end = None if seconds is None else time.monotonic() + seconds

        def shown() -> str:
            left = "" if end is None else f"({max(end - time.monotonic(), 0):.0f} s left) "
            return question + left

        session: PromptSession[str] = PromptSession(
            input=self._keys,
            output=self._screen,
            key_bindings=_one_of(keys) if keys else None,
            refresh_interval=0 if end is None else 1,
        )

        if fresh:
            _forget_typed(session.app.input)

        left = False

        async def typed() -> str | None:
            nonlocal left
            try:
                return await session.prompt_async(shown)
            except KeyboardInterrupt:  # A task would raise it here, and again when the program ends.
                left = True
                return None

        async def answer() -> str | None:
            try:
                return await asyncio.wait_for(typed(), seconds)
            except TimeoutError:
                return None

        said = asyncio.run(answer())
        if left:
            raise KeyboardInterrupt
        return said

    def confirm(self, question: str) -> bool:
        """Asks until the answer is yes or no. Leaving the question is a no."""
        try:
            said, fresh = "", True
            while said not in {"y", "yes", "n", "no"}:
                said = (self.ask(f"{question} [y/n] ", fresh=fresh, keys="yn") or "").strip().lower()
                fresh = False
            return said.startswith("y")
        except (KeyboardInterrupt, EOFError):
            return False


def _one_of(keys: str) -> KeyBindings:
    """Returns bindings with which one of these letters is the answer, and any other key is none."""
    bindings = KeyBindings()

    def _ignore(_: KeyPressEvent) -> None:
        return

    for key in (Keys.Any, Keys.Enter, Keys.BracketedPaste):
        bindings.add(key)(_ignore)

    def _answer(event: KeyPressEvent) -> None:
        letter = event.key_sequence[0].key.lower()
        event.current_buffer.insert_text(letter)
        event.app.exit(result=letter)

    for letter in {*keys.lower(), *keys.upper()}:
        bindings.add(letter)(_answer)
    return bindings


def _forget_typed(keys: Input) -> None:
    clear_typeahead(keys)
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415  # There is no such module elsewhere.

        while msvcrt.kbhit():
            msvcrt.getwch()
    elif os.isatty(keys.fileno()):
        import termios  # noqa: PLC0415  # There is no such module on Windows.

        termios.tcflush(keys.fileno(), termios.TCIFLUSH)


def history_file() -> Path:
    """Returns the file of typed messages, in the user's directory for state."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    else:
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / _APP / "chat-history"


def _history(path: Path | None) -> History:
    if path is None:
        return InMemoryHistory()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)  # Messages are private.
    return FileHistory(str(path))


def _bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("enter")
    def _send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.text_before_cursor.endswith("\\") and buffer.document.is_cursor_at_the_end:
            buffer.newline(copy_margin=False)
        else:
            buffer.validate_and_handle()

    @bindings.add("escape", "enter")
    def _another_line(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    @bindings.add("c-c")
    def _empty_or_leave(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            get_app().exit(exception=KeyboardInterrupt)

    return bindings


class _Commands(Completer):
    """Completes slash commands, paths behind those that take one, and attached files."""

    def __init__(self, commands: Mapping[str, str]) -> None:
        self._commands = {usage.partition(" ")[0]: does for usage, does in commands.items()}
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        typed = document.text_before_cursor
        name, space, argument = typed.partition(" ")
        if (attached := _ATTACHED.search(typed)) is not None:
            yield from self._paths.get_completions(Document(attached[1], len(attached[1])), complete_event)
            return
        if not typed.startswith("/") or "\n" in typed:
            return
        if not space:
            for command, does in self._commands.items():
                if command.startswith(name):
                    yield Completion(command, start_position=-len(name), display_meta=does)
        elif name in {"/upload", "/export"}:
            yield from self._paths.get_completions(Document(argument, len(argument)), complete_event)
