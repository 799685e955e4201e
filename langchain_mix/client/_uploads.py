"""What users pass as a file, made ready to be sent.

Owns: which forms of a file are understood, and files opened for one upload. Refuses to know: requests.
"""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Final, TypeAlias, cast

from langchain_mix.errors import MixInputError
from langchain_mix.protocol.call import FilePart

Progress: TypeAlias = Callable[[int, int | None], object]
"""Told the bytes so far and the bytes in all, None if that is not known."""


@dataclass(frozen=True, slots=True)
class File:
    """A file to upload.

    Attributes:
        file_name: The name to send; the server may change it.
        content: The bytes, or a file that is open in binary mode. It is sent from its beginning.
        content_type: Its media type, or None to guess it from the name.
    """

    file_name: str
    content: bytes | IO[bytes]
    content_type: str | None = None


FileSource: TypeAlias = File | Mapping[str, Any] | bytes | str | os.PathLike[str] | IO[bytes]
"""What can be uploaded: a `File`, the same as a mapping, bytes, a path, or a file that is open in binary mode."""

_KEYS: Final = {"file_name": "file_name", "fileName": "file_name", "content": "content", "content_type": "content_type"}


@contextmanager
def part_of(source: FileSource, file_name: str | None, progress: Progress | None) -> Iterator[FilePart]:
    """Makes the part of a form that carries the file; a path is open as long as the block runs.

    Args:
        source: The file.
        file_name: Its name; None for the one it brings along.
        progress: Told how much was read for sending.

    Yields:
        The part.

    Raises:
        MixInputError: It is no file, a directory, open in text mode, or has no name.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        with _opened(path) as content:
            yield _part(File(file_name or path.name, content), progress)
        return
    yield _part(_file_of(source, file_name), progress)


def _opened(path: Path) -> IO[bytes]:
    if path.is_dir():
        raise MixInputError(f"{str(path)!r} is a directory.", hint="Upload its files one by one.")
    try:
        return path.open("rb")
    except OSError as problem:
        raise MixInputError(f"{str(path)!r} cannot be read: {problem.strerror or problem}.") from problem


def _file_of(source: Any, file_name: str | None) -> File:
    if isinstance(source, File):
        file = source
    elif isinstance(source, Mapping):
        file = _from_mapping(source)
    else:
        # An open file brings its name along; file descriptors and memory have none.
        own = getattr(source, "name", "")
        file = File(Path(own).name if isinstance(own, str) else "", source)
    return File(file_name or file.file_name, file.content, file.content_type)


def _from_mapping(source: Mapping[str, Any]) -> File:
    unknown = [key for key in source if key not in _KEYS]
    if unknown or "content" not in source:
        wrong = f"unknown key {unknown[0]!r}" if unknown else "no `content`"
        raise MixInputError(f"`file` has {wrong}.", hint="Its keys are `file_name`, `content` and `content_type`.")
    given = {_KEYS[key]: value for key, value in source.items()}
    return File(given.get("file_name") or "", given["content"], given.get("content_type"))


def _part(file: File, progress: Progress | None) -> FilePart:
    content = _checked(file.content)
    if not file.file_name:
        raise MixInputError("The file has no name.", hint="Pass `file_name=`.")
    kind = file.content_type or mimetypes.guess_type(file.file_name)[0] or "application/octet-stream"
    if not (kind.isascii() and kind.isprintable()):
        raise MixInputError(f"`content_type` is {kind!r}, which is no media type.")
    if progress is not None:
        # It is no file to the type checker; the HTTP library uses nothing else of one.
        content = cast("IO[bytes]", _Watched(content, progress))
    return FilePart(file.file_name, content, kind)


def _checked(content: Any) -> bytes | IO[bytes]:
    if isinstance(content, bytearray | memoryview):
        return bytes(content)
    if isinstance(content, bytes):
        return content
    read = getattr(content, "read", None)
    if not callable(read):
        raise MixInputError(
            f"{type(content).__name__} is no content of a file.",
            hint="Pass bytes, or a file that is open in binary mode.",
        )
    try:
        nothing = read(0)
    except (OSError, ValueError) as problem:
        raise MixInputError(f"The file cannot be read: {problem}.", hint="Is it open?") from problem
    if isinstance(nothing, str):
        raise MixInputError("The file is open in text mode.", hint='Open it with mode "rb".')
    return cast("IO[bytes]", content)


class _Watched:
    """A file that tells how much of it was read."""

    def __init__(self, content: bytes | IO[bytes], progress: Progress) -> None:

        self._content: IO[bytes] = BytesIO(content) if isinstance(content, bytes) else content
        self._progress = progress
        self._total = self._size()
        self._done = 0

    def _size(self) -> int | None:
        try:
            place = self._content.tell()
            size = self._content.seek(0, os.SEEK_END)
            self._content.seek(place)
        except (OSError, AttributeError):
            return None  # A pipe, for example.
        return size

    def read(self, size: int = -1) -> bytes:
        piece = self._content.read(size)
        self._done += len(piece)
        if piece:
            self._progress(self._done, self._total)
        return piece

    def tell(self) -> int:
        return self._content.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        place = self._content.seek(offset, whence)
        self._done = place if whence == os.SEEK_SET else self._done
        return place
