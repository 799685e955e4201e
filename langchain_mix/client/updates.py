"""The updates that a turn of `Mix.turn` yields."""

from __future__ import annotations

from langchain_mix.protocol.turn import updates as _updates
from langchain_mix.protocol.turn.updates import *  # noqa: F403

__all__: list[str] = []
__all__ += _updates.__all__
