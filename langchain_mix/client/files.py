"""Files of sessions: uploads, which all sessions share, and what the agent made.

Owns: their operations, and how local files are opened for them. Refuses to know: the URLs that a server gives: an
operation asks its own server, wherever such a URL may lead.
"""

# ruff: noqa: A002  # `id` is what the documentation of Mix calls these arguments.

from __future__ import annotations

import mimetypes
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Final, TypeAlias, Unpack, cast

import httpx

from langchain_mix.client._config import RequestOptions
from langchain_mix.client.basesdk import BaseSDK
from langchain_mix.errors import MixInputError
from langchain_mix.protocol import calls, flows
from langchain_mix.protocol.call import Call, FilePart, Reply
from langchain_mix.protocol.models import FileInfo

_OF_THE_TRANSFER: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})

Target: TypeAlias = str | os.PathLike[str] | IO[bytes]
"""A path, or a file that is open for writing in binary mode."""

Progress: TypeAlias = Callable[[int, int | None], object]
"""Called with the bytes so far and the bytes in all, None if that is not known."""


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
"""Sources of an upload: a `File`, the same as a mapping, bytes, a path, or a file that is open in binary mode."""

_KEYS: Final = {"file_name": "file_name", "fileName": "file_name", "content": "content", "content_type": "content_type"}


