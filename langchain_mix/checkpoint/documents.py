"""Reads and writes the documents of the store; the layout is drawn at the head of `writer.py`.

Owns: what an owner file, an epoch marker, a manifest, a segment, an index and a blob hold, how often a torn one is read
again, and the cache of immutable ones. Refuses to know: which writes are allowed and when (`writer.py`), and what is
looked for (`reader.py`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar

from langchain_mix import process_fork
from langchain_mix.checkpoint import encoding, names
from langchain_mix.checkpoint.encoding import Encryption, MissingDocument, TornDocument, damaged
from langchain_mix.checkpoint.files import SessionFiles
from langchain_mix.checkpoint.runtime import Pause, Steps
from langchain_mix.checkpoint.state import (
    Manifest,
    ManifestCopy,
    NewDocument,
    OwnerClaim,
    Ref,
    StoreSettings,
    are_whole,
    newest_copy,
    read_copy,
    read_ref,
)
from langchain_mix.checkpoint.table import Blob, Table, read_table
from langchain_mix.errors import MixCheckpointDamaged
from langchain_mix.protocol.call import Flow

T = TypeVar("T")


class DocumentCache(Generic[T]):
    """Documents by name. May be used from any thread."""

    def __init__(self, most: int) -> None:
        """Starts empty; `most` bytes may be kept, 0 keeps nothing."""
        self._most = most
        self._clear()
        process_fork.renew_in_child(self._clear)

    def _clear(self) -> None:
        """Forgets everything; at a fork, another thread may be in the middle of a change."""
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[int, T]] = OrderedDict()
        self._size = 0

    def get(self, name: str) -> T | None:
        """The document, if it is kept."""
        with self._lock:
            found = self._kept.get(name)
            if found is None:
                return None
            self._kept.move_to_end(name)
            return found[1]

    def put(self, name: str, size: int, document: T) -> None:
        """Keeps a document that takes `size` bytes, as long as there is room."""
        with self._lock:
            self._drop(name)
            if size > self._most:
                return
            self._kept[name] = size, document
            self._size += size
            while self._size > self._most:
                self._drop(next(iter(self._kept)))

    def _drop(self, name: str) -> None:
        found = self._kept.pop(name, None)
        if found is not None:
            self._size -= found[0]


Immutable: TypeAlias = Table | tuple[Ref, ...] | bytes
"""The contents of a segment, an index or a blob."""

_AT_ONCE: Final = 8
"""Documents that are read at the same time."""


class DocumentIO:
    """Reads and writes documents."""

    def __init__(self, session_files: SessionFiles, encryption: Encryption, settings: StoreSettings) -> None:
        """Takes what `ThreadStore` was given."""
        self.session_files = session_files
        self.encryption = encryption
        self._cache = DocumentCache[Immutable](settings.cache_bytes)
        self._rereads = settings.rereads
        self._reread_pause = settings.reread_pause

    # Owner files and epoch markers

    def owner(self, key: str) -> Flow[OwnerClaim | None]:
        """Reads an owner file once.

        Raises:
            TornDocument: It cannot be read now.
            MixCheckpointDamaged: It belongs elsewhere or is encrypted otherwise.
        """
        name = names.owner(key)
        data = yield from self.session_files.read(name)
        return None if data is None else self.parse_owner(name, data)

    def parse_owner(self, name: str, data: bytes) -> OwnerClaim:
        """Parses the bytes of an owner file."""
        match encoding.unpack(name, "owner", encoding.reopened(name, data), self.encryption):
            case [str() as writer, int() as epoch] if epoch >= 0:
                return OwnerClaim(writer, epoch)
        raise damaged(name, "holds no writer and epoch")

    def settled_owner(self, key: str) -> Steps[OwnerClaim | None]:
        """Reads an owner file, again while it is torn.

        Raises:
            TornDocument: It stays torn.
        """
        for _ in range(self._rereads):
            try:
                return (yield from self.owner(key))
            except TornDocument:
                yield Pause(self._reread_pause)
        return (yield from self.owner(key))

    def current_owner(self, key: str) -> Flow[OwnerClaim | None]:
        """Returns the last claim; None if there is none, or it cannot be read: then it is not the caller's."""
        try:
            return (yield from self.owner(key))
        except TornDocument:
            return None

    def write_owner(self, key: str, claim: OwnerClaim) -> Flow[None]:
        """Writes an owner file."""
        name = names.owner(key)
        yield from self._write(name, "owner", [claim.writer, claim.epoch])

    def write_closed_owner(self, key: str, claim: OwnerClaim) -> Flow[None]:
        """Writes an owner file of visible names that earlier versions of this package refuse to read."""
        name = names.owner(key)
        body = [claim.writer, claim.epoch]
        yield from self.session_files.write(name, encoding.closed(encoding.pack(name, "owner", body, self.encryption)))

    def is_epoch_taken(self, key: str, epoch: int) -> Flow[bool]:
        """True if an epoch is taken. The content of its marker does not matter."""
        return (yield from self.session_files.read(names.epoch_marker(key, epoch))) is not None

    def write_epoch_marker(self, key: str, claim: OwnerClaim) -> Flow[None]:
        """Writes an epoch marker."""
        yield from self._write(names.epoch_marker(key, claim.epoch), "epoch_marker", [claim.writer])

    def last_taken_epoch(self, key: str, start: int) -> Flow[int]:
        """Finds the last epoch that is taken, or -1. All before it are, and all before `start` are known to be."""
        if not (yield from self.is_epoch_taken(key, start)):
            return start - 1
        taken, step = start, 1
        while (yield from self.is_epoch_taken(key, taken + step)):
            taken, step = taken + step, step * 2
        free = taken + step
        while free - taken > 1:
            middle = (taken + free) // 2
            if (yield from self.is_epoch_taken(key, middle)):
                taken = middle
            else:
                free = middle
        return taken

    # Manifests

    def manifest(self, key: str, epoch: int) -> Steps[Manifest | None]:
        """Reads the newest version of an epoch's manifest.

        A lone copy 0 is read once more. Copy 0 is deleted first: if it is still there, copy 1 has not been written yet,
        rather than been deleted.

        Returns:
            The manifest, or None if its owner has not written one, or it was deleted.

        Raises:
            MixCheckpointDamaged: A copy stays torn, is not what it should be, or is missing. The other copy is never
                used instead: what the bad one held may have been acknowledged.
        """
        copies = [names.manifest(key, epoch, copy) for copy in (0, 1)]
        newest: ManifestCopy | None = None
        seen: list[int] | None = None
        problem = damaged(copies[0], "was never read")
        for attempt in range(max(self._rereads, 1) + 1):
            if attempt:
                yield Pause(self._reread_pause)
            data = yield from self.session_files.read_all(copies)
            try:
                read = [
                    read_copy(copy, one, self.encryption)
                    for copy, one in zip(copies, data, strict=True)
                    if one is not None
                ]
            except TornDocument as torn:
                problem, newest, seen = torn, None, None
                continue
            if not read:
                return None
            newest = newest_copy(read)
            if are_whole(read):
                if len(read) > 1 or (again := (yield from self.session_files.read(copies[0]))) == data[0]:
                    return newest.manifest()
                if again is None:
                    return None
            versions = [copy.version for copy in read]
            if versions == seen:
                # A busy owner may write between the two reads, but then the versions change.
                raise damaged(copies[1 - newest.version % 2], f"is not what precedes version {newest.version}")
            seen = versions
        if newest is None:
            raise problem
        return newest.manifest()

    def parse_manifest(self, name: str, data: bytes) -> Manifest:
        """Parses the bytes of a copy.

        Raises:
            MixCheckpointDamaged: They are no manifest, or another one.
        """
        return read_copy(name, data, self.encryption).manifest()

    def newest_manifest(self, key: str, claim: OwnerClaim, data: Mapping[str, bytes | None]) -> Manifest | None:
        """Finds the manifest of a writer among files that were read already; None if they do not settle it.

        Raises:
            MixCheckpointDamaged: They hold something else.
        """
        copies = [(name, data.get(name)) for name in (names.manifest(key, claim.epoch, copy) for copy in (0, 1))]
        try:
            read = [read_copy(name, one, self.encryption) for name, one in copies if one is not None]
        except TornDocument:
            return None
        if not read or not are_whole(read) or read[0].claim != claim:
            return None
        return newest_copy(read).manifest()

    def write_manifest(self, key: str, manifest: Manifest) -> Flow[None]:
        """Writes a version of a manifest, over the last but one."""
        name = names.manifest(key, manifest.claim.epoch, manifest.version % 2)
        data = encoding.pack_parts(name, "manifest", manifest.parts, self.encryption)
        yield from self.session_files.write(name, data)

    # Immutable documents

    def write(self, document: NewDocument) -> Flow[None]:
        """Writes an immutable document."""
        yield from self.session_files.write(document.name, document.data)
        self._cache.put(document.name, len(document.data), document.decoded)

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

    def read_unreferenced_segment(self, name: str) -> Flow[Table | None]:
        """Reads a segment that nothing refers to; None if it is none, or damaged."""
        data = yield from self.session_files.read(name)
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
            match encoding.unpack(name, "blob", self._checked(name, digests[name], data), self.encryption):
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
            for name, data in zip(group, (yield from self.session_files.read_all(group)), strict=True):
                if data is None:
                    raise damaged(name, "is missing, though another one refers to it", MissingDocument)
                found[name] = parse(name, data)
                self._cache.put(name, len(data), found[name])
        return found

    def _segment(self, name: str, data: bytes) -> Table:
        match encoding.unpack(name, "segment", data, self.encryption):
            case [[*rows]]:
                return read_table(name, rows)
        raise damaged(name, "holds no entries")

    def _index(self, ref: Ref, data: bytes) -> tuple[Ref, ...]:
        match encoding.unpack(ref.name, "index", data, self.encryption):
            case [[*refs]]:
                return tuple(read_ref(ref.name, one) for one in refs)
        raise damaged(ref.name, "holds no references")

    @staticmethod
    def _checked(name: str, expected: bytes, data: bytes) -> bytes:
        if encoding.digest(data) != expected:
            raise damaged(name, f"is not what it was when it was referred to ({len(data)} bytes)")
        return data

    def _write(self, name: str, kind: names.Kind, body: Sequence[Any]) -> Flow[None]:
        yield from self.session_files.write(name, encoding.pack(name, kind, body, self.encryption))
