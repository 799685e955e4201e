"""The server about itself: health, data directory, commands, MCP servers.

Owns: these operations. Refuses to know: tools (`tools.py`).
"""

from __future__ import annotations

from typing import Unpack

from langchain_mix.client._operations import Operations, RequestOptions
from langchain_mix.protocol import calls
from langchain_mix.protocol.models import (
    GetCommandResponse,
    GetSystemInfoResponse,
    HealthCheckResponse,
    ListCommandsResponse,
    ListMcpServersResponse,
)


class System(Operations):
    """Asks the server about itself."""

    def list_commands(self, **options: Unpack[RequestOptions]) -> list[ListCommandsResponse]:
        """Lists the slash commands.

        Args:
            **options: See `RequestOptions`.

        Returns:
            The commands, by name.

        Raises:
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync_with(options).send(calls.list_commands())

    async def list_commands_async(self, **options: Unpack[RequestOptions]) -> list[ListCommandsResponse]:
        """Does what `list_commands` does, asynchronously."""
        return await self._async_with(options).send(calls.list_commands())

    def get_command(
        self,
        *,
        name: str,
        **options: Unpack[RequestOptions],
    ) -> GetCommandResponse:
        """Reads one slash command.

        Args:
            name: Its name, without the slash.
            **options: See `RequestOptions`.

        Returns:
            The command.

        Raises:
            MixNotFoundError: There is no such command.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync_with(options).send(calls.get_command(name))

    async def get_command_async(
        self,
        *,
        name: str,
        **options: Unpack[RequestOptions],
    ) -> GetCommandResponse:
        """Does what `get_command` does, asynchronously."""
        return await self._async_with(options).send(calls.get_command(name))

    def list_mcp_servers(self, **options: Unpack[RequestOptions]) -> list[ListMcpServersResponse]:
        """Lists the MCP servers and their tools.

        Args:
            **options: See `RequestOptions`.

        Returns:
            The servers.

        Raises:
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync_with(options).send(calls.list_mcp_servers())

    async def list_mcp_servers_async(self, **options: Unpack[RequestOptions]) -> list[ListMcpServersResponse]:
        """Does what `list_mcp_servers` does, asynchronously."""
        return await self._async_with(options).send(calls.list_mcp_servers())

    def get_system_info(self, **options: Unpack[RequestOptions]) -> GetSystemInfoResponse:
        """Asks where the server keeps its data (Mix 0.5.7, 0.6.1 and later).

        Args:
            **options: See `RequestOptions`.

        Returns:
            A path on the server's own host.

        Raises:
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync_with(options).send(calls.get_system_info())

    async def get_system_info_async(self, **options: Unpack[RequestOptions]) -> GetSystemInfoResponse:
        """Does what `get_system_info` does, asynchronously."""
        return await self._async_with(options).send(calls.get_system_info())

    def get_health(self, **options: Unpack[RequestOptions]) -> HealthCheckResponse:
        """Asks whether the server is well.

        Args:
            **options: See `RequestOptions`.

        Returns:
            Its state and version.

        Raises:
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync_with(options).send(calls.get_health())

    async def get_health_async(self, **options: Unpack[RequestOptions]) -> HealthCheckResponse:
        """Does what `get_health` does, asynchronously."""
        return await self._async_with(options).send(calls.get_health())
