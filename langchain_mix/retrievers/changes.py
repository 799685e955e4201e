"""What a listing says about an index.

Owns: which files are to be read again, which stay, and which go. Refuses to know: how files are listed and read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from langchain_mix.retrievers.indexing import IndexedFile
from langchain_mix.retrievers.parsing.parsed import Limits
from langchain_mix.retrievers.remote_files import RemoteFile

Verify: TypeAlias = Literal["answers", "listing", "checksum"] | float
"""How a file is noticed that changed while its name and its size stayed.

Mix tells no time of change (since 0.5.3), no checksum and no version of a file, and a session's private file hides an
upload of the same name: only its bytes prove what a file is.
"""


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be done.

    Attributes:
        kept: Files that stay as they are.
        fetch: Files to download.
        skipped: Files that are not downloaded, and why.
        gone: Names of files that were there and are not now.
    """

    kept: dict[str, IndexedFile]
    fetch: list[RemoteFile]
    skipped: dict[str, IndexedFile]
    gone: list[str]


def changes_of(
    known: Mapping[str, IndexedFile], listed: Iterable[RemoteFile], limits: Limits, verify: Verify, now: float
) -> Changes:
    """Compares a listing with what is known.

    Args:
        known: The files as they were read.
        listed: The files that are meant, in the order of their names.
        limits: How many files are read, and how many bytes of all of them.
        verify: When a file is read again that looks the same.
        now: Unix time in seconds.

    Returns:
        What is to be done.
    """
    changes = Changes({}, [], {}, [])
    total = count = 0
    for file in listed:
        reason = _refusal(file, limits, total, count)
        if reason:
            changes.skipped[file.name] = IndexedFile(
                name=file.name,
                listed_size=file.size,
                modified=file.modified,
                checksum="",
                checked_at=now,
                skipped=reason,
            )
            continue
        total, count = total + file.size, count + 1
        old = known.get(file.name)
        if old is not None and old.checksum and old.is_listed_as(file) and not _is_due(old, verify, now):
            changes.kept[file.name] = old
        else:
            changes.fetch.append(file)
    found = changes.kept.keys() | changes.skipped.keys() | {file.name for file in changes.fetch}
    changes.gone.extend(name for name in known if name not in found)
    return changes


def same_content(old: IndexedFile, file: RemoteFile, now: float) -> IndexedFile:
    """The file after a download that gave the same bytes."""
    return replace(old, listed_size=file.size, modified=file.modified, checked_at=now)


def _refusal(file: RemoteFile, limits: Limits, total: int, count: int) -> str:
    if file.refused:
        return f"was not read: {file.refused}"
    if file.size > limits.max_file_bytes:
        return f"has {file.size} bytes; at most {limits.max_file_bytes} are read (`max_file_bytes`)"
    if count >= limits.max_files:
        return f"is beyond the {limits.max_files} files that are read (`max_files`)"
    if total + file.size > limits.max_total_bytes:
        return f"is beyond the {limits.max_total_bytes} bytes that are read in all (`max_total_bytes`)"
    return ""


def _is_due(old: IndexedFile, verify: Verify, now: float) -> bool:
    if verify == "checksum":
        return True
    if isinstance(verify, str):
        return False
    # A clock that was set back leaves times that are still to come; they prove nothing.
    return not 0 <= now - old.checked_at < verify
