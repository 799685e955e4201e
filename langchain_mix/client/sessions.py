"""Sessions: conversations that the server keeps.

Owns: their operations. Refuses to know: messages (`messages.py`) and turns.
"""

# ruff: noqa: A002  # `id` is what the documentation of Mix calls these arguments.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, Unpack

from langchain_mix.client._config import RequestOptions
from langchain_mix.client.basesdk import BaseSDK
from langchain_mix.protocol import calls, flows
from langchain_mix.protocol.models import (
    BrowserMode,
    Callback,
    CancelSessionProcessingResponse,
    ExportSession,
    PromptMode,
    SessionData,
    SessionType,
    SubagentType,
)

SessionListing: TypeAlias = list[SessionData]
"""A list of sessions. The class below has a method named `list`, which its annotations would mean."""


class Sessions(BaseSDK):
    """Creates, lists, reads, changes, copies, rewinds, exports and deletes sessions."""

    def list(self, *, include_subagents: bool | None = None, **options: Unpack[RequestOptions]) -> SessionListing:
        """Lists all sessions, newest first.

        Args:
            include_subagents: Whether sub-agent sessions are listed too. Servers before Mix 0.7 have none.
            **options: See `RequestOptions`.

        Returns:
            The sessions, without their callbacks.

        Raises:
            MixError: It failed; the type shows whose fault it is.
        """
        shell = self._sync.with_options(options)
        return shell.send(calls.list_sessions(shell.server_api.detected, include_subagents=include_subagents))

    async def list_async(
        self,
        *,
        include_subagents: bool | None = None,
        **options: Unpack[RequestOptions],
    ) -> SessionListing:
        """Does what `list` does, asynchronously."""
        shell = self._async.with_options(options)
        return await shell.send(calls.list_sessions(shell.server_api.detected, include_subagents=include_subagents))

    def create(
        self,
        *,
        title: str,
        browser_mode: BrowserMode | str | None = None,
        callbacks: Sequence[Callback | Mapping[str, Any]] | None = None,
        cdp_url: str | None = None,
        custom_system_prompt: str | None = None,
        prompt_mode: PromptMode | str | None = None,
        session_type: SessionType | str | None = None,
        subagent_type: SubagentType | str | None = None,
        model_id: str | None = None,
        provider: str | None = None,
        **options: Unpack[RequestOptions],
    ) -> SessionData:
        """Creates a session.

        Args:
            title: The title, not empty. Mix 0.8 cuts it to 20 characters, and the server replaces it after the first
                message.
            browser_mode: Which browser the session's web tools drive (Mix 0.8). None for the local one where the
                server demands one.
            callbacks: What the session does after tools (Mix 0.7).
            cdp_url: The DevTools URL of a remote browser, `ws://` or `wss://`, for `BrowserMode.REMOTE_CDP_WEBSOCKET`
                alone.
            custom_system_prompt: The session's own prompt.
            prompt_mode: How that prompt is combined with the server's own. None appends it: without a mode the server
                ignores it.
            session_type: `main`, the only type that can be created (Mix 0.7).
            subagent_type: None; sub-agents are created by the server alone.
            model_id: The session's own model (Mix next).
            provider: The provider of that model (Mix next).
            **options: See `RequestOptions`. This call is never sent twice.

        Returns:
            The session.

        Raises:
            MixInputError: The server would refuse an argument, or misread it.
            MixUnsupportedError: This generation of the server does not know an argument.
            MixError: It failed; the type shows whose fault it is.
        """
        shell = self._sync.with_options(options)
        return shell.run(
            flows.start_session(
                shell.server_api,
                title=title,
                browser_mode=browser_mode,
                callbacks=callbacks,
                cdp_url=cdp_url,
                custom_system_prompt=custom_system_prompt,
                prompt_mode=prompt_mode,
                session_type=session_type,
                subagent_type=subagent_type,
                model_id=model_id,
                provider=provider,
            )
        )

    async def create_async(
        self,
        *,
        title: str,
        browser_mode: BrowserMode | str | None = None,
        callbacks: Sequence[Callback | Mapping[str, Any]] | None = None,
        cdp_url: str | None = None,
        custom_system_prompt: str | None = None,
        prompt_mode: PromptMode | str | None = None,
        session_type: SessionType | str | None = None,
        subagent_type: SubagentType | str | None = None,
        model_id: str | None = None,
        provider: str | None = None,
        **options: Unpack[RequestOptions],
    ) -> SessionData:
        """Does what `create` does, asynchronously."""
        shell = self._async.with_options(options)
        return await shell.run(
            flows.start_session(
                shell.server_api,
                title=title,
                browser_mode=browser_mode,
                callbacks=callbacks,
                cdp_url=cdp_url,
                custom_system_prompt=custom_system_prompt,
                prompt_mode=prompt_mode,
                session_type=session_type,
                subagent_type=subagent_type,
                model_id=model_id,
                provider=provider,
            )
        )

    def get(self, *, id: str, **options: Unpack[RequestOptions]) -> SessionData:
        """Reads one session.

        Args:
            id: The session.
            **options: See `RequestOptions`.

        Returns:
            The session.

        Raises:
            MixNotFoundError: There is no such session.
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.get_session(id))

    async def get_async(self, *, id: str, **options: Unpack[RequestOptions]) -> SessionData:
        """Does what `get` does, asynchronously."""
        return await self._async.with_options(options).send(calls.get_session(id))

    def delete(self, *, id: str, **options: Unpack[RequestOptions]) -> None:
        """Deletes a session with its messages and private files. Uploaded files stay, as all sessions share them.

        Args:
            id: The session.
            **options: See `RequestOptions`.

        Raises:
            MixNotFoundError: There is no such session.
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.delete_session(id))

    async def delete_async(self, *, id: str, **options: Unpack[RequestOptions]) -> None:
        """Does what `delete` does, asynchronously."""
        return await self._async.with_options(options).send(calls.delete_session(id))

    def update_session_callbacks(
        self,
        *,
        id: str,
        callbacks: Sequence[Callback | Mapping[str, Any]],
        **options: Unpack[RequestOptions],
    ) -> SessionData:
        """Replaces all callbacks of a session (Mix 0.7 and later).

        Args:
            id: The session.
            callbacks: The new ones; an empty list removes them.
            **options: See `RequestOptions`.

        Returns:
            The session with its callbacks.

        Raises:
            MixInputError: The server would refuse an argument, or misread it.
            MixNotFoundError: There is no such session.
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type shows whose fault it is.
        """
        shell = self._sync.with_options(options)
        return shell.run(flows.offered(shell.server_api, calls.update_session_callbacks, id, callbacks))

    async def update_session_callbacks_async(
        self,
        *,
        id: str,
        callbacks: Sequence[Callback | Mapping[str, Any]],
        **options: Unpack[RequestOptions],
    ) -> SessionData:
        """Does what `update_session_callbacks` does, asynchronously."""
        shell = self._async.with_options(options)
        return await shell.run(flows.offered(shell.server_api, calls.update_session_callbacks, id, callbacks))

    def cancel_processing(self, *, id: str, **options: Unpack[RequestOptions]) -> CancelSessionProcessingResponse:
        """Cancels the session's running turn. The answer is the same if there is none, or no such session.

        Args:
            id: The session.
            **options: See `RequestOptions`.

        Returns:
            The server's answer.

        Raises:
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.cancel_session(id))

    async def cancel_processing_async(
        self,
        *,
        id: str,
        **options: Unpack[RequestOptions],
    ) -> CancelSessionProcessingResponse:
        """Does what `cancel_processing` does, asynchronously."""
        return await self._async.with_options(options).send(calls.cancel_session(id))

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
            MixError: It failed; the type shows whose fault it is.
        """
        shell = self._sync.with_options(options)
        return shell.run(flows.offered(shell.server_api, calls.fork_session, id, message_index, title))

    async def fork_async(
        self,
        *,
        id: str,
        message_index: int,
        title: str | None = None,
        **options: Unpack[RequestOptions],
    ) -> SessionData:
        """Does what `fork` does, asynchronously."""
        shell = self._async.with_options(options)
        return await shell.run(flows.offered(shell.server_api, calls.fork_session, id, message_index, title))

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
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.rewind_session(id, message_id, cleanup_media=cleanup_media))

    async def rewind_session_async(
        self,
        *,
        id: str,
        message_id: str,
        cleanup_media: bool = False,
        **options: Unpack[RequestOptions],
    ) -> SessionData:
        """Does what `rewind_session` does, asynchronously."""
        return await self._async.with_options(options).send(
            calls.rewind_session(id, message_id, cleanup_media=cleanup_media)
        )

    def export_session(self, *, id: str, **options: Unpack[RequestOptions]) -> ExportSession:
        """Reads the whole transcript of a session.

        Args:
            id: The session.
            **options: See `RequestOptions`.

        Returns:
            The transcript, oldest message first. It never has the results of tools.

        Raises:
            MixNotFoundError: There is no such session.
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.export_session(id))

    async def export_session_async(self, *, id: str, **options: Unpack[RequestOptions]) -> ExportSession:
        """Does what `export_session` does, asynchronously."""
        return await self._async.with_options(options).send(calls.export_session(id))
