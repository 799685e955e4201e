"""Calls on the server itself: credentials that it holds, health, commands, MCP servers, tools, preferences."""

from __future__ import annotations

from langchain_mix.errors import MixInputError
from langchain_mix.protocol.api import ApiKnowledge, having, require
from langchain_mix.protocol.call import Call, filled, get, given, one_of, reads
from langchain_mix.protocol.models.server import (
    DeleteCredentialsResponse,
    GetAuthStatusResponse,
    GetAvailableProvidersResponse,
    GetCommandResponse,
    GetOAuthHealthResponse,
    GetPreferencesResponse,
    GetSystemInfoResponse,
    GetToolCredentialsStatusResponse,
    GetToolsStatusResponse,
    HandleOAuthCallbackResponse,
    HealthCheckResponse,
    ListCommandsResponse,
    ListLLMToolsResponse,
    ListMcpServersResponse,
    ReasoningEffort,
    RefreshOAuthTokensResponse,
    ResetPreferencesResponse,
    StartOAuthFlowResponse,
    StoreAPIKeyResponse,
    UpdatePreferencesResponse,
    ValidatePreferredProviderResponse,
)

__all__ = [
    "delete_credentials",
    "get_auth_status",
    "get_available_providers",
    "get_command",
    "get_health",
    "get_oauth_health",
    "get_preferences",
    "get_system_info",
    "get_tool_credentials_status",
    "get_tools_status",
    "handle_oauth_callback",
    "list_commands",
    "list_llm_tools",
    "list_mcp_servers",
    "refresh_oauth_tokens",
    "reset_preferences",
    "start_oauth_flow",
    "store_api_key",
    "update_preferences",
    "validate_preferred_provider",
]


def store_api_key(provider: str, api_key: str) -> Call[StoreAPIKeyResponse]:
    """Stores a key on the server, which checks its form alone.

    Raises:
        MixInputError: An argument is empty.
    """
    return Call(
        method="POST",
        segments=("api", "auth", "api-key"),
        body={"provider": filled("provider", provider), "api_key": filled("api_key", api_key)},
        decode=reads(StoreAPIKeyResponse),
        idempotent=True,
        secret=True,
    )


def delete_credentials(provider: str) -> Call[DeleteCredentialsResponse]:
    """Deletes what the server holds for a provider. The answer is the same if it holds nothing."""
    return Call(
        method="DELETE", segments=("api", "auth", provider), decode=reads(DeleteCredentialsResponse), idempotent=True
    )


def get_auth_status() -> Call[GetAuthStatusResponse]:
    """Asks which model providers have a credential."""
    return get(GetAuthStatusResponse, "api", "auth", "status")


def validate_preferred_provider() -> Call[ValidatePreferredProviderResponse]:
    """Asks whether the preferred provider has a credential."""
    return get(ValidatePreferredProviderResponse, "api", "auth", "validate")


def start_oauth_flow(provider: str) -> Call[StartOAuthFlowResponse]:
    """Starts a login; only `anthropic` has one."""
    return Call(method="POST", segments=("api", "auth", "oauth", provider), decode=reads(StartOAuthFlowResponse))


def handle_oauth_callback(provider: str, code: str, state: str) -> Call[HandleOAuthCallbackResponse]:
    """Finishes a login with the code that the provider showed to the user, once, and the state it was started with.

    Raises:
        MixInputError: An argument is empty.
    """
    return Call(
        method="POST",
        segments=("api", "auth", "oauth-callback"),
        body={
            "provider": filled("provider", provider),
            "code": filled("code", code),
            "state": filled("state", state),
        },
        decode=reads(HandleOAuthCallbackResponse),
        secret=True,
    )


def get_oauth_health(detected: ApiKnowledge) -> Call[GetOAuthHealthResponse]:
    """Asks for the state of the server's tokens (Mix 0.6.6 and later).

    Raises:
        MixUnsupportedError: No generation the server may be has this.
    """
    needed = require(detected, "oauth_health", "The health of OAuth tokens")
    return get(GetOAuthHealthResponse, "health", "auth", requires=needed, shows=lambda _: having("oauth_health"))


def refresh_oauth_tokens(detected: ApiKnowledge) -> Call[RefreshOAuthTokensResponse]:
    """Lets the server refresh all its tokens (Mix 0.6.6 and later).

    Raises:
        MixUnsupportedError: No generation the server may be has this.
    """
    needed = require(detected, "oauth_health", "Refreshing OAuth tokens")
    return Call(
        method="POST",
        segments=("internal", "auth", "refresh-tokens"),
        decode=reads(RefreshOAuthTokensResponse),
        requires=needed,
        shows=lambda _: having("oauth_health"),
    )


def get_health() -> Call[HealthCheckResponse]:
    """Asks whether the server is well."""
    return get(HealthCheckResponse, "health")


def get_system_info() -> Call[GetSystemInfoResponse]:
    """Asks where the server keeps its data (Mix 0.5.7, 0.6.1 and later)."""
    return get(GetSystemInfoResponse, "api", "system", "info")


def list_commands() -> Call[list[ListCommandsResponse]]:
    """Lists the slash commands."""
    return get(list[ListCommandsResponse], "api", "commands")


def get_command(name: str) -> Call[GetCommandResponse]:
    """Reads one slash command."""
    return get(GetCommandResponse, "api", "commands", name)


