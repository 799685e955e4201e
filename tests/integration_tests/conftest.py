"""What all integration tests share."""

from __future__ import annotations

import gc
import importlib.util
import signal
import sys
import threading
from collections.abc import Callable, Iterator
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


def _reads_a_socket(thread: int) -> bool:
    """True when a thread is inside httpcore's read of a socket."""
    frame = sys._current_frames().get(thread)
    return frame is not None and frame.f_code.co_name == "read" and "httpcore" in frame.f_code.co_filename


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[threading.Event], None]]:
    """Presses Ctrl-C while the main thread reads a socket after an event: `ctrl_c(event)`; it gets one KeyboardInterrupt.

    CPython does not see a signal that arrives between its last look at signals and a blocking system call before that
    call returns; people press again. So this presses until the handler has run, and the handler raises only once.
    """
    noticed = threading.Event()
    pressers: list[threading.Thread] = []
    main = threading.main_thread().ident or 0

    def handler(*_: object) -> None:
        if not noticed.is_set():
            noticed.set()
            raise KeyboardInterrupt

    def press(event: threading.Event) -> None:
        event.wait()
        while not noticed.wait(0.01):
            if _reads_a_socket(main):
                signal.pthread_kill(main, signal.SIGINT)

    def start(event: threading.Event) -> None:
        pressers.append(threading.Thread(target=press, args=(event,), daemon=True))
        pressers[-1].start()

    before = signal.signal(signal.SIGINT, handler)
    try:
        yield start
    finally:
        noticed.set()
        for presser in pressers:
            presser.join(1.0)  # One whose event never came waits for it, and ends with the process.
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def outlives_a_test() -> Callable[[threading.Thread], bool]:
    """Says which threads may go on after a test; overridden where several tests share a server."""
    return lambda thread: thread.name.startswith(("asyncio_", "ThreadPool"))


@pytest.fixture(autouse=True)
def no_thread_is_left(outlives_a_test: Callable[[threading.Thread], bool]) -> Iterator[None]:
    """Every test ends with the threads it began with."""
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t not in before and not outlives_a_test(t)]
    for thread in left:
        thread.join(2.0)
    left = [t for t in left if t.is_alive()]
    assert not left, f"threads left: {left}"


@pytest.fixture(autouse=True)
def nothing_is_left_to_the_collector() -> Iterator[None]:
    """A ResourceWarning of this test is raised in this test, not in a later one."""
    yield
    gc.collect(1)
