"""What all tests share."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crossing import mark_the_rest

_LIMIT = 60
"""Seconds after which a child that hangs is killed."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Has each test run a part of its combinations by default, and all under `-m exhaustive`."""
    mark_the_rest(items)


if sys.dont_write_bytecode and not sys.pycache_prefix:
    # Preparing the assertions of all modules takes most of the collection, and compiling takes half of what a command
    # runs: in every process and every run.
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix

gc.disable()
"""Nothing that collecting the tests makes is garbage. The collector runs while tests do: see below."""


def pytest_collection_finish() -> None:
    """Has the collector pass over what lives as long as the session, so that a full collection costs little."""
    gc.freeze()
    gc.enable()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names binary parameters by their axis: their bytes may differ between processes, as the time in a gzip header."""
    binary = isinstance(val, bytes) and not (val.isascii() and val.decode().isprintable())
    return argname if binary else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Returns what `-n auto` means: one worker more than there are processors, since many tests wait for a server."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return len(processors) + 1


class Child:
    """A forked process that calls a function."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._reading, writing = os.pipe()
        with warnings.catch_warnings():  # Python 3.12: threads do not survive a fork. That is what is tested.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(_LIMIT)
            self._be_the_child(call, writing)
        os.close(writing)

    @staticmethod
    def _be_the_child(call: Callable[[], Any], writing: int) -> None:
        status = 1
        try:
            try:
                told = (True, call())
                gc.collect()  # What was inherited and dropped is finalised here, as at the end of a usual process.
            except BaseException:
                told = (False, traceback.format_exc())
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(told, pipe)
            status = 0
        finally:
            os._exit(status)

    def result(self) -> Any:
        """What the function returned; fails with what it raised, or if it did not come to its end."""
        with os.fdopen(self._reading, "rb") as pipe:
            told = pipe.read()
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = 0
        assert status == 0, f"the child ended with {status}: it hung, or crashed"
        well, value = pickle.loads(told)  # noqa: S301  # The child is this program.
        assert well, value
        return value

    def end(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self._reading)


@pytest.fixture
def forked() -> Iterator[Callable[[Callable[[], Any]], Child]]:
    """Calls a function in a forked child of this process; `result()` waits for it."""
    children = []

    def start(call: Callable[[], Any]) -> Child:
        children.append(Child(call))
        return children[-1]

    yield start
    for child in children:
        child.end()
