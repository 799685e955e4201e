"""What is told on standard error while a command works.

Owns: the bar of work whose length nobody knows, and types that were not constructed.
Refuses to know: the work.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import Progress
from rich.text import Text

from langchain_mix.checkpoint import MixSerdeWarning
from langchain_mix.cli.terminal import errors_console, visible


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Shows people a bar that tells nothing but that work goes on."""
    console = errors_console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        progress.add_task(what, total=None)
        yield


@contextmanager
def types_told() -> Iterator[None]:
    """Tells once in a sentence which types were not constructed. Other warnings stay what they are."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MixSerdeWarning)
        try:
            yield
        finally:
            refused = [one for one in caught if issubclass(one.category, MixSerdeWarning)]
            for said in dict.fromkeys(str(one.message) for one in refused):
                errors_console().print(Text(visible(said), style="dim"), soft_wrap=True)
    for one in caught:
        if one not in refused:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
