"""Preferences: which models the server's agents use. They hold for the whole server, not for one session.

Owns: their replies. Refuses to know: which values the server allows.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from langchain_mix.protocol.models.base import SnakePayload


class UserPreferencesResponse(SnakePayload):
    """What the server prefers.

    Attributes:
        preferred_provider: The provider asked first.
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
