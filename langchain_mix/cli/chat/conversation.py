"""A conversation with an agent: its options, its session, and its cost so far.

Owns: the state of a chat, and what can be done with its session. Refuses to know: the screen and the keyboard.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from langchain_mix.cli.files import check_upload, name_on_server, no_file, replaced_by, uploads
from langchain_mix.cli.sessions import last_row_kept, rows_up_to
from langchain_mix.errors import MixError, MixInputError
from langchain_mix.protocol.api import ALL, ApiKnowledge
from langchain_mix.protocol.events import SSENotificationEventData, SSEPermissionEventData
from langchain_mix.protocol.models import BackendMessage, FileInfo, SessionData
from langchain_mix.protocol.turn.updates import TurnResult

if TYPE_CHECKING:
    from langchain_mix.client import Mix
    from langchain_mix.client._sync_turn import TurnStream

_ATTACHMENT: Final = re.compile(r"""(?<!\S)@(?:"([^"\n]+)"|'([^'\n]+)'|((?:\\ |\S)+))""")
_ESCAPED: Final = re.compile(r"(?<!\S)\\@")
_SUFFIX: Final = re.compile(r"\.[A-Za-z0-9]{1,5}\W*$")

Verdict = Callable[[SSEPermissionEventData], bool | None]
Reply = Callable[[SSENotificationEventData], str | None]


class Conversation:
    """A talk in one session after another.

    Attributes:
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
        self._environment: str | None = None

    def begin(self) -> str:
        """The session; a new one if there is none yet."""
        if not self.session_id:
            self.session_id = self.mix.sessions.create(title=self.options.title).id
        return self.session_id

    def say(self, text: str, *, permissions: Verdict, on_notification: Reply) -> TurnStream:
        """Prepares a turn; iterating over it runs it."""
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
        """Goes on in a copy of the first exchanges: all for None, all but so many of the last for a negative number."""
        index = rows_up_to(self.rows(), keep)
        forked = self.mix.sessions.fork(id=self.current(), message_index=index, title=self.options.title)
        self.go_to(forked)
        return forked

    def rewind(self, keep: int, *, seen: list[BackendMessage]) -> int:
        """Deletes the last exchanges, and returns the number of rows deleted.

        Args:
            keep: How many exchanges stay; a negative number deletes so many.
            seen: The rows that the user was shown before saying yes.

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
        return uploads(self.mix, self.current())

    def overwritten(self, path: Path) -> list[str]:
        """The uploaded files that an upload may replace, for all sessions."""
        self.begin()
        return replaced_by(self.files(), [path.name])

    def upload(self, path: Path, progress: Callable[[int, int | None], object]) -> FileInfo:
        """Uploads a file; `progress` is called with the bytes so far and in all.

        Raises:
            MixInputError: It is no file, or its name is one that this package keeps for itself.
        """
        check_upload(path)
        return self.mix.files.upload_session_file(id=self.begin(), file=path, progress=progress)

    def attach(self, text: str, attached: Callable[[FileInfo], object]) -> str:
        """Uploads the files that a message names as `@path`, and returns the message with references in their place.

        A backslash in front of an `@` keeps it as it is. `attached` is called with each file as the server has it.

        Raises:
            MixInputError: There is no such file.
            MixError: It could not be uploaded.
        """
        pieces: list[str] = []
        at = 0
        for found in _ATTACHMENT.finditer(text):
            path, end = _attached_path(found, text)
            if path is None:
                continue
            info = self._attach(path)
            attached(info)
            pieces += [text[at : found.start()], _reference(info.name, path)]
            at = end
        return _ESCAPED.sub("@", "".join([*pieces, text[at:]]))

    def _attach(self, path: Path) -> FileInfo:
        """Uploads a file. Another file of its name stays: uploads belong to all sessions."""
        check_upload(path)
        named, content = path.name, path.read_bytes()
        session_id = self.begin()
        files = {name_on_server(file.name): file for file in self.files()}
        if name_on_server(named) in files:
            named = f"{path.stem}-{blake2b(content, digest_size=4).hexdigest()}{path.suffix}"
            if (same := files.get(name_on_server(named))) is not None:
                return same
        return self.mix.files.upload_session_file(id=session_id, file=content, file_name=named)

    def server(self) -> str:
        """Returns the server, its API generation and what answers in one line, as far as they can be read.

        Raises:
            MixError: The server cannot be reached.
        """
        emulated = self.emulated()
        generations = sorted(self._generations(), key=ALL.index)
        api = f"API {' or '.join(generations)}" if len(generations) < len(ALL) else "API not known yet"
        try:
            model = self.model()
        except MixError:  # The line is for information; what a turn needs is read again and reported then.
            model = ""
        named = model if emulated else f"model {model}" if model else ""
        return " · ".join(filter(None, (self.mix.server_url, api, named)))

    def _generations(self) -> ApiKnowledge:
        if self.mix.api is not None:
            return self.mix.known
        from langchain_mix.cli.doctor import detect_generation  # noqa: PLC0415  # Only where it is not known.

        try:
            sessions = self.mix.sessions.list()
            return detect_generation(self.mix, next((one.id for one in sessions), None))[0]
        except MixError:
            return self.mix.known

    def emulated(self) -> bool:
        """True when the server is an emulator; read from the server once.

        Raises:
            MixError: It cannot be reached.
        """
        if self._environment is None:
            self._environment = self.mix.system.get_health().environment or ""
        return self._environment == "emulator"

    def model(self) -> str:
        """Returns the model that answered last; without one the server's preferred one. Empty if unknown.

        The agent of an emulator answers, whatever model the preferences name.
        """
        if self.last is not None and self.last.model:
            return self.last.model
        if self.emulated():
            return "an emulator, whose own agent answers"
        preferences = self.mix.preferences.get_preferences().preferences
        return (preferences.main_agent_model or "") if preferences is not None else ""


def _attached_path(found: re.Match[str], text: str) -> tuple[Path | None, int]:
    """Returns the file of an `@path` and where that ends in the text; None if it is no file and does not look like one.

    Raises:
        MixInputError: It looks like a file, and there is none.
    """
    quoted = found[1] or found[2]
    typed, end = quoted or found[3].replace("\\ ", " "), found.end()
    path = Path(typed).expanduser()
    if not quoted and not path.is_file():  # A full stop or a bracket may belong to the sentence.
        shorter = typed.rstrip(".,;:!?)]}")
        end -= len(typed) - len(shorter)
        path = Path(shorter).expanduser()
    if path.is_file():
        return path, end
    if "\n" not in text and (quoted or "/" in typed or _SUFFIX.search(typed)):
        raise MixInputError(no_file(path), hint=f"Write \\@{typed} to send it as text.")
    return None, end


def _reference(name: str, path: Path) -> str:
    from langchain_mix.chat_models.inputs import reference  # noqa: PLC0415  # Loads LangChain.

    return reference(name, mimetypes.guess_type(path.name)[0] or "", label="" if name == path.name else path.name)


Permissions = Literal["ask", "deny", "allow"]


@dataclass(slots=True, kw_only=True)
class ChatOptions:
    """The options of a chat, as `chat` has them.

    Attributes:
        thinking_level: None for the server's default (Mix 0.7).
        max_steps: After how many steps a turn ends with an error, or None (Mix 0.8).
    """

    title: str = "Chat"
    permissions: Permissions = "ask"
    plan_mode: bool = False
    thinking_level: str | None = None
    max_steps: int | None = None
    show_thinking: bool = True
    history: bool = True
