"""The checkpoints of a thread as a tree of branches, previews of them, and the place of one in its Mix session.

Owns: which checkpoint follows which, which of them branch off, the drawing as text, and the line by which people in a
terminal or a notebook recognise a checkpoint. Refuses to know: where checkpoints are kept, and how a notebook shows
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from langchain_core.messages import BaseMessage
from langgraph.checkpoint.base import CheckpointTuple

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


_GIST_CHARS: Final = 70


@dataclass(frozen=True, slots=True)
class Preview:
    """A checkpoint in a line.

    Attributes:
        node: The nodes of the graph that ran for it; empty if unknown.
        text: The newest message in its state, with its speaker; empty if there is none.
    """

    node: str
    text: str

    @property
    def gist(self) -> str:
        """The beginning of the message, in one line."""
        line = " ".join(self.text[: 4 * _GIST_CHARS].split())
        return line if len(line) <= _GIST_CHARS else f"{line[:_GIST_CHARS]}…"

    @property
    def line(self) -> str:
        """The nodes and the beginning of the message."""
        return " ".join(filter(None, (f"[{self.node}]" if self.node else "", self.gist)))


def previews_of(listed: Iterable[CheckpointTuple]) -> dict[str, Preview]:
    """Reads previews of checkpoints, by their ids.

    Args:
        listed: The checkpoints of a thread as a saver lists them. One whose parent is not among them has no nodes.
    """
    found = {one.checkpoint["id"]: one for one in listed}
    previews: dict[str, Preview] = {}
    for name, one in found.items():
        parent = found.get(str((one.parent_config or {}).get("configurable", {}).get("checkpoint_id") or ""))
        known = parent is not None or one.parent_config is None
        node = _nodes(one.checkpoint, parent.checkpoint if parent is not None else {}) if known else ""
        previews[name] = Preview(node, _newest_message(one.checkpoint["channel_values"]))
    return previews


def _nodes(checkpoint: Mapping[str, Any], parent: Mapping[str, Any]) -> str:
    """Returns the nodes that ran. LangGraph: a node that ran has seen newer versions of channels than before."""
    seen: Mapping[str, Any] = parent.get("versions_seen") or {}
    versions: Mapping[str, Any] = checkpoint.get("versions_seen") or {}
    ran = [node for node, now in versions.items() if now != seen.get(node) and not node.startswith("__")]
    return ", ".join(sorted(ran))


def _newest_message(values: Mapping[str, Any]) -> str:
    messages = values.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    if not isinstance(last, BaseMessage):
        return ""
    calls = [f"{call['name']}(…)" for call in getattr(last, "tool_calls", [])]
    return f"{last.type}: {' '.join(filter(None, [last.text.strip(), *calls]))}"
