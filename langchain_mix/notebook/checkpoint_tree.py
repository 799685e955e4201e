"""`tree`: the checkpoints of a thread with their branches, to be looked at.

Owns: how a tree is laid out. Refuses to know: how `MixSaver` keeps checkpoints; it takes what any saver of LangGraph
lists, and more where a saver has more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, Final

from langchain_mix.checkpoint import Node
from langchain_mix.checkpoint.branches import Preview, previews_of
from langchain_mix.checkpoint.positions import newest_positions
from langchain_mix.errors import MixInputError
from langchain_mix.notebook.html import counted, frame
from langchain_mix.protocol.terminal_text import harmless

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple

_SHORT: Final = 8
_MOST_TITLE: Final = 2_000
_TIME_CHARS: Final = 19


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the tree.

    Attributes:
        node: The checkpoint.
        depth: How many branches to the right.
    """

    node: Node
    depth: int


@dataclass(frozen=True, kw_only=True)
class CheckpointTree:
    """The checkpoints of a thread as they were when they were read, oldest first. Notebooks show it as a page.

    The continuation of a checkpoint is below it; later branches are indented to the right.

    Attributes:
        thread_id: The thread.
        nodes: The checkpoints, oldest first.
        left_out: Whether there are older ones, which were not read.
        previews: The nodes that ran and the newest message of each checkpoint, by its id.
    """

    thread_id: str
    nodes: Sequence[Node]
    left_out: bool = False
    previews: Mapping[str, Preview] = field(default_factory=dict[str, Preview])

    def rows(self) -> Iterator[Row]:
        """The lines of the tree, from the top."""
        known = {node.checkpoint_id for node in self.nodes}
        children: dict[str | None, list[Node]] = {}
        for node in self.nodes:
            children.setdefault(node.parent_id if node.parent_id in known else None, []).append(node)
        waiting = [Row(node, 0) for node in reversed(children.get(None, []))]
        while waiting:
            row = waiting.pop()
            yield row
            following = children.get(row.node.checkpoint_id, [])
            # The first one goes on below, after all that branched off.
            waiting += [Row(node, row.depth + (node is not following[0])) for node in following]

    def _repr_html_(self) -> str:
        rows = "".join(self._row(row) for row in self.rows())
        older = '<div class="lcm-cap">… older checkpoints are not shown</div>' if self.left_out else ""
        head = f'<div class="lcm-label">Thread <code>{escape(self.thread_id)}</code>, {self._count()}</div>'
        return frame(f'{head}{older}<ul class="lcm-tree" role="tree">{rows}</ul>', label=f"Thread {self.thread_id}")

    def _row(self, row: Row) -> str:
        node = row.node
        latest = node is self.nodes[-1]
        facts = "".join(f" <span>{escape(fact)}</span>" for fact in [*_step(node), *_place(node)])
        name = _id(node.checkpoint_id)
        marks = '<span class="lcm-warn">↳ branch</span> ' if node.is_branch else ""
        marks += '<strong class="lcm-good">latest</strong>' if latest else ""
        sign = '<span class="lcm-good" aria-hidden="true">●</span>' if latest else '<span aria-hidden="true">○</span>'
        return (
            f'<li role="treeitem" aria-level="{row.depth + 1}" style="margin-left:{1.6 * row.depth:.1f}em">'
            f'{sign} {name}<span class="lcm-facts">{facts}</span> {marks}{self._preview(node)}</li>'
        )

    def _preview(self, node: Node) -> str:
        preview = self.previews.get(node.checkpoint_id)
        if preview is None or not preview.line:
            return ""
        who = f"<b>{escape(preview.node)}</b> " if preview.node else ""
        return f'<div class="lcm-said" title="{escape(preview.text[:_MOST_TITLE])}">{who}{escape(preview.gist)}</div>'

    def __repr__(self) -> str:
        """The tree as text, a few lines for each checkpoint."""
        lines = [f"Thread {self.thread_id}, {self._count()}"]
        for row in self.rows():
            node, margin = row.node, "| " * row.depth
            sign = "*" if node is self.nodes[-1] else "o"
            lines.append(f"{margin}{sign} {'  '.join([node.checkpoint_id, *_step(node), *self._marks(node)])}")
            lines.append(f"{margin}    {'  '.join(_place(node))}")
            if (preview := self.previews.get(node.checkpoint_id)) is not None and preview.line:
                lines.append(f"{margin}    {preview.line}")
        return "\n".join(map(harmless, lines))

    def _marks(self, node: Node) -> list[str]:
        return ["branch"] * node.is_branch + ["latest"] * (node is self.nodes[-1])

    def _count(self) -> str:
        branches = sum(node.is_branch for node in self.nodes)
        words = counted(len(self.nodes), "checkpoint")
        return f"{words}, {branches} branch{'' if branches == 1 else 'es'}" if branches else words


