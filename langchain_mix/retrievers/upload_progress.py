"""How far an upload is, shown or told.

Owns: counting, and the ways to show it. Refuses to know: how uploads travel.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeAlias

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """How far an upload is.

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
"""True for a bar, False for nothing, or a function that is told; files go on side by side, but it is called by one
thread at a time."""


class Tracker:
    """Counts what all files together have sent."""

    def __init__(self, sizes: dict[Path, int], tell: Callable[[UploadProgress], object]) -> None:
        """Begins at nothing.

        Args:
            sizes: The bytes of each file.
            tell: Told every step.
        """
        self._sizes = sizes
        self._tell = tell
        self._sent = dict.fromkeys(sizes, 0)
        self._done: set[Path] = set()
        self._lock = threading.Lock()

    def sent(self, path: Path, sent: int) -> None:
        """Notes how much of a file was sent."""
        with self._lock:
            self._sent[path] = sent
            self._told(path)

    def done(self, path: Path) -> None:
        """Notes that a file is stored."""
        with self._lock:
            self._sent[path] = self._sizes[path]
            self._done.add(path)
            self._told(path)

    def _told(self, path: Path) -> None:
        self._tell(
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
        """Chooses how.

        Args:
            progress: As in `upload`.
        """
        self._progress = progress
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._files_told = -1

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

    def tell(self, step: UploadProgress) -> None:
        """Shows a step."""
        if callable(self._progress):
            self._progress(step)
        elif self._bar is not None:
            words = f"Uploading ({step.files_done} of {step.files} files)"
            if self._task is None:
                self._task = self._bar.add_task(words, total=step.bytes_total)
            self._bar.update(self._task, completed=step.bytes_sent, description=words)
        elif self._progress and step.files_done != self._files_told:
            self._files_told = step.files_done
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
