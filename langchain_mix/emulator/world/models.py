"""The model providers and their models.

Owns: their names, and which models each has.
Refuses to know: credentials and preferences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NAMES: Final[Mapping[str, str]] = {
    "anthropic": "Anthropic (Claude)",
    "openai": "OpenAI",
    "openrouter": "OpenRouter",
}
"""What providers are called."""

MODELS: Final[Mapping[str, tuple[str, ...]]] = {
    "anthropic": ("claude-sonnet-4-5", "claude-opus-4-1", "claude-sonnet-4", "claude-haiku-4-5"),
    "openai": ("gpt-5", "gpt-5-mini", "gpt-4.1", "o4-mini"),
    "openrouter": ("openrouter.deepseek-v3.1", "openrouter.zai-glm-4.5-air", "openrouter/auto"),
}
"""The models of each provider."""


def provider_of(model: str) -> str:
    """The provider that has this model, or empty."""
    return next((provider for provider, models in MODELS.items() if model in models), "")
