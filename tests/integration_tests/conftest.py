"""What all integration tests share."""

from __future__ import annotations

import gc
import importlib.util
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

_spec = importlib.util.spec_from_file_location("deviations", Path(__file__).with_name("deviations.py"))
if _spec is None or _spec.loader is None:
    raise ImportError("deviations.py is missing.")
_deviations = sys.modules["deviations"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_deviations)


@pytest.fixture(scope="session")
def deviations() -> ModuleType:
    """Servers that say the same as an emulator in another form: `deviations.DeviantEmulator(api, ..., deviation=...)`."""
    return _deviations


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard() -> None:
    """A shell lets what it starts in the background ignore Ctrl-C; the tests that press it mean a foreground."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Every test ends with the threads it began with."""
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t not in before and not t.name.startswith(("asyncio_", "ThreadPool"))]
    for thread in left:
        thread.join(2.0)
    left = [t for t in left if t.is_alive()]
    assert not left, f"threads left: {left}"


@pytest.fixture(autouse=True)
def nothing_is_left_to_the_collector() -> Iterator[None]:
    """A ResourceWarning of this test is raised in this test, not in a later one."""
    yield
    gc.collect(1)
