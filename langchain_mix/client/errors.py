"""The errors, where the documentation of Mix has them."""

from __future__ import annotations

from langchain_mix import errors as _errors
from langchain_mix.errors import *  # noqa: F403
from langchain_mix.errors import MixNetworkError

__all__ = ["NoResponseError"]
__all__ += _errors.__all__

NoResponseError = MixNetworkError
"""The official client's name for the error of a request without an answer."""
