"""Credentials of model providers, which the server keeps."""

from __future__ import annotations

from typing import Unpack

from langchain_mix.client._config import RequestOptions
from langchain_mix.client.basesdk import BaseSDK
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


class Health(BaseSDK):
    """Asks for the state of the server's OAuth tokens. Official releases from 0.6.6 on have it under this name too."""

    def get_o_auth_health(self, **options: Unpack[RequestOptions]) -> GetOAuthHealthResponse:
        """Asks for the state of the server's OAuth tokens (Mix 0.6.6 and later).

        Args:
            **options: See `RequestOptions`.

        Returns:
            The state, token by token.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type shows whose fault it is.
        """
        shell = self._sync.with_options(options)
        return shell.run(flows.offered(shell.server_api, calls.get_oauth_health))

    async def get_o_auth_health_async(self, **options: Unpack[RequestOptions]) -> GetOAuthHealthResponse:
        """Does what `get_o_auth_health` does, asynchronously."""
        shell = self._async.with_options(options)
        return await shell.run(flows.offered(shell.server_api, calls.get_oauth_health))


class Internal(BaseSDK):
    """Has the server refresh its OAuth tokens. Official releases from 0.6.6 on have it under this name too."""

    def refresh_o_auth_tokens(self, **options: Unpack[RequestOptions]) -> RefreshOAuthTokensResponse:
        """Lets the server refresh all its OAuth tokens (Mix 0.6.6 and later).

        Args:
            **options: See `RequestOptions`. This call is never sent twice.

        Returns:
            The server's answer.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type shows whose fault it is.
        """
        shell = self._sync.with_options(options)
        return shell.run(flows.offered(shell.server_api, calls.refresh_oauth_tokens))

    async def refresh_o_auth_tokens_async(self, **options: Unpack[RequestOptions]) -> RefreshOAuthTokensResponse:
        """Does what `refresh_o_auth_tokens` does, asynchronously."""
        shell = self._async.with_options(options)
        return await shell.run(flows.offered(shell.server_api, calls.refresh_oauth_tokens))


class Authentication(Health, Internal):
    """Stores keys on the server, logs in, and asks what credentials there are."""

    def store_api_key(
        self,
        *,
        api_key: str,
        provider: Provider | str,
        **options: Unpack[RequestOptions],
    ) -> StoreAPIKeyResponse:
        """Stores a key on the server, which checks its form alone.

        Args:
            api_key: The key. It is never logged and in no error.
            provider: See `Provider`.
            **options: See `RequestOptions`.

        Returns:
            The server's answer.

        Raises:
            MixInputError: An argument is empty.
            MixBadRequestError: The provider is unknown, or no key of it looks so.
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.store_api_key(provider, api_key))

    async def store_api_key_async(
        self,
        *,
        api_key: str,
        provider: Provider | str,
        **options: Unpack[RequestOptions],
    ) -> StoreAPIKeyResponse:
        """Does what `store_api_key` does, asynchronously."""
        return await self._async.with_options(options).send(calls.store_api_key(provider, api_key))

    def handle_o_auth_callback(
        self,
        *,
        code: str,
        provider: Provider | str,
        state: str,
        **options: Unpack[RequestOptions],
    ) -> HandleOAuthCallbackResponse:
        """Finishes a login.

        Args:
            code: The code that the provider showed to the user; it can be used once.
            provider: See `Provider`.
            state: The state that starting the login gave.
            **options: See `RequestOptions`. This call is never sent twice.

        Returns:
            How long the login is valid.

        Raises:
            MixInputError: An argument is empty.
            MixBadRequestError: The code or the state is not valid.
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.handle_oauth_callback(provider, code, state))

    async def handle_o_auth_callback_async(
        self,
        *,
        code: str,
        provider: Provider | str,
        state: str,
        **options: Unpack[RequestOptions],
    ) -> HandleOAuthCallbackResponse:
        """Does what `handle_o_auth_callback` does, asynchronously."""
        return await self._async.with_options(options).send(calls.handle_oauth_callback(provider, code, state))

    def start_o_auth_flow(
        self,
        *,
        provider: Provider | str,
        **options: Unpack[RequestOptions],
    ) -> StartOAuthFlowResponse:
        """Starts a login; only `anthropic` has one.

        Args:
            provider: See `Provider`.
            **options: See `RequestOptions`. This call is never sent twice.

        Returns:
            Where the user logs in, and the state to hand back.

        Raises:
            MixBadRequestError: The provider has no login.
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.start_oauth_flow(provider))

    async def start_o_auth_flow_async(
        self,
        *,
        provider: Provider | str,
        **options: Unpack[RequestOptions],
    ) -> StartOAuthFlowResponse:
        """Does what `start_o_auth_flow` does, asynchronously."""
        return await self._async.with_options(options).send(calls.start_oauth_flow(provider))

    def get_auth_status(self, **options: Unpack[RequestOptions]) -> GetAuthStatusResponse:
        """Asks which model providers have a credential.

        Args:
            **options: See `RequestOptions`.

        Returns:
            The state, by provider.

        Raises:
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.get_auth_status())

    async def get_auth_status_async(self, **options: Unpack[RequestOptions]) -> GetAuthStatusResponse:
        """Does what `get_auth_status` does, asynchronously."""
        return await self._async.with_options(options).send(calls.get_auth_status())

    def validate_preferred_provider(self, **options: Unpack[RequestOptions]) -> ValidatePreferredProviderResponse:
        """Asks whether the preferred provider has a credential.

        Args:
            **options: See `RequestOptions`.

        Returns:
            Whether it has; `valid` is false too if none is preferred.

        Raises:
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.validate_preferred_provider())

    async def validate_preferred_provider_async(
        self, **options: Unpack[RequestOptions]
    ) -> ValidatePreferredProviderResponse:
        """Does what `validate_preferred_provider` does, asynchronously."""
        return await self._async.with_options(options).send(calls.validate_preferred_provider())

    def delete_credentials(
        self,
        *,
        provider: Provider | str,
        **options: Unpack[RequestOptions],
    ) -> DeleteCredentialsResponse:
        """Deletes what the server holds for a provider. The answer is the same if it holds nothing.

        Args:
            provider: See `Provider`.
            **options: See `RequestOptions`.

        Returns:
            The server's answer.

        Raises:
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.delete_credentials(provider))

    async def delete_credentials_async(
        self,
        *,
        provider: Provider | str,
        **options: Unpack[RequestOptions],
    ) -> DeleteCredentialsResponse:
        """Does what `delete_credentials` does, asynchronously."""
        return await self._async.with_options(options).send(calls.delete_credentials(provider))
