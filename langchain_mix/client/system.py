"""The server about itself: health, data directory, commands, MCP servers, and tools."""

from __future__ import annotations

from typing import Unpack

from langchain_mix.client._config import RequestOptions
from langchain_mix.client.basesdk import BaseSDK
from langchain_mix.protocol import calls, flows
from langchain_mix.protocol.models import (
    GetCommandResponse,
    GetSystemInfoResponse,
    GetToolCredentialsStatusResponse,
    GetToolsStatusResponse,
    HealthCheckResponse,
    ListCommandsResponse,
    ListLLMToolsResponse,
    ListMcpServersResponse,
)


class System(BaseSDK):
    """Asks the server about itself."""

    def list_commands(self, **options: Unpack[RequestOptions]) -> list[ListCommandsResponse]:
        """Lists the slash commands.

        Args:
            **options: See `RequestOptions`.

        Returns:
            The commands, by name.

        Raises:
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.list_commands())

    async def list_commands_async(self, **options: Unpack[RequestOptions]) -> list[ListCommandsResponse]:
        """Does what `list_commands` does, asynchronously."""
        return await self._async.with_options(options).send(calls.list_commands())

    def get_command(self, *, name: str, **options: Unpack[RequestOptions]) -> GetCommandResponse:
        """Reads one slash command.

        Args:
            name: Its name, without the slash.
            **options: See `RequestOptions`.

        Returns:
            The command.

        Raises:
            MixNotFoundError: There is no such command.
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.get_command(name))

    async def get_command_async(self, *, name: str, **options: Unpack[RequestOptions]) -> GetCommandResponse:
        """Does what `get_command` does, asynchronously."""
        return await self._async.with_options(options).send(calls.get_command(name))

    def list_mcp_servers(self, **options: Unpack[RequestOptions]) -> list[ListMcpServersResponse]:
        """Lists the MCP servers and their tools.

        Args:
            **options: See `RequestOptions`.

        Returns:
            The servers.

        Raises:
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.list_mcp_servers())

    async def list_mcp_servers_async(self, **options: Unpack[RequestOptions]) -> list[ListMcpServersResponse]:
        """Does what `list_mcp_servers` does, asynchronously."""
        return await self._async.with_options(options).send(calls.list_mcp_servers())

    def get_system_info(self, **options: Unpack[RequestOptions]) -> GetSystemInfoResponse:
        """Asks where the server keeps its data (Mix 0.5.7, 0.6.1 and later).

        Args:
            **options: See `RequestOptions`.

        Returns:
            A path on the server's own host.

        Raises:
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.get_system_info())

    async def get_system_info_async(self, **options: Unpack[RequestOptions]) -> GetSystemInfoResponse:
        """Does what `get_system_info` does, asynchronously."""
        return await self._async.with_options(options).send(calls.get_system_info())

    def get_health(self, **options: Unpack[RequestOptions]) -> HealthCheckResponse:
        """Asks whether the server is well.

        Args:
            **options: See `RequestOptions`.

        Returns:
            Its state and version.

        Raises:
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.get_health())

    async def get_health_async(self, **options: Unpack[RequestOptions]) -> HealthCheckResponse:
        """Does what `get_health` does, asynchronously."""
        return await self._async.with_options(options).send(calls.get_health())


class Tools(BaseSDK):
    """Asks about tools."""

    def list_llm_tools(self, **options: Unpack[RequestOptions]) -> ListLLMToolsResponse:
        """Lists the tools of the model (Mix 0.7 and later).

        Args:
            **options: See `RequestOptions`.

        Returns:
            The tools, with the schemas of their parameters.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type shows whose fault it is.
        """
        shell = self._sync.with_options(options)
        return shell.run(flows.offered(shell.server_api, calls.list_llm_tools))

    async def list_llm_tools_async(self, **options: Unpack[RequestOptions]) -> ListLLMToolsResponse:
        """Does what `list_llm_tools` does, asynchronously."""
        shell = self._async.with_options(options)
        return await shell.run(flows.offered(shell.server_api, calls.list_llm_tools))

    def get_tool_credentials_status(self, **options: Unpack[RequestOptions]) -> GetToolCredentialsStatusResponse:
        """Asks which tools have their credentials (Mix 0.7 and later).

        Args:
            **options: See `RequestOptions`.

        Returns:
            The state, by category.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type shows whose fault it is.
        """
        shell = self._sync.with_options(options)
        return shell.run(flows.offered(shell.server_api, calls.get_tool_credentials_status))

    async def get_tool_credentials_status_async(
        self, **options: Unpack[RequestOptions]
    ) -> GetToolCredentialsStatusResponse:
        """Does what `get_tool_credentials_status` does, asynchronously."""
        shell = self._async.with_options(options)
        return await shell.run(flows.offered(shell.server_api, calls.get_tool_credentials_status))

    def get_tools_status(self, **options: Unpack[RequestOptions]) -> GetToolsStatusResponse:
        """Asks which tools are ready (Mix before 0.8).

        Args:
            **options: See `RequestOptions`.

        Returns:
            The state, by category.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type shows whose fault it is.
        """
        shell = self._sync.with_options(options)
        return shell.run(flows.offered(shell.server_api, calls.get_tools_status))

    async def get_tools_status_async(self, **options: Unpack[RequestOptions]) -> GetToolsStatusResponse:
        """Does what `get_tools_status` does, asynchronously."""
        shell = self._async.with_options(options)
        return await shell.run(flows.offered(shell.server_api, calls.get_tools_status))
