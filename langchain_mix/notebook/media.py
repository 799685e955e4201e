"""Pictures, tables and other files: read from content blocks, fetched from the server, and written as HTML.

Owns: which files are requested, from which server, and how much of them; what of a file is put in a page.
Refuses to know: anything else that messages contain.
"""

from __future__ import annotations

import csv
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from html import escape
from io import StringIO
from itertools import islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from langchain_mix.errors import MixError, MixNetworkError
from langchain_mix.notebook.markdown import link
from langchain_mix.notebook.view import Media, MediaKind, Notice, Part, Tool, View, as_text

if TYPE_CHECKING:
    from langchain_mix.protocol.call import Flow

_MOST_FILES: Final = 24
_MOST_BYTES: Final = 4_000_000
"""Of one file; a notebook holds all of it."""
_WANTED: Final = frozenset({"image", "video", "table"})


def wanted(view: View) -> list[Media]:
    """Returns the media shown by name whose content is missing."""
    parts = [part for section in view.sections.values() for part in section.parts]
    found: list[Media] = []
    while parts:
        part: Part = parts.pop(0)
        if isinstance(part, Tool):
            parts[:0] = part.parts
        elif isinstance(part, Media) and part.kind in _WANTED and part.name and part.content is None:
            found.append(part)
    return [media for media in found if not media.problem]


def fetching(view: View, session_id: str, server_url: str, *, pixels: int) -> Flow[None]:
    """Fetches small pictures of pictures and videos, and tables, from the client's own server.

    What cannot be had is noted with its name. Without `session_id` the files are those of the stream's session;
    `pixels` is the longest side of pictures.
    """
    from langchain_mix.protocol import calls  # noqa: PLC0415  # Models of the wire are loaded when they are needed.
    from langchain_mix.protocol.call import ask  # noqa: PLC0415  # The same.

    session = session_id or view.session_id
    files = wanted(view)
    elsewhere = view.server and view.server != server_url
    for number, media in enumerate(files):
        view.touch(media)
        if not session or elsewhere or number >= _MOST_FILES:
            media.problem = _why_not(session, elsewhere=bool(elsewhere))
            continue
        thumb = None if media.kind == "table" else str(pixels)
        try:
            content = yield from ask(calls.download_file(session, media.name, thumb=thumb))
        except MixError as error:
            media.problem = error.message
            if isinstance(error, MixNetworkError):
                return  # The others would fail alike.
            continue
        if len(content) > _MOST_BYTES:
            media.problem = f"it has {len(content):,} bytes, too many to be shown here"
        else:
            media.content = content


def _why_not(session: str, *, elsewhere: bool) -> str:
    if elsewhere:
        return "it is at another server than the client's"
    return "there are more files than are fetched" if session else "its session is not known; pass session_id="


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
    """Returns a picture or a table as HTML; where its content is not here, its name or a link, and why."""
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
        f'<figure><figcaption>{_caption(media)}</figcaption><div class="lcm-grid" tabindex="0"><table>'
        f"<thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>{left}</figure>"
    )


def read_table(text: str) -> tuple[Sequence[str], Sequence[Sequence[str]], str]:
    """Reads the beginning of values separated by commas, semicolons or tabs.

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
    known = [f"{left:,} more rows"] if left > 0 else []
    if wide > 0:
        known.append(f"{wide:,} more columns")
    return head[:_COLUMNS], [row[:_COLUMNS] for row in shown], ", ".join(known)


def _field(text: str) -> str:
    kind = ' class="lcm-num"' if _NUMBER.fullmatch(text.strip()) else ""
    return f"<td{kind}>{_cell(text)}</td>"


def _cell(text: str) -> str:
    return escape(text if len(text) <= _CELL_CHARS else f"{text[:_CELL_CHARS]}…")


_FILES: Final[Mapping[str, MediaKind]] = {"image": "image", "video": "video", "audio": "audio", "file": "file"}
_LARGEST: Final = 20_000_000
"""Characters of base64; more is not put in a page."""


def shown_part(block: Mapping[str, Any]) -> Media | Notice:
    """Reads a content block that is neither words nor about a tool; its content only if the block has it."""
    if block["type"] not in _FILES:
        value = block.get("value")
        return _other(value if isinstance(value, Mapping) else block)
    extras = block.get("extras") or {}
    path, mime = str(block.get("file_id") or ""), str(block.get("mime_type") or "")
    media = Media(
        kind="table" if mime == "text/csv" else _FILES[block["type"]],
        # Agents give paths of their server's disk; the server finds files by name.
        name=PurePosixPath(path.replace("\\", "/")).name,
        url=str(block.get("url") or ""),
        title=str(extras.get("title") or ""),
        description=str(extras.get("description") or ""),
        mime_type=mime,
    )
    encoded = block.get("base64")
    if isinstance(encoded, str):
        _decode(media, encoded)
    return media


def _decode(media: Media, encoded: str) -> None:
    if len(encoded) > _LARGEST:
        media.problem = "it is too large to be shown here"
        return
    try:
        media.content = b64decode(encoded, validate=True)
    except ValueError:
        media.problem = "its data is no valid base64"


def _other(value: Mapping[str, Any]) -> Media | Notice:
    """Reads what there is no block for: an animation, or an unknown value."""
    if value.get("title"):
        return Media(kind="other", title=str(value["title"]), description=str(value.get("description") or ""))
    return Notice(str(value.get("type") or "block"), as_text(dict(value)))
