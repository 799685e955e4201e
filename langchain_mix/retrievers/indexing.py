"""From a file's bytes to chunks with exact spans and their search terms.

Owns: how files are split, and what is stored of a file that was read.
Refuses to know: other files, and where bytes come from.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import Any, Final

from langchain_text_splitters import Language, RecursiveCharacterTextSplitter, TextSplitter

from langchain_mix.errors import MixConfigurationError
from langchain_mix.retrievers.files import RemoteFile, file_url
from langchain_mix.retrievers.parsing.dispatch import parse
from langchain_mix.retrievers.parsing.json_values import Shown
from langchain_mix.retrievers.parsing.parsed import (
    NOWHERE,
    Kind,
    Limits,
    LineIndex,
    Parsed,
    Part,
    Place,
    Skipped,
    may_be_escaped,
)
from langchain_mix.retrievers.tokens import terms_of

_LANGUAGES: Final = frozenset(language.value for language in Language)
_SENTENCES: Final = ["\n\n", "\n", r"(?<=[.!?])\s+", r"(?<=[。！？।؟])", " ", ""]  # noqa: RUF001
"""Separators of prose, the best first; scripts without spaces have their own marks."""

_SPACE: Final = re.compile(r"\s")
_BLOCK: Final = 100_000
"""Characters that are given to a splitter at once, at most; chunks of one block do not overlap those of the next."""


@dataclass(frozen=True, slots=True)
class Splitting:
    """Splits files: Markdown by its blocks, code by its language, everything else by paragraphs and sentences.

    Sizes are in characters; the overlap, which a chunk may repeat of the one before it, is less than the size.
    """

    chunk_size: int = 1000
    chunk_overlap: int = 150

    def __post_init__(self) -> None:
        """Refuses sizes that cannot work."""
        if self.chunk_size < 1 or not 0 <= self.chunk_overlap < self.chunk_size:
            raise MixConfigurationError(
                f"chunk_size={self.chunk_size}, chunk_overlap={self.chunk_overlap} cannot work.",
                hint="The size is at least 1, and the overlap is less than the size.",
            )

    def splitter_for(self, parsed: Parsed, part: Part) -> TextSplitter:
        """Returns the splitter for one part of a file."""
        if parsed.kind == "markdown" or part.place.cell_type == "markdown":
            return _splitter(Language.MARKDOWN.value, self.chunk_size, self.chunk_overlap)
        code = parsed.language in _LANGUAGES and part.place.cell_type in {None, "code"}
        return _splitter(parsed.language if code else None, self.chunk_size, self.chunk_overlap)


@lru_cache(maxsize=64)
def _splitter(language: str | None, size: int, overlap: int) -> TextSplitter:
    """Returns a splitter that keeps every character, white space included: only so can its pieces be found again."""
    if language is not None:
        return RecursiveCharacterTextSplitter.from_language(
            Language(language), chunk_size=size, chunk_overlap=overlap, strip_whitespace=False
        )
    return RecursiveCharacterTextSplitter(
        _SENTENCES, is_separator_regex=True, chunk_size=size, chunk_overlap=overlap, strip_whitespace=False
    )


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a file's text.

    Attributes:
        text: The text: exactly `parsed.text[start_index:end_index]`.
        start_index: Where it begins in the text of the file, in characters.
        end_index: Where it ends.
        place: Where it is in the file; lines are those of the chunk itself.
        context: Text that belongs in front of it and is elsewhere: the header of a table.
        shown: The text as readers see it, where that is another: with the escapes of JSON decoded.
    """

    text: str
    start_index: int
    end_index: int
    place: Place = NOWHERE
    context: str = ""
    shown: str = ""

    @property
    def content(self) -> str:
        """Returns the text as readers see it, with what belongs in front of it."""
        text = self.shown or self.text
        return f"{self.context}\n{text}" if self.context else text

    def metadata(self) -> dict[str, Any]:
        """Returns the span and the place, as plain values."""
        return {"start_index": self.start_index, "end_index": self.end_index, **self.place.metadata()}


