"""The client, where the official client has it."""

from __future__ import annotations

from langchain_mix.client.mix import Mix

__all__ = ["Mix"]
