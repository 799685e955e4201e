"""The credentials of model providers and tools.

Owns: that one is stored, of which kind and until when, and the checks on its form. The key itself is never kept.
Refuses to know: the providers' own servers; no key is tried out and no token is fetched.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from langchain_mix.emulator.state.errors import ApiError, setting_of
from langchain_mix.emulator.state.preferences import NAMES, Preferences, provider_name
from langchain_mix.emulator.state.serializers import Serializers
from langchain_mix.emulator.state.store import Store

TOKEN_LIFETIME: Final = 8 * 60 * 60
"""Lifetime of an OAuth token, in seconds."""

# An address that resolves nowhere: its name shows that no real sign-in is meant.
_OAUTH_PAGE: Final = "https://oauth.mix-emulator.invalid/authorize"


@dataclass(frozen=True, slots=True)
class _KeyForm:
    """The form of a provider's API keys: the least length and the first characters."""

    length: int
    prefix: str = ""


_KEY_FORMS: Final[Mapping[str, _KeyForm]] = {
    "anthropic": _KeyForm(40, "sk-ant-"),
    "openai": _KeyForm(40, "sk-"),
    "openrouter": _KeyForm(40),
    "gemini": _KeyForm(30),
    "brave": _KeyForm(30),
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of one server."""

    store: Store
    preferences: Preferences
    serializers: Serializers
    now: Callable[[], int]

    def usable(self) -> bool:
        """True when the preferred provider, which is the one that would answer, has a credential."""
        return self.has(self.preferences.provider)

    def help_text(self) -> str:
        """Returns the answer of a server without a usable credential to messages."""
        name = provider_name(self.preferences.provider)
        return (
            f"⚠️ Not authenticated with {name} (your preferred provider)\n\n"
            f"1. Authenticate with {name} in settings\n"
            "2. Choose another preferred provider in settings"
        )

    def has(self, provider: str) -> bool:
        """True when a credential of this provider or tool is stored."""
        return provider in self._all()

    def store_api_key(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Checks the form of a key and remembers that there is one.

        Raises:
            ApiError: 400, provider or key are missing, unknown or malformed. The message never shows the key.
        """
        provider, key = setting_of(body, "provider"), setting_of(body, "api_key")
        if not provider:
            raise ApiError(400, "MISSING_PROVIDER", "Provider is required")
        if not key:
            raise ApiError(400, "MISSING_API_KEY", "API key is required")
        form = _KEY_FORMS.get(provider)
        if form is None:
            raise ApiError(400, "INVALID_PROVIDER", f"Unsupported provider: {provider}")
        if len(key) < form.length or not key.startswith(form.prefix):
            raise ApiError(400, "INVALID_API_KEY_FORMAT", f"Invalid API key format for {provider}")
        self._remember(provider, "api_key", None)
        return {"message": "API key stored successfully", "provider": provider, "status": "success"}

    def delete(self, provider: str) -> dict[str, Any]:
        """Forgets a provider's credential, if there is one.

        Raises:
            ApiError: 400, there is no such provider.
        """
        if provider not in _KEY_FORMS:
            raise ApiError(400, "INVALID_PROVIDER", f"Unsupported provider: {provider}")
        with self.store.transaction() as db:
            db.execute("DELETE FROM credentials WHERE provider = ?", (provider,))
        return {"message": "Credentials deleted successfully", "provider": provider, "status": "success"}

    def status(self) -> dict[str, Any]:
        """Returns how each model provider is authenticated; the preferred one has a star. Tool keys are not shown."""
        stored, preferred = self._all(), self.preferences.provider
        return {
            "providers": {
                provider: {
                    "auth_method": stored[provider]["method"] if provider in stored else "none",
                    "authenticated": provider in stored,
                    "display_name": name + (" ⭐" if provider == preferred else ""),
                }
                for provider, name in NAMES.items()
            }
        }

    def validate_preferred(self) -> dict[str, Any]:
        """True when the preferred provider has a credential."""
        provider = self.preferences.provider
        stored = self._all().get(provider)
        return {
            "valid": stored is not None,
            "provider": provider,
            "auth_method": stored["method"] if stored else "none",
            "message": f"Ready to use {provider}" if stored else f"Please authenticate with {provider} first",
        }

    def start_oauth(self, provider: str) -> dict[str, Any]:
        """Begins a sign-in.

        Raises:
            ApiError: 400, the provider has no sign-in.
        """
        _require_oauth(provider)
        state = secrets.token_urlsafe(32)
        with self.store.transaction() as db:
            db.execute("INSERT INTO oauth_states (state, provider) VALUES (?, ?)", (state, provider))
        query = urlencode({"provider": provider, "response_type": "code", "state": state})
        message = "Open the URL, sign in and enter the code"
        return {"auth_url": f"{_OAUTH_PAGE}?{query}", "message": message, "state": state}

    def finish_oauth(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ends a sign-in; each state works once, and any code is good because no provider checks it.

        Raises:
            ApiError: 400, the code is missing, or no sign-in with this state was begun.
        """
        provider = setting_of(body, "provider") or ""
        code, state = setting_of(body, "code"), setting_of(body, "state")
        _require_oauth(provider)
        if not code:
            raise ApiError(400, "MISSING_CODE", "Authorization code is required")
        with self.store.transaction() as db:
            begun = db.execute("DELETE FROM oauth_states WHERE state = ? AND provider = ?", (state, provider)).rowcount
            if not begun:
                raise ApiError(400, "INVALID_STATE", "Invalid or expired OAuth state")
            self._remember(provider, "oauth", self.now() + TOKEN_LIFETIME)
        message = "Authentication successful"
        return {"expires_in": TOKEN_LIFETIME, "message": message, "provider": provider, "status": "success"}

    def finish_latest_oauth(self, code: str) -> dict[str, Any]:
        """Ends the sign-in that was begun last, for who types a code without its state."""
        with self.store.transaction() as db:
            latest = db.execute("SELECT state, provider FROM oauth_states ORDER BY sequence DESC LIMIT 1").fetchone()
            begun = dict(latest) if latest else {"state": "", "provider": "anthropic"}
            return self.finish_oauth(begun | {"code": code})

    def health(self) -> dict[str, Any]:
        """True when the OAuth tokens are still good (Mix 0.6.6)."""
        now, stored = self.now(), self._all().get("anthropic")
        entry: dict[str, Any] = {"provider": "anthropic", "status": "not_found"}
        overall = "healthy"
        if stored is not None and stored["method"] == "oauth":
            left = stored["expires_at"] - now
            entry["status"] = "active" if left > 0 else "expired"
            entry |= {"expires_at": self.serializers.time(stored["expires_at"]), "expires_in": f"{left}s"}
            entry["last_refresh"] = self.serializers.time(stored["stored_at"])
            # What has expired can be refreshed, so the server is not down.
            overall = "healthy" if left > 0 else "degraded"
        return {"status": overall, "timestamp": self.serializers.time(now), "providers": {"anthropic": entry}}

    def refresh(self) -> dict[str, Any]:
        """Renews all OAuth tokens (Mix 0.6.6)."""
        now = self.now()
        with self.store.transaction() as db:
            db.execute(
                "UPDATE credentials SET stored_at = ?, expires_at = ? WHERE method = 'oauth'",
                (now, now + TOKEN_LIFETIME),
            )
        return {"message": "Token refresh completed", "status": "success"}

    def _remember(self, provider: str, method: str, expires_at: int | None) -> None:
        with self.store.transaction() as db:
            # A new credential of the same provider keeps its place: the first stored provider stays the first.
            db.execute(
                "INSERT INTO credentials (provider, method, stored_at, expires_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (provider) DO UPDATE SET method = excluded.method, stored_at = excluded.stored_at,"
                " expires_at = excluded.expires_at",
                (provider, method, self.now(), expires_at),
            )

    def _all(self) -> dict[str, sqlite3.Row]:
        with self.store.transaction() as db:
            found = db.execute("SELECT * FROM credentials ORDER BY sequence").fetchall()
        return {record["provider"]: record for record in found}


def _require_oauth(provider: str) -> None:
    if provider != "anthropic":
        raise ApiError(400, "OAUTH_NOT_SUPPORTED", f"OAuth is not supported for provider: {provider}")
