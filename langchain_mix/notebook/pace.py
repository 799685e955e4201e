"""When a display is drawn again.

Owns: the decision, by numbers alone. Refuses to know: clocks and threads; it is told the time.
"""

from __future__ import annotations

from typing import Final

_SHARE: Final = 4
"""Drawing takes a fifth of the time at most: what is drawn must also be read."""


class Pace:
    """Keeps drawings apart."""

    def __init__(self, interval: float, idle: float) -> None:
        """Starts with the first drawing due at once.

        Args:
            interval: Seconds between two drawings while there is something new.
            idle: Seconds between two drawings while there is nothing new but the time.
        """
        self._interval = interval
        self._idle = idle
        self._last: float | None = None
        self._took = 0.0

    def wait(self, now: float, *, news: bool) -> float:
        """How long to wait before the next drawing.

        Args:
            now: The time in seconds, on any clock that only goes forward.
            news: Whether there is something new to draw.

        Returns:
            Seconds; 0 if it is due.
        """
        if self._last is None:
            return 0.0
        gap = max(self._interval if news else self._idle, _SHARE * self._took)
        return max(0.0, self._last + gap - now)

    def drawn(self, began: float, ended: float) -> None:
        """Notes a drawing.

        Args:
            began: When it began.
            ended: When it was done.
        """
        self._last, self._took = ended, ended - began
