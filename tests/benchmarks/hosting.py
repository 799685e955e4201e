"""Servers of the benchmarks, each in a process of its own so that its work is not measured.

Owns: how such a process is started, found and ended. Refuses to know: what it serves.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

if sys.platform != "win32":
    import resource


@contextmanager
def hosted(module: str, *arguments: str) -> Iterator[str]:
    """Runs a server in a process of its own.

    Args:
        module: A module of this package whose `main` tells its URL, then serves until standard input ends.
        arguments: Its command line.

    Yields:
        Its URL.

    Raises:
        RuntimeError: It did not start.
    """
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise AssertionError("Both are pipes.")
        try:
            url = process.stdout.readline().strip()
            if not url:
                raise RuntimeError(f"{module} did not start; its own words stand above.")
            yield url
        finally:
            process.stdin.close()  # It lives as long as somebody holds its standard input.


def tell(port: int) -> None:
    """Tells the process that started this one where it listens."""
    print(f"http://127.0.0.1:{port}", flush=True)


def allow_open_files() -> None:
    """Lets this process open as many connections as the system allows it; the usual limit is one for people."""
    if sys.platform != "win32":
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
