"""Downloads of files, several at a time, and the report of a run.

Owns: how many downloads run, how much is held, and which failures cost a file and which the run.
Refuses to know: what is in a file, and what it is used for.

Concurrent downloads need threads in synchronous code; each waits for the network alone, and all downloads have ended
when the iteration has.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from langchain_mix import process_fork
from langchain_mix.errors import (
    MixAuthenticationError,
    MixConfigurationError,
    MixError,
    MixFileError,
    MixNetworkError,
    MixNotFoundError,
    MixResponseError,
    MixUsageError,
)
from langchain_mix.protocol import calls
from langchain_mix.protocol.call import Call, Reply
from langchain_mix.retrievers.files import RemoteFile
from langchain_mix.retrievers.parsing.parsed import Kind, Limits, Skipped

if TYPE_CHECKING:
    from langchain_mix.client import Mix

OnProblem: TypeAlias = Literal["report", "raise"]
"""The effect of a file that cannot be read: an entry in the report, or the end of the run."""


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file that was not read.

    Attributes:
        name: Its name on the server.
        reason: Why, as the rest of a sentence that begins with the name: `is encrypted`.
        kind: What the file is; None if it was not looked at.
    """

    name: str
    reason: str
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class FileProblem:
    """Something of a file that was left out or is uncertain, though the file was read.

    Attributes:
        name: Its name on the server.
        text: What it is, in one sentence.
    """

    name: str
    text: str


@dataclass(slots=True)
class FileReport:
    """Reports the outcome of each file of a run. It grows while the run goes on.

    Attributes:
        read: The names of the files that were read, in order.
        skipped: The files that were not, and why.
        problems: What was left out of files that were read, or is uncertain about them.
        partial: Those of them that name something that was left out: a file without any was read as a whole.
    """

    read: list[str] = field(default_factory=list)
    skipped: list[SkippedFile] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)
    partial: list[FileProblem] = field(default_factory=list)

    def note(self, name: str, problems: Iterable[str], partial: Collection[str]) -> None:
        """Notes a file that was read, and what was left out or is uncertain: a sentence each."""
        self.read.append(name)
        noted = [FileProblem(name, problem) for problem in problems]
        self.problems += noted
        self.partial += [problem for problem in noted if problem.text in partial]

    def skip(self, name: str, reason: str, kind: Kind | None, on_problem: OnProblem = "report") -> None:
        """Notes a file that was not read, and why: the rest of a sentence that begins with its name.

        Raises:
            MixFileError: It does.
        """
        self.skipped.append(SkippedFile(name, reason, kind))
        if on_problem == "raise":
            raise MixFileError(
                f"The file {name!r} {reason}.",
                name=name,
                hint='Leave it out with `exclude`, or pass `on_problem="report"` to go on without such files.',
            )

    def __str__(self) -> str:
        """Returns a line for each file that was skipped or is not whole, after the count of those read."""
        in_part = len({problem.name for problem in self.partial})
        read = f"{len(self.read)} files read" + (f" ({in_part} in part)" if in_part else "")
        lines = [f"{read}, {len(self.skipped)} skipped."]
        lines += [f"{skipped.name}: {skipped.reason}." for skipped in self.skipped]
        lines += [f"{problem.name}: {problem.text}" for problem in self.problems]
        return "\n".join(lines)


def checked_on_problem(value: str) -> OnProblem:
    """Reads the option `on_problem`.

    Raises:
        MixConfigurationError: It is neither `"report"` nor `"raise"`.
    """
    if value == "report":
        return "report"
    if value == "raise":
        return "raise"
    raise MixConfigurationError(f"`on_problem` is {value!r}.", hint='It is "report" or "raise".')


_ATTEMPTS: Final = 3
"""Attempts at a file whose download broke in the middle. The client retries those that never began."""

_SAME_TICK: Final = 2.0
"""Seconds by which a file must be older than its download for its time to prove anything: times have whole seconds, and
a file that is written twice within one has the same time both times."""


@dataclass(frozen=True, slots=True)
class Received:
    """A file that was requested.

    Attributes:
        file: The file as listed.
        data: Its bytes; none if it is unchanged.
        version: Its `Last-Modified`, by which a later request finds it unchanged; empty if the server does not send
            one, or one that is too young to prove anything.
        unchanged: True when the server answered that it is the version that was known.
    """

    file: RemoteFile
    data: bytes
    version: str = ""
    unchanged: bool = False


Outcome: TypeAlias = Received | Skipped


class _StoppedError(Exception):
    """The sink takes no more: the file is larger than allowed, or nobody waits for it any longer."""


class _Budget:
    """Bytes that all downloads of a run may still take; shared between threads."""

    def __init__(self, total: int) -> None:
        self._left = total
        self._lock = threading.Lock()
        self.closed = False

    def take(self, size: int) -> bool:
        with self._lock:
            self._left -= size
            return self._left >= 0

    def give_back(self, size: int) -> None:
        with self._lock:
            self._left += size


