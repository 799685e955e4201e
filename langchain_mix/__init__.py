"""The Mix agent server inside LangChain. Each name is imported when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from langchain_mix._version import __version__

if TYPE_CHECKING:
    from langchain_mix.chat_models import ChatMix
    from langchain_mix.client import Mix
    from langchain_mix.emulator import MixEmulator
    from langchain_mix.errors import MixError
    from langchain_mix.registration import register

__all__ = ["ChatMix", "Mix", "MixEmulator", "MixError", "__version__", "register"]

_HOMES = {
    "ChatMix": "langchain_mix.chat_models",
    "Mix": "langchain_mix.client",
    "MixEmulator": "langchain_mix.emulator",
    "MixError": "langchain_mix.errors",
    "register": "langchain_mix.registration",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
