"""Credentials of model providers, kept on the server. No reply contains the credentials themselves."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from langchain_mix.protocol.models.base import SnakePayload


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
