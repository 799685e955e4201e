"""The model providers and their models.

Owns: their names, and which models each has.
Refuses to know: credentials and preferences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from langchain_mix.protocol.api import Capabilities

NAMES: Final[Mapping[str, str]] = {
    "anthropic": "Anthropic (Claude)",
    "openai": "OpenAI",
    "openrouter": "OpenRouter",
}
"""What providers are called that answer messages."""

_MODELS: Final[Mapping[str, tuple[str, ...]]] = {
    "anthropic": ("claude-sonnet-4-5", "claude-4-sonnet", "claude-3.7-sonnet", "claude-4-opus"),
    "openai": ("gpt-4.1", "o3", "o4-mini"),
    "openrouter": ("openrouter.deepseek-v3.1", "openrouter.zai-glm-4.5-air", "openrouter.zai-glm-4.6"),
}
_NEWER: Final = ("claude-opus-4-6", "claude-haiku-4-5")
"""Mix 0.8 added these."""
_UNLISTED: Final[Mapping[str, str]] = {"claude-3.5-haiku": "anthropic", "claude-3-opus": "anthropic"}
"""Models that are accepted although no list shows them."""


def models_of(caps: Capabilities) -> Mapping[str, tuple[str, ...]]:
    """Returns the providers that a generation offers, each with the models that it lists."""
    if not caps.browser_mode:
        return _MODELS
    return {**_MODELS, "anthropic": _MODELS["anthropic"] + _NEWER}


def provider_of(model: str, caps: Capabilities) -> str:
    """Returns the provider that has this model in a generation, or an empty text."""
    listed = (provider for provider, models in models_of(caps).items() if model in models)
    return next(listed, _UNLISTED.get(model, ""))


def can_be_preferred(provider: str, caps: Capabilities) -> bool:
    """Returns True for the providers that preferences accept. Mix 0.8: one more than the listed ones."""
    return provider in NAMES or (provider == "gemini" and caps.browser_mode)


def provider_name(provider: str) -> str:
    """Returns what a provider is called."""
    return NAMES.get(provider, "Google Gemini")
