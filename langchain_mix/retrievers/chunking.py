"""Texts of files cut into chunks that know where they stand.

Owns: how each kind of file is split, and the exact span of each chunk. Refuses to know: how files are read and what
chunks are for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from langchain_text_splitters import Language, RecursiveCharacterTextSplitter, TextSplitter

from langchain_mix.errors import MixConfigurationError, MixInputError
from langchain_mix.retrievers.parsing.lines import LineIndex
from langchain_mix.retrievers.parsing.parts import NOWHERE, Parsed, Part, Place

_LANGUAGES: Final = frozenset(language.value for language in Language)
_SENTENCES: Final = ["\n\n", "\n", r"(?<=[.!?])\s+", r"(?<=[。！？।؟])", " ", ""]  # noqa: RUF001
"""Where prose is cut, the best place first; scripts without spaces have their own marks."""


@dataclass(frozen=True, slots=True)
class Splitting:
    """How files are split: Markdown by its blocks, code by its language, everything else by paragraphs and sentences.

    Attributes:
        chunk_size: Characters that a chunk may have.
        chunk_overlap: Characters at the end of a chunk that may stand at the beginning of the next one, too; less than
            `chunk_size`.
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
        """The splitter for one part of a file."""
        if parsed.kind == "markdown" or part.place.cell_type == "markdown":
            return _splitter(Language.MARKDOWN.value, self.chunk_size, self.chunk_overlap)
        code = parsed.language in _LANGUAGES and part.place.cell_type in {None, "code"}
        return _splitter(parsed.language if code else None, self.chunk_size, self.chunk_overlap)


@lru_cache(maxsize=64)
def _splitter(language: str | None, size: int, overlap: int) -> TextSplitter:
    if language is not None:
        return RecursiveCharacterTextSplitter.from_language(Language(language), chunk_size=size, chunk_overlap=overlap)
    return RecursiveCharacterTextSplitter(_SENTENCES, is_separator_regex=True, chunk_size=size, chunk_overlap=overlap)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a file's text: exactly `parsed.text[start_index:end_index]`.

    Attributes:
        text: The text.
        start_index: Where it begins in the text of the file, in characters.
        end_index: Where it ends.
        place: Where it is in the file; lines are those of the chunk itself.
        context: Text that belongs in front of it and stands elsewhere: the header of a table.
    """

    text: str
    start_index: int
    end_index: int
    place: Place = NOWHERE
    context: str = ""

    @property
    def content(self) -> str:
        """The text with what belongs in front of it."""
        return f"{self.context}\n{self.text}" if self.context else self.text

    def metadata(self) -> dict[str, Any]:
        """The span and the place, as plain values."""
        return {"start_index": self.start_index, "end_index": self.end_index, **self.place.metadata()}


def chunk(parsed: Parsed, splitter: Splitting | TextSplitter | None = None) -> list[Chunk]:
    """Cuts a file into chunks; none spans two pages, sheets, sections or cells.

    Rows of tables and records of JSON are put together up to the size of a chunk, and cut only if one alone is larger.

    Args:
        parsed: The file.
        splitter: How; None for the defaults of `Splitting`. A splitter of LangChain's is used for every kind of file;
            it must give pieces of the text as they are, in order.

    Returns:
        The chunks in order; those of white space alone are left out.

    Raises:
        MixInputError: The splitter of LangChain's changes the text, so that nothing could tell where a chunk stands.
    """
    rule = splitter or Splitting()
    lines = LineIndex(parsed.text) if parsed.verbatim else None
    found: list[Chunk] = []
    for part in _joined(parsed, rule):
        found += [_chunk(parsed, part, start, end, lines) for start, end in _spans_of(parsed, part, rule)]
    return found


def _joined(parsed: Parsed, rule: Splitting | TextSplitter) -> Iterator[Part]:
    """Rows side by side become one part as long as they fit into one chunk."""
    size = rule.chunk_size if isinstance(rule, Splitting) else 0
    waiting: Part | None = None
    for part in parsed.parts:
        if waiting is not None and _belong_together(waiting, part) and part.end_index - waiting.start_index <= size:
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


def _spans_of(parsed: Parsed, part: Part, rule: Splitting | TextSplitter) -> Iterator[tuple[int, int]]:
    text = part.text
    if not isinstance(rule, Splitting):
        return _spans(text, rule, int(getattr(rule, "_chunk_overlap", 0)))
    if len(text) <= rule.chunk_size:
        return iter([(len(text) - len(text.lstrip()), len(text.rstrip()))])
    return _spans(text, rule.splitter_for(parsed, part), rule.chunk_overlap)


def _spans(text: str, splitter: TextSplitter, overlap: int) -> Iterator[tuple[int, int]]:
    """Where the pieces stand: each begins as early as what it shares with the one before it allows."""
    pieces: Sequence[str] = splitter.split_text(text)
    start = end = 0
    for piece in pieces:
        if not piece.strip():
            continue
        found = text.find(piece, max(start, end - overlap))
        if found < 0 or (found == start and found + len(piece) <= end):
            # A splitter may count its overlap in tokens; and no piece is the one before it, though it may look like it.
            found = text.find(piece, start + (end > 0))
        if found < 0:
            raise MixInputError(
                f"{type(splitter).__name__} changes the text that it splits, so that chunks have no place in it.",
                hint="Use one that keeps the text, for example with `keep_separator=True`.",
            )
        start, end = found, found + len(piece)
        yield start, end


def _chunk(parsed: Parsed, part: Part, start: int, end: int, lines: LineIndex | None) -> Chunk:
    first, last = part.start_index + start, part.start_index + end
    place = part.place
    if lines is not None:
        place = replace(place, start_line=lines.line_of(first), end_line=lines.line_of(last - 1))
    return Chunk(parsed.text[first:last], first, last, place, part.context)
