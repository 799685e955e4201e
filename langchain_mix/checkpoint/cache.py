"""Immutable documents in memory.

Owns: which are kept: those used last, up to a number of bytes. Refuses to know: what they are.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

from langchain_mix import forking

T = TypeVar("T")


class Cache(Generic[T]):
    """Documents by name. May be used from any thread."""

    def __init__(self, most: int) -> None:
        """Starts empty.

        Args:
            most: Bytes that may be kept; 0 keeps nothing.
        """
        self._most = most
        self._clear()
        forking.renew_in_child(self._clear)

    def _clear(self) -> None:
        """Forgets everything; at a fork, another thread may be in the middle of a change."""
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[int, T]] = OrderedDict()
        self._size = 0

    def get(self, name: str) -> T | None:
        """The document, if it is kept."""
        with self._lock:
            found = self._kept.get(name)
            if found is None:
                return None
            self._kept.move_to_end(name)
            return found[1]

    def put(self, name: str, size: int, document: T) -> None:
        """Keeps a document that takes `size` bytes, as long as there is room."""
        with self._lock:
            self._drop(name)
            if size > self._most:
                return
            self._kept[name] = size, document
            self._size += size
            while self._size > self._most:
                self._drop(next(iter(self._kept)))

    def drop(self, name: str) -> None:
        """Forgets a document."""
        with self._lock:
            self._drop(name)

    def _drop(self, name: str) -> None:
        found = self._kept.pop(name, None)
        if found is not None:
            self._size -= found[0]
