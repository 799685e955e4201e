"""The result of parsing: a text, its parts and their places, put together under limits.

Owns: spans, lines, and when enough was read. Refuses to know: formats.
"""

from __future__ import annotations

import math
import re
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, TypeAlias

from langchain_mix.errors import MixConfigurationError

Kind: TypeAlias = Literal[
    "text", "markdown", "code", "csv", "json", "jsonl", "html", "notebook",
    "pdf", "word", "excel", "powerpoint", "opendocument", "epub", "rtf", "mail",
    "image", "audio", "video", "archive", "binary", "empty",
]  # fmt: skip
"""The kind of a file, by its content first and its name second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The place of a text in a file. What a format does not have is None.

    Attributes:
        start_line: The first line, counted from 1.
        end_line: The last line.
        page: The page of a PDF, counted from 1.
        slide: The slide of a presentation, counted from 1.
        sheet: The name of a sheet.
        start_row: The first row of a table, counted from 1, its header included.
        end_row: The last row.
        cell: The cell of a notebook, counted from 1.
        cell_type: `code`, `markdown` or `raw`.
        pointer: The place in a JSON document (RFC 6901); the empty pointer is the whole document.
        part: The part of a document outside its main text: `header`, `footnote 2`, `comment 1`, `chart`, `notes`.
        headings: The headings above the text, the outermost first.
    """

    start_line: int | None = None
    end_line: int | None = None
    page: int | None = None
    slide: int | None = None
    sheet: str | None = None
    start_row: int | None = None
    end_row: int | None = None
    cell: int | None = None
    cell_type: str | None = None
    pointer: str | None = None
    part: str | None = None
    headings: tuple[str, ...] = ()

    def metadata(self) -> dict[str, Any]:
        """Returns what is known, as plain values for the metadata of a document."""
        found = {name: value for name in _PLACES if (value := getattr(self, name)) is not None}
        if self.headings:
            found["headings"] = list(self.headings)
        return found


_PLACES: Final = tuple(field.name for field in fields(Place) if field.name != "headings")
"""The names of a place that have at most one value."""


