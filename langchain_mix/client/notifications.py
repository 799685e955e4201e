"""Answers to the notifications of a running turn.

Owns: their operation. Refuses to know: policies (`Mix.turn`).
"""

# ruff: noqa: A002  # `id` is what the documentation of Mix calls these arguments.

from __future__ import annotations

from typing import Unpack

from langchain_mix.client._operations import Operations, RequestOptions
from langchain_mix.protocol import flows
from langchain_mix.protocol.models import RespondToNotificationType


class Notifications(Operations):
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
            MixError: It failed; the type tells whose fault it is.
        """
        shell = self._sync_with(options)
        return shell.run(flows.respond_to_notification(shell.server_api, id, type_, value))

    async def respond_to_notification_async(
        self,
        *,
        id: str,
        type_: RespondToNotificationType | str,
        value: str | None = None,
        **options: Unpack[RequestOptions],
    ) -> None:
        """Does what `respond_to_notification` does, asynchronously."""
        shell = self._async_with(options)
        return await shell.run(flows.respond_to_notification(shell.server_api, id, type_, value))
