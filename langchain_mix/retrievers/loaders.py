"""Loaders of LangChain over the files of a session.

Owns: documents and blobs made of files. Refuses to know: formats (`parsing/`), and how files are split and searched.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace

from langchain_core.document_loaders import BaseLoader
from langchain_core.document_loaders.blob_loaders import BlobLoader
from langchain_core.documents import Document
from langchain_core.documents.base import Blob

from langchain_mix.client import Mix
from langchain_mix.errors import MixConfigurationError
from langchain_mix.generators import Owned
from langchain_mix.retrievers.downloads import (
    Batch,
    FileReport,
    OnProblem,
    checked_on_problem,
    download_all,
    download_all_async,
)
from langchain_mix.retrievers.files import Connection, Patterns, RemoteFile, Selection, list_remote
from langchain_mix.retrievers.indexing import image_text
from langchain_mix.retrievers.parsing.dispatch import parse
from langchain_mix.retrievers.parsing.encodings import codec_of
from langchain_mix.retrievers.parsing.json_values import shown
from langchain_mix.retrievers.parsing.parsed import Limits, Parsed, Part, Skipped
from langchain_mix.retrievers.results import file_metadata, image_metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Holds what one run over the files needs."""

    session_id: str
    connection: Connection
    selection: Selection
    limits: Limits
    on_problem: OnProblem
    report: FileReport = field(default_factory=FileReport)

    def files(self) -> Generator[tuple[RemoteFile, bytes, Mix], None, None]:
        with self.connection.opened() as mix:
            listed = mix.perform(list_remote(self.session_id, mix.server_url))
            with closing(download_all(mix, self._chosen(listed, mix))) as found:
                for received in found:
                    yield received.file, received.data, mix

    async def files_async(self) -> AsyncGenerator[tuple[RemoteFile, bytes, Mix], None]:
        async with self.connection.opened() as mix:
            listed = await mix.perform_async(list_remote(self.session_id, mix.server_url))
            async with Owned(download_all_async(mix, self._chosen(listed, mix))) as found:
                async for received in found:
                    yield received.file, received.data, mix

    def _chosen(self, listed: list[RemoteFile], mix: Mix) -> Batch:
        return Batch(
            session_id=self.session_id,
            files=self.selection.choose(listed, mix.server_url),
            limits=self.limits,
            report=self.report,
            on_problem=self.on_problem,
        )


class _Loader:
    """Holds the options that both loaders share."""

    def __init__(
        self,
        session_id: str,
        *,
        mix: Mix | None = None,
        server_url: str | None = None,
        api: str = "auto",
        headers: Mapping[str, str] | None = None,
        include: Patterns = (),
        exclude: Patterns = (),
        selection: Selection | None = None,
        limits: Limits | None = None,
        on_problem: OnProblem = "report",
    ) -> None:
        """Prepares a loader; nothing is sent yet.

        Args:
            session_id: The session. Most servers show it the uploads of all sessions: say which are meant.
            mix: A client of your own, which is never closed here; without it each run opens one and closes it.
            server_url: The server's base URL, as for `Mix`.
            api: The server's API generation, as for `Mix`.
            headers: Headers of every request, as for `Mix`.
            include: Patterns of names, such as `"*.md"`, of which one must match; none for every file.
            exclude: Patterns of names, of which none may match.
            selection: All of that and more, in the place of `include` and `exclude`.
            limits: How much is read; None for the defaults.
            on_problem: Effect of a file that cannot be read: `"report"` lists it in `report`, `"raise"` ends the run.

        Raises:
            MixConfigurationError: Two options contradict each other, or one cannot work.
        """
        if selection is not None and (include or exclude):
            raise MixConfigurationError(
                "There are both a selection and patterns.", hint="Give the selection its own `include` and `exclude`."
            )
        self.session_id = session_id
        self.report = FileReport()
        self._run = _Run(
            session_id=session_id,
            connection=Connection(mix=mix, server_url=server_url, api=api, headers=headers),
            selection=selection or Selection(include=include, exclude=exclude),
            limits=limits or Limits(),
            on_problem=checked_on_problem(on_problem),
        )

    def _begin(self) -> _Run:
        run = replace(self._run, session_id=self.session_id, report=FileReport())
        self.report = run.report
        return run


