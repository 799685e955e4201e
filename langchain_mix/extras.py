"""Errors for packages that are missing and that an extra brings; they name the line for pip."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def extra(name: str, *, part: str) -> Iterator[None]:
    """Imports within say what to install, where they fail for a package that is not installed.

    Args:
        name: The extra of this package that brings what they need.
        part: What is imported, as people call it.

    Raises:
        ModuleNotFoundError: A package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] == "langchain_mix":
            raise
        line = f"pip install 'langchain-mix[{name}]'"
        raise ModuleNotFoundError(
            f"{part} needs {missing.name}, which is not installed. Install it with: {line}",
            name=missing.name,
            path=missing.path,
        ) from missing
