"""Files of sessions: uploads, which all sessions share, and what the agent made.

Owns: their operations. Refuses to know: how files are opened here (`_uploads.py`, `_downloads.py`), and the URLs that a
server gives: an operation asks its own server, wherever such a URL may lead.
"""

# ruff: noqa: A002  # `id` is what the documentation of Mix calls these arguments.

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, Unpack

import httpx

from langchain_mix.client._downloads import Target, opened
from langchain_mix.client._operations import Operations, RequestOptions
from langchain_mix.client._uploads import FileSource, Progress, part_of
from langchain_mix.protocol import calls, flows
from langchain_mix.protocol.call import Call, Reply
from langchain_mix.protocol.models import FileInfo

_OF_THE_TRANSFER: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class Files(Operations):
    """Uploads, lists, reads and deletes files."""

    def list_session_files(
        self,
        *,
        id: str,
        **options: Unpack[RequestOptions],
    ) -> list[FileInfo]:
        """Lists the uploaded files, which all sessions share. Private files of a session are not listed.

        Args:
            id: The session.
            **options: See `RequestOptions`.

        Returns:
            The files.

        Raises:
            MixBadRequestError: The id is none of a session.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync_with(options).send(calls.list_files(id))

    async def list_session_files_async(
        self,
        *,
        id: str,
        **options: Unpack[RequestOptions],
    ) -> list[FileInfo]:
        """Does what `list_session_files` does, asynchronously."""
        return await self._async_with(options).send(calls.list_files(id))

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
            progress: Told the bytes read for sending so far and the bytes in all, None if that is not known.
            **options: See `RequestOptions`. This call is never sent twice.

        Returns:
            The file. Its name may differ from the one sent, and is the one to use.

        Raises:
            MixInputError: This is no file that can be uploaded, or it has no name.
            MixNotFoundError: There is no such session.
            MixError: It failed; the type tells whose fault it is.
        """
        with part_of(file, file_name, progress) as part:
            return self._sync_with(options).send(calls.upload_file(id, part))

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
            return await self._async_with(options).send(calls.upload_file(id, part))

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
            MixError: It failed; the type tells whose fault it is.
        """
        shell = self._sync_with(options)
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
        shell = self._async_with(options)
        return await shell.send(
            _whole(shell.core.settings.url, calls.download_file(id, filename, thumb=thumb, time=time))
        )

    def delete_session_file(
        self,
        *,
        id: str,
        filename: str,
        **options: Unpack[RequestOptions],
    ) -> None:
        """Deletes an uploaded file, for all sessions. A file that is gone already is no error.

        Args:
            id: The session.
            filename: The file's name on the server.
            **options: See `RequestOptions`.

        Raises:
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync_with(options).send(calls.delete_file(id, filename))

    async def delete_session_file_async(
        self,
        *,
        id: str,
        filename: str,
        **options: Unpack[RequestOptions],
    ) -> None:
        """Does what `delete_session_file` does, asynchronously."""
        return await self._async_with(options).send(calls.delete_file(id, filename))

    def get_screenshot(
        self,
        *,
        id: str,
        filename: str,
        **options: Unpack[RequestOptions],
    ) -> bytes:
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
            MixError: It failed; the type tells whose fault it is.
        """
        shell = self._sync_with(options)
        return shell.run(flows.get_screenshot(shell.server_api, id, filename))

    async def get_screenshot_async(
        self,
        *,
        id: str,
        filename: str,
        **options: Unpack[RequestOptions],
    ) -> bytes:
        """Does what `get_screenshot` does, asynchronously."""
        shell = self._async_with(options)
        return await shell.run(flows.get_screenshot(shell.server_api, id, filename))

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
            progress: Told the bytes so far and the bytes in all, None if the server does not tell.
            overwrite: Whether a file that is at the path already is replaced.
            **options: See `RequestOptions`. The file is not requested again once a part of it was written.

        Returns:
            The number of bytes.

        Raises:
            MixInputError: An argument is out of range, `to` cannot be written, or a file is there and must stay.
            MixNotFoundError: There is no such file.
            MixError: It failed; the type tells whose fault it is.
        """
        call = calls.download_file(id, filename, thumb=thumb, time=time)
        with opened(to, overwrite=overwrite) as write:
            return self._sync_with(options).download(call, write, progress)[1]

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
        with opened(to, overwrite=overwrite) as write:
            return (await self._async_with(options).download(call, write, progress))[1]


def _whole(server: httpx.URL, call: Call[Any]) -> Call[httpx.Response]:
    """Returns the same call, with the answer itself as its result."""
    url = httpx.URL(f"{server}{call.path}", params=dict(call.query) or None)

    def decode(reply: Reply) -> httpx.Response:
        headers = {name: value for name, value in reply.headers.items() if name not in _OF_THE_TRANSFER}
        request = httpx.Request(call.method, url)
        return httpx.Response(reply.status, headers=headers, content=reply.body, request=request)

    return replace(call, decode=decode)