def list_mcp_servers() -> Call[list[ListMcpServersResponse]]:
    """Lists the MCP servers and their tools."""
    return get(list[ListMcpServersResponse], "api", "mcp")


def list_llm_tools(detected: ApiKnowledge) -> Call[ListLLMToolsResponse]:
    """Lists the tools of the model (Mix 0.7 and later).

    Raises:
        MixUnsupportedError: No generation the server may be has this.
    """
    needed = require(detected, "llm_tools", "The list of tools")
    return get(ListLLMToolsResponse, "api", "tools", requires=needed, shows=lambda _: having("llm_tools"))


def get_tools_status(detected: ApiKnowledge) -> Call[GetToolsStatusResponse]:
    """Asks which tools are ready (Mix before 0.8).

    Raises:
        MixUnsupportedError: No generation the server may be has this.
    """
    needed = require(detected, "tools_status", "The status of tools")
    return get(GetToolsStatusResponse, "api", "tools", "status", requires=needed)


def get_tool_credentials_status(detected: ApiKnowledge) -> Call[GetToolCredentialsStatusResponse]:
    """Asks which tools have their credentials (Mix 0.7 and later).

    Raises:
        MixUnsupportedError: No generation the server may be has this.
    """
    needed = require(detected, "llm_tools", "The status of tools' credentials")
    return get(
        GetToolCredentialsStatusResponse,
        "api",
        "tools",
        "credentials-status",
        requires=needed,
        shows=lambda _: having("llm_tools"),
    )


_WHAT = "The store of preferences"


def get_preferences(detected: ApiKnowledge) -> Call[GetPreferencesResponse]:
    """Reads the preferences and what there is to prefer.

    Raises:
        MixUnsupportedError: No generation the server may be has preferences.
    """
    needed = require(detected, "preferences", _WHAT)
    return get(GetPreferencesResponse, "api", "preferences", requires=needed)


def update_preferences(
    detected: ApiKnowledge,
    *,
    preferred_provider: str | None = None,
    main_agent_model: str | None = None,
    main_agent_max_tokens: int | None = None,
    main_agent_reasoning_effort: str | None = None,
    sub_agent_model: str | None = None,
    sub_agent_max_tokens: int | None = None,
    sub_agent_reasoning_effort: str | None = None,
) -> Call[UpdatePreferencesResponse]:
    """Changes preferences, for all sessions of the server. None means: not changed.

    A new model resets its agent's tokens and effort to defaults, unless they are given too.

    Raises:
        MixInputError: The server would refuse a value, or silently ignore tokens or an effort without their model.
        MixUnsupportedError: No generation the server may be has preferences.
    """
    needed = require(detected, "preferences", _WHAT)
    _check_agent("main_agent", main_agent_model, main_agent_max_tokens, main_agent_reasoning_effort)
    _check_agent("sub_agent", sub_agent_model, sub_agent_max_tokens, sub_agent_reasoning_effort)
    fields = {
        "preferred_provider": None if preferred_provider is None else filled("preferred_provider", preferred_provider),
        "main_agent_model": main_agent_model,
        "main_agent_max_tokens": main_agent_max_tokens,
        "main_agent_reasoning_effort": main_agent_reasoning_effort,
        "sub_agent_model": sub_agent_model,
        "sub_agent_max_tokens": sub_agent_max_tokens,
        "sub_agent_reasoning_effort": sub_agent_reasoning_effort,
    }
    return Call(
        method="POST",
        segments=("api", "preferences"),
        body={key: str(value) if isinstance(value, str) else value for key, value in given(fields).items()},
        decode=reads(UpdatePreferencesResponse),
        requires=needed,
        idempotent=True,
    )


def get_available_providers(detected: ApiKnowledge) -> Call[dict[str, GetAvailableProvidersResponse]]:
    """Lists the providers and their models, by provider id.

    Raises:
        MixUnsupportedError: No generation the server may be has preferences.
    """
    needed = require(detected, "preferences", _WHAT)
    return get(dict[str, GetAvailableProvidersResponse], "api", "preferences", "providers", requires=needed)


def reset_preferences(detected: ApiKnowledge) -> Call[ResetPreferencesResponse]:
    """Sets all preferences to the server's defaults.

    Raises:
        MixUnsupportedError: No generation the server may be has preferences.
    """
    needed = require(detected, "preferences", _WHAT)
    return Call(
        method="POST",
        segments=("api", "preferences", "reset"),
        decode=reads(ResetPreferencesResponse),
        requires=needed,
        idempotent=True,
    )


def _check_agent(agent: str, model: str | None, max_tokens: int | None, effort: str | None) -> None:
    if model is not None:
        filled(f"{agent}_model", model)
    elif max_tokens is not None or effort is not None:
        raise MixInputError(
            f"`{agent}_max_tokens` and `{agent}_reasoning_effort` have no effect without `{agent}_model`.",
            hint="Mix ignores them alone; pass the model too, even if it stays the same.",
        )
    if max_tokens is not None and max_tokens <= 0:
        raise MixInputError(f"`{agent}_max_tokens` is {max_tokens}; it is 1 or more.")
    if effort is not None:
        one_of(f"{agent}_reasoning_effort", effort, ReasoningEffort)
