"""Answers to the permission requests and the notifications of a running turn, one by one; `Mix.turn` has policies."""

# ruff: noqa: A002  # `id` is what the documentation of Mix calls these arguments.

from __future__ import annotations

from typing import Unpack

from langchain_mix.client._config import RequestOptions
from langchain_mix.client.basesdk import BaseSDK
from langchain_mix.protocol import calls, flows
from langchain_mix.protocol.models import DenyPermissionResponse, GrantPermissionResponse, RespondToNotificationType


class Permissions(BaseSDK):
    """Grants and denies."""

    def deny(self, *, id: str, **options: Unpack[RequestOptions]) -> DenyPermissionResponse:
        """Refuses a tool. The agent gets the refusal, and the turn goes on.

        Args:
            id: The request, from its event. The answer is the same for unknown and expired ones.
            **options: See `RequestOptions`.

        Returns:
            The server's answer.

        Raises:
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.deny_permission(id))

    async def deny_async(self, *, id: str, **options: Unpack[RequestOptions]) -> DenyPermissionResponse:
        """Does what `deny` does, asynchronously."""
        return await self._async.with_options(options).send(calls.deny_permission(id))

    def grant(self, *, id: str, **options: Unpack[RequestOptions]) -> GrantPermissionResponse:
        """Lets a tool go on. The first answer counts, and the server denies by itself after 30 seconds.

        Args:
            id: The request, from its event. The answer is the same for unknown and expired ones.
            **options: See `RequestOptions`.

        Returns:
            The server's answer.

        Raises:
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.grant_permission(id))

    async def grant_async(self, *, id: str, **options: Unpack[RequestOptions]) -> GrantPermissionResponse:
        """Does what `grant` does, asynchronously."""
        return await self._async.with_options(options).send(calls.grant_permission(id))


class Notifications(BaseSDK):
    """Responds to notifications (Mix 0.8 and later)."""

    def respond_to_notification(
        self,
        *,
        id: str,
        type_: RespondToNotificationType | str,
        value: str | None = None,
        **options: Unpack[RequestOptions],
    ) -> None:
        """Answers a notification (Mix 0.8 and later).

        Args:
            id: The notification, from its event.
            type_: How it is answered; the event's `response_type`.
            value: The text or the choice.
            **options: See `RequestOptions`. This call is never sent twice.

        Raises:
            MixInputError: The type is empty.
            MixDefaultError: It was answered before, or its time is over (status 404).
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type shows whose fault it is.
        """
        shell = self._sync.with_options(options)
        return shell.run(flows.offered(shell.server_api, calls.respond_to_notification, id, type_, value))

    async def respond_to_notification_async(
        self,
        *,
        id: str,
        type_: RespondToNotificationType | str,
        value: str | None = None,
        **options: Unpack[RequestOptions],
    ) -> None:
        """Does what `respond_to_notification` does, asynchronously."""
        shell = self._async.with_options(options)
        return await shell.run(flows.offered(shell.server_api, calls.respond_to_notification, id, type_, value))
