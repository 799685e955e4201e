"""What became of each file of a run.

Owns: the report of a run, and whether a file that cannot be read ends it. Refuses to know: how files are read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from langchain_mix.errors import MixConfigurationError, MixFileError
from langchain_mix.retrievers.parsing.parsed import Kind

OnProblem: TypeAlias = Literal["report", "raise"]
"""What a file that cannot be read does: it is told in the report, or it ends the run."""


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
    """What became of each file of a run. It grows while the run goes on.

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
        """Notes a file that was read.

        Args:
            name: Its name on the server.
            problems: What was left out or is uncertain, a sentence each.
            partial: Those of them that name something that was left out.
        """
        self.read.append(name)
        noted = [FileProblem(name, problem) for problem in problems]
        self.problems += noted
        self.partial += [problem for problem in noted if problem.text in partial]

    def skip(self, name: str, reason: str, kind: Kind | None, on_problem: OnProblem = "report") -> None:
        """Notes a file that was not read.

        Args:
            name: Its name on the server.
            reason: Why, as the rest of a sentence that begins with the name.
            kind: What it is; None if it was not looked at.
            on_problem: Whether that ends the run.

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
        """A line for each file that was skipped or is not whole, after the count of those read."""
        in_part = len({problem.name for problem in self.partial})
        read = f"{len(self.read)} files read" + (f" ({in_part} in part)" if in_part else "")
        lines = [f"{read}, {len(self.skipped)} skipped."]
        lines += [f"{skipped.name}: {skipped.reason}." for skipped in self.skipped]
        lines += [f"{problem.name}: {problem.text}" for problem in self.problems]
        return "\n".join(lines)


def checked_on_problem(value: str) -> OnProblem:
    """Reads the option `on_problem`.

    Args:
        value: What the user passed.

    Returns:
        The same.

    Raises:
        MixConfigurationError: It is neither `"report"` nor `"raise"`.
    """
    if value == "report":
        return "report"
    if value == "raise":
        return "raise"
    raise MixConfigurationError(f"`on_problem` is {value!r}.", hint='It is "report" or "raise".')
