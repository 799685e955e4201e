"""Readers whose memory and time cannot be bounded from within, run in a process of their own.

Theory of operation. A worker is this interpreter again, started with the first file that needs it and used for the
next ones. It gets a file through its standard input and answers with lines of JSON: each part as soon as it is read, so
that a file which is given up keeps what there was. Nothing that a worker says is ever executed.

- Memory: on Linux the worker may allocate 64 MiB and eight times the file beyond what it has; elsewhere it is not
  limited.
- Time: the reader looks at the clock; where it cannot, the worker is ended shortly after `max_seconds`.
- End: a worker ends when its input does, which is when this process ends, however that happens; and after a minute
  without a file.
- Where no worker can be started (no second interpreter, a frozen program), files are read in this process, by the
  clock.

It is started by `subprocess` and not by fork: threads, event loops and connections of this process stay its own. A
process that was forked from this one starts workers of its own.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final

from langchain_mix import process_fork
from langchain_mix.retrievers.parsing.parsed import MEBIBYTE, Collector, Kind, Limits, Parsed, Part, Place, Skipped
from langchain_mix.retrievers.parsing.pdf import read_pdf

_RTF_LEFT_OUT: Final = (
    (re.compile(r"\\(?:header|footer)[lrf]?\b"), "Headers and footers were not read."),
    (re.compile(r"\\(?:footnote|annotation)\b"), "Footnotes and comments were not read."),
    (re.compile(r"\\(?:pict|object)\b"), "Pictures and embedded files were not read."),
)


def read_rtf(data: bytes, found: Collector) -> Skipped | None:
    """Reads RTF as one part; returns None, for it is read.

    Raises:
        ImportError: striprtf is not installed.
        Exception: The file is damaged.
    """
    from striprtf.striprtf import rtf_to_text  # noqa: PLC0415  # An extra.

    source = data.decode("latin-1")  # What is not ASCII is escaped, or in the code page that the file names.
    with found.bounded():
        found.add(str(rtf_to_text(source, errors="replace")), Place())  # type: ignore[no-untyped-call]
        for pattern, what in _RTF_LEFT_OUT:
            if pattern.search(source):
                found.leave_out(what)
    return None


_READERS: Final[Mapping[str, tuple[str, Callable[[bytes, Collector], Skipped | None]]]] = {
    "pdf": ("pypdf", read_pdf),
    "rtf": ("striprtf", read_rtf),
}
"""The package that each needs, and itself."""

_START: Final = 60.0
"""Seconds in which a worker has to be there."""
_GRACE: Final = 2.0
"""Seconds beyond `max_seconds` after which a worker is ended."""
_REST: Final = 60.0
"""Seconds without a file after which a worker ends."""
_MOST_IDLE: Final = 2
_SPARE_BYTES: Final = 64 * MEBIBYTE
_TIMES_THE_FILE: Final = 8
_CRASHED: Final = "What reads it has crashed or taken too much memory; the rest was not read."
_PROGRAM: Final = "from langchain_mix.retrievers.parsing.worker import serve; serve()"


def read_apart(kind: Kind, data: bytes, limits: Limits) -> Parsed | Skipped:
    """Reads a file in a worker: its parts, or why there are none.

    Raises:
        ImportError: What reads it is not installed.
        Exception: It was read in this process, and is damaged.
    """
    package, read = _READERS[kind]
    if importlib.util.find_spec(package) is None:
        raise ImportError(package)
    found = Collector(limits)
    with found.bounded():
        worker = _pool.take()
        if worker is None:
            if (skipped := read(data, found)) is not None:
                return skipped
        elif (skipped := worker.read(kind, data, found)) is not None:
            return skipped
    return found.parsed(kind)


class _StoppedError(Exception):
    """The worker ended before it answered anything about the file."""


class _Worker:
    """A process that reads files, one at a time."""

    def __init__(self) -> None:
        """Starts it.

        Raises:
            OSError: It cannot be started, or is none.
        """
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        self._process = subprocess.Popen(  # noqa: S603  # This interpreter, and a program of this module.
            [sys.executable, "-P", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
        )
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, name="ThreadPool-langchain-mix-worker", daemon=True)
        self._listener.start()
        try:
            ready = self._next(_START)
        except BaseException:
            self.close()
            raise
        if ready != {"ready": True}:
            self.close()
            raise OSError("the worker did not start")

    def _listen(self) -> None:
        assert self._process.stdout is not None  # noqa: S101  # For type checkers.
        with self._process.stdout as out:
            for line in out:
                self._lines.put(line)
        self._lines.put(b"")

    def _next(self, seconds: float) -> dict[str, Any] | None:
        """Returns its next message; None if it has ended.

        Raises:
            TimeoutError: It says nothing for so long.
        """
        try:
            line = self._lines.get(timeout=max(seconds, 0.001))
        except queue.Empty:
            raise TimeoutError from None
        try:
            said = json.loads(line) if line else None
        except ValueError:  # It died within a line, or is no worker.
            return None
        return said if isinstance(said, dict) else None

    def read(self, kind: Kind, data: bytes, found: Collector, *, again: bool = True) -> Skipped | None:
        """Has a file read. The worker is given back afterwards, or has ended: then another one reads with `again`."""
        whole = False
        try:
            self._send(kind, data, found.limits)
            outcome, whole = self._receive(found)
        except _StoppedError:
            if not again:
                found.leave_out(_CRASHED)
                return None
            # It ended just now, having rested for long enough. Reading a file has no effects: another one does it.
            return _pool.fresh().read(kind, data, found, again=False)
        finally:
            if whole:
                _pool.give_back(self)
            else:
                _pool.end(self)
        return outcome

    def _send(self, kind: Kind, data: bytes, limits: Limits) -> None:
        request = {"kind": kind, "size": len(data), "limits": asdict(limits)}
        assert self._process.stdin is not None  # noqa: S101  # For type checkers.
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except OSError as problem:
            raise _StoppedError from problem

    def _receive(self, found: Collector) -> tuple[Skipped | None, bool]:
        """Collects what the worker reads. Returns why there is nothing, and whether the worker can go on."""
        until = time.monotonic() + found.limits.max_seconds + _GRACE
        began = False
        while True:
            try:
                said = self._next(until - time.monotonic())
            except TimeoutError:
                found.leave_out(f"Reading it took longer than {found.limits.max_seconds:g} s (`max_seconds`).")
                return None, False
            if said is None:
                if not began:
                    raise _StoppedError
                found.leave_out(_CRASHED)
                return None, False
            began = True
            if not _collected(said, found):
                return _outcome(said, found), not said.get("last", False)

    def close(self) -> None:
        """Ends it."""
        self._process.kill()
        if self._process.stdin is not None:
            with suppress(OSError):  # What was not sent yet is not wanted any more.
                self._process.stdin.close()
        self._process.wait()
        self._listener.join()

    def let_go(self) -> None:
        """Gives up a forked process's share of a worker, which goes on reading for the process it belongs to."""
        process_fork.abandon_sockets((self._process.stdin, self._process.stdout))
        self._process.returncode = 0  # It is no child of this process, which need not wait for its end.


