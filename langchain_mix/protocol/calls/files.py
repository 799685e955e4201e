"""Calls on files of sessions: uploads, downloads and thumbnails."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from langchain_mix.errors import MixInputError, MixNotFoundError, MixResponseError
from langchain_mix.protocol.api import ApiKnowledge, having, require
from langchain_mix.protocol.call import Call, FilePart, Reply, content, filled, get, head, nothing, reads
from langchain_mix.protocol.models.sessions import FileInfo

__all__ = [
    "delete_file",
    "download_changed",
    "download_file",
    "get_screenshot",
    "list_files",
    "read_file",
    "upload_file",
]

_THUMB: Final = re.compile(r"[wh]?([0-9]{1,9})")
_THUMB_PIXELS: Final = range(16, 1025)
_LAST_SECOND: Final = 86_400


def list_files(session_id: str) -> Call[list[FileInfo]]:
    """Lists the uploaded files, which all sessions share; a session's private files are not listed."""
    return get(list[FileInfo], "api", "sessions", session_id, "files")


def upload_file(session_id: str, part: FilePart) -> Call[FileInfo]:
    """Uploads a file. One of the same name is overwritten, in all sessions.

    Returns:
        The call. The name in its result may differ from the one sent, and is the one to use.

    Raises:
        MixInputError: The file has no name.
    """
    filled("file name", part.name)
    return Call(
        method="POST",
        segments=("api", "sessions", session_id, "files", "upload"),
        upload=part,
        decode=reads(FileInfo),
        statuses=(201,),
    )


def download_file(
    session_id: str, filename: str, *, thumb: str | None = None, time: float | None = None
) -> Call[bytes]:
    """Reads a file, or a small picture of an image or video.

    Args:
        session_id: The session; its private files come before uploads of the same name.
        filename: The file's name on the server.
        thumb: The size of the picture in pixels, 16 to 1024: `N` for both sides, `wN` for the width, `hN` for
            the height.
        time: Where in a video the picture is taken, in seconds, 0 to 86,400; the server's default is 1.

    Raises:
        MixInputError: The size or the time is out of range.
    """
    query: list[tuple[str, str]] = []
    if thumb is not None:
        size = _THUMB.fullmatch(thumb)
        if size is None or int(size[1]) not in _THUMB_PIXELS:
            raise MixInputError(
                f"`thumb` is {thumb!r}; it is a number of pixels from 16 to 1024, perhaps after `w` or `h`.",
                hint="Use '100', 'w200' or 'h200', for example.",
            )
        query.append(("thumb", thumb))
    if time is not None:
        if not 0 <= time <= _LAST_SECOND:  # Refuses NaN too.
            raise MixInputError(f"`time` is {time}; it is 0 to 86,400 seconds.")
        query.append(("time", str(time)))
    return Call(
        method="GET",
        segments=("api", "sessions", session_id, "files", filename),
        query=tuple(query),
        decode=content,
        is_file=True,
        idempotent=True,
    )


def download_changed(session_id: str, filename: str, since: str) -> Call[Reply]:
    """Reads a file unless it is the one that is known by this `Last-Modified`; empty reads it in any case.

    Mix: files of a session's own directory have `Last-Modified`, and with the same value in `If-Modified-Since` the
    answer is 304. Uploads have none, and are read whatever the request says.

    Returns:
        The call; its result is the head of the answer.
    """
    call: Call[Any] = download_file(session_id, filename)
    if not since:
        return replace(call, decode=head)
    return replace(call, decode=head, headers=(("If-Modified-Since", since),), statuses=(200, 304))


def read_file(session_id: str, filename: str) -> Call[bytes | None]:
    """Reads a file that may be missing; the result is None then. A missing session is an error."""
    call: Call[Any] = download_file(session_id, filename)
    return replace(call, recover=_missing)


def get_screenshot(detected: ApiKnowledge, session_id: str, filename: str) -> Call[bytes]:
    """Reads a picture of the browser that a tool call took, a PNG (Mix 0.8).

    Of an address, as `screenshot_urls` has it, the last segment counts: the request goes to this server, wherever the
    address leads.

    Raises:
        MixInputError: There is no name.
        MixUnsupportedError: No generation the server may be has screenshots.
    """
    needed = require(detected, "screenshots", "Reading a screenshot")
    name = unquote(urlsplit(filename).path.rpartition("/")[2]) if "/" in filename else filename
    filled("file name", name)
    return Call(
        method="GET",
        segments=("api", "sessions", session_id, "screenshots", name),
        decode=content,
        requires=needed,
        is_file=True,
        shows=lambda _: having("screenshots"),
        idempotent=True,
    )


def delete_file(session_id: str, filename: str) -> Call[None]:
    """Deletes an uploaded file, for all sessions. A file that is gone already is no error."""
    return Call(
        method="DELETE",
        segments=("api", "sessions", session_id, "files", filename),
        decode=nothing,
        recover=_missing,  # Where uploads live decides whether Mix answers 204 or 404 for a missing file.
        statuses=(204,),
        idempotent=True,
    )


def _missing(error: MixResponseError) -> None:
    """Returns None for the refusal that says that a file is missing, and raises any other, as for a missing session.

    Raises:
        MixResponseError: It says something else.
    """
    if not (isinstance(error, MixNotFoundError) and error.error.message.startswith("File with ID")):
        raise error
