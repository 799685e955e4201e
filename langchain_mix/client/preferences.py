"""Preferences of the whole server: providers, models and their limits.

Owns: their operations. Refuses to know: which models exist.
"""

from __future__ import annotations

from collections.abc import Mapping

from langchain_mix.client._operations import Operations
from langchain_mix.client._settings import CallOptions
from langchain_mix.protocol import flows
from langchain_mix.protocol.models import (
    GetAvailableProvidersResponse,
    GetPreferencesResponse,
    Provider,
    ReasoningEffort,
    ResetPreferencesResponse,
    UpdatePreferencesResponse,
)
from langchain_mix.protocol.retry import RetryConfig


class Preferences(Operations):
    """Reads and changes what all sessions of the server prefer (Mix before `next`)."""

    def get_preferences(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> GetPreferencesResponse:
        """Reads the preferences and what there is to prefer.

        Args:
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The preferences; `preferences` is None if none were ever set.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.run(flows.get_preferences(self.known), CallOptions(retries, timeout_ms, http_headers))

    async def get_preferences_async(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> GetPreferencesResponse:
        """Does what `get_preferences` does, asynchronously."""
        return await self._async.run(flows.get_preferences(self.known), CallOptions(retries, timeout_ms, http_headers))

    def update_preferences(
        self,
        *,
        main_agent_max_tokens: int | None = None,
        main_agent_model: str | None = None,
        main_agent_reasoning_effort: ReasoningEffort | str | None = None,
        preferred_provider: Provider | str | None = None,
        sub_agent_max_tokens: int | None = None,
        sub_agent_model: str | None = None,
        sub_agent_reasoning_effort: ReasoningEffort | str | None = None,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> UpdatePreferencesResponse:
        """Changes preferences, for all sessions of the server. None means: not changed.

        A new model resets its agent's tokens and effort to defaults, unless they are given too.

        Args:
            main_agent_max_tokens: Tokens a reply of the main agent may have.
            main_agent_model: The model of sessions.
            main_agent_reasoning_effort: How hard it reasons.
            preferred_provider: The provider asked first.
            sub_agent_max_tokens: Tokens a reply of a sub-agent may have.
            sub_agent_model: The model of sub-agents.
            sub_agent_reasoning_effort: How hard it reasons.
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            All preferences after the change.

        Raises:
            MixInputError: The server would refuse a value, or silently ignore tokens or an effort without their
                model.
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.run(
            flows.update_preferences(
                self.known,
                main_agent_max_tokens=main_agent_max_tokens,
                main_agent_model=main_agent_model,
                main_agent_reasoning_effort=main_agent_reasoning_effort,
                preferred_provider=preferred_provider,
                sub_agent_max_tokens=sub_agent_max_tokens,
                sub_agent_model=sub_agent_model,
                sub_agent_reasoning_effort=sub_agent_reasoning_effort,
            ),
            CallOptions(retries, timeout_ms, http_headers),
        )

    async def update_preferences_async(
        self,
        *,
        main_agent_max_tokens: int | None = None,
        main_agent_model: str | None = None,
        main_agent_reasoning_effort: ReasoningEffort | str | None = None,
        preferred_provider: Provider | str | None = None,
        sub_agent_max_tokens: int | None = None,
        sub_agent_model: str | None = None,
        sub_agent_reasoning_effort: ReasoningEffort | str | None = None,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> UpdatePreferencesResponse:
        """Does what `update_preferences` does, asynchronously."""
        return await self._async.run(
            flows.update_preferences(
                self.known,
                main_agent_max_tokens=main_agent_max_tokens,
                main_agent_model=main_agent_model,
                main_agent_reasoning_effort=main_agent_reasoning_effort,
                preferred_provider=preferred_provider,
                sub_agent_max_tokens=sub_agent_max_tokens,
                sub_agent_model=sub_agent_model,
                sub_agent_reasoning_effort=sub_agent_reasoning_effort,
            ),
            CallOptions(retries, timeout_ms, http_headers),
        )

    def get_available_providers(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> dict[str, GetAvailableProvidersResponse]:
        """Lists the providers and their models.

        Args:
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The providers, by id.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.run(flows.get_available_providers(self.known), CallOptions(retries, timeout_ms, http_headers))

    async def get_available_providers_async(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> dict[str, GetAvailableProvidersResponse]:
        """Does what `get_available_providers` does, asynchronously."""
        return await self._async.run(
            flows.get_available_providers(self.known), CallOptions(retries, timeout_ms, http_headers)
        )

    def reset_preferences(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> ResetPreferencesResponse:
        """Sets all preferences to the server's defaults.

        Args:
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The defaults.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.run(flows.reset_preferences(self.known), CallOptions(retries, timeout_ms, http_headers))

    async def reset_preferences_async(
        self,
        *,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> ResetPreferencesResponse:
        """Does what `reset_preferences` does, asynchronously."""
        return await self._async.run(
            flows.reset_preferences(self.known), CallOptions(retries, timeout_ms, http_headers)
        )
