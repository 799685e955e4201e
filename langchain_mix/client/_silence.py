"""How long a turn has told nothing while its stream was alive.

Owns: which events are signs of a turn's life. Refuses to know: what is done about a turn that has none.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from langchain_mix.protocol.events import (
    Event,
    SSEConnectedEvent,
    SSEHeartbeatEvent,
    SSESessionCreatedEvent,
    SSESessionDeletedEvent,
)

_OF_THE_SERVER: Final = frozenset(
    {SSEHeartbeatEvent, SSEConnectedEvent, SSESessionCreatedEvent, SSESessionDeletedEvent}
)
"""What comes whether a turn runs or not. Mix cuts every stream after ten minutes, so that `connected` comes again."""


class Silence:
    """Listens for signs of life. The clock is looked at when a heartbeat comes and at no other event."""

    __slots__ = ("_alive", "_clock", "_last", "_lasted", "_longest_gap", "allowed")

    def __init__(self, allowed: float, longest_gap: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Has heard nothing yet.

        Args:
            allowed: Seconds without a sign of life after which the turn is given up.
            longest_gap: Seconds between two heartbeats that count at most: who does not read for an hour and then finds
                old heartbeats has not heard an hour of silence.
            clock: Tells the time in seconds.
        """
        self.allowed = allowed
        self._longest_gap = longest_gap
        self._clock = clock
        self._alive = True  # The silence begins with the first heartbeat.
        self._last = self._lasted = 0.0

    def is_too_long(self, event: Event) -> bool:
        """Takes an event and tells whether, with it, there was nothing but heartbeats for too long."""
        kind = type(event)
        if kind not in _OF_THE_SERVER:
            self._alive = True
            return False
        if kind is not SSEHeartbeatEvent:
            return False
        now = self._clock()
        gap, self._last = now - self._last, now
        self._lasted = 0.0 if self._alive else self._lasted + min(gap, self._longest_gap)
        self._alive = False
        return self._lasted >= self.allowed
