"""Ctrl-C while a turn runs.

Owns: the first one cancels the turn, and further ones do not break the cancelling at once.
Refuses to know: how a turn is cancelled.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Final, Self

_PATIENCE: Final = 3
"""The Ctrl-C that leaves even if the server does not answer to the cancelling, which may take some seconds."""


class Interrupts:
    """Counts Ctrl-C in a `with` block: the first and the third raise KeyboardInterrupt."""

    def __init__(self) -> None:
        """Counts nothing yet."""
        self.count = 0
        self._before: Any = None

    @property
    def leaving(self) -> bool:
        """Whether the user does not want to wait for the cancelling any longer."""
        return self.count >= _PATIENCE

    def __enter__(self) -> Self:
        """Begins to count, in the main thread; others never see signals."""
        self.count = 0
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._pressed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves Ctrl-C to whom it belonged."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def _pressed(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count in {1, _PATIENCE}:
            raise KeyboardInterrupt
        os.write(2, b"Cancelling. Ctrl-C once more leaves at once.\n")  # Nothing here may wait for a lock.
