"""Inputs and outputs of Mix's tools, where the official client has them."""

from __future__ import annotations

from langchain_mix.protocol import tools as _tools
from langchain_mix.protocol.tools import *  # noqa: F403

__all__: list[str] = []
__all__ += _tools.__all__
