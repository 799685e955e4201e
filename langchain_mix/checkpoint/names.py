"""Names of the store's files.

Owns: which file of a thread is called what, and parsing names. Refuses to know: what is in the files.

All names are a dot followed by `a-z`, `0-9` and `-`: no generation of the server rewrites those, and the agent's Glob
and Grep skip them. Earlier versions of this package wrote the same names without the dot. A thread's files of that kind
have a key of their own, so that everything that takes a key works on either kind; `writer.py` moves them.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from langchain_mix.reserved_files import CHECKPOINT_PREFIX, VISIBLE_CHECKPOINT_PREFIX

Kind: TypeAlias = Literal["owner", "epoch_marker", "manifest", "segment", "index", "blob"]
"""What a file is: see `documents.py`."""

_NAME: Final = re.compile(
    rf"(?P<prefix>{re.escape(CHECKPOINT_PREFIX)}|{re.escape(VISIBLE_CHECKPOINT_PREFIX)})"
    r"(?P<key>[0-9a-f]{32})-(?:(?P<owner>r)|g(?P<epoch_marker>\d+)|l(?P<manifest>\d+)-(?P<copy>[01])"
    r"|(?P<kind>[sxb])(?P<unique>[0-9a-f]{32}))"
)
_VISIBLE: Final = "visible-"
_KINDS: Final[dict[str, Kind]] = {"s": "segment", "x": "index", "b": "blob"}


@dataclass(frozen=True, slots=True)
class FileName:
    """A parsed name.

    Attributes:
        key: Which thread the file belongs to, and under which kind of names.
        epoch: The epoch of a marker or a manifest, else -1.
        copy: The copy of a manifest, else -1.
    """

    name: str
    key: str
    kind: Kind
    epoch: int = -1
    copy: int = -1


@lru_cache(maxsize=4096)
def key_of(thread_id: str) -> str:
    """Returns the part that all names of a thread's files share: 32 hexadecimal digits."""
    return key_of_bytes(bytes_of(thread_id))


def key_of_bytes(thread: bytes) -> str:
    """Does what `key_of` does, with the bytes of the thread's id."""
    return hashlib.sha256(thread).hexdigest()[:32]


def visible(key: str) -> str:
    """Returns the key of the same thread's files under the names of earlier versions, which agents see."""
    return _VISIBLE + key.removeprefix(_VISIBLE)


def hidden(key: str) -> str:
    """Returns the key of the same thread's files under the names that are written now."""
    return key.removeprefix(_VISIBLE)


def is_visible(name: str) -> bool:
    """True for a name that earlier versions of this package wrote."""
    return name.startswith(VISIBLE_CHECKPOINT_PREFIX)


@lru_cache(maxsize=4096)
def bytes_of(thread_id: str) -> bytes:
    """Returns the bytes of a thread's id, which may be any text Python can hold."""
    return thread_id.encode("utf-8", "surrogatepass")


@lru_cache(maxsize=4096)
def owner(key: str) -> str:
    """Returns the name of the file that holds the last claim of a thread."""
    return f"{_stem(key)}-r"


def epoch_marker(key: str, epoch: int) -> str:
    """Returns the name of the file whose existence says that an epoch is taken."""
    return f"{_stem(key)}-g{epoch}"


@lru_cache(maxsize=4096)
def manifest(key: str, epoch: int, copy: int) -> str:
    """Returns the name of one of the two files that the owner of an epoch writes in turn."""
    return f"{_stem(key)}-l{epoch}-{copy}"


def segment(key: str, unique: str) -> str:
    """Returns the name of an immutable file of entries."""
    return f"{_stem(key)}-s{unique}"


def index(key: str, unique: str) -> str:
    """Returns the name of an immutable file of references."""
    return f"{_stem(key)}-x{unique}"


def blob(key: str, unique: str) -> str:
    """Returns the name of an immutable file of one big value."""
    return f"{_stem(key)}-b{unique}"


def parse(name: str) -> FileName | None:
    """Parses the name of any file on the server; None if it is no file of the store."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    key = found["key"] if found["prefix"] == CHECKPOINT_PREFIX else visible(found["key"])
    if found["owner"]:
        return FileName(name, key, "owner")
    if found["epoch_marker"] is not None:
        return FileName(name, key, "epoch_marker", int(found["epoch_marker"]))
    if found["manifest"] is not None:
        return FileName(name, key, "manifest", int(found["manifest"]), int(found["copy"]))
    return FileName(name, key, _KINDS[found["kind"]])


def _stem(key: str) -> str:
    if key.startswith(_VISIBLE):
        return VISIBLE_CHECKPOINT_PREFIX + key.removeprefix(_VISIBLE)
    return CHECKPOINT_PREFIX + key
