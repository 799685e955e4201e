"""Word documents, with python-docx.

Owns: sections under headings, and tables among paragraphs. Refuses to know: looks, comments, headers and footers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any, Final

from langchain_mix.retrievers.limits import Limits
from langchain_mix.retrievers.parsing.collecting import Collector
from langchain_mix.retrievers.parsing.parts import Parsed, Place

_HEADING: Final = re.compile(r"heading (\d)", re.IGNORECASE)
_W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_TEXTS: Final = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}


def read_word(data: bytes, limits: Limits) -> Parsed:
    """Reads a document, a part for each section under a heading.

    Raises:
        ImportError: python-docx is not installed.
        Exception: The file is damaged; its parsers raise many kinds.
    """
    from docx import Document  # noqa: PLC0415  # An extra.

    document = Document(BytesIO(data))
    levels = _heading_levels(document)
    found = Collector(limits)
    with found.bounded():
        above: list[tuple[int, str]] = []
        lines: list[str] = []
        for level, text in _blocks(document.element.body, levels):
            found.check_time()
            if level and text.strip():
                found.add("\n".join(lines), Place(headings=tuple(title for _, title in above)))
                lines = []
                above = [*((other, title) for other, title in above if other < level), (level, text.strip())]
            lines.append(text)
        found.add("\n".join(lines), Place(headings=tuple(title for _, title in above)))
    return found.parsed("word")


def _heading_levels(document: Any) -> dict[str, int]:
    """The levels of the styles that are headings; each style is looked up once, not for every paragraph."""
    levels = {}
    for style in document.styles:
        name = style.name or ""
        if found := _HEADING.fullmatch(name):
            levels[style.style_id] = int(found[1])
        elif name.lower() == "title":
            levels[style.style_id] = 1
    return levels


def _blocks(body: Any, levels: Mapping[str, int]) -> Iterator[tuple[int, str]]:
    """Paragraphs and rows of tables, each with its level as a heading or 0.

    Wrappers such as content controls are looked into. No cell is repeated, however many columns it says to span.
    """
    waiting = [iter(body)]
    while waiting:
        element = next(waiting[-1], None)
        if element is None:
            waiting.pop()
        elif element.tag == f"{_W}p":
            style = element.find(f"{_W}pPr/{_W}pStyle")
            level = 0 if style is None else levels.get(style.get(f"{_W}val"), 0)
            yield level, _text_of(element)
        elif element.tag == f"{_W}tr":
            yield 0, " | ".join(_cell(cell) for cell in element.iterchildren(f"{_W}tc"))
        elif element.tag != f"{_W}sectPr":
            waiting.append(iter(element))


def _cell(cell: Any) -> str:
    return " ".join(text for p in cell.iter(f"{_W}p") if (text := _text_of(p).strip()))


def _text_of(paragraph: Any) -> str:
    """The text as it is printed: what was deleted and the alternatives of pictures are left out."""
    elements = paragraph.iter(f"{_W}t", *_TEXTS)
    return "".join(_TEXTS.get(element.tag) or element.text or "" for element in elements)
