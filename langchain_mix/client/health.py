"""The state of the server's OAuth tokens, under the name that official releases from 0.6.6 on give it.

Owns: that name. Refuses to know: credentials (`authentication.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

from langchain_mix.client._operations import Operations
from langchain_mix.client._settings import CallOptions
from langchain_mix.protocol import flows
from langchain_mix.protocol.models import GetOAuthHealthResponse
from langchain_mix.protocol.retry import RetryConfig


class Health(Operations):
    """Asks for the state of the server's OAuth tokens."""

    def get_o_auth_health(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> GetOAuthHealthResponse:
        """Asks for the state of the server's OAuth tokens (Mix 0.6.6 and later).

        Args:
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The state, token by token.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.run(flows.get_oauth_health(self.known), CallOptions(retries, timeout_ms, http_headers))

    async def get_o_auth_health_async(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> GetOAuthHealthResponse:
        """Does what `get_o_auth_health` does, asynchronously."""
        return await self._async.run(flows.get_oauth_health(self.known), CallOptions(retries, timeout_ms, http_headers))
