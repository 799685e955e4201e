"""Parts put together under limits.

Owns: where parts stand in the text, and when enough was read. Refuses to know: formats.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from langchain_mix.retrievers.limits import Limits
from langchain_mix.retrievers.parsing.parts import Kind, Parsed, Part, Place

_BETWEEN = "\n\n"
GROUP_CHARS = 1000
"""Characters up to which rows of a table, or members of a JSON value, are put into one part."""
_MOST_NAMED: Final = 100
"""Pieces that are named each for itself when they are left out; of more, the number is."""
_LONGEST_NAME: Final = 200
"""Characters of a heading, of a sheet's name or of a cell's type. Each stands at every chunk below it."""


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file that is text.

    Attributes:
        name: Its name.
        text: Its decoded text.
        encoding: How it was decoded.
        problems: What is uncertain about it.
    """

    name: str
    text: str
    encoding: str
    problems: tuple[str, ...] = ()


class EnoughError(Exception):
    """A limit is reached; what was read until then stands."""


class FullError(EnoughError):
    """Nothing more can be added."""


class Collector:
    """Collects the parts of one file."""

    def __init__(self, limits: Limits, source: TextFile | None = None) -> None:
        """Begins.

        Args:
            limits: How much is taken.
            source: The text that `span` takes parts of; None if text is added piece by piece.
        """
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
        """Adds what was read but not added yet, when the block ends and when a limit is reached in it.

        Args:
            rest: Adds it.
        """
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
        """What was collected.

        Args:
            kind: What the file is.
            verbatim: Whether the text is the decoded file itself; None if there is a source.
            language: The programming language.

        Returns:
            The file.
        """
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
    """The place with names of a length that names have."""
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
