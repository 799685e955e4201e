"""The files of a session as the server lists them.

Owns: which listed files are documents, which names are refused, and where a file is read.
Refuses to know: which files a user wants (`selection.py`) and what is in them. The URLs that a server gives are not
used: they lead wherever its `Host` header says.
"""

from __future__ import annotations

import mimetypes
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import urlencode

from langchain_mix.protocol import calls
from langchain_mix.protocol.call import Flow, ask
from langchain_mix.protocol.models import FileInfo
from langchain_mix.reserved_files import is_reserved

_UNPRINTABLE: Final = frozenset({"Cc", "Cs"})


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on the server.

    Attributes:
        name: Its name as the server lists it; may contain `/`.
        size: Bytes, as listed.
        modified: Unix time of its last change in seconds; None on servers that do not tell (most).
        url: Where it is read: made of the client's own base URL and the encoded name.
        refused: Why its name is none that is used for anything; empty if all is well with it.
    """

    name: str
    size: int
    modified: float | None
    url: str
    refused: str = ""

    @property
    def mime_type(self) -> str:
        """The media type that its name suggests; `application/octet-stream` if none."""
        return mimetypes.guess_type(self.name)[0] or "application/octet-stream"


def list_remote(session_id: str, server_url: str) -> Flow[list[RemoteFile]]:
    """Lists the files that may be documents: one call.

    Most servers keep one store of uploads for all sessions, so that these are the uploads of all of them. Directories
    and files that this package keeps for itself are left out.

    Args:
        session_id: The session.
        server_url: The base URL of the client that runs the flow (`Mix.server_url`).

    Returns:
        The flow; its files are sorted by name, each name once.
    """
    listed = yield from ask(calls.list_files(session_id))
    found = {info.name: _remote(info, session_id, server_url) for info in reversed(listed) if _is_document(info)}
    return [found[name] for name in sorted(found)]


def file_url(server_url: str, session_id: str, name: str, *, thumb: str | None = None) -> str:
    """Where a file, or a small picture of it, is read.

    Args:
        server_url: The client's base URL.
        session_id: The session.
        name: The file's name on the server.
        thumb: The size of the picture as in `Mix.files.get_session_file`; None for the file itself.

    Returns:
        The URL; nothing in the name can lead to another path or server.

    Raises:
        MixInputError: The name or the size is none.
    """
    call = calls.download_file(session_id, name, thumb=thumb)
    query = f"?{urlencode(call.query)}" if call.query else ""
    return f"{server_url.rstrip('/')}{call.path}{query}"


def refusal_of(name: str) -> str:
    """Tells why a name from a listing must not be used.

    Args:
        name: The name.

    Returns:
        The reason, empty for a name that can be used.
    """
    if any(unicodedata.category(character) in _UNPRINTABLE for character in name):
        return "its name has control characters"
    if name.startswith(("/", "\\")) or name[1:2] == ":":
        return "its name is an absolute path"
    if any(segment in {"", ".", ".."} for segment in name.replace("\\", "/").split("/")):
        return "its name leads out of its directory"
    return ""


def _is_document(info: FileInfo) -> bool:
    return bool(info.name) and not info.is_dir and not is_reserved(info.name)


@lru_cache(maxsize=1 << 14)  # Each query lists the same files.
def _examined(name: str, session_id: str, server_url: str) -> tuple[str, str]:
    refused = refusal_of(name)
    return refused, "" if refused else file_url(server_url, session_id, name)


def _remote(info: FileInfo, session_id: str, server_url: str) -> RemoteFile:
    refused, url = _examined(info.name, session_id, server_url)
    # Mix 0.5.3 and later always tell 0, which is no time.
    return RemoteFile(info.name, max(info.size, 0), float(info.modified) if info.modified > 0 else None, url, refused)
