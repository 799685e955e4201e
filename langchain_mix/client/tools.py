"""The server's tools: which there are, and which are ready.

Owns: these operations. Refuses to know: what tools take and give (`tool_models.py`).
"""

from __future__ import annotations

from typing import Unpack

from langchain_mix.client._operations import Operations, RequestOptions
from langchain_mix.protocol import flows
from langchain_mix.protocol.models import GetToolCredentialsStatusResponse, GetToolsStatusResponse, ListLLMToolsResponse


class Tools(Operations):
    """Asks about tools."""

    def list_llm_tools(self, **options: Unpack[RequestOptions]) -> ListLLMToolsResponse:
        """Lists the tools of the model (Mix 0.7 and later).

        Args:
            **options: See `RequestOptions`.

        Returns:
            The tools, with the schemas of their parameters.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type tells whose fault it is.
        """
        shell = self._sync_with(options)
        return shell.run(flows.list_llm_tools(shell.server_api))

    async def list_llm_tools_async(self, **options: Unpack[RequestOptions]) -> ListLLMToolsResponse:
        """Does what `list_llm_tools` does, asynchronously."""
        shell = self._async_with(options)
        return await shell.run(flows.list_llm_tools(shell.server_api))

    def get_tool_credentials_status(self, **options: Unpack[RequestOptions]) -> GetToolCredentialsStatusResponse:
        """Asks which tools have their credentials (Mix 0.7 and later).

        Args:
            **options: See `RequestOptions`.

        Returns:
            The state, by category.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type tells whose fault it is.
        """
        shell = self._sync_with(options)
        return shell.run(flows.get_tool_credentials_status(shell.server_api))

    async def get_tool_credentials_status_async(
        self, **options: Unpack[RequestOptions]
    ) -> GetToolCredentialsStatusResponse:
        """Does what `get_tool_credentials_status` does, asynchronously."""
        shell = self._async_with(options)
        return await shell.run(flows.get_tool_credentials_status(shell.server_api))

    def get_tools_status(self, **options: Unpack[RequestOptions]) -> GetToolsStatusResponse:
        """Asks which tools are ready (Mix before 0.8).

        Args:
            **options: See `RequestOptions`.

        Returns:
            The state, by category.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type tells whose fault it is.
        """
        shell = self._sync_with(options)
        return shell.run(flows.get_tools_status(shell.server_api))

    async def get_tools_status_async(self, **options: Unpack[RequestOptions]) -> GetToolsStatusResponse:
        """Does what `get_tools_status` does, asynchronously."""
        shell = self._async_with(options)
        return await shell.run(flows.get_tools_status(shell.server_api))
