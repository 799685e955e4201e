"""Measures what the client costs and prints one table, the budget beside each figure that has one.

Run it from the root of the repository, on a quiet machine with at least two processors:

    python -m tests.benchmarks                     all of it, in about two minutes
    python -m tests.benchmarks --only streams      one part; the parts are those of `--help`
    python -m tests.benchmarks --quick             fewer repetitions, for a first look
    python -m tests.benchmarks --strict            exit with 1 if a budget is missed

Ratios are what counts: both sides of one are measured in the same run, by turns. Times are processor time of this
process; the server has a process of its own.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version

from tests.benchmarks import server
from tests.benchmarks.measure import Figure, table


def _streams(url: str, quick: bool) -> list[Figure]:
    figures: list[Figure] = import_module("tests.benchmarks.streams").measure(url, 3 if quick else 9)
    return figures


def _large(url: str, quick: bool) -> list[Figure]:
    figures: list[Figure] = import_module("tests.benchmarks.large_events").measure(url, 1 if quick else 5)
    return figures


def _first_token(url: str, quick: bool) -> list[Figure]:
    figures: list[Figure] = import_module("tests.benchmarks.first_token").measure(url, 10 if quick else 60)
    return figures


def _chat_model(url: str, quick: bool) -> list[Figure]:
    figures: list[Figure] = import_module("tests.benchmarks.chat_model").measure(url, 3 if quick else 9)
    return figures


def _requests(url: str, quick: bool) -> list[Figure]:
    figures: list[Figure] = import_module("tests.benchmarks.requests").measure()
    return figures


def _imports(url: str, quick: bool) -> list[Figure]:
    figures: list[Figure] = import_module("tests.benchmarks.imports").measure(3 if quick else 9)
    return figures


PARTS: dict[str, tuple[str, Callable[[str, bool], list[Figure]]]] = {
    "streams": ("Raw typed events, each", _streams),
    "large": ("One large event", _large),
    "first-token": ("First token, after the server's first byte of it", _first_token),
    "chat-model": ("A chunk of an answer", _chat_model),
    "requests": ("Requests", _requests),
    "imports": ("Imports", _imports),
}


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmarks.

    Args:
        arguments: The command line, or None for that of the process.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="What the client costs.")
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this part; may be given several times")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a budget is missed")
    options = parser.parse_args(arguments)
    sections: dict[str, list[Figure]] = {}
    started = time.monotonic()
    with server.serving() as url:
        for name in options.only or PARTS:
            title, part = PARTS[name]
            print(f"{title} …", file=sys.stderr)
            sections[title] = part(url, options.quick)
    print(_machine())
    print(table(sections))
    missed = [f.what for figures in sections.values() for f in figures if f.kept is False]
    print(f"\n{len(missed)} budgets missed; {time.monotonic() - started:.0f} s.")
    return 1 if missed and options.strict else 0


def _machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("httpx", "langchain-core", "mix-python-sdk"))
    return f"{platform.python_implementation()} {platform.python_version()} on {platform.machine()}; {packages}"


if __name__ == "__main__":
    sys.exit(main())
