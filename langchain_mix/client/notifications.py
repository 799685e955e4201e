"""Answers to the notifications of a running turn.

Owns: their operation. Refuses to know: policies (`Mix.turn`).
"""

# ruff: noqa: A002  # `id` is what the documentation of Mix calls these arguments.

from __future__ import annotations

from collections.abc import Mapping

from langchain_mix.client._operations import Operations
from langchain_mix.client._settings import CallOptions
from langchain_mix.protocol import flows
from langchain_mix.protocol.models import RespondToNotificationType
from langchain_mix.protocol.retry import RetryConfig


class Notifications(Operations):
    """Responds to notifications (Mix 0.8 and later)."""

    def respond_to_notification(
        self,
        *,
        id: str,
        type_: RespondToNotificationType | str,
        value: str | None = None,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answers a notification (Mix 0.8 and later).

        Args:
            id: The notification, from its event.
            type_: How it is answered; the event's `response_type`.
            value: The text or the choice.
            retries: Accepted for symmetry; this call is never sent twice.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Raises:
            MixInputError: The type is empty.
            MixDefaultError: It was answered before, or its time is over (status 404).
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.run(
            flows.respond_to_notification(self.known, id, type_, value), CallOptions(retries, timeout_ms, http_headers)
        )

    async def respond_to_notification_async(
        self,
        *,
        id: str,
        type_: RespondToNotificationType | str,
        value: str | None = None,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> None:
        """Does what `respond_to_notification` does, asynchronously."""
        return await self._async.run(
            flows.respond_to_notification(self.known, id, type_, value), CallOptions(retries, timeout_ms, http_headers)
        )
