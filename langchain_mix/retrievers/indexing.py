"""A file made ready to be searched.

Owns: what is known of a file that was read: its chunks, their terms, and what it looked like when it was read.
Refuses to know: other files, and where bytes come from.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import Final

from langchain_mix.retrievers.chunking import Chunk, Splitting, chunks_of
from langchain_mix.retrievers.parsing import Kind, Parsed, Place, Skipped, parse
from langchain_mix.retrievers.parsing.parsed import Limits
from langchain_mix.retrievers.remote_files import RemoteFile, file_url
from langchain_mix.retrievers.tokens import terms_of

_DIGEST_BYTES: Final = 16
_CHUNKS_BETWEEN_LOOKS: Final = 50
"""Chunks that are cut between two looks at the clock."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read into chunks.

    Attributes:
        splitting: The size of chunks.
        limits: How much of a file is read.
        images: Whether an image is a document; its text is its name.
        stemming: The language whose endings make no difference to the search; None for the commonest of English.
    """

    splitting: Splitting
    limits: Limits
    images: bool = False
    stemming: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedFile:
    """A file as it was when it was read last.

    Attributes:
        name: Its name on the server.
        listed_size: Its size in bytes as listed then; a download may give another one.
        modified: Unix time of its last change as listed then; None if the server does not tell.
        checksum: Of its bytes; empty if they could not be had.
        checked_at: Unix time in seconds at which it was downloaded last.
        kind: What it is; None if that is not known.
        chunks: Its chunks, in order.
        terms: The search terms of each.
        problems: What was left out of it or is uncertain, a sentence each.
        partial: Those of them that name something that was left out.
        skipped: Why it has no chunks, as the rest of a sentence that begins with its name; empty if it was read.
    """

    name: str
    listed_size: int
    modified: float | None
    checksum: str
    checked_at: float
    kind: Kind | None = None
    chunks: tuple[Chunk, ...] = ()
    terms: tuple[list[str], ...] = ()
    problems: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    skipped: str = ""

    def is_listed_as(self, file: RemoteFile) -> bool:
        """Whether the listing shows nothing of a change. It need not: the size may be the same by chance."""
        return self.listed_size == file.size and self.modified == file.modified


def index_file(file: RemoteFile, data: bytes, now: float, reading: Reading) -> IndexedFile:
    """Reads a file.

    Args:
        file: The file as listed.
        data: Its bytes.
        now: Unix time in seconds.
        reading: How.

    Returns:
        What is known of it; a file that cannot be read has a reason instead of chunks.
    """
    parsed = parse(file.name, data, reading.limits)
    chunks: tuple[Chunk, ...] = ()
    problems: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    skipped = ""
    if not isinstance(parsed, Skipped):
        chunks, cut = _chunks_in_time(parsed, reading)
        problems, partial = (*parsed.problems, *cut), (*parsed.partial, *cut)
    elif reading.images and parsed.kind == "image":
        chunks = (Chunk(image_text(file.name), 0, 0),)
    else:
        skipped = parsed.reason
    return IndexedFile(
        name=file.name,
        listed_size=file.size,
        modified=file.modified,
        checksum=checksum_of(data),
        checked_at=now,
        kind=parsed.kind,
        chunks=chunks,
        terms=search_terms(file.name, chunks, reading.stemming),
        problems=problems,
        partial=partial,
        skipped=skipped,
    )


def image_text(name: str) -> str:
    """The text that stands for an image."""
    return f"Image: {name}"


def _chunks_in_time(parsed: Parsed, reading: Reading) -> tuple[tuple[Chunk, ...], tuple[str, ...]]:
    """Returns the chunks that are ready in time, and a sentence on what is missing if some were not."""
    until = time.monotonic() + reading.limits.max_seconds
    chunks: list[Chunk] = []
    for number, chunk in enumerate(chunks_of(parsed, reading.splitting)):
        if number % _CHUNKS_BETWEEN_LOOKS == 0 and time.monotonic() > until:
            told = f"Only its first {chunk.start_index} characters were cut into passages in time (`max_seconds`)."
            return tuple(chunks), (told,)
        chunks.append(chunk)
    return tuple(chunks), ()


def remote_file(file: IndexedFile, session_id: str, server_url: str) -> RemoteFile:
    """The file as it was listed when it was read last.

    Args:
        file: The file.
        session_id: The session.
        server_url: The base URL of the client.

    Returns:
        The file on the server.
    """
    return RemoteFile(file.name, file.listed_size, file.modified, file_url(server_url, session_id, file.name))


def search_terms(name: str, chunks: tuple[Chunk, ...], stemming: str | None = None) -> tuple[list[str], ...]:
    """The terms under which chunks are found: those of their texts, of what is above, and of the file's name.

    Above are headings, and the keys of a JSON document that lead to a value.

    Args:
        name: The file's name.
        chunks: Its chunks.
        stemming: As in `terms_of`.

    Returns:
        The terms of each.
    """
    path = PurePosixPath(name)
    common = terms_of(" ".join((*path.parts[:-1], path.stem)), stemming)
    return tuple(common + terms_of(_above(c.place), stemming) + terms_of(c.content, stemming) for c in chunks)


def _above(place: Place) -> str:
    return " ".join((*place.headings, *(place.pointer or "").split("/")))


def checksum_of(data: bytes) -> str:
    """The checksum of a file's bytes, in hexadecimal digits."""
    return blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()


def digest_of(text: str) -> str:
    """The checksum of a text, in hexadecimal digits."""
    return blake2b(text.encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
