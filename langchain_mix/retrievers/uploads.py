"""Uploads of files and folders.

Owns: what is sent and under which names the server stores it, what is refused beforehand, concurrent uploads, progress.
Refuses to know: how one upload travels (the client).
"""

from __future__ import annotations

import asyncio
import glob
import logging
import os
import re
import sys
import threading
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from langchain_mix.client import Mix
from langchain_mix.errors import MixConfigurationError, MixError, MixInputError, MixUploadError
from langchain_mix.protocol.api import ApiKnowledge
from langchain_mix.protocol.models import FileInfo
from langchain_mix.reserved_files import is_reserved
from langchain_mix.retrievers.files import Connection, remember_upload

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

Paths: TypeAlias = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""Files, folders and patterns: one or several."""

_SPACE: Final = re.compile("[\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_UNDERSCORES: Final = re.compile("__+")
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Planned:
    """A file that is to be uploaded, and the names under which servers may store it: one if the generation is known."""

    path: Path
    size: int
    expected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is to be uploaded, each file once, and what folders have that is not: see `UploadReport`."""

    files: tuple[Planned, ...]
    left_out: tuple[Path, ...]


def plan_upload(paths: Paths, detected: ApiKnowledge) -> Plan:
    """Finds the files and checks their names. Nothing is sent.

    Raises:
        MixInputError: There is no such file, one cannot be read, its name is none for a server, or two files would be
            stored under one name.
    """
    left_out: list[Path] = []
    found: dict[Path, Planned] = {}
    for path in _found(paths, left_out):
        real = path.resolve()
        if real not in found:
            found[real] = _planned(path, detected)
    files = tuple(found.values())
    _refuse_collisions(files)
    return Plan(files, tuple(left_out))


def refuse_existing(plan: Plan, names: Collection[str]) -> None:
    """Refuses a plan that would overwrite files on the server, whose names are passed.

    Raises:
        MixInputError: Some of them would be overwritten, in all sessions.
    """
    taken = sorted({name for file in plan.files for name in file.expected if name in names})
    if taken:
        raise MixInputError(
            f"The server has files of these names already: {_listed(taken)}.",
            hint="An upload replaces them for all sessions; pass `overwrite=True` if that is meant.",
        )


def stored_names(name: str, detected: ApiKnowledge) -> tuple[str, ...]:
    """Returns the names under which servers may store a file: both if the generation is unknown and makes a difference.

    Mix: white space becomes `_`, and runs of `_` become one; from Mix 0.7 on, dots before the extension become `_` too.
    """
    spaced = _SPACE.sub("_", name)
    stem, dot, extension = spaced.rpartition(".")
    older = _UNDERSCORES.sub("_", spaced)
    # A dot at the beginning alone, as in `.bashrc`, is kept.
    newer = _UNDERSCORES.sub("_", (stem.replace(".", "_") + dot + extension) if stem else spaced)
    rewrites_dots = detected.supports("subagents")
    if rewrites_dots is None:
        return tuple(dict.fromkeys((newer, older)))
    return (newer,) if rewrites_dots else (older,)


def _found(paths: Paths, left_out: list[Path]) -> Iterator[Path]:
    for given in [paths] if isinstance(paths, str | os.PathLike) else paths:
        path = Path(given).expanduser()
        if path.is_dir():
            yield from _below(path, left_out)
        elif path.exists() or not glob.has_magic(str(path)):
            yield path
        else:
            yield from _matching(str(path))


def _matching(pattern: str) -> Iterator[Path]:
    matches = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207  # `**` and absolute patterns alike.
    files = [path for path in matches if path.is_file()]
    if not files:
        raise MixInputError(f"No file matches {pattern!r}.")
    yield from files


