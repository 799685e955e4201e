"""An emulator of the Mix server, for development and tests. Everything is imported when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from langchain_mix.extras import extra

if TYPE_CHECKING:
    from langchain_mix.emulator.activity import RequestRecord
    from langchain_mix.emulator.agents.base import Gate
    from langchain_mix.emulator.agents.scripted import Script, say, think, turn, use
    from langchain_mix.emulator.faults import (
        CloseConnection,
        CutStream,
        DelayEvent,
        DropEvent,
        DuplicateEvent,
        Faults,
        FullQueue,
        HttpError,
        HugeEvent,
        InvalidUTF8,
        MissingId,
        RestartAfter,
        SlowReply,
        StallStream,
        TailAfterComplete,
        UnknownEvent,
    )
    from langchain_mix.emulator.server import MixEmulator

__all__ = [
    "CloseConnection",
    "CutStream",
    "DelayEvent",
    "DropEvent",
    "DuplicateEvent",
    "Faults",
    "FullQueue",
    "Gate",
    "HttpError",
    "HugeEvent",
    "InvalidUTF8",
    "MissingId",
    "MixEmulator",
    "RequestRecord",
    "RestartAfter",
    "Script",
    "SlowReply",
    "StallStream",
    "TailAfterComplete",
    "UnknownEvent",
    "say",
    "think",
    "turn",
    "use",
]

_HOMES = {
    "Gate": "agents.base",
    "MixEmulator": "server",
    "RequestRecord": "activity",
    "Script": "agents.scripted",
    "say": "agents.scripted",
    "think": "agents.scripted",
    "turn": "agents.scripted",
    "use": "agents.scripted",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with extra("emulator", part=name):
        home = import_module(f"{__name__}.{_HOMES.get(name, 'faults')}")
    value = globals()[name] = getattr(home, name)
    return value


def __dir__() -> list[str]:
    """Names that were not imported yet are there, too."""
    return sorted({*globals(), *__all__})
