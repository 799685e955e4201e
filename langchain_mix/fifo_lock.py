"""Exclusive access per key for all threads and event loops of a process, first come first served.

`threading.Lock` cannot be awaited and `asyncio.Lock` belongs to one event loop, and neither keeps the order of arrival.
Here every entrant gets a ticket at once and waits with it in the way of its own world. A ticket is released exactly
where it was entered, whatever happens in between (an exception, a cancellation, a wait that timed out):

    with lock.enter(key) as ticket:
        ticket.wait()  # or: await ticket.wait_async()
        ...

The current owner may do the work of those behind it as well (group commit): see `FifoLock.claim_work`.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, Self, TypeVar

from langchain_mix import process_fork
from langchain_mix.errors import MixUsageError

W = TypeVar("W")


@dataclass(slots=True, eq=False)
class LockTicket(Generic[W]):
    """A place in the queue of a key.

    Attributes:
        lock: The lock it belongs to.
        key: The key.
        work: What the owner wants to do, for an owner before it who can do it as well. None if nobody else can.
        granted: True once this ticket has the lock, until it is released.
        taken: True while another owner does its work.
        done: True once another owner has done its work, so that the lock is not needed any more.
    """

    lock: FifoLock[W]
    key: Hashable
    work: W | None = None
    granted: bool = False
    taken: bool = False
    done: bool = False
    _loop: asyncio.AbstractEventLoop | None = field(default=None, repr=False)
    _wake: Callable[[], object] | None = field(default=None, repr=False)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits in this thread until the lock is granted, or the work done by another owner.

        Args:
            timeout: Seconds to wait at most. None waits as long as it takes.

        Returns:
            True if one of the two came true; False after the timeout. The ticket stays in the queue until `release`.

        Raises:
            MixUsageError: It would wait for a task of the event loop that runs in this very thread.
        """
        woken = threading.Event()
        if self.lock.register(self, woken.set):
            return True
        loop = _running_loop()
        if loop is not None and self.lock.is_behind(self, loop):
            raise MixUsageError(
                "A synchronous call would wait for a task of the event loop of this thread, which cannot go on.",
                acted="unknown" if self.taken else "no",
                hint="Use the asynchronous method, or make the call in another thread (`asyncio.to_thread`).",
            )
        woken.wait(timeout)
        return self.granted or self.done

    async def wait_async(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109  # The mirror of `wait`.
        """Does what `wait` does, without blocking the event loop. The task may be cancelled."""
        loop = self._loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        if not self.lock.register(self, lambda: loop.call_soon_threadsafe(_resolve, woken)):
            await asyncio.wait([woken], timeout=timeout)
        return self.granted or self.done

    def set_waker(self, wake: Callable[[], object]) -> None:
        """Stores what is called when the wait is over."""
        self._wake = wake

    def works_for(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Returns True if a task of that event loop waits or works with this ticket."""
        return self._loop is loop

    def wake(self) -> bool:
        """Wakes the waiter; False if its event loop is closed, so that nobody is there any more to use the lock."""
        if self._wake is None:
            return True
        try:
            self._wake()
        except RuntimeError:
            return False
        return True

    def release(self) -> None:
        """Gives back the lock or the place in the queue. May be called twice."""
        self.lock.release(self)

    def __enter__(self) -> Self:
        """Keeps the ticket until the block ends."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Releases the ticket."""
        self.release()


class FifoLock(Generic[W]):
    """Exclusive access per key.

    In a forked child it is free again: the owners and waiters at the fork are those of the parent.
    """

    def __init__(self) -> None:
        """Starts with every key free."""
        self._clear()
        process_fork.renew_in_child(self._clear)

    def _clear(self) -> None:
        self._mutex = threading.Lock()
        self._queues: dict[Hashable, deque[LockTicket[W]]] = {}  # The owner is the first of its queue.

    def enter(self, key: Hashable, work: W | None = None) -> LockTicket[W]:
        """Enters the queue of a key.

        Args:
            key: The key.
            work: What is to be done, if an owner before this one can do it as well.

        Returns:
            The ticket, which must be released; `granted` is true if the key was free.
        """
        ticket = LockTicket(self, key, work)
        with self._mutex:
            queue = self._queues.setdefault(key, deque())
            ticket.granted = not queue
            queue.append(ticket)
        return ticket

    def try_enter(self, key: Hashable) -> LockTicket[W] | None:
        """Returns a granted ticket, or None if somebody has the key or waits for it."""
        ticket = LockTicket(self, key, granted=True)
        with self._mutex:
            if key in self._queues:
                return None
            self._queues[key] = deque([ticket])
        return ticket

    def release(self, ticket: LockTicket[W]) -> None:
        """Does what `LockTicket.release` says."""
        leaving: LockTicket[W] | None = ticket
        while leaving is not None:
            heir = self._remove(leaving)
            leaving = heir if heir is not None and not heir.wake() else None

    def _remove(self, ticket: LockTicket[W]) -> LockTicket[W] | None:
        """Removes a ticket; returns the one that has the lock because of it."""
        with self._mutex:
            queue = self._queues.get(ticket.key)
            if queue is None or ticket not in queue:
                return None  # Released before, done by another owner, or of the parent of this process.
            had_lock, ticket.granted = ticket.granted, False
            queue.remove(ticket)
            if not queue:
                del self._queues[ticket.key]
                return None
            if not had_lock:
                return None
            queue[0].granted = True
            return queue[0]

    def register(self, ticket: LockTicket[W], wake: Callable[[], object]) -> bool:
        """Has a waiter called when its ticket is granted, or its work done.

        Args:
            ticket: The ticket.
            wake: Called once, from any thread.

        Returns:
            True if there is nothing to wait for; `wake` is not called then.

        Raises:
            MixUsageError: The ticket was released, or is of the parent of this forked process: nobody would wake it.
        """
        with self._mutex:
            if ticket.done:
                return True
            if ticket not in self._queues.get(ticket.key, ()):
                raise MixUsageError(
                    "This place in the queue was given back, or belongs to the parent of this process.",
                    hint="Begin again in this process.",
                )
            ticket.set_waker(wake)
            return ticket.granted

    def is_behind(self, ticket: LockTicket[W], loop: asyncio.AbstractEventLoop) -> bool:
        """Returns True if somebody before a ticket waits for, or works in, an event loop."""
        with self._mutex:
            for other in self._queues.get(ticket.key, ()):
                if other is ticket:
                    return False
                if other.works_for(loop):
                    return True
            return False

    def claim_work(self, ticket: LockTicket[W]) -> list[LockTicket[W]]:
        """Takes over the work of those behind an owner.

        Args:
            ticket: The owner, with work.

        Returns:
            It and the tickets whose work it is to do, in order; to be given to `finish_work`.
        """
        with self._mutex:
            group = [one for one in self._queues[ticket.key] if one.work is not None]
            for one in group:
                one.taken = one is not ticket
            return group

    def finish_work(self, group: Sequence[LockTicket[W]], *, done: bool) -> None:
        """Ends what `claim_work` began.

        Args:
            group: The tickets that it returned.
            done: True if the work of all was done; else each is left to do its own.
        """
        finished = []
        with self._mutex:
            for ticket in group:
                ticket.taken, ticket.done = False, done
                queue = self._queues.get(ticket.key, deque())
                if done and not ticket.granted and ticket in queue:
                    queue.remove(ticket)
                    finished.append(ticket)
        for ticket in finished:
            ticket.wake()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
