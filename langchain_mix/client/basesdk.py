"""The base of all groups of operations, under the name that the official client gives it."""

from __future__ import annotations

from langchain_mix.client._async import AsyncTransport
from langchain_mix.client._sync import SyncTransport

__all__ = ["BaseSDK"]


class BaseSDK:
    """A group of operations. Each builds a call or a flow and hands it to a transport with the operation's options."""

    def __init__(self, sync: SyncTransport, asynchronous: AsyncTransport) -> None:
        """Stores the two transports of one client."""
        self._sync = sync
        self._async = asynchronous

    def __repr__(self) -> str:
        """Returns the name of the group and the server's URL."""
        return f"<{type(self).__name__} of {self._sync.core.settings.server}>"
