"""Taking a thread back to one of its checkpoints, and its Mix session with it.

Owns: what goes and what stays, and the order of the two. Back at a checkpoint means: it is the newest of the thread
again, as if what came later had not happened. What is newer goes, with branches made later and what subgraphs did for
it; older branches stay. Tasks of the checkpoint run again; what waited for an answer to an interrupt waits again.
Refuses to know: how checkpoints are removed, how calls are sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from langgraph.checkpoint.serde.types import INTERRUPT, RESUME

from langchain_mix.checkpoint.addresses import Address
from langchain_mix.checkpoint.ownership import Ownership
from langchain_mix.checkpoint.positions import Position
from langchain_mix.checkpoint.pruning import parent_in
from langchain_mix.checkpoint.shelf import Item, Keep, Key, PendingWrite, Shelf, Steps
from langchain_mix.errors import MixError, MixInputError
from langchain_mix.protocol import calls
from langchain_mix.protocol.call import ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewound:
    """What a rewind did, or would do.

    Attributes:
        checkpoint_id: The checkpoint that is the newest now.
        removed: Ids of the checkpoints that went, by namespace.
        position: Where in which session the thread stands now, or None if no message of its state came from a session.
        session_rewound: Whether messages of the session went.
        rows_removed: How many.
        reason: Why no message of the session went; empty if some did.
    """

    checkpoint_id: str
    removed: Mapping[str, tuple[str, ...]]
    position: Position | None = None
    session_rewound: bool = False
    rows_removed: int = 0
    reason: str = ""


@dataclass(slots=True)
class _Back:
    """What stays, as it is found out."""

    items: Sequence[Item]
    checkpoints: set[Key] = field(default_factory=set)
    writes: dict[Key, frozenset[PendingWrite]] = field(default_factory=dict)

    def to(self, target: Item) -> None:
        """Goes back to a checkpoint of the root graph, in all namespaces."""
        self.within(target)
        waiting = self._interrupted(target)
        known = {item.checkpoint_id for item in self.items if item.ns == target.ns}
        for item in self.items:
            ran = parent_in(item, target.ns)
            if item.ns == target.ns or ran == target.checkpoint_id:
                continue
            if (target.ns, ran) in self.checkpoints or (
                ran not in known and (ran or item.checkpoint_id) < target.checkpoint_id
            ):
                self.checkpoints.add(item.key)
        ran_now = {i.ns for i in self.items if i.ns != target.ns and parent_in(i, target.ns) == target.checkpoint_id}
        for ns in ran_now if waiting else ():
            tasks = {part.rpartition(":")[2] for part in ns.split("|") if ":" in part}
            if tasks & waiting or not tasks:
                self._to_the_interrupt(ns, target)

    def within(self, target: Item) -> None:
        """Goes back to a checkpoint in its own namespace."""
        later = self._descendants(target)
        for item in self.items:
            if item.ns == target.ns and item.checkpoint_id <= target.checkpoint_id and item.key not in later:
                self.checkpoints.add(item.key)
        waiting = self._interrupted(target)
        self.writes[target.key] = frozenset(
            write
            for write in target.writes
            if waiting and (write.channel == INTERRUPT or (write.task_id not in waiting and write.channel != RESUME))
        )

    def _to_the_interrupt(self, ns: str, target: Item) -> None:
        """Goes back to where a subgraph waited that the checkpoint ran."""
        mine = (i for i in self.items if i.ns == ns and parent_in(i, target.ns) == target.checkpoint_id)
        waited = [item for item in mine if self._interrupted(item)]
        if waited:
            self.within(max(waited, key=lambda item: item.checkpoint_id))

    def _descendants(self, target: Item) -> set[Key]:
        """What follows a checkpoint, whatever the ids say."""
        children: dict[str, list[Item]] = {}
        for item in self.items:
            if item.ns == target.ns and item.parent_id is not None:
                children.setdefault(item.parent_id, []).append(item)
        found: set[Key] = set()
        waiting = [target.checkpoint_id]
        while waiting:
            for child in children.get(waiting.pop(), ()):
                if child.key not in found:
                    found.add(child.key)
                    waiting.append(child.checkpoint_id)
        return found - {target.key}

    @staticmethod
    def _interrupted(item: Item) -> set[str]:
        return {write.task_id for write in item.writes if write.channel == INTERRUPT}


def stays(items: Sequence[Item], checkpoint_id: str) -> Keep:
    """Tells what of a thread stays when it goes back.

    Args:
        items: Its checkpoints.
        checkpoint_id: The checkpoint of the root graph to go back to.

    Returns:
        What stays.

    Raises:
        MixInputError: There is no such checkpoint.
    """
    target = next((i for i in items if i.ns == "" and i.checkpoint_id == checkpoint_id), None)
    if target is None:
        raise MixInputError(f"The thread has no checkpoint {checkpoint_id!r}; nothing was changed.")
    back = _Back(items)
    back.to(target)
    return Keep(frozenset(back.checkpoints), back.writes)


def rewind(shelf: Shelf, server: str, address: Address, *, dry_run: bool) -> Steps[Rewound]:
    """Takes a thread and its session back.

    The thread goes first: whatever happens in between, ChatMix finds a session that is further than the conversation
    and leaves it alone, and the same rewind again completes it.

    Args:
        shelf: Where the checkpoints are.
        server: The base URL of the Mix server.
        address: The checkpoint, of the root graph.
        dry_run: Only tell what would be done.

    Returns:
        What was done.
    """
    if address.ns or address.checkpoint_id is None:
        raise MixInputError(
            "A rewind goes back to one checkpoint of the root graph.",
            hint="Pass the config of a checkpoint, such as one from `get_state_history`.",
        )
    checkpoint_id = address.checkpoint_id
    snapshot = yield from shelf.snapshot(address.thread_id)
    keep = stays(snapshot.items, checkpoint_id)
    removed: dict[str, tuple[str, ...]] = {}
    for item in snapshot.items:
        if item.key not in keep.checkpoints:
            removed[item.ns] = (*removed.get(item.ns, ()), item.checkpoint_id)
    kept = [_kept(item, keep) for item in snapshot.items if item.key in keep.checkpoints]
    target = next(item for item in kept if item.key == ("", checkpoint_id))
    position = _stands(target)
    if not dry_run:
        yield from shelf.revise(address.thread_id, lambda items: stays(items, checkpoint_id))
    plan = Rewound(checkpoint_id=checkpoint_id, removed=removed, position=position)
    if position is None:
        return _unmoved(plan, "no message of the state came from a session")
    if position.server != server:
        return _unmoved(plan, "the session is on another server")
    owned = Ownership(shelf, server, address.thread_id, kept)
    return (yield from _rewind_session(plan, owned, position, dry_run=dry_run))


def _rewind_session(plan: Rewound, owned: Ownership, position: Position, *, dry_run: bool) -> Steps[Rewound]:
    try:
        listed = yield from ask(calls.list_messages(position.session_id))
        rows = [row.id for row in listed]
        if position.message_id not in rows:
            return _unmoved(plan, "the session does not hold the message any more")
        proven = yield from owned.proven(position.session_id, listed)
        if position.message_id not in proven:
            return _unmoved(plan, "the session does not say what the thread says")
        place = rows.index(position.message_id)
        needed = {p.message_id for item in owned.items for p in _all(item) if p.session_id == position.session_id}
        after = rows[place + 1 :]
        if needed & set(after):
            return _unmoved(plan, "an older branch needs later messages of the session")
        if all(row.role == "tool" for row in listed[place + 1 :]):
            return _unmoved(plan, "the session stands there already")
        if not dry_run:
            yield from ask(calls.rewind_session(position.session_id, position.message_id))
    except MixError as error:
        if not dry_run:
            error.add_note("The thread's checkpoints were taken back; make the same rewind again to complete it.")
        raise
    return replace(plan, session_rewound=True, rows_removed=len(after))


def _unmoved(plan: Rewound, reason: str) -> Rewound:
    return replace(plan, reason=reason)


def _kept(item: Item, keep: Keep) -> Item:
    if item.key not in keep.writes:
        return item
    return replace(item, writes=tuple(write for write in item.writes if write in keep.writes[item.key]))


def _stands(item: Item) -> Position | None:
    """Where a state stands once the writes that stay at it count."""
    written = [position for write in item.writes for position in write.positions]
    first = item.positions[0] if item.positions else None
    later = [p for p in written if first is None or p.session_id == first.session_id]
    return later[-1] if later else first


def _all(item: Item) -> list[Position]:
    return [*item.positions, *(position for write in item.writes for position in write.positions)]