class _Sink(BytesIO):
    """Takes the bytes of one file as long as they are within the limits."""

    def __init__(self, budget: _Budget, limits: Limits) -> None:
        super().__init__()
        self._budget = budget
        self._limits = limits
        self.size = 0
        self.problem = ""

    def write(self, piece: bytes, /) -> int:  # type: ignore[override]  # Pieces of answers are bytes.
        self.size += len(piece)
        if self._budget.closed:
            raise _StoppedError
        if self.size > self._limits.max_file_bytes:
            self._stop(f"is larger than {self._limits.max_file_bytes} bytes (`max_file_bytes`)")
        if not self._budget.take(len(piece)):
            self._stop(beyond_total(self._limits))
        return super().write(piece)

    def restart(self) -> None:
        self._budget.give_back(self.size)
        self.size = 0
        self.seek(0)
        self.truncate()

    def _stop(self, problem: str) -> None:
        self.problem = problem
        raise _StoppedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Files of one session that are downloaded together.

    Attributes:
        session_id: The session.
        files: The files.
        limits: How much is downloaded, and how much at a time.
        report: Gets the files that are left out: their names are refused, they are too large, gone, or not given out.
        on_problem: Whether such a file ends the run.
        versions: The versions of files that are known, by name; the server need not send those again.
    """

    session_id: str
    files: Sequence[RemoteFile]
    limits: Limits
    report: FileReport
    on_problem: OnProblem = "report"
    versions: Mapping[str, str] = field(default_factory=dict)


def download_all(mix: Mix, batch: Batch) -> Generator[Received, None, None]:
    """Downloads files, several at a time, and yields them in the order in which they were passed.

    Yields:
        Each file that came. At most `2 * parallel_downloads` files are held in addition to the current one.

    Raises:
        MixFileError: A file is left out and `on_problem` is `"raise"`.
        MixNetworkError: The server cannot be reached.
        MixError: A failure that every file would have.
    """
    files, limits, budget = batch.files, batch.limits, _Budget(batch.limits.max_total_bytes)
    process = os.getpid()
    # This thread downloads one of a few files itself: an answer from a single file is verified without another thread.
    few = len(files) <= limits.parallel_downloads
    waiting: deque[tuple[RemoteFile, Future[Outcome] | Callable[[], Outcome]]] = deque()

    def begin(index: int, file: RemoteFile, pool: ThreadPoolExecutor) -> Future[Outcome] | Callable[[], Outcome]:
        refused = refusal_before(file, index, limits)
        if refused is not None:
            return lambda: refused
        download = partial(_download, mix, batch, budget, file)
        return download if few and index == 0 else pool.submit(download)

    with _threads(max(limits.parallel_downloads - few, 1)) as pool:
        try:
            for index, file in enumerate(files):
                waiting.append((file, begin(index, file, pool)))
                while len(waiting) > (2 * limits.parallel_downloads if index < len(files) - 1 else 0):
                    _refuse_in_child(process)
                    oldest, outcome = waiting[0]
                    settled = outcome.result() if isinstance(outcome, Future) else outcome()
                    waiting.popleft()  # Not before: what still runs is waited for at the end.
                    yield from _settled(batch, oldest, settled)
        finally:
            budget.closed = True
            if os.getpid() == process:
                wait([begun for _, begun in waiting if isinstance(begun, Future) and not begun.cancel()])


_IDLE: Final[dict[int, list[ThreadPoolExecutor]]] = {}
"""Threads that have nothing to do, by how many there are of one run."""
_MOST_IDLE: Final = 4

process_fork.renew_in_child(_IDLE.clear)


@contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Lends one run its threads, those of an earlier run if they are free: to make them takes longer than an answer.

    No two runs share threads, so that none waits for the server of another one. All downloads of a run have ended when
    it gives them back.
    """
    idle, process = _IDLE.setdefault(count, []), os.getpid()
    try:
        pool = idle.pop()
    except IndexError:
        pool = ThreadPoolExecutor(count, thread_name_prefix="ThreadPool-langchain-mix")
    try:
        yield pool
    except BaseException:
        if os.getpid() == process:
            pool.shutdown(wait=False)
        raise
    if os.getpid() == process:
        idle.append(pool)
        while len(idle) > _MOST_IDLE:
            idle.pop().shutdown(wait=False)


