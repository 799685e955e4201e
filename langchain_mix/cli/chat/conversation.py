"""A conversation with an agent: its options, its session, and its cost so far.

Owns: the state of a chat, and what can be done with its session. Refuses to know: the screen and the keyboard.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from langchain_mix.cli.sessions.queries import last_row_kept, rows_up_to
from langchain_mix.errors import MixInputError
from langchain_mix.protocol.events import SSENotificationEventData, SSEPermissionEventData
from langchain_mix.protocol.models import BackendMessage, FileInfo, SessionData
from langchain_mix.protocol.turn.updates import TurnResult
from langchain_mix.reserved_files import is_reserved

if TYPE_CHECKING:
    from langchain_mix.client import Mix
    from langchain_mix.client._sync_turn import TurnStream

Verdict = Callable[[SSEPermissionEventData], bool | None]
Reply = Callable[[SSENotificationEventData], str | None]


class Conversation:
    """A talk in one session after another.

    Attributes:
        mix: The client.
        options: What the user chose.
        session_id: The session; empty before it begins.
        last: What the last turn gave, or None.
        cost: US dollars of the turns so far, as far as the server reported it.
    """

    def __init__(self, mix: Mix, options: ChatOptions, session_id: str = "") -> None:
        """Sends nothing: a session begins with the first message."""
        self.mix = mix
        self.options = options
        self.session_id = session_id
        self.last: TurnResult | None = None
        self.cost = 0.0

    def begin(self) -> str:
        """The session; a new one if there is none yet."""
        if not self.session_id:
            self.session_id = self.mix.sessions.create(title=self.options.title).id
        return self.session_id

    def say(self, text: str, *, permissions: Verdict, on_notification: Reply) -> TurnStream:
        """Prepares a turn; iterating over it runs it.

        Args:
            text: The message.
            permissions: Answers the agent's requests.
            on_notification: Answers its notifications.

        Returns:
            The turn.
        """
        return self.mix.turn(
            self.begin(),
            text,
            plan_mode=True if self.options.plan_mode else None,
            thinking_level=self.options.thinking_level,
            max_steps=self.options.max_steps,
            permissions=permissions,
            on_notification=on_notification,
        )

    def record(self, result: TurnResult) -> None:
        """Remembers what a turn gave."""
        self.last = result
        if result.usage is not None and result.usage.cost is not None:
            self.cost += result.usage.cost

    def leave_session(self) -> None:
        """The next message begins a new session."""
        self.session_id, self.last = "", None

    def go_to(self, session: SessionData) -> None:
        """Goes on in another session."""
        self.session_id, self.last = session.id, None

    def current(self) -> str:
        """The session.

        Raises:
            MixInputError: There is none yet.
        """
        if not self.session_id:
            raise MixInputError("There is no session yet.", hint="It begins with your first message.")
        return self.session_id

    def rows(self) -> list[BackendMessage]:
        """All rows of the session, oldest first."""
        return self.mix.messages.list_session(id=self.current())

    def fork(self, keep: int | None) -> SessionData:
        """Goes on in a copy of the first exchanges.

        Args:
            keep: How many; a negative number leaves out so many of the last; None for all.

        Returns:
            The copy.
        """
        index = rows_up_to(self.rows(), keep)
        forked = self.mix.sessions.fork(id=self.current(), message_index=index, title=self.options.title)
        self.go_to(forked)
        return forked

    def rewind(self, keep: int, *, seen: list[BackendMessage]) -> int:
        """Deletes the last exchanges.

        Args:
            keep: How many stay; a negative number deletes so many.
            seen: The rows that the user was shown before saying yes.

        Returns:
            Rows deleted.

        Raises:
            MixInputError: The session is not what the user was shown any more, or none would stay.
        """
        row = last_row_kept(seen, keep)
        if [r.id for r in self.rows()] != [r.id for r in seen]:
            raise MixInputError("The session has changed meanwhile; nothing was deleted.", hint="Look at it again.")
        self.mix.sessions.rewind_session(id=self.current(), message_id=row.id, cleanup_media=False)
        self.last = None
        return len(seen) - seen.index(row) - 1

    def files(self) -> list[FileInfo]:
        """The uploaded files, which all sessions share, without those that this package keeps for itself."""
        return [f for f in self.mix.files.list_session_files(id=self.current()) if not is_reserved(f.name)]

    def overwritten(self, path: Path) -> list[str]:
        """The uploaded files that an upload may replace, for all sessions."""
        self.begin()
        return [f.name for f in self.files() if _on_server(f.name) == _on_server(path.name)]

    def upload(self, path: Path, progress: Callable[[int, int | None], object]) -> FileInfo:
        """Uploads a file.

        Args:
            path: The file.
            progress: Called with the bytes so far and in all.

        Returns:
            The file as the server has it.

        Raises:
            MixInputError: It is no file, or its name is one that this package keeps for itself.
        """
        if is_reserved(path.name):
            raise MixInputError(f"{path.name} is a name that checkpoints use.", hint="Rename the file.")
        return self.mix.files.upload_session_file(id=self.begin(), file=path, progress=progress)

    def model(self) -> str:
        """Returns the model that answered last; without one the server's preferred one. Empty if unknown."""
        if self.last is not None and self.last.model:
            return self.last.model
        preferences = self.mix.preferences.get_preferences().preferences
        return (preferences.main_agent_model or "") if preferences is not None else ""


def _on_server(name: str) -> str:
    """Returns the name as a server may rewrite it: white space and inner dots become `_`, and one of them is enough."""
    base, dot, suffix = name.rpartition(".")
    if not base:
        base, dot, suffix = name, "", ""
    plain = "_".join(base.replace(".", " ").replace("_", " ").split())
    return f"{plain}{dot}{suffix}"


Permissions = Literal["ask", "deny", "allow"]


@dataclass(slots=True, kw_only=True)
class ChatOptions:
    """The options of a chat.

    Attributes:
        title: Title of sessions that the chat begins.
        permissions: How the agent's requests to run a tool are answered.
        plan_mode: Whether the agent may only read and plan.
        thinking_level: How much the model may think, or None for the server's default (Mix 0.7).
        max_steps: After how many steps a turn ends with an error, or None (Mix 0.8).
        show_thinking: Whether thinking is shown.
        history: Whether what is typed is remembered in a file.
    """

    title: str = "Chat"
    permissions: Permissions = "ask"
    plan_mode: bool = False
    thinking_level: str | None = None
    max_steps: int | None = None
    show_thinking: bool = True
    history: bool = True
