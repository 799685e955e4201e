"""Measures what the client costs and prints one table, the budget beside each figure that has one.

Run it from the root of the repository, on a quiet machine with at least two processors:

    python -m tests.benchmarks                     all of it, in about eight minutes
    python -m tests.benchmarks --only streams      one part; `--help` names the parts
    python -m tests.benchmarks --quick             fewer repetitions, for a first look

It exits with 1 if a budget is missed.

Chat models of other providers are measured where they are installed: `pip install -e '.[dev,benchmarks]'`.

Both sides of a ratio are measured in the same run, by turns. Times are processor time of this process, except for
checkpoints, the first token and how late an event loop is, which are wall-clock times. Each server has a process of its
own.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Final, NamedTuple

from tests.benchmarks import (
    chat_model,
    checkpoints,
    crowd,
    files,
    first_token,
    imports,
    large_events,
    request_counts,
    retriever,
    serve_memory,
    streams,
)
from tests.benchmarks.hosting import hosted
from tests.benchmarks.measure import Figure, table


class Part(NamedTuple):
    """A part of the benchmarks.

    Attributes:
        title: What its figures have in common.
        measure: Measures them, given the server's URL and how often.
        often: Repetitions.
        quick: Repetitions for a first look.
    """

    title: str
    measure: Callable[[str, int], list[Figure]]
    often: int
    quick: int


PARTS: Final = {
    "streams": Part("Raw typed events, each", streams.measure, 7, 3),
    "large": Part("One large event", large_events.measure, 3, 1),
    "first-token": Part("First token, after the server's first byte of it", first_token.measure, 60, 10),
    "chat-model": Part("A chunk of an answer", chat_model.measure, 7, 3),
    "crowd": Part("A thousand answers at once", lambda _url, often: crowd.measure(often), 2, 1),
    "requests": Part("Requests", lambda _url, _often: request_counts.measure(), 1, 1),
    "retriever": Part("Retrieval", lambda _url, often: retriever.measure(often), 7, 3),
    "files": Part("Files that are made to grow", lambda _url, often: files.measure(often), 1, 1),
    "checkpoints": Part("Checkpoints, a thread's state", lambda _url, often: checkpoints.measure(often), 60, 12),
    "serve-memory": Part("Growth of `serve`", lambda _url, often: serve_memory.measure(often), 1000, 100),
    "imports": Part("Imports", lambda _url, often: imports.measure(often), 7, 3),
}


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmarks.

    Args:
        arguments: The command line, or None for that of the process.

    Returns:
        The exit code: 1 if a budget is missed.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="What the client costs.")
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this part; may be given several times")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, for a first look")
    options = parser.parse_args(arguments)
    sections: dict[str, list[Figure]] = {}
    started = time.monotonic()
    print(_machine())
    with hosted("server") as url:
        for part in (PARTS[name] for name in options.only or PARTS):
            print(f"{part.title} …", file=sys.stderr)
            sections[part.title] = part.measure(url, part.quick if options.quick else part.often)
            # Told at once: what was measured is not lost when the rest is given up.
            print(table({part.title: sections[part.title]}), flush=True)
    missed = [figure for figures in sections.values() for figure in figures if figure.kept is False]
    print(f"\nBudgets missed: {len(missed)}. It took {time.monotonic() - started:.0f} s.")
    return 1 if missed else 0


def _machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("httpx", "langchain-core", "mix-python-sdk"))
    return f"{platform.python_implementation()} {platform.python_version()} on {platform.machine()}; {packages}"


if __name__ == "__main__":
    sys.exit(main())
