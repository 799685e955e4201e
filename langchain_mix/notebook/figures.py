"""Pictures, tables and other files as HTML.

Owns: what of a file is put in the page: a picture that is one by its first bytes, a part of a table.
Refuses to know: how files come here (`fetching.py`).
"""

from __future__ import annotations

import csv
import re
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import StringIO
from itertools import islice
from typing import Final

from langchain_mix.notebook.markdown import link
from langchain_mix.notebook.view import Media

_ROWS: Final = 50
_COLUMNS: Final = 30
_CELL_CHARS: Final = 300
_NUMBER: Final = re.compile(r"[-+]?[\d., ]*\d(e[-+]?\d+)?%?", re.IGNORECASE | re.ASCII)
_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def picture_type(content: bytes) -> str:
    """The media type of a picture that browsers show, by its first bytes; empty for anything else."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((mime for magic, mime in _MAGIC if content.startswith(magic)), "")


def figure(media: Media) -> str:
    """A file as HTML.

    Args:
        media: What to show.

    Returns:
        A picture or a table if its content is here, else its name, a link if it is in the web, and why it is not here.
    """
    if media.content is not None and media.kind == "table":
        return _table(media)
    mime = picture_type(media.content) if media.content is not None else ""
    if not mime:
        return _named(media)
    source = f"data:{mime};base64,{b64encode(media.content or b'').decode()}"
    title = media.title or media.name or "picture"
    return f'<figure><img src="{source}" alt="{escape(title)}"><figcaption>{_caption(media)}</figcaption></figure>'


def _caption(media: Media) -> str:
    words = [f"<strong>{escape(media.title)}</strong>"] if media.title else []
    if media.url:
        words.append(link(media.url, media.url if len(media.url) <= _CELL_CHARS else f"{media.url[:_CELL_CHARS]}…"))
    elif media.name:
        words.append(f"<code>{escape(media.name)}</code>")
    if media.description:
        words.append(escape(media.description))
    return " · ".join(words)


def _named(media: Media) -> str:
    why = f" — {escape(media.problem)}" if media.problem else ""
    kind = "animation or other" if media.kind == "other" else media.kind
    return f'<div class="lcm-cap">Shown: {kind} {_caption(media)}{why}</div>'


def _table(media: Media) -> str:
    content = media.content or b""
    head, rows, more = read_table(content.decode("utf-8-sig", errors="replace"))
    columns = "".join(f'<th scope="col">{_cell(cell)}</th>' for cell in head)
    body = "".join(f"<tr>{''.join(map(_field, row))}</tr>" for row in rows)
    left = f'<div class="lcm-cap">{more}</div>' if more else ""
    return (
        f'<div class="lcm-grid" tabindex="0"><table><caption>{_caption(media)}</caption>'
        f"<thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>{left}"
    )


def read_table(text: str) -> tuple[Sequence[str], Sequence[Sequence[str]], str]:
    """Reads the beginning of a table.

    Args:
        text: Comma-separated values, or values separated by semicolons or tabs.

    Returns:
        The first row, some of the others, and what is left out, in words.
    """
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    try:
        rows = csv.reader(StringIO(text, newline=""), delimiter=separator)
        head = next(rows, [])
        shown = list(islice(rows, _ROWS))
        left = sum(1 for _ in rows)
    except csv.Error as problem:
        return ["?"], [], f"This is no table: {problem}."
    wide = max(map(len, [head, *shown])) - _COLUMNS
    told = [f"{left:,} more rows"] if left > 0 else []
    if wide > 0:
        told.append(f"{wide:,} more columns")
    return head[:_COLUMNS], [row[:_COLUMNS] for row in shown], ", ".join(told)


def _field(text: str) -> str:
    kind = ' class="lcm-num"' if _NUMBER.fullmatch(text.strip()) else ""
    return f"<td{kind}>{_cell(text)}</td>"


def _cell(text: str) -> str:
    return escape(text if len(text) <= _CELL_CHARS else f"{text[:_CELL_CHARS]}…")
