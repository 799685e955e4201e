"""The settings of a client, under the name that the official client gives them.

Owns: that name, and the documented servers. Refuses to know: what settings do.
"""

from __future__ import annotations

from langchain_mix.client._settings import DEFAULT_URL, Settings

__all__ = ["SERVERS", "SDKConfiguration"]

SDKConfiguration = Settings

SERVERS = [DEFAULT_URL]
"""The documented servers: one, which runs on this machine."""
