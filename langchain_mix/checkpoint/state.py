"""What a thread holds now.

Owns: how the current state is found among registers, gates and lanes. Refuses to know: what is looked for in it, and
how it is changed (`writer.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from langchain_mix.checkpoint import names
from langchain_mix.checkpoint.codec import MissingDocument, TornDocument, damaged
from langchain_mix.checkpoint.content import Content
from langchain_mix.checkpoint.documents import Documents
from langchain_mix.checkpoint.effects import Steps
from langchain_mix.checkpoint.lanes import Arrival, Lane
from langchain_mix.checkpoint.memory import Memory
from langchain_mix.errors import MixCheckpointDamaged, MixStoreContended

T = TypeVar("T")


class State:
    """Finds the current state of threads."""

    def __init__(self, documents: Documents, attempts: int) -> None:
        """Takes what `Threads` was given."""
        self._documents = documents
        self._attempts = attempts

    def content(self, memory: Memory, thread_id: str) -> Steps[Content]:
        """Tells what a thread holds; nothing if it does not exist.

        One request if this process owns the lane and nobody has come since, else three. A thread that is not there, or
        that an earlier version of this package has stored under visible names, costs one more.

        What one process is storing while another takes an epoch may be seen here before it counts. If the first is
        killed then, and the other has looked at its lane earlier, later reads do not find it: it was never
        acknowledged. Ruling that out would take another request for every read, and a write where someone was killed.

        Raises:
            MixCheckpointDamaged: What decides cannot be read.
        """
        key = names.key_of(thread_id)
        before = memory.owned(key)
        arrival, torn = yield from self._arrival(key)
        own = memory.owned(key)
        if own is not None and own.arrival == arrival:
            # Nobody had come when the register was read, so no one else can have stored anything by then.
            return own.content
        if own is not None and before is not None and own.arrival == before.arrival:
            memory.forget(key)  # Somebody has come: what is stored next needs a new epoch, and can take it at once.
        lane = yield from self._under_either_name(memory, key, arrival, exists=arrival is not None or torn)
        return Content() if lane is None else lane.content

    def _under_either_name(
        self, memory: Memory, key: str, arrival: Arrival | None, *, exists: bool
    ) -> Steps[Lane | None]:
        """Finds the lane that counts: a hidden one as soon as there is one, for it holds all that visible ones held.

        The visible files are deleted only after that: who finds no lane of either kind looks for a hidden one again.
        """
        lane = (yield from self.lane(key, arrival)) if exists else None
        if lane is None:
            problem: MixCheckpointDamaged | None = None
            try:
                lane = yield from self.visible_lane(key)
            except MixCheckpointDamaged as damage:  # Or files that were moved meanwhile, and are being deleted.
                problem = damage
            if lane is not None or (not exists and problem is None and (yield from self._is_new(key))):
                return lane
            arrival, _torn = yield from self._arrival(key)
            lane = yield from self.lane(key, arrival)
            if lane is None and problem is not None:
                raise problem
        if lane is not None:
            memory.saw(key, lane.arrival)
        return lane

    def visible_lane(self, key: str) -> Steps[Lane | None]:
        """Finds the lane that an earlier version of this package has stored under visible names."""
        visible = names.visible(key)
        arrival, torn = yield from self._arrival(visible)
        return None if arrival is None and not torn else (yield from self.lane(visible, arrival))

    def using(self, memory: Memory, thread_id: str, use: Callable[[Content], Steps[T]]) -> Steps[T]:
        """Does something with what a thread holds, again if that was replaced meanwhile.

        Args:
            memory: What this process remembers.
            thread_id: The thread.
            use: What to do. A document it needs may be gone because a rewrite has replaced it.

        Returns:
            Its result.

        Raises:
            MixCheckpointDamaged: A document is damaged, or missing though nothing was replaced.
        """
        content = yield from self.content(memory, thread_id)
        while True:
            try:
                return (yield from use(content))
            except MissingDocument:
                now = yield from self.content(memory, thread_id)
                if now.refs == content.refs and now.window.rows == content.window.rows:
                    raise
                content = now

    def lane(self, key: str, arrival: Arrival | None) -> Steps[Lane | None]:
        """Finds the lane that counts.

        Args:
            key: The thread.
            arrival: What the register held, None if it cannot be read.

        Returns:
            The lane, or None if nothing was ever stored.
        """
        for _ in range(self._attempts):
            problem: MixCheckpointDamaged | None = None
            lane, again = None, 0
            try:
                lane, again = yield from self._lane_once(key, arrival)
            except MixCheckpointDamaged as damage:  # Or an old lane that somebody is deleting: see below.
                problem = damage
            if lane is not None:
                return lane
            now, _torn = yield from self._arrival(key)
            if now == arrival:
                if problem is not None:
                    raise problem
                # The last who came may have replaced all and deleted what was before, behind the back of this search.
                if (yield from self._documents.lane(key, again)) is None:
                    return None
            arrival = now
        raise MixStoreContended(
            "The thread changes faster than it can be read.", hint="Other processes write to it at this moment."
        )

    def _lane_once(self, key: str, arrival: Arrival | None) -> Steps[tuple[Lane | None, int]]:
        """The lane that counts, and which epoch's may have been written since it was looked for."""
        start = 0
        if arrival is not None:
            start = arrival.epoch
            lane = yield from self._documents.lane(key, start)
            if lane is not None and lane.arrival == arrival:
                return lane, start
        # Somebody is taking an epoch, or died doing so. The last lane that was written counts.
        last = yield from self._documents.last_taken(key, start)
        return (yield from self.below(key, last + 1)), max(start, last)

    def below(self, key: str, epoch: int) -> Steps[Lane | None]:
        """Finds the last lane of an epoch before this one."""
        for earlier in range(epoch - 1, -1, -1):
            lane = yield from self._documents.lane(key, earlier)
            if lane is not None:
                return lane
        return None

    def _is_new(self, key: str) -> Steps[bool]:
        """Whether a thread without a register was never written to.

        Raises:
            MixCheckpointDamaged: It was: the register has been deleted.
        """
        yield from self._documents.door.verify()
        if not (yield from self._documents.is_taken(key, 0)):
            return True
        arrival, torn = yield from self._arrival(key)
        if arrival is None and not torn:  # Registers are written before gates, and never deleted.
            raise damaged(names.register(key), "is missing, though the thread has been written to")
        return False

    def _arrival(self, key: str) -> Steps[tuple[Arrival | None, bool]]:
        """What the register holds, and whether it cannot be read."""
        try:
            return (yield from self._documents.settled_arrival(key)), False
        except TornDocument:
            return None, True
