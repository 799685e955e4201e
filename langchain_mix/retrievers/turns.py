"""One refresh at a time.

Owns: who refreshes, who waits for whom, and whose result a waiting one may take.
Refuses to know: what a refresh is, and how anyone waits (`steps.py`).
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from langchain_mix import forking


@dataclass(slots=True, eq=False)
class Refresh:
    """A refresh under way.

    Attributes:
        number: Refreshes are counted in the order in which they begin.
        loop: The event loop it runs on; None in a thread without one.
        done: Set when it has ended.
        complete: Whether it ended well.
        error: Why it failed; None if it was abandoned, as a cancelled one is.
    """

    number: int
    loop: asyncio.AbstractEventLoop | None
    done: Future[None] = field(default_factory=Future)
    complete: bool = False
    error: Exception | None = None


class Turns:
    """The line before an index. Safe to use from any thread and any event loop; nothing in it blocks."""

    def __init__(self) -> None:
        """Begins with nobody in line."""
        self._begun = 0
        self._clear()
        forking.renew_in_child(self._clear)

    def _clear(self) -> None:
        """Waits for nobody: a refresh under way at a fork ends in the parent."""
        self._lock = threading.Lock()
        self._running: Refresh | None = None

    def arrive(self) -> int:
        """Tells how many refreshes have begun.

        Returns:
            The number; the result of a refresh with a higher one is as new as if it had been asked for now.
        """
        with self._lock:
            return self._begun

    def take(self, *, alone: bool = False) -> tuple[Refresh, bool]:
        """Begins a refresh unless one is under way.

        Args:
            alone: Begin one whatever else is under way: it cannot be waited for. Nobody waits for this one.

        Returns:
            The refresh, and whether it is the caller's: who has begun one must end it with `end`.
        """
        try:
            loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        with self._lock:
            if self._running is not None and not alone:
                return self._running, False
            self._begun += 1
            refresh = Refresh(self._begun, loop)
            if not alone:
                self._running = refresh
            return refresh, True

    def end(self, refresh: Refresh, error: BaseException | None = None) -> None:
        """Ends a refresh and wakes those who wait for it.

        Args:
            refresh: One that the caller has begun.
            error: Why it failed; None if it did not.
        """
        with self._lock:
            refresh.complete = error is None
            refresh.error = error if isinstance(error, Exception) else None
            if self._running is refresh:
                self._running = None
        refresh.done.set_result(None)
