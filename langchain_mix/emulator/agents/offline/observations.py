"""Reads what the tools gave.

Owns: the way back from the outputs of Glob, Grep and ReadText to paths and numbered lines.
Refuses to know: the tools themselves, and what the lines are used for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from langchain_mix.emulator.agents.offline.conversation import Act, Conversation, Step

PAGE_LINES = 20_000
_NUMBERED = re.compile(r" *([0-9]+)\|(.*)", re.DOTALL)
_MORE = re.compile(r"\(File has more lines\. Use 'offset' ([0-9]+) to read on\)\Z")
_HIT = re.compile(r"  Line ([0-9]+): (.*)")


@dataclass(frozen=True, slots=True)
class NumberedLine:
    """A line of a file; numbers begin at 1."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class FileText:
    """What was read of a file.

    Attributes:
        path: As it was given to ReadText.
        lines: In order.
        next_offset: Where to read on, or None if this is all.
        error: Why it could not be read, or empty.
    """

    path: str
    lines: tuple[NumberedLine, ...]
    next_offset: int | None = None
    error: str = ""

    @property
    def cut(self) -> bool:
        """Whether a line was too long to be read whole."""
        return any(line.text.endswith("… (line cut)") for line in self.lines)


def known_files(talk: Conversation) -> list[str] | None:
    """Gives the paths that Glob found in this turn, hidden files left out; None if it was not asked."""
    globbed = talk.done("Glob")
    if not globbed:
        return None
    output = globbed[-1].result
    if output.is_error:
        return []
    paths = [line for line in output.output.splitlines() if line.startswith("/")]
    return [path for path in paths if not any(part.startswith(".") for part in talk.name_of(path).split("/"))]


def look_around(*thoughts: str) -> Act:
    """Lists all files."""
    return Act("Glob", {"pattern": "**/*"}, thoughts=thoughts or ("I look which files there are.",))


def file_text(talk: Conversation, path: str) -> FileText | None:
    """Puts together what ReadText gave of one file in this turn; None if it was not read."""
    read = [step for step in talk.done("ReadText") if step.call.input.get("file_path") == path]
    if not read:
        return None
    failed = next((step.result.output for step in read if step.result.is_error or step.denied), "")
    lines = tuple(line for step in read if not step.result.is_error for line in _numbered(step))
    more = _MORE.search(read[-1].result.output)
    return FileText(path, lines, int(more[1]) if more and not failed else None, failed)


def read_whole(talk: Conversation, path: str) -> FileText | Act:
    """Gives a whole file, or the next call that is needed for it."""
    found = file_text(talk, path)
    if found is not None and found.next_offset is None:
        return found
    offset = found.next_offset if found is not None else 0
    arguments = {"file_path": path, "offset": offset, "limit": PAGE_LINES}
    return Act("ReadText", arguments, thoughts=(f"I read {talk.name_of(path)}.",))


def hits(output: str) -> dict[str, list[NumberedLine]]:
    """Reads the output of Grep: matching lines by path."""
    found: dict[str, list[NumberedLine]] = {}
    path = ""
    for line in output.split("\n"):
        match = _HIT.fullmatch(line)
        if match and path:
            found.setdefault(path, []).append(NumberedLine(int(match[1]), match[2]))
        elif line.startswith("/") and line.endswith(":"):
            path = line[:-1]
    return found


def _numbered(step: Step) -> list[NumberedLine]:
    matches = (_NUMBERED.fullmatch(line) for line in step.result.output.split("\n"))
    return [NumberedLine(int(match[1]), match[2]) for match in matches if match]
