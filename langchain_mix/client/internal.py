"""Upkeep of the server's OAuth tokens, under the name that official releases from 0.6.6 on give it.

Owns: that name. Refuses to know: credentials (`authentication.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

from langchain_mix.client._operations import Operations
from langchain_mix.client._settings import CallOptions
from langchain_mix.protocol import flows
from langchain_mix.protocol.models import RefreshOAuthTokensResponse
from langchain_mix.protocol.retry import RetryConfig


class Internal(Operations):
    """Lets the server refresh its OAuth tokens."""

    def refresh_o_auth_tokens(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> RefreshOAuthTokensResponse:
        """Lets the server refresh all its OAuth tokens (Mix 0.6.6 and later).

        Args:
            retries: Accepted for symmetry; this call is never sent twice.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The server's answer.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.run(flows.refresh_oauth_tokens(self.known), CallOptions(retries, timeout_ms, http_headers))

    async def refresh_o_auth_tokens_async(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> RefreshOAuthTokensResponse:
        """Does what `refresh_o_auth_tokens` does, asynchronously."""
        return await self._async.run(
            flows.refresh_oauth_tokens(self.known), CallOptions(retries, timeout_ms, http_headers)
        )
