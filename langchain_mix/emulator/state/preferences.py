"""The preferences, one set for the whole server, and the model providers to choose from.

Owns: which values are accepted, what changing a model resets, and the defaults.
Refuses to know: credentials, and who uses the preferences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from langchain_mix.emulator.state.errors import ApiError, count_of, setting_of
from langchain_mix.emulator.state.store import Store
from langchain_mix.protocol.api import ApiVersion, Capabilities

NAMES: Final[Mapping[str, str]] = {
    "anthropic": "Anthropic (Claude)",
    "openai": "OpenAI",
    "openrouter": "OpenRouter",
}
"""The display names of the providers that answer messages."""

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


_TOKENS: Final[Mapping[str, int]] = {"main_agent": 4096, "sub_agent": 2048}
_EFFORTS: Final = ("low", "medium", "high", "")
_PROVIDER: Final = "anthropic"
_FIRST_EFFORT: Final = "medium"
"""Mix: the efforts of a fresh server; a reset leaves them empty."""


class Preferences:
    """The preferences of one server."""

    def __init__(self, store: Store, api: ApiVersion, caps: Capabilities, now: Callable[[], int]) -> None:
        """Reads and writes `store`."""
        self._store = store
        self._caps = caps
        self._now = now
        # Mix: early versions had the model before.
        self._model = "claude-4-sonnet" if api is ApiVersion.V0_5 else "claude-sonnet-4-5"
        with store.transaction():
            stored = self._read()
            if not stored:
                self._reset(effort=_FIRST_EFFORT)
            elif not stored["preferred_provider"]:
                # No Mix server is without a provider; earlier versions of this emulator stored an empty one.
                self._write({"preferred_provider": _PROVIDER})

    @property
    def provider(self) -> str:
        """The preferred provider."""
        return str(self._read()["preferred_provider"])

    @property
    def model(self) -> str:
        """The main agent's model, if somebody chose one, or empty."""
        model = str(self._read()["main_agent_model"])
        return "" if model == self._model else model

    def get(self) -> dict[str, Any]:
        """The body of GET /api/preferences."""
        return {"preferences": self._read(), "available_providers": self.providers()}

    def update(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Changes some preferences and gives all of them.

        Raises:
            ApiError: 400, a value is refused; nothing was changed.
        """
        changes: dict[str, Any] = {}
        if (provider := setting_of(body, "preferred_provider")) is not None:
            if not can_be_preferred(provider, self._caps):
                raise ApiError(400, "INVALID_PROVIDER", f"Invalid provider: {provider}")
            changes["preferred_provider"] = provider
        for agent, tokens in _TOKENS.items():
            changes |= _agent_changes(body, agent, tokens, self._caps)
        with self._store.transaction():
            return self._write(changes)

    def reset(self) -> dict[str, Any]:
        """Restores the defaults and gives them."""
        with self._store.transaction():
            return self._reset()

    def providers(self) -> dict[str, Any]:
        """The providers and their models."""
        return {
            name: {"display_name": provider_name(name), "models": list(models)}
            for name, models in models_of(self._caps).items()
        }

    def _reset(self, effort: str = "") -> dict[str, Any]:
        values: dict[str, Any] = {"preferred_provider": _PROVIDER}
        for agent, tokens in _TOKENS.items():
            values |= _agent(agent, self._model, tokens, effort)
        return self._write(values | {"created_at": self._now()})

    def _write(self, values: Mapping[str, Any]) -> dict[str, Any]:
        with self._store.transaction() as db:
            db.executemany(
                "INSERT INTO preferences (name, value) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                list({**values, "updated_at": self._now()}.items()),
            )
            return self._read()

    def _read(self) -> dict[str, Any]:
        with self._store.transaction() as db:
            return dict(db.execute("SELECT name, value FROM preferences ORDER BY rowid").fetchall())


def _agent(agent: str, model: str, tokens: int, effort: str) -> dict[str, Any]:
    return {f"{agent}_model": model, f"{agent}_max_tokens": tokens, f"{agent}_reasoning_effort": effort}


def _agent_changes(body: Mapping[str, Any], agent: str, default_tokens: int, caps: Capabilities) -> dict[str, Any]:
    """Returns what the body changes of one agent. Without a model, tokens and effort are checked and then ignored."""
    model = setting_of(body, f"{agent}_model")
    tokens = count_of(body, f"{agent}_max_tokens")
    effort = setting_of(body, f"{agent}_reasoning_effort")
    if model is not None and not provider_of(model, caps):
        raise ApiError(400, "INVALID_MODEL", f"Invalid model: {model}")
    if tokens is not None and tokens <= 0:
        raise ApiError(400, "INVALID_TOKEN_COUNT", f"{agent}_max_tokens must be positive")
    if effort not in {*_EFFORTS, None}:
        raise ApiError(400, "INVALID_REASONING_EFFORT", f"Invalid reasoning effort: {effort}")
    if model is None:
        return {}
    return _agent(agent, model, tokens or default_tokens, effort or "")
