"""Pictures and tables that only the server has.

Owns: which files are asked for, how much of them, and from whom: the given client's own server, and no other.
Refuses to know: how they are shown (`figures.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from langchain_mix.errors import MixError, MixNetworkError
from langchain_mix.notebook.view import Media, Part, Tool, View

if TYPE_CHECKING:
    from langchain_mix.protocol.call import Flow

_MOST_FILES: Final = 24
_MOST_BYTES: Final = 4_000_000
"""Of one file; a notebook holds all of it."""
_WANTED: Final = frozenset({"image", "video", "table"})


def wanted(view: View) -> list[Media]:
    """What is shown by name and is not here yet."""
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
    """Asks the server for what the view shows: small pictures of pictures and videos, and tables.

    What cannot be had is noted beside its name; a display lacks a picture then, and nothing else.

    Args:
        view: What is shown.
        session_id: The session; empty for the one that the stream told of.
        server_url: The client's server. A view of another server is left as it is.
        pixels: Longest side of pictures, 16 to 1024.

    Returns:
        The flow.
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
                return  # Nobody waits for the same once for each file.
            continue
        if len(content) > _MOST_BYTES:
            media.problem = f"it has {len(content):,} bytes, too many to be shown here"
        else:
            media.content = content


def _why_not(session: str, *, elsewhere: bool) -> str:
    if elsewhere:
        return "it is at another server than the client's"
    return "there are more files than are fetched" if session else "its session is not known; pass session_id="
