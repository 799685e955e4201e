"""The client, where the official client has it.

Owns: this import path. Refuses to know: the client.
"""

from __future__ import annotations

from langchain_mix.client.mix import Mix

__all__ = ["Mix"]
