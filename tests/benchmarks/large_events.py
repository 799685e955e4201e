"""One very large event: time and memory.

Owns: reading it, each reader in a process of its own, since the peak of memory is one of a whole process.
Refuses to know: streams of small events.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.measure import Figure, Stopwatch
from tests.benchmarks.ours import Ours
from tests.benchmarks.streams import Reader
from tests.benchmarks.yardsticks import OfficialSdk, RawHttpx, split

_MIB: Final = 1024 * 1024
_SIZES: Final = (2 * _MIB, 16 * _MIB)
_OFFICIAL: Final = _MIB
"""The official SDK looks at every byte again with every piece that comes, which is quadratic."""
_STATUS: Final = Path("/proc/self/status")
_WARM: Final = "big.1000.0"


class WholeBody(RawHttpx):
    """Joins the pieces once; splitting all that has come so far with every piece would be quadratic."""

    @contextmanager
    def events(self, session_id: str) -> Iterator[Iterator[Any]]:
        """The events of a session."""
        with self._client.stream("GET", self._url, params={"sessionId": session_id}) as response:
            yield split(iter([b"".join(response.iter_bytes())]))


_READERS: Final[dict[str, Callable[[str], Reader]]] = {"ours": Ours, "httpx": WholeBody, "sdk": OfficialSdk}


def _length(event: Any) -> int:
    data = event["content"] if isinstance(event, dict) else event.data
    return len(data if isinstance(data, str) else data.content)


def _read(reader: Reader, session_id: str) -> int:
    with reader.events(session_id) as events:
        return max(_length(event) for event in events if _has_content(event))


def _has_content(event: Any) -> bool:
    return "content" in event if isinstance(event, dict) else event.event == "content"


def _peak() -> int:
    # Linux only; `getrusage` would tell the peak of the process that started this one.
    if not _STATUS.exists():
        return 0
    return int(_STATUS.read_text(encoding="ascii").partition("VmHWM:")[2].split(maxsplit=1)[0]) * 1024


def in_this_process(name: str, url: str, size: int) -> dict[str, float]:
    """Reads a small event, then a large one.

    Args:
        name: The reader.
        url: The benchmark server's.
        size: Bytes of the large event's text.

    Returns:
        Its `cpu` and `wall` seconds and the bytes by which it raised the `peak` of memory.

    Raises:
        RuntimeError: The event did not come whole.
    """
    reader = _READERS[name](url)
    _read(reader, _WARM)
    before = _peak()
    with Stopwatch() as watch:
        seen = _read(reader, f"big.{size}.0")
    if seen != size:
        raise RuntimeError(f"The event has {seen} bytes of text, not {size}.")
    return {"cpu": watch.cost.cpu, "wall": watch.cost.wall, "peak": _peak() - before}


def _elsewhere(name: str, url: str, size: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.large_events", name, url, str(size)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, float] = json.loads(done.stdout)
    return told


def measure(url: str, repetitions: int) -> list[Figure]:
    """Measures all readers, by turns.

    Args:
        url: The benchmark server's.
        repetitions: Processes of each; of the official SDK one.

    Returns:
        The figures.
    """
    figures = []
    for size in _SIZES:
        runs: dict[str, list[dict[str, float]]] = {"ours": [], "httpx": []}
        for _ in range(repetitions):
            for name, taken in runs.items():
                taken.append(_elsewhere(name, url, size))
        for name, taken in runs.items():
            figures += _told(name, size, {key: statistics.median(t[key] for t in taken) for key in taken[0]})
        ratio = statistics.median(t["cpu"] for t in runs["ours"]) / statistics.median(t["cpu"] for t in runs["httpx"])
        figures.append(Figure(f"{size // _MIB} MiB: ours / httpx", ratio, "x"))
    figures += _told("sdk", _OFFICIAL, _elsewhere("sdk", url, _OFFICIAL))
    return figures


def _told(name: str, size: int, run: dict[str, float]) -> list[Figure]:
    what = f"{size // _MIB} MiB: {name}"
    note = f"wall {run['wall'] * 1e3:.0f} ms"
    if name == "sdk":
        note += "; grows with the square of the size, so that larger ones are left out"
    figures = [Figure(what, run["cpu"] * 1e3, "ms", note=note)]
    if run["peak"]:
        figures.append(Figure(f"{what}, memory", run["peak"] / size, "x", note="peak over the size of the event"))
    return figures


if __name__ == "__main__":
    print(json.dumps(in_this_process(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
