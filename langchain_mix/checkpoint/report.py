"""What maintenance of the store tells.

Owns: the forms of these answers. Refuses to know: how they come about.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Deleted:
    """What deleting a thread did.

    Attributes:
        existed: Whether there was something to delete.
        files: Files deleted.
        left: Names of files that could not be deleted; nothing refers to them.
    """

    existed: bool
    files: int = 0
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What rewriting a thread did.

    Attributes:
        before: Entries before.
        after: Entries after.
        files: Files deleted that nothing refers to any more.
        left: Names of those that could not be deleted.
    """

    before: int
    after: int
    files: int = 0
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ThreadReport:
    """What is stored of one thread.

    Attributes:
        thread_id: The thread; empty if nothing readable tells it.
        key: The part that all names of its files share.
        files: Its files, orphans included.
        bytes: Their size.
        checkpoints: Checkpoints, replaced ones included.
        writes: Records of pending writes.
        segments: Immutable files of entries.
        orphans: Names of files that nothing refers to.
        problem: Why it cannot be read, or empty.
    """

    thread_id: str
    key: str
    files: int = 0
    bytes: int = 0
    checkpoints: int = 0
    writes: int = 0
    segments: int = 0
    orphans: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What is stored.

    Attributes:
        threads: One report each.
    """

    threads: tuple[ThreadReport, ...] = ()

    @property
    def files(self) -> int:
        """Files of all threads."""
        return sum(thread.files for thread in self.threads)

    @property
    def bytes(self) -> int:
        """Their size."""
        return sum(thread.bytes for thread in self.threads)

    @property
    def checkpoints(self) -> int:
        """Checkpoints of all threads."""
        return sum(thread.checkpoints for thread in self.threads)

    @property
    def writes(self) -> int:
        """Records of pending writes of all threads."""
        return sum(thread.writes for thread in self.threads)

    @property
    def segments(self) -> int:
        """Immutable files of entries of all threads."""
        return sum(thread.segments for thread in self.threads)

    @property
    def orphans(self) -> tuple[str, ...]:
        """Names of files that nothing refers to."""
        return tuple(name for thread in self.threads for name in thread.orphans)


@dataclass(frozen=True, slots=True)
class Repaired:
    """One thing that a repair found.

    Attributes:
        key: The part that all names of the thread's files share.
        document: The file.
        problem: What is wrong with it.
        action: What was done, or would be.
        lost: Whether something that had been stored is gone for good.
    """

    key: str
    document: str
    problem: str
    action: str
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair found and did.

    Attributes:
        dry_run: Whether nothing was done.
        steps: What was found, in order.
        left: Names of files that could not be deleted.
    """

    dry_run: bool
    steps: tuple[Repaired, ...] = ()
    left: tuple[str, ...] = field(default=())
