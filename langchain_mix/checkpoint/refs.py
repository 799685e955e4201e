"""References to immutable documents, and what can be told of them without reading them.

Owns: which namespaces and checkpoint ids a document can speak of. Refuses to know: what it says of them.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from langchain_mix.checkpoint.codec import damaged
from langchain_mix.checkpoint.rows import Place

_NAMED: Final = 8
"""Namespaces that a reference tells one by one."""

_PRINTED: Final = 256
"""Further namespaces that it tells by fingerprint."""

_PRINT_SIZE: Final = 4


@dataclass(frozen=True, slots=True)
class Span:
    """Checkpoint ids, from the smallest to the greatest.

    Attributes:
        low: The smallest.
        high: The greatest.
    """

    low: str
    high: str

    def joined(self, other: Span | None) -> Span:
        """The span of both."""
        return self if other is None else Span(min(self.low, other.low), max(self.high, other.high))


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the entries of a document can speak of.

    Attributes:
        named: Namespaces and their spans.
        others: The span of all other namespaces, None if there are none.
        prints: Fingerprints of those, in order, or None if they can be any.
    """

    named: tuple[tuple[str, Span], ...]
    others: Span | None = None
    prints: tuple[bytes, ...] | None = ()

    def span(self, ns: str | None) -> Span | None:
        """The ids it can speak of in a namespace, or in all; None if it says nothing of it."""
        if ns is None:
            whole = self.others
            for _, span in self.named:
                whole = span.joined(whole)
            return whole
        for name, span in self.named:
            if name == ns:
                return span
        if self.others is not None and (self.prints is None or _print(ns) in self.prints):
            return self.others
        return None


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to an immutable document.

    Attributes:
        name: Its file.
        digest: The checksum of the file.
        level: 0 for a segment of entries, else how many references lead from it to one.
        entries: Entries in it, or below it.
        size: Bytes of the file.
        coverage: What it can speak of.
        raw: The reference as it is stored; made once, for every version of a lane holds it again.
    """

    name: str
    digest: bytes
    level: int
    entries: int
    size: int
    coverage: Coverage
    raw: tuple[Any, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Puts it in the form that is stored."""
        cover = self.coverage
        named = [(ns, span.low, span.high) for ns, span in cover.named]
        others = None if cover.others is None else (cover.others.low, cover.others.high)
        prints = None if cover.prints is None else b"".join(cover.prints)
        raw = (self.name, self.digest, self.level, self.entries, self.size, named, others, prints)
        object.__setattr__(self, "raw", raw)


def _print(ns: str) -> bytes:
    return zlib.crc32(ns.encode("utf-8", "surrogatepass")).to_bytes(_PRINT_SIZE, "big")


def cover(places: Iterable[Place]) -> Coverage:
    """Tells what entries speak of.

    Args:
        places: Namespace and checkpoint id of each.

    Returns:
        The coverage. The namespaces with the most entries are told by name.
    """
    spans: dict[str, Span] = {}
    counts: Counter[str] = Counter()
    for ns, checkpoint_id in places:
        spans[ns] = Span(checkpoint_id, checkpoint_id).joined(spans.get(ns))
        counts[ns] += 1
    named = [ns for ns, _ in counts.most_common(_NAMED)]
    return _coverage(spans, named, None, set())


def cover_all(refs: Sequence[Ref]) -> Coverage:
    """Tells what documents together speak of.

    Args:
        refs: References to them.

    Returns:
        The coverage. The namespaces that most of them tell by name are told by name.
    """
    spans: dict[str, Span] = {}
    counts: Counter[str] = Counter()
    others: Span | None = None
    prints: set[bytes] | None = set()
    for ref in refs:
        for ns, span in ref.coverage.named:
            spans[ns] = span.joined(spans.get(ns))
            counts[ns] += 1
        if ref.coverage.others is not None:
            others = ref.coverage.others.joined(others)
            prints = None if prints is None or ref.coverage.prints is None else prints | set(ref.coverage.prints)
    # One of the named may be among the others of another document: then it must not be told by name alone.
    named = [ns for ns, _ in counts.most_common(_NAMED)]
    for ns in named:
        if others is not None and (prints is None or _print(ns) in prints):
            spans[ns] = spans[ns].joined(others)
    return _coverage(spans, named, others, prints)


def _coverage(spans: dict[str, Span], named: list[str], others: Span | None, prints: set[bytes] | None) -> Coverage:
    chosen = set(named)
    for ns, span in spans.items():
        if ns not in chosen:
            others = span.joined(others)
            prints = None if prints is None else prints | {_print(ns)}
    if prints is not None and len(prints) > _PRINTED:
        prints = None
    return Coverage(tuple((ns, spans[ns]) for ns in named), others, None if prints is None else tuple(sorted(prints)))


def read_ref(name: str, raw: Any) -> Ref:
    """Reads a reference.

    Args:
        name: The file it stands in.
        raw: What the file holds.

    Returns:
        The reference.

    Raises:
        MixCheckpointDamaged: It is none.
    """
    match raw:
        case [str() as file, bytes() as digest, int() as level, int() as entries, int() as size, [*named], rest, marks]:
            spans = tuple(_named(name, one) for one in named)
            others = None if rest is None else _named(name, ["", *rest] if isinstance(rest, list) else rest)[1]
            if marks is None or isinstance(marks, bytes):
                return Ref(file, digest, level, entries, size, Coverage(spans, others, _prints(marks)))
    raise damaged(name, "holds a reference of an unknown form")


def _named(name: str, raw: Any) -> tuple[str, Span]:
    match raw:
        case [str() as ns, str() as low, str() as high]:
            return ns, Span(low, high)
    raise damaged(name, "holds a reference of an unknown form")


def _prints(marks: bytes | None) -> tuple[bytes, ...] | None:
    if marks is None:
        return None
    return tuple(marks[at : at + _PRINT_SIZE] for at in range(0, len(marks), _PRINT_SIZE))
