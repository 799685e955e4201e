"""PowerPoint presentations, with python-pptx.

Owns: slides, their tables and notes. Refuses to know: pictures, charts and looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

from langchain_mix.retrievers.limits import Limits
from langchain_mix.retrievers.parsing.collecting import Collector
from langchain_mix.retrievers.parsing.parts import Parsed, Place


def read_powerpoint(data: bytes, limits: Limits) -> Parsed:
    """Reads a presentation, a part for each slide with its notes.

    Raises:
        ImportError: python-pptx is not installed.
        Exception: The file is damaged; its parsers raise many kinds.
    """
    from pptx import Presentation  # noqa: PLC0415  # An extra.

    found = Collector(limits)
    with found.bounded():
        for number, slide in enumerate(Presentation(BytesIO(data)).slides, 1):
            texts = [text for text in _texts(slide.shapes, found) if text.strip()]
            if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) and frame.text.strip():
                texts.append(f"Notes: {frame.text}")
            title = slide.shapes.title
            heading = title.text_frame.text.strip() if title is not None else ""
            found.add("\n".join(texts), Place(slide=number, headings=(heading,) if heading else ()))
    return found.parsed("powerpoint")


def _texts(shapes: Any, found: Collector) -> Iterator[str]:
    """The texts of shapes, groups included."""
    waiting = [iter(shapes)]
    while waiting:
        found.check_time()
        shape = next(waiting[-1], None)
        if shape is None:
            waiting.pop()
        elif hasattr(shape, "shapes"):
            waiting.append(iter(shape.shapes))
        elif shape.has_text_frame:
            # A vertical tab is PowerPoint's line break in a paragraph.
            yield shape.text_frame.text.replace("\v", "\n")
        elif getattr(shape, "has_table", False):
            yield from (" | ".join(cell.text for cell in row.cells) for row in shape.table.rows)