def chunks_of(parsed: Parsed, rule: Splitting) -> Iterator[Chunk]:
    """Cuts a file into chunks, in order; none spans two pages, sheets, sections or cells, or is white space alone.

    Rows of tables and records of JSON are put together up to the size of a chunk, and cut only if one alone is larger.
    The caller may stop in between.
    """
    lines = LineIndex(parsed.text) if parsed.verbatim else None
    for part in _joined(parsed, rule):
        # Where escapes are decoded, the text is cut as readers see it, so that no character is taken apart.
        seen = Shown(part.text) if parsed.escaped and may_be_escaped(part.text) else None
        for start, end in _spans_of(parsed, part if seen is None else replace(part, text=seen.text), rule):
            if seen is None:
                yield _chunk(parsed, part, start, end, lines)
            else:
                chunk = _chunk(parsed, part, seen.in_source(start), seen.in_source(end), lines)
                yield replace(chunk, shown=seen.text[start:end])


def _joined(parsed: Parsed, rule: Splitting) -> Iterator[Part]:
    """Rows side by side become one part as long as they fit into one chunk."""
    waiting: Part | None = None
    for part in parsed.parts:
        if (
            waiting is not None
            and _belong_together(waiting, part)
            and part.end_index - waiting.start_index <= rule.chunk_size
        ):
            text = parsed.text[waiting.start_index : part.end_index]
            place = replace(waiting.place, end_row=part.place.end_row, end_line=part.place.end_line)
            waiting = replace(waiting, text=text, place=place)
            continue
        if waiting is not None:
            yield waiting
        waiting = part
    if waiting is not None:
        yield waiting


def _belong_together(first: Part, second: Part) -> bool:
    rows = first.place.end_row is not None and second.place.start_row is not None
    return rows and first.context == second.context and first.place.sheet == second.place.sheet


def _spans_of(parsed: Parsed, part: Part, rule: Splitting) -> Iterator[tuple[int, int]]:
    """Yields the spans of the chunks of a part, without white space around them."""
    text = part.text
    whole = len(text) <= rule.chunk_size
    spans = iter([(0, len(text))]) if whole else _block_by_block(text, rule.splitter_for(parsed, part), rule)
    for start, end in spans:
        piece = text[start:end]
        if piece.strip():
            yield start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())


def _block_by_block(text: str, splitter: TextSplitter, rule: Splitting) -> Iterator[tuple[int, int]]:
    """Yields the spans of the pieces of a text of any length. Splitters know no pause; between blocks there is one."""
    size, start = max(_BLOCK, 4 * rule.chunk_size), 0
    while start < len(text):
        end = start + size
        if end < len(text):
            half = start + size // 2
            end = max(text.rfind("\n", half, end), text.rfind(" ", half, end)) + 1 or end
        block = text[start:end]
        spans = _spans(block, splitter, rule) if len(block) < size or _SPACE.search(block) else _windows(block, rule)
        yield from ((start + first, start + last) for first, last in spans)
        start = end


def _windows(text: str, rule: Splitting) -> Iterator[tuple[int, int]]:
    """Pieces of data in letters, which has no better places to be cut; splitters try each character."""
    step = rule.chunk_size - rule.chunk_overlap
    for start in range(0, max(len(text) - rule.chunk_overlap, 1), step):
        yield start, min(start + rule.chunk_size, len(text))


def _spans(text: str, splitter: TextSplitter, rule: Splitting) -> Iterator[tuple[int, int]]:
    """Yields the spans of the pieces: each begins as early as it can, for splitters do not report them.

    It cannot share more with the one before it than the overlap, and it ends behind that one. Where a text repeats
    itself, that may be before the place where it was cut; what is left between two then is a piece of its own.
    """
    end = 0
    for piece in splitter.split_text(text):
        found = text.find(piece, max(0, end - rule.chunk_overlap, end - len(piece) + 1))
        start = found if found >= 0 else end
        yield from _between(end, start, rule)
        end = min(start + len(piece), len(text))
        yield start, end
    yield from _between(end, len(text), rule)


def _between(first: int, last: int, rule: Splitting) -> Iterator[tuple[int, int]]:
    return ((start, min(start + rule.chunk_size, last)) for start in range(first, last, rule.chunk_size))


def _chunk(parsed: Parsed, part: Part, start: int, end: int, lines: LineIndex | None) -> Chunk:
    first, last = part.start_index + start, part.start_index + end
    place = part.place
    if lines is not None:
        place = replace(place, start_line=lines.line_of(first), end_line=lines.line_of(last - 1))
    return Chunk(parsed.text[first:last], first, last, place, part.context)


