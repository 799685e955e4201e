"""Calls that ask the server about itself: health, commands, MCP servers, tools.

Owns: their paths, and which generations have them.
Refuses to know: what the answers are used for.
"""

from __future__ import annotations

from langchain_mix.protocol.api import ApiKnowledge, having, require
from langchain_mix.protocol.call import Call
from langchain_mix.protocol.calls._replies import reads
from langchain_mix.protocol.models.system import (
    GetCommandResponse,
    GetSystemInfoResponse,
    GetToolCredentialsStatusResponse,
    GetToolsStatusResponse,
    HealthCheckResponse,
    ListCommandsResponse,
    ListLLMToolsResponse,
    ListMcpServersResponse,
)


def get_health() -> Call[HealthCheckResponse]:
    """Asks whether the server is well.

    Returns:
        The call.
    """
    return Call(method="GET", segments=("health",), decode=reads(HealthCheckResponse), idempotent=True)


def get_system_info() -> Call[GetSystemInfoResponse]:
    """Asks where the server keeps its data (Mix 0.5.7, 0.6.1 and later).

    Returns:
        The call.
    """
    return Call(method="GET", segments=("api", "system", "info"), decode=reads(GetSystemInfoResponse), idempotent=True)


def list_commands() -> Call[list[ListCommandsResponse]]:
    """Lists the slash commands.

    Returns:
        The call.
    """
    return Call(method="GET", segments=("api", "commands"), decode=reads(list[ListCommandsResponse]), idempotent=True)


def get_command(name: str) -> Call[GetCommandResponse]:
    """Reads one slash command.

    Args:
        name: Its name, without the slash.

    Returns:
        The call.
    """
    return Call(method="GET", segments=("api", "commands", name), decode=reads(GetCommandResponse), idempotent=True)


def list_mcp_servers() -> Call[list[ListMcpServersResponse]]:
    """Lists the MCP servers and their tools.

    Returns:
        The call.
    """
    return Call(method="GET", segments=("api", "mcp"), decode=reads(list[ListMcpServersResponse]), idempotent=True)


def list_llm_tools(detected: ApiKnowledge) -> Call[ListLLMToolsResponse]:
    """Lists the tools of the model (Mix 0.7 and later).

    Args:
        detected: The generations the server may be.

    Returns:
        The call.

    Raises:
        MixUnsupportedError: No generation the server may be has this.
    """
    require(detected, "llm_tools", "The list of tools")
    return Call(
        method="GET",
        segments=("api", "tools"),
        decode=reads(ListLLMToolsResponse),
        idempotent=True,
        shows=lambda _: having("llm_tools"),
    )


def get_tools_status(detected: ApiKnowledge) -> Call[GetToolsStatusResponse]:
    """Asks which tools are ready (Mix before 0.8).

    Args:
        detected: The generations the server may be.

    Returns:
        The call.

    Raises:
        MixUnsupportedError: No generation the server may be has this.
    """
    require(detected, "tools_status", "The status of tools")
    return Call(
        method="GET", segments=("api", "tools", "status"), decode=reads(GetToolsStatusResponse), idempotent=True
    )


def get_tool_credentials_status(detected: ApiKnowledge) -> Call[GetToolCredentialsStatusResponse]:
    """Asks which tools have their credentials (Mix 0.7 and later).

    Args:
        detected: The generations the server may be.

    Returns:
        The call.

    Raises:
        MixUnsupportedError: No generation the server may be has this.
    """
    require(detected, "llm_tools", "The status of tools' credentials")
    return Call(
        method="GET",
        segments=("api", "tools", "credentials-status"),
        decode=reads(GetToolCredentialsStatusResponse),
        idempotent=True,
        shows=lambda _: having("llm_tools"),
    )
