"""Upkeep of the server's OAuth tokens, under the name that official releases from 0.6.6 on give it.

Owns: that name. Refuses to know: credentials (`authentication.py`).
"""

from __future__ import annotations

from typing import Unpack

from langchain_mix.client._operations import Operations, RequestOptions
from langchain_mix.protocol import flows
from langchain_mix.protocol.models import RefreshOAuthTokensResponse


class Internal(Operations):
    """Lets the server refresh its OAuth tokens."""

    def refresh_o_auth_tokens(self, **options: Unpack[RequestOptions]) -> RefreshOAuthTokensResponse:
        """Lets the server refresh all its OAuth tokens (Mix 0.6.6 and later).

        Args:
            **options: See `RequestOptions`. This call is never sent twice.

        Returns:
            The server's answer.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type tells whose fault it is.
        """
        shell = self._sync_with(options)
        return shell.run(flows.refresh_oauth_tokens(shell.server_api))

    async def refresh_o_auth_tokens_async(self, **options: Unpack[RequestOptions]) -> RefreshOAuthTokensResponse:
        """Does what `refresh_o_auth_tokens` does, asynchronously."""
        shell = self._async_with(options)
        return await shell.run(flows.refresh_oauth_tokens(shell.server_api))
