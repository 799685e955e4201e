"""The order in which requests, answers and pieces of streams came, as a cassette keeps it and as a replay keeps to it.

Owns: ticks, one per thing that happened in a recording, and waiting until all earlier ones have happened again.
Refuses to know: requests, bodies, HTTP. Nothing sleeps: who waits is woken by what happens elsewhere, and the only
timer is the patience with a replay in which nothing happens any more.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from langchain_mix.errors import Acted

Ending = Literal["ended", "failed", "left", "left waiting"]
"""The end of a recorded stream: by its server, by a failure of the connection, or left by its reader, which either had
stopped to read or waited for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The times of one request and the parts of its answer, in ticks of the whole cassette.

    Attributes:
        requested: When the request was made.
        answered: When the head of the answer arrived, and its body unless that is a stream.
        events: When each event of a streamed body arrived; events that arrived together share a tick.
        ending: How a streamed body ended; None for a body that is no stream.
        ended: When, if its server or the connection ended it; else 0.
        failure: The httpx exception of the failed connection, and its message.
    """

    requested: int
    answered: int
    events: tuple[int, ...] = ()
    ending: Ending | None = None
    ended: int = 0
    failure: tuple[str, str] = ("", "")

    @property
    def of_stream(self) -> tuple[int, ...]:
        """The ticks of its body."""
        return (*self.events, *([self.ended] if self.ended else []))

    def to_yaml(self) -> dict[str, Any]:
        """Returns the order as YAML of the cassette."""
        shown: dict[str, Any] = {"requested": self.requested, "answered": self.answered}
        if self.ending is not None:
            shown |= {"events": list(self.events), "ending": self.ending}
        if self.ended:
            shown["ended"] = self.ended
        if self.failure[0]:
            shown["failure"] = list(self.failure)
        return shown

    @classmethod
    def from_yaml(cls, shown: Mapping[str, Any]) -> Order:
        """Reads the order from a cassette.

        Raises:
            CassetteError: It is not what `to_yaml` gives.
        """
        try:
            name, words = shown.get("failure") or ("", "")
            return cls(
                requested=int(shown["requested"]),
                answered=int(shown["answered"]),
                events=tuple(int(tick) for tick in shown.get("events", ())),
                ending=shown.get("ending"),
                ended=int(shown.get("ended", 0)),
                failure=(str(name), str(words)),
            )
        except (KeyError, TypeError, ValueError) as problem:
            raise CassetteError(f"The order in a cassette cannot be read: {problem!r} in {shown!r}.") from problem


@dataclass(frozen=True, slots=True)
class Condition:
    """Something to wait for, with a name for who waits in vain; `ready` must not wait itself."""

    ready: Callable[[], bool]
    what: str


class Clock:
    """Counts what happens in a recording. Safe to share between threads."""

    def __init__(self) -> None:
        """Starts before the first thing."""
        self._lock = threading.Lock()
        self._ticks = 0

    def tick(self) -> int:
        """The number of what happens now."""
        with self._lock:
            self._ticks += 1
            return self._ticks


class Playback:
    """The progress of a replay. Safe to share between threads and event loops.

    A problem is permanent: everything that waits or asks afterwards fails with it, so that nothing hangs and
    no handler of errors hides it.

    Attributes:
        problem: What went wrong first, or None.
    """

    def __init__(self, orders: Iterable[Order], patience: float) -> None:
        """Begins a replay in which who waits gives up after so many seconds without anything happening."""
        self.problem: CassetteError | None = None
        self._patience = patience
        self._changed = threading.Condition()
        self._wakers: set[Callable[[], None]] = set()
        self._steps = 0
        orders = tuple(orders)
        self._of_streams = {tick for order in orders for tick in order.of_stream}
        self._missing = self._of_streams | {tick for o in orders for tick in (o.requested, o.answered)}

    def happened(self, *ticks: int) -> None:
        """Notes that these have happened, or never will, and wakes who waits for it."""
        with self._changed:
            self._missing.difference_update(ticks)
            self._of_streams.difference_update(ticks)
            self._wake()

    def changed(self) -> None:
        """Wakes who waits for something that has no tick."""
        with self._changed:
            self._wake()

    def _wake(self) -> None:
        self._steps += 1
        self._changed.notify_all()
        for wake in self._wakers:
            wake()

    def before(self, tick: int, what: str) -> Condition:
        """Everything that came before a piece of a stream: requests, answers, pieces of streams."""
        return Condition(lambda: min(self._missing, default=tick) >= tick, what)

    def streams_before(self, tick: int, what: str) -> Condition:
        """All pieces of streams that came before an answer.

        Other requests are not waited for: code that makes one after the other may replay what was recorded of code that
        made both at once.
        """
        return Condition(lambda: min(self._of_streams, default=tick) >= tick, what)

    def fail(self, error: CassetteError) -> NoReturn:
        """Ends the replay.

        Raises:
            CassetteError: The first problem of this replay, which is this one if there was none.
        """
        with self._changed:
            if self.problem is None:
                self.problem = error
            self._wake()
            raise self.problem

    def wait(self, condition: Condition) -> None:
        """Waits in a thread.

        Raises:
            CassetteError: The replay has failed, or nothing happens any more.
        """
        with self._changed:
            while not self._looked(condition):
                seen = self._steps
                if not self._changed.wait(self._patience) and self._steps == seen:
                    self.fail(self._in_vain(condition))

    async def wait_async(self, condition: Condition) -> None:
        """Does what `wait` does, in an event loop."""
        loop = asyncio.get_running_loop()
        while True:
            woken = asyncio.Event()

            def wake(event: asyncio.Event = woken) -> None:
                loop.call_soon_threadsafe(event.set)

            with self._changed:
                if self._looked(condition):
                    return
                seen = self._steps
                self._wakers.add(wake)
            try:
                await asyncio.wait_for(woken.wait(), self._patience)
            except TimeoutError:
                if self._steps == seen:
                    self.fail(self._in_vain(condition))
            finally:
                with self._changed:
                    self._wakers.discard(wake)

    def _looked(self, condition: Condition) -> bool:
        if self.problem is not None:
            raise self.problem
        return condition.ready()

    def _in_vain(self, condition: Condition) -> CassetteError:
        return CassetteError(
            f"The replay is stuck: nothing has happened for {self._patience:g} s, and {condition.what} waits.",
            hint="In the recording something came before it that the code did not do this time: a request it did not "
            "make, or a stream it did not read.",
        )


class CassetteError(AssertionError):
    """A cassette cannot be read, does not hold what is requested, or must not be written.

    It is no `MixError`: code under test may handle those, by trying again or by looking what became of a message, and a
    replay would go on for seconds before it failed for another reason.

    Attributes:
        message: What went wrong.
        sent: The request, as method and path; empty if there was none.
        acted: Whether a server may have acted on it. No server was involved.
        hint: What to do next.
    """

    def __init__(self, message: str = "", *, sent: str = "", hint: str = "") -> None:
        """Describes what happened."""
        super().__init__(message)
        self.message = message
        self.sent = sent
        self.acted: Acted = "no"
        self.hint = hint

    def __str__(self) -> str:
        """Returns what went wrong and what to do, in one line."""
        return " ".join(part for part in (self.message, self.hint) if part)
