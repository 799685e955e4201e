"""The state of the server's OAuth tokens, under the name that official releases from 0.6.6 on give it.

Owns: that name. Refuses to know: credentials (`authentication.py`).
"""

from __future__ import annotations

from typing import Unpack

from langchain_mix.client._operations import Operations, RequestOptions
from langchain_mix.protocol import flows
from langchain_mix.protocol.models import GetOAuthHealthResponse


class Health(Operations):
    """Asks for the state of the server's OAuth tokens."""

    def get_o_auth_health(self, **options: Unpack[RequestOptions]) -> GetOAuthHealthResponse:
        """Asks for the state of the server's OAuth tokens (Mix 0.6.6 and later).

        Args:
            **options: See `RequestOptions`.

        Returns:
            The state, token by token.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type tells whose fault it is.
        """
        shell = self._sync_with(options)
        return shell.run(flows.get_oauth_health(shell.server_api))

    async def get_o_auth_health_async(self, **options: Unpack[RequestOptions]) -> GetOAuthHealthResponse:
        """Does what `get_o_auth_health` does, asynchronously."""
        shell = self._async_with(options)
        return await shell.run(flows.get_oauth_health(shell.server_api))
