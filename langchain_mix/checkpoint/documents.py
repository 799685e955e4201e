"""The store's documents, read and written.

Owns: what is in a register, a gate, a lane, a segment, an index and a blob, and how often a torn one is read again.
Refuses to know: who may write what and when (`writer.py`), and what is looked for (`search.py`).

Of each thread there are: one register {writer, epoch}, written by whoever arrives; a gate for each epoch, whose
existence says that the epoch is taken; two lane files for each epoch, written in turn by its only owner; and immutable
documents that lanes refer to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from langchain_mix.checkpoint import codec, lanes, names
from langchain_mix.checkpoint.cache import Cache
from langchain_mix.checkpoint.codec import MissingDocument, TornDocument, damaged
from langchain_mix.checkpoint.content import NewDocument
from langchain_mix.checkpoint.door import Door
from langchain_mix.checkpoint.effects import Pause, Steps
from langchain_mix.checkpoint.lanes import Arrival, Lane
from langchain_mix.checkpoint.refs import Ref, read_ref
from langchain_mix.checkpoint.rows import Blob
from langchain_mix.checkpoint.seal import Seal
from langchain_mix.checkpoint.table import Table, read_table
from langchain_mix.errors import MixCheckpointDamaged
from langchain_mix.protocol.call import Flow

T = TypeVar("T")

Immutable: TypeAlias = Table | tuple[Ref, ...] | bytes
"""What a segment, an index or a blob holds."""

_AT_ONCE: Final = 8
"""Documents that are read at the same time."""


class Documents:
    """Reads and writes documents."""

    def __init__(self, door: Door, seal: Seal, cache: Cache[Immutable], rereads: int, reread_pause: float) -> None:
        """Takes what `Threads` was given."""
        self.door = door
        self.seal = seal
        self._cache = cache
        self._rereads = rereads
        self._reread_pause = reread_pause

    # Registers and gates

    def arrival(self, key: str) -> Flow[Arrival | None]:
        """Reads a register once.

        Raises:
            TornDocument: It cannot be read now.
            MixCheckpointDamaged: It belongs elsewhere or is sealed otherwise.
        """
        name = names.register(key)
        data = yield from self.door.read(name)
        return None if data is None else self.read_arrival(name, data)

    def read_arrival(self, name: str, data: bytes) -> Arrival:
        """Reads the bytes of a register."""
        match codec.unpack(name, "register", codec.reopened(name, data), self.seal):
            case [str() as writer, int() as epoch] if epoch >= 0:
                return Arrival(writer, epoch)
        raise damaged(name, "holds no writer and epoch")

    def settled_arrival(self, key: str) -> Steps[Arrival | None]:
        """Reads a register, again while it is torn.

        Raises:
            TornDocument: It stays torn.
        """
        return (yield from self._again(lambda: self.arrival(key)))

    def last_arrival(self, key: str) -> Flow[Arrival | None]:
        """Tells who came last; None if nobody or somebody whose announcement cannot be read: not the one who asks."""
        try:
            return (yield from self.arrival(key))
        except TornDocument:
            return None

    def announce(self, key: str, arrival: Arrival) -> Flow[None]:
        """Writes a register."""
        name = names.register(key)
        yield from self._write(name, "register", [arrival.writer, arrival.epoch])

    def close(self, key: str, arrival: Arrival) -> Flow[None]:
        """Writes a register of visible names that versions of this package which know no others refuse to read."""
        name = names.register(key)
        body = [arrival.writer, arrival.epoch]
        yield from self.door.write(name, codec.closed(codec.pack(name, "register", body, self.seal)))

    def is_taken(self, key: str, epoch: int) -> Flow[bool]:
        """Whether an epoch is taken. What is in its gate does not matter."""
        return (yield from self.door.read(names.gate(key, epoch))) is not None

    def take(self, key: str, arrival: Arrival) -> Flow[None]:
        """Writes a gate."""
        yield from self._write(names.gate(key, arrival.epoch), "gate", [arrival.writer])

    def last_taken(self, key: str, start: int) -> Flow[int]:
        """Finds the last epoch that is taken; all before it are.

        Args:
            key: The thread.
            start: An epoch before which all are taken.

        Returns:
            The epoch, or -1.
        """
        if not (yield from self.is_taken(key, start)):
            return start - 1
        taken, step = start, 1
        while (yield from self.is_taken(key, taken + step)):
            taken, step = taken + step, step * 2
        free = taken + step
        while free - taken > 1:
            middle = (taken + free) // 2
            if (yield from self.is_taken(key, middle)):
                taken = middle
            else:
                free = middle
        return taken

    # Lanes

    def lane(self, key: str, epoch: int) -> Steps[Lane | None]:
        """Reads the newest version of an epoch's lane.

        A first slot alone is read once more: lanes are deleted first slot first, so if that is still there the second
        has not been written, rather than been deleted.

        Args:
            key: The thread.
            epoch: The epoch.

        Returns:
            The lane, or None if its owner has not written one, or it was deleted.

        Raises:
            MixCheckpointDamaged: A slot stays torn, is not what it should be, or is missing. The other slot is never
                taken instead: what the bad one held may have been acknowledged.
        """
        slots = [names.lane(key, epoch, slot) for slot in (0, 1)]
        newest: lanes.Slot | None = None
        seen: list[int] | None = None
        problem = damaged(slots[0], "was never read")
        for attempt in range(max(self._rereads, 1) + 1):
            if attempt:
                yield Pause(self._reread_pause)
            data = yield from self.door.read_all(slots)
            try:
                read = [
                    lanes.read_slot(slot, one, self.seal)
                    for slot, one in zip(slots, data, strict=True)
                    if one is not None
                ]
            except TornDocument as torn:
                problem, newest, seen = torn, None, None
                continue
            if not read:
                return None
            newest = lanes.newest(read)
            if lanes.are_whole(read):
                if len(read) > 1 or (again := (yield from self.door.read(slots[0]))) == data[0]:
                    return newest.lane()
                if again is None:
                    return None
            versions = [slot.version for slot in read]
            if versions == seen:
                # A busy owner may write between the two reads, but then the versions change.
                raise damaged(slots[1 - newest.version % 2], f"is not what precedes version {newest.version}")
            seen = versions
        if newest is None:
            raise problem
        return newest.lane()

    def read_lane(self, name: str, data: bytes) -> Lane:
        """Reads the bytes of a slot.

        Raises:
            MixCheckpointDamaged: They are no lane, or another one.
        """
        return lanes.read_slot(name, data, self.seal).lane()

    def newest_of(self, key: str, arrival: Arrival, data: Mapping[str, bytes | None]) -> Lane | None:
        """Finds the lane of a writer among files that were read already; None if they do not settle it.

        Raises:
            MixCheckpointDamaged: They hold something else.
        """
        slots = [(name, data.get(name)) for name in (names.lane(key, arrival.epoch, slot) for slot in (0, 1))]
        try:
            read = [lanes.read_slot(name, one, self.seal) for name, one in slots if one is not None]
        except TornDocument:
            return None
        if not read or not lanes.are_whole(read) or read[0].arrival != arrival:
            return None
        return lanes.newest(read).lane()

    def write_lane(self, key: str, lane: Lane) -> Flow[None]:
        """Writes a version of a lane, over the last but one."""
        name = names.lane(key, lane.arrival.epoch, lane.version % 2)
        yield from self._write(name, "lane", lane.body)

    # Immutable documents

    def write(self, document: NewDocument) -> Flow[None]:
        """Writes an immutable document."""
        yield from self.door.write(document.name, document.data)
        self._cache.put(document.name, len(document.data), document.content)

    def load(self, refs: Sequence[Ref]) -> Flow[list[Table | tuple[Ref, ...]]]:
        """Reads segments and indexes, in the order of the references.

        Raises:
            MissingDocument: One is not there.
            MixCheckpointDamaged: One is not what it was.
        """

        def parse(ref: Ref, data: bytes) -> Immutable:
            return self._segment(ref.name, data) if ref.level == 0 else self._index(ref, data)

        wanted = {ref.name: ref for ref in refs}
        found = yield from self._immutable(
            wanted, lambda name, data: parse(wanted[name], self._checked(name, wanted[name].digest, data))
        )
        return [one for ref in refs if not isinstance(one := found[ref.name], bytes)]

    def stray(self, name: str) -> Flow[Table | None]:
        """Reads a segment that nothing refers to; None if it is none, or damaged."""
        data = yield from self.door.read(name)
        try:
            return None if data is None else self._segment(name, data)
        except MixCheckpointDamaged:
            return None

    def blobs(self, wanted: Iterable[Blob]) -> Flow[dict[str, bytes]]:
        """Reads big values.

        Raises:
            MissingDocument: One is not there.
            MixCheckpointDamaged: One is not what it was.
        """
        digests = {name: digest for name, digest, _ in wanted}

        def parse(name: str, data: bytes) -> Immutable:
            match codec.unpack(name, "blob", self._checked(name, digests[name], data), self.seal):
                case [bytes() as value]:
                    return value
            raise damaged(name, "holds no value")

        found = yield from self._immutable(digests, parse)
        return {name: one for name, one in found.items() if isinstance(one, bytes)}

    def _immutable(self, wanted: Iterable[str], parse: Callable[[str, bytes], Immutable]) -> Flow[dict[str, Immutable]]:
        found: dict[str, Immutable] = {}
        absent: list[str] = []
        for name in wanted:
            kept = self._cache.get(name)
            if kept is None:
                absent.append(name)
            else:
                found[name] = kept
        for start in range(0, len(absent), _AT_ONCE):
            group = absent[start : start + _AT_ONCE]
            for name, data in zip(group, (yield from self.door.read_all(group)), strict=True):
                if data is None:
                    raise damaged(name, "is missing, though another one refers to it", MissingDocument)
                found[name] = parse(name, data)
                self._cache.put(name, len(data), found[name])
        return found

    def _segment(self, name: str, data: bytes) -> Table:
        match codec.unpack(name, "segment", data, self.seal):
            case [[*rows]]:
                return read_table(name, rows)
        raise damaged(name, "holds no entries")

    def _index(self, ref: Ref, data: bytes) -> tuple[Ref, ...]:
        match codec.unpack(ref.name, "index", data, self.seal):
            case [[*refs]]:
                return tuple(read_ref(ref.name, one) for one in refs)
        raise damaged(ref.name, "holds no references")

    @staticmethod
    def _checked(name: str, expected: bytes, data: bytes) -> bytes:
        if codec.digest(data) != expected:
            raise damaged(name, f"is not what it was when it was referred to ({len(data)} bytes)")
        return data

    def _write(self, name: str, kind: names.Kind, body: Sequence[Any]) -> Flow[None]:
        yield from self.door.write(name, codec.pack(name, kind, body, self.seal))

    def _again(self, read: Callable[[], Flow[T]]) -> Steps[T]:
        for _ in range(self._rereads):
            try:
                return (yield from read())
            except TornDocument:
                yield Pause(self._reread_pause)
        return (yield from read())
