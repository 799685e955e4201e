"""Runs the samples of README and guide, and writes below each what it prints.

A sample is a Python block; the block `Output` right below it is what it prints. Run as a program, this rewrites those
blocks: `python -m tests.house.samples`. Samples that need packages of the extra `ecosystem` are blocks of the language `py`;
in an environment that has them: `python tests/house/samples.py py integrations chat`.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from langchain_mix import MixEmulator

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "pages").glob("*.md"))]
SERVER_URL = "http://localhost:8088"
_OUTPUT = '```text title="Output"\n'
_SAMPLE = re.compile(
    rf'```(?P<language>python|py)(?P<title> title="[^"]*")?\n(?P<code>.*?)```\n(?:\n{_OUTPUT}(?P<output>.*?)```\n)?',
    re.DOTALL,
)
# What differs from run to run: ids of sessions, messages and checkpoints; times and durations; the emulator's folder.
_VARYING = re.compile(
    r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    r"|\b(?=[a-f]*\d)[0-9a-f]{7,}\b"
    r"|\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::[\d.]+)?"
    r"|\b[\d.]+ ?(?:ns|µs|ms|s)\b"
    r"|/[^ ]*/mix-emulator-\w+"
)
_WILDCARD = "…"


@dataclass(frozen=True, slots=True)
class Sample:
    """A Python block of a page, and what the page says that it prints.

    Attributes:
        name: The page and the number of the block, counted from 0.
        code: The program.
        output: The printed text; None where the page shows none.
    """

    name: str
    code: str
    output: str | None

    def run(self, server: MixEmulator) -> str:
        """Runs the program against a server, in the current folder.

        Returns:
            The printed text. What differs from run to run is an ellipsis, and no line ends with white space.
        """
        program = compile(self.code.replace(SERVER_URL, server.url), self.name, "exec", dont_inherit=True)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(program, {"__name__": "__main__"})
        masked = _VARYING.sub(_WILDCARD, printed.getvalue().replace(server.url, SERVER_URL))
        return "".join(f"{line.rstrip()}\n" for line in masked.strip("\n").splitlines())


def samples(language: str = "python") -> Iterator[Sample]:
    """Yields the samples of all pages, in their order.

    Args:
        language: `python` for samples that need this package and its extras only, `py` for all others.
    """
    for page in PAGES:
        for number, found in enumerate(_SAMPLE.finditer(page.read_text())):
            if found["language"] == language:
                yield Sample(f"{page.stem}-{number}", found["code"], found["output"])


def matches(printed: str, shown: str) -> bool:
    """True when a printed text is what a page shows; an ellipsis on the page is any text within its line."""
    pattern = re.escape(shown).replace(re.escape(_WILDCARD), ".*")
    return re.fullmatch(pattern, printed) is not None


@contextlib.contextmanager
def surroundings() -> Iterator[MixEmulator]:
    """Yields an emulator as the pages assume it, with an empty folder as the current one."""
    before, url = Path.cwd(), os.environ.get("MIX_SERVER_URL")
    with tempfile.TemporaryDirectory() as folder, MixEmulator(api="0.8") as server:
        os.chdir(folder)
        os.environ["MIX_SERVER_URL"] = server.url
        try:
            yield server
        finally:
            os.chdir(before)
            os.environ.pop("MIX_SERVER_URL")
            if url is not None:
                os.environ["MIX_SERVER_URL"] = url


def _rewritten(page: Path, language: str) -> Callable[[re.Match[str]], str]:
    def write(found: re.Match[str]) -> str:
        if found["language"] != language:
            return found[0]
        sample = Sample(page.stem, found["code"], found["output"])
        with surroundings() as server:
            printed = sample.run(server)
        shown = sample.output if sample.output is not None and matches(printed, sample.output) else printed
        block = f"```{language}{found['title'] or ''}\n{sample.code}```\n"
        return f"{block}\n{_OUTPUT}{shown}```\n" if shown else block

    return write


def main() -> None:
    """Rewrites the outputs of the samples in a language; of all pages, or of those that are named."""
    language, *names = sys.argv[1:] or ["python"]
    for page in PAGES:
        if not names or page.stem in names:
            page.write_text(_SAMPLE.sub(_rewritten(page, language), page.read_text()))


if __name__ == "__main__":
    main()
