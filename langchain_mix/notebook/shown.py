"""Pictures, tables and other files, read from content blocks.

Owns: what a block shows. Refuses to know: how what only the server has comes here (`fetching.py`).
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from langchain_mix.notebook.view import Media, MediaKind, Notice, as_text

_FILES: Final[Mapping[str, MediaKind]] = {"image": "image", "video": "video", "audio": "audio", "file": "file"}
_LARGEST: Final = 20_000_000
"""Characters of base64; more is not put in a page."""


def shown_part(block: Mapping[str, Any]) -> Media | Notice:
    """Reads a content block that is neither words nor about a tool.

    Args:
        block: The block.

    Returns:
        What it shows; the content itself only if the block has it.
    """
    if block["type"] not in _FILES:
        value = block.get("value")
        return _other(value if isinstance(value, Mapping) else block)
    extras = block.get("extras") or {}
    path, mime = str(block.get("file_id") or ""), str(block.get("mime_type") or "")
    media = Media(
        kind="table" if mime == "text/csv" else _FILES[block["type"]],
        # Agents tell paths of their server's disk; the server finds files by name.
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
    """What there is no block for: an animation, or something that nobody foresaw."""
    if value.get("title"):
        return Media(kind="other", title=str(value["title"]), description=str(value.get("description") or ""))
    return Notice(str(value.get("type") or "block"), as_text(dict(value)))
