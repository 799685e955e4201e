"""What a file is read into.

Owns: the text of a file, its parts, and the places they have. Refuses to know: formats.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final, Literal, TypeAlias

Kind: TypeAlias = Literal[
    "text", "markdown", "code", "csv", "json", "jsonl", "html", "notebook",
    "pdf", "word", "excel", "powerpoint", "opendocument", "epub", "rtf", "mail",
    "image", "audio", "video", "archive", "binary", "empty",
]  # fmt: skip
"""What a file is, by its content first and its name second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a file a text is. What a format does not have is None.

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
        part: The part of a document beside its main text: `header`, `footnote 2`, `comment 1`, `chart`, `notes`.
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
        """What is known, as plain values for the metadata of a document."""
        known = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "headings"}
        found = {name: value for name, value in known.items() if value is not None}
        return {**found, "headings": list(self.headings)} if self.headings else found


NOWHERE: Final = Place()
"""The place of a text of which nothing but its index is known."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a file that belongs together: a page, a section, a group of rows.

    Attributes:
        text: Its text: `parsed.text[start_index:end_index]`.
        start_index: Where it begins in the text of the file, in characters.
        place: Where it is in the file.
        context: Text that belongs in front of it and stands elsewhere in the file: the header of a table.
    """

    text: str
    start_index: int
    place: Place = NOWHERE
    context: str = ""

    @property
    def end_index(self) -> int:
        """Where it ends in the text of the file, in characters."""
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