_DIGEST_BYTES: Final = 16
_CHUNKS_BETWEEN_LOOKS: Final = 50
"""Chunks that are cut between two looks at the clock."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Options for reading files into chunks. An image is a document with `images`; its text is its name."""

    splitting: Splitting
    limits: Limits
    images: bool = False
    stemming: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedFile:
    """A file as it was when it was read last.

    Attributes:
        name: Its name on the server.
        listed_size: Its size in bytes as listed then; a download may give another one.
        modified: Unix time of its last change as listed then; None if the server does not report it.
        checksum: Of its bytes; empty if they could not be had.
        checked_at: Unix time in seconds at which it was downloaded last.
        kind: What it is; None if that is not known.
        chunks: Its chunks, in order.
        terms: The search terms of each.
        problems: What was left out of it or is uncertain, a sentence each.
        partial: Those of them that name something that was left out.
        skipped: Why it has no chunks, as the rest of a sentence that begins with its name; empty if it was read.
    """

    name: str
    listed_size: int
    modified: float | None
    checksum: str
    checked_at: float
    kind: Kind | None = None
    chunks: tuple[Chunk, ...] = ()
    terms: tuple[list[str], ...] = ()
    problems: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    skipped: str = ""

    def is_listed_as(self, file: RemoteFile) -> bool:
        """True when the listing shows nothing of a change. It need not: the size may be the same by chance."""
        return self.listed_size == file.size and self.modified == file.modified


def index_file(file: RemoteFile, data: bytes, now: float, reading: Reading) -> IndexedFile:
    """Reads a file into chunks at this Unix time; one that cannot be read has a reason instead of chunks."""
    parsed = parse(file.name, data, reading.limits)
    chunks: tuple[Chunk, ...] = ()
    problems: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    skipped = ""
    if not isinstance(parsed, Skipped):
        chunks, cut = _chunks_in_time(parsed, reading)
        problems, partial = (*parsed.problems, *cut), (*parsed.partial, *cut)
    elif reading.images and parsed.kind == "image":
        chunks = (Chunk(image_text(file.name), 0, 0),)
    else:
        skipped = parsed.reason
    return IndexedFile(
        name=file.name,
        listed_size=file.size,
        modified=file.modified,
        checksum=checksum_of(data),
        checked_at=now,
        kind=parsed.kind,
        chunks=chunks,
        terms=search_terms(file.name, chunks, reading.stemming),
        problems=problems,
        partial=partial,
        skipped=skipped,
    )


def image_text(name: str) -> str:
    """Returns the searchable text of an image."""
    return f"Image: {name}"


def _chunks_in_time(parsed: Parsed, reading: Reading) -> tuple[tuple[Chunk, ...], tuple[str, ...]]:
    """Returns the chunks that are ready in time, and a sentence on what is missing if some were not."""
    until = time.monotonic() + reading.limits.max_seconds
    chunks: list[Chunk] = []
    for number, chunk in enumerate(chunks_of(parsed, reading.splitting)):
        if number % _CHUNKS_BETWEEN_LOOKS == 0 and time.monotonic() > until:
            cut = f"Only its first {chunk.start_index} characters were cut into passages in time (`max_seconds`)."
            return tuple(chunks), (cut,)
        chunks.append(chunk)
    return tuple(chunks), ()


def remote_file(file: IndexedFile, session_id: str, server_url: str) -> RemoteFile:
    """Returns the file as it was listed when it was read last."""
    return RemoteFile(file.name, file.listed_size, file.modified, file_url(server_url, session_id, file.name))


def search_terms(name: str, chunks: tuple[Chunk, ...], stemming: str | None = None) -> tuple[list[str], ...]:
    """Returns the terms under which each chunk is found: of its text, of what is above, and of the file's name.

    Above are headings, and the keys of a JSON document that lead to a value.
    """
    path = PurePosixPath(name)
    common = terms_of(" ".join((*path.parts[:-1], path.stem)), stemming)
    return tuple(common + terms_of(_above(c.place), stemming) + terms_of(c.content, stemming) for c in chunks)


def _above(place: Place) -> str:
    return " ".join((*place.headings, *(place.pointer or "").split("/")))


def checksum_of(data: bytes) -> str:
    """Returns the checksum of a file's bytes, in hexadecimal digits."""
    return blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()


def digest_of(text: str) -> str:
    """Returns the checksum of a text, in hexadecimal digits."""
    return blake2b(text.encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
