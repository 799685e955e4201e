"""The retry policy, where the documentation of Mix has it.

Owns: this import path, which is documented; no code lives here. Refuses to know: when anything is retried.
"""

from __future__ import annotations

from langchain_mix.protocol.retry import BackoffStrategy, RetryConfig

__all__ = ["BackoffStrategy", "RetryConfig"]
