"""Slash commands of a chat.

Owns: what they are called and what they do. Refuses to know: turns.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from rich.console import Console
from rich.table import Table
from rich.text import Text

from langchain_mix.cli.chat.conversation import Conversation
from langchain_mix.cli.chat.views import readable
from langchain_mix.cli.files import no_file, progress_of
from langchain_mix.cli.session_views import Format, save, show_head, show_transcript, written
from langchain_mix.cli.sessions import exchanges_of, find_session, last_row_kept
from langchain_mix.cli.terminal import counted, one_line, visible
from langchain_mix.errors import MixInputError
from langchain_mix.protocol.api import ALL

_SHOWN_ON_RESUME: Final = 2
_ASKED_CHARS: Final = 72
_LEAVING: Final = frozenset({"exit", "quit"})


class Confirms(Protocol):
    """Asks for a yes or a no."""

    def confirm(self, question: str) -> bool:
        """True when it was a yes."""
        ...


COMMANDS: Final = {
    "/help": "Show this.",
    "/new [TITLE]": "Begin a new session with the next message.",
    "/session [ID]": "Show this session, or go to another one.",
    "/fork [N]": "Go on in a copy of the first N exchanges (-1: all but the last; all if not given).",
    "/rewind [N]": "Delete all but the first N exchanges (-1, or nothing given: the last one).",
    "/files": "List uploaded files, which all sessions share.",
    "/upload PATH": "Upload a file.",
    "/tools": "Show the last turn's tools with their whole output.",
    "/model": "Show which model answers.",
    "/plan [on|off]": "Let the agent only read and plan, or work again.",
    "/export [FILE]": "Write this session down, as Markdown or .json.",
    "/quit": "Leave, as exit, quit and Ctrl-D do. The session stays.",
}
"""Commands with their arguments, and what they do."""


class Commands:
    """The slash commands of one chat. `over` is true when the user wants to leave."""

    def __init__(self, conversation: Conversation, console: Console, keyboard: Confirms) -> None:
        """Runs nothing yet."""
        self.over = False
        self._conversation = conversation
        self._console = console
        self._keyboard = keyboard
        self._all: dict[str, Callable[[str], None]] = {
            "/help": self._help,
            "/new": self._new,
            "/session": self._session,
            "/fork": self._fork,
            "/rewind": self._rewind,
            "/files": self._files,
            "/upload": self._upload,
            "/tools": self._tools,
            "/model": self._model,
            "/plan": self._plan,
            "/export": self._export,
            "/quit": self._quit,
            "/exit": self._quit,
        }

    def run(self, line: str) -> bool:
        """Runs a line if it is a command, and returns whether it was one.

        With a space in front, a line that begins with a slash is a message, and `exit` is.

        Raises:
            MixError: It failed.
            OSError: A file could not be read or written.
        """
        if line.lower() in _LEAVING:
            self._console.print(f"{line} leaves, as /quit does. With a space in front it is a message.", style="dim")
            line = "/quit"
        if not line.startswith("/"):
            return False
        name, _, argument = line.partition(" ")
        command = self._all.get(name)
        if command is None:
            raise MixInputError(
                f"There is no command {visible(name)}.", hint="/help lists them. A space in front makes it a message."
            )
        command(argument.strip())
        return True

    def resume(self, named: str) -> None:
        """Goes to a session that exists, and shows its last exchanges."""
        mix = self._conversation.mix
        session = mix.sessions.get(id=find_session(mix, named))
        rows = mix.messages.list_session(id=session.id)
        self._conversation.go_to(session)
        show_head(self._console, session)
        show_transcript(self._console, rows, last=_SHOWN_ON_RESUME)

    def _help(self, _: str) -> None:
        table = Table.grid(padding=(0, 2))
        for usage, does in COMMANDS.items():
            table.add_row(Text(usage, style="bold"), does)
        self._console.print(table)
        self._console.print(
            "@path attaches a file or a picture. Enter sends; Alt-Enter or a backslash at the end begins another line. "
            "Ctrl-C cancels a running turn; on an empty line it leaves.",
            style="dim",
        )

    def _new(self, title: str) -> None:
        self._conversation.options.title = title or self._conversation.options.title
        self._conversation.leave_session()
        self._console.print("The next message begins a new session.")

    def _session(self, named: str) -> None:
        if named:
            self.resume(named)
            return
        show_head(self._console, self._conversation.mix.sessions.get(id=self._conversation.current()))
        api = self._conversation.mix.api or " or ".join(sorted(self._conversation.mix.known, key=ALL.index))
        self._console.print(Text(f"Server {self._conversation.mix.server_url}, API {api}", style="dim"))

    def _fork(self, typed: str) -> None:
        before = self._conversation.current()
        forked = self._conversation.fork(_number(typed) if typed else None)
        self._console.print(Text(f"Going on in the copy {forked.id}; /session {before} goes back."))

    def _rewind(self, typed: str) -> None:
        keep = _number(typed) if typed else -1
        rows = self._conversation.rows()
        kept = rows.index(last_row_kept(rows, keep)) + 1
        gone = [e for e in exchanges_of(rows) if e.end > kept]
        if not gone:
            self._console.print("Nothing follows; nothing is deleted.")
            return
        for exchange in gone:
            self._console.print(Text(f"  {exchange.number}. {one_line(exchange.asked, _ASKED_CHARS)}"))
        if self._keyboard.confirm(f"Delete {counted(len(gone), 'exchange')}? Nothing brings them back."):
            self._console.print(f"Deleted {counted(self._conversation.rewind(keep, seen=rows), 'message')}.")
        else:
            self._console.print("Nothing was deleted.")

    def _files(self, _: str) -> None:
        files = self._conversation.files()
        for file in files:
            self._console.print(Text(f"  {visible(file.name)}  {file.size:,} bytes"))
        if not files:
            self._console.print("No file was uploaded yet.")

    def _upload(self, typed: str) -> None:
        if not typed:
            raise MixInputError("Which file?", hint="/upload PATH")
        path = Path(_unquoted(typed)).expanduser()
        if not path.is_file():
            raise MixInputError(no_file(path))
        there = self._conversation.overwritten(path)
        if there and not self._keyboard.confirm(f"Replace {visible(', '.join(there))} for all sessions?"):
            self._console.print("Nothing was uploaded.")
            return
        with progress_of(f"Uploading {path.name}") as moved:
            info = self._conversation.upload(path, moved)
        self._console.print(Text(f"Uploaded as {visible(info.name)}, {info.size:,} bytes."))

    def _tools(self, _: str) -> None:
        calls = self._conversation.last.tool_calls if self._conversation.last is not None else []
        for call in calls:
            self._console.print(Text(f"{visible(call.name)} · {call.status}", style="bold"))
            self._console.print(Text(readable(call.input)))
            if call.output is not None:
                self._console.print(Text(visible(call.output), style="dim"))
        if not calls:
            self._console.print("The last turn used no tools.")

    def _model(self, _: str) -> None:
        self._console.print(Text(visible(self._conversation.model()) or "The server does not report it."))

    def _plan(self, typed: str) -> None:
        options = self._conversation.options
        if typed not in {"", "on", "off"}:
            raise MixInputError("/plan is on or off.")
        options.plan_mode = not options.plan_mode if not typed else typed == "on"
        self._console.print("The agent only reads and plans." if options.plan_mode else "The agent works.")

    def _export(self, typed: str) -> None:
        session = self._conversation.mix.sessions.get(id=self._conversation.current())
        path = Path(_unquoted(typed)).expanduser() if typed else Path(f"session-{session.id[:8]}.md")
        replace = path.exists()
        if replace and not self._keyboard.confirm(f"Replace {path}?"):
            self._console.print("Nothing was written.")
            return
        form: Format = "json" if path.suffix.lower() == ".json" else "markdown"
        save(written(session, self._conversation.rows(), form), path, overwrite=replace)
        self._console.print(Text(f"Wrote {path}."))

    def _quit(self, _: str) -> None:
        self.over = True


def _number(typed: str) -> int:
    try:
        return int(typed)
    except ValueError:
        raise MixInputError(f"{visible(typed)!r} is no number of exchanges.") from None


def _unquoted(typed: str) -> str:
    """A path as terminals paste it when a file is dropped there."""
    if len(typed) > 1 and typed[0] == typed[-1] and typed[0] in "'\"":
        return typed[1:-1]
    return typed.replace("\\ ", " ")
