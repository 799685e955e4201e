"""The command line: `langchain-mix`. Nothing else in this package prints.

Owns: the entrance. Refuses to know: the commands (`app.py`), which need the extra `cli`.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line, or says what to install for it."""
    try:
        from langchain_mix.cli.app import app  # noqa: PLC0415  # The extra may be missing.

        app()
    except ModuleNotFoundError as missing:  # Commands import what they alone need when they run.
        if missing.name is None or missing.name.startswith("langchain_mix"):
            raise
        sys.stderr.write(
            f"The command line needs {missing.name}, which is not installed. Install it with:\n\n"
            "    pip install 'langchain-mix[cli]'\n"
        )
        sys.exit(2)