def _collected(said: Mapping[str, Any], found: Collector) -> bool:
    """Collects what a worker has read, and returns True unless it says how the file ended."""
    if "text" in said:
        place = {**said["place"], "headings": tuple(said["place"].get("headings", ()))}
        found.add_late(said["text"], Place(**place))
    elif "left_out" in said:
        found.leave_out(said["left_out"])
    else:
        return False
    return True


def _outcome(said: Mapping[str, Any], found: Collector) -> Skipped | None:
    """Returns why a file is not read; None if it is."""
    if "missing" in said:
        raise ImportError(said["missing"])
    if "skipped" in said:
        return Skipped(said["skipped"], said["kind"])
    if "damaged" in said:
        if not found.parts:
            return Skipped(said["damaged"], said["kind"])
        found.leave_out(f"The rest {said['damaged']}.")
    return None


class _Pool:
    """The workers of this process: those that read, and those that wait for a file."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._possible = bool(sys.executable) and not getattr(sys, "frozen", False)
        process_fork.renew_in_child(self._renew)

    def take(self) -> _Worker | None:
        """Returns a worker that nobody else uses; None if there can be none."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        if not self._possible:
            return None
        try:
            return self.fresh()
        except (OSError, TimeoutError, NotImplementedError):
            self._possible = False
            return None

    def fresh(self) -> _Worker:
        """Starts a worker."""
        worker = _Worker()
        with self._lock:
            self._all.add(worker)
        return worker

    def give_back(self, worker: _Worker) -> None:
        """Keeps a worker for the next file, if not enough of them wait already."""
        with self._lock:
            if len(self._idle) < _MOST_IDLE:
                self._idle.append(worker)
                return
        self.end(worker)

    def end(self, worker: _Worker) -> None:
        """Ends a worker that is not wanted any more, or that nobody knows the state of."""
        with self._lock:
            self._all.discard(worker)
        worker.close()

    def close(self) -> None:
        """Ends all that wait."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            self.end(worker)

    def _renew(self) -> None:
        everyone, self._all, self._idle = self._all, set(), []
        self._lock = threading.Lock()
        for worker in everyone:
            worker.let_go()


_pool: Final = _Pool()
atexit.register(_pool.close)


# In the worker


def serve() -> None:
    """Reads files until the input ends. This is the worker's program."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Who is interrupted is the process that waits.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What a library prints is no answer.
    jobs: queue.SimpleQueue[tuple[dict[str, Any], bytes]] = queue.SimpleQueue()
    threading.Thread(target=_take_jobs, args=(sys.stdin.buffer, jobs), daemon=True).start()
    _say(out, ready=True)
    while True:
        try:
            job, data = jobs.get(timeout=_REST)
        except queue.Empty:
            return
        _do(job, data, out)