def tree(
    saver: BaseCheckpointSaver[Any], thread_id: str | RunnableConfig, *, checkpoint_ns: str = "", limit: int = 500
) -> CheckpointTree:
    """Reads the checkpoints of a thread to look at them: what follows what, and where it branches.

    Args:
        saver: `MixSaver`, or any other saver of LangGraph.
        thread_id: The thread, or the config that names it.
        checkpoint_ns: The namespace of a sub-graph; empty for the graph itself, or for that of the config.
        limit: How many checkpoints to show, the newest.

    Returns:
        The tree; as the last value of a notebook cell it is shown.

    Raises:
        MixInputError: There is no saver, or no thread is named.
        MixError: It cannot be read.
    """
    thread_id, checkpoint_ns = _named(saver, thread_id, checkpoint_ns)
    listed = list(saver.list(_config(thread_id, checkpoint_ns), limit=limit + 1))
    branches = getattr(saver, "branches", None)
    if branches is not None:
        return _of_branches(thread_id, branches(thread_id, checkpoint_ns), listed, limit)
    return _of_list(thread_id, listed, limit)


async def atree(
    saver: BaseCheckpointSaver[Any], thread_id: str | RunnableConfig, *, checkpoint_ns: str = "", limit: int = 500
) -> CheckpointTree:
    """Does what `tree` does, asynchronously."""
    thread_id, checkpoint_ns = _named(saver, thread_id, checkpoint_ns)
    listed = [found async for found in saver.alist(_config(thread_id, checkpoint_ns), limit=limit + 1)]
    branches = getattr(saver, "abranches", None)
    if branches is not None:
        return _of_branches(thread_id, await branches(thread_id, checkpoint_ns), listed, limit)
    return _of_list(thread_id, listed, limit)


def _named(saver: object, thread: object, checkpoint_ns: str) -> tuple[str, str]:
    """Returns the thread and the namespace that are named by their ids or by a config.

    Raises:
        MixInputError: What is to be read is no saver, or no thread is named.
    """
    hint = 'Call `tree(saver, "thread id")`, or pass a config: `{"configurable": {"thread_id": ...}}`.'
    if not (hasattr(saver, "list") or hasattr(saver, "alist")):
        raise MixInputError(f"The saver is {type(saver).__name__}, which is none of LangGraph.", hint=hint)
    if isinstance(thread, Mapping):
        configurable = thread.get("configurable")
        place = configurable if isinstance(configurable, Mapping) else {}
        thread, checkpoint_ns = place.get("thread_id"), checkpoint_ns or str(place.get("checkpoint_ns") or "")
    if thread is None or not str(thread):
        raise MixInputError("No thread is named.", hint=hint)
    return str(thread), checkpoint_ns


def _config(thread_id: str, checkpoint_ns: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": checkpoint_ns}}


def _of_branches(thread_id: str, found: Any, listed: Iterable[CheckpointTuple], limit: int) -> CheckpointTree:
    nodes: Sequence[Node] = tuple(found.nodes)
    previews = previews_of(listed)
    return CheckpointTree(thread_id=thread_id, nodes=nodes[-limit:], left_out=len(nodes) > limit, previews=previews)


def _of_list(thread_id: str, found: Iterable[CheckpointTuple], limit: int) -> CheckpointTree:
    listed = sorted(found, key=lambda one: one.checkpoint["id"])
    parents: set[str] = set()
    nodes: list[Node] = []
    for one in listed:
        parent = str((one.parent_config or {}).get("configurable", {}).get("checkpoint_id") or "") or None
        step = one.metadata.get("step")
        nodes.append(
            Node(
                checkpoint_id=one.checkpoint["id"],
                parent_id=parent,
                step=step if isinstance(step, int) else None,
                source=str(one.metadata.get("source") or ""),
                created_at=one.checkpoint["ts"],
                position=next(iter(newest_positions(one.checkpoint["channel_values"])), None),
                is_branch=parent in parents,
                pending_writes=len(one.pending_writes or ()),
            )
        )
        parents |= {parent} if parent else set()
    left_out = len(nodes) > limit
    return CheckpointTree(
        thread_id=thread_id, nodes=tuple(nodes[-limit:]), left_out=left_out, previews=previews_of(listed)
    )


def _step(node: Node) -> list[str]:
    return [f"step {'?' if node.step is None else node.step}", node.source or "?"]


def _place(node: Node) -> list[str]:
    """Returns the time of a checkpoint, and its position in a session."""
    facts = [node.created_at[:_TIME_CHARS].replace("T", " ")]
    if node.position is not None:
        rows = node.position.row_count
        after = f" after {counted(rows, 'message')}" if rows >= 0 else ""
        facts.append(f"session {node.position.session_id[:_SHORT]}{after}")
    return facts


def _id(name: str) -> str:
    """Writes an id of which only the end is seen, as the beginnings are times, and all is copied."""
    if len(name) <= _SHORT + 1:
        return f"<code>{escape(name)}</code>"
    cut = f'<span class="lcm-cut">{escape(name[:-_SHORT])}</span>'
    return f'<code class="lcm-id" title="{escape(name)}">{cut}{escape(name[-_SHORT:])}</code>'
