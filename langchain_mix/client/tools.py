"""The operations on tools, where the official client has them."""

from __future__ import annotations

from langchain_mix.client.system import Tools

__all__ = ["Tools"]
