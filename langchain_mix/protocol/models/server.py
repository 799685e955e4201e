"""The server about itself: credentials that it holds, health, commands, MCP servers, tools, preferences.

No reply contains the credentials themselves. Preferences hold for the whole server, not for one session.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import AliasChoices, Field, model_validator

from langchain_mix.protocol.models.base import Payload, SnakePayload


class Provider(StrEnum):
    """Providers of models, or of a tool's data; all of them take an API key."""

    ANTHROPIC = "anthropic"
    OPENAI = "openai"
    OPENROUTER = "openrouter"
    GEMINI = "gemini"
    BRAVE = "brave"


class ReasoningEffort(StrEnum):
    """The effort with which an agent's model reasons, as a preference of the whole server."""

    NONE = ""
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class StoreAPIKeyResponse(SnakePayload):
    """The answer to a stored key. The server checks a key's form, not whether it works."""

    message: str = ""
    provider: str = ""
    status: str = ""


class DeleteCredentialsResponse(SnakePayload):
    """The answer to a deletion; the same if there was nothing to delete."""

    message: str = ""
    provider: str = ""
    status: str = ""


class GetAuthStatusProviders(SnakePayload):
    """The state of the server's access to one provider.

    Attributes:
        auth_method: `oauth`, `api_key` or `none`.
        authenticated: Whether a credential is stored.
        display_name: The provider's name for people; the preferred one's ends in a star.
    """

    auth_method: str = ""
    authenticated: bool = False
    display_name: str = ""


class GetAuthStatusResponse(SnakePayload):
    """The server's access to its model providers, by provider id. Providers of tools are not among them."""

    providers: dict[str, GetAuthStatusProviders] = Field(default_factory=dict[str, GetAuthStatusProviders])


class ValidatePreferredProviderResponse(SnakePayload):
    """The state of the preferred provider's credential.

    Attributes:
        valid: Whether it has.
        provider: The provider; empty if none is preferred.
        auth_method: `oauth`, `api_key` or `none`.
        message: For people.
        error: Why it is not valid.
    """

    valid: bool = False
    provider: str = ""
    auth_method: str = ""
    message: str = ""
    error: str | None = None


class StartOAuthFlowResponse(SnakePayload):
    """A started login.

    Attributes:
        auth_url: Where the user logs in.
        message: For people.
        state: What must be handed back with the code.
    """

    auth_url: str = ""
    message: str = ""
    state: str = Field(default="", repr=False)


class HandleOAuthCallbackResponse(SnakePayload):
    """A finished login.

    Attributes:
        expires_in: Seconds until the token expires.
        message: For people.
        provider: The provider.
        status: `success`.
    """

    expires_in: int | None = None
    message: str = ""
    provider: str = ""
    status: str = ""


class GetOAuthHealthProviders(SnakePayload):
    """The state of one provider's token.

    Attributes:
        provider: The provider.
        status: `active`, `expired`, `expired_no_refresh`, `error` or `not_found`.
        expires_at: When it expires.
        expires_in: The same as a duration for people, such as `2h30m`.
        last_refresh: When it was last refreshed.
        error: What is wrong.
    """

    provider: str = ""
    status: str = ""
    expires_at: datetime | None = None
    expires_in: str | None = None
    last_refresh: datetime | None = None
    error: str | None = None


class GetOAuthHealthResponse(SnakePayload):
    """The state of the server's OAuth tokens (Mix 0.6.6 and later).

    Attributes:
        status: `healthy`, `degraded` or `unhealthy`.
        timestamp: When this was true.
        providers: Token by token, by provider id.
    """

    status: str = ""
    timestamp: datetime | None = None
    providers: dict[str, GetOAuthHealthProviders] = Field(default_factory=dict[str, GetOAuthHealthProviders])


class RefreshOAuthTokensResponse(SnakePayload):
    """The answer to a refresh of all tokens (Mix 0.6.6 and later)."""

    message: str = ""
    status: str = ""


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
