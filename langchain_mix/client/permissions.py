"""Answers to the permission requests of a running turn.

Owns: their operations. Refuses to know: policies (`Mix.turn`).
"""

# ruff: noqa: A002  # `id` is what the documentation of Mix calls these arguments.

from __future__ import annotations

from collections.abc import Mapping

from langchain_mix.client._operations import Operations
from langchain_mix.client._settings import CallOptions
from langchain_mix.protocol import calls
from langchain_mix.protocol.models import DenyPermissionResponse, GrantPermissionResponse
from langchain_mix.protocol.retry import RetryConfig


class Permissions(Operations):
    """Grants and denies."""

    def deny(
        self,
        *,
        id: str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> DenyPermissionResponse:
        """Refuses a tool. The agent is told, and the turn goes on.

        Args:
            id: The request, from its event. The answer is the same for unknown and expired ones.
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The server's answer.

        Raises:
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.send(calls.deny_permission(id), CallOptions(retries, timeout_ms, http_headers))

    async def deny_async(
        self,
        *,
        id: str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> DenyPermissionResponse:
        """Does what `deny` does, asynchronously."""
        return await self._async.send(calls.deny_permission(id), CallOptions(retries, timeout_ms, http_headers))

    def grant(
        self,
        *,
        id: str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> GrantPermissionResponse:
        """Lets a tool go on. The first answer counts, and the server denies by itself after 30 seconds.

        Args:
            id: The request, from its event. The answer is the same for unknown and expired ones.
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The server's answer.

        Raises:
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.send(calls.grant_permission(id), CallOptions(retries, timeout_ms, http_headers))

    async def grant_async(
        self,
        *,
        id: str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> GrantPermissionResponse:
        """Does what `grant` does, asynchronously."""
        return await self._async.send(calls.grant_permission(id), CallOptions(retries, timeout_ms, http_headers))
