"""What a retriever holds open: its client, and the indexes of sessions.

Owns: what is made once and used again, and what a copy begins without.
Refuses to know: what is searched.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Final

from langchain_mix import forking
from langchain_mix.retrievers.session_index import SessionIndex

if TYPE_CHECKING:
    from langchain_mix.client import Mix

_MOST_SESSIONS: Final = 16
"""Sessions whose indexes stay in memory; of more, those used last."""


class Opened:
    """What a retriever has opened. Copies and pickles of it are empty: they open their own."""

    def __init__(self) -> None:
        """Holds nothing yet."""
        self._renew()
        forking.renew_in_child(self._renew)
        self._client: tuple[Hashable, Mix] | None = None
        self._indexes: OrderedDict[str, tuple[Any, SessionIndex]] = OrderedDict()

    def _renew(self) -> None:
        self._lock = threading.RLock()  # What is open starts afresh by itself.

    def __reduce__(self) -> tuple[type[Opened], tuple[()]]:
        """Pickles, and copies, as an empty one: connections and locks stay where they are."""
        return Opened, ()

    def client(self, key: Hashable, make: Callable[[], Mix]) -> Mix:
        """The client, made anew if the fields it depends on have changed.

        Args:
            key: The values of these fields.
            make: Makes it.

        Returns:
            The client.
        """
        with self._lock:
            if self._client is None or self._client[0] != key:
                self._client = (key, make())
            return self._client[1]

    def index(self, session_id: str, key: Any, make: Callable[[], SessionIndex]) -> SessionIndex:
        """The index of a session, made anew if what it depends on has changed.

        Args:
            session_id: The session.
            key: What it depends on.
            make: Makes it.

        Returns:
            The index.
        """
        with self._lock:
            held = self._indexes.get(session_id)
            if held is None or held[0] != key:
                held = (key, make())
                self._indexes[session_id] = held
            self._indexes.move_to_end(session_id)
            while len(self._indexes) > _MOST_SESSIONS:
                self._indexes.popitem(last=False)
            return held[1]

    def newest(self) -> SessionIndex | None:
        """The index that was used last."""
        with self._lock:
            return next(reversed(self._indexes.values()))[1] if self._indexes else None
