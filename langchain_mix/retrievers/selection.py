"""Which of the listed files are meant.

Owns: patterns, filters, and which files this process has uploaded. Refuses to know: where the listing comes from, and
what is in a file.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

from langchain_mix import forking
from langchain_mix.errors import MixConfigurationError
from langchain_mix.retrievers.remote_files import RemoteFile

Patterns: TypeAlias = str | Iterable[str]
"""One pattern or several."""

_uploaded: Final[dict[str, set[str]]] = {}
_uploaded_lock = threading.Lock()


def _renew() -> None:
    global _uploaded_lock  # noqa: PLW0603  # What the parent has uploaded counts in a forked child too.
    _uploaded_lock = threading.Lock()


forking.renew_in_child(_renew)


def remember_upload(server_url: str, name: str) -> None:
    """Notes that this process has uploaded a file.

    Args:
        server_url: The base URL of the client.
        name: The name under which the server stored it.
    """
    with _uploaded_lock:
        _uploaded.setdefault(server_url.rstrip("/"), set()).add(name)


def uploaded_here(server_url: str) -> frozenset[str]:
    """The stored names of all files that this process has uploaded to a server with `upload` or `aupload`.

    Args:
        server_url: The base URL of the client.

    Returns:
        The names; some may be gone from the server.
    """
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
        """Tells whether a file is meant.

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

    def choose(self, files: Iterable[RemoteFile], server_url: str) -> list[RemoteFile]:
        """The files that are meant, in the same order."""
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