def _below(folder: Path, left_out: list[Path]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.is_symlink():
            left_out.append(path)
        elif path.is_dir():
            yield from _below(path, left_out)
        elif path.is_file():
            yield path
        else:
            left_out.append(path)


def _planned(path: Path, detected: ApiKnowledge) -> Planned:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
    except OSError as problem:
        raise MixInputError(f"{str(path)!r} cannot be read: {problem.strerror or problem}.") from problem
    name = path.name
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
        raise MixInputError(f"{str(path)!r} has a name with control characters.", hint="Rename it.")
    expected = stored_names(name, detected)
    if any(is_reserved(stored) for stored in expected):
        raise MixInputError(f"{str(path)!r} has a name that this package keeps for its own files.", hint="Rename it.")
    return Planned(path, size, expected)


def _refuse_collisions(files: Sequence[Planned]) -> None:
    by_name: dict[str, list[Path]] = {}
    for file in files:
        # The first is the newer rule's, under which all names collide that do under the older one.
        by_name.setdefault(file.expected[0], []).append(file.path)
    for name, paths in by_name.items():
        if len(paths) > 1:
            raise MixInputError(
                f"These files would all be stored as {name!r}: {_listed([str(path) for path in paths])}.",
                hint="A server knows no folders and rewrites names; rename all but one, or upload them elsewhere.",
            )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more


_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """The progress of an upload.

    Attributes:
        path: The file that goes on.
        sent: Its bytes that were read for sending so far.
        size: Its bytes.
        files_done: Files that are stored.
        files: Files in all.
        bytes_sent: Bytes of all files that were read for sending so far.
        bytes_total: Bytes of all files.
    """

    path: Path
    sent: int
    size: int
    files_done: int
    files: int
    bytes_sent: int
    bytes_total: int


Progress: TypeAlias = bool | Callable[[UploadProgress], object]
"""True for a bar, False for nothing, or a function, which one thread at a time calls."""


class Tracker:
    """Counts what all files together have sent."""

    def __init__(self, sizes: dict[Path, int], emit: Callable[[UploadProgress], object]) -> None:
        """Begins at nothing; `emit` is called with every step."""
        self._sizes = sizes
        self._emit = emit
        self._sent = dict.fromkeys(sizes, 0)
        self._done: set[Path] = set()
        self._lock = threading.Lock()

    def sent(self, path: Path, sent: int) -> None:
        """Notes how much of a file was sent."""
        with self._lock:
            self._sent[path] = sent
            self._report(path)

    def done(self, path: Path) -> None:
        """Notes that a file is stored."""
        with self._lock:
            self._sent[path] = self._sizes[path]
            self._done.add(path)
            self._report(path)

    def _report(self, path: Path) -> None:
        self._emit(
            UploadProgress(
                path=path,
                sent=self._sent[path],
                size=self._sizes[path],
                files_done=len(self._done),
                files=len(self._sizes),
                bytes_sent=sum(self._sent.values()),
                bytes_total=sum(self._sizes.values()),
            )
        )


class Display:
    """Shows progress: a bar where somebody looks and it can be drawn, else a line in the log for each file."""

    def __init__(self, progress: Progress) -> None:
        """Chooses how, by the option of `upload`."""
        self._progress = progress
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._files_shown = -1

    def __enter__(self) -> Self:
        """Draws the bar, if there is one."""
        if self._progress is True and _somebody_looks():
            self._bar = _bar()
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves the bar as it is last."""
        if self._bar is not None:
            self._bar.stop()

    def show(self, step: UploadProgress) -> None:
        """Shows a step."""
        if callable(self._progress):
            self._progress(step)
        elif self._bar is not None:
            words = f"Uploading ({step.files_done} of {step.files} files)"
            if self._task is None:
                self._task = self._bar.add_task(words, total=step.bytes_total)
            self._bar.update(self._task, completed=step.bytes_sent, description=words)
        elif self._progress and step.files_done != self._files_shown:
            self._files_shown = step.files_done
            _log.info("Uploaded %d of %d files, %d bytes.", step.files_done, step.files, step.bytes_sent)


def _somebody_looks() -> bool:
    # In notebooks rich draws with ipywidgets; without them it warns and shows an empty line.
    return sys.stderr.isatty() or ("ipykernel" in sys.modules and find_spec("ipywidgets") is not None)


def _bar() -> RichProgress | None:
    try:
        from rich.console import Console  # noqa: PLC0415  # An extra.
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn  # noqa: PLC0415
        from rich.progress import Progress as RichProgress  # noqa: PLC0415
    except ImportError:
        return None
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return RichProgress(*columns, console=Console(stderr=True))


_PARALLEL: Final = 4


@dataclass(slots=True)
class UploadReport:
    """Reports the outcome of each file.

    Attributes:
        stored: The name under which the server stored each file; use it in requests.
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
            it the files of the server are listed first.
        progress: True for a bar in a terminal or a notebook if rich is installed, and lines in the log elsewhere; False
            for nothing; or a function that gets an `UploadProgress`.
        parallel_uploads: Uploads at the same time, at least 1.

    Returns:
        The names under which the files are stored.

    Raises:
        MixInputError: Nothing was sent: a file cannot be read, two would be stored under one name, or the server has
            a file of such a name.
        MixUploadError: A file could not be stored; its `report` lists those that were.
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
                        path, emit = item.path, run.progress_of(item)
                        note(client.files.upload_session_file(id=session_id, file=path, progress=emit))

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
    async with Connection(mix=mix, server_url=server_url, api=api, headers=headers).opened() as client:
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
                            path, emit = item.path, run.progress_of(item)
                            note(await client.files.upload_session_file_async(id=session_id, file=path, progress=emit))

            try:
                async with asyncio.TaskGroup() as group:
                    for item in plan.files:
                        group.create_task(send(item))
            except BaseExceptionGroup as failures:
                raise failures.exceptions[0] from None  # Of the function that shows progress.
        return run.result()


def _check(parallel_uploads: int) -> None:
    if parallel_uploads < 1:
        raise MixConfigurationError(f"`parallel_uploads` is {parallel_uploads}.", hint="It is at least 1.")


class _Run:
    """Collects the outcome of each file; shared between threads."""

    def __init__(self, plan: Plan, taken: Collection[str], server_url: str, display: Display) -> None:
        self._report = UploadReport(left_out=list(plan.left_out))
        self._taken = set(taken)
        self._server_url = server_url
        self._tracker = Tracker({item.path: item.size for item in plan.files}, display.show)
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
        """Returns the report.

        Raises:
            MixUploadError: A file was not stored.
        """
        report, order = self._report, self._order
        report.stored = dict(sorted(report.stored.items(), key=lambda entry: order[entry[0]]))
        report.not_sent.sort(key=lambda path: order[path])
        if not report.failed:
            return report
        path, problem = min(report.failed.items(), key=lambda entry: order[entry[0]])
        counts = f"{len(report.stored)} stored, {len(report.failed)} failed, {len(report.not_sent)} not sent"
        raise MixUploadError(
            f"{str(path)!r} could not be uploaded ({counts}): {problem}",
            report=report,
            sent=getattr(problem, "sent", ""),
            acted="yes" if report.stored else getattr(problem, "acted", "unknown"),
            hint="`report` has the stored names; upload the rest again.",
        ) from problem
