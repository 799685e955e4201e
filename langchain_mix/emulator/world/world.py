"""The world: all that a Mix server stores and decides, without a wire.

Owns: putting the parts together over one data directory, and the one surface that the server side uses.
Refuses to know: HTTP, streams, event loops, turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, Literal

from langchain_mix.emulator.world.catalogue import Catalogue
from langchain_mix.emulator.world.commands import Commands
from langchain_mix.emulator.world.credentials import Credentials
from langchain_mix.emulator.world.files import Files, make_private
from langchain_mix.emulator.world.preferences import Preferences
from langchain_mix.emulator.world.records import Row, SessionFacts
from langchain_mix.emulator.world.rows import RowLog
from langchain_mix.emulator.world.sessions import Sessions
from langchain_mix.emulator.world.shapes import Shapes
from langchain_mix.emulator.world.store import Store
from langchain_mix.emulator.world.timeline import Timeline
from langchain_mix.protocol.api import CAPABILITIES, ApiVersion, Capabilities


class World:
    """The state of one Mix server of one generation. All methods may be called from any thread.

    Attributes:
        api: The generation.
        caps: What it can do.
        auth_required: Whether messages need a stored credential, as on the real server. Off by default, so that
            everything runs without a key.
        base_url: What the addresses of screenshots begin with.
    """

    def __init__(
        self,
        api: ApiVersion,
        data_dir: Path,
        *,
        clock: Callable[[], float] = time.time,
        utc_offset: timedelta = timedelta(0),
    ) -> None:
        """Opens the state in a directory, or begins there.

        Args:
            api: The generation.
            data_dir: Where the state is kept; made if need be, and closed to other users of this machine. Only one
                world at a time may use it.
            clock: The time in unix seconds.
            utc_offset: The server's time zone, which its timestamps show.
        """
        self.api = api
        self.caps: Capabilities = CAPABILITIES[api]
        self.auth_required = False
        self.base_url = ""
        data_dir = data_dir.resolve()
        make_private(data_dir, parents=True)
        shapes = Shapes(api, self.caps, utc_offset)

        def now() -> int:
            return int(clock())

        self._store = Store(data_dir / "mix.sqlite3")
        self._rows = RowLog(self._store, shapes, now)
        self._sessions = Sessions(self._store, self._rows, shapes, self.caps, now)
        self._files = Files(data_dir, self.caps, self._sessions.exists)
        self._timeline = Timeline(
            store=self._store,
            sessions=self._sessions,
            rows=self._rows,
            shapes=shapes,
            caps=self.caps,
            private_dir=self._files.workspace,
        )
        self._preferences = Preferences(self._store, api, self.caps, now)
        self._credentials = Credentials(self._store, self._preferences, shapes, now)
        self._catalogue = Catalogue(
            api=api, caps=self.caps, data_dir=data_dir, credentials=self._credentials, shapes=shapes, now=now
        )
        self._commands = Commands(self._sessions, self._credentials, self.caps)

    def close(self) -> None:
        """Closes the database. May be called twice; the state stays in the directory."""
        self._store.close()

    # Sessions

    def create_session(
        self,
        body: Mapping[str, Any],
        *,
        parent: str | None = None,
        parent_tool_call: str | None = None,
        subagent_type: str | None = None,
    ) -> dict[str, Any]:
        """Makes a session.

        Args:
            body: The decoded body of POST /api/sessions; keys that the generation does not know are not looked for.
            parent: For a sub-agent, the session that it works for; its browser is taken over.
            parent_tool_call: For a sub-agent, the call of the Task tool.
            subagent_type: For a sub-agent, its kind; `general-purpose` by default.

        Returns:
            A SessionData.

        Raises:
            WorldError: 400. Refused callbacks leave a session without them behind (Q21).
        """
        return self._sessions.create(body, parent, parent_tool_call, subagent_type)

    def list_sessions(self, include_subagents: bool) -> list[dict[str, Any]]:  # noqa: FBT001 - the query's only flag
        """All sessions as SessionData, newest first."""
        return self._sessions.listing(include_subagents=include_subagents)

    def get_session(self, id: str) -> dict[str, Any]:  # noqa: A002 - the wire's own word
        """One session as SessionData.

        Raises:
            WorldError: 404.
        """
        return self._sessions.get(id)

    def session_exists(self, id: str) -> bool:  # noqa: A002
        """Whether there is such a session."""
        return self._sessions.exists(id)

    def session_facts(self, id: str) -> SessionFacts:  # noqa: A002
        """What is stored of a session.

        Raises:
            WorldError: 404.
        """
        return self._sessions.facts(id)

    def delete_session(self, id: str) -> None:  # noqa: A002
        """Deletes a session, its rows and its private files. Uploads and sub-agents' sessions stay.

        Raises:
            WorldError: 404.
        """
        self._sessions.delete(id)
        self._files.forget(id)

    def set_callbacks(self, id: str, callbacks: list[Any]) -> dict[str, Any]:  # noqa: A002
        """Replaces all callbacks of a session and gives its SessionData.

        Raises:
            WorldError: 404, or 400 for a callback that could not run.
        """
        return self._sessions.set_callbacks(id, callbacks)

    def fork_session(self, id: str, message_index: int, title: str | None) -> dict[str, Any]:  # noqa: A002
        """Copies the first `message_index` rows of a session to a new one, and the results after the last of them.

        Raises:
            WorldError: 400 for a negative index, 500 for an unknown or a sub-agent's session.
        """
        return self._timeline.fork(id, message_index, title)

    def rewind_session(self, id: str, message_id: str, cleanup_media: bool) -> dict[str, Any]:  # noqa: A002, FBT001
        """Deletes all rows after a message, and the private files since then if `cleanup_media`.

        Raises:
            WorldError: 400 for an empty message id, 404 for an unknown session or message.
        """
        return self._timeline.rewind(id, message_id, cleanup_media=cleanup_media)

    def export_session(self, id: str) -> dict[str, Any]:  # noqa: A002
        """The whole session as ExportSession.

        Raises:
            WorldError: 404.
        """
        return self._timeline.export(id)

    def set_title(self, id: str, title: str) -> None:  # noqa: A002
        """Gives a session another title, cut where the generation cuts it."""
        self._sessions.set_title(id, title)

    def add_usage(self, id: str, *, prompt_tokens: int, completion_tokens: int, cost: float) -> None:  # noqa: A002
        """Counts one model call: tokens replace the last call's, cost is added, here and to a sub-agent's parent."""
        self._sessions.add_usage(id, prompt_tokens, completion_tokens, cost)

    # Rows

    def append_row(self, session_id: str, row: Row) -> Row:
        """Stores a new row and gives it back with id, session, times and sequence set in place.

        Raises:
            WorldError: 500, the session does not exist (any more).
        """
        return self._rows.append(session_id, row)

    def update_row(self, row: Row) -> None:
        """Stores what a row now says. One that was rewound or deleted meanwhile stays away (Q25)."""
        self._rows.update(row)

    def rows(self, session_id: str) -> list[Row]:
        """The rows of a session in insertion order; none for an unknown one."""
        return self._rows.of(session_id)

    def list_messages(self, session_id: str) -> list[dict[str, Any]]:
        """The rows of a session as BackendMessages; `[]` for an unknown one (Q40)."""
        return self._rows.messages(session_id)

    def history(self, limit: int, offset: int) -> list[dict[str, Any]]:
        """User rows of all sessions as BackendMessages, newest first; a limit below 1 means 50."""
        return self._rows.history(limit, offset)

    # Files

    @property
    def uploads(self) -> Path:
        """The directory of uploads, one for all sessions."""
        return self._files.uploads

    def workspace(self, session_id: str) -> Path:
        """The private directory of a session, made if need be.

        Raises:
            WorldError: 400, the id is no UUID.
        """
        return self._files.workspace(session_id)

    def list_files(self, session_id: str, base_url: str) -> list[dict[str, Any]]:
        """All uploads as FileInfo.

        Args:
            session_id: The session that asks.
            base_url: What URLs begin with, as `http://host:port`.

        Raises:
            WorldError: 400 for an id that is no UUID, 404 for an unknown session.
        """
        return self._files.listing(session_id, base_url)

    def upload(self, session_id: str, filename: str, content: BinaryIO, base_url: str) -> dict[str, Any]:
        """Stores an upload under a rewritten name (Q28), replacing any of that name, and gives its FileInfo.

        Raises:
            WorldError: 400 for a bad id or name, 404 for an unknown session, 500 if it cannot be stored.
        """
        return self._files.upload(session_id, filename, content, base_url)

    def find_file(self, session_id: str, filename: str) -> tuple[Path, Literal["private", "upload"]]:
        """Finds a file: the session's private one, else the upload.

        Raises:
            WorldError: 400 for a bad id or name, 404 if there is none, 500 if the name leads out of the directory.
            PlainError: 400, it is a directory.
        """
        return self._files.find(session_id, filename)

    def save_screenshot(self, session_id: str, picture: bytes) -> str:
        """Stores a PNG that a tool took (Mix 0.8) and gives its address, as tool calls list it.

        Raises:
            WorldError: 400, the id is no UUID.
        """
        name = self._files.save_screenshot(session_id, picture)
        return f"{self.base_url}/api/sessions/{session_id}/screenshots/{name}"

    def screenshot(self, session_id: str, filename: str) -> Path:
        """Finds a picture that a tool took.

        Raises:
            PlainError: 400 for a bad name, 404 for an unknown session or picture.
        """
        return self._files.screenshot(session_id, filename)

    def delete_file(self, session_id: str, filename: str) -> None:
        """Deletes an upload, for all sessions.

        Raises:
            WorldError: As `find_file`.
            PlainError: As `find_file`.
        """
        self._files.delete(session_id, filename)

    # Credentials

    def has_provider_credential(self) -> bool:
        """Whether messages are accepted: always, unless `auth_required`."""
        return not self.auth_required or self._credentials.usable()

    def auth_help_text(self) -> str:
        """What is answered to messages without a credential."""
        return self._credentials.help_text()

    def store_api_key(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Checks the form of a key and remembers that there is one; the key itself is not kept.

        Raises:
            WorldError: 400.
        """
        return self._credentials.store_api_key(body)

    def delete_credentials(self, provider: str) -> dict[str, Any]:
        """Forgets a provider's credential, if there is one.

        Raises:
            WorldError: 400, there is no such provider.
        """
        return self._credentials.delete(provider)

    def auth_status(self) -> dict[str, Any]:
        """How each model provider is authenticated."""
        return self._credentials.status()

    def validate_preferred(self) -> dict[str, Any]:
        """Whether the preferred provider has a credential."""
        return self._credentials.validate_preferred()

    def start_oauth(self, provider: str) -> dict[str, Any]:
        """Begins a sign-in.

        Raises:
            WorldError: 400, the provider has none.
        """
        return self._credentials.start_oauth(provider)

    def finish_oauth(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ends a sign-in.

        Raises:
            WorldError: 400, the code is missing or the state unknown.
        """
        return self._credentials.finish_oauth(body)

    def oauth_health(self) -> dict[str, Any]:
        """Whether OAuth tokens are still good."""
        return self._credentials.health()

    def refresh_tokens(self) -> dict[str, Any]:
        """Renews OAuth tokens."""
        return self._credentials.refresh()

    # Preferences

    def chosen_model(self, session_id: str) -> str:
        """The model that a session or the preferences name, or empty."""
        return self.session_facts(session_id).model_id or self._preferences.model

    def get_preferences(self) -> dict[str, Any]:
        """The preferences and the providers to choose from."""
        return self._preferences.get()

    def update_preferences(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Changes some preferences and gives all.

        Raises:
            WorldError: 400, a value is refused; nothing was changed.
        """
        return self._preferences.update(body)

    def reset_preferences(self) -> dict[str, Any]:
        """Restores the defaults and gives them."""
        return self._preferences.reset()

    def providers(self) -> dict[str, Any]:
        """The providers to choose from and their models."""
        return self._preferences.providers()

    # Catalogue

    def tools_status(self) -> dict[str, Any]:
        """The tools by category and whether they can be used."""
        return self._catalogue.tools_status()

    def credentials_status(self) -> dict[str, Any]:
        """The tools by category and whether their keys are stored."""
        return self._catalogue.credentials_status()

    def llm_tools(self) -> dict[str, Any]:
        """The tools a model may call."""
        return self._catalogue.llm_tools()

    def commands(self) -> list[dict[str, Any]]:
        """The slash commands, sorted by name."""
        return self._commands.listing()

    def command(self, name: str) -> dict[str, Any]:
        """One slash command.

        Raises:
            WorldError: 404.
        """
        return self._commands.get(name)

    def run_command(self, text: str) -> dict[str, Any] | None:
        """Runs a message as slash command; None if it is none.

        Raises:
            WorldError: 404 for an unknown command, 500 for one that failed.
        """
        return self._commands.run(text)

    def mcp(self) -> list[dict[str, Any]]:
        """The MCP servers."""
        return self._commands.mcp()

    def health(self) -> dict[str, Any]:
        """That the server works."""
        return self._catalogue.health()

    def system_info(self) -> dict[str, Any]:
        """Where the server keeps everything."""
        return self._catalogue.system_info()
