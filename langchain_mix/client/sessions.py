"""Sessions: conversations that the server keeps.

Owns: their operations. Refuses to know: messages (`messages.py`) and turns.
"""

# ruff: noqa: A002  # `id` is what the documentation of Mix calls these arguments.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from langchain_mix.client._session_history import SessionHistory
from langchain_mix.client._settings import CallOptions
from langchain_mix.protocol import calls, flows
from langchain_mix.protocol.models import (
    BrowserMode,
    Callback,
    CancelSessionProcessingResponse,
    PromptMode,
    SessionData,
    SessionType,
    SubagentType,
)
from langchain_mix.protocol.retry import RetryConfig

SessionListing: TypeAlias = list[SessionData]
"""A list of sessions. The class below has a method named `list`, so that its annotations cannot say so themselves."""


class Sessions(SessionHistory):
    """Creates, lists, reads, changes and deletes sessions."""

    def list(
        self,
        *,
        include_subagents: bool | None = None,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> SessionListing:
        """Lists all sessions, newest first.

        Args:
            include_subagents: Whether sub-agent sessions are listed too. Servers before Mix 0.7 have none.
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The sessions, without their callbacks.

        Raises:
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.send(
            calls.list_sessions(self.known(), include_subagents=include_subagents),
            CallOptions(retries, timeout_ms, http_headers),
        )

    async def list_async(
        self,
        *,
        include_subagents: bool | None = None,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> SessionListing:
        """Does what `list` does, asynchronously."""
        return await self._async.send(
            calls.list_sessions(self.known(), include_subagents=include_subagents),
            CallOptions(retries, timeout_ms, http_headers),
        )

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
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
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
            prompt_mode: How that prompt stands to the server's own. None appends it: by itself the server ignores it.
            session_type: `main`, the only type that can be created (Mix 0.7).
            subagent_type: None; sub-agents are created by the server alone.
            model_id: The session's own model (Mix next).
            provider: The provider of that model (Mix next).
            retries: Accepted for symmetry; this call is never sent twice.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The session.

        Raises:
            MixInputError: The server would refuse an argument, or misread it.
            MixUnsupportedError: This generation of the server does not know an argument.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.run(
            flows.start_session(
                self.known,
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
            ),
            CallOptions(retries, timeout_ms, http_headers),
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
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> SessionData:
        """Does what `create` does, asynchronously."""
        return await self._async.run(
            flows.start_session(
                self.known,
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
            ),
            CallOptions(retries, timeout_ms, http_headers),
        )

    def get(
        self,
        *,
        id: str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> SessionData:
        """Reads one session.

        Args:
            id: The session.
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The session.

        Raises:
            MixNotFoundError: There is no such session.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.send(calls.get_session(id), CallOptions(retries, timeout_ms, http_headers))

    async def get_async(
        self,
        *,
        id: str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> SessionData:
        """Does what `get` does, asynchronously."""
        return await self._async.send(calls.get_session(id), CallOptions(retries, timeout_ms, http_headers))

    def delete(
        self,
        *,
        id: str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> None:
        """Deletes a session with its messages and private files. Uploaded files stay, as all sessions share them.

        Args:
            id: The session.
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Raises:
            MixNotFoundError: There is no such session.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.send(calls.delete_session(id), CallOptions(retries, timeout_ms, http_headers))

    async def delete_async(
        self,
        *,
        id: str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> None:
        """Does what `delete` does, asynchronously."""
        return await self._async.send(calls.delete_session(id), CallOptions(retries, timeout_ms, http_headers))

    def update_session_callbacks(
        self,
        *,
        id: str,
        callbacks: Sequence[Callback | Mapping[str, Any]],
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> SessionData:
        """Replaces all callbacks of a session (Mix 0.7 and later).

        Args:
            id: The session.
            callbacks: The new ones; an empty list removes them.
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The session with its callbacks.

        Raises:
            MixInputError: The server would refuse an argument, or misread it.
            MixNotFoundError: There is no such session.
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.run(
            flows.update_session_callbacks(self.known, id, callbacks), CallOptions(retries, timeout_ms, http_headers)
        )

    async def update_session_callbacks_async(
        self,
        *,
        id: str,
        callbacks: Sequence[Callback | Mapping[str, Any]],
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> SessionData:
        """Does what `update_session_callbacks` does, asynchronously."""
        return await self._async.run(
            flows.update_session_callbacks(self.known, id, callbacks), CallOptions(retries, timeout_ms, http_headers)
        )

    def cancel_processing(
        self,
        *,
        id: str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> CancelSessionProcessingResponse:
        """Cancels the session's running turn. The answer is the same if there is none, or no such session.

        Args:
            id: The session.
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The server's answer.

        Raises:
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.send(calls.cancel_session(id), CallOptions(retries, timeout_ms, http_headers))

    async def cancel_processing_async(
        self,
        *,
        id: str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> CancelSessionProcessingResponse:
        """Does what `cancel_processing` does, asynchronously."""
        return await self._async.send(calls.cancel_session(id), CallOptions(retries, timeout_ms, http_headers))