NOWHERE: Final = Place()
"""The place of a text of which nothing but its index is known."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a file that belongs together: a page, a section, a group of rows.

    Attributes:
        text: Its text: `parsed.text[start_index:end_index]`.
        start_index: Where it begins in the text of the file, in characters.
        place: Where it is in the file.
        context: Text that belongs in front of it and is elsewhere in the file: the header of a table.
    """

    text: str
    start_index: int
    place: Place = NOWHERE
    context: str = ""

    @property
    def end_index(self) -> int:
        """The end in the text of the file, in characters."""
        return self.start_index + len(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A file that was read.

    Attributes:
        text: Its whole text.
        parts: The parts, in order; they do not overlap.
        kind: What the file is.
        verbatim: Whether `text` is the decoded file itself (without a byte order mark), so that indices and lines
            point into the file. Else it is what was taken out of the file, and indices point into that.
        encoding: How the bytes were decoded, as Python names it; None for formats that are not text.
        language: The programming language, as langchain-text-splitters names it; None if none or unknown.
        problems: What was left out or is uncertain, a sentence each.
        partial: Those of them that name something of the file that was left out.
        escaped: Whether `text` may have escapes of JSON, which are decoded where it is shown or searched; spans are
            those of the file.
    """

    text: str
    parts: tuple[Part, ...]
    kind: Kind
    verbatim: bool
    encoding: str | None = None
    language: str | None = None
    problems: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    escaped: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was not read.

    Attributes:
        reason: Why, as the rest of a sentence that begins with the file's name: `is encrypted`.
        kind: What the file is; None if it was not looked at.
    """

    reason: str
    kind: Kind | None = None


MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one run over the files of a session. What goes beyond is left out and listed in the report.

    Attributes:
        max_file_bytes: Bytes of one file. A larger one is not downloaded; one that turns out larger than it was listed
            is given up at this size.
        max_total_bytes: Bytes of all files together that are downloaded in one run.
        max_files: Files that are read in one run, in the order of their names.
        parallel_downloads: Downloads at the same time, at least 1.
        max_text_chars: Characters of text that are taken from one file.
        max_parts: Parts (pages, sections, groups of rows) that are taken from one file.
        max_line_chars: Characters of one line of plain text or code; a file with a longer one is data, and is skipped.
        max_unpacked_bytes: Bytes that a compressed document (Word, Excel, PowerPoint), or one compressed stream of a
            PDF, may have when unpacked.
        max_depth: Levels of nesting in JSON and in notebooks.
        max_seconds: Seconds that the reading of one file may take, and as many for cutting it into passages. It holds
            within a page, a sheet and a part as well; what was read by then is kept, and reported as cut.
    """

    max_file_bytes: int = 32 * MEBIBYTE
    max_total_bytes: int = 256 * MEBIBYTE
    max_files: int = 10_000
    parallel_downloads: int = 8
    max_text_chars: int = 10_000_000
    max_parts: int = 50_000
    max_line_chars: int = 1_000_000
    max_unpacked_bytes: int = 128 * MEBIBYTE
    max_depth: int = 100
    max_seconds: float = 30.0

    def __post_init__(self) -> None:
        """Refuses limits under which nothing could be read."""
        for field in fields(self):
            value = getattr(self, field.name)
            kinds = (int, float) if field.name == "max_seconds" else int
            if not isinstance(value, kinds) or isinstance(value, bool) or math.isnan(value) or value <= 0:
                raise MixConfigurationError(f"The limit `{field.name}` is {value!r}.", hint="It is a number above 0.")


_BREAK: Final = re.compile(r"\r\n|\n|\r")
"""Line ends as editors count them: without the form feeds and separators of Unicode that `str.splitlines` counts."""


_MOST_OF_FOUR_BYTES: Final = 2**32 - 1


class LineIndex:
    """Finds the line of an index in a text."""

    def __init__(self, text: str) -> None:
        """Finds the beginnings of the lines."""
        # Four bytes a line, where a list has forty: a file may be nothing but ends of lines.
        self._starts = array("L" if len(text) > _MOST_OF_FOUR_BYTES else "I", (0,))
        self._starts.extend(found.end() for found in _BREAK.finditer(text))

    def line_of(self, index: int) -> int:
        """Returns the number of the line, counted from 1, that has the character at an index."""
        return bisect_right(self._starts, index)


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """Yields the lines of a text with their ends, each with the index at which it begins."""
    start = 0
    for found in _BREAK.finditer(text):
        yield start, text[start : found.end()]
        start = found.end()
    if start < len(text):
        yield start, text[start:]


_BETWEEN = "\n\n"
GROUP_CHARS = 1000
"""Characters up to which rows of a table, or members of a JSON value, are put into one part."""
_MOST_NAMED: Final = 100
"""Pieces that are named each for itself when they are left out; of more, the number is."""
_LONGEST_NAME: Final = 200
"""Characters of a heading, of a sheet's name or of a cell's type. Each is repeated at every chunk below it."""


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file that is text, how it was decoded, and what is uncertain about that."""

    name: str
    text: str
    encoding: str
    problems: tuple[str, ...] = ()


class EnoughError(Exception):
    """A limit is reached; what was read until then is kept."""


class FullError(EnoughError):
    """Nothing more can be added."""


class Collector:
    """Collects the parts of one file."""

    def __init__(self, limits: Limits, source: TextFile | None = None) -> None:
        """Begins; `source` is the text that `span` takes parts of, None if text is added piece by piece."""
        self.limits = limits
        self.problems = list(source.problems) if source else []
        self.partial: list[str] = []
        self._unnamed = 0
        self.parts: list[Part] = []
        self._encoding = source.encoding if source else None
        self._source = self._cut(source.text) if source else None
        self._pieces: list[str] = []
        self._size = 0
        self._until = time.monotonic() + limits.max_seconds

    @property
    def text(self) -> str:
        """The text that `span` takes parts of, as far as it is taken."""
        return self._source or ""

    def _cut(self, text: str) -> str:
        if len(text) <= self.limits.max_text_chars:
            return text
        self.leave_out(self.too_long())
        return text[: self.limits.max_text_chars]

    def too_long(self) -> str:
        """Returns the sentence on a text that is longer than is taken."""
        return f"Only its first {self.limits.max_text_chars} characters were read (`max_text_chars`)."

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Ends the block without an error when a limit is reached, and notes which."""
        try:
            yield
        except EnoughError as limit:
            self.leave_out(str(limit))

    @contextmanager
    def keeping(self, rest: Callable[[], object]) -> Iterator[None]:
        """Calls `rest` to add what was read but not added yet, when the block ends or a limit is reached in it."""
        try:
            yield
        except FullError:
            raise
        except EnoughError:
            self._until = math.inf  # The time is up for reading, not for what was read.
            rest()
            raise
        rest()

    def leave_out(self, what: str) -> None:
        """Notes what of the file is not read, and where, in a sentence."""
        if len(self.partial) >= _MOST_NAMED:
            self._unnamed += 1
            return
        self.problems.append(what)
        self.partial.append(what)

    def add_late(self, text: str, place: Place) -> None:
        """Adds what was read before the time was up."""
        self._until = math.inf
        self.add(text, place)

    def check_time(self) -> None:
        """Looks at the clock.

        Raises:
            EnoughError: The file takes longer than it may.
        """
        if time.monotonic() > self._until:
            raise EnoughError(f"Reading it took longer than {self.limits.max_seconds:g} s (`max_seconds`).")

    def span(self, start: int, end: int, place: Place, context: str = "") -> None:
        """Takes a part out of the source; one of white space alone is left out."""
        self._check_room()
        piece = self.text[start:end]
        if piece.strip():
            self.parts.append(Part(piece, start, _bounded(place), context))

    def add(self, text: str, place: Place, context: str = "") -> None:
        """Adds a part to the text; one of white space alone is left out."""
        self._check_room()
        if not text.strip():
            return
        between = _BETWEEN if self.parts else ""
        start = self._size + len(between)
        piece = text[: max(self.limits.max_text_chars - start, 0)]
        if piece.strip():
            self._pieces += between, piece
            self._size = start + len(piece)
            self.parts.append(Part(piece, start, _bounded(place), context))
        if len(piece) < len(text):
            raise FullError(self.too_long())

    def _check_room(self) -> None:
        if len(self.parts) >= self.limits.max_parts:
            raise FullError(f"Only its first {self.limits.max_parts} parts were read (`max_parts`).")
        self.check_time()

    def parsed(self, kind: Kind, *, verbatim: bool | None = None, language: str | None = None) -> Parsed:
        """Returns what was collected. `verbatim` is None if there is a source, which then decides it."""
        more = [f"{self._unnamed} more pieces of it were left out."] if self._unnamed else []
        return Parsed(
            text="".join(self._pieces) if self._source is None else self._source,
            parts=tuple(self.parts),
            kind=kind,
            verbatim=self._source is not None if verbatim is None else verbatim,
            encoding=self._encoding,
            language=language,
            problems=(*self.problems, *more),
            partial=(*self.partial, *more),
        )


def _bounded(place: Place) -> Place:
    """Returns the place with names cut to a sensible length."""
    if not (place.headings or place.sheet or place.cell_type):
        return place
    return replace(
        place,
        headings=tuple(map(_shortened, place.headings)),
        sheet=None if place.sheet is None else _shortened(place.sheet),
        cell_type=None if place.cell_type is None else _shortened(place.cell_type),
    )


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def legible(text: str) -> str:
    """Returns text without halves of characters, which no encoding can write; broken fonts and JSON have some."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def may_be_escaped(text: str) -> bool:
    """True when a JSON text may have escaped characters."""
    return "\\u" in text
