"""Office documents as packages: ZIP archives of XML, read as streams and within limits; the texts of their charts."""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from itertools import islice, zip_longest
from typing import Final, Literal, NamedTuple
from xml.parsers import expat
from zipfile import ZipFile

from langchain_mix.retrievers.parsing.parsed import Collector, EnoughError, Kind, Limits, Skipped

_MOST_MEMBERS: Final = 20_000
_ENCRYPTED: Final = 0x1


def check_archive(data: bytes, limits: Limits, kind: Kind) -> Skipped | None:
    """Looks for what would hurt a reader of an archive; None if it can be read.

    Raises:
        Exception: It is damaged; `zipfile` raises many kinds.
    """
    # Counted before the list of contents is built; compressed bytes hold the mark by chance once in four gigabytes.
    if (entries := data.count(b"PK\x01\x02")) > _MOST_MEMBERS:
        return Skipped(f"has {entries} members; at most {_MOST_MEMBERS} are read", kind)
    with ZipFile(BytesIO(data)) as archive:
        members = archive.infolist()
    if any(member.flag_bits & _ENCRYPTED for member in members):
        return Skipped("is encrypted", kind)
    # What is declared bounds what is read: `zipfile` stops at the declared size and checks the sum of what it read.
    unpacked = sum(member.file_size for member in members)
    if unpacked > limits.max_unpacked_bytes:
        return Skipped(
            f"unpacks to {unpacked} bytes in {len(members)} members; at most {limits.max_unpacked_bytes} bytes"
            f" (`max_unpacked_bytes`) in {_MOST_MEMBERS} are read",
            kind,
        )
    return None


# Reading

_FED: Final = 64 * 1024
_DEEPEST: Final = 1000
"""Levels of elements in a part. Documents have some twenty; each open element takes memory in the parser."""
_LONGEST_TOKEN: Final = 8 * 1024 * 1024
"""Bytes of a single tag or comment; the parser holds it as a whole."""
_PREFIXES: Final = {
    "wordprocessingml/main": "w",
    "spreadsheetml/main": "x",
    "presentationml/main": "p",
    "drawingml/main": "a",
    "drawingml/chart": "c",
    "drawingml/diagram": "dgm",
    "officeDocument/math": "m",
    "officeDocument/relationships": "r",
    "package/relationships": "rel",
    "markup-compatibility": "mc",
}
"""Namespaces of OOXML without their years and hosts, which differ between its transitional and its strict form, and the
prefixes under which their elements are given out."""


class Markup(NamedTuple):
    """A piece of XML: text, or an element's name with its prefix as in `w:p` (`?` for unknown namespaces).

    Names of attributes have a prefix where they have a namespace.
    """

    kind: Literal["start", "end", "text"]
    value: str
    attributes: Mapping[str, str] = {}  # Never changed.


class RefusedError(EnoughError):
    """A part of the document would hurt a reader; what was read before it is kept."""


@dataclass
class Package:
    """An open document. The clock of `found` is looked at while markup is read."""

    archive: ZipFile
    found: Collector
    read: set[str] = field(default_factory=set)

    def has(self, name: str) -> bool:
        """Returns whether there is a member of this name."""
        return name in self.archive.NameToInfo

    def markup(self, name: str) -> Iterator[Markup]:
        """Reads a member piece by piece.

        Raises:
            EnoughError: Reading the file takes longer than it may.
            RefusedError: The XML is nested too deep, has a tag of no sensible size, or is none.
            BadZipFile: It is damaged.
        """
        self.read.add(name)
        with self.archive.open(name) as file:
            reader = _Reader()
            piece = b"more"
            while piece:
                self.found.check_time()
                piece = file.read(_FED)
                yield from reader.feed(piece)
                if reader.refused is not None:
                    raise reader.refused

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """Returns what a member refers to (empty: the package): by id, the type's last word, and the member's name."""
        folder, _, base = name.rpartition("/")
        member = posixpath.join(folder, "_rels", f"{base}.rels")
        found: dict[str, tuple[str, str]] = {}
        if not self.has(member):
            return found
        for mark in self.markup(member):
            if mark.kind == "start" and mark.value == "rel:Relationship":
                target = mark.attributes.get("Target", "")
                if mark.attributes.get("TargetMode") != "External" and len(found) < _MOST_MEMBERS:
                    path = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
                    kind = mark.attributes.get("Type", "").rpartition("/")[2]
                    found[mark.attributes.get("Id", str(len(found)))] = (kind, path)
        return found

    def related(self, name: str, *kinds: str) -> list[str]:
        """Returns the members of some kinds that a member refers to and that are there, each once, in order."""
        targets = (target for kind, target in self.relations(name).values() if kind in kinds and self.has(target))
        return list(dict.fromkeys(targets))

    def main(self, otherwise: str) -> str:
        """Returns the name of the main member."""
        return next(iter(self.related("", "officeDocument")), otherwise)

    def report_attachments(self) -> None:
        """Notes pictures and embedded files, which are not read."""
        members = [info.filename for info in self.archive.infolist() if info.filename not in self.read]
        pictures = sum(1 for name in members if "/media/" in name)
        if pictures:
            self.found.leave_out("1 picture was not read." if pictures == 1 else f"{pictures} pictures were not read.")
        for name in members:
            if "/embeddings/" in name:
                self.found.leave_out(f"The embedded file {posixpath.basename(name)!r} was not read.")


