"""The rules for a new session.

Owns: which bodies of POST /api/sessions are refused and with what words, and what the accepted ones mean.
Refuses to know: how sessions are stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from langchain_mix.emulator.state.bodies import text_of
from langchain_mix.emulator.state.errors import invalid
from langchain_mix.emulator.state.models import models_of, provider_of
from langchain_mix.emulator.state.serializers import well_formed
from langchain_mix.protocol.api import Capabilities

BROWSER_MODES: Final = ("electron-embedded-browser", "local-browser-service", "remote-cdp-websocket")
_PROMPT_LIMITS: Final[Mapping[str, int]] = {"append": 50 * 1024, "replace": 100 * 1024}


def cut_title(title: str, limit: int | None) -> str:
    """Cuts a title to `limit` characters, the last three of them dots (Q30, Mix 0.8)."""
    title = well_formed(title)
    return title if limit is None or len(title) <= limit else title[: limit - 3] + "..."


def read_title(body: Mapping[str, Any], caps: Capabilities) -> str:
    """The title of a new session.

    Raises:
        ApiError: 400, there is none. Blanks are one.
    """
    title = text_of(body, "title")
    if not title:
        raise invalid("title", "title is required")
    return cut_title(title, caps.title_limit)


def read_prompt(body: Mapping[str, Any]) -> tuple[str, str]:
    """The mode and the custom prompt of a new session.

    Returns:
        Mode and prompt; mode `default` ignores the prompt and its size.

    Raises:
        ApiError: 400, an unknown mode or a prompt of too many bytes.
    """
    mode = text_of(body, "promptMode") or "default"
    prompt = well_formed(text_of(body, "customSystemPrompt"))
    if mode == "default":
        return mode, ""
    if mode not in _PROMPT_LIMITS:
        raise invalid("promptMode", "promptMode must be 'default', 'append', or 'replace'")
    size, limit = len(prompt.encode()), _PROMPT_LIMITS[mode]
    if size > limit:
        text = f"Custom prompt size ({size // 1024}KB) exceeds {mode} mode limit of {limit // 1024}KB"
        raise invalid("customSystemPrompt", text)
    return mode, prompt


def check_type(body: Mapping[str, Any]) -> None:
    """Refuses to create anything but a main session.

    Raises:
        ApiError: 400, the body asks for a sub-agent or a fork.
    """
    if text_of(body, "sessionType") not in {"", "main"}:
        raise invalid("sessionType", "only 'main' sessions can be created")
    if text_of(body, "subagentType"):
        raise invalid("subagentType", "subagentType cannot be set on main sessions")


def read_browser(body: Mapping[str, Any], caps: Capabilities) -> tuple[str, str]:
    """The browser mode and the CDP address of a new session; both empty before Mix 0.8.

    Raises:
        ApiError: 400, the mode is missing or unknown, or the address does not go with it.
    """
    if not caps.browser_mode:
        return "", ""
    mode, url = text_of(body, "browserMode"), text_of(body, "cdpUrl")
    if not mode:
        named = [f"'{name}'" for name in BROWSER_MODES]
        raise invalid("browserMode", f"browserMode is required (must be {', '.join(named[:-1])}, or {named[-1]})")
    if mode not in BROWSER_MODES:
        raise invalid("browserMode", f"browserMode must be one of: [{' '.join(BROWSER_MODES)}]")
    if problem := _cdp_problem(url, remote=mode == "remote-cdp-websocket"):
        raise invalid("cdpUrl", problem)
    return mode, url


def _cdp_problem(url: str, *, remote: bool) -> str:
    if not remote:
        return "cdpUrl can only be set when browserMode is 'remote-cdp-websocket'" if url else ""
    if not url:
        return "cdpUrl is required when browserMode is 'remote-cdp-websocket'"
    return "" if url.startswith(("ws://", "wss://")) else "cdpUrl must start with 'ws://' or 'wss://'"


def read_model(body: Mapping[str, Any], caps: Capabilities) -> tuple[str, str]:
    """The model and its provider of a new session (next); both empty in other generations.

    Raises:
        ApiError: 400, the provider is missing or is not the model's.
    """
    if "modelId" not in caps.session_fields:
        return "", ""
    model, provider = text_of(body, "modelId"), text_of(body, "provider")
    if provider and provider not in models_of(caps):
        raise invalid("provider", f"unknown provider: {provider}")
    if model and not provider:
        raise invalid("provider", "provider is required when modelId is set")
    if (owner := provider_of(model, caps)) and owner != provider:
        raise invalid("provider", f"model {model} belongs to provider {owner}, not {provider}")
    return model, provider
