"""The server's tools: which there are, and which are ready.

Owns: these operations. Refuses to know: what tools take and give (`tool_models.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

from langchain_mix.client._operations import Operations
from langchain_mix.client._settings import CallOptions
from langchain_mix.protocol import flows
from langchain_mix.protocol.models import GetToolCredentialsStatusResponse, GetToolsStatusResponse, ListLLMToolsResponse
from langchain_mix.protocol.retry import RetryConfig


class Tools(Operations):
    """Asks about tools."""

    def list_llm_tools(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> ListLLMToolsResponse:
        """Lists the tools of the model (Mix 0.7 and later).

        Args:
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The tools, with the schemas of their parameters.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.run(flows.list_llm_tools(self.known), CallOptions(retries, timeout_ms, http_headers))

    async def list_llm_tools_async(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> ListLLMToolsResponse:
        """Does what `list_llm_tools` does, asynchronously."""
        return await self._async.run(flows.list_llm_tools(self.known), CallOptions(retries, timeout_ms, http_headers))

    def get_tool_credentials_status(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> GetToolCredentialsStatusResponse:
        """Asks which tools have their credentials (Mix 0.7 and later).

        Args:
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The state, by category.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.run(
            flows.get_tool_credentials_status(self.known), CallOptions(retries, timeout_ms, http_headers)
        )

    async def get_tool_credentials_status_async(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> GetToolCredentialsStatusResponse:
        """Does what `get_tool_credentials_status` does, asynchronously."""
        return await self._async.run(
            flows.get_tool_credentials_status(self.known), CallOptions(retries, timeout_ms, http_headers)
        )

    def get_tools_status(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> GetToolsStatusResponse:
        """Asks which tools are ready (Mix before 0.8).

        Args:
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The state, by category.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.run(flows.get_tools_status(self.known), CallOptions(retries, timeout_ms, http_headers))

    async def get_tools_status_async(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> GetToolsStatusResponse:
        """Does what `get_tools_status` does, asynchronously."""
        return await self._async.run(flows.get_tools_status(self.known), CallOptions(retries, timeout_ms, http_headers))
