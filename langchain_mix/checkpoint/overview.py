"""Looking at threads: where a checkpoint stands, and how checkpoints branch.

Owns: what is read for it. Refuses to know: where checkpoints are kept.
"""

from __future__ import annotations

from collections.abc import Mapping

from langchain_mix.checkpoint.addresses import Address
from langchain_mix.checkpoint.positions import Position, positions_in
from langchain_mix.checkpoint.pruning import COUNTERS
from langchain_mix.checkpoint.shelf import Shelf, Steps
from langchain_mix.checkpoint.tree import Tree, grow


def position_of(shelf: Shelf, address: Address) -> Steps[Position | None]:
    """Tells where in which session a checkpoint stands."""
    item = yield from shelf.item(address)
    if item is None or item.positions:
        return item.positions[0] if item is not None else None
    counters = item.metadata.get(COUNTERS)
    # LangGraph: a `DeltaChannel` stores what was written to it, not what it holds.
    channels = [] if not isinstance(counters, Mapping) else sorted(map(str, counters))
    channels.sort(key=lambda name: name != "messages")
    history = yield from shelf.history(address.at(item.checkpoint_id), channels)
    for channel in channels:
        written = [value for _, _, value in history[channel]["writes"]]
        found = positions_in([history[channel].get("seed"), *written])
        if found:
            return found[-1]
    return None


def tree_of(shelf: Shelf, thread_id: str, ns: str) -> Steps[Tree]:
    """Makes the tree of a namespace."""
    snapshot = yield from shelf.snapshot(thread_id)
    return grow(thread_id, ns, snapshot.items)
