"""Which checkpoints of a thread may go.

Owns: the rules of `prune` and `delete_for_runs`, as functions of what is kept. Refuses to know: how it is removed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from langchain_mix.checkpoint.shelf import Item, Keep, Key

COUNTERS: Final = "counters_since_delta_snapshot"
"""LangGraph's metadata of checkpoints with channels that store no value of their own."""


def newest(
    items: Sequence[Item], *, keep_last: int, since: datetime | None = None, drop_subgraphs: bool = False
) -> Keep:
    """Keeps the newest checkpoints of each namespace, and what these need.

    Args:
        items: The checkpoints of a thread.
        keep_last: How many of each namespace stay in any case, 1 or more.
        since: Those that are not older than this stay too.
        drop_subgraphs: Whether namespaces that belong to a single task go with the checkpoint that ran it. They cannot
            be reached by a run any more.

    Returns:
        What stays. A checkpoint whose channels store no value (`DeltaChannel`) takes along its ancestors back to a
        stored one.
    """
    spaces: dict[str, list[Item]] = {}
    for item in sorted(items, key=lambda one: one.checkpoint_id, reverse=True):
        spaces.setdefault(item.ns, []).append(item)
    stay: set[Key] = set()
    for members in spaces.values():
        recent = [item for item in members[keep_last:] if since is not None and not _older(item.ts, since)]
        for item in (*members[:keep_last], *recent):
            stay.add(item.key)
    if drop_subgraphs and "" in spaces:
        stay -= {item.key for ns, members in spaces.items() if _is_of_a_task(ns) for item in _left(members, stay)}
    by_key = {item.key: item for item in items}
    needed = {key for kept in stay for key in _needed(by_key[kept], by_key)}
    return Keep(frozenset(stay | needed))


def without_runs(items: Iterable[Item], run_ids: Collection[str]) -> Keep:
    """Keeps the checkpoints that none of these runs made, and those of them that the others need.

    A checkpoint whose channels store no value needs its ancestors, whichever run made them.
    """
    by_key = {item.key: item for item in items}
    stay = {key for key, item in by_key.items() if item.metadata.get("run_id") not in run_ids}
    needed = {key for kept in stay for key in _needed(by_key[kept], by_key)}
    return Keep(frozenset(stay | needed))


def _left(members: Sequence[Item], stay: Collection[Key]) -> list[Item]:
    """A task's checkpoints, if the checkpoint that ran the task goes."""
    ran = {parent for item in members if (parent := parent_in(item, "")) is not None}
    return [] if not ran or any(("", checkpoint_id) in stay for checkpoint_id in ran) else list(members)


def parent_in(item: Item, ns: str) -> str | None:
    """The checkpoint of an outer namespace that a checkpoint of a subgraph belongs to, if that was stored."""
    parents = item.metadata.get("parents")
    found = parents.get(ns) if isinstance(parents, Mapping) else None
    return found if isinstance(found, str) and found else None


def _is_of_a_task(ns: str) -> bool:
    # LangGraph: `node:<task id>` for a subgraph of one task, the bare name for one that keeps its memory.
    return ":" in ns.rpartition("|")[2]


def _needed(item: Item, by_key: Mapping[Key, Item]) -> Iterable[Key]:
    counters = item.metadata.get(COUNTERS)
    missing = {str(name) for name in counters} - item.channels if isinstance(counters, Mapping) else set()
    seen = {item.key}
    parent = by_key.get((item.ns, item.parent_id or ""))
    while missing and parent is not None and parent.key not in seen:
        seen.add(parent.key)
        yield parent.key
        missing -= parent.channels
        parent = by_key.get((parent.ns, parent.parent_id or ""))


def _older(ts: str, since: datetime) -> bool:
    """Whether a checkpoint is older; one whose time cannot be read is not."""
    try:
        made = datetime.fromisoformat(ts)
    except ValueError:
        return False
    return (made if made.tzinfo is not None else made.replace(tzinfo=since.tzinfo)) < since