class Files(BaseSDK):
    """Uploads, lists, reads and deletes files."""

    def list_session_files(self, *, id: str, **options: Unpack[RequestOptions]) -> list[FileInfo]:
        """Lists the uploaded files, which all sessions share. Private files of a session are not listed.

        Args:
            id: The session.
            **options: See `RequestOptions`.

        Returns:
            The files.

        Raises:
            MixBadRequestError: The id is none of a session.
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.list_files(id))

    async def list_session_files_async(self, *, id: str, **options: Unpack[RequestOptions]) -> list[FileInfo]:
        """Does what `list_session_files` does, asynchronously."""
        return await self._async.with_options(options).send(calls.list_files(id))

    def upload_session_file(
        self,
        *,
        id: str,
        file: FileSource,
        file_name: str | None = None,
        progress: Progress | None = None,
        **options: Unpack[RequestOptions],
    ) -> FileInfo:
        """Uploads a file. One of the same name is overwritten, in all sessions.

        Args:
            id: The session.
            file: A path, bytes, a file that is open in binary mode, a `File`, or a mapping with `file_name`, `content`
                and perhaps `content_type`. Without a type it is guessed from the name.
            file_name: The name to send; None for the file's own.
            progress: Called with the bytes read for sending so far and the bytes in all, None if that is not known.
            **options: See `RequestOptions`. This call is never sent twice.

        Returns:
            The file. Its name may differ from the one sent, and is the one to use.

        Raises:
            MixInputError: This is no file that can be uploaded, or it has no name.
            MixNotFoundError: There is no such session.
            MixError: It failed; the type shows whose fault it is.
        """
        with part_of(file, file_name, progress) as part:
            return self._sync.with_options(options).send(calls.upload_file(id, part))

    async def upload_session_file_async(
        self,
        *,
        id: str,
        file: FileSource,
        file_name: str | None = None,
        progress: Progress | None = None,
        **options: Unpack[RequestOptions],
    ) -> FileInfo:
        """Does what `upload_session_file` does, asynchronously."""
        with part_of(file, file_name, progress) as part:
            return await self._async.with_options(options).send(calls.upload_file(id, part))

    def get_session_file(
        self,
        *,
        id: str,
        filename: str,
        thumb: str | None = None,
        time: float | None = None,
        **options: Unpack[RequestOptions],
    ) -> httpx.Response:
        """Reads a file, or a small picture of it, into memory. See `download` for large ones.

        A session's private files come before uploads of the same name.

        Args:
            id: The session.
            filename: The file's name on the server.
            thumb: The size in pixels of a small picture of an image or video, 16 to 1024: `N` for both sides, `wN`
                for the width, `hN` for the height.
            time: Where in a video the picture is taken, in seconds, 0 to 86,400; the server's default is 1.
            **options: See `RequestOptions`.

        Returns:
            The answer, already read: `.content` is the file.

        Raises:
            MixInputError: The size or the time is out of range.
            MixNotFoundError: There is no such file.
            MixDefaultError: There is no picture of this file.
            MixError: It failed; the type shows whose fault it is.
        """
        shell = self._sync.with_options(options)
        return shell.send(_whole(shell.core.settings.url, calls.download_file(id, filename, thumb=thumb, time=time)))

    async def get_session_file_async(
        self,
        *,
        id: str,
        filename: str,
        thumb: str | None = None,
        time: float | None = None,
        **options: Unpack[RequestOptions],
    ) -> httpx.Response:
        """Does what `get_session_file` does, asynchronously."""
        shell = self._async.with_options(options)
        return await shell.send(
            _whole(shell.core.settings.url, calls.download_file(id, filename, thumb=thumb, time=time))
        )

    def delete_session_file(self, *, id: str, filename: str, **options: Unpack[RequestOptions]) -> None:
        """Deletes an uploaded file, for all sessions. A file that is gone already is no error.

        Args:
            id: The session.
            filename: The file's name on the server.
            **options: See `RequestOptions`.

        Raises:
            MixError: It failed; the type shows whose fault it is.
        """
        return self._sync.with_options(options).send(calls.delete_file(id, filename))

    async def delete_session_file_async(self, *, id: str, filename: str, **options: Unpack[RequestOptions]) -> None:
        """Does what `delete_session_file` does, asynchronously."""
        return await self._async.with_options(options).send(calls.delete_file(id, filename))

    def get_screenshot(self, *, id: str, filename: str, **options: Unpack[RequestOptions]) -> bytes:
        """Reads a picture of the browser that a tool call took (Mix 0.8 and later).

        Args:
            id: The session.
            filename: The picture's name, or its address as in `screenshot_urls` of a tool call. Only the last segment
                of an address counts: the picture is read from this server.
            **options: See `RequestOptions`.

        Returns:
            The picture, a PNG.

        Raises:
            MixInputError: The name is empty.
            MixDefaultError: There is no such session or picture (status 404).
            MixUnsupportedError: This generation of the server has no such operation.
            MixError: It failed; the type shows whose fault it is.
        """
        shell = self._sync.with_options(options)
        return shell.run(flows.offered(shell.server_api, calls.get_screenshot, id, filename))

    async def get_screenshot_async(self, *, id: str, filename: str, **options: Unpack[RequestOptions]) -> bytes:
        """Does what `get_screenshot` does, asynchronously."""
        shell = self._async.with_options(options)
        return await shell.run(flows.offered(shell.server_api, calls.get_screenshot, id, filename))

    def download(
        self,
        *,
        id: str,
        filename: str,
        to: Target,
        thumb: str | None = None,
        time: float | None = None,
        progress: Progress | None = None,
        overwrite: bool = True,
        **options: Unpack[RequestOptions],
    ) -> int:
        """Reads a file, or a small picture of it, into a file here, piece by piece.

        A path gets the whole file or nothing. An open file has what came before an error.

        Args:
            id: The session.
            filename: The file's name on the server.
            to: A path, or a file that is open for writing in binary mode.
            thumb: As for `get_session_file`.
            time: As for `get_session_file`.
            progress: Called with the bytes so far and the bytes in all, None if the server does not say.
            overwrite: Whether a file that is at the path already is replaced.
            **options: See `RequestOptions`. The file is not requested again once a part of it was written.

        Returns:
            The number of bytes.

        Raises:
            MixInputError: An argument is out of range, `to` cannot be written, or a file is there and must stay.
            MixNotFoundError: There is no such file.
            MixError: It failed; the type shows whose fault it is.
        """
        call = calls.download_file(id, filename, thumb=thumb, time=time)
        with open_target(to, overwrite=overwrite) as write:
            return self._sync.with_options(options).download(call, write, progress)[1]

    async def download_async(
        self,
        *,
        id: str,
        filename: str,
        to: Target,
        thumb: str | None = None,
        time: float | None = None,
        progress: Progress | None = None,
        overwrite: bool = True,
        **options: Unpack[RequestOptions],
    ) -> int:
        """Does what `download` does, asynchronously."""
        call = calls.download_file(id, filename, thumb=thumb, time=time)
        with open_target(to, overwrite=overwrite) as write:
            return (await self._async.with_options(options).download(call, write, progress))[1]


def _whole(server: httpx.URL, call: Call[Any]) -> Call[httpx.Response]:
    """Returns the same call, with the answer itself as its result."""
    url = httpx.URL(f"{server}{call.path}", params=dict(call.query) or None)

    def decode(reply: Reply) -> httpx.Response:
        headers = {name: value for name, value in reply.headers.items() if name not in _OF_THE_TRANSFER}
        request = httpx.Request(call.method, url)
        return httpx.Response(reply.status, headers=headers, content=reply.body, request=request)

    return replace(call, decode=decode)


@contextmanager
def part_of(source: FileSource, file_name: str | None, progress: Progress | None) -> Iterator[FilePart]:
    """Makes the part of a form that carries the file; a path is open as long as the block runs.

    Args:
        source: The file.
        file_name: Its name; None for the one it brings along.
        progress: Called with the bytes read for sending so far.

    Yields:
        The part.

    Raises:
        MixInputError: It is no file, a directory, open in text mode, or has no name.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        with _open_source(path) as content:
            yield _part(File(file_name or path.name, content), progress)
        return
    yield _part(_file_of(source, file_name), progress)


