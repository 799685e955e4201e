"""How much `langchain-mix serve` grows while it works: uploads of a MiB, checkpoints, and turns.

Owns: the work, and reading the process's resident memory. Refuses to know: what the memory holds.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from langgraph.checkpoint.base import CheckpointMetadata, empty_checkpoint

from langchain_mix import MixSaver
from langchain_mix.client import Mix
from tests.benchmarks.measure import Figure

_MIB: Final = 1 << 20
_NAMES: Final = 5


def measure(often: int) -> list[Figure]:
    """Measures the growth of a real process of its own.

    Args:
        often: Uploads, puts and turns, each.

    Returns:
        The figures; none of them on systems without `/proc`.
    """
    if not Path("/proc/self/status").exists():
        return [Figure("growth", None, "MiB", note="this system has no /proc")]
    with _serve() as (process, url), Mix(server_url=url, api="0.8") as mix, MixSaver(mix=mix) as saver:
        session = mix.sessions.create(title="memory").id
        begin = _resident(process)
        grown = []
        for number in range(often):
            name = f"{number % _NAMES}.bin"
            mix.files.upload_session_file(id=session, file={"file_name": name, "content": b"x" * _MIB})
        grown.append(_resident(process) - begin)
        for number in range(often):
            _put(saver, number)
        grown.append(_resident(process) - begin)
        for _ in range(often // 10):
            mix.turn(session, "go").run()
        grown.append(_resident(process) - begin)
    work = (f"after {often} uploads of 1 MiB", f"and {often} puts", f"and {often // 10} turns")
    return [Figure(what, value / _MIB, "MiB", most=50) for what, value in zip(work, grown, strict=True)]


def _put(saver: MixSaver, number: int) -> None:
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = {"messages": ["word " * 200] * 5, "number": number}
    checkpoint["channel_versions"] = {"messages": number, "number": number}
    config = {"configurable": {"thread_id": f"thread-{number % _NAMES}", "checkpoint_ns": ""}}
    metadata = CheckpointMetadata(source="loop", step=number)
    saver.put(config, checkpoint, metadata, checkpoint["channel_versions"])  # type: ignore[arg-type]


@contextmanager
def _serve() -> Iterator[tuple[int, str]]:
    command = [sys.executable, "-m", "langchain_mix", "serve", "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "COLUMNS": "200"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        if process.stdout is None:
            raise AssertionError("It is a pipe.")
        found = re.search(r"http://[\w.:]+", process.stdout.readline())
        try:
            if found is None:
                raise RuntimeError("serve did not start.")
            yield process.pid, found[0]
        finally:
            process.terminate()


def _resident(process: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text(encoding="utf-8"))
    if found is None:
        raise RuntimeError("The process has no VmRSS.")
    return int(found[1]) * 1024
