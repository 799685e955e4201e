"""Documents that are ZIP archives of XML, looked at before a parser is let in.

Owns: bombs: archives that grow without end, and XML that does. Refuses to know: what the XML says.
"""

from __future__ import annotations

import re
import zlib
from io import BytesIO
from typing import Final
from zipfile import BadZipFile, ZipFile, ZipInfo

from langchain_mix.retrievers.limits import Limits
from langchain_mix.retrievers.parsing.parts import Kind, Skipped

_MOST_MEMBERS: Final = 20_000
_PIECE: Final = 1024 * 1024
_ENCRYPTED: Final = 0x1
_DECLARATIONS: Final = tuple(
    mark.encode(encoding) for mark in ("<!DOCTYPE", "<!ENTITY") for encoding in ("ascii", "utf-16-le", "utf-16-be")
)
"""OOXML has no document type declarations; they are where entities are made that grow when they are read."""

_ATTACHED: Final = re.compile(r"/(media|embeddings|printerSettings)/")
"""Folders of what is attached: pictures in SVG and settings of printers have declarations by right. Should a document
say that one of them is a part of it, the parsers' own guards are left: lxml resolves no entities here, expat stops them
from growing."""


def check_archive(data: bytes, limits: Limits, kind: Kind) -> Skipped | None:
    """Looks for what would hurt a reader.

    Args:
        data: The archive.
        limits: How large it may be unpacked.
        kind: What it is.

    Returns:
        Why it is not read; None if it can be.
    """
    try:
        with ZipFile(BytesIO(data)) as archive:
            return _check(archive, limits, kind)
    except (
        BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        OverflowError,
    ) as problem:
        return Skipped(f"is damaged ({_first_words(problem)})", kind)


def _check(archive: ZipFile, limits: Limits, kind: Kind) -> Skipped | None:
    members = archive.infolist()
    if any(member.flag_bits & _ENCRYPTED for member in members):
        return Skipped("is encrypted", kind)
    # What is declared bounds what is read: `zipfile` stops at the declared size and checks the sum of what it read.
    unpacked = sum(member.file_size for member in members)
    if unpacked > limits.max_unpacked_bytes or len(members) > _MOST_MEMBERS:
        return Skipped(
            f"unpacks to {unpacked} bytes in {len(members)} members; at most {limits.max_unpacked_bytes} bytes"
            f" (`max_unpacked_bytes`) in {_MOST_MEMBERS} are read",
            kind,
        )
    for member in members:
        if not _ATTACHED.search(member.filename) and _declares(archive, member):
            return Skipped("declares entities, which documents of its kind do not", kind)
    return None


def _declares(archive: ZipFile, member: ZipInfo) -> bool:
    overlap = b""
    with archive.open(member) as file:
        while piece := file.read(_PIECE):
            window = overlap + piece
            if any(mark in window for mark in _DECLARATIONS):
                return True
            overlap = piece[-32:]
    return False


def _first_words(problem: Exception) -> str:
    return str(problem)[:100] or type(problem).__name__
