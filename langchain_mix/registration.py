"""Registers ChatMix as the provider `mix` of `init_chat_model`, in LangChain's table of providers.

The table is private and has no other way in. LangChain imports ChatMix itself when it makes the first one.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from langchain_mix.errors import MixConfigurationError

PROVIDER: Final = "mix"
_TABLE: Final = ("langchain.chat_models.base", "_BUILTIN_PROVIDERS")
_ENTRY: Final = ("langchain_mix", "ChatMix")
_PARTS: Final = 3


def register() -> None:
    """Lets `init_chat_model("mix:<model>")` make a `ChatMix`; `"mix:default"` is the server's own model.

    It needs the package `langchain`. Calling it again changes nothing.

    Raises:
        MixConfigurationError: `langchain` is not installed, is not the one this was written for, or knows another
            provider by this name.
    """
    table = _providers()
    entry = table.setdefault(PROVIDER, (*_ENTRY, _make))
    if entry[:2] != _ENTRY:
        raise MixConfigurationError(
            f"LangChain has another provider named {PROVIDER!r}: {entry[1]} of {entry[0]}.", hint="Use ChatMix itself."
        )


def _make(cls: Callable[..., Any], **kwargs: Any) -> Any:
    return cls(**kwargs)


def _providers() -> dict[str, Any]:
    module, name = _TABLE
    try:
        table = getattr(import_module(module), name, None)
    except ImportError as problem:
        raise MixConfigurationError(
            f"`langchain` cannot be imported: {problem}.",
            hint="Install it with `pip install 'langchain-mix[agents]'`, or use ChatMix.",
        ) from problem
    if not isinstance(table, dict) or not table or not all(_is_entry(key, entry) for key, entry in table.items()):
        raise MixConfigurationError(
            f"This `langchain` keeps its providers in another way than {module}.{name}.",
            hint="Use ChatMix itself, or update langchain-mix.",
        )
    return table


def _is_entry(key: Any, entry: Any) -> bool:
    return (
        isinstance(key, str)
        and isinstance(entry, tuple)
        and len(entry) == _PARTS
        and all(isinstance(part, str) for part in entry[:2])
        and callable(entry[2])
    )
