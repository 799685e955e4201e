"""The settings of a client and the documented servers, where the official client has them."""

from __future__ import annotations

from langchain_mix.client._config import DEFAULT_URL, Settings

__all__ = ["SERVERS", "SDKConfiguration"]

SDKConfiguration = Settings

SERVERS = [DEFAULT_URL]
"""The documented servers: one, which runs on this machine."""
