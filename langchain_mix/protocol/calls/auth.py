"""Calls on the credentials that the server holds: keys and logins."""

from __future__ import annotations

from langchain_mix.protocol.api import ApiKnowledge, having, require
from langchain_mix.protocol.call import Call, filled, get, reads
from langchain_mix.protocol.models.auth import (
    DeleteCredentialsResponse,
    GetAuthStatusResponse,
    GetOAuthHealthResponse,
    HandleOAuthCallbackResponse,
    RefreshOAuthTokensResponse,
    StartOAuthFlowResponse,
    StoreAPIKeyResponse,
    ValidatePreferredProviderResponse,
)

__all__ = [
    "delete_credentials",
    "get_auth_status",
    "get_oauth_health",
    "handle_oauth_callback",
    "refresh_oauth_tokens",
    "start_oauth_flow",
    "store_api_key",
    "validate_preferred_provider",
]


def store_api_key(provider: str, api_key: str) -> Call[StoreAPIKeyResponse]:
    """Stores a key on the server, which checks its form alone.

    Args:
        provider: See `Provider`.
        api_key: The key.

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
    """Finishes a login.

    Args:
        provider: See `Provider`.
        code: The code that the provider showed to the user; it can be used once.
        state: The state that starting the login gave.

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
