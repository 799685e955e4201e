"""Files and folders uploaded to a session.

Owns: many uploads at a time, and what became of each. Refuses to know: how one upload travels (the client) and what may
be sent (`upload_plan.py`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from langchain_mix.client import Mix
from langchain_mix.errors import MixConfigurationError, MixError, MixUploadError
from langchain_mix.protocol.models import FileInfo
from langchain_mix.retrievers.connecting import Connection
from langchain_mix.retrievers.selection import remember_upload
from langchain_mix.retrievers.upload_plan import Paths, Plan, Planned, plan_upload, refuse_existing
from langchain_mix.retrievers.upload_progress import Display, Progress, Tracker

_PARALLEL: Final = 4


@dataclass(slots=True)
class UploadReport:
    """What became of each file.

    Attributes:
        stored: The name under which the server stored each file; it is the one to ask for.
        failed: Why a file was not stored, or not as it should be.
        not_sent: Files that were not sent any more after one had failed.
        left_out: What folders have that was not to be sent: hidden files, links, and what is no regular file.
    """

    stored: dict[Path, str] = field(default_factory=dict)
    failed: dict[Path, Exception] = field(default_factory=dict)
    not_sent: list[Path] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)

    @property
    def renamed(self) -> dict[Path, str]:
        """The files that the server stored under another name than their own."""
        return {path: name for path, name in self.stored.items() if name != path.name}


def upload(
    paths: Paths,
    *,
    session_id: str,
    mix: Mix | None = None,
    server_url: str | None = None,
    api: str = "auto",
    headers: Mapping[str, str] | None = None,
    overwrite: bool = False,
    progress: Progress = True,
    parallel_uploads: int = _PARALLEL,
) -> UploadReport:
    """Uploads files and folders, several at a time.

    A server knows no folders, rewrites some names, and most share uploads between all sessions: everything that would
    be lost by that is refused before anything is sent.

    Args:
        paths: Files, folders with all that is below them, and patterns such as `docs/**/*.md`; one or several. Hidden
            files and links in folders are left out.
        session_id: The session.
        mix: A client of your own, which is never closed here; without it one is opened and closed.
        server_url: The server's base URL, as for `Mix`.
        api: The server's API generation, as for `Mix`.
        headers: Headers of every request, as for `Mix`.
        overwrite: Whether files of the same names on the server are replaced, which they are for all sessions. Without
            it the server is asked for its files first.
        progress: True for a bar in a terminal or a notebook if rich is installed, and lines in the log elsewhere; False
            for nothing; or a function that gets an `UploadProgress`.
        parallel_uploads: Uploads at the same time, at least 1.

    Returns:
        The names under which the files are stored.

    Raises:
        MixInputError: Nothing was sent: a file cannot be read, two would be stored under one name, or the server has
            a file of such a name.
        MixUploadError: A file could not be stored; its `report` tells which were.
        MixError: The server cannot be reached, or refuses.
    """
    _check(parallel_uploads)
    with Connection(mix=mix, server_url=server_url, api=api, headers=headers).opened() as client:
        plan, taken = plan_upload(paths, client.known), frozenset[str]()
        if not overwrite:
            taken = frozenset(info.name for info in client.files.list_session_files(id=session_id))
            refuse_existing(plan, taken)
        with Display(progress) as display:
            run = _Run(plan, taken, client.server_url, display)

            def send(item: Planned) -> None:
                with run.noting(item) as note:
                    if note is not None:
                        path, told = item.path, run.progress_of(item)
                        note(client.files.upload_session_file(id=session_id, file=path, progress=told))

            with ThreadPoolExecutor(parallel_uploads, thread_name_prefix="ThreadPool-langchain-mix") as pool:
                list(pool.map(send, plan.files))
        return run.result()


async def aupload(
    paths: Paths,
    *,
    session_id: str,
    mix: Mix | None = None,
    server_url: str | None = None,
    api: str = "auto",
    headers: Mapping[str, str] | None = None,
    overwrite: bool = False,
    progress: Progress = True,
    parallel_uploads: int = _PARALLEL,
) -> UploadReport:
    """Does what `upload` does, asynchronously."""
    _check(parallel_uploads)
    async with Connection(mix=mix, server_url=server_url, api=api, headers=headers).opened_async() as client:
        plan, taken = await asyncio.to_thread(plan_upload, paths, client.known), frozenset[str]()
        if not overwrite:
            taken = frozenset(info.name for info in await client.files.list_session_files_async(id=session_id))
            refuse_existing(plan, taken)
        slots = asyncio.Semaphore(parallel_uploads)
        with Display(progress) as display:
            run = _Run(plan, taken, client.server_url, display)

            async def send(item: Planned) -> None:
                async with slots:
                    with run.noting(item) as note:
                        if note is not None:
                            path, told = item.path, run.progress_of(item)
                            note(await client.files.upload_session_file_async(id=session_id, file=path, progress=told))

            try:
                async with asyncio.TaskGroup() as group:
                    for item in plan.files:
                        group.create_task(send(item))
            except BaseExceptionGroup as failures:
                raise failures.exceptions[0] from None  # Of a function that was told of progress.
        return run.result()


def _check(parallel_uploads: int) -> None:
    if parallel_uploads < 1:
        raise MixConfigurationError(f"`parallel_uploads` is {parallel_uploads}.", hint="It is at least 1.")


class _Run:
    """What became of each file so far; shared between threads."""

    def __init__(self, plan: Plan, taken: Collection[str], server_url: str, display: Display) -> None:
        self._report = UploadReport(left_out=list(plan.left_out))
        self._taken = set(taken)
        self._server_url = server_url
        self._tracker = Tracker({item.path: item.size for item in plan.files}, display.tell)
        self._order = {item.path: place for place, item in enumerate(plan.files)}
        self._lock = threading.Lock()
        self._stopped = False

    def progress_of(self, item: Planned) -> Callable[[int, int | None], object]:
        return lambda sent, _: self._tracker.sent(item.path, sent)

    @contextmanager
    def noting(self, item: Planned) -> Iterator[Callable[[FileInfo], None] | None]:
        """Notes how an upload ends. There is nothing to do in the block if another one has failed."""
        with self._lock:
            if self._stopped:
                self._report.not_sent.append(item.path)
        try:
            yield None if item.path in self._report.not_sent else lambda info: self._stored(item, info)
        except (MixError, OSError) as problem:
            with self._lock:
                self._stopped = True
                self._report.failed[item.path] = problem
        except BaseException:
            self._stopped = True
            raise

    def _stored(self, item: Planned, info: FileInfo) -> None:
        with self._lock:
            self._report.stored[item.path] = info.name
            over = info.name in self._taken
            self._taken.add(info.name)
        remember_upload(self._server_url, info.name)
        if over:
            raise MixUploadError(
                f"The server stored {str(item.path)!r} as {info.name!r}, in the place of another file.",
                acted="yes",
                hint="It rewrites names by a rule of its own; rename the file.",
            )
        self._tracker.done(item.path)

    def result(self) -> UploadReport:
        """The report.

        Raises:
            MixUploadError: A file was not stored.
        """
        report, order = self._report, self._order
        report.stored = dict(sorted(report.stored.items(), key=lambda entry: order[entry[0]]))
        report.not_sent.sort(key=lambda path: order[path])
        if not report.failed:
            return report
        path, problem = min(report.failed.items(), key=lambda entry: order[entry[0]])
        told = f"{len(report.stored)} stored, {len(report.failed)} failed, {len(report.not_sent)} not sent"
        raise MixUploadError(
            f"{str(path)!r} could not be uploaded ({told}): {problem}",
            report=report,
            sent=getattr(problem, "sent", ""),
            acted="yes" if report.stored else getattr(problem, "acted", "unknown"),
            hint="`report` has the stored names; upload the rest again.",
        ) from problem
