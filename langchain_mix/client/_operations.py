"""What all sub-clients have in common: the two shells, and what is known of the server.

Owns: nothing but that. Refuses to know: any single operation.
"""

from __future__ import annotations

from langchain_mix.client._async import AsyncTransport
from langchain_mix.client._sync import SyncTransport
from langchain_mix.protocol.api import Knowledge


class Operations:
    """A group of operations. Each builds a call or a flow and hands it to a shell."""

    def __init__(self, sync: SyncTransport, asynchronous: AsyncTransport) -> None:
        """Takes the two shells of one client."""
        self._sync = sync
        self._async = asynchronous

    def known(self) -> Knowledge:
        """The generations the server may be; it grows with every reply."""
        return self._sync.core.known

    def __repr__(self) -> str:
        """Which operations of which server these are."""
        return f"<{type(self).__name__} of {self._sync.core.settings.server}>"
