"""What importing costs, each import in a process of its own.

Owns: the comparison. Refuses to know: why an import costs what it does; `python -X importtime` tells that.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from typing import Final

from tests.benchmarks.measure import Cost, Figure
from tests.benchmarks.partners import PARTNERS

_USED: Final = "Mix(server_url='http://localhost'); m.sessions, m.messages, m.streaming"
_CALL: Final = "import langchain_mix.chat_models.execution, langchain_mix.chat_models.request"
_STATEMENTS: Final = {
    "core": "import langchain_core.language_models",
    "BaseChatModel": "from langchain_core.language_models import BaseChatModel",
    "package": "import langchain_mix",
    "ChatMix": "from langchain_mix import ChatMix",
    "ChatMix, used": f"from langchain_mix import ChatMix; m = ChatMix(server_url='http://localhost').client; {_CALL}",
    "client": "import langchain_mix.client",
    "Mix": "from langchain_mix.client import Mix",
    "Mix, used": f"from langchain_mix.client import Mix; m = {_USED}",
    "sdk": "from mix_python_sdk import Mix",
    "sdk, events": "from mix_python_sdk import Mix; from mix_python_sdk.models import SSEEventStream",
    "sdk, used": f"from mix_python_sdk import Mix; m = {_USED}",
}
_NAMES: Final = {
    **_STATEMENTS,
    "ChatMix, used": "langchain_mix: ChatMix and all that its first call loads",
    "Mix, used": "langchain_mix: Mix and its sub-clients for a turn",
    "sdk, events": "mix_python_sdk: Mix and the models of events",
    "sdk, used": "mix_python_sdk: Mix and its sub-clients for a turn",
}
_PROGRAM: Final = """
import sys, time
cpu, wall = time.process_time(), time.perf_counter()
{}
print(time.process_time() - cpu, time.perf_counter() - wall, len(sys.modules))
"""


def _cost(statement: str, bytecode: str) -> tuple[Cost, int]:
    command = [sys.executable, "-c", _PROGRAM.format(statement)]
    # Compiling is done once in the life of an installation: every process here finds all of it done.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = bytecode
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    cpu, wall, modules = done.stdout.split()
    return Cost(float(cpu), float(wall)), int(modules)


_PARTNERS: Final = {p.model: f"from {p.package} import {p.model}" for p in PARTNERS if p.installed}


def measure(repetitions: int) -> list[Figure]:
    """Measures all imports, by turns.

    `langchain_core.language_models` imports next to nothing until one of its names is used, so that no chat model can
    keep a budget of 1.15 times that; what a chat model is measured by is `BaseChatModel`. In the same way the official
    SDK imports a sub-client with all its models when it is first used.

    Args:
        repetitions: Processes of each; one more compiles and is not counted.

    Returns:
        The figures.
    """
    statements = {**_STATEMENTS, **_PARTNERS}
    taken: dict[str, list[Cost]] = {name: [] for name in statements}
    names = {**_NAMES, **_PARTNERS}
    modules: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as bytecode:
        for repetition in range(repetitions + 1):
            for name, statement in statements.items():
                cost, modules[name] = _cost(statement, bytecode)
                if repetition:
                    taken[name].append(cost)
    cpu = {name: statistics.median(c.cpu for c in costs) for name, costs in taken.items()}
    wall = {name: statistics.median(c.wall for c in costs) for name, costs in taken.items()}

    def ratio(what: str, ours: str, other: str, most: float | None = None) -> Figure:
        note = f"{cpu[ours] * 1e3:.0f} of {cpu[other] * 1e3:.0f} ms; wall {wall[ours] / wall[other]:.2f} x"
        return Figure(what, cpu[ours] / cpu[other], "x", most, note=note)

    return [
        *(
            Figure(names[name], cpu[name] * 1e3, "ms", note=f"wall {wall[name] * 1e3:.0f} ms, {modules[name]} modules")
            for name in statements
        ),
        ratio("import langchain_mix / langchain_core.language_models", "package", "core", 1.15),
        ratio("ChatMix / BaseChatModel", "ChatMix", "BaseChatModel", 1.1),
        ratio("ChatMix / langchain_core.language_models, still lazy", "ChatMix", "core"),
        ratio("import langchain_mix.client / mix_python_sdk", "client", "sdk", 1.0),
        ratio("Mix / Mix of mix_python_sdk", "Mix", "sdk", 1.0),
        ratio("Mix / Mix of mix_python_sdk and the models of events", "Mix", "sdk, events"),
        ratio("Mix / Mix of mix_python_sdk, sub-clients for a turn", "Mix, used", "sdk, used", 1.0),
    ]
