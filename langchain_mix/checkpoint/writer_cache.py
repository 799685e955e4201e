"""What a process remembers of the threads it writes to.

Owns: which manifests this process owns, and how it left them. Refuses to know: files. All of it may be forgotten: a
writer that has forgotten its manifest claims a new epoch.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TypeVar

from langchain_mix import forking
from langchain_mix.checkpoint.line import Lines
from langchain_mix.checkpoint.state import Manifest, OwnerClaim

T = TypeVar("T")


class WriterCache:
    """The memory of one process. May be used from any thread."""

    def __init__(self, most: int) -> None:
        """Starts empty.

        Args:
            most: Threads that are remembered.
        """
        self.lines = Lines()
        self._most = most
        self._clear()
        forking.renew_in_child(self._clear)

    def _clear(self) -> None:
        """Forgets everything: what a parent owns, its forked child does not."""
        self._lock = threading.Lock()
        self._owned: OrderedDict[str, Manifest] = OrderedDict()
        self._uncertain: OrderedDict[str, Manifest] = OrderedDict()
        self._written: OrderedDict[str, int] = OrderedDict()

    def owned(self, key: str) -> Manifest | None:
        """The lane this process owns, as it was last committed."""
        with self._lock:
            manifest = self._owned.get(key)
            if manifest is not None:
                self._owned.move_to_end(key)
            return manifest

    def own(self, key: str, manifest: Manifest) -> None:
        """Remembers a committed lane."""
        with self._lock:
            self._keep(self._owned, key, manifest)
            self._keep(self._written, key, manifest.claim.epoch)
            self._uncertain.pop(key, None)

    def forget(self, key: str) -> None:
        """Gives a lane up."""
        with self._lock:
            self._owned.pop(key, None)

    def mark_uncertain(self, key: str, manifest: Manifest) -> None:
        """Gives a lane up for ever because nobody knows whether this version arrived, or still will."""
        with self._lock:
            self._owned.pop(key, None)
            self._keep(self._uncertain, key, manifest)

    def uncertain(self, key: str, epoch: int) -> Manifest | None:
        """The version given up in that epoch, which nobody but this process can have written."""
        with self._lock:
            manifest = self._uncertain.get(key)
            return manifest if manifest is not None and manifest.claim.epoch == epoch else None

    def note_written(self, key: str, claim: OwnerClaim) -> None:
        """Remembers that a lane of this epoch is written, so that its gate need not be looked for."""
        with self._lock:
            self._keep(self._written, key, claim.epoch)

    def is_written(self, key: str, epoch: int) -> bool:
        """Whether a lane of that epoch is known to be written."""
        with self._lock:
            return self._written.get(key) == epoch

    def _keep(self, kept: OrderedDict[str, T], key: str, thing: T) -> None:
        kept[key] = thing
        kept.move_to_end(key)
        if len(kept) > self._most:
            kept.popitem(last=False)
