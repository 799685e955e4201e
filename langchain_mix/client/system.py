"""The server about itself: health, data directory, commands, MCP servers.

Owns: these operations. Refuses to know: tools (`tools.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

from langchain_mix.client._operations import Operations
from langchain_mix.client._settings import CallOptions
from langchain_mix.protocol import calls
from langchain_mix.protocol.models import (
    GetCommandResponse,
    GetSystemInfoResponse,
    HealthCheckResponse,
    ListCommandsResponse,
    ListMcpServersResponse,
)
from langchain_mix.protocol.retry import RetryConfig


class System(Operations):
    """Asks the server about itself."""

    def list_commands(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> list[ListCommandsResponse]:
        """Lists the slash commands.

        Args:
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The commands, by name.

        Raises:
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.send(calls.list_commands(), CallOptions(retries, timeout_ms, http_headers))

    async def list_commands_async(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> list[ListCommandsResponse]:
        """Does what `list_commands` does, asynchronously."""
        return await self._async.send(calls.list_commands(), CallOptions(retries, timeout_ms, http_headers))

    def get_command(
        self,
        *,
        name: str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> GetCommandResponse:
        """Reads one slash command.

        Args:
            name: Its name, without the slash.
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The command.

        Raises:
            MixNotFoundError: There is no such command.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.send(calls.get_command(name), CallOptions(retries, timeout_ms, http_headers))

    async def get_command_async(
        self,
        *,
        name: str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> GetCommandResponse:
        """Does what `get_command` does, asynchronously."""
        return await self._async.send(calls.get_command(name), CallOptions(retries, timeout_ms, http_headers))

    def list_mcp_servers(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> list[ListMcpServersResponse]:
        """Lists the MCP servers and their tools.

        Args:
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The servers.

        Raises:
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.send(calls.list_mcp_servers(), CallOptions(retries, timeout_ms, http_headers))

    async def list_mcp_servers_async(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> list[ListMcpServersResponse]:
        """Does what `list_mcp_servers` does, asynchronously."""
        return await self._async.send(calls.list_mcp_servers(), CallOptions(retries, timeout_ms, http_headers))

    def get_system_info(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> GetSystemInfoResponse:
        """Asks where the server keeps its data (Mix 0.5.7, 0.6.1 and later).

        Args:
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            A path on the server's own host.

        Raises:
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.send(calls.get_system_info(), CallOptions(retries, timeout_ms, http_headers))

    async def get_system_info_async(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> GetSystemInfoResponse:
        """Does what `get_system_info` does, asynchronously."""
        return await self._async.send(calls.get_system_info(), CallOptions(retries, timeout_ms, http_headers))

    def get_health(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> HealthCheckResponse:
        """Asks whether the server is well.

        Args:
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            Its state and version.

        Raises:
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.send(calls.get_health(), CallOptions(retries, timeout_ms, http_headers))

    async def get_health_async(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> HealthCheckResponse:
        """Does what `get_health` does, asynchronously."""
        return await self._async.send(calls.get_health(), CallOptions(retries, timeout_ms, http_headers))