async def download_all_async(mix: Mix, batch: Batch) -> AsyncGenerator[Received, None]:
    """Does what `download_all` does, asynchronously and without threads."""
    limits, budget = batch.limits, _Budget(batch.limits.max_total_bytes)
    slots = asyncio.Semaphore(limits.parallel_downloads)
    waiting: deque[tuple[RemoteFile, Outcome | asyncio.Task[Outcome]]] = deque()

    async def start(file: RemoteFile) -> Outcome:
        async with slots:
            return await _download_async(mix, batch, budget, file)

    async def oldest() -> tuple[RemoteFile, Outcome]:
        file, outcome = waiting[0]
        done = await outcome if isinstance(outcome, asyncio.Task) else outcome
        waiting.popleft()  # Not before: a task that is waited for is cancelled with the others.
        return file, done

    try:
        for index, file in enumerate(batch.files):
            waiting.append((file, refusal_before(file, index, limits) or asyncio.create_task(start(file))))
            while len(waiting) > 2 * limits.parallel_downloads:
                for settled in _settled(batch, *await oldest()):
                    yield settled
        while waiting:
            for settled in _settled(batch, *await oldest()):
                yield settled
    finally:
        budget.closed = True
        left = [task for _, task in waiting if isinstance(task, asyncio.Task)]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def refusal_before(file: RemoteFile, index: int, limits: Limits) -> Skipped | None:
    """Returns why a file, the one with this index among those that are meant, is not requested; None if it is."""
    if file.refused:
        return Skipped(f"was not read: {file.refused}")
    if file.size > limits.max_file_bytes:
        return Skipped(f"has {file.size} bytes; at most {limits.max_file_bytes} are read (`max_file_bytes`)")
    if index >= limits.max_files:
        return Skipped(f"is beyond the {limits.max_files} files that are read (`max_files`)")
    return None


def beyond_total(limits: Limits) -> str:
    """Returns the reason against a file for which the others leave no room."""
    return f"is beyond the {limits.max_total_bytes} bytes that are read in all (`max_total_bytes`)"


def _refuse_in_child(process: int) -> None:
    if os.getpid() != process:
        raise MixUsageError(
            "The files are being downloaded by threads of the process that this one was forked from.",
            hint="Begin to read them in this process.",
        )


def _settled(batch: Batch, file: RemoteFile, outcome: Outcome) -> Iterator[Received]:
    if isinstance(outcome, Skipped):
        batch.report.skip(file.name, outcome.reason, outcome.kind, batch.on_problem)
        return
    yield outcome


def _download(mix: Mix, batch: Batch, budget: _Budget, file: RemoteFile) -> Outcome:
    sink, version, failures = _Sink(budget, batch.limits), batch.versions.get(file.name, ""), 0
    while True:
        try:
            head = mix.download(_request(batch.session_id, file.name, version), sink.write)
        except (MixError, _StoppedError) as problem:
            failures += 1
            if (refusal := _judged(problem, sink, failures)) is not None:
                return refusal
        else:
            if (received := _received(file, head, sink, version)) is not None:
                return received
            version = ""


async def _download_async(mix: Mix, batch: Batch, budget: _Budget, file: RemoteFile) -> Outcome:
    sink, version, failures = _Sink(budget, batch.limits), batch.versions.get(file.name, ""), 0
    while True:
        try:
            head = await mix.download_async(_request(batch.session_id, file.name, version), sink.write)
        except (MixError, _StoppedError) as problem:
            failures += 1
            if (refusal := _judged(problem, sink, failures)) is not None:
                return refusal
        else:
            if (received := _received(file, head, sink, version)) is not None:
                return received
            version = ""


@lru_cache(maxsize=1 << 10)  # Answers are verified from the same files again and again.
def _request(session_id: str, name: str, version: str) -> Call[Reply]:
    return calls.download_changed(session_id, name, version)


def _received(file: RemoteFile, head: Reply, sink: _Sink, version: str) -> Received | None:
    """Returns what an answer has brought, or None where the file must be requested whole.

    Mix: an answer without a body says that the file is not newer. Another file may have taken its place that is older,
    such as the upload that a private file had hidden; its `Last-Modified` shows that.
    """
    if head.status != HTTPStatus.NOT_MODIFIED:
        return Received(file, sink.getvalue(), version_of(head))
    same = head.headers.get("last-modified", version) == version
    return Received(file, b"", version, unchanged=True) if same else None


def version_of(head: Reply) -> str:
    """Returns the `Last-Modified` of a file that was downloaded, if every later change will show in it; else empty."""
    modified, now = head.headers.get("last-modified"), head.headers.get("date")
    if modified is None or now is None:
        return ""
    try:
        age = (parsedate_to_datetime(now) - parsedate_to_datetime(modified)).total_seconds()
    except (ValueError, TypeError):  # No times, or one of them without a zone.
        return ""
    return modified if age > _SAME_TICK else ""


def _judged(problem: MixError | _StoppedError, sink: _Sink, attempt: int) -> Skipped | None:
    """Judges a failure: returns a reason to leave the file out, None to try again, or raises to end the run."""
    if isinstance(problem, _StoppedError):
        return Skipped(sink.problem or "was not read: the run has ended")
    if isinstance(problem, MixNotFoundError):
        return Skipped("is gone from the server")
    if isinstance(problem, MixNetworkError) and sink.size and attempt < _ATTEMPTS:
        sink.restart()
        return None
    if isinstance(problem, MixResponseError) and not isinstance(problem, MixAuthenticationError):
        return Skipped(f"was not given out by the server: {problem.message}")
    raise problem
