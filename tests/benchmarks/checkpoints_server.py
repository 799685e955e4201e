"""An emulated Mix server in a process of its own.

Owns: its life. Refuses to know: who uses it.
"""

from __future__ import annotations

import sys

from langchain_mix import MixEmulator


def main() -> None:
    """Serves until standard input ends."""
    with MixEmulator("0.8") as server:
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
