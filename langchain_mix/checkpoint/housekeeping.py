"""The files of threads, seen from the server's listing.

Owns: which files belong to what a thread holds now, and removing others. Refuses to know: how threads are changed
(`writer.py`) and mended (`repair.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from langchain_mix.checkpoint import names, search
from langchain_mix.checkpoint.codec import TornDocument
from langchain_mix.checkpoint.content import Content
from langchain_mix.checkpoint.documents import Documents
from langchain_mix.checkpoint.effects import Steps
from langchain_mix.checkpoint.lanes import Arrival, Lane
from langchain_mix.checkpoint.refs import Ref
from langchain_mix.checkpoint.report import Report, ThreadReport
from langchain_mix.checkpoint.state import State
from langchain_mix.checkpoint.table import Table
from langchain_mix.errors import MixCheckpointDamaged, MixError, MixNetworkError
from langchain_mix.protocol.call import Flow

_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the store.

    Attributes:
        what: What its name tells.
        size: Bytes.
    """

    what: names.FileName
    size: int


class Housekeeping:
    """Looks at all files of threads."""

    def __init__(self, documents: Documents, state: State) -> None:
        """Takes what `Threads` was given."""
        self._documents = documents
        self._state = state

    def files(self) -> Flow[dict[str, list[StoredFile]]]:
        """Lists the files of all threads, by the part that a thread's names share."""
        found: dict[str, list[StoredFile]] = {}
        for info in (yield from self._documents.door.listing()):
            what = names.parse(info.name)
            if what is not None:
                found.setdefault(what.key, []).append(StoredFile(what, info.size))
        return found

    def files_of(self, key: str) -> Flow[list[StoredFile]]:
        """Lists the files of a thread."""
        return (yield from self.files()).get(key, [])

    def discard(self, files: Iterable[StoredFile], kept: Lane) -> Flow[tuple[int, tuple[str, ...]]]:
        """Deletes what a thread held before it was replaced as a whole.

        Registers and gates stay: a writer that was slow could otherwise take an old epoch. What was listed before the
        epoch was taken is referred to by nobody who can still commit.

        Args:
            files: The thread's files, listed before the new epoch was taken.
            kept: The lane that has replaced all.

        Returns:
            How many were deleted, and the names of those that could not be.
        """
        current = {names.lane(names.key_of(kept.thread_id), kept.arrival.epoch, slot) for slot in (0, 1)}
        going = [
            one.what for one in files if one.what.kind not in {"register", "gate"} and one.what.name not in current
        ]
        return (yield from self.delete(going))

    def delete(self, going: Sequence[names.FileName]) -> Flow[tuple[int, tuple[str, ...]]]:
        """Deletes files; oldest lanes first, so that who goes down the epochs never meets one that is passed over."""
        count = 0
        left: list[str] = []
        for what in sorted(going, key=lambda what: (what.epoch, what.slot)):
            try:
                yield from self._documents.door.delete(what.name)
            except MixNetworkError:
                return count, tuple(one.name for one in going[count:])
            except MixError:
                left.append(what.name)
            else:
                count += 1
        return count, tuple(left)

    def thread_ids(self) -> Steps[list[str]]:
        """Lists the threads that hold something.

        Raises:
            MixCheckpointDamaged: What a thread holds cannot be read.
        """
        files = yield from self.files()
        written = {key for key, some in files.items() if any(one.what.kind == "register" for one in some)}
        keys = sorted({names.hidden(key) for key in written})
        found: list[str] = []
        for start in range(0, len(keys), _AT_ONCE):
            group = keys[start : start + _AT_ONCE]
            lanes = dict(zip(group, (yield from self._lanes(group)), strict=True))
            for key, hidden in lanes.items():
                lane = hidden
                if lane is None and names.visible(key) in written:
                    lane, _ = yield from self._lane(key)
                if lane is not None and not lane.content.is_empty:
                    found.append(lane.thread_id)
        return found

    def _lane(self, key: str) -> Steps[tuple[Lane | None, str]]:
        """Finds the lane of a thread that counts, and the key of its names."""
        lane = yield from self._state.lane(key, (yield from self._arrivals([key])).get(key))
        if lane is not None:
            return lane, key
        problem: MixCheckpointDamaged | None = None
        try:
            lane = yield from self._state.visible_lane(key)
        except MixCheckpointDamaged as damage:  # Or another process has moved it meanwhile.
            problem = damage
        if lane is not None:
            return lane, names.visible(key)
        lane = yield from self._state.lane(key, (yield from self._arrivals([key])).get(key))
        if lane is None and problem is not None:
            raise problem
        return lane, key

    def _lanes(self, keys: Sequence[str]) -> Steps[list[Lane | None]]:
        arrivals = yield from self._arrivals(keys)
        slots = [names.lane(key, one.epoch, slot) for key, one in arrivals.items() for slot in (0, 1)]
        data = dict(zip(slots, (yield from self._documents.door.read_all(slots)), strict=True))
        # As in `Documents.lane`: where there is a first slot alone it must still be there.
        alone = [one for one, other in zip(slots[::2], slots[1::2], strict=True) if data[one] and data[other] is None]
        for slot, again in zip(alone, (yield from self._documents.door.read_all(alone)), strict=True):
            data[slot] = again if again == data[slot] else None
        found: list[Lane | None] = []
        for key in keys:
            arrival = arrivals.get(key)
            lane = None if arrival is None else self._documents.newest_of(key, arrival, data)
            found.append(lane if lane is not None else (yield from self._state.lane(key, arrival)))
        return found

    def _arrivals(self, keys: Sequence[str]) -> Steps[dict[str, Arrival]]:
        registers = [names.register(key) for key in keys]
        found: dict[str, Arrival] = {}
        read = yield from self._documents.door.read_all(registers)
        for key, name, data in zip(keys, registers, read, strict=True):
            try:
                arrival = None if data is None else self._documents.read_arrival(name, data)
            except TornDocument:
                arrival = None
            if arrival is not None:
                found[key] = arrival
        return found

    def report(self, key: str | None) -> Steps[Report]:
        """Counts what is stored of a thread, or of all."""
        files = yield from self.files()
        keys = sorted({names.hidden(one) for one in files if key in {None, names.hidden(one)}})
        found: tuple[ThreadReport, ...] = ()
        for one in keys:
            some = [*files.get(one, ()), *files.get(names.visible(one), ())]
            found += ((yield from self._report(one, some)),)
        return Report(found)

    def _report(self, key: str, files: Sequence[StoredFile]) -> Steps[ThreadReport]:
        size = sum(one.size for one in files)
        thread_id = ""
        try:
            lane, used_key = yield from self._lane(key)
            if lane is None:
                return ThreadReport("", key, len(files), size)
            thread_id = lane.thread_id
            tables = yield from search.tables(self._documents, lane.content.refs, lambda _: True)
            used = yield from self.used(used_key, lane, tables)
        except MixCheckpointDamaged as problem:
            return ThreadReport(thread_id, key, len(files), size, problem=f"{problem.document} {problem.problem}")
        rows = [row for table in (*tables, lane.content.window) for row in table.rows]
        checkpoints = sum(row.is_checkpoint for row in rows)
        return ThreadReport(
            thread_id,
            key,
            files=len(files),
            bytes=size,
            checkpoints=checkpoints,
            writes=len(rows) - checkpoints,
            segments=len(tables),
            orphans=tuple(one.name for one in self.unused(files, used)),
            problem=(yield from self._unmoved(lane, files)) if used_key == key else "",
        )

    def _unmoved(self, lane: Lane, files: Sequence[StoredFile]) -> Flow[str]:
        """Tells what an earlier version has stored under visible names since the thread was moved."""
        visible = names.visible(names.key_of(lane.thread_id))
        register = names.register(visible)
        if any(one.what.key == visible and one.what.kind == "lane" for one in files):
            arrival = yield from self._documents.last_arrival(visible)
            if arrival is None or not lane.holds(arrival):
                return (
                    f"{register} was written by an earlier version after the move; the next writer or `repair` adds it"
                )
        return ""

    def used(self, key: str, lane: Lane, tables: Sequence[Table]) -> Flow[set[str]]:
        """Names of the files that what a thread holds is made of.

        Args:
            key: The thread.
            lane: Its current lane.
            tables: Its segments.
        """
        slots = {names.lane(key, lane.arrival.epoch, slot) for slot in (0, 1)}
        blobs = {
            blob[0] for table in (*tables, lane.content.window) for row in table.rows for blob in table.blobs_of(row)
        }
        documents = yield from self._documents_of(lane.content)
        return slots | blobs | documents

    def _documents_of(self, content: Content) -> Flow[set[str]]:
        found: set[str] = set()
        level: Sequence[Ref] = content.refs
        while level:
            found.update(ref.name for ref in level)
            loaded = yield from self._documents.load([ref for ref in level if ref.level])
            level = [ref for below in loaded if not isinstance(below, Table) for ref in below]
        return found

    @staticmethod
    def unused(files: Iterable[StoredFile], used: set[str]) -> list[names.FileName]:
        """The files nothing refers to. Registers and gates always count as used."""
        return [one.what for one in files if one.what.kind not in {"register", "gate"} and one.what.name not in used]
