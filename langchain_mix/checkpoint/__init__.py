"""LangGraph checkpoints kept in a Mix server, and Mix sessions that go along with them.

Each name is imported when it is first used: tools that look at stored files need no saver.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_mix.checkpoint.branches import Node, Tree
    from langchain_mix.checkpoint.positions import Position
    from langchain_mix.checkpoint.saver import MixSaver
    from langchain_mix.checkpoint.serde import MixSerdeWarning
    from langchain_mix.checkpoint.thread_ops import Copied, Removed, Rewound

__all__ = ["Copied", "MixSaver", "MixSerdeWarning", "Node", "Position", "Removed", "Rewound", "Tree"]

_HOMES = {
    "Copied": "thread_ops",
    "MixSaver": "saver",
    "MixSerdeWarning": "serde",
    "Node": "branches",
    "Position": "positions",
    "Removed": "thread_ops",
    "Rewound": "thread_ops",
    "Tree": "branches",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
