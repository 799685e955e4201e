"""What a check has found.

Owns: the forms of a finding, and how findings are shown. Refuses to know: the checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from langchain_mix.cli.terminal import visible

Status = Literal["ok", "note", "skipped", "problem"]

_INDENT: Final = 22
_MARKS: Final[dict[Status, tuple[str, str]]] = {
    "ok": ("ok", "green"),
    "note": ("note", "cyan"),
    "skipped": ("skipped", "dim"),
    "problem": ("PROBLEM", "bold red"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check has found.

    Attributes:
        check: Its name, stable: programs may look for it.
        status: `problem` is what keeps something from working; a `note` is worth knowing.
        detail: What was found, in a sentence.
        hint: What to do about it; empty if there is nothing to do.
        milliseconds: How long what was measured took, or None if nothing was.
    """

    check: str
    status: Status
    detail: str
    hint: str = ""
    milliseconds: float | None = None


def show(console: Console, findings: Sequence[Finding]) -> None:
    """Shows findings to people, problems counted at the end."""
    for finding in findings:
        show_one(console, finding)
    console.print()
    problems = sum(f.status == "problem" for f in findings)
    skipped = sum(f.status == "skipped" for f in findings)
    words = f"{problems} problem{'' if problems == 1 else 's'}" if problems else "No problem found"
    style = "bold red" if problems else "bold green"
    console.print(Text(words, style=style).append(f" ({skipped} skipped)." if skipped else ".", style="none"))


def show_one(console: Console, finding: Finding) -> None:
    """Shows one finding."""
    mark, style = _MARKS[finding.status]
    line = Text(f"{mark:>7}  ", style=style).append(f"{finding.check:<12} ", style="bold")
    console.print(line.append(visible(finding.detail), style="none"), soft_wrap=not console.is_terminal)
    if finding.hint:
        hint = Text(f"-> {visible(finding.hint)}", style="yellow" if finding.status == "problem" else "dim")
        if console.is_terminal:
            console.print(Padding(hint, (0, 0, 0, _INDENT)))
        else:
            console.print(Text(" " * _INDENT).append(hint), soft_wrap=True)


def as_data(server: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """Findings as data: `ok` is false if there is a problem."""
    return {
        "ok": all(f.status != "problem" for f in findings),
        "server": server,
        "checks": [asdict(f) for f in findings],
    }
