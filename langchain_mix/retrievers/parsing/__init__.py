"""Bytes in, text with places out: pure, for every format, and never failing on what a file holds.

`dispatch.py` chooses the reader of a file. `parse` is loaded when it is first used: the process that reads a file needs
its reader and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_mix.retrievers.parsing.parsed import Kind, Parsed, Part, Place, Skipped

if TYPE_CHECKING:
    from langchain_mix.retrievers.parsing.dispatch import parse

__all__ = ["Kind", "Parsed", "Part", "Place", "Skipped", "parse"]


def __getattr__(name: str) -> Any:
    """Loads `parse` when it is first used. No module here has its name: its import would replace the function."""
    if name != "parse":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from langchain_mix.retrievers.parsing.dispatch import parse  # noqa: PLC0415  # It imports all readers.

    globals()[name] = parse
    return parse


def __dir__() -> list[str]:
    """Lists the public names."""
    return sorted({*globals(), *__all__})
