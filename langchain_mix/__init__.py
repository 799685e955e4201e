"""The Mix agent server inside LangChain. Each name is imported when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from langchain_mix._version import __version__

if TYPE_CHECKING:
    from langchain_mix.agents import MixAgent
    from langchain_mix.chat_models import ChatMix, MixParameterWarning, MixPermissionWarning
    from langchain_mix.checkpoint import MixSaver
    from langchain_mix.client import Mix
    from langchain_mix.emulator import MixEmulator
    from langchain_mix.errors import MixError
    from langchain_mix.registration import register
    from langchain_mix.retrievers import MixBlobLoader, MixFileLoader, MixRetriever, aupload, cite, upload

    __all__ = [
        "ChatMix",
        "Mix",
        "MixAgent",
        "MixBlobLoader",
        "MixEmulator",
        "MixError",
        "MixFileLoader",
        "MixParameterWarning",
        "MixPermissionWarning",
        "MixRetriever",
        "MixSaver",
        "__version__",
        "aupload",
        "cite",
        "register",
        "upload",
    ]

_HOMES = {
    "ChatMix": "langchain_mix.chat_models",
    "Mix": "langchain_mix.client",
    "MixAgent": "langchain_mix.agents",
    "MixBlobLoader": "langchain_mix.retrievers",
    "MixEmulator": "langchain_mix.emulator",
    "MixError": "langchain_mix.errors",
    "MixFileLoader": "langchain_mix.retrievers",
    "MixParameterWarning": "langchain_mix.chat_models",
    "MixPermissionWarning": "langchain_mix.chat_models",
    "MixRetriever": "langchain_mix.retrievers",
    "MixSaver": "langchain_mix.checkpoint",
    "aupload": "langchain_mix.retrievers",
    "cite": "langchain_mix.retrievers",
    "register": "langchain_mix.registration",
    "upload": "langchain_mix.retrievers",
}


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return _all()
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def _all() -> list[str]:
    """Returns what `from langchain_mix import *` imports: all names, but for the emulator where its extra is missing.

    An import that names the emulator raises the error that says what to install.
    """
    names = sorted([*_HOMES, "__version__"])
    try:
        __getattr__("MixEmulator")
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.startswith("langchain_mix"):
            raise
        names.remove("MixEmulator")
    return names


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
