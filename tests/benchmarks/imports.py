"""What importing costs, each import in a process of its own.

Owns: the comparison. Refuses to know: why an import costs what it does; `python -X importtime` tells that.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import Final

from tests.benchmarks.measure import Cost, Figure

_STATEMENTS: Final = {
    "langchain_core": "import langchain_core.language_models",
    "langchain_core, no lazy names": "from langchain_core.language_models import BaseChatModel",
    "package": "import langchain_mix",
    "ChatMix": "from langchain_mix import ChatMix",
    "client": "from langchain_mix.client import Mix",
    "sdk": "from mix_python_sdk import Mix",
    "sdk with events": "from mix_python_sdk import Mix; from mix_python_sdk.models import SSEEventStream",
}
_PROGRAM: Final = (
    "import time, sys; c, w = time.process_time(), time.perf_counter(); {}; "
    "print(time.process_time() - c, time.perf_counter() - w, len(sys.modules))"
)


def _cost(statement: str) -> tuple[Cost, int]:
    command = [sys.executable, "-c", _PROGRAM.format(statement)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    cpu, wall, modules = done.stdout.split()
    return Cost(float(cpu), float(wall)), int(modules)


def measure(repetitions: int) -> list[Figure]:
    """Measures all imports, by turns.

    Args:
        repetitions: Processes of each; one more warms the files and is not counted.

    Returns:
        The figures.
    """
    taken: dict[str, list[Cost]] = {name: [] for name in _STATEMENTS}
    modules: dict[str, int] = {}
    for repetition in range(repetitions + 1):
        for name, statement in _STATEMENTS.items():
            cost, modules[name] = _cost(statement)
            if repetition:
                taken[name].append(cost)
    cpu = {name: statistics.median(c.cpu for c in costs) for name, costs in taken.items()}
    wall = {name: statistics.median(c.wall for c in costs) for name, costs in taken.items()}
    figures = [
        Figure(_STATEMENTS[name], cpu[name] * 1e3, "ms", note=f"wall {wall[name] * 1e3:.0f} ms, {modules[name]} modules")
        for name in _STATEMENTS
    ]

    def ratio(ours: str, other: str, most: float | None) -> Figure:
        note = f"wall {wall[ours] / wall[other]:.2f} x"
        return Figure(f"{_STATEMENTS[ours]} / {_STATEMENTS[other]}", cpu[ours] / cpu[other], "x", most, note=note)

    return [
        *figures,
        ratio("package", "langchain_core", 1.15),
        ratio("ChatMix", "langchain_core", 1.15),
        ratio("ChatMix", "langchain_core, no lazy names", None),
        ratio("client", "sdk", 1.0),
        ratio("client", "sdk with events", 1.0),
    ]


