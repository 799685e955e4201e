"""The state of the server's OAuth tokens, where the official client has it."""

from __future__ import annotations

from langchain_mix.client.authentication import Health

__all__ = ["Health"]
