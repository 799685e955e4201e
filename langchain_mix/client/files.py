"""Files of sessions: uploads, which all sessions share, and what the agent made.

Owns: their operations. Refuses to know: how files are opened here (`_uploads.py`, `_downloads.py`), and the URLs that a
server gives: an operation asks its own server, wherever such a URL may lead.
"""

# ruff: noqa: A002  # `id` is what the documentation of Mix calls these arguments.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import httpx

from langchain_mix.client._downloads import Target, opened
from langchain_mix.client._operations import Operations
from langchain_mix.client._settings import CallOptions
from langchain_mix.client._uploads import FileSource, Progress, part_of
from langchain_mix.protocol import calls
from langchain_mix.protocol.call import Call, Reply
from langchain_mix.protocol.models import FileInfo
from langchain_mix.protocol.retry import RetryConfig

_OF_THE_TRANSFER: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class Files(Operations):
    """Uploads, lists, reads and deletes files."""

    def list_session_files(
        self,
        *,
        id: str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> list[FileInfo]:
        """Lists the uploaded files, which all sessions share. Private files of a session are not listed.

        Args:
            id: The session.
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The files.

        Raises:
            MixBadRequestError: The id is none of a session.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.send(calls.list_files(id), CallOptions(retries, timeout_ms, http_headers))

    async def list_session_files_async(
        self,
        *,
        id: str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> list[FileInfo]:
        """Does what `list_session_files` does, asynchronously."""
        return await self._async.send(calls.list_files(id), CallOptions(retries, timeout_ms, http_headers))

    def upload_session_file(
        self,
        *,
        id: str,
        file: FileSource,
        file_name: str | None = None,
        progress: Progress | None = None,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> FileInfo:
        """Uploads a file. One of the same name is overwritten, in all sessions.

        Args:
            id: The session.
            file: A path, bytes, a file that is open in binary mode, a `File`, or a mapping with `file_name`, `content`
                and perhaps `content_type`. Without a type it is guessed from the name.
            file_name: The name to send; None for the file's own.
            progress: Told the bytes read for sending so far and the bytes in all, None if that is not known.
            retries: Accepted for symmetry; this call is never sent twice.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The file. Its name may differ from the one sent, and is the one to use.

        Raises:
            MixInputError: This is no file that can be uploaded, or it has no name.
            MixNotFoundError: There is no such session.
            MixError: It failed; the type tells whose fault it is.
        """
        with part_of(file, file_name, progress) as part:
            return self._sync.send(calls.upload_file(id, part), CallOptions(retries, timeout_ms, http_headers))

    async def upload_session_file_async(
        self,
        *,
        id: str,
        file: FileSource,
        file_name: str | None = None,
        progress: Progress | None = None,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> FileInfo:
        """Does what `upload_session_file` does, asynchronously."""
        with part_of(file, file_name, progress) as part:
            return await self._async.send(calls.upload_file(id, part), CallOptions(retries, timeout_ms, http_headers))

    def get_session_file(
        self,
        *,
        id: str,
        filename: str,
        thumb: str | None = None,
        time: float | None = None,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Reads a file, or a small picture of it, into memory. See `download` for large ones.

        A session's private files come before uploads of the same name.

        Args:
            id: The session.
            filename: The file's name on the server.
            thumb: The size in pixels of a small picture of an image or video, 16 to 1024: `N` for both sides, `wN`
                for the width, `hN` for the height.
            time: Where in a video the picture is taken, in seconds, 0 to 86,400; the server's default is 1.
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The answer, already read: `.content` is the file.

        Raises:
            MixInputError: The size or the time is out of range.
            MixNotFoundError: There is no such file.
            MixDefaultError: There is no picture of this file.
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.send(
            self._whole(calls.download_file(id, filename, thumb=thumb, time=time)),
            CallOptions(retries, timeout_ms, http_headers),
        )

    async def get_session_file_async(
        self,
        *,
        id: str,
        filename: str,
        thumb: str | None = None,
        time: float | None = None,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Does what `get_session_file` does, asynchronously."""
        return await self._async.send(
            self._whole(calls.download_file(id, filename, thumb=thumb, time=time)),
            CallOptions(retries, timeout_ms, http_headers),
        )

    def delete_session_file(
        self,
        *,
        id: str,
        filename: str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> None:
        """Deletes an uploaded file, for all sessions. A file that is gone already is no error.

        Args:
            id: The session.
            filename: The file's name on the server.
            retries: When this call is sent again; None for the client's policy.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Raises:
            MixError: It failed; the type tells whose fault it is.
        """
        return self._sync.send(calls.delete_file(id, filename), CallOptions(retries, timeout_ms, http_headers))

    async def delete_session_file_async(
        self,
        *,
        id: str,
        filename: str,
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> None:
        """Does what `delete_session_file` does, asynchronously."""
        return await self._async.send(calls.delete_file(id, filename), CallOptions(retries, timeout_ms, http_headers))

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
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
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
            retries: When the file is asked for again; None for the client's policy. Not once a part of it was written.
            timeout_ms: Time without progress after which a request fails, in milliseconds; None for the client's.
            http_headers: Headers to add.

        Returns:
            The number of bytes.

        Raises:
            MixInputError: An argument is out of range, `to` cannot be written, or a file is there and must stay.
            MixNotFoundError: There is no such file.
            MixError: It failed; the type tells whose fault it is.
        """
        call = calls.download_file(id, filename, thumb=thumb, time=time)
        with opened(to, overwrite=overwrite) as write:
            return self._sync.download(call, write, progress, CallOptions(retries, timeout_ms, http_headers))

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
        retries: RetryConfig | None = None,
        timeout_ms: int | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> int:
        """Does what `download` does, asynchronously."""
        call = calls.download_file(id, filename, thumb=thumb, time=time)
        with opened(to, overwrite=overwrite) as write:
            return await self._async.download(call, write, progress, CallOptions(retries, timeout_ms, http_headers))

    def _whole(self, call: Call[Any]) -> Call[httpx.Response]:
        """The same call, with the answer itself as its result."""
        url = httpx.URL(f"{self._sync.core.settings.url}{call.path}", params=dict(call.query) or None)

        def decode(reply: Reply) -> httpx.Response:
            headers = {name: value for name, value in reply.headers.items() if name not in _OF_THE_TRANSFER}
            request = httpx.Request(call.method, url)
            return httpx.Response(reply.status, headers=headers, content=reply.body, request=request)

        return replace(call, decode=decode)
