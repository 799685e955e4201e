"""Answers to the permission requests of a running turn.

Owns: their operations. Refuses to know: policies (`Mix.turn`).
"""

# ruff: noqa: A002  # `id` is what the documentation of Mix calls these arguments.

from __future__ import annotations

from typing import Unpack

from langchain_mix.client._operations import Operations, RequestOptions
from langchain_mix.protocol import calls
from langchain_mix.protocol.models import DenyPermissionResponse, GrantPermissionResponse


class Permissions(Operations):
    """Grants and denies."""

    def deny(
        self,
        *,
        id: str,
        **options: Unpack[RequestOptions],
    ) -> DenyPermissionResponse:
        """Refuses a tool. The agent is told, and the turn goes on.

        Args:
            id: The request, from its event. The answer is the same for unknown and expired ones.
            **options: See `RequestOptions`.

        Returns:
            The server's answer.

        Raises:
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync_with(options).send(calls.deny_permission(id))

    async def deny_async(
        self,
        *,
        id: str,
        **options: Unpack[RequestOptions],
    ) -> DenyPermissionResponse:
        """Does what `deny` does, asynchronously."""
        return await self._async_with(options).send(calls.deny_permission(id))

    def grant(
        self,
        *,
        id: str,
        **options: Unpack[RequestOptions],
    ) -> GrantPermissionResponse:
        """Lets a tool go on. The first answer counts, and the server denies by itself after 30 seconds.

        Args:
            id: The request, from its event. The answer is the same for unknown and expired ones.
            **options: See `RequestOptions`.

        Returns:
            The server's answer.

        Raises:
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync_with(options).send(calls.grant_permission(id))

    async def grant_async(
        self,
        *,
        id: str,
        **options: Unpack[RequestOptions],
    ) -> GrantPermissionResponse:
        """Does what `grant` does, asynchronously."""
        return await self._async_with(options).send(calls.grant_permission(id))
