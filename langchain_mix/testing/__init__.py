"""Tools to test code that talks to a Mix server. Everything is imported when it is first used.

Owns: the public names. A server that says what a test wrote down (`MixEmulator`, `Script`, `turn`, `say`, `think`,
`use`), what may go wrong with it (`Faults` and its kinds), cassettes of real servers (`use_cassette`), and fixtures for
pytest in `langchain_mix.testing.plugin`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from langchain_mix.extras import extra

if TYPE_CHECKING:
    from langchain_mix.emulator import (
        CloseConnection,
        CutStream,
        DelayEvent,
        DropEvent,
        DuplicateEvent,
        Faults,
        FullQueue,
        Gate,
        HttpError,
        HugeEvent,
        InvalidUTF8,
        MissingId,
        MixEmulator,
        RequestRecord,
        RestartAfter,
        Script,
        SlowReply,
        StallStream,
        TailAfterComplete,
        UnknownEvent,
        say,
        think,
        turn,
        use,
    )
    from langchain_mix.testing.cassette_order import CassetteError
    from langchain_mix.testing.scrubbing import find_secrets
    from langchain_mix.testing.vcr import use_cassette

__all__ = [
    "CassetteError",
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
    "find_secrets",
    "say",
    "think",
    "turn",
    "use",
    "use_cassette",
]

_OWN = {"CassetteError": "cassette_order", "find_secrets": "scrubbing", "use_cassette": "vcr"}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = f"{__name__}.{_OWN[name]}" if name in _OWN else "langchain_mix.emulator"
    with extra("testing", part=name):
        value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    """Names that were not imported yet are there, too."""
    return sorted({*globals(), *__all__})