def _open_source(path: Path) -> IO[bytes]:
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
    """A file that reports how much of it was read."""

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


@contextmanager
def open_target(target: Target, *, overwrite: bool) -> Iterator[Callable[[bytes], object]]:
    """Opens the place a download is written to.

    A path is written beside its place and moved there when the block has ended well: nothing is left of a broken one.

    Args:
        target: The place.
        overwrite: Whether a file that is there already is replaced.

    Yields:
        A function that takes the next piece.

    Raises:
        MixInputError: It cannot be written to, or a file is there and must not be replaced.
    """
    if not isinstance(target, str | os.PathLike):
        yield _writer(target)
        return
    path = Path(target)
    if path.is_dir():
        raise MixInputError(f"{str(path)!r} is a directory.", hint="Pass the path of the file itself.")
    if not overwrite and path.exists():
        raise _taken(path)
    beside = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        file = beside.open("xb")
    except OSError as problem:
        raise MixInputError(f"{str(path)!r} cannot be written: {problem.strerror or problem}.") from problem
    try:
        with file:
            yield file.write
        if not overwrite:
            _claim(path)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _writer(target: IO[bytes]) -> Callable[[bytes], object]:
    write: Callable[[bytes], object] | None = getattr(target, "write", None)
    if write is None:
        raise MixInputError(f"{type(target).__name__} is no place to write to.", hint="Pass a path or an open file.")
    try:
        write(b"")
    except TypeError:
        raise MixInputError("The file is open in text mode.", hint='Open it with mode "wb".') from None
    except (OSError, ValueError) as problem:
        raise MixInputError(f"The file cannot be written: {problem}.") from problem
    return write


def _claim(path: Path) -> None:
    """Takes the place for good, so that a file that somebody else made meanwhile is not replaced."""
    try:
        path.open("xb").close()
    except FileExistsError:
        raise _taken(path) from None


def _taken(path: Path) -> MixInputError:
    return MixInputError(f"{str(path)!r} exists.", hint="Pass `overwrite=True` to replace it.")
