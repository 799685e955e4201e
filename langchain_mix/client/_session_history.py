"""What a session has been through: copied, taken back, exported.

Owns: these operations of `Mix.sessions`. Refuses to know: the other ones (`sessions.py`).
"""

# ruff: noqa: A002  # `id` is what the documentation of Mix calls these arguments.

from __future__ import annotations

from typing import Unpack

from langchain_mix.client._operations import Operations, RequestOptions
from langchain_mix.protocol import calls, flows
from langchain_mix.protocol.models import ExportSession, SessionData


class SessionHistory(Operations):
    """Operations on the past of a session."""

    def fork(
        self,
        *,
        id: str,
        message_index: int,
        title: str | None = None,
        **options: Unpack[RequestOptions],
    ) -> SessionData:
        """Copies the beginning of a session into a new one (Mix before 0.8).

        Prompt, callbacks and files are not copied.

        Args:
            id: The session.
            message_index: How many stored messages to copy, counted from the first; rows of role `tool` count too.
            title: The new session's title; the server's default is `Forked Session`.
            **options: See `RequestOptions`. This call is never sent twice.

        Returns:
            The new session. Its counters are 0, whatever was copied.

        Raises:
            MixInputError: The index is negative.
            MixNotFoundError: There is no such session.
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type tells whose fault it is.
        """
        shell = self._sync_with(options)
        return shell.run(flows.fork_session(shell.server_api, id, message_index, title))

    async def fork_async(
        self,
        *,
        id: str,
        message_index: int,
        title: str | None = None,
        **options: Unpack[RequestOptions],
    ) -> SessionData:
        """Does what `fork` does, asynchronously."""
        shell = self._async_with(options)
        return await shell.run(flows.fork_session(shell.server_api, id, message_index, title))

    def rewind_session(
        self,
        *,
        id: str,
        message_id: str,
        cleanup_media: bool = False,
        **options: Unpack[RequestOptions],
    ) -> SessionData:
        """Deletes every message after one; that one and all before it stay.

        A turn that runs meanwhile goes on and appends after it.

        Args:
            id: The session.
            message_id: The last message to keep, of any role.
            cleanup_media: Whether private files of the session that are younger are deleted too.
            **options: See `RequestOptions`. This call is never sent twice.

        Returns:
            The session.

        Raises:
            MixInputError: The message id is empty.
            MixNotFoundError: There is no such session or message.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync_with(options).send(calls.rewind_session(id, message_id, cleanup_media=cleanup_media))

    async def rewind_session_async(
        self,
        *,
        id: str,
        message_id: str,
        cleanup_media: bool = False,
        **options: Unpack[RequestOptions],
    ) -> SessionData:
        """Does what `rewind_session` does, asynchronously."""
        return await self._async_with(options).send(calls.rewind_session(id, message_id, cleanup_media=cleanup_media))

    def export_session(
        self,
        *,
        id: str,
        **options: Unpack[RequestOptions],
    ) -> ExportSession:
        """Reads the whole transcript of a session.

        Args:
            id: The session.
            **options: See `RequestOptions`.

        Returns:
            The transcript, oldest message first. It never tells the results of tools.

        Raises:
            MixNotFoundError: There is no such session.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync_with(options).send(calls.export_session(id))

    async def export_session_async(
        self,
        *,
        id: str,
        **options: Unpack[RequestOptions],
    ) -> ExportSession:
        """Does what `export_session` does, asynchronously."""
        return await self._async_with(options).send(calls.export_session(id))