class MixFileLoader(_Loader, BaseLoader):
    """Loads the files of a Mix session as documents: one for each page, section, slide, cell or group of rows.

    The metadata name the file (`source`, `file_name`, `session_id`, `size`, `mime_type`, `kind`), the place in it
    (`start_line`, `page`, `sheet`, … as the format has it) and the span `start_index` to `end_index` in its text.

    Attributes:
        session_id: The session.
        report: What became of each file in the last run; it is complete when the run is.
    """

    def __init__(
        self,
        session_id: str,
        *,
        mix: Mix | None = None,
        server_url: str | None = None,
        api: str = "auto",
        headers: Mapping[str, str] | None = None,
        include: Patterns = (),
        exclude: Patterns = (),
        selection: Selection | None = None,
        limits: Limits | None = None,
        on_problem: OnProblem = "report",
        images: bool = False,
    ) -> None:
        """Prepares a loader; nothing is sent yet.

        Args:
            session_id: The session. Most servers show it the uploads of all sessions: say which are meant.
            mix: A client of your own, which is never closed here; without it each run opens one and closes it.
            server_url: The server's base URL, as for `Mix`.
            api: The server's API generation, as for `Mix`.
            headers: Headers of every request, as for `Mix`.
            include: Patterns of names, such as `"*.md"`, of which one must match; none for every file.
            exclude: Patterns of names, of which none may match.
            selection: All of that and more, in the place of `include` and `exclude`.
            limits: How much is read; None for the defaults.
            on_problem: Effect of a file that cannot be read: `"report"` lists it in `report`, `"raise"` ends the run.
            images: Whether an image becomes a document that has no text but its name, and where a small picture of it
                is read (`thumbnail_url`); else images are skipped.

        Raises:
            MixConfigurationError: Two options contradict each other, or one cannot work.
        """
        super().__init__(
            session_id,
            mix=mix,
            server_url=server_url,
            api=api,
            headers=headers,
            include=include,
            exclude=exclude,
            selection=selection,
            limits=limits,
            on_problem=on_problem,
        )
        self._images = images

    def lazy_load(self) -> Iterator[Document]:
        """Loads the files one after the other, while the next ones are downloaded.

        Yields:
            The documents, in the order of the files' names.

        Raises:
            MixFileError: A file cannot be read, and `on_problem` is `"raise"`.
            MixError: The server cannot be reached, or refuses.
        """
        run = self._begin()
        with closing(run.files()) as files:
            for file, data, mix in files:
                yield from self._documents(run, file, parse(file.name, data, run.limits), mix)

    async def alazy_load(self) -> AsyncIterator[Document]:
        """Does what `lazy_load` does, asynchronously; files are parsed in a thread.

        Yields:
            The documents, in the order of the files' names.
        """
        run = self._begin()
        async with Owned(run.files_async()) as files:
            async for file, data, mix in files:
                parsed = await asyncio.to_thread(parse, file.name, data, run.limits)
                for document in self._documents(run, file, parsed, mix):
                    yield document

    def _documents(self, run: _Run, file: RemoteFile, parsed: Parsed | Skipped, mix: Mix) -> Iterator[Document]:
        if isinstance(parsed, Skipped):
            if parsed.kind == "image" and self._images:
                run.report.read.append(file.name)
                yield self._image(run, file, mix)
            else:
                run.report.skip(file.name, parsed.reason, parsed.kind, run.on_problem)
            return
        run.report.note(file.name, parsed.problems, parsed.partial)
        for part in parsed.parts:
            yield _document(run, file, parsed, part)

    def _image(self, run: _Run, file: RemoteFile, mix: Mix) -> Document:
        image = image_metadata(file.name, run.session_id, mix.server_url)
        return Document(page_content=image_text(file.name), metadata=file_metadata(file, run.session_id) | image)


class MixBlobLoader(_Loader, BlobLoader):
    """Loads the files of a Mix session as they are, for parsers of your own.

    Attributes:
        session_id: The session.
        report: What became of each file in the last run; it is complete when the run is.
    """

    def yield_blobs(self) -> Iterator[Blob]:
        """Reads the files one after the other, while the next ones are downloaded.

        Yields:
            The files, in the order of their names; `source`, `file_name`, `session_id`, `size` and `mime_type` are in
            the metadata of each.

        Raises:
            MixFileError: A file is larger than allowed, gone or not given out, and `on_problem` is `"raise"`.
            MixError: The server cannot be reached, or refuses.
        """
        run = self._begin()
        with closing(run.files()) as files:
            for file, data, _ in files:
                yield self._blob(run, file, data)

    async def ayield_blobs(self) -> AsyncIterator[Blob]:
        """Does what `yield_blobs` does, asynchronously.

        Yields:
            The files, in the order of their names.
        """
        run = self._begin()
        async with Owned(run.files_async()) as files:
            async for file, data, _ in files:
                yield self._blob(run, file, data)

    def _blob(self, run: _Run, file: RemoteFile, data: bytes) -> Blob:
        run.report.read.append(file.name)
        return Blob.from_data(
            data,
            encoding=codec_of(data, file.name),
            mime_type=file.mime_type,
            path=file.name,
            metadata=file_metadata(file, run.session_id),
        )


def _document(run: _Run, file: RemoteFile, parsed: Parsed, part: Part) -> Document:
    text = shown(part.text) if parsed.escaped else part.text
    content = f"{part.context}\n{text}" if part.context else text
    metadata = {
        **file_metadata(file, run.session_id),
        "kind": parsed.kind,
        **({"encoding": parsed.encoding} if parsed.encoding else {}),
        **part.place.metadata(),
        "start_index": part.start_index,
        "end_index": part.end_index,
    }
    return Document(page_content=content, metadata=metadata)
