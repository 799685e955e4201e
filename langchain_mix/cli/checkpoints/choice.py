"""Which checkpoint is meant.

Owns: what people may type for one: its id, the beginning of it, or `last`. Refuses to know: what is done with it.
"""

from __future__ import annotations

import re
from typing import Final

from langchain_mix.checkpoint.addresses import thread_name
from langchain_mix.checkpoint.overview import tree_of
from langchain_mix.cli.checkpoints.opening import Store, no_thread
from langchain_mix.errors import MixInputError

LAST: Final = "last"
"""The newest checkpoint."""

_WHOLE_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def find_checkpoint(store: Store, thread_id: str, named: str, ns: str = "") -> str:
    """Finds the checkpoint that somebody means.

    Args:
        store: The store.
        thread_id: The thread.
        named: The id, the beginning of it, or `last`.
        ns: The namespace.

    Returns:
        The id. A whole one is not looked up.

    Raises:
        MixInputError: No checkpoint is meant by this, or several are.
        MixError: The thread could not be read.
    """
    wanted = named.strip()
    if _WHOLE_ID.fullmatch(wanted):
        return wanted
    tree = store.run(tree_of(store.shelf, thread_name(thread_id), ns))
    if tree.latest is None:
        raise no_thread(thread_id)
    if wanted == LAST:
        return tree.latest.checkpoint_id
    ids = [node.checkpoint_id for node in tree.nodes]
    found = [one for one in ids if one == wanted] or [one for one in ids if one.startswith(wanted)]
    if len(found) != 1:
        said = "No checkpoint's id begins" if not found else f"The ids of {len(found)} checkpoints begin"
        raise MixInputError(f"{said} with {named!r}.", hint="`langchain-mix checkpoints list THREAD` shows all.")
    return found[0]
