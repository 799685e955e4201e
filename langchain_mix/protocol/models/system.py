"""The server about itself: health, commands, MCP servers, tools, preferences.

Preferences hold for the whole server, not for one session.
"""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, Field, model_validator

from langchain_mix.protocol.models.base import Payload, SnakePayload


class HealthCheckResponse(SnakePayload):
    """The server's health.

    Attributes:
        status: `ok`.
        timestamp: When, as RFC 3339 text.
        version: The server's version, which does not show its API generation.
        environment: Where it runs.
        services: Its parts and their state.
    """

    status: str = ""
    timestamp: str = ""
    version: str = ""
    environment: str | None = None
    services: dict[str, Any] = Field(default_factory=dict[str, Any])


class GetSystemInfoResponse(Payload):
    """The paths of the server's data.

    Attributes:
        storage_base_path: An absolute path on the server's own host.
    """

    storage_base_path: str = ""


class ListCommandsResponse(SnakePayload):
    """A slash command.

    Attributes:
        name: Its name, without the slash.
        description: What it does.
        usage: How to call it; documented, but not filled.
        type: `builtin` or `file`.
    """

    name: str = ""
    description: str = ""
    usage: str | None = None
    type: str | None = None


class GetCommandResponse(ListCommandsResponse):
    """A slash command, requested by name."""


class ListMcpServersTool(SnakePayload):
    """A tool of an MCP server."""

    name: str = ""
    description: str = ""


class ListMcpServersResponse(SnakePayload):
    """An MCP server that the Mix server uses.

    Attributes:
        name: Its name; its tools are called `<server>_<tool>`.
        connected: Whether it is connected.
        status: `connected` or `failed`.
        tools: Its tools; empty if it could not be reached.
    """

    name: str = ""
    connected: bool = False
    status: str = ""
    tools: list[ListMcpServersTool] = Field(default_factory=list[ListMcpServersTool])


class GetToolsStatusTool(SnakePayload):
    """A tool, or the provider behind it.

    Attributes:
        provider: The provider's id.
        display_name: Its name for people.
        description: What it is for.
        authenticated: Whether it can be used.
        api_key_required: Whether it needs a key.
    """

    provider: str = ""
    display_name: str = ""
    description: str = ""
    authenticated: bool = False
    # Mix 0.5 says `requires_key`.
    api_key_required: bool = Field(default=False, validation_alias=AliasChoices("api_key_required", "requires_key"))


class GetToolsStatusCategories(SnakePayload):
    """A group of tools."""

    display_name: str = ""
    tools: list[GetToolsStatusTool] = Field(default_factory=list[GetToolsStatusTool])

    @model_validator(mode="before")
    @classmethod
    def _list_tools(cls, value: Any) -> Any:
        # Mix documents a list; Mix 0.5 sends a map by provider.
        if isinstance(value, dict) and isinstance(tools := value.get("tools"), dict):
            listed = [{"provider": key, **tool} if isinstance(tool, dict) else tool for key, tool in tools.items()]
            return {**value, "tools": listed}
        return value


class GetToolsStatusResponse(SnakePayload):
    """Which tools are ready, by category."""

    categories: dict[str, GetToolsStatusCategories] = Field(default_factory=dict[str, GetToolsStatusCategories])


class GetToolCredentialsStatusTool(GetToolsStatusTool):
    """A tool and its credential.

    Attributes:
        api_key_format: What a key looks like.
    """

    api_key_format: str | None = None


class GetToolCredentialsStatusCategories(SnakePayload):
    """A group of tools that need credentials."""

    display_name: str = ""
    description: str | None = None
    icon: str | None = None
    tools: list[GetToolCredentialsStatusTool] = Field(default_factory=list[GetToolCredentialsStatusTool])


class GetToolCredentialsStatusResponse(SnakePayload):
    """Which tools have their credentials, by category (Mix 0.7 and later)."""

    categories: dict[str, GetToolCredentialsStatusCategories] = Field(
        default_factory=dict[str, GetToolCredentialsStatusCategories]
    )


class ListLLMToolsTool(SnakePayload):
    """A tool as it is described to the model.

    Attributes:
        name: Its name.
        description: What it does.
        parameters: JSON schemas of its parameters, by name.
        required: The parameters that must be given.
    """

    name: str = ""
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict[str, Any])
    required: list[str] = Field(default_factory=list[str])


class ListLLMToolsResponse(SnakePayload):
    """All tools of the model (Mix 0.7 and later)."""

    tools: list[ListLLMToolsTool] = Field(default_factory=list[ListLLMToolsTool])


class UserPreferencesResponse(SnakePayload):
    """The preferences of the server.

    Attributes:
        preferred_provider: The provider that is used first.
        main_agent_model: The model of sessions.
        main_agent_max_tokens: Tokens a reply of it may have.
        main_agent_reasoning_effort: See `ReasoningEffort`.
        sub_agent_model: The model of sub-agents.
        sub_agent_max_tokens: Tokens a reply of it may have.
        sub_agent_reasoning_effort: See `ReasoningEffort`.
        created_at: Unix seconds.
        updated_at: Unix seconds.
    """

    preferred_provider: str | None = None
    main_agent_model: str | None = None
    main_agent_max_tokens: int | None = None
    main_agent_reasoning_effort: str | None = None
    sub_agent_model: str | None = None
    sub_agent_max_tokens: int | None = None
    sub_agent_reasoning_effort: str | None = None
    created_at: int | None = None
    updated_at: int | None = None


class UpdatePreferencesResponse(UserPreferencesResponse):
    """All preferences after an update."""


class ResetPreferencesResponse(UserPreferencesResponse):
    """All preferences after a reset."""


class GetAvailableProvidersResponse(SnakePayload):
    """A provider and its models.

    Attributes:
        display_name: Its name for people.
        models: Its models: ids in the servers known so far, but documented as anything.
    """

    display_name: str = ""
    models: Any = Field(default_factory=list[Any])


class AvailableProviders(GetAvailableProvidersResponse):
    """A provider and its models, as listed beside the preferences."""


class GetPreferencesResponse(SnakePayload):
    """The preferences and what there is to prefer.

    Attributes:
        preferences: The preferences; None if none were ever set.
        available_providers: Providers by id.
    """

    preferences: UserPreferencesResponse | None = None
    available_providers: dict[str, AvailableProviders] = Field(default_factory=dict[str, AvailableProviders])
