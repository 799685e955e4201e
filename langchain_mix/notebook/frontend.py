"""Where a display goes: a notebook, or a terminal.

Owns: recognising which of them this is, and IPython's display protocol. Refuses to know: what is displayed.
"""

from __future__ import annotations

import sys
from typing import Any


def in_notebook() -> bool:
    """Whether rich output can be shown: IPython runs, and not in a terminal. Loads nothing."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and not any(kind.__name__ == "TerminalInteractiveShell" for kind in type(shell).__mro__)


class Cell:
    """One output of a notebook cell that is replaced by its next state."""

    def __init__(self, display_id: str) -> None:
        """Names the output.

        Args:
            display_id: What frontends know it by; all updates carry it.
        """
        self._id = display_id
        self._shown = False

    def publish(self, html: str, text: str) -> None:
        """Shows a state in place of the one before.

        Args:
            html: The state, for frontends that show HTML.
            text: The same for all others.
        """
        from IPython.display import display, update_display  # noqa: PLC0415  # Notebooks alone have it.

        show: Any = update_display if self._shown else display
        self._shown = True
        show({"text/html": html, "text/plain": text}, raw=True, display_id=self._id)
