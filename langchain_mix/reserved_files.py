"""Names of the files that this package keeps on a server for itself, distinguished from people's files by a prefix."""

from __future__ import annotations

from typing import Final

CHECKPOINT_PREFIX: Final = ".langchain-mix-ckpt-"
"""First characters of the checkpoint store's files. No generation of the server rewrites a dot at the beginning, and
the agent's Glob and Grep skip names that begin with one."""

VISIBLE_CHECKPOINT_PREFIX: Final = "langchain-mix-ckpt-"
"""The same as versions up to 0.1 wrote it, in names that agents see."""


def is_reserved(name: str) -> bool:
    """Returns True if a file on the server belongs to this package.

    Args:
        name: The file's name as the server lists it.

    Returns:
        True for files that are no one's documents: not searched, not shown, not to be overwritten by uploads.
    """
    return name.startswith((CHECKPOINT_PREFIX, VISIBLE_CHECKPOINT_PREFIX))