@contextmanager
def opened(data: bytes, found: Collector) -> Iterator[Package]:
    """Opens a document that `check_archive` has let pass; its parts are collected in `found`."""
    with ZipFile(BytesIO(data)) as archive:
        yield Package(archive, found)


class _Reader:
    """Feeds the parser and takes what it finds; nothing is kept in between."""

    def __init__(self) -> None:
        self._found: list[Markup] = []
        self._depth = 0
        self._silent = 0
        self.refused: RefusedError | None = None
        self._parser = parser = expat.ParserCreate(namespace_separator="|")
        parser.buffer_text = True  # Else each line of a text comes alone.
        parser.buffer_size = _FED
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._refuse

    def feed(self, piece: bytes) -> list[Markup]:
        """Takes the next piece, the empty one at the end. What precedes something that is refused is given out."""
        self._found = []
        try:
            self._parser.Parse(piece, not piece)
        except RefusedError as refused:
            self.refused = refused
        except expat.ExpatError as problem:
            self.refused = RefusedError(f"It is damaged ({problem}); reading ended there.")
        self._silent = 0 if self._found else self._silent + len(piece)
        if self._silent > _LONGEST_TOKEN:
            self.refused = RefusedError(f"It has a tag of more than {_LONGEST_TOKEN} bytes; reading ended there.")
        return self._found

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise RefusedError(f"It is nested deeper than {_DEEPEST} elements; reading ended there.")
        known = {_prefixed(key) if "|" in key else key: value for key, value in attributes.items()}
        self._found.append(Markup("start", _prefixed(name), known))

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._found.append(Markup("end", _prefixed(name)))

    def _text(self, text: str) -> None:
        self._found.append(Markup("text", text))

    def _refuse(self, *_: object) -> None:
        raise RefusedError("It declares entities, which documents of its kind do not; reading ended there.")


@lru_cache(maxsize=4096)
def _prefixed(name: str) -> str:
    uri, _, local = name.rpartition("|")
    known = _PREFIXES.get(re.sub(r"^http://[^/]+/(?:ooxml/)?|\b\d{4}(?:/\d\d?)?/|/\d{4}$", "", uri), "?")
    return f"{known}:{local}"


def texts_of(
    package: Package,
    name: str,
    elements: Collection[str],
    runs: Collection[str],
    *,
    left_out: str = "",
    longest: int = sys.maxsize,
) -> Iterator[tuple[Mapping[str, str], str]]:
    """Yields the attributes and the text of each such element of a member: what its runs hold.

    What an element of the name `left_out` holds is none of it. A text ends with the run that makes it longer than
    `longest`.
    """
    attributes: Mapping[str, str] = {}
    pieces: list[str] = []
    size, reads, apart = 0, False, False
    for mark in package.markup(name):
        if mark.kind == "text":
            if reads and not apart and size <= longest:
                pieces.append(mark.value)
                size += len(mark.value)
        elif mark.value in elements:
            if mark.kind == "end":
                yield attributes, "".join(pieces)
            attributes, pieces, size = mark.attributes, [], 0
        elif mark.value in runs:
            reads = mark.kind == "start"
        elif mark.value == left_out:
            apart = mark.kind == "start"


_LISTS: Final = {"c:tx": "name", "c:cat": "labels", "c:xVal": "labels", "c:val": "values", "c:yVal": "values"}


_MOST_PIECES: Final = 100_000
"""Texts and numbers of a chart or a diagram that are read."""


def chart_text(package: Package, name: str) -> str:
    """Returns the titles of a chart, then a line for each series: its name, and its values with their labels."""
    # The workbook that is embedded with a chart holds the same numbers.
    package.read.update(target for _, target in package.relations(name).values())
    titles: list[str] = []
    series: dict[str, list[str]] = {}
    lines: list[str] = []
    target, reads, pieces = "", False, 0
    for mark in package.markup(name):
        if mark.kind == "text":
            if reads:
                (series.setdefault(target, []) if target else titles).append(mark.value)
                pieces += 1
                if pieces > _MOST_PIECES:
                    package.found.leave_out(f"A chart has more than {_MOST_PIECES} values; the rest was not read.")
                    break
        elif mark.value == "c:ser":
            if mark.kind == "end":
                lines.append(_line(series))
            series = {}
        elif mark.value in _LISTS:
            target = _LISTS[mark.value] if mark.kind == "start" else ""
        elif mark.value in {"a:t", "c:v"}:
            reads = mark.kind == "start"
        elif mark.value == "c:title":
            target = ""
    return "\n".join([" ".join(titles), *lines]).strip()


def _line(series: dict[str, list[str]]) -> str:
    name, labels, values = (series.get(part, []) for part in ("name", "labels", "values"))
    pairs = (" ".join(filter(None, pair)) for pair in zip_longest(labels, values, fillvalue=""))
    return f"{' '.join(name)}: {', '.join(pairs)}".removeprefix(": ")


def diagram_text(package: Package, name: str) -> str:
    """Returns the texts of the diagram whose data a member has, one a line."""
    paragraphs = (text for _, text in texts_of(package, name, {"a:p"}, {"a:t"}) if text)
    lines = [*islice(paragraphs, _MOST_PIECES)]
    if next(paragraphs, None) is not None:
        package.found.leave_out(f"A diagram has more than {_MOST_PIECES} texts; the rest was not read.")
    return "\n".join(lines)
