"""The faults of a server: which are active and how often each has acted.

Owns: the set of faults, safe to change from any thread while the server runs.
Refuses to know: what the faults do (`fault_kinds.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TypeVar

from langchain_mix import forking
from langchain_mix.emulator.fault_kinds import (
    CloseConnection,
    CutStream,
    DelayEvent,
    DropEvent,
    DuplicateEvent,
    EventFault,
    Fault,
    FullQueue,
    HttpError,
    HugeEvent,
    InvalidUTF8,
    MissingId,
    RequestFault,
    RestartAfter,
    SlowReply,
    StallStream,
    StreamFault,
    TailAfterComplete,
    UnknownEvent,
)

__all__ = [
    "CloseConnection",
    "CutStream",
    "DelayEvent",
    "DropEvent",
    "DuplicateEvent",
    "EventFault",
    "Fault",
    "Faults",
    "FullQueue",
    "HttpError",
    "HugeEvent",
    "InvalidUTF8",
    "MissingId",
    "RequestFault",
    "RestartAfter",
    "SlowReply",
    "StallStream",
    "StreamFault",
    "TailAfterComplete",
    "UnknownEvent",
]

F = TypeVar("F", bound=Fault)


class Faults:
    """The faults of a server. Thread-safe; faults may be added and removed while it runs."""

    def __init__(self, *faults: Fault) -> None:
        """Begins with these faults.

        Args:
            faults: The faults.
        """
        self._renew()
        forking.renew_in_child(self._renew)
        self._times: dict[Fault, int] = {}
        self._asked: dict[Fault, int] = {}
        self._active: tuple[Fault, ...] = ()
        for fault in faults:
            self.add(fault)

    def _renew(self) -> None:
        self._changed = threading.Condition()

    def add(self, fault: F) -> F:
        """Adds a fault and gives it back, for `times` and `wait_for`."""
        with self._changed:
            self._active = (*self._active, fault)
            self._times.setdefault(fault, 0)
        return fault

    def remove(self, fault: Fault) -> None:
        """Takes a fault away; what it has done stays done."""
        with self._changed:
            self._active = tuple(one for one in self._active if one is not fault)

    def clear(self) -> None:
        """Takes all faults away."""
        with self._changed:
            self._active = ()

    def __iter__(self) -> Iterator[Fault]:
        """Those that are active now, in the order they were added."""
        return iter(self._active)

    def of(self, kind: type[F]) -> list[F]:
        """The active faults of a kind."""
        return [fault for fault in self._active if isinstance(fault, kind)]

    def times(self, fault: Fault) -> int:
        """How often a fault has acted."""
        with self._changed:
            return self._times.get(fault, 0)

    def take(self, fault: Fault) -> bool:
        """Has a fault act once more, if its count allows.

        Args:
            fault: The fault.

        Returns:
            Whether it may.
        """
        with self._changed:
            done = self._times.get(fault, 0)
            if fault.count is not None and done >= fault.count:
                return False
            self._times[fault] = done + 1
            self._changed.notify_all()
            return True

    def tally(self, fault: Fault) -> int:
        """Counts one more request that matches a fault and gives their number."""
        with self._changed:
            self._asked[fault] = self._asked.get(fault, 0) + 1
            return self._asked[fault]

    def wait_for(self, fault: Fault, times: int = 1, timeout: float = 10.0) -> None:
        """Waits until a fault has acted.

        Args:
            fault: The fault.
            times: How often.
            timeout: How long to wait at most, in seconds.

        Raises:
            TimeoutError: It has not.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._times.get(fault, 0) >= times, timeout):
                raise TimeoutError(f"{fault} acted {self._times.get(fault, 0)} times in {timeout} s, not {times}.")

    def queue_size(self, default: int) -> int:
        """The queue of a connection, in events."""
        sizes = [fault.size for fault in self.of(FullQueue) if fault.count is None or self.times(fault) < fault.count]
        return min(sizes, default=default)

    def overflowed(self) -> None:
        """Notes that a queue was full, so that tests can wait for it."""
        for fault in self.of(FullQueue):
            self.take(fault)
