"""Credentials of model providers, which the server keeps.

Owns: their operations. Refuses to know: where users keep their keys.
"""

from __future__ import annotations

from collections.abc import Mapping

from langchain_mix.client._operations import Operations
from langchain_mix.client._settings import CallOptions
from langchain_mix.protocol import calls, flows
from langchain_mix.protocol.models import (
    DeleteCredentialsResponse,
    GetAuthStatusResponse,
    GetOAuthHealthResponse,
    HandleOAuthCallbackResponse,
    Provider,
    RefreshOAuthTokensResponse,
    StartOAuthFlowResponse,
    StoreAPIKeyResponse,
    ValidatePreferredProviderResponse,
)
from langchain_mix.protocol.retry import RetryConfig


class Authentication(Operations):
    """Stores keys on the server, logs in, and asks what credentials there are."""

    def store_api_key(
        self,
        *,
        api_key: str,
        provider: Provider | str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> StoreAPIKeyResponse:
        """Stores a key on the server, which checks its form alone.

        Args:
            api_key: The key. It is never logged and in no error.
            provider: See `Provider`.
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The server's answer.

        Raises:
            MixInputError: An argument is empty.
            MixBadRequestError: The provider is unknown, or no key of it looks so.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.send(calls.store_api_key(provider, api_key), CallOptions(retries, timeout_ms, http_headers))

    async def store_api_key_async(
        self,
        *,
        api_key: str,
        provider: Provider | str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> StoreAPIKeyResponse:
        """Does what `store_api_key` does, asynchronously."""
        return await self._async.send(
            calls.store_api_key(provider, api_key), CallOptions(retries, timeout_ms, http_headers)
        )

    def handle_o_auth_callback(
        self,
        *,
        code: str,
        provider: Provider | str,
        state: str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> HandleOAuthCallbackResponse:
        """Finishes a login.

        Args:
            code: The code that the provider showed to the user; it can be used once.
            provider: See `Provider`.
            state: The state that starting the login gave.
            retries: Accepted for symmetry; this call is never sent twice.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            How long the login is valid.

        Raises:
            MixInputError: An argument is empty.
            MixBadRequestError: The code or the state is not valid.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.send(
            calls.handle_oauth_callback(provider, code, state), CallOptions(retries, timeout_ms, http_headers)
        )

    async def handle_o_auth_callback_async(
        self,
        *,
        code: str,
        provider: Provider | str,
        state: str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> HandleOAuthCallbackResponse:
        """Does what `handle_o_auth_callback` does, asynchronously."""
        return await self._async.send(
            calls.handle_oauth_callback(provider, code, state), CallOptions(retries, timeout_ms, http_headers)
        )

    def start_o_auth_flow(
        self,
        *,
        provider: Provider | str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> StartOAuthFlowResponse:
        """Starts a login; only `anthropic` has one.

        Args:
            provider: See `Provider`.
            retries: Accepted for symmetry; this call is never sent twice.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            Where the user logs in, and the state to hand back.

        Raises:
            MixBadRequestError: The provider has no login.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.send(calls.start_oauth_flow(provider), CallOptions(retries, timeout_ms, http_headers))

    async def start_o_auth_flow_async(
        self,
        *,
        provider: Provider | str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> StartOAuthFlowResponse:
        """Does what `start_o_auth_flow` does, asynchronously."""
        return await self._async.send(calls.start_oauth_flow(provider), CallOptions(retries, timeout_ms, http_headers))

    def get_auth_status(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> GetAuthStatusResponse:
        """Asks which model providers have a credential.

        Args:
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The state, by provider.

        Raises:
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.send(calls.get_auth_status(), CallOptions(retries, timeout_ms, http_headers))

    async def get_auth_status_async(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> GetAuthStatusResponse:
        """Does what `get_auth_status` does, asynchronously."""
        return await self._async.send(calls.get_auth_status(), CallOptions(retries, timeout_ms, http_headers))

    def validate_preferred_provider(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> ValidatePreferredProviderResponse:
        """Asks whether the preferred provider has a credential.

        Args:
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            Whether it has; `valid` is false too if none is preferred.

        Raises:
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.send(calls.validate_preferred_provider(), CallOptions(retries, timeout_ms, http_headers))

    async def validate_preferred_provider_async(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> ValidatePreferredProviderResponse:
        """Does what `validate_preferred_provider` does, asynchronously."""
        return await self._async.send(
            calls.validate_preferred_provider(), CallOptions(retries, timeout_ms, http_headers)
        )

    def delete_credentials(
        self,
        *,
        provider: Provider | str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> DeleteCredentialsResponse:
        """Deletes what the server holds for a provider. The answer is the same if it holds nothing.

        Args:
            provider: See `Provider`.
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The server's answer.

        Raises:
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.send(calls.delete_credentials(provider), CallOptions(retries, timeout_ms, http_headers))

    async def delete_credentials_async(
        self,
        *,
        provider: Provider | str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> DeleteCredentialsResponse:
        """Does what `delete_credentials` does, asynchronously."""
        return await self._async.send(
            calls.delete_credentials(provider), CallOptions(retries, timeout_ms, http_headers)
        )

    def get_o_auth_health(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> GetOAuthHealthResponse:
        """Asks for the state of the server's OAuth tokens (Mix 0.6.6 and later).

        Args:
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The state, token by token.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.run(flows.get_oauth_health(self.known), CallOptions(retries, timeout_ms, http_headers))

    async def get_o_auth_health_async(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> GetOAuthHealthResponse:
        """Does what `get_o_auth_health` does, asynchronously."""
        return await self._async.run(flows.get_oauth_health(self.known), CallOptions(retries, timeout_ms, http_headers))

    def refresh_o_auth_tokens(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> RefreshOAuthTokensResponse:
        """Lets the server refresh all its OAuth tokens (Mix 0.6.6 and later).

        Args:
            retries: Accepted for symmetry; this call is never sent twice.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The server's answer.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.run(flows.refresh_oauth_tokens(self.known), CallOptions(retries, timeout_ms, http_headers))

    async def refresh_o_auth_tokens_async(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> RefreshOAuthTokensResponse:
        """Does what `refresh_o_auth_tokens` does, asynchronously."""
        return await self._async.run(
            flows.refresh_oauth_tokens(self.known), CallOptions(retries, timeout_ms, http_headers)
        )
