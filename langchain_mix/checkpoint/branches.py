"""The checkpoints of a thread as a tree of branches, and the place of a checkpoint in its Mix session.

Owns: which checkpoint follows which, which of them branch off, and the drawing as text. Refuses to know: where
checkpoints are kept, and how a notebook shows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from langchain_mix import process_fork
from langchain_mix.checkpoint.backend import Address, CheckpointBackend, CheckpointInfo
from langchain_mix.checkpoint.positions import Position, positions_in
from langchain_mix.checkpoint.runtime import Steps
from langchain_mix.checkpoint.thread_ops import COUNTERS


@dataclass(frozen=True, slots=True)
class Node:
    """A checkpoint in the tree.

    Attributes:
        checkpoint_id: Its id.
        parent_id: The checkpoint it follows, as stored; that one may have been pruned.
        step: LangGraph's number of the step, or None if it was not stored.
        source: Why it was made: `input`, `loop`, `update` or `fork`; empty if it was not stored.
        created_at: When it was made, as ISO 8601 text.
        position: Its place in a Mix session, or None.
        is_branch: Whether its parent had a child already.
        pending_writes: How many writes wait at it for the next step.
    """

    checkpoint_id: str
    parent_id: str | None
    step: int | None
    source: str
    created_at: str
    position: Position | None
    is_branch: bool
    pending_writes: int


@process_fork.renew_cached_properties
@dataclass(frozen=True)
class Tree:
    """The checkpoints of one namespace of a thread.

    Attributes:
        thread_id: The thread.
        ns: The namespace; the root graph's is empty.
        nodes: The checkpoints, oldest id first.
    """

    thread_id: str
    ns: str
    nodes: tuple[Node, ...]

    @cached_property
    def by_id(self) -> Mapping[str, Node]:
        """The nodes by their ids."""
        return {node.checkpoint_id: node for node in self.nodes}

    @cached_property
    def children(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes that follow one, oldest first, by its id."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            if node.parent_id is not None:
                found.setdefault(node.parent_id, []).append(node)
        return {parent: tuple(nodes) for parent, nodes in found.items()}

    @property
    def roots(self) -> tuple[Node, ...]:
        """The nodes that follow none, or one that is gone."""
        return tuple(node for node in self.nodes if node.parent_id not in self.by_id)

    @property
    def heads(self) -> tuple[Node, ...]:
        """The ends of the branches, oldest first; the last one is where the thread goes on."""
        return tuple(node for node in self.nodes if node.checkpoint_id not in self.children)

    @property
    def latest(self) -> Node | None:
        """The checkpoint at which a run of the thread goes on, or None without any."""
        return self.nodes[-1] if self.nodes else None

    def ancestors(self, checkpoint_id: str) -> Iterator[Node]:
        """The nodes before one, newest first."""
        seen = {checkpoint_id}
        node = self.by_id.get(checkpoint_id)
        while node is not None and node.parent_id is not None and node.parent_id not in seen:
            seen.add(node.parent_id)
            node = self.by_id.get(node.parent_id)
            if node is not None:
                yield node

    def __str__(self) -> str:
        """The tree as text, a line for each checkpoint; branches are drawn to the right of what they left."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        latest = self.latest
        waiting = [(root, "") for root in reversed(self.roots)]
        while waiting:
            node, margin = waiting.pop()
            mark = "*" if node is latest else "o"
            yield f"{margin}{mark} {_line(node)}"
            children = self.children.get(node.checkpoint_id, ())
            # The first child goes on in the same column, below all that branched off.
            waiting.extend((child, margin if child is children[0] else f"{margin}| ") for child in children)


def build_tree(thread_id: str, ns: str, items: Iterable[CheckpointInfo]) -> Tree:
    """Makes the tree of a namespace of checkpoints that may be of others, too."""
    nodes: list[Node] = []
    parents: set[str] = set()
    for item in sorted((i for i in items if i.ns == ns), key=lambda i: i.checkpoint_id):
        step, source = item.metadata.get("step"), item.metadata.get("source")
        nodes.append(
            Node(
                checkpoint_id=item.checkpoint_id,
                parent_id=item.parent_id,
                step=step if isinstance(step, int) else None,
                source=str(source or ""),
                created_at=item.ts,
                position=item.positions[0] if item.positions else None,
                is_branch=item.parent_id in parents,
                pending_writes=len(item.writes),
            )
        )
        if item.parent_id is not None:
            parents.add(item.parent_id)
    return Tree(thread_id, ns, tuple(nodes))


def _line(node: Node) -> str:
    parts = [node.checkpoint_id, f"step {'?' if node.step is None else node.step}", node.source or "?"]
    if node.is_branch:
        parts.append("branch")
    if node.position is not None:
        rows = node.position.row_count
        after = f" after {rows} message{'' if rows == 1 else 's'}" if rows >= 0 else ""
        parts.append(f"session {node.position.session_id}{after}")
    if node.pending_writes:
        parts.append(f"{node.pending_writes} pending")
    return "  ".join(parts)


def position_of(backend: CheckpointBackend, address: Address) -> Steps[Position | None]:
    """Returns the place of a checkpoint in its session."""
    item = yield from backend.item(address)
    if item is None or item.positions:
        return item.positions[0] if item is not None else None
    counters = item.metadata.get(COUNTERS)
    # LangGraph: a `DeltaChannel` stores what was written to it, not what it holds.
    channels = [] if not isinstance(counters, Mapping) else sorted(map(str, counters))
    channels.sort(key=lambda name: name != "messages")
    history = yield from backend.history(address.at(item.checkpoint_id), channels)
    for channel in channels:
        written = [value for _, _, value in history[channel]["writes"]]
        found = positions_in([history[channel].get("seed"), *written])
        if found:
            return found[-1]
    return None


def tree_of(backend: CheckpointBackend, thread_id: str, ns: str) -> Steps[Tree]:
    """Makes the tree of a namespace."""
    snapshot = yield from backend.snapshot(thread_id)
    return build_tree(thread_id, ns, snapshot.items)
