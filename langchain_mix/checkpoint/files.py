"""The files of the store on the server, by name.

Owns: the session through which they are read and written, and what the server's answers about files mean. Refuses to
know: what is in the files.

Uploads are global: any session id can address them, but one is required.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import inf
from typing import Any, Final

from langchain_mix.errors import MixNotFoundError, MixStoreError
from langchain_mix.protocol import calls
from langchain_mix.protocol.api import ServerApi
from langchain_mix.protocol.call import Call, FilePart, Flow, Together, ask
from langchain_mix.protocol.flows import create_session
from langchain_mix.protocol.models import FileInfo, SessionData

TITLE: Final = "langchain-mix state"
"""Title of the session that the store makes for itself where it is given none. Mix 0.8 cuts titles at 20 characters."""


class SessionFiles:
    """Reads and writes files by name."""

    def __init__(self, server_api: ServerApi, session_id: str | None = None) -> None:
        """Asks nothing yet. Without an id, the oldest session of the title above is used, or one is made."""
        self._server_api = server_api
        self._given = session_id is not None
        self.session_id = session_id

    def session(self) -> Flow[str]:
        """Finds the session, once; makes it if need be."""
        if self.session_id is None:
            listed = yield from ask(calls.list_sessions(self._server_api.detected))
            mine = [one for one in listed if one.title == TITLE]
            if mine:
                self.session_id = min(mine, key=lambda one: (_age_of(one), one.id)).id
            else:
                self.session_id = (yield from create_session(self._server_api, title=TITLE)).id
        return self.session_id

    def verify(self) -> Flow[None]:
        """Makes sure that the session is there: on some servers a missing one may look like a missing file.

        Raises:
            MixNotFoundError: The session that was given does not exist.
        """
        yield from self._send(calls.get_session)

    def read(self, name: str) -> Flow[bytes | None]:
        """Reads a file; None if there is none."""
        found: bytes | None = yield from self._send(_reading, name)
        return found

    def read_all(self, names: Sequence[str]) -> Flow[list[bytes | None]]:
        """Reads files at the same time, where that is possible."""
        if not names:
            return []
        found: list[bytes | None] = yield from self._send(_reading_all, *names)
        return found

    def write(self, name: str, data: bytes) -> Flow[None]:
        """Writes a file, over what is there.

        Raises:
            MixStoreError: The server stored it under another name.
        """
        stored = yield from self._send(calls.upload_file, FilePart(name, data))
        if stored.name != name:
            raise MixStoreError(
                f"The server stored {name} as {stored.name!r}, where nothing will look for it.",
                acted="yes",
                hint="This server rewrites names that no known generation does; it cannot hold checkpoints.",
            )

    def delete(self, name: str) -> Flow[None]:
        """Deletes a file; one that is gone already is no error."""
        yield from self._send(calls.delete_file, name)

    def listing(self) -> Flow[list[FileInfo]]:
        """Lists all files of the server. This is slow where there are many."""
        found: list[FileInfo] = yield from self._send(calls.list_files)
        return found

    def _send(self, make: Callable[..., Call[Any] | Together], *args: Any) -> Flow[Any]:
        """Makes a call for the session and sends it; again through another session if that one was deleted."""
        session_id = self.session_id
        if session_id is None:
            session_id = yield from self.session()
        try:
            return (yield make(session_id, *args))
        except MixNotFoundError:
            if self._given:
                raise
        # The session that this saver had found was deleted; nothing was done through it.
        if self.session_id == session_id:
            self.session_id = None
        return (yield make((yield from self.session()), *args))


# The calls are kept: of each thread a few files are read again and again.
_reading = lru_cache(maxsize=1024)(calls.read_file)


def _reading_all(session_id: str, *names: str) -> Together:
    return Together(tuple(_reading(session_id, name) for name in names))


def _age_of(session: SessionData) -> float:
    return session.created_at.timestamp() if session.created_at is not None else inf
