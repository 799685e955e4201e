"""The files of a session as the server lists them, and which of them are meant.

Owns: whose client reads them, which listed files are documents, which names are refused, where a file is read, the
conditions of a selection.
Refuses to know: what is in a file. The URLs that a server gives are not used: they lead to whatever its `Host` header
names.
"""

from __future__ import annotations

import mimetypes
import threading
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urlencode

from langchain_mix import process_fork
from langchain_mix.errors import MixConfigurationError
from langchain_mix.protocol import calls
from langchain_mix.protocol.call import Call, Reply
from langchain_mix.protocol.models import FileInfo
from langchain_mix.reserved_files import is_reserved

if TYPE_CHECKING:
    from langchain_mix.client import Mix

_UNPRINTABLE: Final = frozenset({"Cc", "Cs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Locates the server by a client of the user's (`mix`), which is never closed here, or by options as for `Mix`."""

    mix: Mix | None = None
    server_url: str | None = field(default=None, repr=False)
    api: str = "auto"
    headers: Mapping[str, str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuses a client together with options of a connection."""
        if self.mix is not None and (self.server_url is not None or self.headers or self.api != "auto"):
            raise MixConfigurationError(
                "There are both a client and options of a connection.",
                hint="Pass `mix=` alone, or `server_url=`, `api=` and `headers=`.",
            )

    def opened(self) -> Mix | nullcontext[Mix]:
        """Returns the client for as long as a block runs, of `with` or of `async with`."""
        if self.mix is not None:
            return nullcontext(self.mix)
        from langchain_mix.client import Mix  # noqa: PLC0415  # The HTTP library is loaded when it is first used.

        return Mix(server_url=self.server_url, api=self.api, headers=self.headers)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on the server.

    Attributes:
        name: Its name as the server lists it; may contain `/`.
        size: Bytes, as listed.
        modified: Unix time of its last change in seconds; None on servers that do not report it (most).
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
        return _mime_type(self.name)


@lru_cache(maxsize=1 << 14)
def _mime_type(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def list_remote(session_id: str, server_url: str) -> Call[list[RemoteFile]]:
    """Lists the files that may be documents.

    Most servers keep one store of uploads for all sessions, so that these are the uploads of all of them. Directories
    and files that this package keeps for itself are left out.

    The call may be sent many times, by a client of this base URL. Its files are sorted by name, each name once; the
    result is the same list for as long as the server's answer is the same, byte for byte.
    """
    call: Call[Any] = calls.list_files(session_id)
    last: tuple[bytes, list[RemoteFile]] | None = None

    def decode(reply: Reply) -> list[RemoteFile]:
        nonlocal last
        known = last
        if known is None or known[0] != reply.body:
            infos = filter(_is_document, reversed(call.decode(reply)))
            found = {info.name: _remote(info, session_id, server_url) for info in infos}
            last = known = (reply.body, [found[name] for name in sorted(found)])
        return known[1]

    return replace(call, decode=decode)


@lru_cache(maxsize=1 << 14)  # Each query returns the same files.
def file_url(server_url: str, session_id: str, name: str, *, thumb: str | None = None) -> str:
    """Returns the URL of a file, or of a thumbnail of it; nothing in the name can lead to another path or server.

    Args:
        server_url: The client's base URL.
        session_id: The session.
        name: The file's name on the server.
        thumb: The size of the picture as in `Mix.files.get_session_file`; None for the file itself.

    Raises:
        MixInputError: The name or the size is none.
    """
    call = calls.download_file(session_id, name, thumb=thumb)
    query = f"?{urlencode(call.query)}" if call.query else ""
    return f"{server_url.rstrip('/')}{call.path}{query}"


def refusal_of(name: str) -> str:
    """Returns why a name from a listing must not be used; empty for a name that can be used."""
    if any(unicodedata.category(character) in _UNPRINTABLE for character in name):
        return "its name has control characters"
    if name.startswith(("/", "\\")) or name[1:2] == ":":
        return "its name is an absolute path"
    if any(segment in {"", ".", ".."} for segment in name.replace("\\", "/").split("/")):
        return "its name leads out of its directory"
    return ""


def _is_document(info: FileInfo) -> bool:
    return bool(info.name) and not info.is_dir and not is_reserved(info.name)


def _remote(info: FileInfo, session_id: str, server_url: str) -> RemoteFile:
    refused = refusal_of(info.name)
    url = "" if refused else file_url(server_url, session_id, info.name)
    # Mix 0.5.3 and later always send 0, which is no time.
    return RemoteFile(info.name, max(info.size, 0), float(info.modified) if info.modified > 0 else None, url, refused)


Patterns: TypeAlias = str | Iterable[str]
"""One pattern or several."""

_uploaded: Final[dict[str, set[str]]] = {}
_uploaded_lock = threading.Lock()


def _renew() -> None:
    global _uploaded_lock  # noqa: PLW0603  # What the parent has uploaded counts in a forked child too.
    _uploaded_lock = threading.Lock()


process_fork.renew_in_child(_renew)


def remember_upload(server_url: str, name: str) -> None:
    """Records the name under which a server stored what this process has uploaded."""
    with _uploaded_lock:
        _uploaded.setdefault(server_url.rstrip("/"), set()).add(name)


def uploaded_here(server_url: str) -> frozenset[str]:
    """Returns the stored names of all files that this process has uploaded to a server; some may be gone from it."""
    with _uploaded_lock:
        return frozenset(_uploaded.get(server_url.rstrip("/"), ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which files are read. All conditions must hold.

    Patterns are those of a shell: `*` is any text, `/` included; `?` one character; `[abc]` one of several. They are
    matched against the whole name, in normalised Unicode (NFC), and letter case counts.

    Attributes:
        include: Patterns, of which the name must match one; none for every name.
        exclude: Patterns, none of which the name may match.
        mime_types: Patterns of media types, such as `text/*`, which the type that the name suggests must match; none
            for every type.
        min_bytes: The smallest size, as listed.
        max_bytes: The largest size, as listed; None for any. Larger files are not meant, which is no problem of theirs:
            see `Limits` for those that are meant but cannot be read.
        predicate: Called with each file that is left; must return True for those that are meant.
        uploaded_by_me: True for the files that this process has uploaded with `upload` or `aupload`, or the stored
            names of those that are meant. Most servers show every session the uploads of all.
    """

    include: Patterns = ()
    exclude: Patterns = ()
    mime_types: Patterns = ()
    min_bytes: int = 0
    max_bytes: int | None = None
    predicate: Callable[[RemoteFile], bool] | None = None
    uploaded_by_me: bool | Collection[str] = False
    _patterns: tuple[tuple[str, ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Reads the patterns once."""
        given = (("include", self.include), ("exclude", self.exclude), ("mime_types", self.mime_types))
        object.__setattr__(self, "_patterns", tuple(_patterns(name, value) for name, value in given))
        if isinstance(self.uploaded_by_me, str):
            raise MixConfigurationError("`uploaded_by_me` is a text.", hint="Pass True, or a list of stored names.")

    def accepts(self, file: RemoteFile, server_url: str) -> bool:
        """True when a file is meant.

        Args:
            file: The file as listed.
            server_url: The base URL of the client, which `uploaded_by_me=True` needs.

        Returns:
            True if all conditions hold.
        """
        include, exclude, mime_types = self._patterns
        name = _normal(file.name)
        if (include and not _matches(name, include)) or _matches(name, exclude):
            return False
        if mime_types and not _matches(file.mime_type, mime_types):
            return False
        if not self.min_bytes <= file.size <= (file.size if self.max_bytes is None else self.max_bytes):
            return False
        return self._is_mine(file.name, server_url) and (self.predicate is None or self.predicate(file))

    @property
    def is_fixed(self) -> bool:
        """True when the same listing always has the same files that are meant."""
        return self.predicate is None and (self.uploaded_by_me is False or isinstance(self.uploaded_by_me, frozenset))

    def choose(self, files: Iterable[RemoteFile], server_url: str) -> list[RemoteFile]:
        """Returns the files that are meant, in the same order."""
        return [file for file in files if self.accepts(file, server_url)]

    def _is_mine(self, name: str, server_url: str) -> bool:
        if isinstance(self.uploaded_by_me, bool):
            return not self.uploaded_by_me or name in uploaded_here(server_url)
        return name in self.uploaded_by_me


def _patterns(option: str, value: Patterns) -> tuple[str, ...]:
    if not isinstance(value, Iterable):
        raise MixConfigurationError(f"`{option}` is {value!r}.", hint="It is a pattern such as '*.md', or several.")
    patterns = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(pattern, str) and pattern for pattern in patterns):
        raise MixConfigurationError(f"`{option}` has a pattern that is no text or empty.", hint="For example '*.md'.")
    return tuple(map(_normal, patterns))


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