def _take_jobs(source: IO[bytes], jobs: queue.SimpleQueue[tuple[dict[str, Any], bytes]]) -> None:
    """Takes files as they come; ends the process with its input, whatever is being read."""
    while line := source.readline():
        job = json.loads(line)
        data = source.read(job["size"])
        if len(data) < job["size"]:
            break
        jobs.put((job, data))
    os._exit(0)


def _do(job: dict[str, Any], data: bytes, out: IO[bytes]) -> None:
    kind, limits = job["kind"], Limits(**job["limits"])
    found = _Telling(limits, out)
    _limit(_SPARE_BYTES + _TIMES_THE_FILE * len(data), limits.max_seconds)
    try:
        skipped = _READERS[kind][1](data, found)
    except ImportError as missing:
        end: dict[str, Any] = {"missing": str(missing)}
    except MemoryError:
        found.leave_out("It needs more memory than a file of its size may take; the rest was not read.")
        end = {"done": True, "last": True}  # What is left of its memory is in pieces.
    except Exception as problem:  # noqa: BLE001  # Parsers raise anything on broken files; it is reported.
        end = {"damaged": f"is damaged ({type(problem).__name__}: {str(problem)[:200]})", "kind": kind}
    else:
        end = {"done": True} if skipped is None else {"skipped": skipped.reason, "kind": skipped.kind}
    _limit(None, limits.max_seconds)
    _say(out, **end)


def _say(out: IO[bytes], **message: Any) -> None:
    out.write(json.dumps(message).encode() + b"\n")
    out.flush()


class _Telling(Collector):
    """Says each part at once, and keeps none."""

    def __init__(self, limits: Limits, out: IO[bytes]) -> None:
        super().__init__(limits)
        self._out = out

    def add(self, text: str, place: Place, context: str = "") -> None:
        before = len(self.parts)
        try:
            super().add(text, place, context)
        finally:
            for part in self.parts[before:]:
                known = {name: value for name, value in asdict(part.place).items() if value not in (None, ())}
                _say(self._out, text=part.text, place=known)
            # They are counted; nothing of them is wanted here any more.
            self.parts[before:] = [Part("", part.start_index) for part in self.parts[before:]]
            self._pieces.clear()

    def leave_out(self, what: str) -> None:
        _say(self._out, left_out=what)


def _limit(more_bytes: int | None, seconds: float) -> None:
    """Limits what this process may allocate from now on, and for how long it may go on; None for no limit."""
    try:
        import resource  # noqa: PLC0415  # Not on every platform.
    except ImportError:
        return
    used = time.process_time()
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_CPU, (int(used + 2 * seconds + 60), hard))
    try:
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123  # No file.
            has = next((int(line.split()[1]) * 1024 for line in status if line.startswith("VmData")), 0)
    except OSError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = hard if more_bytes is None or not has else has + more_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
