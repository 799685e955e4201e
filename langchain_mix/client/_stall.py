"""How long a running turn has brought nothing new.

Owns: measuring that time. Refuses to know: what is new (`protocol/turn/`), and what is done about a turn that stalls.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class StallDetector:
    """Adds up the time in which a turn is read and brings nothing new, whatever its streams do meanwhile.

    Heartbeats, comments, streams that end and are opened again: none of it is a sign of life. Only time counts in which
    the turn is being read: the user's own code may take an hour over an update, and find old heartbeats then.
    """

    __slots__ = ("_clock", "_longest_gap", "_news", "_since", "_stalled", "allowed")

    def __init__(self, allowed: float, longest_gap: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Begins to measure.

        Args:
            allowed: Seconds without anything new after which the turn is given up.
            longest_gap: Seconds between two looks at the clock that count at most. Nobody waits for longer at a time; a
                longer gap is one in which the process was stopped.
            clock: Gives the time in seconds.
        """
        self.allowed = allowed
        self._longest_gap = longest_gap
        self._clock = clock
        self._news = 0
        self._stalled = 0.0
        self._since: float | None = clock()

    def pause(self) -> None:
        """Stops the clock: the user's code has an update."""
        self._count()
        self._since = None

    def resume(self) -> None:
        """Starts the clock again."""
        self._since = self._clock()

    def is_over(self, news: int) -> bool:
        """Takes the turn's counter of what was new; true when it has stood still for too long."""
        self._count()
        if news != self._news:
            self._news, self._stalled = news, 0.0
        return self._stalled >= self.allowed

    def left(self) -> float:
        """Returns the seconds until the turn has stalled if nothing new comes, not negative."""
        self._count()
        return max(self.allowed - self._stalled, 0.0)

    def _count(self) -> None:
        if self._since is not None:
            now = self._clock()
            self._stalled += min(now - self._since, self._longest_gap)
            self._since = now
