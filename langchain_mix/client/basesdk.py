"""What all groups of operations are, under the name that the official client gives it.

Owns: that name. Refuses to know: operations.
"""

from __future__ import annotations

from langchain_mix.client._operations import Operations

__all__ = ["BaseSDK"]

BaseSDK = Operations
