"""Preferences of the whole server: providers, models and their limits.

Owns: their operations. Refuses to know: which models exist.
"""

from __future__ import annotations

from typing import Unpack

from langchain_mix.client._config import RequestOptions
from langchain_mix.client.basesdk import BaseSDK
from langchain_mix.protocol import calls, flows
from langchain_mix.protocol.models import (
    GetAvailableProvidersResponse,
    GetPreferencesResponse,
    Provider,
    ReasoningEffort,
    ResetPreferencesResponse,
    UpdatePreferencesResponse,
)


class Preferences(BaseSDK):
    """Reads and changes what all sessions of the server prefer (Mix before `next`)."""

    def get_preferences(self, **options: Unpack[RequestOptions]) -> GetPreferencesResponse:
        """Reads the preferences and what there is to prefer.

        Args:
            **options: See `RequestOptions`.

        Returns:
            The preferences; `preferences` is None if none were ever set.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type shows whose fault it is.
        """
        shell = self._sync.with_options(options)
        return shell.run(flows.offered(shell.server_api, calls.get_preferences))

    async def get_preferences_async(self, **options: Unpack[RequestOptions]) -> GetPreferencesResponse:
        """Does what `get_preferences` does, asynchronously."""
        shell = self._async.with_options(options)
        return await shell.run(flows.offered(shell.server_api, calls.get_preferences))

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
        **options: Unpack[RequestOptions],
    ) -> UpdatePreferencesResponse:
        """Changes preferences, for all sessions of the server. None means: not changed.

        A new model resets its agent's tokens and effort to defaults, unless they are given too.

        Args:
            main_agent_max_tokens: Tokens a reply of the main agent may have.
            main_agent_model: The model of sessions.
            main_agent_reasoning_effort: How hard it reasons.
            preferred_provider: The provider that is tried first.
            sub_agent_max_tokens: Tokens a reply of a sub-agent may have.
            sub_agent_model: The model of sub-agents.
            sub_agent_reasoning_effort: How hard it reasons.
            **options: See `RequestOptions`.

        Returns:
            All preferences after the change.

        Raises:
            MixInputError: The server would refuse a value, or silently ignore tokens or an effort without their
                model.
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type shows whose fault it is.
        """
        shell = self._sync.with_options(options)
        return shell.run(
            flows.offered(
                shell.server_api,
                calls.update_preferences,
                main_agent_max_tokens=main_agent_max_tokens,
                main_agent_model=main_agent_model,
                main_agent_reasoning_effort=main_agent_reasoning_effort,
                preferred_provider=preferred_provider,
                sub_agent_max_tokens=sub_agent_max_tokens,
                sub_agent_model=sub_agent_model,
                sub_agent_reasoning_effort=sub_agent_reasoning_effort,
            )
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
        **options: Unpack[RequestOptions],
    ) -> UpdatePreferencesResponse:
        """Does what `update_preferences` does, asynchronously."""
        shell = self._async.with_options(options)
        return await shell.run(
            flows.offered(
                shell.server_api,
                calls.update_preferences,
                main_agent_max_tokens=main_agent_max_tokens,
                main_agent_model=main_agent_model,
                main_agent_reasoning_effort=main_agent_reasoning_effort,
                preferred_provider=preferred_provider,
                sub_agent_max_tokens=sub_agent_max_tokens,
                sub_agent_model=sub_agent_model,
                sub_agent_reasoning_effort=sub_agent_reasoning_effort,
            )
        )

    def get_available_providers(self, **options: Unpack[RequestOptions]) -> dict[str, GetAvailableProvidersResponse]:
        """Lists the providers and their models.

        Args:
            **options: See `RequestOptions`.

        Returns:
            The providers, by id.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type shows whose fault it is.
        """
        shell = self._sync.with_options(options)
        return shell.run(flows.offered(shell.server_api, calls.get_available_providers))

    async def get_available_providers_async(
        self, **options: Unpack[RequestOptions]
    ) -> dict[str, GetAvailableProvidersResponse]:
        """Does what `get_available_providers` does, asynchronously."""
        shell = self._async.with_options(options)
        return await shell.run(flows.offered(shell.server_api, calls.get_available_providers))

    def reset_preferences(self, **options: Unpack[RequestOptions]) -> ResetPreferencesResponse:
        """Sets all preferences to the server's defaults.

        Args:
            **options: See `RequestOptions`.

        Returns:
            The defaults.

        Raises:
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type shows whose fault it is.
        """
        shell = self._sync.with_options(options)
        return shell.run(flows.offered(shell.server_api, calls.reset_preferences))

    async def reset_preferences_async(self, **options: Unpack[RequestOptions]) -> ResetPreferencesResponse:
        """Does what `reset_preferences` does, asynchronously."""
        shell = self._async.with_options(options)
        return await shell.run(flows.offered(shell.server_api, calls.reset_preferences))
