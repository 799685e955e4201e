"""The state of one server: its parts over one data directory."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from langchain_mix.emulator.state.catalogue import Catalogue
from langchain_mix.emulator.state.commands import Commands
from langchain_mix.emulator.state.credentials import Credentials
from langchain_mix.emulator.state.files import Files, make_private
from langchain_mix.emulator.state.preferences import Preferences
from langchain_mix.emulator.state.rows import RowLog
from langchain_mix.emulator.state.serializers import Serializers
from langchain_mix.emulator.state.sessions import Sessions
from langchain_mix.emulator.state.store import Store
from langchain_mix.protocol.api import CAPABILITIES, ApiVersion, Capabilities


class ServerState:
    """The state of one Mix server of one generation. All methods of its parts may be called from any thread.

    Attributes:
        auth_required: True when messages need a stored credential, as on the real server. Off by default, so that
            everything runs without a key.
        base_url: The beginning of the addresses of screenshots.
    """

    def __init__(
        self,
        api: ApiVersion,
        data_dir: Path,
        *,
        temporary: bool = False,
        clock: Callable[[], float] = time.time,
        utc_offset: timedelta = timedelta(0),
    ) -> None:
        """Opens the state in a directory, or begins there.

        The directory is made if need be, and closed to other users of this machine. Only one server at a time may use
        it.
        """
        self.api = api
        self.caps: Capabilities = CAPABILITIES[api]
        self.auth_required = False
        self.base_url = ""
        data_dir = data_dir.resolve()
        make_private(data_dir, parents=True)
        serializers = Serializers(api, self.caps, utc_offset)

        def now() -> int:
            return int(clock())

        self._store = store = Store(data_dir / "mix.sqlite3", temporary=temporary)
        self.rows = RowLog(store, serializers, now)
        self.sessions = Sessions(store, self.rows, serializers, self.caps, now)
        self.files = Files(data_dir, self.caps, self.sessions.exists)
        self.preferences = Preferences(store, api, self.caps, now)
        self.credentials = Credentials(store, self.preferences, serializers, now)
        self.catalogue = Catalogue(api, self.caps, data_dir, self.credentials, serializers, now)
        self.commands = Commands(self.sessions, self.credentials, self.caps)

    def close(self) -> None:
        """Closes the database. May be called twice; the state stays in the directory."""
        self._store.close()

    def delete_session(self, session_id: str) -> None:
        """Deletes a session, its rows and its private files. Uploads and sub-agents' sessions stay.

        Raises:
            ApiError: 404, it does not exist.
        """
        self.sessions.delete(session_id)
        self.files.forget(session_id)

    def rewind(self, session_id: str, message_id: str, *, cleanup_media: bool) -> dict[str, Any]:
        """Deletes all rows after a message and, on request, the files that were made since.

        Raises:
            ApiError: 400 or 404, there is no such session or message.
        """
        body, limit = self.sessions.rewind(session_id, message_id)
        if cleanup_media:
            self.files.clean_up(session_id, limit)
        return body

    def save_screenshot(self, session_id: str, picture: bytes) -> str:
        """Stores a PNG that a tool took (Mix 0.8) and returns its address, as tool calls list it.

        Raises:
            ApiError: 400, the id is no UUID.
        """
        name = self.files.save_screenshot(session_id, picture)
        return f"{self.base_url}/api/sessions/{session_id}/screenshots/{name}"

    def accepts_messages(self) -> bool:
        """True unless a credential is required and none is stored."""
        return not self.auth_required or self.credentials.usable()

    def chosen_model(self, session_id: str) -> str:
        """Returns the model that a session or the preferences name, or nothing."""
        return self.sessions.facts(session_id).model_id or self.preferences.model
